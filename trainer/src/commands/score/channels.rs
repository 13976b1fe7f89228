//! What of a picture is compared.

use clap::ValueEnum;
use msssim_core::Luma;

use crate::colour::luma;
use crate::picture::Picture;

/// What of a colour image is compared.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Channels {
    /// Luma by ITU-R BT.601 over the full range: .299 R + .587 G + .114 B
    Luma,
    /// Luma by ITU-R BT.709: .2126 R + .7152 G + .0722 B
    #[value(name = "luma-709")]
    Luma709,
    /// Y of MATLAB's rgb2ycbcr, from 16 to 235 of 255, not rounded
    LumaMatlab,
    /// Red, green and blue
    Rgb,
}

impl Channels {
    /// The planes of two pictures of one range that are compared with each other.
    ///
    /// Two grey pictures are compared as they are; beside a colour one, a grey one is a colour
    /// picture whose channels are equal.
    pub(super) fn planes(self, pictures: [Picture; 2]) -> [Vec<Vec<f32>>; 2] {
        let grey = pictures.iter().all(Picture::is_grey);
        pictures.map(|mut picture| {
            if grey {
                return picture.planes;
            }
            if picture.is_grey() {
                picture.planes = vec![picture.planes[0].clone(); 3];
            }
            let luma = |by| vec![luma(&picture, by)];
            match self {
                Self::Luma => luma(Luma::Bt601),
                Self::Luma709 => luma(Luma::Bt709),
                Self::LumaMatlab => luma(Luma::Matlab),
                Self::Rgb => picture.planes,
            }
        })
    }

    /// Its name on the command line, if it is not what is compared unasked.
    pub(super) fn deviation(self) -> Option<&'static str> {
        match self {
            Self::Luma => None,
            Self::Luma709 => Some("luma-709"),
            Self::LumaMatlab => Some("luma-matlab"),
            Self::Rgb => Some("rgb"),
        }
    }

    /// The names of the channels that scores can be told apart by.
    pub(super) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Rgb => &["red", "green", "blue"],
            _ => &[],
        }
    }
}
