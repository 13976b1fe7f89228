//! The structures and shapes of the kernels that train networks.
//!
//! Every layer and each of its gradients is one [`Product`]: [`ConvPlan`] has those of a convolution, which
//! serve its transpose too, [`DensePlan`] those of a dense layer, [`PackedPlan`] those of a convolution of many channels on
//! tensor cores.

mod convolution;
mod dense;
mod packed;
mod product;
mod step;

pub use convolution::{Border, Conv, ConvPlan};
pub use dense::{Dense, DensePlan};
pub use packed::{PackedPlan, PackedWeight, Packing, WeightPacking};
pub use product::{Gather, Kind, Phase, Product, ProductLaunch, Tap};
pub use step::{Adam, Crop};

/// Threads of a block of the kernels that are no products.
const BLOCK: usize = 256;

/// What a layer does to its sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// Negative ones become 0.
    Relu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
}

impl Activation {
    /// As kernels read it.
    pub fn code(self) -> i32 {
        match self {
            Self::Identity => 0,
            Self::Relu => 1,
            Self::Sigmoid => 2,
        }
    }
}

/// How the images of a batch are divided where the gradients by biases are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputSums {
    /// Images of a batch.
    pub images: i32,
    /// Channels, of which each has a bias.
    pub channels: i32,
    /// Samples of a channel's plane.
    pub area: i32,
    /// Images of a part.
    pub of_part: i32,
    /// Parts.
    pub parts: i32,
}

impl OutputSums {
    /// Enough blocks to keep a device busy, of as many samples as a block's threads or more.
    fn new(images: usize, channels: usize, area: usize) -> Self {
        let parts = product::ENOUGH_BLOCKS.div_ceil(channels).min(images);
        let of_part = images.div_ceil(parts).max(BLOCK.div_ceil(area));
        let of_part = of_part.min(images);
        Self {
            images: images as i32,
            channels: channels as i32,
            area: area as i32,
            of_part: of_part as i32,
            parts: images.div_ceil(of_part) as i32,
        }
    }

    /// Numbers of a batch.
    pub fn len(&self) -> usize {
        [self.images, self.channels, self.area]
            .iter()
            .map(|&n| n as usize)
            .product()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The product of factors that are each positive, where it is below 2^31.
fn fits(factors: &[usize]) -> Option<usize> {
    let product = factors
        .iter()
        .try_fold(1usize, |product, n| product.checked_mul(*n));
    product.filter(|&n| n > 0 && n < 1 << 31)
}
