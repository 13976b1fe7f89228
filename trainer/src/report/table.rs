//! The poster's table: sets down, methods across, PSNR, SSIM and MS-SSIM in each.

use super::grid::{Grid, Line};
use crate::quality::Quality;

/// One measure: its name, how it is read and how it is printed.
struct Measure {
    name: &'static str,
    value: fn(&Quality) -> Option<f64>,
    print: fn(f64) -> String,
}

const MEASURES: [Measure; 3] = [
    Measure {
        name: "PSNR",
        value: |quality| Some(quality.psnr),
        print: |v| format!("{v:.2}"),
    },
    Measure {
        name: "SSIM",
        value: |quality| Some(quality.ssim),
        print: share,
    },
    Measure {
        name: "MS-SSIM",
        value: |quality| quality.ms_ssim,
        print: share,
    },
];

/// Four digits, without the zero before the point, as the field prints them.
fn share(value: f64) -> String {
    let digits = format!("{value:.4}");
    match digits.strip_prefix('0') {
        Some(rest) => rest.to_owned(),
        None => digits,
    }
}

/// Mean quality by set and method.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Names of the methods, the columns.
    pub methods: Vec<String>,
    /// For each set its name and the quality that each method reaches.
    pub sets: Vec<(String, Vec<Quality>)>,
}

impl Table {
    /// As it is shown; a measure that no method has is left out.
    pub fn grid(&self) -> Grid {
        let mut lines = Vec::new();
        for (set, qualities) in &self.sets {
            let mut set = set.as_str();
            for measure in &MEASURES {
                let values: Vec<Option<f64>> = qualities.iter().map(measure.value).collect();
                if values.iter().any(Option::is_some) {
                    lines.push(Line::of_numbers(
                        set,
                        measure.name,
                        &values,
                        false,
                        measure.print,
                    ));
                    set = "";
                }
            }
        }
        Grid {
            columns: self.methods.clone(),
            lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let quality = |psnr, ssim, ms_ssim| Quality {
            psnr,
            ssim,
            ms_ssim,
        };
        Table {
            methods: vec!["Bicubic".into(), "MSE".into()],
            sets: vec![
                (
                    "Set5".into(),
                    vec![
                        quality(28.436, 0.80971, Some(0.95)),
                        quality(30.5, 0.8097, None),
                    ],
                ),
                (
                    "<b>".into(),
                    vec![quality(1.0, 1.0, None), quality(f64::INFINITY, 0.5, None)],
                ),
            ],
        }
    }

    #[test]
    fn text_is_aligned_and_stars_the_best() {
        let expected = "
                 Bicubic         MSE
Set5  PSNR         28.44       30.50*
      SSIM         .8097*      .8097*
      MS-SSIM      .9500*          -
<b>   PSNR          1.00         inf*
      SSIM        1.0000*      .5000
";
        assert_eq!(format!("\n{}", table().grid().text()), expected);
    }

    #[test]
    fn markup_is_escaped_and_marks_the_best() {
        assert!(
            table()
                .grid()
                .markdown()
                .contains("| Set5 | PSNR | 28.44 | **30.50** |"),
            "Markdown"
        );
        let html = table().grid().html();
        assert!(
            html.contains("<th>&lt;b&gt;</th><th>PSNR</th><td>1.00</td>"),
            "{html}"
        );
        assert!(html.contains("<td><strong>inf</strong></td>"), "{html}");
    }
}
