//! `explain --log`: from a line to its reason, and to what can be done.

use super::{run, run_with};

const LINE: &str = r#"{"time":"2026-11-26T10:00:00Z","method":"GET","status":401,"reason":"expired","subject":null}"#;

#[test]
fn a_line_of_a_log_is_explained() {
    for line in [
        LINE,
        "wasm log bearer-gate bearer-gate: rejected: expired",
        r#"{"error":"invalid_token","error_description":"Jwt is expired"}"#,
        "expired",
    ] {
        for ran in [
            run(&["explain", "--log", line]),
            run_with(&["explain", "--log", "-"], line),
        ] {
            assert_eq!(ran.code, 0, "{line}: {}", ran.err);
            for told in [
                "expired\n",
                "text: Jwt is expired",
                "the client: get a new token",
                "the operator: if tokens are new, set the gateway's clock",
                "more: docs/keys.md#clocks",
            ] {
                assert!(ran.out.contains(told), "{line}: {told}: {}", ran.out);
            }
        }
    }
}

/// What an alert says is enough, by its name or as it was sent.
#[test]
fn an_alert_is_explained() {
    let sent = "[FIRING:1] (critical)\nRequests get 503 because a provider's keys cannot be had\nSee which provider";
    for text in [
        "BearerGateNoKeys",
        "alertname=BearerGateNoKeys, job=envoy",
        sent,
    ] {
        let ran = run_with(&["explain", "--log", "-"], text);
        assert_eq!(ran.code, 0, "{text}: {}", ran.err);
        for told in [
            "BearerGateNoKeys\n",
            "first: curl -s 'http://127.0.0.1:9901/stats?filter=bearer_gate.jwks'",
            "the provider has never answered",
            "more: docs/operating.md#bearergatenokeys",
        ] {
            assert!(ran.out.contains(told), "{text}: {told}: {}", ran.out);
        }
        let report = run_with(&["explain", "--log", "-", "--json"], text).json();
        assert_eq!(report[0]["alert"], "BearerGateNoKeys");
    }
    assert_eq!(run(&["explain", "--log", "BearerGateNobody"]).code, 2);
}

/// A log is read whole, and each reason is told once.
#[test]
fn each_reason_of_a_log_is_told_once() {
    let other = LINE.replace("expired", "no_rule");
    let passed = r#"{"status":200,"reason":null}"#;
    let log = format!("start\n{LINE}\n{other}\n{passed}\n\u{1b}[2J\n{LINE}\n");
    let ran = run_with(&["explain", "--log", "-"], &log);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for told in ["expired (2 lines)", "no_rule\n", "not rejected"] {
        assert_eq!(ran.out.matches(told).count(), 1, "{told}: {}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}'), "{}", ran.out);
    let report = run_with(&["explain", "--log", "-", "--json"], &log).json();
    let rows = report.as_array().unwrap();
    assert_eq!(rows.len(), 3, "{report}");
    assert_eq!(rows[0]["reason"], "expired");
    assert_eq!(rows[0]["lines"], 2);
    assert_eq!(rows[0]["advice"]["page"], "docs/keys.md#clocks");
    assert!(rows[2]["reason"].is_null() && rows[2]["told"].is_string());
}

/// What another filter, Envoy or the upstream refuses.
#[test]
fn a_rejection_of_somebody_else_is_said_to_be_one() {
    const PAGE: &str = "docs/troubleshooting.md#not-every-rejection-is-bearer-gates";
    for (line, told) in [
        (
            "GET /api 403 rbac_access_denied_matched_policy[none]",
            "RBAC",
        ),
        (
            "rbac_access_denied_matched_policy[none]",
            "the operator: compare what its policies look at",
        ),
        ("RBAC: access denied", "the filter has let it through"),
        (
            r#"{"status": 401, "reason": null}"#,
            "another filter, Envoy or the upstream",
        ),
        ("GET /api 401 via_upstream", "the upstream gave this answer"),
    ] {
        let ran = run(&["explain", "--log", line]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        for told in ["not bearer-gate's", told, PAGE] {
            assert!(ran.out.contains(told), "{told}: {}", ran.out);
        }
        let report = run(&["explain", "--log", line, "--json"]).json();
        assert_eq!(report[0]["page"], PAGE);
    }
    let ran = run(&["explain", "--log", "HTTP/1.1 401 Unauthorized"]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(ran.err.contains(PAGE), "{}", ran.err);
}

#[test]
fn a_line_without_a_reason_is_said_to_be_one() {
    for line in ["", "[critical][main] the type of the subject", "\u{1b}[2J"] {
        let ran = run(&["explain", "--log", line]);
        assert_eq!(ran.code, 2, "{line}: {}", ran.out);
        assert!(ran.err.contains("no reason of bearer-gate"), "{}", ran.err);
        assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    }
    // A line is no request.
    let ran = run(&["explain", "--log", "expired", "--token", "x"]);
    assert_eq!(ran.code, 2, "{}", ran.out);
}

/// What stops whoever sets it up is no reason of a rejection, and told all the same.
#[test]
fn what_envoy_and_the_filter_say_otherwise_is_told() {
    for (line, told) in [
        (
            "upstream connect error or disconnect/reset before headers. reset reason: remote connection failure",
            "what to do: start the API",
        ),
        ("no healthy upstream", "docs/your-api.md#in-ten-minutes"),
        (
            "error `cannot bind '127.0.0.1:9901': Address already in use` initializing config",
            "another program has this port",
        ),
        (
            "unable to bind domain socket with base_id=0, id=0, errno=98 (see --base-id option)",
            "another Envoy runs on this machine",
        ),
        (
            "Invalid path: target/wasm32-wasip1/release/bearer_gate.wasm",
            "make build",
        ),
        (
            "wasm log bearer-gate: provider auth0: fetching keys failed (1 in a row): \"https://i.example/k\" by cluster auth1: the call was refused: is the cluster defined and has it hosts?",
            "no cluster of this name",
        ),
        (
            "wasm log bearer-gate: scheme web: the provider refused: invalid_client",
            "the client's secret",
        ),
        (
            "This sign-in took too long, or began in another browser or at another address.",
            "`127.0.0.1` is not `localhost`",
        ),
        (
            "wasmcustom.bearer_gate.sign_in.failed.unknown_host: 1",
            "the request's host is not in allowed_redirect_domains",
        ),
    ] {
        let ran = run(&["explain", "--log", line]);
        assert_eq!(ran.code, 0, "{line}: {}", ran.err);
        assert!(ran.out.contains(told), "{line}: {}", ran.out);
        assert!(ran.out.contains("more: docs/"), "{line}: {}", ran.out);
        let report = run(&["explain", "--log", line, "--json"]).json();
        assert_eq!(report[0]["lines"], 1, "{report}");
        assert!(report[0]["page"].is_string(), "{report}");
    }
    // what a client wrote into an access log is no line of Envoy's
    let logged = r#"{"status":200,"reason":null,"path":"/?q=no healthy upstream"}"#;
    let ran = run(&["explain", "--log", logged]);
    assert!(ran.out.starts_with("not rejected"), "{}", ran.out);
}
