//! What every machine computes: streams over images that are made row by row.

#![no_std]
#![forbid(unsafe_code)]

use msssim_core::{Error, Params, Sample, Size, Stream};

/// A score to be computed.
pub struct Scene {
    /// Its name in the output.
    pub name: &'static str,
    /// The convention.
    pub params: Params,
    /// The size of the images.
    pub size: Size,
    /// The type of their samples.
    pub samples: Samples,
}

/// Types that samples have.
#[derive(Clone, Copy)]
pub enum Samples {
    /// 8 bits.
    U8,
    /// 16 bits.
    U16,
    /// Single precision.
    F32,
}

const fn scene(
    name: &'static str,
    params: Params,
    (width, height): (usize, usize),
    samples: Samples,
) -> Scene {
    Scene {
        name,
        params,
        size: Size { width, height },
        samples,
    }
}

/// The scenes: each way through the code that rows have, odd and even sides.
pub const SCENES: [Scene; 8] = [
    scene("wang-2003", Params::WANG_2003, (192, 192), Samples::U8),
    scene("wang-2003-odd", Params::WANG_2003, (187, 163), Samples::U16),
    scene("snell-2017", Params::SNELL_2017, (64, 48), Samples::F32),
    scene(
        "pytorch-msssim",
        Params::PYTORCH_MSSSIM,
        (175, 171),
        Samples::U8,
    ),
    scene("piq", Params::PIQ, (163, 162), Samples::U8),
    scene(
        "matlab-multissim",
        Params::MATLAB_MULTISSIM,
        (61, 67),
        Samples::F32,
    ),
    scene("metrix", Params::METRIX, (165, 161), Samples::U8),
    scene("wang-2003-wide", Params::WANG_2003, (640, 161), Samples::U8),
];

/// Numbers of scratch that the largest scene needs.
pub const SCRATCH_LEN: usize = {
    let (mut largest, mut i) = (0, 0);
    while i < SCENES.len() {
        let len = SCENES[i].params.stream_scratch_len(SCENES[i].size.width);
        if len > largest {
            largest = len;
        }
        i += 1;
    }
    largest
};

/// The columns of the widest scene.
pub const WIDEST: usize = 640;

/// Pixels of the two images: diagonal waves, and those with noise.
pub struct Source {
    state: u32,
}

impl Source {
    /// From the first pixel on.
    #[expect(clippy::new_without_default, reason = "it is a position, not a value")]
    pub fn new() -> Self {
        Self { state: 1 }
    }

    /// The pixel of both images at a place; the places must be asked for in order.
    pub fn pixel(&mut self, row: usize, column: usize) -> [u8; 2] {
        let step = self.state.wrapping_mul(1_664_525);
        self.state = step.wrapping_add(1_013_904_223);
        let x = ((row * column / 16 + 3 * row + 5 * column) % 251) as u8;
        let noise = (self.state >> 27) as u8;
        [x, x.saturating_add(noise).saturating_sub(16)]
    }
}

impl Scene {
    /// The bits of the score.
    ///
    /// # Errors
    /// Those of [`Stream`].
    pub fn bits(&self, scratch: &mut [f32]) -> Result<u64, Error> {
        match self.samples {
            Samples::U8 => self.bits_of(scratch, |v| v),
            Samples::U16 => self.bits_of(scratch, u16::from),
            Samples::F32 => self.bits_of(scratch, f32::from),
        }
    }

    fn bits_of<T: Sample + From<u8>>(
        &self,
        scratch: &mut [f32],
        sample: impl Fn(u8) -> T,
    ) -> Result<u64, Error> {
        let mut stream = Stream::new(self.size, &self.params)?;
        let mut source = Source::new();
        let (mut x, mut y) = ([T::from(0); WIDEST], [T::from(0); WIDEST]);
        let (x, y) = (
            x.get_mut(..self.size.width).unwrap_or_default(),
            y.get_mut(..self.size.width).unwrap_or_default(),
        );
        for row in 0..self.size.height {
            for (column, (x, y)) in x.iter_mut().zip(y.iter_mut()).enumerate() {
                [*x, *y] = source.pixel(row, column).map(&sample);
            }
            stream.push(x, y, scratch)?;
        }
        Ok(stream.score()?.value.to_bits())
    }
}
