//! Hosts that do not keep to the ABI. Each row says what the host does otherwise, and what comes of it.

use bearer_gate_hosts::deviant::{Deviation, Process, Worker, functions};
use bearer_gate_hosts::token::{RS256, RS256_B, bearer, claims, now};
use bearer_gate_hosts::{Headers, Outcome, get};
use serde_json::{Value, json};

use crate::{local, remote, set, sign_in};

use Deviation::*;

/// A request with this value for `authorization`.
fn with(token: &str) -> Headers {
    get("/", &[("authorization", token)])
}

/// Requests that no worker may let through.
fn bad() -> Vec<Headers> {
    let expired = |more: Value| {
        let mut patch = json!({"exp": now() - 3600});
        patch
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        bearer(&patch)
    };
    let unknown = format!("Bearer {}", RS256_B.token(&claims(&json!({}))));
    let good = bearer(&json!({}));
    let (input, _) = good.rsplit_once('.').unwrap();
    let mut posted = get("/write", &[]);
    posted[0].1 = "POST".to_owned();
    vec![
        get("/", &[]),
        get("/admin", &[("authorization", &good)]),
        posted,
        with(&expired(json!({}))),
        with(&expired(json!({"nbf": null, "iat": null}))),
        with(&format!("{input}.{}", "A".repeat(342))),
        with(&unknown),
        with("Bearer x"),
    ]
}

