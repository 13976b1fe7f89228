//! How often each method comes first, second and third, as SVG.

use std::fmt::Write;

/// Width and height of a panel, with its titles.
const PANEL: (usize, usize) = (280, 230);

/// Height of a bar that holds all images.
const BAR: usize = 150;

/// Where bars begin, from the top.
const TOP: usize = 40;

/// First, second and third, apart in brightness for every kind of colour vision.
const COLOURS: [&str; 3] = ["#00795a", "#7fb8a4", "#d7dcda"];

/// One panel: a measure, and for each method how often it has each rank.
#[derive(Clone, Debug)]
pub struct Panel {
    /// What images are ranked by.
    pub measure: String,
    /// For each method its name and its counts, the first rank first.
    pub methods: Vec<(String, Vec<usize>)>,
}

/// The panels next to each other, the bars of each stacked from first ranks up.
pub fn svg(panels: &[Panel]) -> String {
    let (width, height) = (PANEL.0 * panels.len(), PANEL.1 + 30);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"currentColor\">\n"
    );
    let mut put = |x: usize, y: usize, words: &str| {
        let _ = writeln!(
            text,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{words}</text>"
        );
    };
    for (p, panel) in panels.iter().enumerate() {
        put(
            p * PANEL.0 + PANEL.0 / 2,
            20,
            &format!("by {}", panel.measure),
        );
        for (m, (name, counts)) in panel.methods.iter().enumerate() {
            let step = (PANEL.0 - 20) / panel.methods.len();
            let x = p * PANEL.0 + 10 + m * step;
            put(x + step / 2, TOP + BAR + 18, name);
            let first = counts.first().copied().unwrap_or(0);
            put(x + step / 2, TOP + BAR + 36, &format!("{first} first"));
        }
    }
    for (p, panel) in panels.iter().enumerate() {
        for (m, (_, counts)) in panel.methods.iter().enumerate() {
            let step = (PANEL.0 - 20) / panel.methods.len();
            let x = p * PANEL.0 + 10 + m * step + step / 6;
            let images = counts.iter().sum::<usize>().max(1) as f64;
            let mut bottom = (TOP + BAR) as f64;
            for (count, colour) in counts.iter().zip(COLOURS) {
                let bar = BAR as f64 * *count as f64 / images;
                bottom -= bar;
                let _ = writeln!(
                    text,
                    "<rect x=\"{x}\" y=\"{bottom:.1}\" width=\"{}\" height=\"{bar:.1}\" fill=\"{colour}\"/>",
                    step * 2 / 3
                );
            }
        }
    }
    for (i, (name, colour)) in ["first", "second", "third"].iter().zip(COLOURS).enumerate() {
        let (x, y) = (20 + 100 * i, PANEL.1 + 10);
        let _ = writeln!(
            text,
            "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"14\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"{}\">{name}</text>",
            x + 20,
            y + 12
        );
    }
    text + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_shares() {
        let panel = Panel {
            measure: "SSIM".into(),
            methods: vec![("MSE".into(), vec![1, 3, 0]), ("MAE".into(), vec![0, 0, 0])],
        };
        let text = svg(&[panel]);
        assert!(
            text.starts_with("<svg") && text.contains("by SSIM"),
            "{text}"
        );
        assert!(
            text.contains("1 first") && text.contains("0 first"),
            "{text}"
        );
        for height in ["37.5", "112.5", "0.0"] {
            assert!(text.contains(&format!("height=\"{height}\"")), "{text}");
        }
    }
}
