//! The paper's autoencoders: an image becomes a short code, and the code the image again.
//!
//! `conv`, the network of section 3.2 as it is reported (the paper's own text of it could not be had):
//!
//! ```text
//! encoder  c x s x s -- 5x5, stride 2 --> w -- 5x5, stride 2 --> 2w -- 5x5, stride 2 --> 4w -- dense --> code
//! decoder  code -- dense --> 4w -- 5x5 transposed --> 2w -- 5x5 transposed --> w -- 5x5 transposed --> c
//! ```
//! with `w` = 128 and a code of 512 for 96 x 96 pixels. Beyond the image are zeros, so each convolution
//! halves the side, rounding up: 96, 48, 24, 12. A transposed convolution is the adjoint of the one
//! whose place it mirrors, so any side comes back exactly. Every layer is rectified but the last, whose
//! sigmoid keeps samples in 0 to 1. Without a dense layer (a code of 0) the third convolution's output is
//! the code.
//!
//! `fc`: `c s^2 -- 8w -- code -- 8w -- c s^2`, dense layers, rectified but for the code and the last,
//! which is a sigmoid.
//!
//! `el-vae`, the expected-loss variational autoencoder: the layers of `conv`, whose encoder gives the
//! mean and the variance of a Gaussian that the code is drawn from. The paper minimises
//! `C E[loss] + KL`, KL being the divergence from the standard Gaussian; here it is `E[loss] + KL / C`,
//! with `kl_weight = 1 / C`, the expectation taken by one draw for each image and step. The loss is any:
//! it need not be a likelihood.

mod inference;
mod initialisation;
mod layers;
mod model;

use serde::{Deserialize, Serialize};

pub use inference::{decode, features, reconstruct};
pub use layers::Layers;
pub use model::Autoencoder;

use crate::backend::{Error, ImageBatch};
use crate::parameters::Layout;

/// Which autoencoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// Convolutions and a dense code
    Conv,
    /// Dense layers alone
    Fc,
    /// Convolutions and a code drawn from a Gaussian: expected-loss variational autoencoder
    ElVae,
}

impl Model {
    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Conv => "conv",
            Self::Fc => "fc",
            Self::ElVae => "el-vae",
        }
    }
}

/// An autoencoder in numbers: what its parameters' shapes follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    /// Which autoencoder.
    pub model: Model,
    /// Planes of an image.
    pub channels: usize,
    /// Rows and columns of an image.
    pub side: usize,
    /// Channels of the first convolution; a dense hidden layer has eight times as many units.
    pub width: usize,
    /// Numbers of a code; 0, for [`Model::Conv`] only, leaves the dense layers out.
    pub bottleneck: usize,
}

impl Shape {
    /// The paper's network for the 96 x 96 grey images of STL-10.
    pub const PAPER: Self = Self {
        model: Model::Conv,
        channels: 1,
        side: 96,
        width: 128,
        bottleneck: 512,
    };

    /// The first number that is out of its range, and the range.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let least = usize::from(self.model != Model::Conv);
        if !(1..=4).contains(&self.channels) {
            Some(("channels", "1 to 4"))
        } else if !(1..=1024).contains(&self.side) {
            Some(("side", "1 to 1024"))
        } else if !(1..=1024).contains(&self.width) {
            Some(("width", "1 to 1024"))
        } else if !(least..=65_536).contains(&self.bottleneck) {
            let must = if least == 0 {
                "0 to 65536"
            } else {
                "1 to 65536"
            };
            Some(("bottleneck", must))
        } else {
            None
        }
    }

    /// A batch of its images.
    pub fn batch(&self, images: usize) -> ImageBatch {
        ImageBatch {
            images,
            channels: self.channels,
            height: self.side,
            width: self.side,
        }
    }

    /// Samples of an image.
    pub fn image_len(&self) -> usize {
        self.channels * self.side * self.side
    }

    /// Numbers of a code as [`features`] gives and [`decode`] takes them.
    pub fn code_len(&self) -> usize {
        match self.bottleneck {
            0 => {
                let [.., side] = self.sides();
                4 * self.width * side * side
            }
            code => code,
        }
    }

    /// Names, shapes and ranges of the parameters, as PyTorch names them.
    pub fn layout(&self) -> Layout {
        Layers::of(self, 1).layout
    }

    /// Its layers for batches of `images`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] when one of them makes more numbers than a device addresses.
    pub fn layers(&self, images: usize) -> Result<Layers, Error> {
        let widest = ImageBatch {
            channels: self.width.max(self.channels),
            ..self.batch(images)
        };
        widest.checked_len()?;
        Ok(Layers::of(self, images))
    }

    /// In words.
    pub fn describe(&self) -> String {
        let Self {
            channels,
            side,
            width: w,
            bottleneck,
            ..
        } = self;
        let layers = match self.model {
            Model::Conv | Model::ElVae => format!(
                "5x5 convolutions of {w}, {} and {} channels, stride 2",
                2 * w,
                4 * w
            ),
            Model::Fc => format!("dense, {} hidden units", 8 * w),
        };
        let code = match bottleneck {
            0 => "no dense layer".to_owned(),
            code => format!("a code of {code}"),
        };
        let name = self.model.name();
        format!("{name} autoencoder of {channels} x {side} x {side} samples: {layers}, {code}")
    }

    /// The side of an image, and of what each convolution makes of it.
    fn sides(&self) -> [usize; 4] {
        let half = |side: usize| side.div_ceil(2);
        let [first, second] = [half(self.side), half(half(self.side))];
        [self.side, first, second, half(second)]
    }
}
