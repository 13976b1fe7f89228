//! `msssim reproduce`: an experiment of the paper from start to report.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::evaluate::{measure, test_sets, write_picture};
use super::inference::{Inference, on};
use super::options::ExperimentOptions;
use super::progress::say;
use super::reconstruction::{self, ReconstructionOptions};
use super::representations::{self, RepresentationOptions};
use super::run_options::RunOptions;
use super::train::train;
use super::{Failure, Outcome, interrupt};
use crate::experiment::Experiment;
use crate::loss::Loss;
use crate::parameters::Parameters;
use crate::quality::Quality;
use crate::report::grid::Grid;
use crate::report::page::Page;
use crate::report::table::Table;
use crate::run_folder::RunFolder;
use crate::run_log;
use crate::super_resolution::show;

/// Where runs go unless told otherwise.
const FOLDER: &str = "runs/super-resolution";

/// The picture of a run.
const PICTURE: &str = "side-by-side.png";

/// Reproduce an experiment of the paper
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(subcommand)]
    experiment: Reproduced,
}

#[derive(Subcommand, Debug)]
enum Reproduced {
    /// Train SRCNN with MSE, MAE and MS-SSIM, and compare what comes out
    ///
    /// Needs no files: without --train and --test, built-in procedural images serve. Prints the
    /// paper's table, and leaves weights, pictures and report.html in the run's folder.
    #[command(after_help = "Examples:
  msssim reproduce super-resolution
  msssim reproduce super-resolution --train photographs --test Set5 --test Set14 --steps 20000
  msssim reproduce super-resolution --resume")]
    SuperResolution {
        #[command(flatten)]
        experiment: ExperimentOptions,
        /// Folders of test images [default: built-in procedural images]
        #[arg(long, value_name = "DIR", num_args = 1..)]
        test: Vec<PathBuf>,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Train autoencoders with MSE, MAE and MS-SSIM, and compare what they give back
    ///
    /// Needs no files: without --train and --test, crops of built-in procedural images serve. Prints a
    /// table, and leaves weights, pictures and report.html in the run's folder.
    #[command(after_help = "Examples:
  msssim reproduce reconstruction
  msssim reproduce reconstruction --full --train stl10/unlabeled --test stl10/test --steps 50000
  msssim reproduce reconstruction --model el-vae")]
    Reconstruction {
        #[command(flatten)]
        experiment: ReconstructionOptions,
        /// Folders of test images [default: built-in procedural images]
        #[arg(long, value_name = "DIR", num_args = 1..)]
        test: Vec<PathBuf>,
        #[command(flatten)]
        run: RunOptions,
    },
    /// Train autoencoders with each loss on faces, and ask their codes who it is and where the light is
    ///
    /// Needs no files: without --train, procedural faces serve. Prints the paper's table beside its own,
    /// and leaves weights, codes, pictures and report.html in the run's folder.
    #[command(after_help = "Examples:
  msssim reproduce representations
  msssim reproduce representations --train CroppedYale --splits 5 --steps 2000
  msssim reproduce representations --train CroppedYale --full")]
    Representations {
        #[command(flatten)]
        experiment: RepresentationOptions,
        #[command(flatten)]
        run: RunOptions,
    },
}

pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Outcome {
    match &arguments.experiment {
        Reproduced::SuperResolution {
            experiment,
            test,
            run,
        } => super_resolution(experiment, test, run, out),
        Reproduced::Reconstruction {
            experiment,
            test,
            run,
        } => reconstruction::run(experiment, test, run, out),
        Reproduced::Representations { experiment, run } => {
            representations::run(experiment, run, out)
        }
    }
}

fn super_resolution(
    experiment: &ExperimentOptions,
    test: &[PathBuf],
    run: &RunOptions,
    out: &mut dyn Write,
) -> Outcome {
    let opened = experiment.open(test, run, Path::new(FOLDER))?;
    let Some((folder, experiment, source)) = opened else {
        return Ok(());
    };
    let stop = interrupt::flag()?;
    let mut networks = Vec::new();
    let mut curves = Vec::new();
    for loss in Loss::ALL {
        let trained = train(&folder, &experiment, loss, source.clone(), &stop)?;
        networks.push(trained.checkpoint.parameters);
        curves.push((loss, trained.losses));
    }
    let networks: Vec<&Parameters> = networks.iter().collect();
    let curve = run_log::write(&folder, &curves)?;

    let inference = Inference::on(experiment.device)?;
    let mut table = Table::default();
    table.methods.push("Bicubic".into());
    table
        .methods
        .extend(Loss::ALL.map(|loss| loss.name().to_owned()));
    let mut showpiece = None;
    for set in test_sets(&experiment.test) {
        let measured = measure(&inference, &networks, &set, experiment.scale)?;
        let qualities = std::iter::once(measured.bicubic).chain(measured.networks);
        table.sets.push((set.name(), qualities.collect()));
        showpiece.get_or_insert((set, measured.showpiece));
    }
    write_results(&folder, &table)?;
    let mut pictures = Vec::new();
    if let Some((set, image)) = showpiece {
        let factor = experiment.scale;
        let shown = on!(&inference, backend => show(backend, &networks, &set, image, factor))?;
        let names = Loss::ALL.map(Loss::name);
        write_picture(&folder.file(PICTURE), &set.name(), &names, shown)?;
        let caption = "The original, bicubic and the three networks; below, the framed detail \
                       four times as large. PSNR and SSIM of this image's luma.";
        pictures.push((PICTURE.to_owned(), caption.to_owned()));
    }
    let page = page(&experiment, table.grid(), pictures, curve);
    folder.write("report.html", page.html().as_bytes())?;
    write!(out, "{}", page.table.text())?;
    say(&format!("report: {}", folder.file("report.html").display()));
    Ok(())
}

/// One set's numbers in `results.json`.
#[derive(Serialize)]
struct SetResults<'a> {
    set: &'a str,
    methods: Vec<MethodResults<'a>>,
}

