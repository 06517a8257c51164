//! Hosts that hand over maps of headers that are not well-formed. Nothing of such a map is believed.

use bearer_gate_hosts::deviant::{Deviation, Process, Worker};
use bearer_gate_hosts::lie::Lie;
use bearer_gate_hosts::token::bearer;
use bearer_gate_hosts::{Headers, Outcome, get};
use serde_json::{Value, json};

use crate::{local, remote, set, sign_in};

use Lie::*;

/// The map of a request's headers, by the ABI's number.
const REQUEST: u32 = 0;
/// That of the headers of an answer to a call.
const ANSWER: u32 = 6;

/// A request that passes where its headers are told as they are.
fn good() -> Headers {
    let token = bearer(&json!({}));
    get("/api", &[("authorization", &token), ("x-user", "admin")])
}

/// What can be said wrongly of a map of so many pairs and octets.
fn lies(pairs: usize, octets: usize) -> Vec<Lie> {
    let mut lies = vec![
        Garbage,
        Longer,
        OneLess,
        OneMore,
        Count(0),
        Count(0x1fff_ffff),
        // Eight times this is 8, in 32 bits.
        Count(0x2000_0001),
        Count(0x8000_0000),
        Count(u32::MAX),
    ];
    for text in 0..pairs * 2 {
        lies.extend([
            Length(text, 0x7fff_ffff),
            Length(text, u32::MAX),
            NoEnd(text),
        ]);
        if text % 2 == 0 {
            lies.extend([Shift(text), NoText(text)]);
        }
    }
    // No octets are a map without pairs.
    lies.extend((1..octets).map(Cut));
    lies
}

fn octets(headers: &Headers) -> usize {
    let lengths = headers.iter().map(|(name, value)| name.len() + value.len());
    4 + headers.len() * 10 + lengths.sum::<usize>()
}

/// A worker whose host tells one map so.
fn worker(configuration: &Value, map: u32, lie: Lie) -> Worker {
    let lies = ("proxy_get_header_map_pairs", Deviation::Lies(map, lie));
    let process = Process::new(vec![lies]);
    process.worker(configuration).unwrap()
}

#[test]
fn a_request_whose_headers_are_no_map_is_refused() {
    let mut open = local();
    open["unmatched"] = json!("allow");
    let good = good();
    let lies = lies(good.len(), octets(&good));
    for configuration in [local(), open, remote(), sign_in::configuration()] {
        // Whoever waits does so for keys: the map was believed.
        for lie in &lies {
            let mut worker = worker(&configuration, REQUEST, *lie);
            let outcome = worker.ask(good.clone());
            let outcome = outcome.unwrap_or_else(|trap| panic!("{lie:?}: {trap}"));
            assert_eq!(outcome.status(), 503, "{lie:?}: {outcome:?}");
            let details = &outcome.answer().details;
            assert!(details.contains("host_refused"), "{lie:?}: {details}");
        }
        let mut empty = worker(&configuration, REQUEST, Cut(0));
        let outcome = empty.ask(good.clone()).unwrap();
        assert!(matches!(outcome, Outcome::Answered(_)), "{outcome:?}");
    }
    println!("figure: {} maps of a request that are none", lies.len() * 4);
}

/// Keys that come with such headers are not taken, and nobody is let through by them.
#[test]
fn an_answer_whose_headers_are_no_map_brings_no_keys() {
    let status = vec![(":status".to_owned(), "200".to_owned())];
    let mut lies = lies(status.len(), octets(&status));
    lies.push(Cut(0));
    for lie in lies {
        let mut worker = worker(&remote(), ANSWER, lie);
        let waits = worker.request(good()).unwrap();
        worker.tick().unwrap();
        assert_eq!(worker.calls().len(), 1, "{lie:?}");
        let answered = worker.answer("200", &set());
        answered.unwrap_or_else(|trap| panic!("{lie:?}: {trap}"));
        worker.tick().unwrap();
        assert_eq!(worker.outcome(waits).status(), 503, "{lie:?}");
    }
}
