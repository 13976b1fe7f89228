//! What a reconstruction experiment leaves behind: tables, pictures, a page.

use std::io::{self, Write};

use serde::Serialize;

use super::{Chosen, Failure, Outcome};
use crate::autoencoder::{Model, decode};
use crate::commands::inference::{Inference, on};
use crate::experiment::reconstruction::Reconstruction;
use crate::loss::Loss;
use crate::parameters::Parameters;
use crate::picture::Picture;
use crate::quality::Quality;
use crate::random::Random;
use crate::reconstruction::{Held, Measure, Reconstructed};
use crate::report::contact_sheet::{Column, contact_sheet};
use crate::report::page::Page;
use crate::report::table::Table;
use crate::report::{ranks, standalone};
use crate::run_folder::RunFolder;

/// Images of a montage.
const SHOWN: usize = 8;

/// Samples of the prior that each network of an EL-VAE shows.
const SAMPLES: usize = 8;

/// A test set, its images, and what the networks made of them.
type Measured = (String, Held, Reconstructed);

/// Writes everything, and the table to `out`.
pub(super) fn write(
    folder: &RunFolder,
    experiment: &Reconstruction,
    networks: &[&Parameters],
    measured: &[Measured],
    rates: &[Chosen],
    curve: Option<String>,
    out: &mut dyn Write,
) -> Outcome {
    write_numbers(folder, measured)?;
    let mut pictures = Vec::new();
    let mut drawings = Vec::new();
    for (i, (set, held, made)) in measured.iter().enumerate() {
        let number = if i == 0 {
            String::new()
        } else {
            format!("-{}", i + 1)
        };
        let count = held.names.len();
        let spread: Vec<usize> = (0..SHOWN.min(count))
            .map(|k| k * count / SHOWN.min(count))
            .collect();
        let montage = format!("montage{number}.png");
        sheet(held, made, &spread).save_png(&folder.file(&montage))?;
        let caption =
            format!("{set}: images spread evenly over the set, and what each network gives back.");
        pictures.push((montage, caption));
        let worst = format!("worst{number}.png");
        sheet(held, made, &made.worst_of_last(SHOWN)).save_png(&folder.file(&worst))?;
        let caption = format!(
            "{set}: where the network trained with MS-SSIM does worst, by SSIM against the better of \
             the other two."
        );
        pictures.push((worst, caption));
        let drawing = ranks::svg(&panels(made));
        let file = format!("ranks{number}.svg");
        folder.write(&file, standalone(&drawing).as_bytes())?;
        drawings.push((format!("Ranks on the {count} images of {set}"), drawing));
    }
    if experiment.model == Model::ElVae {
        samples(experiment, networks)?.save_png(&folder.file("samples.png"))?;
        let caption = "Images of codes drawn from the prior, the standard Gaussian; the same codes for \
                       each network.";
        pictures.push(("samples.png".to_owned(), caption.to_owned()));
    }
    let page = page(experiment, measured, rates, pictures, drawings, curve);
    folder.write("report.html", page.html().as_bytes())?;
    write!(out, "{}", page.table.text())?;
    Ok(())
}

/// Rows of images: the original and each network's.
fn sheet(held: &Held, made: &Reconstructed, images: &[usize]) -> Picture {
    let column = |title: &str, samples: &[f32]| Column {
        title: vec![title.to_owned()],
        images: images.iter().map(|i| held.picture(samples, *i)).collect(),
    };
    let mut columns = vec![column("original", &held.samples)];
    for (loss, samples) in Loss::ALL.iter().zip(&made.samples) {
        columns.push(column(loss.name(), samples));
    }
    contact_sheet(&columns, zoom(held.side))
}

/// Images of random codes, a column for each network.
fn samples(experiment: &Reconstruction, networks: &[&Parameters]) -> Result<Picture, Failure> {
    let inference = Inference::on(experiment.device)?;
    let shape = experiment.shape();
    let mut random = Random::new(experiment.seed, "prior", 0);
    let numbers = 0..SAMPLES * shape.code_len();
    let codes: Vec<f32> = numbers.map(|_| random.normal() as f32).collect();
    let mut columns = Vec::new();
    for (loss, parameters) in Loss::ALL.iter().zip(networks) {
        let images = on!(&inference, backend => decode(backend, shape, parameters, &codes))?;
        let images = images.chunks_exact(shape.image_len());
        let picture = |plane: &[f32]| Picture::grey(shape.side, shape.side, plane.to_vec(), 1.0);
        columns.push(Column {
            title: vec![loss.name().to_owned()],
            images: images.map(picture).collect(),
        });
    }
    Ok(contact_sheet(&columns, zoom(shape.side)))
}

/// How large a pixel is shown.
fn zoom(side: usize) -> usize {
    (96 / side).clamp(1, 4)
}

fn panels(made: &Reconstructed) -> Vec<ranks::Panel> {
    let panel = |measure: Measure| ranks::Panel {
        measure: measure.name().to_owned(),
        methods: Loss::ALL
            .iter()
            .map(|loss| loss.name().to_owned())
            .zip(made.histogram(measure))
            .collect(),
    };
    Measure::ALL.map(panel).into()
}