#[derive(Serialize)]
struct MethodResults<'a> {
    method: &'a str,
    #[serde(flatten)]
    quality: &'a Quality,
}

fn write_results(folder: &RunFolder, table: &Table) -> Result<(), Failure> {
    let results: Vec<SetResults<'_>> = table
        .sets
        .iter()
        .map(|(set, qualities)| SetResults {
            set,
            methods: table
                .methods
                .iter()
                .zip(qualities)
                .map(|(method, quality)| MethodResults { method, quality })
                .collect(),
        })
        .collect();
    Ok(folder.write_json("results.json", &results)?)
}

fn page(
    experiment: &Experiment,
    table: Grid,
    pictures: Vec<(String, String)>,
    curve: Option<String>,
) -> Page {
    let patches = experiment.steps * experiment.batch as u64;
    let mut differences = vec![
        format!(
            "Training: {patches} patches for each loss; the paper has 5 million patches of ImageNet, \
             and its MSE column is the released network of Dong et al., trained far longer."
        ),
        "How the paper's windows see the border of a patch is not known: here the nearest pixel \
         is repeated, in the loss as in the network."
            .to_owned(),
    ];
    if experiment.test.is_empty() {
        differences.push(
            "Images: procedural ones, so that the experiment needs no files. The paper measures on \
             Set5, Set14 and the 200 test images of BSDS500 (--test)."
                .to_owned(),
        );
    }
    Page {
        title: "Super-resolution with MSE, MAE and MS-SSIM".into(),
        summary: format!(
            "Three SRCNN networks of the same shape enlarge images {} times. They differ in nothing \
             but the loss that they were trained with: mean squared error, mean absolute error, or \
             multiscale structural similarity (Snell et al. 2017).",
            experiment.scale
        ),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        table,
        table_note: "Means over the images, on luma after 8-bit rounding, 8 pixels dropped from \
                     each side. PSNR in dB; SSIM with an 11 x 11 Gaussian window over the border; \
                     MS-SSIM as in msssim.m. The best of each line is marked."
            .into(),
        pictures,
        drawings: Vec::new(),
        curve,
        configuration: experiment.describe(),
        differences,
    }
}
