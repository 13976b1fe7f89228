//! What a convolution sees beyond the image: one line of samples under one tap, and its adjoint.

/// What a convolution sees beyond the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// Zeros.
    Zero,
    /// The nearest sample of the image.
    Replicate,
}

impl Padding {
    /// The sample of a line of `side` at signed position `at`, `None` for a zero.
    #[inline]
    pub(crate) fn source(self, side: usize, at: isize) -> Option<usize> {
        match self {
            Self::Replicate => Some(at.clamp(0, side as isize - 1) as usize),
            Self::Zero => usize::try_from(at).ok().filter(|at| *at < side),
        }
    }
}

/// A horizontal tap of a convolution: output sample `i` sees input sample `i * stride + offset`.
#[derive(Clone, Copy)]
pub(crate) struct Tap {
    pub(crate) padding: Padding,
    pub(crate) stride: usize,
    pub(crate) offset: isize,
}

impl Tap {
    /// The outputs whose sample lies inside a line of `side`, as `first..end`.
    fn inside(self, side: usize, outputs: usize) -> (usize, usize) {
        let stride = self.stride as isize;
        let first = (-self.offset).max(0).div_euclid(stride)
            + isize::from((-self.offset).max(0).rem_euclid(stride) > 0);
        let end = (side as isize - self.offset + stride - 1)
            .div_euclid(stride)
            .max(0);
        let end = (end as usize).min(outputs);
        ((first as usize).min(end), end)
    }

    /// Gathers what each output sees.
    pub(crate) fn gather(self, line: &[f32], out: &mut [f32]) {
        let (first, end) = self.inside(line.len(), out.len());
        let beyond = |sample: f32| {
            if self.padding == Padding::Zero {
                0.0
            } else {
                sample
            }
        };
        out[..first].fill(beyond(line[0]));
        out[end..].fill(beyond(line[line.len() - 1]));
        if first < end {
            let start = (first * self.stride).wrapping_add_signed(self.offset);
            if self.stride == 1 {
                out[first..end].copy_from_slice(&line[start..][..end - first]);
            } else {
                let samples = line[start..].iter().step_by(self.stride);
                for (out, sample) in out[first..end].iter_mut().zip(samples) {
                    *out = *sample;
                }
            }
        }
    }

    /// The adjoint of [`Tap::gather`]: adds what each output gives back to the sample it saw.
    pub(crate) fn scatter(self, gradient: &[f32], line: &mut [f32]) {
        let (first, end) = self.inside(line.len(), gradient.len());
        if self.padding == Padding::Replicate {
            let last = line.len() - 1;
            line[0] += gradient[..first].iter().sum::<f32>();
            line[last] += gradient[end..].iter().sum::<f32>();
        }
        if first < end {
            let start = (first * self.stride).wrapping_add_signed(self.offset);
            let samples = line[start..].iter_mut().step_by(self.stride);
            for (sample, gradient) in samples.zip(&gradient[first..end]) {
                *sample += gradient;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gather_and_scatter_are_their_definition() {
        for padding in [Padding::Zero, Padding::Replicate] {
            for stride in [1, 2, 3] {
                for offset in -6isize..=6 {
                    for side in 1..6usize {
                        let tap = Tap {
                            padding,
                            stride,
                            offset,
                        };
                        let line: Vec<f32> = (1..=side).map(|v| v as f32).collect();
                        let outputs = side.div_ceil(stride);
                        let mut out = vec![f32::NAN; outputs];
                        tap.gather(&line, &mut out);
                        let mut back = vec![0.0; side];
                        let gradient: Vec<f32> = (0..outputs).map(|v| (v * v) as f32).collect();
                        tap.scatter(&gradient, &mut back);
                        let mut expected = vec![0.0; side];
                        for i in 0..outputs {
                            let source = padding.source(side, (i * stride) as isize + offset);
                            assert_eq!(out[i], source.map_or(0.0, |at| line[at]));
                            if let Some(at) = source {
                                expected[at] += gradient[i];
                            }
                        }
                        assert_eq!(back, expected, "{padding:?} {stride} {offset} {side}");
                    }
                }
            }
        }
    }
}
