//! Draws configurations and requests, asks both filters, and compares.

use std::time::Instant;

use crate::bench::{Answer, Bench, Keys, Side};
use crate::configuration::Configuration;
use crate::dice::Dice;
use crate::difference::{self, Difference, Reading};
use crate::report::{Report, Unexplained};
use crate::request::Request;

/// How much to compare.
#[derive(Clone, Copy)]
pub struct Size {
    pub configurations: usize,
    pub requests_each: usize,
}

pub fn compare(seed: u64, size: Size) -> Report {
    let started = Instant::now();
    let mut dice = Dice::seeded(seed);
    let mut report = Report {
        seed,
        ..Report::default()
    };
    let keys = Keys::start();
    let remote = keys.remote();
    let configurations: Vec<Configuration> = (0..size.configurations)
        .map(|_| Configuration::draw(&mut dice, &remote, false))
        .collect();
    let listeners = configurations
        .iter()
        .enumerate()
        .flat_map(|(at, configuration)| {
            [
                (pair(at), Side::JwtAuthn, configuration.jwt_authn()),
                (pair(at), Side::BearerGate, configuration.bearer_gate()),
            ]
        });
    let bench = Bench::start(keys, listeners.collect());
    for (at, configuration) in configurations.iter().enumerate() {
        report.uses(configuration);
        let case = Case {
            bench: &bench,
            pair: pair(at),
            configuration,
        };
        for _ in 0..size.requests_each {
            case.run(Request::draw(&mut dice, configuration), &mut report);
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

/// What came of one request.
struct Outcome {
    native: Answer,
    gate: Answer,
    explained: Vec<Difference>,
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
        let mut explained = Vec::new();
        let mut unexplained = Vec::new();
        let expected = match difference::reading(request) {
            Reading::Same => native.clone(),
            Reading::Refused => {
                let refused = gate.status == 400
                    && (self.configuration.strips_failures
                        || gate.reason == "The request path is ambiguous");
                if refused {
                    explained.push(Difference::UnsafePath);
                } else {
                    unexplained.push("an ambiguous path is not refused".to_owned());
                }
                return Outcome {
                    native,
                    gate,
                    explained,
                    unexplained,
                };
            }
            Reading::Other(read) => {
                let mut expected = self.bench.ask(&self.pair, Side::JwtAuthn, &read.request);
                if expected.status != native.status {
                    explained.extend(&read.why);
                }
                expected.seen = expected.seen.map(|seen| read.put_back(request, seen));
                expected
            }
        };
        let answers = [&expected, &gate];
        let stricter = || difference::stricter(self.configuration, request, answers);
        if expected.status != gate.status {
            match stricter() {
                Some(difference) => explained.push(difference),
                None => unexplained.push(format!("status {} and {}", expected.status, gate.status)),
            }
        } else if !self.configuration.strips_failures
            && !difference::same_reason(self.configuration, request, answers)
            && stricter().is_none()
        {
            unexplained.push(format!("{} and {}", expected.reason, gate.reason));
        }
        if let (Some(native), Some(gate)) = (&expected.seen, &gate.seen) {
            for (text, why) in
                difference::seen_differently(self.configuration, request, [native, gate])
            {
                match why {
                    Some(difference) => explained.push(difference),
                    None => unexplained.push(text),
                }
            }
        }
        Outcome {
            native,
            gate,
            explained,
            unexplained,
        }
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

/// What jwt_authn alone makes of everything that can be drawn: admitted and rejected, by feature.
pub fn jwt_authn_alone(seed: u64, size: Size) -> Report {
    let mut dice = Dice::seeded(seed);
    let mut report = Report {
        seed,
        ..Report::default()
    };
    let keys = Keys::start();
    let remote = keys.remote();
    let configurations: Vec<Configuration> = (0..size.configurations)
        .map(|_| Configuration::draw(&mut dice, &remote, true))
        .collect();
    let listeners = configurations
        .iter()
        .enumerate()
        .map(|(at, configuration)| (pair(at), Side::JwtAuthn, configuration.jwt_authn()));
    let bench = Bench::start(keys, listeners.collect());
    for (at, configuration) in configurations.iter().enumerate() {
        report.uses(configuration);
        for _ in 0..size.requests_each {
            let request = Request::draw(&mut dice, configuration);
            let answer = bench.ask(&pair(at), Side::JwtAuthn, &request);
            report.count(configuration, [&answer, &answer]);
        }
    }
    report
}
