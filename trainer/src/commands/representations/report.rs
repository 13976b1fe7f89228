//! What a run on representations leaves behind: numbers, a table, pictures, the page.

use std::io::Write;

use serde::Serialize;

use super::{Compared, Outcome, shown};
use crate::experiment::representations::{Data, Representations, SIDE};
use crate::loss::Loss;
use crate::picture::Picture;
use crate::probe::{FOLDS, Findings, Labels, TUBE};
use crate::report::contact_sheet::{Column, contact_sheet};
use crate::report::grid::{Grid, Line};
use crate::report::page::Page;
use crate::report::scatter;
use crate::run_folder::RunFolder;

/// The picture of a run.
const PICTURE: &str = "faces.png";

/// Pixels of a sample in it.
const ZOOM: usize = 3;

/// What is measured: its name and unit, its value, and the poster's for MSE, MAE and MS-SSIM.
struct Measure {
    name: &'static str,
    value: fn(&Findings) -> f64,
    poster: [(Loss, f64); 3],
}

const MEASURES: [Measure; 3] = [
    Measure {
        name: "identity error, %",
        value: |findings| findings.identity_error,
        poster: [(Loss::Mse, 5.60), (Loss::Mae, 5.60), (Loss::MsSsim, 3.53)],
    },
    Measure {
        name: "azimuth, degrees^2",
        value: |findings| findings.azimuth_error,
        poster: [
            (Loss::Mse, 277.46),
            (Loss::Mae, 325.19),
            (Loss::MsSsim, 234.32),
        ],
    },
    Measure {
        name: "elevation, degrees^2",
        value: |findings| findings.elevation_error,
        poster: [
            (Loss::Mse, 51.46),
            (Loss::Mae, 50.23),
            (Loss::MsSsim, 35.60),
        ],
    },
];

/// Mean and standard deviation over splits.
#[derive(Clone, Copy, Serialize)]
struct Spread {
    mean: f64,
    /// Of a single split, with n - 1; 0 for one split.
    deviation: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        Self {
            mean,
            deviation: (squares / (n - 1.0).max(1.0)).sqrt(),
        }
    }
}

/// One loss in `results.json`.
#[derive(Serialize)]
struct Results {
    loss: Loss,
    identity_error: Spread,
    azimuth_error: Spread,
    elevation_error: Spread,
    /// Identity, azimuth and elevation of each split.
    splits: Vec<[f64; 3]>,
}

/// Writes results, pictures and page, and prints the table.
pub(super) fn write(
    folder: &RunFolder,
    experiment: &Representations,
    data: &Data,
    compared: &[Compared],
    curve: Option<String>,
    out: &mut dyn Write,
) -> Outcome {
    let results: Vec<Results> = compared.iter().map(results).collect();
    folder.write_json("results.json", &results)?;
    let table = table(compared);
    folder.write("table.md", table.markdown().as_bytes())?;
    sheet(experiment, data, compared).save_png(&folder.file(PICTURE))?;
    let page = page(experiment, data, compared, table, curve);
    folder.write("report.html", page.html().as_bytes())?;
    write!(out, "{}", page.table.text())?;
    Ok(())
}

fn results(compared: &Compared) -> Results {
    let splits: Vec<[f64; 3]> = compared
        .findings
        .iter()
        .map(|findings| MEASURES.map(|measure| (measure.value)(findings)))
        .collect();
    let spread = |k: usize| Spread::of(&splits.iter().map(|split| split[k]).collect::<Vec<_>>());
    Results {
        loss: compared.loss,
        identity_error: spread(0),
        azimuth_error: spread(1),
        elevation_error: spread(2),
        splits,
    }
}

/// The poster's table above ours.
fn table(compared: &[Compared]) -> Grid {
    let splits = compared
        .first()
        .map_or(0, |compared| compared.findings.len());
    let (mut poster, mut ours) = (Vec::new(), Vec::new());
    for (k, measure) in MEASURES.iter().enumerate() {
        let group = |name: &str| {
            if k == 0 {
                name.to_owned()
            } else {
                String::new()
            }
        };
        let print = |v: f64| format!("{v:.2}");
        let printed = compared.iter().map(|compared| {
            let mut known = measure.poster.iter();
            known
                .find(|(loss, _)| *loss == compared.loss)
                .map(|known| known.1)
        });
        let values: Vec<Option<f64>> = printed.collect();
        poster.push(Line::of_numbers(
            &group("poster"),
            measure.name,
            &values,
            true,
            print,
        ));
        let spreads = compared.iter().map(|compared| {
            let values: Vec<f64> = compared.findings.iter().map(measure.value).collect();
            Spread::of(&values)
        });
        let spreads: Vec<Spread> = spreads.collect();
        let means: Vec<Option<f64>> = spreads.iter().map(|spread| Some(spread.mean)).collect();
        let here = match splits {
            1 => "here, 1 split".to_owned(),
            n => format!("here, {n} splits"),
        };
        let cells = spreads.iter().map(|spread| match splits {
            1 => print(spread.mean),
            _ => format!("{:.2} ± {:.2}", spread.mean, spread.deviation),
        });
        ours.push(Line {
            cells: cells.collect(),
            ..Line::of_numbers(&group(&here), measure.name, &means, true, print)
        });
    }
    poster.append(&mut ours);
    Grid {
        columns: compared
            .iter()
            .map(|compared| compared.loss.name().to_owned())
            .collect(),
        lines: poster,
    }
}

