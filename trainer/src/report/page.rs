//! The page that shows a finished run.

use std::fmt::Write;

use super::grid::{Grid, escape};

/// What a page shows.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The experiment.
    pub title: String,
    /// What was done, in a paragraph.
    pub summary: String,
    /// The command that did it.
    pub command: String,
    /// The results.
    pub table: Grid,
    /// Under the table: how to read it.
    pub table_note: String,
    /// Pictures beside the page: file name, what they show.
    pub pictures: Vec<(String, String)>,
    /// Drawings: what they show, and the SVG.
    pub drawings: Vec<(String, String)>,
    /// The loss curves, if there are any.
    pub curve: Option<String>,
    /// The configuration: names and values.
    pub configuration: Vec<(String, String)>,
    /// What differs from the published experiment.
    pub differences: Vec<String>,
}

const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c1c1e; --paper: #fff; --quiet: #6b6b70; --line: #e2e2e6; --accent: #00795a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e9e9ec; --paper: #151517; --quiet: #9a9aa0; --line: #34343a; --accent: #3fc79d; }
}
body { margin: 0 auto; max-width: 66rem; padding: 2.5rem 1.25rem 4rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.6 system-ui, -apple-system, 'Segoe UI', sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .75rem; letter-spacing: -.01em; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
p, li { max-width: 44rem; }
.note { color: var(--quiet); font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .9rem; text-align: right; white-space: nowrap; }
th { font-weight: 500; }
tbody th { text-align: left; color: var(--quiet); }
tbody th:first-child { color: var(--ink); }
thead th { border-bottom: 2px solid var(--line); }
tr.set th, tr.set td { border-top: 1px solid var(--line); }
strong { color: var(--accent); }
figure { margin: 1rem 0; }
figure img, svg { display: block; width: 100%; height: auto; border-radius: 6px; }
figcaption { color: var(--quiet); font-size: .9rem; margin-top: .4rem; }
pre { overflow-x: auto; padding: .8rem 1rem; border: 1px solid var(--line); border-radius: 6px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1.25rem; font-size: .92rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
";

impl Page {
    /// The page; pictures are files beside it.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
             <h1>{title}</h1>\n<p>{}</p>\n<h2>Results</h2>\n<div class=\"scroll\">\n{}</div>\n\
             <p class=\"note\">{}</p>\n",
            escape(&self.summary),
            self.table.html(),
            escape(&self.table_note),
        );
        if !self.pictures.is_empty() {
            page += "<h2>Pictures</h2>\n";
        }
        for (file, caption) in &self.pictures {
            let (file, caption) = (escape(file), escape(caption));
            let _ = writeln!(
                page,
                "<figure><a href=\"{file}\"><img src=\"{file}\" alt=\"{caption}\"></a>\
                 <figcaption>{caption}</figcaption></figure>"
            );
        }
        for (title, drawing) in &self.drawings {
            let title = escape(title);
            let _ = writeln!(page, "<h2>{title}</h2>\n<figure>{drawing}</figure>");
        }
        if let Some(curve) = &self.curve {
            let _ = writeln!(
                page,
                "<h2>Loss over training</h2>\n<figure>{curve}</figure>"
            );
        }
        if !self.differences.is_empty() {
            page += "<h2>What differs from the paper</h2>\n<ul>\n";
            for difference in &self.differences {
                let _ = writeln!(page, "<li>{}</li>", escape(difference));
            }
            page += "</ul>\n";
        }
        let _ = writeln!(
            page,
            "<h2>How it was made</h2>\n<pre>{}</pre>\n<dl>",
            escape(&self.command)
        );
        for (name, value) in &self.configuration {
            let _ = writeln!(page, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value));
        }
        page + "</dl>\n</body>\n</html>\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_shown_and_escaped() {
        let page = Page {
            title: "Super-resolution & more".into(),
            command: "msssim --out \"<here>\"".into(),
            pictures: vec![("a.png".into(), "an image".into())],
            drawings: vec![("Ranks & so on".into(), "<svg>1</svg>".into())],
            curve: Some("<svg></svg>".into()),
            configuration: vec![("seed".into(), "1".into())],
            differences: vec!["fewer steps".into()],
            ..Page::default()
        };
        let html = page.html();
        for part in [
            "<title>Super-resolution &amp; more</title>",
            "msssim --out &quot;&lt;here&gt;&quot;",
            "<img src=\"a.png\" alt=\"an image\">",
            "<h2>Ranks &amp; so on</h2>\n<figure><svg>1</svg></figure>",
            "<figure><svg></svg></figure>",
            "<dt>seed</dt><dd>1</dd>",
            "<li>fewer steps</li>",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }
}
