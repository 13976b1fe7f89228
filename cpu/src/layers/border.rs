//! What a convolution sees beyond the image: one line of samples under one tap.

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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gathering_is_its_definition() {
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
                        let mut out = vec![f32::NAN; side.div_ceil(stride)];
                        tap.gather(&line, &mut out);
                        for (i, out) in out.iter().enumerate() {
                            let source = padding.source(side, (i * stride) as isize + offset);
                            assert_eq!(*out, source.map_or(0.0, |at| line[at]));
                        }
                    }
                }
            }
        }
    }
}