/// Faces that no network of the first split has seen, and what each makes of them.
fn sheet(experiment: &Representations, data: &Data, compared: &[Compared]) -> Picture {
    let numbers = shown(&data.split(experiment.seed, 0));
    let originals = numbers.iter().map(|at| data.faces.images.picture(*at));
    let mut columns = vec![Column {
        title: vec!["original".into()],
        images: originals.collect(),
    }];
    for compared in compared {
        let faces = compared.shown.chunks_exact(SIDE * SIDE);
        columns.push(Column {
            title: vec![compared.loss.name().into()],
            images: faces
                .map(|face| Picture::grey(SIDE, SIDE, face.to_vec(), 1.0))
                .collect(),
        });
    }
    contact_sheet(&columns, ZOOM)
}

/// Predicted against true angles in the first split.
fn drawing(
    experiment: &Representations,
    data: &Data,
    compared: &[Compared],
    unit: &str,
    truth: fn(&Labels) -> &[f64],
    predicted: fn(&Findings) -> &[f64],
) -> Option<(String, String)> {
    let truth = truth(&data.faces.labels);
    let test = data.split(experiment.seed, 0).test;
    let panels: Vec<scatter::Panel> = compared
        .iter()
        .map(|compared| {
            let predicted = compared.findings.first().map_or(&[][..], predicted);
            scatter::Panel {
                loss: compared.loss,
                points: test
                    .iter()
                    .map(|at| truth[*at])
                    .zip(predicted.iter().copied())
                    .collect(),
            }
        })
        .collect();
    let title = format!("Predicted {unit}, first split");
    scatter::svg(&panels, unit).map(|svg| (title, svg))
}

fn page(
    experiment: &Representations,
    data: &Data,
    compared: &[Compared],
    table: Grid,
    curve: Option<String>,
) -> Page {
    let mut differences = vec![
        format!(
            "Network: {} and {} channels and a code of {}; for its 96 x 96 images the paper has 128 to \
             512 channels and a code of 512, for faces nothing is known.",
            experiment.width,
            4 * experiment.width,
            experiment.bottleneck
        ),
        "Optimiser, steps, kernel, and how its parameters were chosen are not known; that 482 faces \
         were measured on once, and errors are in degrees squared, is inferred from the figures printed."
            .to_owned(),
    ];
    if experiment.train.is_none() {
        differences.push(
            "Faces: procedural ones, so that the experiment needs no files. The paper's are those of \
             Extended Yale B, 38 subjects (--train); errors on other faces cannot be compared with its."
                .to_owned(),
        );
    }
    let azimuth = drawing(
        experiment,
        data,
        compared,
        "azimuth",
        |labels| &labels.azimuth,
        |findings| &findings.azimuth,
    );
    let elevation = drawing(
        experiment,
        data,
        compared,
        "elevation",
        |labels| &labels.elevation,
        |findings| &findings.elevation,
    );
    Page {
        title: "Representations learned with MSE, MAE and MS-SSIM".into(),
        summary: "Autoencoders of the same shape squeeze faces through a narrow code. They differ in \
                  nothing but the loss that they were trained with. Support vector machines then read \
                  from the code who it is and where the light comes from (Snell et al. 2017)."
            .into(),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        table,
        table_note: format!(
            "Errors on faces that neither autoencoder nor machines have seen: share of mistaken \
             subjects, and mean squared error of the light's azimuth and elevation; smaller is better, \
             the best of each line is marked. Mean and standard deviation over the splits. Kernel, width \
             and cost were chosen by {FOLDS}-fold cross-validation on the faces learned from; the \
             regressions' tube is {TUBE} degree."
        ),
        pictures: vec![(
            PICTURE.to_owned(),
            "Faces that were not trained on, and what the networks of the first split make of their \
             codes."
                .to_owned(),
        )],
        drawings: azimuth.into_iter().chain(elevation).collect(),
        curve,
        configuration: experiment.describe(data),
        differences,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(identity_error: f64) -> Findings {
        Findings {
            identity_error,
            azimuth_error: 100.0,
            ..Findings::default()
        }
    }

    #[test]
    fn the_table_shows_the_poster_and_the_spread() {
        let compared = |loss, errors: [f64; 2]| Compared {
            loss,
            findings: errors.map(findings).into(),
            shown: Vec::new(),
        };
        let compared = [
            compared(Loss::Mse, [4.0, 6.0]),
            compared(Loss::MsSsim, [2.0, 4.0]),
            compared(Loss::Mix, [3.0, 3.0]),
        ];
        let table = table(&compared);
        assert_eq!(table.lines[0].cells, ["5.60", "3.53", "-"]);
        assert_eq!(table.lines[0].best, [false, true, false]);
        assert_eq!(table.lines[3].group, "here, 2 splits");
        assert_eq!(
            table.lines[3].cells,
            ["5.00 ± 1.41", "3.00 ± 1.41", "3.00 ± 0.00"]
        );
        assert_eq!(table.lines[3].best, [false, true, true]);
    }
}
