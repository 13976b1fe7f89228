//! The gradient by the input of a convolution with a stride, one phase of the stride at a time.

use super::Conv2dShape;
use crate::dispatch::Token;
use crate::layers::border::Padding;
use crate::layers::correlation::{Correlation, Scratch};
use crate::layers::padded::Planes;

/// The input samples that are one distance from a multiple of the stride, and the gradient by them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phase {
    pub(super) correlation: Correlation,
    /// Of the padded input, the first row and column that are computed.
    first: [usize; 2],
    /// Rows and columns from a multiple of the stride.
    distance: [usize; 2],
}

impl Phase {
    /// `None` where no tap sees the phase's samples, or there are none.
    pub(super) fn new(token: Token, shape: &Conv2dShape, distance: [usize; 2]) -> Option<Self> {
        let (step, kernel) = (shape.step(), shape.kernel);
        let centre = kernel / 2;
        let output = [shape.output_height(), shape.output_width()];
        let input = [shape.height, shape.width];
        let mut first = [0; 2];
        let (mut taps, mut size, mut origin) = ([0; 2], [0; 2], [0; 2]);
        for axis in 0..2 {
            // Samples `step * u + distance` of the padded input, from the first to the end.
            let (begin, end) = match shape.padding {
                Padding::Zero => (centre, centre + input[axis]),
                Padding::Replicate => (0, (output[axis] - 1) * step + kernel),
            };
            let u = [begin, end].map(|at| at.saturating_sub(distance[axis]).div_ceil(step));
            taps[axis] = kernel.saturating_sub(distance[axis]).div_ceil(step);
            size[axis] = u[1] - u[0];
            if taps[axis] == 0 || size[axis] == 0 {
                return None;
            }
            first[axis] = u[0];
            origin[axis] = u[0] as isize - (taps[axis] - 1) as isize;
        }
        let output = Planes {
            channels: shape.out_channels,
            height: output[0],
            width: output[1],
            padding: Padding::Zero,
        };
        let correlation = Correlation::new(token, output, shape.in_channels, taps, 1, origin, size);
        Some(Self {
            correlation,
            first,
            distance,
        })
    }

    pub(super) fn pack(&self, shape: &Conv2dShape, weight: &[f32], packed: &mut [f32]) {
        let (kernel, inputs, step) = (shape.kernel, shape.in_channels, shape.step());
        let [rows, columns] = self.correlation.taps;
        let [y, x] = self.distance;
        let at = |c: usize, o: usize, i: usize, j: usize| {
            let (i, j) = (y + step * (rows - 1 - i), x + step * (columns - 1 - j));
            ((o * inputs + c) * kernel + i) * kernel + j
        };
        self.correlation.pack(weight, at, packed);
    }

    /// Adds the gradient by the phase's samples.
    pub(super) fn run(
        &self,
        shape: &Conv2dShape,
        scratch: &mut Scratch,
        doutput: &[f32],
        packed: &[f32],
        dinput: &mut [f32],
    ) {
        let (height, width, step) = (shape.height, shape.width, shape.step());
        let place =
            |axis: usize| (step * self.first[axis] + self.distance[axis]) as isize - shape.centre();
        let (top, left) = (place(0), place(1));
        // Columns before the image, and where the first in it goes.
        let before = (-left).max(0) as usize;
        let before = before.div_ceil(step);
        let start = (left + (before * step) as isize) as usize;
        let run = &self.correlation;
        run.run(
            scratch,
            doutput,
            packed,
            |_| 0.0,
            |c, y, sums| {
                let row = top + (y * step) as isize;
                let row = row.clamp(0, height as isize - 1) as usize;
                let dinput = &mut dinput[(c * height + row) * width..][..width];
                let (outside, sums) = sums.split_at(before.min(sums.len()));
                outside.iter().for_each(|sum| dinput[0] += sum);
                let inside = width.saturating_sub(start).div_ceil(step).min(sums.len());
                let (sums, outside) = sums.split_at(inside);
                if step == 1 {
                    let samples = &mut dinput[start.min(width)..];
                    samples.iter_mut().zip(sums).for_each(|(d, sum)| *d += sum);
                } else {
                    let samples = dinput.iter_mut().skip(start).step_by(step);
                    samples.zip(sums).for_each(|(d, sum)| *d += sum);
                }
                outside.iter().for_each(|sum| dinput[width - 1] += sum);
            },
        );
    }
}