/// One set's numbers in `results.json`.
#[derive(Serialize)]
struct SetResults<'a> {
    set: &'a str,
    images: usize,
    methods: Vec<MethodResults>,
}

#[derive(Serialize)]
struct MethodResults {
    method: &'static str,
    #[serde(flatten)]
    quality: Quality,
    /// For each measure how often this method is first, second and third.
    ranks: Vec<(Measure, Vec<usize>)>,
}

/// Writes means and ranks as JSON, and every image's as a table.
fn write_numbers(folder: &RunFolder, measured: &[Measured]) -> Outcome {
    let results = measured.iter().map(|(set, held, made)| {
        let method = |(i, (loss, quality)): (usize, (Loss, Quality))| MethodResults {
            method: loss.file_name(),
            quality,
            ranks: Measure::ALL
                .map(|measure| (measure, made.histogram(measure)[i].clone()))
                .into(),
        };
        let methods = Loss::ALL.into_iter().zip(made.means()).enumerate();
        SetResults {
            set,
            images: held.names.len(),
            methods: methods.map(method).collect(),
        }
    });
    folder.write_json("results.json", &results.collect::<Vec<_>>())?;
    folder.write("images.csv", &table_of_images(measured)?)?;
    Ok(())
}

/// The quality and the ranks of every image by every network, as CSV.
fn table_of_images(measured: &[Measured]) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut table = csv::Writer::from_writer(&mut bytes);
    table.write_record([
        "set",
        "image",
        "loss",
        "psnr",
        "ssim",
        "ms_ssim",
        "psnr_rank",
        "ssim_rank",
        "ms_ssim_rank",
    ])?;
    for (set, held, made) in measured {
        let ranks = Measure::ALL.map(|measure| made.ranks(measure));
        for (image, name) in held.names.iter().enumerate() {
            for (n, loss) in Loss::ALL.iter().enumerate() {
                let quality = &made.qualities[n][image];
                let mut cells = vec![set.clone(), name.clone(), loss.file_name().to_owned()];
                cells.extend(Measure::ALL.map(|measure| measure.of(quality).to_string()));
                cells.extend(ranks.iter().map(|ranks| ranks[image][n].to_string()));
                table.write_record(cells)?;
            }
        }
    }
    table.flush()?;
    drop(table);
    Ok(bytes)
}

fn page(
    experiment: &Reconstruction,
    measured: &[Measured],
    rates: &[Chosen],
    pictures: Vec<(String, String)>,
    drawings: Vec<(String, String)>,
    curve: Option<String>,
) -> Page {
    let table = Table {
        methods: Loss::ALL.map(|loss| loss.name().to_owned()).into(),
        sets: measured
            .iter()
            .map(|(set, _, made)| (set.clone(), made.means()))
            .collect(),
    };
    let mut configuration = experiment.describe();
    for Chosen { loss, rate, tried } in rates {
        let tried: Vec<String> = tried
            .iter()
            .map(|(rate, value)| match value {
                Some(value) => format!("{rate} gave {value:.4}"),
                None => format!("{rate} failed"),
            })
            .collect();
        configuration.push((
            format!("rate for {}", loss.name()),
            format!(
                "{rate}; of the validation images' loss, {}",
                tried.join(", ")
            ),
        ));
    }
    let crops = experiment.steps * experiment.batch as u64;
    let mut differences = vec![
        format!(
            "Training: {crops} crops for each loss. The paper's optimiser, rates and number of updates \
             are not known to us; here each loss has the rate that does best on images held back from \
             training."
        ),
        "The paper ranks by people; here images are ranked by what can be computed.".to_owned(),
    ];
    let shape = experiment.shape();
    if shape
        != (crate::autoencoder::Shape {
            model: shape.model,
            ..crate::autoencoder::Shape::PAPER
        })
    {
        differences.push(format!(
            "Size: {0} x {0} pixels, {1} channels and a code of {2}; --full has the paper's 96 x 96, 128 \
             and 512.",
            shape.side, shape.width, shape.bottleneck
        ));
    }
    if experiment.test.is_empty() {
        differences.push(
            "Images: procedural ones, so that the experiment needs no files. The paper has STL-10 \
             (--train, --test)."
                .to_owned(),
        );
    }
    Page {
        title: "Reconstruction with MSE, MAE and MS-SSIM".into(),
        summary: format!(
            "Three autoencoders of the same shape ({}) code images and give them back. They differ in \
             nothing but the loss that they were trained with: mean squared error, mean absolute error, \
             or multiscale structural similarity (Snell et al. 2017).",
            shape.describe()
        ),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        table: table.grid(),
        table_note: "Means over images that no network has seen, as 8-bit levels. PSNR in dB; SSIM with \
                     an 11 x 11 Gaussian window over the border; MS-SSIM as in the paper's loss, five \
                     scales with unit exponents. The best of each line is marked."
            .into(),
        pictures,
        drawings,
        curve,
        configuration,
        differences,
    }
}
