//! The poster's table: sets down, methods across, PSNR, SSIM and MS-SSIM in each.

use std::fmt::Write;

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

/// A line of the table as printed: a set, a measure, the cells, and which of them are best.
struct Line<'a> {
    set: &'a str,
    measure: &'static str,
    cells: Vec<String>,
    best: Vec<bool>,
}

impl Table {
    /// The lines; a measure that no method has is left out.
    fn lines(&self) -> Vec<Line<'_>> {
        let mut lines = Vec::new();
        for (set, qualities) in &self.sets {
            let mut set = set.as_str();
            for measure in &MEASURES {
                let values: Vec<Option<f64>> = qualities.iter().map(measure.value).collect();
                if values.iter().all(Option::is_none) {
                    continue;
                }
                let cells: Vec<String> = values
                    .iter()
                    .map(|value| value.map_or_else(|| "-".to_owned(), measure.print))
                    .collect();
                // What prints alike is equally good.
                let top = values
                    .iter()
                    .flatten()
                    .copied()
                    .fold(f64::NEG_INFINITY, f64::max);
                let top = (measure.print)(top);
                let best = cells.iter().map(|cell| *cell == top).collect();
                lines.push(Line {
                    set,
                    measure: measure.name,
                    cells,
                    best,
                });
                set = "";
            }
        }
        lines
    }

    /// For a terminal; the best of each line is starred.
    pub fn text(&self) -> String {
        let lines = self.lines();
        let set_width = lines
            .iter()
            .map(|line| line.set.chars().count())
            .max()
            .unwrap_or(0);
        let mut text = format!("{:set_width$}  {:7}", "", "");
        for method in &self.methods {
            let _ = write!(text, "  {method:>9} ");
        }
        for line in &lines {
            let _ = write!(text, "\n{:set_width$}  {:7}", line.set, line.measure);
            for (cell, best) in line.cells.iter().zip(&line.best) {
                let _ = write!(text, "  {cell:>9}{}", if *best { '*' } else { ' ' });
            }
        }
        let lines = text.lines().map(str::trim_end);
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }

    /// For a Markdown document; the best of each line is bold.
    pub fn markdown(&self) -> String {
        let mut text = format!("| | | {} |\n", self.methods.join(" | "));
        text += &format!("| --- | --- |{}\n", " ---: |".repeat(self.methods.len()));
        for line in self.lines() {
            let cells = line.cells.iter().zip(&line.best);
            let cells = cells.map(|(cell, best)| {
                if *best {
                    format!("**{cell}**")
                } else {
                    cell.clone()
                }
            });
            let cells: Vec<String> = cells.collect();
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                line.set,
                line.measure,
                cells.join(" | ")
            );
        }
        text
    }

    /// For a page; the best of each line is in `<strong>`.
    pub fn html(&self) -> String {
        let mut text = String::from("<table>\n<thead><tr><th></th><th></th>");
        for method in &self.methods {
            let _ = write!(text, "<th>{}</th>", escape(method));
        }
        text += "</tr></thead>\n<tbody>\n";
        for line in self.lines() {
            let class = if line.set.is_empty() {
                ""
            } else {
                " class=\"set\""
            };
            let set = escape(line.set);
            let _ = write!(text, "<tr{class}><th>{set}</th><th>{}</th>", line.measure);
            for (cell, best) in line.cells.iter().zip(&line.best) {
                if *best {
                    let _ = write!(text, "<td><strong>{cell}</strong></td>");
                } else {
                    let _ = write!(text, "<td>{cell}</td>");
                }
            }
            text += "</tr>\n";
        }
        text + "</tbody>\n</table>\n"
    }
}

/// Text as HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
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
        assert_eq!(format!("\n{}", table().text()), expected);
    }

    #[test]
    fn markup_is_escaped_and_marks_the_best() {
        assert!(
            table()
                .markdown()
                .contains("| Set5 | PSNR | 28.44 | **30.50** |"),
            "Markdown"
        );
        let html = table().html();
        assert!(
            html.contains("<th>&lt;b&gt;</th><th>PSNR</th><td>1.00</td>"),
            "{html}"
        );
        assert!(html.contains("<td><strong>inf</strong></td>"), "{html}");
    }
}
