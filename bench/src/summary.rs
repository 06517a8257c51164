//! From what was measured to what is told: added cost, ratios, and whether the targets are met.

use serde::Serialize;

use crate::case::Kind;
use crate::measure::{Latency, Measured};
use crate::stats::{differences, median, min};

/// A least and a middle figure over all rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub min: f64,
    pub median: f64,
}

impl Figure {
    fn from_rounds(values: &[f64]) -> Option<Self> {
        Some(Self {
            min: min(values)?,
            median: median(values)?,
        })
    }

    /// What `values` have over `base`: the least over the least, and the middle of the rounds'
    /// differences.
    fn over(values: &[f64], base: &[f64]) -> Option<Self> {
        Some(Self {
            min: min(values)? - min(base)?,
            median: median(&differences(values, base))?,
        })
    }

    /// None of nothing, or of so little that it is noise.
    fn relative_to(self, whole: Self) -> Option<Self> {
        let positive = whole.min > 0.0 && whole.median > 0.0;
        positive.then_some(Self {
            min: self.min / whole.min,
            median: self.median / whole.median,
        })
    }
}

/// One line of the table.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    pub kind: Kind,
    pub title: String,
    /// Envoy's processor time per request, in microseconds.
    pub cpu_us: Figure,
    /// What of it the filter adds.
    pub added_us: Option<Figure>,
    /// That, as a share of what jwt_authn adds with default settings.
    pub of_jwt_authn: Option<Figure>,
    /// That, less what a Wasm filter costs that does nothing.
    pub over_noop_us: Option<Figure>,
    pub latency: Option<Latency>,
}

/// The table's lines, in the order of the cases.
pub(crate) fn rows(measured: &[Measured]) -> Vec<Row> {
    let of = |kind| {
        let case = measured.iter().find(|case| case.kind == kind);
        case.map(|case| case.cpu_us.as_slice())
    };
    let over = |values: &[f64], base: Kind| Figure::over(values, of(base)?);
    let native = of(Kind::JwtAuthn).and_then(|native| over(native, Kind::None));
    let row = |case: &Measured| {
        let filtered = case.kind != Kind::None;
        let added = over(&case.cpu_us, Kind::None).filter(|_| filtered);
        let wasm = !matches!(
            case.kind,
            Kind::None | Kind::Noop | Kind::JwtAuthn | Kind::JwtAuthnCached
        );
        Some(Row {
            kind: case.kind,
            title: case.title.clone(),
            cpu_us: Figure::from_rounds(&case.cpu_us)?,
            added_us: added,
            of_jwt_authn: added.and_then(|added| added.relative_to(native?)),
            over_noop_us: over(&case.cpu_us, Kind::Noop).filter(|_| wasm),
            latency: case.latency,
        })
    };
    measured.iter().filter_map(row).collect()
}

/// What the project promises of its speed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Target {
    pub what: &'static str,
    pub at_most: f64,
    pub unit: &'static str,
    pub measured: f64,
    pub met: bool,
}

pub(crate) fn target(
    what: &'static str,
    at_most: f64,
    unit: &'static str,
    measured: f64,
) -> Target {
    Target {
        what,
        at_most,
        unit,
        measured,
        // A figure that is not a number meets nothing.
        met: measured <= at_most,
    }
}

