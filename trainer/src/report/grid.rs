//! A table of results, as text, Markdown and HTML.

use std::fmt::Write;

/// A line: what it is of, its cells, and which of them are best.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// What several lines share; empty where it is that of the line above.
    pub group: String,
    /// What this line measures.
    pub measure: String,
    /// A cell for each column, as printed.
    pub cells: Vec<String>,
    /// Which cells are best.
    pub best: Vec<bool>,
}

impl Line {
    /// A line of numbers, `None` printed as a dash. The best is the smallest or the largest; what
    /// prints alike is equally good, and one number alone is not the best of anything.
    pub fn of_numbers(
        group: &str,
        measure: &str,
        values: &[Option<f64>],
        smaller_is_better: bool,
        print: impl Fn(f64) -> String,
    ) -> Self {
        let better = |a: f64, b: f64| {
            if smaller_is_better {
                a.min(b)
            } else {
                a.max(b)
            }
        };
        let best = values.iter().flatten().copied().reduce(better).map(&print);
        let cells: Vec<String> = values
            .iter()
            .map(|value| value.map_or_else(|| "-".to_owned(), &print))
            .collect();
        Self {
            group: group.to_owned(),
            measure: measure.to_owned(),
            best: cells
                .iter()
                .map(|cell| cells.len() > 1 && Some(cell) == best.as_ref())
                .collect(),
            cells,
        }
    }
}

/// Groups and measures down, methods across.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    /// The heads of the columns of cells.
    pub columns: Vec<String>,
    /// The lines.
    pub lines: Vec<Line>,
}

impl Grid {
    /// For a terminal; the best of each line is starred.
    pub fn text(&self) -> String {
        let longest = |texts: &mut dyn Iterator<Item = &String>| {
            texts.map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let group = longest(&mut self.lines.iter().map(|line| &line.group));
        let measure = longest(&mut self.lines.iter().map(|line| &line.measure)).max(7);
        let cells = self.lines.iter().flat_map(|line| &line.cells);
        let cell = longest(&mut self.columns.iter().chain(cells)).max(9);
        let mut text = format!("{:group$}  {:measure$}", "", "");
        for column in &self.columns {
            let _ = write!(text, "  {column:>cell$} ");
        }
        for line in &self.lines {
            let _ = write!(text, "\n{:group$}  {:measure$}", line.group, line.measure);
            for (value, best) in line.cells.iter().zip(&line.best) {
                let _ = write!(text, "  {value:>cell$}{}", if *best { '*' } else { ' ' });
            }
        }
        let lines = text.lines().map(str::trim_end);
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }

    /// For a Markdown document; the best of each line is bold.
    pub fn markdown(&self) -> String {
        let mut text = format!("| | | {} |\n", self.columns.join(" | "));
        text += &format!("| --- | --- |{}\n", " ---: |".repeat(self.columns.len()));
        for line in &self.lines {
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
                line.group,
                line.measure,
                cells.join(" | ")
            );
        }
        text
    }

    /// For a page; the best of each line is in `<strong>`.
    pub fn html(&self) -> String {
        let mut text = String::from("<table>\n<thead><tr><th></th><th></th>");
        for column in &self.columns {
            let _ = write!(text, "<th>{}</th>", escape(column));
        }
        text += "</tr></thead>\n<tbody>\n";
        for line in &self.lines {
            let class = if line.group.is_empty() {
                ""
            } else {
                " class=\"set\""
            };
            let (group, measure) = (escape(&line.group), escape(&line.measure));
            let _ = write!(text, "<tr{class}><th>{group}</th><th>{measure}</th>");
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
