//! The chart that docs/performance.md shows: what each filter adds to a request, as an SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::case::Kind;
use crate::summary::Row;

const WIDTH: i32 = 900;
const TOP: i32 = 58;
const BAR: i32 = 26;
const STEP: i32 = 40;
/// Where the bars begin, and how long the longest is.
const LEFT: i32 = 390;
const LONGEST: i32 = 420;
const FONT: &str = "sans-serif";

/// A bar per case that adds anything, as long as its median.
///
/// # Errors
/// When it cannot be drawn, which would be a fault of the drawing library.
pub(crate) fn svg(rows: &[Row], subtitle: &str) -> Result<String> {
    let bars: Vec<(&Row, f64)> = rows
        .iter()
        .filter_map(|row| Some((row, row.added_us?.median.max(0.0))))
        .collect();
    let values: Vec<f64> = bars.iter().map(|(_, value)| *value).collect();
    let longest = longest(&values);
    let height = TOP + STEP * i32::try_from(bars.len())? + 12;
    let mut text = String::new();
    {
        let size = (u32::try_from(WIDTH)?, u32::try_from(height)?);
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area, &bars, longest, subtitle).map_err(|error| anyhow!("{error}"))?;
        area.present().map_err(|error| anyhow!("{error}"))?;
    }
    Ok(text)
}

type Area<'t> = DrawingArea<SVGBackend<'t>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(area: &Area<'_>, bars: &[(&Row, f64)], longest: f64, subtitle: &str) -> Drawn {
    let style = |size: i32, color: RGBColor, horizontal| {
        let position = Pos::new(horizontal, VPos::Center);
        TextStyle {
            color: color.to_backend_color(),
            ..TextStyle::from((FONT, size)).pos(position)
        }
    };
    let grey = RGBColor(90, 90, 90);
    area.fill(&WHITE)?;
    let title = "Envoy's CPU time per request that the filter adds (us, median; shorter is better)";
    area.draw(&Text::new(title, (14, 20), style(20, BLACK, HPos::Left)))?;
    area.draw(&Text::new(subtitle, (14, 41), style(16, grey, HPos::Left)))?;
    for (number, (row, value)) in bars.iter().enumerate() {
        let top = TOP + STEP * i32::try_from(number)? + (STEP - BAR) / 2;
        let middle = top + BAR / 2;
        let cut = *value > longest;
        let share = if longest > 0.0 {
            (value / longest).min(1.0)
        } else {
            0.0
        };
        // At most LONGEST.
        let right = LEFT + (share * f64::from(LONGEST)).round() as i32;
        let title = row.title.replace('`', "");
        area.draw(&Text::new(
            title,
            (LEFT - 10, middle),
            style(17, BLACK, HPos::Right),
        ))?;
        let bar = [(LEFT, top), (right, top + BAR)];
        area.draw(&Rectangle::new(bar, color(row.kind).filled()))?;
        if cut {
            let gap = |x: i32| [(x, top + BAR + 3), (x + 8, top - 3)];
            for x in [right - 40, right - 36, right - 32] {
                area.draw(&PathElement::new(gap(x), WHITE.stroke_width(3)))?;
            }
        }
        let label = format!("{value:.1}");
        area.draw(&Text::new(
            label,
            (right + 8, middle),
            style(17, BLACK, HPos::Left),
        ))?;
    }
    Ok(())
}

/// The value of the longest bar that is drawn to scale. One that is more than three times as long
/// as any other is cut, so that the others can be told apart.
fn longest(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    match sorted.as_slice() {
        [first, second, ..] if *first > 3.0 * second => 1.25 * second,
        [first, ..] => *first,
        [] => 0.0,
    }
}

fn color(kind: Kind) -> RGBColor {
    match kind {
        Kind::None | Kind::Noop => RGBColor(160, 160, 160),
        Kind::JwtAuthn | Kind::JwtAuthnCached => RGBColor(222, 143, 5),
        Kind::Warm | Kind::Cold | Kind::OtherWarm | Kind::OtherCold => RGBColor(1, 115, 178),
        Kind::KnownSession | Kind::NewSession | Kind::Redirect | Kind::Callback => {
            RGBColor(2, 158, 115)
        }
        Kind::JwtSimple => RGBColor(120, 170, 210),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Measured;
    use crate::summary::rows;

    #[test]
    fn one_bar_far_longer_than_all_others_is_cut() {
        assert_eq!(longest(&[5.0, 30.0, 60.0]), 60.0);
        assert_eq!(longest(&[5.0, 40.0, 1600.0]), 50.0);
        assert_eq!(longest(&[]), 0.0);
    }

    #[test]
    fn every_case_that_adds_something_has_a_bar_with_its_figure() {
        let case = |kind, title: &str, cpu: f64| Measured {
            kind,
            title: title.to_owned(),
            cpu_us: vec![cpu],
            latency: None,
        };
        let rows = rows(&[
            case(Kind::None, "no filter", 20.0),
            case(Kind::JwtAuthn, "native", 61.25),
            case(Kind::Warm, "warm & <fast>", 26.5),
        ]);
        let svg = svg(&rows, "machine").unwrap();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        for text in [
            "41.2",
            "6.5",
            "native",
            "warm &amp; &lt;fast&gt;",
            "machine",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(!svg.contains("no filter"));
    }
}
