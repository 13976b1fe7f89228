//! `msssim score`: MS-SSIM of image files and folders of them.

mod channels;
mod comparison;
mod csv;
mod gate;
mod lines;
mod map;
mod mask;
mod outputs;
mod pairs;
mod place;
mod preset;
mod session;
mod switches;

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use self::channels::Channels;
use self::comparison::Comparer;
use self::map::MapOptions;
use self::preset::Preset;
use self::session::Session;
use self::switches::{SmallRule, Switches};
use super::{Failure, Outcome};
use crate::device::Choice;
use crate::picture::Picture;

pub(super) use self::gate::BELOW;

/// Compare images with MS-SSIM
///
/// Prints one line for each image judged: the score, and the file where there are several. Two
/// folders are paired by file name, or by the name without its ending where only one image on
/// either side has it; the last line is the mean.
///
/// Grey files are compared as they are, colour files by their luma unless --channels says
/// otherwise. Of files of 8 and 16 bits the former are scaled to the latter.
#[derive(Args, Debug)]
#[command(
    override_usage = "msssim score [OPTIONS] <REFERENCE> <DISTORTED>...
       msssim score --list-presets [--json]",
    after_help = "Examples:
  msssim score original.png compressed.jpg
  msssim score original.png a.png b.png --per-scale
  msssim score originals/ compressed/ --csv scores.csv --fail-below 0.95
  msssim score original.png a.png --map map.png --mask face.png
  msssim score original.png a.png --preset piq --channels rgb --json

Exit status:
  0  every pair is scored, and no score is below --fail-below
  1  an error. Files that cannot be scored are named on standard error, the others
     are scored nevertheless
  2  the command line is wrong
  3  every pair is scored, and a score is below --fail-below or is not a number
Images of a folder without a partner are named on standard error and passed over."
)]
pub(super) struct Arguments {
    /// The image to compare with, or a folder of such images
    #[arg(required_unless_present = "list_presets")]
    reference: Option<PathBuf>,
    /// Images to judge; folders of them if REFERENCE is a folder
    #[arg(required_unless_present = "list_presets")]
    distorted: Vec<PathBuf>,
    /// The convention to follow
    #[arg(long, value_name = "NAME", value_parser = preset::parser(), default_value = "wang-2003")]
    preset: Preset,
    /// Print all conventions, with --json in full, and end
    #[arg(long)]
    list_presets: bool,
    /// Where to compute; maps are the CPU's alone
    #[arg(long, value_enum, default_value_t = Choice::Cpu)]
    device: Choice,

    /// What of a colour image is compared
    #[arg(long, value_enum, default_value_t = Channels::Luma, help_heading = "Images")]
    channels: Channels,
    /// What becomes of images too small for the convention
    #[arg(long, value_enum, default_value_t = SmallRule::Refuse, help_heading = "Images")]
    small: SmallRule,
    /// White less black, in the units of the files [default: 255 of 8 bits, 65535 of 16]
    #[arg(long, value_name = "X", help_heading = "Images")]
    data_range: Option<f64>,
    /// Leave out so many pixels along each side of all images
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Images")]
    crop_border: usize,
    /// Score a region: a grey image of the same size, whose samples are weights, black is outside
    #[arg(long, value_name = "FILE", help_heading = "Images")]
    mask: Option<PathBuf>,

    #[command(flatten)]
    switches: Switches,

    /// Print the means of luminance l, contrast c, structure s, cs and ssim = l c s at each scale
    ///
    /// A dash is what is not computed: on a CUDA device and with --mask there are those means alone
    /// that the score is made of.
    #[arg(long, help_heading = "Output")]
    per_scale: bool,
    /// Print one JSON object per pair, in full precision, and one for the mean of folders
    #[arg(long, help_heading = "Output")]
    json: bool,
    /// Write a table of all pairs, in full precision
    #[arg(long, value_name = "OUT.csv", help_heading = "Output")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    map: MapOptions,
    /// Replace the files of --csv and --map if they exist
    #[arg(long, help_heading = "Output")]
    force: bool,
    /// End with status 3 if a score is below this, or is not a number
    #[arg(
        long, value_name = "X", value_parser = gate::parse, help_heading = "Output",
        allow_negative_numbers = true
    )]
    fail_below: Option<f64>,
}

impl Arguments {
    /// What makes scores others than the preset's, as options; `small` if images are that.
    fn deviations(&self, small: bool) -> Vec<String> {
        let mut words = self.switches.words();
        if let Some(range) = self.data_range {
            words.push(format!("--data-range {range}"));
        }
        if self.crop_border > 0 {
            words.push(format!("--crop-border {}", self.crop_border));
        }
        if small {
            words.push(format!("--small {}", self.small.name()));
        }
        if let Some(mask) = &self.mask {
            words.push(format!("--mask {}", mask.display()));
        }
        if let Some(channels) = self.channels.deviation() {
            words.push(format!("--channels {channels}"));
        }
        words
    }
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    if arguments.list_presets {
        return preset::list(arguments.json, out);
    }
    let Some(reference) = &arguments.reference else {
        return Err(Failure::Message("no image to compare with".into()));
    };
    let groups = pairs::of(reference, &arguments.distorted)?;
    let pairs: usize = groups.iter().map(|group| group.pairs.len()).sum();
    arguments.map.check(pairs)?;
    outputs::check(arguments, reference, &groups)?;
    let comparer = Comparer::new(arguments)?;
    // Every pair has the same one; it is opened once, and nothing can be done without.
    let shared = match reference.is_dir() {
        true => None,
        false => Some(Picture::open(reference)?),
    };
    let several = pairs > 1 || groups.iter().any(|group| group.of_folders);
    let mut session = Session::new(arguments, comparer, shared, several, out);
    for group in &groups {
        session.judge(group)?;
    }
    session.conclude()
}
