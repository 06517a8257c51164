//! What was compared, and every case without an explanation.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::Value;

use crate::bench::Answer;
use crate::configuration::Configuration;
use crate::difference::Difference;
use crate::feature::Feature;
use crate::request::Request;

/// Failures that are printed in full.
const PRINTED: usize = 3;

#[derive(Default)]
pub(crate) struct Report {
    pub seed: u64,
    pub decisions: usize,
    pub admitted: usize,
    pub rejected: usize,
    /// Configurations that `migrate` left open.
    pub open: usize,
    pub took: Duration,
    pub explained: BTreeMap<Difference, usize>,
    /// Configurations that use it, and requests that both admitted there.
    pub features: BTreeMap<Feature, (usize, usize)>,
    pub unexplained: Vec<Unexplained>,
}

/// A case that differs.
pub(crate) struct Unexplained {
    pub pair: String,
    pub what: Vec<String>,
    pub configuration: Value,
    pub request: Request,
    pub native: Answer,
    pub gate: Answer,
}

impl Report {
    pub(crate) fn uses(&mut self, configuration: &Configuration) {
        for feature in &configuration.uses {
            self.features.entry(*feature).or_default().0 += 1;
        }
    }

    /// One decision, and how it was explained.
    pub(crate) fn count(&mut self, configuration: &Configuration, [native, gate]: [&Answer; 2]) {
        self.decisions += 1;
        match (native.is_admitted(), gate.is_admitted()) {
            (true, true) => {
                self.admitted += 1;
                for feature in &configuration.uses {
                    self.features.entry(*feature).or_default().1 += 1;
                }
            }
            (false, false) => self.rejected += 1,
            _ => {}
        }
    }

    pub(crate) fn explain(&mut self, difference: Difference) {
        *self.explained.entry(difference).or_default() += 1;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "differential: BEARER_GATE_SEED={}: {} decisions in {:.1} s: both admitted {}, both rejected {}, \
             deliberately different {}, unexplained {}, left open {}",
            self.seed,
            self.decisions,
            self.took.as_secs_f64(),
            self.admitted,
            self.rejected,
            self.explained.values().sum::<usize>(),
            self.unexplained.len(),
            self.open,
        )?;
        for (difference, count) in &self.explained {
            writeln!(f, "  {count:5} {difference}")?;
        }
        let used: Vec<String> = self
            .features
            .iter()
            .map(|(feature, (configurations, admitted))| {
                format!("{feature} {configurations}/{admitted}")
            })
            .collect();
        writeln!(
            f,
            "  features, by configurations and requests admitted: {}",
            used.join(", ")
        )?;
        let mut failures: Vec<&Unexplained> = self.unexplained.iter().collect();
        failures.sort_by_key(|failure| {
            failure.request.size() + failure.configuration.to_string().len()
        });
        for failure in failures.iter().take(PRINTED) {
            writeln!(f, "{failure}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Unexplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "--- unexplained, {}: {}",
            self.pair,
            self.what.join("; ")
        )?;
        writeln!(f, "configuration of bearer-gate: {}", self.configuration)?;
        writeln!(f, "{} {}", self.request.method, self.request.target())?;
        for (name, value) in self.request.headers() {
            writeln!(f, "{name}: {value}")?;
        }
        for (token, place, spelling) in self.request.tokens() {
            writeln!(
                f,
                "token for {} at {place:?}, {spelling:?}, flaw {:?}\n  header {}\n  claims {}",
                token.provider, token.flaw, token.header, token.claims
            )?;
        }
        for (side, answer) in [("jwt_authn", &self.native), ("bearer-gate", &self.gate)] {
            writeln!(
                f,
                "{side}: {} {} {:?}",
                answer.status, answer.reason, answer.seen
            )?;
        }
        Ok(())
    }
}
