//! The loss curves of a run, as SVG.

use plotters::prelude::*;

use crate::loss::Loss;

/// Width and height of the drawing.
const SIZE: (u32, u32) = (860, 380);

/// Points of each curve: more would not be seen.
const POINTS: usize = 400;

/// The colour of each loss, apart for every kind of colour vision (Okabe and Ito 2008).
pub fn colour(loss: Loss) -> RGBColor {
    match loss {
        Loss::Mse => RGBColor(0x00, 0x72, 0xB2),
        Loss::Mae => RGBColor(0xE6, 0x9F, 0x00),
        Loss::MsSsim => RGBColor(0x00, 0x9E, 0x73),
        Loss::Mix => RGBColor(0xCC, 0x79, 0xA7),
    }
}

/// The losses over the steps, each divided by its first value, on a logarithmic axis.
///
/// A drawn point is the mean over a stretch of steps. `None` when there is nothing to draw.
pub fn svg(curves: &[(Loss, Vec<f64>)]) -> Option<String> {
    let curves: Vec<(Loss, Vec<(f64, f64)>)> = curves
        .iter()
        .map(|(loss, values)| (*loss, thinned(values)))
        .collect();
    let points = || curves.iter().flat_map(|(_, points)| points);
    let last = points().map(|point| point.0).fold(0.0, f64::max);
    let low = points().map(|point| point.1).fold(f64::INFINITY, f64::min);
    let high = points().map(|point| point.1).fold(0.0, f64::max);
    if last == 0.0 || !points().all(|point| point.1.is_finite() && point.1 > 0.0) {
        return None;
    }
    let mut text = String::new();
    draw(&mut text, &curves, last, (low / 1.1)..(high * 1.1)).ok()?;
    // The page decides the size, and its ink.
    let text = text.replacen("width=\"860\" height=\"380\" ", "", 1);
    Some(text.replace("#000000", "currentColor"))
}

/// Means over stretches of steps, divided by the first of them.
fn thinned(values: &[f64]) -> Vec<(f64, f64)> {
    let stretch = values.len().div_ceil(POINTS).max(1);
    let means = values.chunks(stretch).enumerate().map(|(i, values)| {
        let at = (i * stretch) as f64 + values.len() as f64 / 2.0;
        (at, values.iter().sum::<f64>() / values.len() as f64)
    });
    let points: Vec<(f64, f64)> = means.collect();
    let first = points.first().map_or(1.0, |point| point.1);
    points
        .into_iter()
        .map(|(at, mean)| (at, mean / first))
        .collect()
}

type DrawingError<'a> = DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>;

fn draw<'a>(
    text: &'a mut String,
    curves: &[(Loss, Vec<(f64, f64)>)],
    last: f64,
    range: std::ops::Range<f64>,
) -> Result<(), DrawingError<'a>> {
    let area = SVGBackend::with_string(text, SIZE).into_drawing_area();
    let font = || ("sans-serif", 15).into_font().color(&BLACK);
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .x_label_area_size(42)
        .y_label_area_size(62)
        .build_cartesian_2d(0.0..last, range.log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(0x80, 0x80, 0x80).mix(0.25))
        .x_label_formatter(&|step| format!("{step:.0}"))
        .y_label_formatter(&|loss| format!("{loss:.2}"))
        .label_style(font())
        .x_desc("step")
        .y_desc("loss, of its first value")
        .draw()?;
    for (loss, points) in curves {
        let style = colour(*loss).stroke_width(2);
        chart
            .draw_series(LineSeries::new(points.iter().copied(), style))?
            .label(loss.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font(font())
        .legend_area_size(28)
        .draw()?;
    area.present()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_every_curve_or_nothing() {
        let falling: Vec<f64> = (1..1000).map(|step| 1.0 / f64::from(step)).collect();
        let text = svg(&[(Loss::Mse, falling.clone()), (Loss::MsSsim, falling)]).unwrap();
        assert!(text.starts_with("<svg") && text.contains("#0072B2") && text.contains("#009E73"));
        assert!(
            text.contains("MS-SSIM") && !text.contains("#000000"),
            "ink follows the page"
        );
        assert_eq!(svg(&[]), None);
        assert_eq!(svg(&[(Loss::Mae, vec![0.0, 0.0])]), None);
        assert_eq!(svg(&[(Loss::Mae, vec![f64::NAN])]), None);
    }

    #[test]
    fn a_thinned_curve_begins_at_one() {
        let points = thinned(&[4.0, 2.0, 1.0]);
        assert_eq!(points, [(0.5, 1.0), (1.5, 0.5), (2.5, 0.25)]);
    }
}
