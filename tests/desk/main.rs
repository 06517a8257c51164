//! The desk under a simulated clock, with the test's own questions and a recording host.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod invariants;
#[path = "../sim/mod.rs"]
mod sim;

use std::rc::Rc;
use std::time::Duration;

use bearer_gate::config::Config;
use bearer_gate::desk::book::{MOST_OCTETS, MOST_QUESTIONS};
use bearer_gate::desk::endpoints::MOST_CALLS;
use bearer_gate::desk::question::{
    Answered, Question, Reading, Repeat, Subject, USUAL_REST, uncounted,
};
use bearer_gate::desk::{Desk, Need, Ticket};
use bearer_gate::document::finding::Finding;
use bearer_gate::host::{Call, CallId, Host, Method, Reply, SharedStore};
use bearer_gate::http::uri::Uri;
use bearer_gate::session::seal::Keyring;
use sim::host::{FakeHost, Process, fill_answers, process};
use sim::{ok, status};

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;

/// An answer is kept for a minute. `invalid_grant` is an answer too.
fn read(answer: &Answered) -> Reading {
    match answer.status {
        200 | 400 => Reading::Keep(Duration::from_secs(60)),
        _ => Reading::Failed,
    }
}

fn question_at(endpoint: &str, about: &str) -> Question {
    let uri = Uri::parse(&format!("https://idp.example/{about}")).unwrap();
    Question {
        subject: Rc::new(Subject {
            kind: "test",
            about: about.to_owned(),
        }),
        endpoint: endpoint.into(),
        call: Call {
            method: Method::Post,
            ..Call::get(uri, "idp", Duration::from_secs(5), 1000)
        },
        read,
        repeat: Repeat::May,
        longest_rest: USUAL_REST,
        shared: None,
        counter: uncounted,
    }
}

fn question(about: &str) -> Question {
    question_at("token endpoint", about)
}

/// A question that must not be repeated.
fn once(about: &str) -> Question {
    Question {
        repeat: Repeat::MustNot,
        ..question(about)
    }
}

/// The outcome of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Answered(u16, Vec<u8>),
    /// Its question was asked once, and the outcome is unknown.
    Unclear,
    /// 503, with the seconds to wait.
    Unavailable(u64),
}

fn answered(body: &str) -> Outcome {
    Outcome::Answered(200, body.into())
}

const NOTHING: Outcome = Outcome::Unavailable(0);

/// A worker whose requests each ask one question.
struct Worker {
    desk: Desk<(u32, Question)>,
    host: FakeHost,
}

impl Worker {
    fn new(process: &Rc<Process>) -> Self {
        Self::with_room_for(process, 1024)
    }

