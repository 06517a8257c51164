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
