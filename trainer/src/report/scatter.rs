//! Predicted against true values, one panel for each method, as SVG.

use plotters::prelude::*;

use super::curve::colour;
use crate::loss::Loss;

/// Side of a panel.
const PANEL: u32 = 290;

/// The truth and what a method predicts, for each sample.
pub struct Panel {
    /// What the network was trained with.
    pub loss: Loss,
    /// (true, predicted).
    pub points: Vec<(f64, f64)>,
}

/// The panels next to each other, over the same range; `unit` names what is on the axes. `None` when
/// there is nothing to draw.
pub fn svg(panels: &[Panel], unit: &str) -> Option<String> {
    let values = || {
        let points = panels.iter().flat_map(|panel| &panel.points);
        points.flat_map(|(truth, predicted)| [*truth, *predicted])
    };
    let low = values().fold(f64::INFINITY, f64::min);
    let high = values().fold(f64::NEG_INFINITY, f64::max);
    if !(low.is_finite() && high.is_finite() && low < high) {
        return None;
    }
    let margin = 0.05 * (high - low);
    let mut text = String::new();
    draw(&mut text, panels, unit, low - margin, high + margin).ok()?;
    // The page decides the size, and its ink.
    let width = PANEL * panels.len() as u32;
    let size = format!("width=\"{width}\" height=\"{PANEL}\" ");
    let text = text.replacen(&size, "", 1);
    Some(text.replace("#000000", "currentColor"))
}

type DrawingError<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn draw<'a>(
    text: &'a mut String,
    panels: &[Panel],
    unit: &str,
    low: f64,
    high: f64,
) -> Result<(), DrawingError<'a>> {
    let size = (PANEL * panels.len() as u32, PANEL);
    let area = SVGBackend::with_string(text, size).into_drawing_area();
    let font = || ("sans-serif", 13).into_font().color(&BLACK);
    for (area, panel) in area.split_evenly((1, panels.len())).iter().zip(panels) {
        let mut chart = ChartBuilder::on(area)
            .margin(8)
            .caption(panel.loss.name(), font())
            .x_label_area_size(36)
            .y_label_area_size(46)
            .build_cartesian_2d(low..high, low..high)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(RGBColor(0x80, 0x80, 0x80).mix(0.25))
            .x_labels(6)
            .y_labels(6)
            .x_label_formatter(&|v| format!("{v:.0}"))
            .y_label_formatter(&|v| format!("{v:.0}"))
            .label_style(font())
            .x_desc(format!("true {unit}"))
            .y_desc(format!("predicted {unit}"))
            .draw()?;
        let ideal = RGBColor(0x80, 0x80, 0x80).stroke_width(1);
        chart.draw_series(LineSeries::new([(low, low), (high, high)], ideal))?;
        let style = colour(panel.loss).mix(0.5).filled();
        let points = panel.points.iter();
        chart.draw_series(points.map(|point| Circle::new(*point, 2, style)))?;
    }
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_drawn_or_nothing() {
        let panel = |points| Panel {
            loss: Loss::MsSsim,
            points,
        };
        let text = svg(
            &[
                panel(vec![(0.0, 1.0), (-40.0, -30.0)]),
                panel(vec![(5.0, 5.0)]),
            ],
            "azimuth",
        )
        .unwrap();
        assert_eq!(text.matches("<circle").count(), 3);
        assert!(text.contains("true azimuth") && !text.contains("#000000"));
        assert_eq!(svg(&[panel(vec![])], "azimuth"), None);
        assert_eq!(svg(&[panel(vec![(f64::NAN, 1.0)])], "azimuth"), None);
    }
}
