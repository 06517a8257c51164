//! The same comparison under loads of many kinds, since a cost by warm caches is not that of a quiet
//! API: the worst of them is what a user can rely on.

use anyhow::Result;
use serde::Serialize;

use crate::case::{Kind, Modules};
use crate::cpu::Cores;
use crate::measure::{Plan, measure};
use crate::report::{Machine, table};
use crate::summary::{Row, Target, rows, target};
use crate::tokens::Algorithm;

/// A load: what differs from the usual one.
struct Load {
    title: &'static str,
    algorithm: Algorithm,
    plan: Plan,
}

/// Eight connections, no pauses, a claim in a header, 200 known tokens.
fn usual(plan: &Plan) -> Plan {
    Plan {
        connections: 8,
        regulars: 200,
        latency_seconds: 0.0,
        pause_us: 0,
        claim_header: true,
        neighbour: false,
        tokens_alone: true,
        ..plan.clone()
    }
}

fn all(plan: &Plan) -> Vec<Load> {
    let load = |title, change: fn(&mut Plan)| {
        let mut plan = usual(plan);
        change(&mut plan);
        Load {
            title,
            algorithm: Algorithm::Rs256,
            plan,
        }
    };
    let mut loads = vec![
        load("8 connections", |_| {}),
        load("1 connection", |plan| plan.connections = 1),
        load("1 connection, 1 ms between requests", |plan| {
            plan.connections = 1;
            plan.pause_us = 1000;
        }),
        load("64 connections", |plan| plan.connections = 64),
        load("8 connections, no claim in a header", |plan| {
            plan.claim_header = false;
        }),
        load("8 connections, 20,000 known tokens", |plan| {
            plan.regulars = 20_000;
        }),
        load("8 connections, a busy neighbour", |plan| {
            plan.neighbour = true
        }),
    ];
    loads.push(Load {
        algorithm: Algorithm::Es256,
        ..load("8 connections, ES256", |_| {})
    });
    loads
}

/// What was measured under one of the loads.
#[derive(Debug, Serialize)]
pub(crate) struct Measured {
    title: &'static str,
    rows: Vec<Row>,
    /// Microseconds by round, in the order of the rows.
    cpu_us: Vec<Vec<f64>>,
}

/// `target/bench/loads.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Loads {
    pub machine: Machine,
    pub plan: Plan,
    pub measured: Vec<Measured>,
}

/// Measures under each load, one after another, each with an Envoy of its own. `only`: a part of the
/// titles of those that are measured.
///
/// # Errors
/// When Envoy does not start or a request fails.
pub(crate) fn measure_all(
    modules: &Modules,
    plan: &Plan,
    only: &str,
    cores: Cores,
) -> Result<Vec<Measured>> {
    let loads = all(plan).into_iter();
    let loads = loads.filter(|load| load.title.contains(only));
    loads
        .map(|load| {
            eprintln!("{}", load.title);
            let measured = measure(load.algorithm, modules, &load.plan, false, cores)?;
            Ok(Measured {
                title: load.title,
                rows: rows(&measured),
                cpu_us: measured.into_iter().map(|case| case.cpu_us).collect(),
            })
        })
        .collect()
}

impl Measured {
    fn row(&self, kind: Kind) -> Option<&Row> {
        self.rows.iter().find(|row| row.kind == kind)
    }

    /// What a filter adds, as a share of what jwt_authn does by default: the median.
    fn share(&self, kind: Kind) -> Option<f64> {
        Some(self.row(kind)?.of_jwt_authn?.median)
    }
}

