//! Many Envoys, their clients and one provider, in virtual time.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bearer_gate::config::Config;
use bearer_gate::gate::{Arrival, Verdict, Verdicts};
use bearer_gate::host::{CallId, ContextId, Reply};
use bearer_gate::http::request::Request;

use crate::dice::Dice;
use crate::process::{Process, Sent};
use crate::provider::{Model, Provider, Served};
use crate::relay::{Answer, Relay};
use crate::report::settled_at;
use crate::sim::{SET_A, SET_B};

pub(crate) const CONFIG: &str = r#"{
    "providers": {"p": {
        "issuer": "https://tenant.example/",
        "audiences": ["api"],
        "remote_jwks": {"http_uri": {
            "uri": "https://tenant.example/jwks", "cluster": "idp", "timeout": "5s"
        }}
    }},
    "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}]
}"#;

/// What time it is at the provider, which issues each token just now: Unix seconds. Only clocks that
/// measure durations move on.
const NOW: u64 = 1_700_000_000;

/// When the processes start.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    AllAtOnce,
    /// One after the other, all within so many milliseconds.
    Rolling(u64),
    /// All at once. Each process ends and starts again after so many milliseconds, so many times.
    CrashLoop {
        after: u64,
        times: u64,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub name: &'static str,
    pub processes: usize,
    pub workers: usize,
    pub model: Model,
    pub start: Start,
    pub seconds: u64,
    /// Requests with a good token, at each process, in ten seconds.
    pub good_per_ten_seconds: u64,
    /// Requests with a kid that no key has, at each process, in ten seconds.
    pub strangers_per_ten_seconds: u64,
    /// When the provider's key is replaced by another, in milliseconds; good tokens are by the
    /// new one from then on.
    pub rotates_at: Option<u64>,
    /// How long a cache between the Envoys and the provider keeps an answer, in seconds.
    pub relay: Option<u64>,
    /// How far each process's clock may be from that of the provider, in seconds.
    pub skew: u64,
    pub seed: u64,
}

/// The outcome of a run.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub calls: u64,
    /// Calls that brought keys.
    pub served: u64,
    /// Calls in each second.
    pub by_second: BTreeMap<u64, u64>,
    pub served_by_second: BTreeMap<u64, u64>,
    /// When each process had keys, from its own start, in milliseconds, in order.
    pub keys_after: Vec<u64>,
    /// When the last process had keys, in milliseconds.
    pub last_keys_at: u64,
    pub without_keys: usize,
    pub good: BTreeMap<u32, u64>,
    pub strange: BTreeMap<u32, u64>,
    /// When the last good request got 503, in milliseconds.
    pub last_unavailable_at: u64,
}

impl Outcome {
    pub(crate) fn peak(&self) -> u64 {
        self.by_second.values().copied().max().unwrap_or(0)
    }

    /// Calls in a second, from one second to another, on average.
    pub(crate) fn rate(&self, from: u64, to: u64) -> f64 {
        let to = to.max(from + 1);
        let calls: u64 = self.by_second.range(from..to).map(|(_, calls)| calls).sum();
        calls as f64 / (to - from) as f64
    }

    /// Calls for one that brought keys, within these seconds.
    pub(crate) fn amplification(&self, from: u64, to: u64) -> f64 {
        let sum =
            |of: &BTreeMap<u64, u64>| of.range(from..to).map(|(_, calls)| *calls).sum::<u64>();
        sum(&self.by_second) as f64 / (sum(&self.served_by_second) as f64).max(1.0)
    }

    pub(crate) fn p99(&self) -> u64 {
        let at = (self.keys_after.len() * 99).div_ceil(100).saturating_sub(1);
        self.keys_after.get(at).copied().unwrap_or(0)
    }

