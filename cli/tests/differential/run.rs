//! Draws configurations and requests, asks both filters, and compares.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::Value;

use crate::bench::{Answer, Bench, Keys, Seen, Side};
use crate::configuration::Configuration;
use crate::dice::Dice;
use crate::difference::{self, Difference, Reading};
use crate::migrated;
use crate::oracle::{self, Expected};
use crate::report::{Report, Unexplained};
use crate::request::Request;
use crate::spelling;

/// Where the configuration of bearer-gate comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConfiguredBy {
    /// The same JSON, with the fields that it asks for.
    Pasted,
    /// In some spelling, through `migrate`.
    Migrated,
}

/// How much to compare.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub configurations: usize,
    pub requests_each: usize,
}

pub(crate) fn compare(seed: u64, size: Size, way: ConfiguredBy) -> Report {
    let started = Instant::now();
    let mut dice = Dice::seeded(seed);
    let mut report = Report {
        seed,
        ..Report::default()
    };
    let keys = Keys::start();
    let remote = keys.remote();
    let mut configurations: Vec<Configuration> = Vec::new();
    let mut listeners = Vec::new();
    for _ in 0..size.configurations {
        let mut configuration = Configuration::draw(&mut dice, &remote);
        let (native, gate) = match way {
            ConfiguredBy::Pasted => (configuration.jwt_authn(), configuration.bearer_gate()),
            ConfiguredBy::Migrated => {
                // As lenient as jwt_authn is what comes out has to be.
                configuration.is_lenient = true;
                let written = spelling::draw(&mut dice, &configuration.jwt_authn());
                let (code, gate) = migrated::migrate(&written.file);
                if code != 0 {
                    report.open += 1;
                    continue;
                }
                (Value::String(written.typed_config), gate)
            }
        };
        let pair = pair(configurations.len());
        listeners.push((pair.clone(), Side::JwtAuthn, native));
        listeners.push((pair.clone(), Side::BearerGate, gate));
        listeners.push((pair, Side::Parts, configuration.parts()));
        configurations.push(configuration);
    }
    let bench = Bench::start(keys, listeners);
    for (at, configuration) in configurations.iter().enumerate() {
        report.uses(configuration);
        let case = Case {
            bench: &bench,
            pair: pair(at),
            configuration,
        };
        for _ in 0..size.requests_each {
            let request = Request::draw(&mut dice, configuration);
            // A repeated token is found in a cache.
            if dice.chance(10) {
                case.run(request.clone(), &mut report);
            }
            case.run(request, &mut report);
        }
    }
    assert_eq!(bench.traps(), 0, "a VM trapped");
    report.took = started.elapsed();
    report
}

fn pair(at: usize) -> String {
    format!("configuration-{at}")
}

struct Case<'c> {
    bench: &'c Bench,
    pair: String,
    configuration: &'c Configuration,
}

/// The result of one request.
struct Outcome {
    native: Answer,
    gate: Answer,
    explained: BTreeSet<Difference>,
    unexplained: Vec<String>,
}

