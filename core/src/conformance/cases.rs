//! The cases of the suite, each with the reason it is there.

use std::vec;
use std::vec::Vec;

use super::Output;
use super::images::{texture_pair, waves, with_noise};
use crate::metric::Score;
use crate::params::{Halving, Negative, Params, Pooling};
use crate::plane::{Plane, PlaneMut, Size};

/// A pair of images under one set of parameters.
#[derive(Clone, Debug)]
pub struct Case {
    /// What the case is there for.
    pub name: &'static str,
    /// The convention.
    pub params: Params,
    /// The size of every plane.
    pub size: Size,
    /// One row-major plane per channel, in units of `params.data_range`.
    pub reference: Vec<Vec<f32>>,
    /// Likewise.
    pub distorted: Vec<Vec<f32>>,
}

impl Case {
    /// Scores the case with `metric`, which receives the two images' planes and the gradient's.
    pub fn run<E>(
        &self,
        metric: impl FnOnce(&[Plane<'_>], &[Plane<'_>], &mut [PlaneMut<'_>]) -> Result<Score, E>,
    ) -> Result<Output, E> {
        let mut gradient = vec![vec![f32::NAN; self.size.area()]; self.distorted.len()];
        let mut planes: Vec<PlaneMut<'_>> = gradient
            .iter_mut()
            .filter_map(|plane| PlaneMut::new(plane, self.size).ok())
            .collect();
        let score = metric(
            &borrow(&self.reference, self.size),
            &borrow(&self.distorted, self.size),
            &mut planes,
        )?;
        Ok(Output { score, gradient })
    }
}

/// All cases.
pub fn cases() -> Vec<Case> {
    let wang = Params::WANG_2003;
    let snell = Params::SNELL_2017;
    let with = |halving, params| Params { halving, ..params };
    let textures = |params, name, width, height| {
        let size = Size { width, height };
        let (x, y) = texture_pair(false, size);
        grey(name, params, size, &x, &y)
    };
    let products = |params| Params {
        pooling: Pooling::PixelProduct,
        ..params
    };
    let one = |scales, params| Params { scales, ..params };
    let mut cases = vec![
        textures(
            wang,
            "the smallest square that five valid scales allow",
            161,
            161,
        ),
        textures(wang, "odd width, even height", 177, 162),
        textures(
            with(Halving::Zero, wang),
            "zeros before odd sides",
            163,
            167,
        ),
        textures(
            with(Halving::Zero, wang),
            "zero halving of sides that stay even",
            176,
            192,
        ),
        textures(
            with(Halving::Floor, wang),
            "the smallest square that rounding down allows",
            176,
            176,
        ),
        textures(
            with(Halving::Floor, wang),
            "rounding down drops rows and columns",
            191,
            183,
        ),
        textures(snell, "a training patch of 33", 33, 33),
        textures(snell, "a training patch of 96", 96, 96),
        textures(snell, "sides shorter than the window", 7, 3),
        textures(snell, "one pixel", 1, 1),
        textures(snell, "one row, wider than a strip", 150, 1),
        textures(snell, "one column, taller than a strip", 1, 150),
        textures(one(1, snell), "single-scale SSIM over the border", 65, 64),
        textures(one(1, wang), "single-scale SSIM, one window", 11, 11),
        textures(one(8, snell), "eight scales", 130, 129),
        textures(products(snell), "products pixel by pixel", 33, 33),
        textures(
            products(snell),
            "products pixel by pixel, even sides",
            96,
            64,
        ),
        textures(
            products(with(Halving::Floor, snell)),
            "products pixel by pixel where pixels lose their parents",
            63,
            47,
        ),
        textures(products(one(1, snell)), "products of one scale", 20, 21),
        textures(
            Params {
                sigma: 0.5,
                ..one(3, snell)
            },
            "a narrow window",
            40,
            41,
        ),
        textures(
            Params {
                sigma: 8.0,
                ..one(3, snell)
            },
            "a wide window",
            40,
            41,
        ),
    ];
    let (width, height) = (165, 170);
    let size = Size { width, height };
    let x = waves(3, size);
    let noisy = |amplitude| with_noise(3, &x, size, amplitude);
    cases.push(grey("identical images", wang, size, &x, &x));
    cases.push(grey("noise of 8", wang, size, &x, &noisy(8)));
    let negated: Vec<u8> = x.iter().map(|v| 255 - v).collect();
    cases.push(grey(
        "a negative: every cs below 0, counted as 0",
        wang,
        size,
        &x,
        &negated,
    ));
    cases.push(grey(
        "a negative: the signed product",
        snell,
        size,
        &x,
        &negated,
    ));
    let signed = Params {
        negative: Negative::Signed,
        ..wang
    };
    cases.push(grey(
        "a negative: signed powers",
        signed,
        size,
        &x,
        &negated,
    ));
    cases.push(grey(
        "black against white",
        snell,
        size,
        &vec![0; size.area()],
        &vec![255; size.area()],
    ));
    cases.push(grey(
        "one grey against the next",
        snell,
        size,
        &vec![254; size.area()],
        &vec![255; size.area()],
    ));

    let channels = |amplitude| {
        vec![
            floats(&x, 1.0),
            floats(&noisy(amplitude), 1.0),
            floats(&negated, 1.0),
        ]
    };
    cases.push(Case {
        name: "three channels",
        params: snell,
        size,
        reference: channels(0),
        distorted: channels(60),
    });
    let unit = Params {
        data_range: 1.0,
        ..snell
    };
    cases.push(Case {
        name: "samples in [0, 1]",
        params: unit,
        size,
        reference: vec![floats(&x, 1.0 / 255.0)],
        distorted: vec![floats(&noisy(60), 1.0 / 255.0)],
    });
    cases
}

fn borrow(planes: &[Vec<f32>], size: Size) -> Vec<Plane<'_>> {
    planes
        .iter()
        .filter_map(|samples| Plane::new(samples, size).ok())
        .collect()
}

fn grey(name: &'static str, params: Params, size: Size, x: &[u8], y: &[u8]) -> Case {
    Case {
        name,
        params,
        size,
        reference: vec![floats(x, 1.0)],
        distorted: vec![floats(y, 1.0)],
    }
}

fn floats(samples: &[u8], scale: f32) -> Vec<f32> {
    samples.iter().map(|v| f32::from(*v) * scale).collect()
}
