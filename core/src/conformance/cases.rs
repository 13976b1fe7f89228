//! The cases of the suite, each with the reason it is there.

use std::vec;
use std::vec::Vec;

use super::Output;
use super::images::{texture_pair, waves, with_noise};
use crate::params::{Border, Halving, MAX_SCALES, Negative, Params, Pooling, Terms};
use crate::plane::{Plane, PlaneMut, Size};
use crate::score::Score;

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
    /// The weights of the samples, at most 1, where there is a mask.
    pub mask: Option<Vec<f32>>,
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
        mask: None,
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
        mask: None,
    });
    let three = |name, params, width: usize, height: usize| {
        let size = Size { width, height };
        let (x, y) = texture_pair(false, size);
        let (z, w) = texture_pair(true, size);
        let planes = |a, b: &[u8], c| vec![floats(a, 1.0), floats(b, 1.0), floats(c, 1.0)];
        Case {
            name,
            params,
            size,
            reference: planes(&x, &z, &x),
            distorted: planes(&y, &w, &z),
            mask: None,
        }
    };
    let apart = Params {
        terms: Terms::Apart {
            alpha: [0.5; MAX_SCALES],
            gamma: [2.0; MAX_SCALES],
        },
        ..one(3, snell)
    };
    cases.extend([
        textures(Params::PIQ, "the first row and column repeated", 162, 175),
        textures(Params::PIQ, "the first column repeated alone", 176, 177),
        three(
            "torchmetrics: means over channels",
            Params::TORCHMETRICS,
            177,
            181,
        ),
        textures(
            snell.with_border(Border::Reflect),
            "mirrored borders",
            33,
            40,
        ),
        textures(
            snell.with_border(Border::Reflect),
            "mirrored more than once",
            3,
            2,
        ),
        textures(Params::METRIX, "the 9/7 filter, terms apart", 161, 170),
        three("three channels, terms apart", Params::METRIX, 177, 163),
        textures(apart, "exponents of their own", 40, 37),
        textures(Params::ZHAO_2017, "wider windows instead of scales", 40, 37),
        textures(Params::MATLAB_MULTISSIM, "exponents of a Gaussian", 97, 64),
    ]);
    for (negative, name) in [
        (Negative::ZeroMap, "negative terms count as 0"),
        (Negative::Magnitude, "magnitudes of negative means"),
        (Negative::Shifted, "terms shifted to [0, 1]"),
        (Negative::LowerBound(0.05), "no mean below a twentieth"),
    ] {
        let params = Params { negative, ..snell };
        cases.push(grey(name, params, size, &x, &negated));
        let (texture, noisy) = texture_pair(true, size);
        cases.push(grey(name, params, size, &texture, &noisy));
    }
    for (params, name) in [
        (snell, "a region of interest"),
        (Params::FLOOR, "a region of interest, windows inside"),
        (
            Params::PYTORCH_MSSSIM,
            "a region of interest, zeros before odd sides",
        ),
        (Params::METRIX, "a region of interest, terms apart"),
        (
            Params::TORCHMETRICS,
            "a region of interest, mirrored borders",
        ),
    ] {
        let mut case = three(name, params, 191, 177);
        case.mask = Some(region(case.size));
        cases.push(case);
    }
    cases
}

/// A disc with a soft edge in the left half, and a rectangle; nothing elsewhere.
fn region(size: Size) -> Vec<f32> {
    let weight = |at: usize| {
        let (i, j) = (at / size.width, at % size.width);
        let (di, dj) = (i.abs_diff(size.height / 2), j.abs_diff(size.width / 3));
        let distance = di * di + dj * dj;
        match distance {
            0..1600 => 1.0,
            1600..2500 => 0.25,
            _ if i < 40 && j > 120 => 0.5,
            _ => 0.0,
        }
    };
    (0..size.area()).map(weight).collect()
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
        mask: None,
    }
}

fn floats(samples: &[u8], scale: f32) -> Vec<f32> {
    samples.iter().map(|v| f32::from(*v) * scale).collect()
}