impl Loads {
    /// Whether the worst of all loads is good enough.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let worst = |kind| {
            let shares = self.measured.iter().filter_map(|load| load.share(kind));
            shares.max_by(f64::total_cmp)
        };
        let native = "of jwt_authn";
        [
            worst(Kind::Warm).map(|it| target("a known token, the worst load", 0.35, native, it)),
            worst(Kind::Cold).map(|it| target("a new token, the worst load", 1.0, native, it)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The table with what it needs to be understood.
    pub(crate) fn markdown(&self) -> String {
        let us = |value: f64| format!("{value:.1}");
        let lines = self.measured.iter().map(|load| {
            let added = |kind| {
                let added = load.row(kind).and_then(|row| row.added_us);
                added.map_or_else(String::new, |it| us(it.median))
            };
            let share = |kind| {
                let share = load.share(kind);
                share.map_or_else(String::new, |it| format!("{it:.2}"))
            };
            let none = load.row(Kind::None).map(|row| us(row.cpu_us.median));
            vec![
                load.title.to_owned(),
                none.unwrap_or_default(),
                added(Kind::Noop),
                added(Kind::JwtAuthn),
                added(Kind::JwtAuthnCached),
                added(Kind::Warm),
                added(Kind::Cold),
                share(Kind::Warm),
                share(Kind::Cold),
            ]
        });
        let head = [
            "Medians; CPU us per request",
            "no filter",
            "no-op adds",
            "jwt_authn",
            "with its cache",
            "known token",
            "new token",
            "known of jwt_authn",
            "new of jwt_authn",
        ];
        format!(
            "{}\n{} rounds of {} requests per case and load:\n\n{}\n{}{}",
            self.machine.line(),
            self.plan.rounds,
            self.plan.requests,
            table(&head, lines),
            self.others(),
            crate::report::targets_table(&self.targets()),
        )
    }

    /// What other builds add, as a share of what `jwt_authn` adds; nothing where there are none.
    fn others(&self) -> String {
        let of = |load: &Measured| -> Vec<(String, String)> {
            let rows = load.rows.iter();
            let rows = rows.filter(|row| matches!(row.kind, Kind::OtherWarm | Kind::OtherCold));
            rows.map(|row| {
                let share = row.of_jwt_authn.map(|it| format!("{:.2}", it.median));
                (row.title.clone(), share.unwrap_or_default())
            })
            .collect()
        };
        let titles = self.measured.first().map(of).unwrap_or_default();
        if titles.is_empty() {
            return String::new();
        }
        let titles = titles.iter().map(|(title, _)| title.as_str());
        let head: Vec<&str> = ["Of jwt_authn"].into_iter().chain(titles).collect();
        let lines = self.measured.iter().map(|load| {
            let shares = of(load).into_iter().map(|(_, share)| share);
            [load.title.to_owned()].into_iter().chain(shares).collect()
        });
        format!("{}\n", table(&head, lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure;

    #[test]
    fn the_worst_load_is_what_counts() {
        let case = |kind, us: f64| measure::Measured {
            kind,
            title: String::new(),
            cpu_us: vec![us],
            latency: None,
        };
        let load = |title, known, new| {
            let measured = [
                case(Kind::None, 20.0),
                case(Kind::JwtAuthn, 60.0),
                case(Kind::Warm, 20.0 + known),
                case(Kind::Cold, 20.0 + new),
            ];
            Measured {
                title,
                rows: rows(&measured),
                cpu_us: Vec::new(),
            }
        };
        let loads = Loads {
            machine: Machine::default(),
            plan: Plan::default(),
            measured: vec![load("a", 10.0, 44.0), load("b", 20.0, 36.0)],
        };
        let targets = loads.targets().into_iter();
        let targets: Vec<_> = targets.map(|it| (it.measured, it.met)).collect();
        assert_eq!(targets, [(0.5, false), (1.1, false)]);
        assert!(loads.markdown().contains("| b "));
    }

    #[test]
    fn each_load_differs_from_the_usual_one_in_what_it_says() {
        let plan = Plan {
            rounds: 3,
            requests: 5,
            ..Plan::default()
        };
        let loads = all(&plan);
        assert!(
            loads
                .iter()
                .all(|load| load.plan.rounds == 3 && load.plan.tokens_alone)
        );
        let plans: std::collections::BTreeSet<String> = loads
            .iter()
            .map(|load| format!("{:?} {:?}", load.algorithm, load.plan))
            .collect();
        assert_eq!(plans.len(), loads.len());
    }
}