/// The targets for the cost of a request, by medians; tokens are signed with RS256.
pub(crate) fn request_targets(rows: &[Row], measured: &[Measured]) -> Vec<Target> {
    let find = |kind| rows.iter().find(|row| row.kind == kind);
    let cpu_us = |kind| {
        let case = measured.iter().find(|case| case.kind == kind);
        case.map(|case| case.cpu_us.as_slice())
    };
    let over = |kind, base| Figure::over(cpu_us(kind)?, cpu_us(base)?);
    let added = |kind| find(kind)?.added_us;
    let session = || added(Kind::KnownSession)?.relative_to(added(Kind::Warm)?);
    let new_session = over(Kind::NewSession, Kind::KnownSession);
    let ratio = |kind| Some(find(kind)?.of_jwt_authn?.median);
    let over_noop = |kind| Some(find(kind)?.over_noop_us?.median);
    let native = "of jwt_authn";
    [
        ratio(Kind::Warm).map(|it| target("a repeated token", 0.35, native, it)),
        over_noop(Kind::Warm).map(|it| target("the same, over a Wasm no-op", 15.0, "us", it)),
        ratio(Kind::Cold).map(|it| target("a new token", 1.0, native, it)),
        session().map(|it| target("a repeated session", 1.3, "of a repeated token", it.median)),
        new_session.map(|it| target("a new session, over a repeated one", 30.0, "us", it.median)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The target for the module's size.
pub(crate) fn size_target(bytes: u64) -> Target {
    // Sizes are far below 2^52.
    target("the module's size", 860.0, "KB", bytes as f64 / 1000.0)
}

/// The target for the time from Envoy's start to its first answer.
pub(crate) fn ready_target(over_noop_ms: f64) -> Target {
    target("ready, over a Wasm no-op", 250.0, "ms", over_noop_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(kind: Kind, cpu_us: &[f64]) -> Measured {
        Measured {
            kind,
            title: format!("{kind:?}"),
            cpu_us: cpu_us.to_vec(),
            latency: None,
        }
    }

    fn measurements() -> Vec<Measured> {
        vec![
            measured(Kind::None, &[30.0, 20.0, 25.0]),
            measured(Kind::Noop, &[34.0, 23.0, 29.0]),
            measured(Kind::JwtAuthn, &[70.0, 60.0, 55.0]),
            measured(Kind::Warm, &[40.0, 30.0, 41.0]),
            measured(Kind::Cold, &[75.0, 60.0, 65.0]),
            measured(Kind::KnownSession, &[42.0, 32.0, 43.0]),
            measured(Kind::NewSession, &[73.0, 60.0, 72.0]),
        ]
    }

    fn sample() -> Vec<Row> {
        rows(&measurements())
    }

    #[test]
    fn what_is_added_is_taken_round_by_round() {
        let rows = sample();
        let warm = rows.iter().find(|row| row.kind == Kind::Warm).unwrap();
        assert_eq!(
            warm.cpu_us,
            Figure {
                min: 30.0,
                median: 40.0
            }
        );
        // 10, 10, 16 over no filter; 6, 7, 12 over the no-op.
        assert_eq!(
            warm.added_us,
            Some(Figure {
                min: 10.0,
                median: 10.0
            })
        );
        assert_eq!(
            warm.over_noop_us,
            Some(Figure {
                min: 7.0,
                median: 7.0
            })
        );
        // jwt_authn adds 40, 40, 30: 35 by the least, 40 by the middle.
        let ratio = warm.of_jwt_authn.unwrap();
        assert!((ratio.min - 10.0 / 35.0).abs() < 1e-9);
        assert!((ratio.median - 0.25).abs() < 1e-9);
    }

    #[test]
    fn no_filter_adds_nothing_and_is_compared_with_nothing() {
        let rows = sample();
        let none = rows.first().unwrap();
        assert!(none.added_us.is_none() && none.of_jwt_authn.is_none());
        assert!(none.over_noop_us.is_none());
        let native = rows.iter().find(|row| row.kind == Kind::JwtAuthn).unwrap();
        assert_eq!(
            native.of_jwt_authn,
            Some(Figure {
                min: 1.0,
                median: 1.0
            })
        );
        assert!(native.over_noop_us.is_none());
    }

    #[test]
    fn targets_are_met_up_to_their_limit() {
        let targets = request_targets(&sample(), &measurements());
        let met: Vec<(f64, bool)> = targets.iter().map(|t| (t.measured, t.met)).collect();
        // A new token adds 45, 40, 40. A known session adds 12, 12, 18; a new one 31, 28, 29 more.
        let expected = [
            (0.25, true),
            (7.0, true),
            (1.0, true),
            (1.2, true),
            (29.0, true),
        ];
        assert_eq!(met, expected);
        assert!(size_target(860_000).met);
        assert!(!size_target(860_001).met);
        assert!(!ready_target(250.1).met);
        assert!(!ready_target(f64::NAN).met);
    }

    #[test]
    fn a_native_filter_that_costs_nothing_is_no_measure() {
        let measured = [
            measured(Kind::None, &[30.0]),
            measured(Kind::JwtAuthn, &[29.0]),
            measured(Kind::Warm, &[31.0]),
        ];
        let rows = rows(&measured);
        assert!(rows.iter().all(|row| row.of_jwt_authn.is_none()));
        assert!(request_targets(&rows, &measured).is_empty());
    }
}