    fn with_room_for(process: &Rc<Process>, waiting: usize) -> Self {
        let config = Config::parse(br#"{"unmatched": "allow"}"#).unwrap();
        let host = FakeHost(Rc::clone(process));
        Self {
            desk: Desk::new(&config.providers, waiting, &host),
            host,
        }
    }

    /// As a decision asks: an outcome, or nothing yet.
    fn decide(&mut self, question: &Question) -> Option<Outcome> {
        let now = self.host.monotonic();
        match self.desk.answer(question, &self.host, now) {
            Finding::Ready(Ok(answer)) => {
                Some(Outcome::Answered(answer.status, answer.body.clone()))
            }
            Finding::Ready(Err(_)) => Some(Outcome::Unclear),
            Finding::Unavailable { retry_after } => {
                Some(Outcome::Unavailable(retry_after.as_secs()))
            }
            Finding::Pending => None,
        }
    }

    fn request(&mut self, context: u32, question: &Question) -> Result<Ticket, Outcome> {
        if let Some(outcome) = self.decide(question) {
            return Err(outcome);
        }
        let need = Need::Answer(Box::new(question.clone()));
        let request = (context, question.clone());
        let entered = self.desk.enter(need, 100, request, self.host.monotonic());
        entered.map_err(|_| NOTHING)
    }

    fn tick(&mut self) -> Vec<(u32, Outcome)> {
        self.desk.tick(&self.host, self.host.monotonic());
        self.settle()
    }

    fn reply(&mut self, call: CallId, reply: Reply) -> Vec<(u32, Outcome)> {
        let now = self.host.monotonic();
        self.desk.reply(call, reply, &self.host, now);
        self.settle()
    }

    fn settle(&mut self) -> Vec<(u32, Outcome)> {
        let now = self.host.monotonic();
        let mut outcomes = Vec::new();
        for settled in self.desk.take_settled(now) {
            let (context, question) = settled.request().clone();
            match self.decide(&question) {
                Some(outcome) => outcomes.push((context, outcome)),
                None if settled.has_time => {
                    let need = Need::Answer(Box::new(question));
                    if self.desk.wait_on(settled, need, now).is_err() {
                        outcomes.push((context, NOTHING));
                    }
                }
                None => outcomes.push((context, NOTHING)),
            }
        }
        self.desk.tell_waiting(&self.host, now);
        outcomes
    }
}

fn sent(process: &Process) -> Vec<(CallId, String)> {
    let calls = process.calls.take().into_iter();
    calls.map(|(id, call)| (id, call.path)).collect()
}

#[test]
fn a_question_is_asked_once_and_answered_for_all_that_wait() {
    let process = process();
    let mut worker = Worker::new(&process);
    for context in 1..=3 {
        worker.request(context, &question("a")).unwrap();
    }
    worker.request(4, &question("b")).unwrap();
    assert!(process.calls.borrow().is_empty(), "by a tick alone");
    assert!(worker.tick().is_empty());
    assert_eq!(process.count_of("bearer_gate.waiting"), 4);
    let calls = sent(&process);
    let paths: Vec<&str> = calls.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(paths, ["/a", "/b"]);
    assert!(worker.tick().is_empty());
    worker.request(5, &question("a")).unwrap();
    let all = [1, 2, 3, 5].map(|context| (context, answered("yes")));
    assert_eq!(worker.reply(calls[0].0, ok("yes")), all);
    let other = worker.reply(calls[1].0, ok("no"));
    assert_eq!(other, [(4, answered("no"))]);
    // Another worker asks on its own.
    let mut other = Worker::new(&process);
    other.request(1, &question("a")).unwrap();
    other.tick();
    assert_eq!(sent(&process).len(), 1);
    // The answer is kept for its time.
    process.pass(59 * SECOND);
    assert_eq!(worker.request(6, &question("a")), Err(answered("yes")));
    process.pass(SECOND);
    worker.request(7, &question("a")).unwrap();
    worker.tick();
    let again = sent(&process);
    assert_eq!(again.len(), 1);
    // An error of the endpoint is an answer.
    let refused = sim::response(400, "invalid_grant");
    let refusal = Outcome::Answered(400, b"invalid_grant".to_vec());
    assert_eq!(worker.reply(again[0].0, refused), [(7, refusal.clone())]);
    assert_eq!(worker.request(8, &question("a")), Err(refusal));
}

/// Metadata come with fetched keys. Where no metadata will ever come, they are empty at once.
#[test]
fn metadata_are_a_fact_as_keys_are() {
    let config = serde_json::json!({
        "providers": {
            "local": {"issuer": "https://a.example", "any_audience": true, "local_jwks": {"inline_string": sim::SET_A}},
            "found": {
                "issuer": "https://b.example",
                "any_audience": true,
                "openid_discovery": {"cluster": "idp", "timeout": "5s"}
            }
        },
        "unmatched": "allow"
    });
    let config = Config::parse(config.to_string().as_bytes()).unwrap();
    let id = |name: &str| {
        let mut entries = config.providers.entries();
        entries
            .find(|(_, provider)| provider.name == name)
            .unwrap()
            .0
    };
    let process = process();
    let host = FakeHost(Rc::clone(&process));
    let mut workers = [(); 2].map(|()| Desk::<()>::new(&config.providers, 10, &host));
    let now = host.monotonic();
    let mut metadata = |name: &str| workers[0].metadata(id(name), &host, || now);
    assert_eq!(metadata("local"), Finding::Ready(Rc::default()));
    assert_eq!(metadata("found"), Finding::Pending);
    while process.calls.borrow().is_empty() {
        process.pass(100);
        workers[0].tick(&host, host.monotonic());
    }
    let now = host.monotonic();
    let metadata = r#"{"issuer":"https://b.example","jwks_uri":"https://b.example/keys","token_endpoint":"https://b.example/token"}"#;
    for body in [metadata, sim::SET_A] {
        workers[0].reply(process.the_call(), ok(body), &host, now);
    }
    // The second worker has not ticked yet, so it looks when it is asked.
    for mut worker in workers {
        let Finding::Ready(metadata) = worker.metadata(id("found"), &host, || now) else {
            panic!("another worker shared them");
        };
        assert!(metadata.token_endpoint.is_some() && metadata.revocation_endpoint.is_none());
    }
}

#[test]
fn the_answer_stays_when_the_client_leaves() {
    let process = process();
    let mut worker = Worker::new(&process);
    let ticket = worker.request(1, &once("rotated")).unwrap();
    worker.tick();
    worker.desk.leave(ticket);
    let call = sent(&process)[0].0;
    assert!(worker.reply(call, ok("new tokens")).is_empty());
    assert_eq!(
        worker.request(2, &once("rotated")),
        Err(answered("new tokens"))
    );
    // A question that is not out yet is not asked when no request waits for it.
    let ticket = worker.request(3, &question("b")).unwrap();
    worker.desk.leave(ticket);
    worker.tick();
    assert!(sent(&process).is_empty());
    assert_eq!(worker.desk.book().len(), 1);
}

/// The outcome of a call, then that of the request: if its question may be repeated, and if not.
#[test]
fn a_question_that_must_not_be_repeated_is_not_asked_again_after_an_unclear_outcome() {
    let too_large = || Reply::TooLarge(1001);
    let none = || Reply::None;
    let garbage = || status(204);
    let (down, timeout, too_many) = (|| status(503), || status(504), || status(429));
    let not_sent = || Reply::NotSent;
    let table: [(&str, &dyn Fn() -> Reply, bool); 7] = [
        ("no response", &none, false),
        ("too large", &too_large, false),
        ("not an answer", &garbage, false),
        ("503", &down, false),
        ("504", &timeout, false),
        // The endpoint has certainly done nothing.
        ("429", &too_many, true),
        ("not sent", &not_sent, true),
    ];
    for (name, reply, is_clear) in table {
        for repeat in [Repeat::May, Repeat::MustNot] {
            let process = process();
            let mut worker = Worker::new(&process);
            let asked = Question {
                repeat,
                ..question("code")
            };
            worker.request(1, &asked).unwrap();
            worker.tick();
            let outcomes = worker.reply(sent(&process)[0].0, reply());
            let mut calls = 0;
            for _ in 0..100 {
                process.pass(10);
                worker.tick();
                calls += sent(&process).len();
            }
            if repeat == Repeat::MustNot && !is_clear {
                assert_eq!(outcomes, [(1, Outcome::Unclear)], "{name}");
                assert_eq!(calls, 0, "{name}");
                process.pass(9 * MINUTE);
                worker.tick();
                assert_eq!(worker.request(2, &asked), Err(Outcome::Unclear), "{name}");
            } else if name == "429" {
                // The endpoint asks for a longer rest than requests wait for.
                assert!(
                    matches!(outcomes[..], [(1, Outcome::Unavailable(1..))]),
                    "{outcomes:?}"
                );
                assert_eq!(calls, 0);
            } else {
                assert_eq!((outcomes.len(), calls), (0, 1), "{name}");
            }
        }
    }
}

/// A question that one worker asks for all is not asked where its answer finds no room, and nobody
/// waits for that.
#[test]
fn a_question_whose_answer_finds_no_room_is_put_off() {
    let keyring = Rc::new(Keyring::new(&["a-key-of-thirty-two-octets-at-least"]).unwrap());
    let shared = |about: &str| Question {
        shared: Some(Rc::clone(&keyring)),
        ..question(about)
    };
    let process = process();
    let mut workers = [(); 2].map(|()| Worker::new(&process));
    fill_answers(&process, Duration::from_secs(2));
    workers[0].request(1, &shared("a")).unwrap();
    assert_eq!(workers[0].tick(), [(1, Outcome::Unavailable(1))]);
    let again = workers[0].request(2, &shared("a"));
    assert_eq!(again, Err(Outcome::Unavailable(1)));
    assert!(sent(&process).is_empty());
    process.pass(1000);
    workers[0].request(3, &shared("a")).unwrap();
    assert_eq!(workers[0].tick(), [(3, Outcome::Unavailable(1))]);
    // What is there has stayed long enough. The first worker hears of the answer of the other.
    process.pass(1000);
    workers[1].request(4, &shared("a")).unwrap();
    workers[1].tick();
    let call = sent(&process)[0].0;
    assert_eq!(workers[1].reply(call, ok("yes")), [(4, answered("yes"))]);
    assert_eq!(workers[0].request(5, &shared("a")), Err(answered("yes")));
}

/// A worker that shares answers faster than it could remember each of them.
#[test]
fn every_shared_answer_is_taken_away_when_its_time_is_over() {
    let keyring = Rc::new(Keyring::new(&["a-key-of-thirty-two-octets-at-least"]).unwrap());
    let process = process();
    let mut worker = Worker::new(&process);
    let answer_to = |worker: &mut Worker, number: u32| {
        let mut shared = question(&format!("q{number}"));
        shared.shared = Some(Rc::clone(&keyring));
        worker.request(number, &shared).unwrap();
        worker.tick();
        let call = sent(&process)[0].0;
        assert_eq!(worker.reply(call, ok("secret")).len(), 1);
    };
    let in_store = || {
        let names = process.store.names().into_iter();
        let answers = names.filter(|name| name.starts_with("bearer-gate answers"));
        let value = |name: String| process.store.read(&name).unwrap().0.len();
        // An empty drawer has the number of its format.
        answers.map(value).filter(|octets| *octets > 8).count()
    };
    // Each stays for a minute.
    for number in 0..9000 {
        answer_to(&mut worker, number);
    }
    process.pass(30 * SECOND);
    for number in 9000..9500 {
        answer_to(&mut worker, number);
    }
    assert_eq!(in_store(), 128);
    for (wait, left) in [
        (29 * SECOND, 128),
        (SECOND, 128),
        (29 * SECOND, 128),
        (2 * SECOND, 0),
    ] {
        process.pass(wait);
        worker.tick();
        let some = in_store();
        assert!(
            some <= left && (left == 0 || some > 100),
            "{some} of {left}"
        );
    }
}

#[test]
fn only_the_endpoint_that_fails_gets_a_rest() {
    let process = process();
    let mut worker = Worker::new(&process);
    let mut calls = 0;
    for context in 0..600 {
        let _ = worker.request(context, &question(&format!("q{context}")));
        worker.tick();
        for (call, _) in sent(&process) {
            calls += 1;
            worker.reply(call, status(503));
        }
        process.pass(100);
    }
    assert!((5..15).contains(&calls), "{calls} calls in a minute");
    let refused = worker.request(1000, &question("q"));
    assert!(
        matches!(refused, Err(Outcome::Unavailable(1..=60))),
        "{refused:?}"
    );
    let other = question_at("userinfo endpoint", "q");
    worker.request(1001, &other).unwrap();
    worker.tick();
    let call = sent(&process)[0].0;
    assert_eq!(worker.reply(call, ok("")), [(1001, answered(""))]);
    // One good answer shows that the endpoint is well again.
    process.pass(2 * MINUTE);
    for context in 2000..2003 {
        worker
            .request(context, &question(&format!("q{context}")))
            .unwrap();
    }
    worker.tick();
    let probe = sent(&process);
    assert_eq!(probe.len(), 1);
    worker.reply(probe[0].0, ok(""));
    assert_eq!(sent(&process).len(), 2);
}

#[test]
fn a_late_answer_is_dropped() {
    let process = process();
    let mut worker = Worker::new(&process);
    worker.request(1, &once("a")).unwrap();
    worker.tick();
    let call = sent(&process)[0].0;
    assert_eq!(worker.desk.most(call), Some(1000));
    process.pass(5600);
    assert_eq!(worker.tick(), [(1, Outcome::Unclear)]);
    assert_eq!(worker.desk.most(call), None, "not even read");
    assert!(worker.reply(call, ok("late")).is_empty());
    assert_eq!(worker.request(2, &once("a")), Err(Outcome::Unclear));
}

#[test]
fn no_request_waits_longer_than_two_calls_can_take() {
    let process = process();
    let mut worker = Worker::new(&process);
    worker.request(1, &question("a")).unwrap();
    let start = process.now.get();
    let mut outcomes = Vec::new();
    while outcomes.is_empty() {
        process.pass(10);
        outcomes = worker.tick();
        assert!(process.now.get() - start <= 12_100, "waits on");
    }
    assert!(
        matches!(outcomes[..], [(1, Outcome::Unavailable(_))]),
        "{outcomes:?}"
    );
}

#[test]
fn a_worker_that_is_replaced_gives_up_its_calls() {
    let process = process();
    let mut worker = Worker::new(&process);
    worker.request(1, &question("a")).unwrap();
    worker.tick();
    worker.desk.abandon(&worker.host, worker.host.monotonic());
    assert_eq!(process.count_of("bearer_gate.waiting"), 0);
    let call = sent(&process)[0].0;
    assert_eq!(worker.desk.most(call), None);
    assert!(worker.desk.book().is_empty());
}

#[test]
fn the_line_the_book_and_the_calls_are_bounded() {
    let process = process();
    let mut worker = Worker::with_room_for(&process, 100_000);
    let mut waiting = 0;
    for context in 0..5000 {
        match worker.request(context, &question(&format!("q{context}"))) {
            Ok(_) => waiting += 1,
            Err(outcome) => assert_eq!(outcome, NOTHING),
        }
    }
    assert_eq!(waiting, MOST_QUESTIONS);
    worker.tick();
    let mut calls = sent(&process);
    assert_eq!(calls.len(), MOST_CALLS);
    // Each answer makes room for the next call, and in the end every request has its answer.
    let mut done = 0;
    while let Some((call, _)) = calls.pop() {
        done += worker.reply(call, ok("answer")).len();
        calls.extend(sent(&process));
        assert!(calls.len() <= MOST_CALLS);
    }
    assert_eq!(done, MOST_QUESTIONS);
    // New answers take the place of the oldest.
    worker.request(1, &question("new")).unwrap();
    assert_eq!(worker.desk.book().len(), MOST_QUESTIONS);
    assert_eq!(
        worker.request(2, &question("q4095")),
        Err(answered("answer"))
    );
    worker.request(2, &question("q0")).unwrap();

    let mut worker = Worker::with_room_for(&process, 2);
    worker.request(1, &question("a")).unwrap();
    worker.request(2, &question("a")).unwrap();
    assert_eq!(worker.request(3, &question("a")), Err(NOTHING));
}

#[test]
fn answers_are_bounded_in_octets_and_no_awaited_one_is_dropped() {
    let process = process();
    let mut worker = Worker::new(&process);
    let large = |about: &str| {
        let mut question = question(about);
        question.call.most = MOST_OCTETS / 4;
        question
    };
    let body = "x".repeat(MOST_OCTETS / 4);
    // There is room for three answers with their questions.
    for context in 0..5 {
        worker
            .request(context, &large(&format!("q{context}")))
            .unwrap();
    }
    worker.tick();
    let calls = sent(&process);
    assert_eq!(calls.len(), 3);
    assert!(worker.desk.book().octets() <= MOST_OCTETS);
    let mut done = Vec::new();
    for (call, _) in calls {
        for (context, outcome) in worker.reply(call, ok(&body)) {
            assert_eq!(outcome, answered(&body));
            done.push(context);
        }
        assert!(worker.desk.book().octets() <= MOST_OCTETS);
    }
    // An answer that no request waits for made room.
    worker.tick();
    for (call, _) in sent(&process) {
        done.extend(
            worker
                .reply(call, ok(&body))
                .iter()
                .map(|(context, _)| *context),
        );
    }
    assert_eq!(done, [0, 1, 2, 3, 4]);
    assert!(worker.desk.book().octets() <= MOST_OCTETS);
}