    /// Good tokens that were refused as bad, and strangers that were admitted.
    pub(crate) fn wrong(&self) -> (u64, u64) {
        let denied = self
            .good
            .iter()
            .filter(|(code, _)| ![200, 503].contains(*code));
        let passed = self.strange.get(&200).copied().unwrap_or(0);
        (denied.map(|(_, count)| count).sum(), passed)
    }

    pub(crate) fn line(&self, plan: &Plan) -> String {
        let (denied, passed) = self.wrong();
        format!(
            "figure: {:<52} calls {:>6}, peak {:>5}/s, after 20 s {:>6.1}/s, amplification {:>5.1}, keys p99 {:>6} ms, last after {:>6.1} s, without {:>3}, good 503 {:>6}, wrong {denied}/{passed}",
            plan.name,
            self.calls,
            self.peak(),
            self.rate(20, settled_at(self, plan)),
            self.amplification(0, plan.seconds),
            self.p99(),
            self.last_keys_at as f64 / 1000.0,
            self.without_keys,
            self.good.get(&503).copied().unwrap_or(0),
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Start {
        process: usize,
        again: u64,
    },
    Tick {
        process: usize,
        life: u64,
        worker: usize,
        plan: u64,
    },
    Answer {
        process: usize,
        life: u64,
        worker: usize,
        call: CallId,
        keys: bool,
        status: u16,
        retry_after: Option<u64>,
        max_age: Option<u64>,
        set: u8,
    },
    Request {
        process: usize,
        stranger: bool,
    },
}

struct Fleet<'p> {
    plan: &'p Plan,
    config: Config,
    clock: Rc<Cell<u64>>,
    dice: Dice,
    provider: Provider,
    relay: Option<Relay>,
    processes: Vec<(u64, u64, Option<Process>)>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    context: ContextId,
    /// Whether each waiting request is a stranger's.
    waiting: BTreeMap<ContextId, bool>,
    outcome: Outcome,
}

pub(crate) fn run(plan: &Plan) -> Outcome {
    let mut fleet = Fleet {
        plan,
        config: Config::parse(CONFIG.as_bytes()).unwrap(),
        clock: Rc::new(Cell::new(0)),
        dice: Dice(plan.seed),
        provider: Provider::new(plan.model),
        relay: plan.relay.map(Relay::new),
        processes: (0..plan.processes).map(|_| (0, 0, None)).collect(),
        events: BinaryHeap::new(),
        sequence: 0,
        context: 0,
        waiting: BTreeMap::new(),
        outcome: Outcome::default(),
    };
    for process in 0..plan.processes {
        let at = match plan.start {
            Start::Rolling(within) => within * process as u64 / plan.processes as u64,
            // A thousand processes do not start in the same millisecond.
            _ => fleet.dice.between(0, 20),
        };
        fleet.at(at, Event::Start { process, again: 0 });
        for (stranger, rate) in [
            (false, plan.good_per_ten_seconds),
            (true, plan.strangers_per_ten_seconds),
        ] {
            if let Some(pause) = 10_000_u64.checked_div(rate) {
                let first = at + fleet.dice.between(0, pause);
                fleet.at(first, Event::Request { process, stranger });
            }
        }
    }
    while let Some(Reverse((at, _, event))) = fleet.events.pop() {
        if at > plan.seconds * 1000 {
            break;
        }
        fleet.clock.set(at);
        fleet.happens(event);
    }
    fleet.end()
}

impl Fleet<'_> {
    fn at(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence, event)));
    }

    fn happens(&mut self, event: Event) {
        let now = self.clock.get();
        match event {
            Event::Start { process, again } => {
                let seed = self.dice.bits();
                let unix = NOW - self.plan.skew + self.dice.between(0, 2 * self.plan.skew);
                let clocks = (&self.clock, unix);
                let of = Process::start(self.plan.workers, &self.config, clocks, seed);
                let life = self.processes[process].0 + 1;
                self.note_keys(process);
                self.processes[process] = (life, now, Some(of));
                for worker in 0..self.plan.workers {
                    self.plan_tick(process, worker);
                }
                if let Start::CrashLoop { after, times } = self.plan.start
                    && again < times
                {
                    self.at(
                        now + after,
                        Event::Start {
                            process,
                            again: again + 1,
                        },
                    );
                }
            }
            Event::Tick {
                process,
                life,
                worker,
                plan,
            } => {
                let (alive, _, Some(of)) = &self.processes[process] else {
                    return;
                };
                let Some(of) = of
                    .workers
                    .get(worker)
                    .filter(|of| *alive == life && of.planned.1 == plan)
                else {
                    return;
                };
                let verdicts = told(of.gate.tick());
                self.decided(verdicts);
                self.plan_tick_anew(process, worker);
                self.send(process);
            }
            Event::Answer {
                process,
                life,
                worker,
                call,
                keys,
                status,
                retry_after,
                max_age,
                set,
            } => {
                let (alive, _, Some(of)) = &self.processes[process] else {
                    return;
                };
                if *alive != life {
                    return;
                }
                let body = if set == b'a' { SET_A } else { SET_B };
                let answer = answer(keys, (status, retry_after, max_age), body);
                let verdicts = told(of.workers[worker].gate.reply(call, answer));
                self.decided(verdicts);
                self.plan_tick(process, worker);
                self.send(process);
            }
            Event::Request { process, stranger } => {
                let rate = if stranger {
                    self.plan.strangers_per_ten_seconds
                } else {
                    self.plan.good_per_ten_seconds
                };
                let pause = 10_000 / rate;
                let next = now + self.dice.between(pause / 2, pause * 3 / 2);
                self.at(next, Event::Request { process, stranger });
                self.request(process, stranger);
            }
        }
    }

    fn request(&mut self, process: usize, stranger: bool) {
        let worker = self.dice.between(0, self.plan.workers as u64 - 1) as usize;
        let kid = if stranger {
            format!("{:x}", self.dice.bits())
        } else if self
            .plan
            .rotates_at
            .is_some_and(|at| self.clock.get() >= at)
        {
            "b".to_owned()
        } else {
            "a".to_owned()
        };
        self.context += 1;
        let context = self.context;
        let Some(of) = &self.processes[process].2 else {
            return;
        };
        let arrival = of.workers[worker]
            .gate
            .request(context, token(&kid, if stranger { "?" } else { &kid }));
        let verdict = match arrival {
            Arrival::Decided(verdict) => Some(code(&verdict)),
            Arrival::Parked(_) | Arrival::Reading(..) => None,
        };
        match verdict {
            Some(code) => self.count(stranger, code),
            None => {
                self.waiting.insert(context, stranger);
            }
        }
        self.plan_tick(process, worker);
        self.send(process);
    }

    fn decided(&mut self, verdicts: Vec<(ContextId, u32)>) {
        for (context, code) in verdicts {
            let stranger = self.waiting.remove(&context).unwrap();
            self.count(stranger, code);
        }
    }

    fn count(&mut self, stranger: bool, code: u32) {
        if !stranger && code == 503 {
            self.outcome.last_unavailable_at = self.clock.get();
        }
        let counts = if stranger {
            &mut self.outcome.strange
        } else {
            &mut self.outcome.good
        };
        *counts.entry(code).or_default() += 1;
    }

    /// Plans a worker's next tick, where its period has changed.
    fn plan_tick(&mut self, process: usize, worker: usize) {
        let of = self.processes[process].2.as_ref().unwrap();
        let of = &of.workers[worker];
        if of.planned.0 != of.tick_period.get() {
            self.plan_tick_anew(process, worker);
        }
    }

    fn plan_tick_anew(&mut self, process: usize, worker: usize) {
        let (life, _, Some(of)) = &mut self.processes[process] else {
            return;
        };
        let of = &mut of.workers[worker];
        let period = of.tick_period.get();
        of.planned = (period, of.planned.1 + 1);
        let event = Event::Tick {
            process,
            life: *life,
            worker,
            plan: of.planned.1,
        };
        let at = self.clock.get() + period;
        self.at(at, event);
    }

    /// Has the provider answer what a process has sent.
    fn send(&mut self, process: usize) {
        let (life, _, Some(of)) = &self.processes[process] else {
            return;
        };
        let (life, sent) = (*life, of.common.sent.take());
        let now = self.clock.get();
        for Sent {
            worker,
            call,
            max_age: asked_for,
        } in sent
        {
            let Answer {
                after,
                reply,
                max_age,
                asks,
                asked_at,
            } = match &mut self.relay {
                Some(relay) => relay.call(now, asked_for, &mut self.provider, &mut self.dice),
                None => Answer::of(self.provider.call(now, &mut self.dice), now),
            };
            if asks {
                self.outcome.calls += 1;
                *self.outcome.by_second.entry(now / 1000).or_default() += 1;
            }
            if reply == Served::Keys {
                self.outcome.served += 1;
                *self.outcome.served_by_second.entry(now / 1000).or_default() += 1;
            }
            let (status, retry_after) = match reply {
                Served::Keys => (200, None),
                Served::Status {
                    status,
                    retry_after,
                } => (status, retry_after),
            };
            // The set is what it was when the provider was asked.
            let rotated = self.plan.rotates_at.is_some_and(|at| asked_at >= at);
            let set = if rotated { b'b' } else { b'a' };
            self.at(
                now + after,
                Event::Answer {
                    process,
                    life,
                    worker,
                    call,
                    keys: status == 200,
                    status,
                    retry_after,
                    max_age,
                    set,
                },
            );
        }
    }

    fn note_keys(&mut self, process: usize) {
        let (_, started, of) = &self.processes[process];
        if let Some(at) = of.as_ref().and_then(|of| of.common.keys_at.get()) {
            self.outcome.keys_after.push(at - started);
            self.outcome.last_keys_at = self.outcome.last_keys_at.max(at);
        }
    }

    fn end(mut self) -> Outcome {
        for process in 0..self.processes.len() {
            self.note_keys(process);
            let of = self.processes[process].2.as_ref();
            if of.is_none_or(|of| of.common.keys_at.get().is_none()) {
                self.outcome.without_keys += 1;
            }
        }
        self.outcome.keys_after.sort_unstable();
        self.outcome
    }
}

