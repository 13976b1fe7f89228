//! Sums over a batch of each channel: the gradient by a bias.

use rayon::prelude::*;

/// Sums that run side by side, so that none waits for the addition before.
const SUMS: usize = 16;

/// `sums[c]`, the sum over all images of channel `c` of `images x channels x plane`, in float64.
pub(super) fn channel_sums(images: &[f32], plane: usize, sums: &mut [f32]) {
    let channels = sums.len();
    sums.par_iter_mut().enumerate().for_each(|(c, sum)| {
        let planes = images.chunks_exact(plane).skip(c).step_by(channels);
        *sum = planes.map(sum_of).sum::<f64>() as f32;
    });
}

fn sum_of(plane: &[f32]) -> f64 {
    let mut sums = [0.0; SUMS];
    let (whole, rest) = plane.as_chunks::<SUMS>();
    for samples in whole {
        for (sum, sample) in sums.iter_mut().zip(samples) {
            *sum += f64::from(*sample);
        }
    }
    for (sum, sample) in sums.iter_mut().zip(rest) {
        *sum += f64::from(*sample);
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_counts_for_its_channel() {
        let images: Vec<f32> = (0..2 * 3 * 37).map(|v| v as f32).collect();
        let mut sums = [f32::NAN; 3];
        channel_sums(&images, 37, &mut sums);
        for (c, sum) in sums.iter().enumerate() {
            let of_channel = |(at, v): (usize, &f32)| if at / 37 % 3 == c { *v } else { 0.0 };
            assert_eq!(*sum, images.iter().enumerate().map(of_channel).sum());
        }
    }
}