impl Case<'_> {
    fn run(&self, request: Request, report: &mut Report) {
        let outcome = self.outcome(&request);
        report.count(self.configuration, [&outcome.native, &outcome.gate]);
        for difference in &outcome.explained {
            report.explain(*difference);
        }
        if !outcome.unexplained.is_empty() {
            let (request, outcome) = self.smallest(request, outcome);
            report.unexplained.push(Unexplained {
                pair: self.pair.clone(),
                what: outcome.unexplained,
                configuration: self.configuration.bearer_gate(),
                request,
                native: outcome.native,
                gate: outcome.gate,
            });
        }
    }

    fn outcome(&self, request: &Request) -> Outcome {
        let [native, gate] = self.bench.ask_both(&self.pair, request);
        let mut outcome = Outcome {
            native,
            gate,
            explained: BTreeSet::new(),
            unexplained: Vec::new(),
        };
        let several = difference::several_readings(request);
        if several
            .iter()
            .any(|text| self.is_refusal(&outcome.gate, 400, text))
        {
            outcome.explained.insert(Difference::SeveralReadings);
            return outcome;
        }
        match difference::reading(request) {
            Reading::Refused => {
                if self.is_refusal(&outcome.gate, 400, "The request path is ambiguous") {
                    outcome.explained.insert(Difference::UnsafePath);
                } else {
                    let text = "an ambiguous path is not refused";
                    outcome.unexplained.push(text.to_owned());
                }
            }
            Reading::Same => {
                let native = outcome.native.clone();
                self.compare(request, &native, &mut outcome, |seen| seen);
            }
            Reading::Other(read) => {
                let native = self.bench.ask(&self.pair, Side::JwtAuthn, &read.request);
                if native.status != outcome.native.status {
                    outcome.explained.extend(&read.why);
                }
                self.compare(&read.request, &native, &mut outcome, |seen| {
                    read.put_back(request, seen)
                });
            }
        }
        outcome
    }

    /// Compares the answer of bearer-gate with the expected one, and that with the answer of jwt_authn.
    fn compare(
        &self,
        request: &Request,
        native: &Answer,
        outcome: &mut Outcome,
        put_back: impl Fn(Seen) -> Seen,
    ) {
        let all = oracle::expected(self.bench, &self.pair, self.configuration, request);
        // Also where jwt_authn does not look at the token.
        let is_rejected = native.status != 200 || all.iter().any(|way| way.status != 200);
        if difference::names_an_unknown_key(request)
            && is_rejected
            && self.is_refusal(&outcome.gate, 503, "Jwks remote fetch is failed")
        {
            outcome.explained.insert(Difference::UnknownKid);
            return;
        }
        let gate = &outcome.gate;
        let deviations = |expected: &Expected| -> Vec<String> {
            let reason = &expected.reason;
            if let Some(text) = difference::wrong_failed_status(self.configuration, gate, reason) {
                return vec![text];
            }
            if expected.status != 200 && self.configuration.strips_failures {
                let is_right = gate.status == expected.status && gate.reason.is_empty();
                let text = || format!("{} without a text, not {gate:?}", expected.status);
                return if is_right { Vec::new() } else { vec![text()] };
            }
            let is_same = gate.status == expected.status
                && difference::same_reason(request, [&expected.reason, &gate.reason]);
            if !is_same && !self.is_several_beside_unknown_key(request, expected, gate) {
                let (status, reason) = (expected.status, &expected.reason);
                return vec![format!(
                    "{status} {reason}, not {} {}",
                    gate.status, gate.reason
                )];
            }
            match (&expected.seen, &gate.seen) {
                (Some(expected_seen), Some(seen)) => {
                    let differing = difference::differing(&put_back(expected_seen.clone()), seen);
                    let mut texts: Vec<String> =
                        differing.into_iter().map(|(text, _)| text).collect();
                    if let Some(told) = &expected.told
                        && *told != gate.told
                    {
                        texts.push(format!("told {told:?}, not {:?}", gate.told));
                    }
                    texts
                }
                _ => Vec::new(),
            }
        };
        match all.iter().find(|expected| deviations(expected).is_empty()) {
            Some(expected) => {
                let (explained, unexplained) = difference::explain(request, native, expected);
                outcome.explained.extend(explained);
                outcome.unexplained = unexplained;
            }
            None => outcome.unexplained = all.iter().flat_map(deviations).collect(),
        }
    }

    /// Whether a provider's several tokens are told of and not the unknown key of another token that
    /// is required too: newer keys may come, and several tokens stay several.
    fn is_several_beside_unknown_key(
        &self,
        request: &Request,
        expected: &Expected,
        gate: &Answer,
    ) -> bool {
        let tokens = request.tokens();
        let texts: BTreeSet<&str> = tokens.map(|(token, ..)| token.text.as_str()).collect();
        expected.reason == oracle::NO_SUCH_KEY
            && difference::names_an_unknown_key(request)
            && texts.len() > 1
            && self.is_refusal(gate, 400, "More than one credential in the request")
    }

    fn is_refusal(&self, gate: &Answer, status: u16, reason: &str) -> bool {
        let text = if self.configuration.strips_failures {
            ""
        } else {
            reason
        };
        gate.status == status && gate.reason == text
    }

    /// Leaves out what the difference does not need.
    fn smallest(&self, mut request: Request, mut outcome: Outcome) -> (Request, Outcome) {
        let mut at = 0;
        while at < request.parts.len() {
            let mut smaller = request.clone();
            smaller.parts.remove(at);
            let found = self.outcome(&smaller);
            if found.unexplained.is_empty() {
                at += 1;
            } else {
                (request, outcome) = (smaller, found);
            }
        }
        (request, outcome)
    }
}
