//! The report as Markdown, for the terminal and the document alike.

use std::fmt::Write;

use serde::Serialize;

use crate::measure::Plan;
use crate::startup::Startup;
use crate::summary::{Row, Target};

/// Everything that a run found; `target/bench/results.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Results {
    pub machine: Machine,
    pub plan: Plan,
    pub runs: Vec<Run>,
    pub startup: Option<Startup>,
    pub module_bytes: u64,
    pub noop_bytes: u64,
    pub targets: Vec<Target>,
    /// Cases that were left out, and why.
    pub skipped: Vec<String>,
}

/// Where and when.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Machine {
    pub date: String,
    pub processor: String,
    pub kernel: String,
    pub envoy: String,
    pub command: String,
}

/// All cases with one algorithm.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub algorithm: &'static str,
    pub rows: Vec<Row>,
    /// Microseconds by round, in the order of the rows.
    pub cpu_us: Vec<Vec<f64>>,
}

impl Results {
    /// Tables and the facts that they need to be understood.
    pub(crate) fn markdown(&self) -> String {
        let mut text = self.machine.line();
        for run in &self.runs {
            text.push('\n');
            text.push_str(&run.costs(&self.plan));
            if run.rows.iter().any(|row| row.latency.is_some()) {
                text.push('\n');
                text.push_str(&run.latencies(&self.plan));
            }
        }
        if let Some(startup) = &self.startup {
            text.push('\n');
            text.push_str(&startup_table(startup, self.module_bytes, self.noop_bytes));
        }
        if !self.targets.is_empty() {
            text.push('\n');
            text.push_str(&targets_table(&self.targets));
        }
        for skipped in &self.skipped {
            // Writing to a string does not fail.
            let _ = write!(text, "\nLeft out: {skipped}\n");
        }
        text
    }
}

impl Machine {
    /// One line, ended.
    pub(crate) fn line(&self) -> String {
        format!(
            "{}, Linux {}, Envoy {}, {}; `{}`.\n",
            self.processor, self.kernel, self.envoy, self.date, self.command
        )
    }
}

impl Run {
    fn costs(&self, plan: &Plan) -> String {
        let lines = self.rows.iter().map(|row| {
            let ratio = row.of_jwt_authn;
            vec![
                row.title.clone(),
                us(row.cpu_us.min),
                us(row.cpu_us.median),
                each(row.added_us, |it| us(it.min)),
                each(row.added_us, |it| us(it.median)),
                each(ratio, |it| format!("{:.2}", it.median)),
                each(row.over_noop_us, |it| us(it.median)),
            ]
        });
        let head = [
            self.algorithm,
            "CPU us, min",
            "median",
            "added us, min",
            "median",
            "of jwt_authn",
            "us over no-op",
        ];
        let title = format!(
            "CPU time of the Envoy process per request, {} rounds of {} requests per case:\n\n",
            plan.rounds, plan.requests
        );
        title + &table(&head, lines)
    }

    fn latencies(&self, plan: &Plan) -> String {
        let lines = self.rows.iter().filter_map(|row| {
            let latency = row.latency?;
            let percentiles = [latency.p50, latency.p90, latency.p99, latency.p999];
            let mut cells = vec![row.title.clone()];
            cells.extend(percentiles.map(|it| format!("{it:.0}")));
            Some(cells)
        });
        let title = format!(
            "Latency in us, {} requests/s for {} s:\n\n",
            plan.rate, plan.latency_seconds
        );
        title + &table(&[self.algorithm, "p50", "p90", "p99", "p99.9"], lines)
    }
}

fn startup_table(startup: &Startup, module_bytes: u64, noop_bytes: u64) -> String {
    let ready = startup.times().into_iter().map(|(title, least, middle)| {
        let memory = match title.as_str() {
            "bearer-gate" => Some((startup.gate_memory, module_bytes)),
            "Wasm filter that does nothing" => Some((startup.noop_memory, noop_bytes)),
            _ => None,
        };
        vec![
            title,
            format!("{least:.0}"),
            format!("{middle:.0}"),
            each(memory, |(it, _)| megabytes(it.one_worker)),
            each(memory, |(it, _)| megabytes(it.each_further_worker)),
            // Sizes are far below 2^52.
            each(memory, |(_, bytes)| format!("{:.0}", bytes as f64 / 1000.0)),
        ]
    });
    let head = [
        "From Envoy's start to its first answer, on one core",
        "ms, min",
        "median",
        "MB, 1 worker",
        "MB, each further",
        "module KB",
    ];
    table(&head, ready)
}

pub(crate) fn targets_table(targets: &[Target]) -> String {
    let lines = targets.iter().map(|target| {
        vec![
            target.what.to_owned(),
            format!("{} {}", target.at_most, target.unit),
            format!("{:.3} {}", target.measured, target.unit),
            if target.met { "met" } else { "missed" }.to_owned(),
        ]
    });
    table(&["Target", "at most", "measured", ""], lines)
}

fn us(value: f64) -> String {
    format!("{value:.1}")
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e6)
}

fn each<T: Copy>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map(text).unwrap_or_default()
}

/// A Markdown table whose columns also line up in a terminal: the first to the left, the others to
/// the right.
pub(crate) fn table(head: &[&str], lines: impl Iterator<Item = Vec<String>>) -> String {
    let mut all: Vec<Vec<String>> = vec![head.iter().map(|&cell| cell.to_owned()).collect()];
    all.extend(lines);
    let width = |column: usize| {
        let cells = all.iter().filter_map(|line| line.get(column));
        cells
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
            .max(3)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for (number, line) in all.iter().enumerate() {
        for (column, (cell, width)) in line.iter().zip(&widths).enumerate() {
            // Writing to a string does not fail.
            let _ = match column {
                0 => write!(text, "| {cell:<width$} "),
                _ => write!(text, "| {cell:>width$} "),
            };
        }
        text.push_str("|\n");
        if number == 0 {
            for (column, width) in widths.iter().enumerate() {
                let dashes = "-".repeat(width - 1);
                let _ = match column {
                    0 => write!(text, "| {dashes}- "),
                    _ => write!(text, "| {dashes}: "),
                };
            }
            text.push_str("|\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up() {
        let lines = [
            vec!["a".to_owned(), "1".to_owned()],
            vec!["bb".to_owned(), "10000".to_owned()],
        ];
        let expected = "\
| name |    us |
| ---- | ----: |
| a    |     1 |
| bb   | 10000 |
";
        assert_eq!(table(&["name", "us"], lines.into_iter()), expected);
        assert_eq!(table(&["n"], std::iter::empty()), "| n   |\n| --- |\n");
    }

    #[test]
    fn a_target_says_whether_it_is_met() {
        let text = targets_table(&[
            crate::summary::size_target(400_000),
            crate::summary::ready_target(300.0),
        ]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert!(
            lines.first().unwrap().contains("400.000 KB |    met |"),
            "{text}"
        );
        assert!(
            lines.last().unwrap().contains("300.000 ms | missed |"),
            "{text}"
        );
    }
}
