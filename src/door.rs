//! The door: the only place where a verdict is carried out, and so where a request is counted,
//! logged and answered.
//!
//! Invariants: a request is counted once, when its outcome is certain. It counts as allowed only
//! when the proxy has accepted all of the admission. If the proxy refuses a part of it, the request
//! is rejected like any other.

use crate::authn::{Admission, Answer, Decision, Refusal};
use crate::config::Config;
use crate::desk::Need;
use crate::host::Host;
use crate::http::response::{Client, Rejection, Response, Responses};
use crate::metrics;
use crate::outputs::{self, FilterState};
use crate::shown::Shown;
use crate::sign_in::{By, Outcome};

/// What must be done with a request.
#[derive(Debug)]
pub enum Verdict<'g> {
    /// Pass it on to the upstream.
    Admit(Admission),
    /// Answer it with an error.
    Reject(Refusal<'g>),
    /// Send the filter's own answer.
    Answer(Answer),
}

impl<'g> Verdict<'g> {
    /// A rejection that tells access logs nothing about a token.
    pub fn reject(rejection: Rejection<'g>) -> Self {
        Verdict::Reject(rejection.into())
    }

    /// The verdict of a decision, or the fact that the decision waits for.
    pub fn from_decision(decision: Decision<'g>) -> Result<Self, Need> {
        match decision {
            Decision::Admit(admission) => Ok(Verdict::Admit(admission)),
            Decision::Reject(refusal) => Ok(Verdict::Reject(refusal)),
            Decision::Answer(answer) => Ok(Verdict::Answer(answer)),
            Decision::Await(need) => Err(need),
        }
    }

    /// Of verdicts that were reached together, those with a higher rank end what others rely on.
    pub fn rank(&self) -> u8 {
        match self {
            Self::Answer(answer) => match answer.outcome {
                Outcome::SignedOut(_) => 2,
                Outcome::Completed(_) => 1,
                _ => 0,
            },
            _ => 0,
        }
    }
}

/// How a verdict was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carried {
    /// The request goes on to the upstream.
    Admitted,
    /// The request is answered.
    Answered,
}

/// The request that a verdict is about, as the proxy holds it.
pub trait Exchange {
    /// Changes the request as an admission says. `None` where the proxy refused a part.
    fn admit(&self, admission: &Admission) -> Option<()>;

    /// Sets filter states. `None` where the proxy refused one.
    fn tell(&self, states: &[FilterState]) -> Option<()>;

    /// Who reads the response.
    fn client(&self) -> Client;

    /// `x-request-id`, by which other logs name the request.
    fn request_id(&self) -> Option<Vec<u8>>;

    /// Answers in place of the upstream. `details` are the response code details of access logs: the
    /// name of a counter.
    fn respond(&self, response: &Response, details: &str);
}

/// Carries a verdict out, and counts it, but for what is let through: see [`Gate`](crate::gate::Gate). Without
/// a configuration, rejections have their fixed form.
pub fn carry_out(
    verdict: &Verdict<'_>,
    config: Option<&Config>,
    host: &impl Host,
    exchange: &impl Exchange,
) -> Carried {
    match verdict {
        Verdict::Admit(admission) if exchange.admit(admission).is_some() => {
            if let Some(reason) = admission.reported {
                host.count(&metrics::reported(reason), 1);
                log::debug!("would be rejected: {reason}{}", named(exchange));
            }
            return Carried::Admitted;
        }
        // No request passes whose headers the proxy did not change as it must.
        Verdict::Admit(_) => reject(&Rejection::HostRefused.into(), config, host, exchange),
        Verdict::Reject(refusal) => reject(refusal, config, host, exchange),
        Verdict::Answer(Answer {
            what,
            outcome,
            response,
        }) => {
            host.count(metrics::ANSWERED, 1);
            let counter = counter(outcome);
            if let Some(counter) = &counter {
                host.count(counter, 1);
            }
            log::debug!(
                "answered with {what}: {}{}",
                response.status,
                named(exchange)
            );
            exchange.respond(response, counter.as_deref().unwrap_or(metrics::ANSWERED));
        }
    }
    Carried::Answered
}

/// The counter of an answer's outcome, if it has one.
fn counter(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Begun => Some(metrics::SIGN_IN_BEGUN.to_owned()),
        Outcome::Completed(_) => Some(metrics::SIGN_IN_COMPLETED.to_owned()),
        Outcome::Failed(problem) => Some(metrics::sign_in_failed(problem.name())),
        Outcome::SignedOut(sign_out) => Some(
            match sign_out.by {
                By::Person => metrics::SIGNED_OUT,
                By::BackChannel => metrics::BACKCHANNEL_LOGOUT,
                By::FrontChannel => metrics::FRONTCHANNEL_LOGOUT,
            }
            .to_owned(),
        ),
        Outcome::LogoutRefused => Some(metrics::LOGOUT_REFUSED.to_owned()),
        Outcome::Other => None,
    }
}