fn answer(
    keys: bool,
    (status, retry_after, max_age): (u16, Option<u64>, Option<u64>),
    body: &str,
) -> Reply {
    Reply::Response {
        status,
        max_age: max_age.map(Duration::from_secs),
        retry_after: retry_after.map(Duration::from_secs),
        location: None,
        content_type: None,
        body: if keys { body.into() } else { Vec::new() },
    }
}

fn code(verdict: &Verdict<'_>) -> u32 {
    match verdict {
        Verdict::Admit(_) => 200,
        Verdict::Reject(refusal) => refusal.rejection.status(),
        Verdict::Answer(answer) => answer.response.status,
    }
}

fn told(verdicts: Verdicts<'_>) -> Vec<(ContextId, u32)> {
    verdicts
        .iter()
        .map(|(context, verdict)| (*context, code(verdict)))
        .collect()
}

/// A token that names a key by `kid` and is signed by `signer`.
fn token(kid: &str, signer: &str) -> Request {
    let part = |json: &str| BASE64_URL_SAFE_NO_PAD.encode(json);
    let header = part(&format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#));
    let (from, until) = (NOW, NOW + 600);
    let claims = part(&format!(
        r#"{{"iss":"https://tenant.example/","aud":"api","iat":{from},"nbf":{from},"exp":{until},"sub":"s"}}"#
    ));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signer.repeat(256));
    let value = format!("Bearer {header}.{claims}.{signature}");
    Request::new(vec![
        (":path".into(), b"/".to_vec()),
        ("authorization".into(), value.into_bytes()),
    ])
}
