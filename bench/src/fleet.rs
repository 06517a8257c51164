//! The chart that docs/scale.md shows: what a simulated fleet asks of its provider, as an SVG.

use anyhow::{Context, Result, anyhow};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::Deserialize;

const COLUMNS: usize = 2;
const PANEL: (i32, i32) = (440, 190);
const MARGIN: i32 = 14;
const FONT: &str = "sans-serif";

/// One fleet of `make fleet`, from `target/fleet/fleet.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Fleet {
    pub name: String,
    pub calls_by_second: Vec<u64>,
}

/// A panel for each fleet, two beside each other.
///
/// # Errors
/// Where the report is not what `make fleet` writes, or cannot be drawn.
pub(crate) fn svg(report: &[u8]) -> Result<String> {
    let fleets: Vec<Fleet> = serde_json::from_slice(report).context("target/fleet/fleet.json")?;
    let rows = i32::try_from(fleets.len().div_ceil(COLUMNS))?;
    let columns = i32::try_from(COLUMNS)?;
    let size = (PANEL.0 * columns + MARGIN, PANEL.1 * rows + MARGIN);
    let size = (u32::try_from(size.0)?, u32::try_from(size.1)?);
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        draw(&area, &fleets).map_err(|error| anyhow!("{error}"))?;
        area.present().map_err(|error| anyhow!("{error}"))?;
    }
    Ok(text)
}

type Area<'t> = DrawingArea<SVGBackend<'t>, plotters::coord::Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw(area: &Area<'_>, fleets: &[Fleet]) -> Drawn {
    area.fill(&WHITE)?;
    for (number, fleet) in fleets.iter().enumerate() {
        let column = i32::try_from(number % COLUMNS)?;
        let row = i32::try_from(number / COLUMNS)?;
        let left = MARGIN + column * PANEL.0;
        let top = MARGIN + row * PANEL.1;
        panel(area, fleet, (left, top))?;
    }
    Ok(())
}

/// Calls per second over the time of one fleet.
fn panel(area: &Area<'_>, fleet: &Fleet, (left, top): (i32, i32)) -> Drawn {
    let style = |color: RGBColor, horizontal| {
        let position = Pos::new(horizontal, VPos::Top);
        TextStyle {
            color: color.to_backend_color(),
            ..TextStyle::from((FONT, 14)).pos(position)
        }
    };
    let grey = RGBColor(90, 90, 90);
    let (width, height) = (PANEL.0 - 2 * MARGIN, PANEL.1 - 74);
    let bottom = top + 24 + height;
    area.draw(&Text::new(
        fleet.name.clone(),
        (left, top),
        style(BLACK, HPos::Left),
    ))?;
    let seconds = fleet.calls_by_second.len().max(1);
    let most = fleet.calls_by_second.iter().copied().max().unwrap_or(0);
    // Each column of the picture shows the most of its seconds, so that no peak is lost.
    let shown = usize::try_from(width)?.min(seconds);
    for at in 0..shown {
        let seconds = at * seconds / shown..((at + 1) * seconds / shown).max(at + 1);
        let calls = fleet.calls_by_second.get(seconds).unwrap_or(&[]);
        let calls = calls.iter().copied().max().unwrap_or(0);
        if calls == 0 {
            continue;
        }
        let share = calls as f64 / most.max(1) as f64;
        let length = (share * f64::from(height)).ceil() as i32;
        let from = left + i32::try_from(at)? * width / i32::try_from(shown)?;
        let to = left + (i32::try_from(at)? + 1) * width / i32::try_from(shown)?;
        let bar = [(from, bottom - length), (to.max(from + 1), bottom)];
        area.draw(&Rectangle::new(bar, RGBColor(31, 119, 180).filled()))?;
    }
    let line = [(left, bottom), (left + width, bottom)];
    area.draw(&PathElement::new(line, grey.stroke_width(1)))?;
    let most = format!("most: {most}/s");
    area.draw(&Text::new(
        most,
        (left + width, top),
        style(grey, HPos::Right),
    ))?;
    let end = format!("{seconds} s");
    area.draw(&Text::new(
        end,
        (left + width, bottom + 5),
        style(grey, HPos::Right),
    ))?;
    area.draw(&Text::new("0", (left, bottom + 5), style(grey, HPos::Left)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fleet_has_a_panel_with_its_peak() {
        let report = br#"[
            {"name": "well", "calls_by_second": [1000, 0, 0]},
            {"name": "down for 5 s", "calls_by_second": []}
        ]"#;
        let svg = svg(report).unwrap();
        for text in ["well", "most: 1000/s", "3 s", "down for 5 s", "most: 0/s"] {
            assert!(svg.contains(text), "{text}");
        }
        assert!(super::svg(b"{}").is_err());
    }
}