fn reject(
    refusal: &Refusal<'_>,
    config: Option<&Config>,
    host: &impl Host,
    exchange: &impl Exchange,
) {
    let rejection = &refusal.rejection;
    let counter = metrics::denied(rejection.reason());
    host.count(&counter, 1);
    log::debug!("rejected: {}{}", rejection.reason(), named(exchange));
    let of_token = refusal.outputs.as_ref();
    let of_token = of_token.map_or(&[][..], |outputs| &outputs.states);
    let from_rejection = config.map_or_else(Vec::new, |config| {
        outputs::from_rejection(config, rejection)
    });
    let told = [exchange.tell(of_token), exchange.tell(&from_rejection)];
    if told.contains(&None) {
        log::debug!("the host refused the filter state of a rejection");
    }
    let fixed = Responses::default();
    let responses = config.map_or(&fixed, |config| &config.responses);
    let mut response = responses.reject_by(rejection, exchange.client(), refusal.schemes);
    let lines = refusal.set_cookies.iter().cloned();
    response
        .headers
        .extend(lines.map(|line| ("set-cookie", line)));
    exchange.respond(&response, &counter);
}

/// How the log names a request, after what it says of it. Read only for a line that is written.
#[inline(never)]
fn named(exchange: &impl Exchange) -> String {
    let id = exchange.request_id();
    id.map_or_else(String::new, |id| {
        format!(", x-request-id {}", Shown::new(id))
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;
    use crate::host::{Call, CallId, NoEntropy, SharedStore, Version};
    use crate::http::response::Schemes;
    use crate::outputs::{Changes, Outputs};
    use crate::sign_in::Problem;
    use crate::time::Millis;

    /// A proxy that counts. It refuses headers and states that have one of the names in `refuses`.
    #[derive(Default)]
    struct Proxy {
        refuses: &'static [&'static str],
        counts: RefCell<BTreeMap<String, u64>>,
        told: RefCell<Vec<String>>,
        sent: RefCell<Sent>,
    }

    impl SharedStore for Proxy {
        fn read(&self, _: &str) -> Option<(Vec<u8>, Version)> {
            None
        }

        fn write(&self, _: &str, _: &[u8], _: Version) -> bool {
            false
        }
    }

    impl Host for Proxy {
        fn unix_seconds(&self) -> f64 {
            0.0
        }

        fn monotonic(&self) -> Millis {
            Millis(0)
        }

        fn random(&self) -> u64 {
            0
        }

        fn entropy(&self, _: &mut [u8]) -> Result<(), NoEntropy> {
            Err(NoEntropy)
        }

        fn dispatch(&self, _: &Call) -> Option<CallId> {
            None
        }

        fn tick_every(&self, _: Duration) {}

        fn count(&self, counter: &str, by: u64) {
            *self
                .counts
                .borrow_mut()
                .entry(counter.to_owned())
                .or_default() += by;
        }

        fn gauge(&self, _: &str, _: u64) {}

        fn gauge_add(&self, _: &str, _: i64) {}
    }

    impl Exchange for Proxy {
        fn admit(&self, admission: &Admission) -> Option<()> {
            let outputs = admission.changes.outputs.iter();
            let names = outputs.flat_map(|outputs| outputs.set.iter().chain(&outputs.states));
            for (name, _) in names {
                (!self.refuses.contains(&name.as_str())).then_some(())?;
            }
            Some(())
        }

        fn tell(&self, states: &[FilterState]) -> Option<()> {
            for (name, _) in states {
                (!self.refuses.contains(&name.as_str())).then_some(())?;
                self.told.borrow_mut().push(name.clone());
            }
            Some(())
        }

        fn client(&self) -> Client {
            Client::Http
        }

        fn request_id(&self) -> Option<Vec<u8>> {
            None
        }

        fn respond(&self, response: &Response, details: &str) {
            let sent = (response.status, details.to_owned());
            self.sent.borrow_mut().push(sent);
        }
    }

    fn config() -> Config {
        Config::parse(br#"{"unmatched": "allow", "filter_state": ["reason"]}"#).unwrap()
    }

    fn admission(header: &str) -> Admission {
        Admission {
            changes: Rc::new(Changes {
                outputs: vec![Rc::new(Outputs {
                    set: vec![(header.to_owned(), b"alice".to_vec())],
                    ..Outputs::default()
                })],
                ..Changes::default()
            }),
            reported: Some("no_rule"),
            ..Admission::default()
        }
    }

    /// The statuses and details of responses.
    type Sent = Vec<(u32, String)>;

    /// What was counted, told and sent, and whether the request goes on.
    fn carried(
        refuses: &'static [&'static str],
        verdict: &Verdict<'_>,
        config: Option<&Config>,
    ) -> (Vec<String>, Vec<String>, Sent, bool) {
        let proxy = Proxy {
            refuses,
            ..Proxy::default()
        };
        let carried = carry_out(verdict, config, &proxy, &proxy);
        let counts = proxy.counts.into_inner();
        assert!(counts.values().all(|count| *count == 1), "{counts:?}");
        (
            counts.into_keys().collect(),
            proxy.told.into_inner(),
            proxy.sent.into_inner(),
            carried == Carried::Admitted,
        )
    }

    #[test]
    fn every_outcome_is_counted_once_and_answered_by_what_it_is() {
        let config = config();
        let document = Answer {
            what: "a document",
            outcome: Outcome::Other,
            response: Response {
                status: 200,
                headers: Vec::new(),
                body: String::new(),
            },
        };
        let reason = "bearer_gate.reason";
        let refusal = Refusal {
            schemes: Schemes::Bearer,
            rejection: Rejection::ClaimRule,
            outputs: Some(Rc::new(Outputs {
                states: vec![("jwt".to_owned(), Vec::new())],
                ..Outputs::default()
            })),
            set_cookies: Vec::new(),
        };
        let admit = Verdict::Admit(admission("x-user"));
        let reject = Verdict::Reject(refusal);
        // (what the proxy refuses, the verdict, then what was counted, told and sent)
        type Row<'r> = (
            &'static [&'static str],
            &'r Verdict<'r>,
            &'r [&'r str],
            &'r [&'r str],
            &'r [u32],
        );
        let table: &[Row] = &[
            (&[], &admit, &["bearer_gate.reported.no_rule"], &[], &[]),
            // A refused admission counts as a rejection only.
            (
                &["x-user"],
                &admit,
                &["bearer_gate.denied.host_refused"],
                &[reason],
                &[503],
            ),
            (
                &[],
                &reject,
                &["bearer_gate.denied.claim_rule"],
                &["jwt", reason],
                &[403],
            ),
            // A refused state stops neither the other states nor the answer.
            (
                &["jwt"],
                &reject,
                &["bearer_gate.denied.claim_rule"],
                &[reason],
                &[403],
            ),
            (
                &["bearer_gate.reason"],
                &reject,
                &["bearer_gate.denied.claim_rule"],
                &["jwt"],
                &[403],
            ),
            (
                &[],
                &Verdict::Answer(document),
                &["bearer_gate.answered"],
                &[],
                &[200],
            ),
        ];
        for (refuses, verdict, counted, told, sent) in table {
            let (counts, states, responses, goes_on) = carried(refuses, verdict, Some(&config));
            assert_eq!(counts, *counted, "{verdict:?}");
            assert_eq!(states, *told, "{verdict:?}");
            // Access logs name what was counted.
            let details = counted.iter().map(|name| (*name).to_owned());
            let sent: Vec<_> = sent.iter().copied().zip(details).collect();
            assert_eq!(responses, sent, "{verdict:?}");
            assert_eq!(goes_on, sent.is_empty(), "{verdict:?}");
        }
    }

    #[test]
    fn access_logs_name_why_nobody_was_signed_in() {
        let failed = |outcome| {
            let response = Response::new(403, &[], String::new());
            let what = "a page";
            Verdict::Answer(Answer {
                what,
                outcome,
                response,
            })
        };
        for (outcome, details) in [
            (
                Outcome::Failed(Problem::IdToken),
                "bearer_gate.sign_in.failed.id_token_invalid",
            ),
            (Outcome::LogoutRefused, "bearer_gate.logout.refused"),
            (Outcome::Other, "bearer_gate.answered"),
        ] {
            let (.., responses, _) = carried(&[], &failed(outcome), None);
            assert_eq!(responses, [(403, details.to_owned())]);
        }
    }

    #[test]
    fn without_a_configuration_everybody_is_answered_and_counted() {
        let verdict = Verdict::reject(Rejection::NotConfigured);
        let (counts, states, responses, goes_on) = carried(&[], &verdict, None);
        assert_eq!(counts, ["bearer_gate.denied.not_configured"]);
        let sent = (503, "bearer_gate.denied.not_configured".to_owned());
        assert_eq!((states.len(), responses, goes_on), (0, vec![sent], false));
    }
}