/// What is right at all times, whatever the host does: nothing bad passes, and what passes carries no
/// forged header. An error: the trap.
fn try_worker(worker: &mut Worker, what: &str) -> Result<u32, String> {
    let good = bearer(&json!({}));
    let forged = [("x-user", "admin"), ("authorization", good.as_str())];
    let waits = worker.request(get("/", &forged))?;
    for headers in bad() {
        let outcome = worker.ask(headers.clone())?;
        assert!(
            !matches!(outcome, Outcome::Passes(_)),
            "{what}: {headers:?}"
        );
    }
    for _ in 0..3 {
        worker.tick()?;
        if !worker.calls().is_empty() {
            worker.answer("200", &set())?;
        }
        worker.tick()?;
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    for headers in bad() {
        let outcome = worker.ask(headers.clone())?;
        assert!(
            !matches!(outcome, Outcome::Passes(_)),
            "{what}: {headers:?}"
        );
    }
    let outcome = worker.outcome(waits);
    if let Outcome::Passes(headers) = &outcome {
        assert!(
            headers.iter().all(|(_, value)| value != "admin"),
            "{what}: {headers:?}"
        );
    }
    worker.end(waits)?;
    Ok(outcome.status())
}

/// What comes of a good request.
fn good(
    configuration: &Value,
    function: &'static str,
    deviation: Deviation,
) -> (Result<u32, String>, Vec<String>) {
    let process = Process::new(vec![(function, deviation)]);
    let what = format!("{function} {deviation:?}");
    let worker = process.worker(configuration);
    let outcome = worker.and_then(|mut worker| try_worker(&mut worker, &what));
    (outcome, process.log())
}

#[test]
fn a_host_that_keeps_to_the_abi() {
    for configuration in [local(), remote()] {
        let process = Process::default();
        let mut worker = process.worker(&configuration).unwrap();
        assert_eq!(try_worker(&mut worker, "as it says"), Ok(200));
        assert_eq!(
            process
                .log()
                .iter()
                .filter(|line| line.contains("the host"))
                .count(),
            1,
            "{:?}",
            process.log()
        );
    }
}

/// Whatever a function answers, but for what the standard library needs of WASI.
#[test]
fn no_status_of_any_function_traps_or_lets_something_bad_through() {
    const STANDARD: [&str; 5] = [
        "random_get",
        "clock_time_get",
        "environ_get",
        "environ_sizes_get",
        "proc_exit",
    ];
    let mut tried = 0;
    for function in functions() {
        if STANDARD.contains(&function.as_str()) {
            continue;
        }
        let function: &'static str = function.leak();
        // 0: it says that it has done it, and has not.
        for status in (0..=12).chain([-1, 77]) {
            for configuration in [local(), remote(), sign_in::configuration()] {
                let (outcome, log) = good(&configuration, function, Status(status));
                let refused = outcome == Err("the configuration is refused".to_owned());
                assert!(
                    outcome.is_ok() || refused,
                    "{function} {status}: {outcome:?}"
                );
                assert!(
                    !refused || function == "proxy_get_buffer_bytes",
                    "{function} {status}: {log:?}"
                );
                tried += 1;
            }
        }
    }
    println!("figure: {tried} hosts that refuse a function");
}

#[test]
fn what_cannot_work_is_switched_off_and_told_once() {
    // function, what it does, configuration, what comes of a good request, what is logged once
    let table: Vec<(&'static str, Deviation, Value, u32, &str)> = vec![
        (
            "proxy_get_log_level",
            Status(12),
            local(),
            200,
            "configured",
        ),
        ("proxy_log", Status(10), local(), 200, ""),
        (
            "proxy_define_metric",
            Status(1),
            local(),
            200,
            "keeps no metrics",
        ),
        ("proxy_increment_metric", Status(2), local(), 200, ""),
        ("proxy_record_metric", Status(12), remote(), 200, ""),
        (
            "proxy_call_foreign_function",
            Status(12),
            local(),
            200,
            "does not verify",
        ),
        (
            "proxy_call_foreign_function",
            Status(0),
            local(),
            200,
            "does not verify",
        ),
        (
            "proxy_set_tick_period_milliseconds",
            Status(12),
            local(),
            200,
            "has no ticks",
        ),
        // Shared data.
        (
            "proxy_set_shared_data",
            Status(10),
            remote(),
            200,
            "shares no data",
        ),
        (
            "proxy_get_shared_data",
            Status(10),
            remote(),
            200,
            "shares no data",
        ),
        (
            "proxy_set_shared_data",
            Forgets,
            remote(),
            200,
            "shares no data",
        ),
        (
            "proxy_set_shared_data",
            IgnoresVersions,
            remote(),
            200,
            "shares no data",
        ),
        ("proxy_set_shared_data", CreatesByZero, remote(), 200, ""),
        // A value that is created by any version is another worker's until its lease ends.
        ("proxy_set_shared_data", ZeroIsAny, remote(), 0, ""),
        // Calls.
        (
            "proxy_http_call",
            Status(2),
            remote(),
            503,
            "fetching keys failed",
        ),
        (
            "proxy_http_call",
            Status(12),
            remote(),
            503,
            "fetching keys failed",
        ),
        // A request that cannot be read or changed is refused.
        ("proxy_get_header_map_pairs", Status(2), local(), 503, ""),
        ("proxy_get_header_map_pairs", Capitals, local(), 200, ""),
        (
            "proxy_replace_header_map_value",
            Status(2),
            local(),
            503,
            "",
        ),
        ("proxy_remove_header_map_value", Status(2), local(), 503, ""),
        // One that waits and cannot be told apart is not let through.
        ("proxy_set_effective_context", Status(2), remote(), 0, ""),
        ("proxy_set_effective_context", Status(0), remote(), 0, ""),
        // The time.
        (
            "proxy_get_current_time_nanoseconds",
            Status(12),
            local(),
            401,
            "",
        ),
        (
            "proxy_get_current_time_nanoseconds",
            Time(0),
            local(),
            401,
            "",
        ),
        (
            "proxy_get_current_time_nanoseconds",
            Time(1_500_000_000_000_000_000),
            local(),
            401,
            "",
        ),
        ("clock_time_get", Time(0), remote(), 200, ""),
        ("random_get", Constant, remote(), 200, ""),
        // Properties of another host.
        ("proxy_get_property", Text("true"), local(), 200, ""),
        ("proxy_get_property", Status(10), local(), 200, ""),
    ];
    for (function, deviation, configuration, status, line) in table {
        let (outcome, log) = good(&configuration, function, deviation);
        let what = format!("{function} {deviation:?}: {log:#?}");
        assert_eq!(outcome, Ok(status), "{what}");
        if !line.is_empty() {
            let told = log.iter().filter(|known| known.contains(line)).count();
            assert_eq!(told, 1, "{line}: {what}");
        }
    }
}

/// Where the host refuses to tell requests apart, what is decided of one is not done to the other.
#[test]
fn what_is_decided_of_one_request_is_not_done_to_another() {
    let good = bearer(&json!({}));
    let (input, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{input}.{}", "A".repeat(342));
    for [first, second] in [[&good, &forged], [&forged, &good]] {
        let process = Process::new(vec![("proxy_set_effective_context", Once)]);
        let mut worker = process.worker(&remote()).unwrap();
        let waiting = [first, second].map(|token| worker.request(with(token)).unwrap());
        worker.tick().unwrap();
        worker.answer("200", &set()).unwrap();
        worker.tick().unwrap();
        let expected = if first == &good { 200 } else { 401 };
        assert_eq!(worker.outcome(waiting[0]).status(), expected);
        assert_eq!(worker.outcome(waiting[1]), Outcome::Waits);
    }
}

/// Nothing can be done about these: there is no worker, or there is none any more, and its host lets nothing
/// through without one.
#[test]
fn what_the_host_makes_impossible() {
    let table: [(&'static str, Deviation, &str); 5] = [
        ("proxy_get_log_level", OtherArity, "proxy_get_log_level"),
        ("proxy_call_foreign_function", Traps, "the host traps"),
        ("proxy_increment_metric", Traps, "the host traps"),
        ("clock_time_get", Status(58), "unreachable"),
        ("random_get", Status(58), "unreachable"),
    ];
    for (function, deviation, why) in table {
        let (outcome, _) = good(&remote(), function, deviation);
        let error = outcome.expect_err(function);
        assert!(error.contains(why), "{function} {deviation:?}: {error}");
    }
}

#[test]
fn nobody_signs_in_where_secrets_or_ends_of_sessions_are_not_safe() {
    let page = [
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-site", "none"),
    ];
    let table: Vec<(&'static str, Deviation, u32)> = vec![
        ("proxy_get_property", Status(1), 303),
        ("proxy_set_shared_data", CreatesByZero, 303),
        ("random_get", Constant, 503),
        ("proxy_set_shared_data", Status(10), 503),
        ("proxy_get_shared_data", Status(10), 503),
        ("proxy_set_shared_data", Forgets, 503),
        ("proxy_set_shared_data", IgnoresVersions, 503),
    ];
    for (function, deviation, status) in table {
        let process = Process::new(vec![(function, deviation)]);
        let mut worker = process.worker(&sign_in::configuration()).unwrap();
        let outcome = worker.ask(get("/page", &page)).unwrap();
        assert_eq!(
            outcome.status(),
            status,
            "{function} {deviation:?}: {outcome:?} {:?}",
            process.log()
        );
        // Nor are tokens taken: a cookie of a session could not be told from others, and would pass.
        let token = bearer(&json!({}));
        let expected = if status == 303 { 200 } else { 503 };
        let outcome = worker
            .ask(get("/api", &[("authorization", &token)]))
            .unwrap();
        assert_eq!(outcome.status(), expected, "{function} {deviation:?}");
    }
}

#[test]
fn requests_that_lack_what_every_request_has() {
    let token = bearer(&json!({}));
    let mut worker = Process::default().worker(&local()).unwrap();
    for lacking in [":method", ":path", ":scheme", ":authority"] {
        for (path, authorization) in [("/public", ""), ("/write", ""), ("/", token.as_str())] {
            let mut headers = get(path, &[("authorization", authorization)]);
            headers.retain(|(name, _)| name != lacking);
            let status = worker.ask(headers).unwrap().status();
            // A rule that asks for a method is not passed by in silence.
            let expected: &[u32] = match (lacking, path) {
                (":path", _) => &[400, 403, 404],
                (":method", "/write") => &[400],
                _ => &[200],
            };
            assert!(expected.contains(&status), "{lacking} {path}: {status}");
        }
    }
}

/// What the host calls for a context, or a call, that it has not told.
#[test]
fn calls_about_what_there_is_not() {
    let process = Process::default();
    let mut worker = process.worker(&remote()).unwrap();
    worker.answer("200", &set()).unwrap();
    worker.end(99).unwrap();
    // Ticks that never come leave a request waiting, and nothing passes.
    let waits = worker.request(with(&bearer(&json!({})))).unwrap();
    assert_eq!(worker.outcome(waits), Outcome::Waits);
    // Calls that are never answered: nothing passes, and no second call is made while the first may be.
    for _ in 0..50 {
        worker.tick().unwrap();
    }
    assert_eq!(worker.outcome(waits), Outcome::Waits);
    assert!(worker.calls().len() <= 1);
    let unknown = format!("Bearer {}", RS256.token(&claims(&json!({"aud": "other"}))));
    let other = worker.request(with(&unknown)).unwrap();
    for _ in 0..3 {
        worker.tick().unwrap();
        if !worker.calls().is_empty() {
            worker.answer("200", &set()).unwrap();
        }
    }
    assert_eq!(worker.outcome(waits).status(), 200);
    assert_eq!(worker.outcome(other).status(), 401);
}
