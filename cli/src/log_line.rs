//! `explain --log`: from a line of a log to the reason in it, and to what can be done.
//!
//! A line of an access log in JSON, a line of Envoy's log, a fixed text that a client got, the
//! name of a metric, or of an alert; also what stops whoever sets it up.
//!
//! Invariant: a reason is only read where it is told apart from other words. `critical` is a reason,
//! and a level of Envoy's log.

use std::process::ExitCode;

use anstream::println;
use bearer_gate::http::response::Rejection;
use serde_json::{Value, json};

use crate::advice::{self, Advice};
use crate::alert::{self, Alert};
use crate::command_error::{CommandError, exit};
use crate::output::{DIM, HEAD, escaped, styled};
use crate::sign_in_reason::{self, SignInReason};

mod known;

use known::Known;

/// What may stand before a reason: in Envoy's log, in metrics, in `key=value` logs.
const BEFORE: [&str; 9] = [
    "\"reason\":\"",
    "\"reason\": \"",
    "rejected: ",
    "denied.",
    "reported.",
    "reason=\"",
    "reason=",
    "reason: ",
    "x-bearer-gate-report: ",
];

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Reason(&'static str),
    /// One of the alerts that watch the filter.
    Alert(&'static Alert),
    /// A sign-in that failed, or a refresh.
    SignIn(SignInReason),
    /// Something else than a rejection.
    Known(&'static Known),
    /// A line of a request that the filter did not reject, and what it was.
    Other(&'static str),
    /// A rejection by somebody else: by whom, and what to do where more is known than the page says.
    Elsewhere(&'static str, Option<&'static str>),
    Nothing,
}

/// Where rejections of others are.
const PAGE: &str = "docs/troubleshooting.md#not-every-rejection-is-bearer-gates";

/// Who else rejects requests, by a word in the line (`%RESPONSE_CODE_DETAILS%`).
const REJECTING: [(&str, &str); 18] = [
    (
        "jwt_authn_access_denied",
        "Envoy's own jwt_authn refuses this request: it is in the chain too",
    ),
    ("ext_authz_denied", EXT_AUTHZ),
    ("ext_proc_error", "the service of ext_proc cannot be asked"),
    (
        "csrf_origin_mismatch",
        "Envoy's csrf filter refuses the origin of this request",
    ),
    ("request_rate_limited", RATE_LIMIT),
    ("local_rate_limited", RATE_LIMIT),
    (
        "fault_filter_abort",
        "Envoy's fault filter gives this answer",
    ),
    ("lua_response", "a Lua filter gives this answer"),
    ("no_credential_for_basic_auth", BASIC_AUTH),
    ("invalid_credential_for_basic_auth", BASIC_AUTH),
    (
        "oauth.missing_credentials",
        "Envoy's own oauth2 refuses this request: it is in the chain too",
    ),
    (
        "upgrade_failed",
        "Envoy takes no such upgrade: a WebSocket needs upgrade_configs",
    ),
    ("http1.unexpected_underscore", UNDERSCORE),
    ("http2.unexpected_underscore", UNDERSCORE),
    (
        "path_normalization_failed",
        "Envoy refuses the path of this request",
    ),
    (
        "missing_host_header",
        "the request has no Host, and Envoy refuses it",
    ),
    (
        "request_payload_too_large",
        "the body is larger than Envoy's buffers, or than a filter takes",
    ),
    (
        "no_healthy_upstream",
        "Envoy has no upstream that it may ask: the filter let the request through",
    ),
];
/// What RBAC says of its refusals, in the details and as the body of its answer.
const RBAC_DETAILS: &str = "rbac_access_denied_matched_policy[";
const RBAC_BODY: &str = "RBAC: access denied";
const RBAC_NONE: &str =
    "Envoy's RBAC filter refuses this request: none of its ALLOW policies is for it";
const RBAC_POLICY: &str = "Envoy's RBAC filter refuses this request: the DENY policy whose name is in the brackets is for it";
const RBAC: &str = "Envoy's RBAC filter refuses this request, and the filter has let it through where it stands before: the access log's %RESPONSE_CODE_DETAILS% has the policy, or none where no ALLOW policy is for it";
/// What to do about all three.
const RBAC_ADVICE: &str = "compare what its policies look at with the request. bearer-gate tells of a token by claim_to_headers and by filter state (wasm.NAME): a policy that looks at the metadata of jwt_authn, or at request.auth in Istio, finds nothing, and `bearer-gate check` names it. `curl -X POST 'http://127.0.0.1:9901/logging?rbac=debug'` has Envoy log what RBAC compares";
const BASIC_AUTH: &str = "Envoy's basic_auth refuses this request: it is in the chain too";
const EXT_AUTHZ: &str = "the service of ext_authz refuses this request, or cannot be asked";
const RATE_LIMIT: &str = "a rate limit of Envoy's refuses this request";
const UNDERSCORE: &str =
    "a header with an underscore, which Envoy refuses (headers_with_underscores_action)";

/// Where a request's answer came from if it was not rejected by the filter, by a word in the line
/// (`%RESPONSE_CODE_DETAILS%`).
const OTHERS: [(&str, &str); 5] = [
    (
        "via_upstream",
        "the upstream gave this answer: the filter let the request through",
    ),
    (
        "wasm_fail_stream",
        "the VM of a Wasm filter has crashed or did not start: Envoy's log says why",
    ),
    (
        "route_not_found",
        "Envoy has no route for this request: the filter let it through",
    ),
    (
        "cluster_not_found",
        "Envoy has no cluster for this route: the filter let the request through",
    ),
    (
        "direct_response",
        "a route of Envoy's gives this answer itself",
    ),
];

/// Prints what lines say, each reason once with the number of its lines.
pub(crate) fn explain(text: &str, as_json: bool) -> Result<ExitCode, CommandError> {
    let mut found: Vec<(Told, usize)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let told = read(line);
        if told == Told::Nothing {
            continue;
        }
        match found.iter_mut().find(|(known, _)| *known == told) {
            Some((_, lines)) => *lines += 1,
            None => found.push((told, 1)),
        }
    }
    // what else an alert's text says is about it: `critical` is its severity
    let is_alert = |(told, _): &(Told, usize)| matches!(told, Told::Alert(_));
    if found.iter().any(is_alert) {
        found.retain(is_alert);
    }
    if found.is_empty() {
        return Err(CommandError::usage(format!(
            "no reason of bearer-gate is in it: give a line of the access log with `reason`, a line of Envoy's log, with rejections at debug level, the text that the client got, or the name of an alert. If it is a rejection, it may be another filter's, Envoy's or your API's, see {PAGE}"
        )));
    }
    if as_json {
        let found: Vec<Value> = found
            .iter()
            .map(|(told, lines)| to_json(told, *lines))
            .collect();
        println!("{}", escaped(&Value::from(found)));
    } else {
        for (told, lines) in &found {
            print(told, *lines);
        }
    }
    Ok(exit(true))
}

fn print(told: &Told, lines: usize) {
    let lines = match lines {
        1 => String::new(),
        more => format!(" ({more} lines)"),
    };
    match told {
        Told::Reason(reason) => {
            println!("{}{lines}", styled(HEAD, reason));
            if let Some((_, text)) = Rejection::texts().find(|(known, _)| known == reason) {
                println!("    {}: {text}", styled(DIM, "text"));
            }
            if let Some(advice) = advice::of(reason) {
                advice.print();
            }
        }
        Told::Alert(alert) => alert.print(&lines),
        Told::SignIn(reason) => reason.print(&lines),
        Told::Known(known) => known.print(&lines),
        Told::Other(what) => println!("{}{lines}: {what}", styled(HEAD, "not rejected")),
        Told::Elsewhere(what, advice) => {
            println!("{}{lines}: {what}", styled(HEAD, "not bearer-gate's"));
            if let Some(advice) = advice {
                println!("    {}: {advice}", styled(DIM, "the operator"));
            }
            println!("    {}: {PAGE}", styled(DIM, "more"));
        }
        Told::Nothing => {}
    }
}

fn to_json(told: &Told, lines: usize) -> Value {
    match told {
        Told::Reason(reason) => {
            let mut texts = Rejection::texts();
            let text = texts
                .find(|(known, _)| known == reason)
                .map(|(_, text)| text);
            let advice = advice::of(reason).map(Advice::to_json);
            json!({"reason": reason, "lines": lines, "text": text, "advice": advice})
        }
        Told::Alert(alert) => alert.to_json(lines),
        Told::SignIn(reason) => reason.to_json(lines),
        Told::Known(known) => known.to_json(lines),
        Told::Other(what) => json!({"reason": null, "lines": lines, "told": what}),
        Told::Elsewhere(what, advice) => {
            json!({"reason": null, "lines": lines, "told": what, "operator": advice, "page": PAGE})
        }
        Told::Nothing => Value::Null,
    }
}

fn read(line: &str) -> Told {
    if let Some(alert) = alert::find(line) {
        return Told::Alert(alert);
    }
    let json = serde_json::from_str::<Value>(line.trim()).ok();
    // As in the access log of docs/observability.md, which has other texts that clients choose.
    let member = json.as_ref().and_then(|json| json.get("reason"));
    let is_none = match member {
        Some(Value::Null) => true,
        Some(Value::String(text)) => matches!(text.as_str(), "" | "-"),
        _ => false,
    };
    // At its start Envoy lists its filters, with names such as envoy.filters.network.direct_response.
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.".contains(c);
    let is_there = |name: &str| line.split(|c| !is_part(c)).any(|word| word == name);
    if let Some(reason) = sign_in_reason::find(line) {
        return Told::SignIn(reason);
    }
    let named = member.and_then(Value::as_str).and_then(whole);
    if let Some(reason) = named.or_else(|| in_details(line)) {
        return Told::Reason(reason);
    }
    if let Some(what) = by_rbac(line) {
        return Told::Elsewhere(what, Some(RBAC_ADVICE));
    }
    if let Some((_, what)) = REJECTING.iter().find(|(name, _)| is_there(name)) {
        return Told::Elsewhere(what, None);
    }
    if let Some(known) = known::find(line).filter(|_| member.is_none()) {
        return Told::Known(known);
    }
    if let Some(reason) = find(line).filter(|_| !is_none) {
        return Told::Reason(reason);
    }
    let is_rejection = status(json.as_ref(), line).is_some_and(|status| status >= 400);
    match OTHERS.iter().find(|(name, _)| is_there(name)) {
        Some((_, what)) if is_rejection => Told::Elsewhere(what, None),
        Some((_, what)) => Told::Other(what),
        None if is_none && is_rejection => Told::Elsewhere(
            "the filter has no reason against it: another filter, Envoy or the upstream gives this answer",
            None,
        ),
        None if is_none => Told::Other("the filter has no reason against it"),
        None => Told::Nothing,
    }
}

/// What a refusal of RBAC is: by a policy, or for want of one.
fn by_rbac(line: &str) -> Option<&'static str> {
    match line.split_once(RBAC_DETAILS) {
        Some((_, policy)) if policy.starts_with("none]") => Some(RBAC_NONE),
        Some(_) => Some(RBAC_POLICY),
        None if line.contains(RBAC_BODY) => Some(RBAC),
        None => None,
    }
}

/// The status of the answer that a line of an access log is of.
fn status(json: Option<&Value>, line: &str) -> Option<u16> {
    let of = |text: &str| {
        let is_status = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| is_status)
    };
    let Some(json) = json else {
        return line.split_whitespace().find_map(of);
    };
    let names = ["status", "response_code", "code"];
    let found = names.iter().find_map(|name| json.get(name))?;
    of(found
        .as_str()
        .map_or_else(|| found.to_string(), str::to_owned)
        .as_str())
}

/// A text that is the name of a reason.
fn whole(text: &str) -> Option<&'static str> {
    let mut known = Rejection::texts();
    Some(known.find(|(reason, _)| *reason == text.trim())?.0)
}

/// The reason in a text: alone, after what stands before reasons, as its fixed text, or as a word that
/// nothing else has.
fn find(text: &str) -> Option<&'static str> {
    whole(text)
        .or_else(|| BEFORE.iter().find_map(|before| after(text, before)))
        .or_else(|| by_text(text))
        .or_else(|| {
            words(text)
                .filter(|word| word.contains('_'))
                .find_map(whole)
        })
        .or_else(|| only_word(text))
}

/// The reason that stands after one of these.
fn after(text: &str, before: &str) -> Option<&'static str> {
    let mut rest = text.split(before).skip(1);
    rest.find_map(|rest| {
        let word = words(rest).next()?;
        rest.starts_with(word).then(|| whole(word)).flatten()
    })
}

/// The reason in response code details, which begin with the filter's name and have no white space.
fn in_details(text: &str) -> Option<&'static str> {
    let mut ours = text
        .split_whitespace()
        .filter_map(|word| Some(word.split_once("bearer_gate")?.1));
    ours.find_map(|rest| words(rest).find_map(|word| whole(word.trim_start_matches('_'))))
}

/// The reason whose text is there. One text may begin as another does: the longest counts.
fn by_text(text: &str) -> Option<&'static str> {
    let known = Rejection::texts().filter(|(_, known)| text.contains(known));
    Some(known.max_by_key(|(_, known)| known.len())?.0)
}

/// A reason that is a common word counts where it is the only one in a short text.
fn only_word(text: &str) -> Option<&'static str> {
    /// Words of a text that somebody writes by hand.
    const FEW: usize = 4;
    if words(text).count() > FEW {
        return None;
    }
    let mut reasons = words(text).filter_map(whole);
    let only = reasons.next()?;
    reasons.next().is_none().then_some(only)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(move |c| !is_part(c))
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_filters_are_no_answers() {
        let started =
            "[info][main] envoy.filters.network.direct_response, envoy.filters.network.rbac";
        assert_eq!(read(started), Told::Nothing);
        let answered = "GET /healthz 200 direct_response 0";
        assert!(matches!(read(answered), Told::Other(_)));
    }

    #[test]
    fn finds_the_reason_in_a_line() {
        let table = [
            // the access log of docs/observability.md
            (
                r#"{"time":"2026-11-26T10:00:00Z","method":"GET","status":401,"reason":"expired","provider":null}"#,
                "expired",
            ),
            (r#"{"status":401,"reason":"type","kid":"critical"}"#, "type"),
            // with what a collector of logs puts before it
            (
                r#"envoy-7d4 stdout F {"path":"/?x=no_key","status":401,"reason":"expired"}"#,
                "expired",
            ),
            // %RESPONSE_CODE_DETAILS%
            ("GET /api 401 bearer_gate.no_key 0 12", "no_key"),
            ("details=bearer_gate{signature}", "signature"),
            ("GET / 401 bearer_gate_denied{expired} 0", "expired"),
            (
                r#"{"status":403,"details":"bearer_gate_no_rule"}"#,
                "no_rule",
            ),
            // the log of Envoy
            (
                "[2026-11-26 10:00:00.000][12][debug][wasm] [source/x.cc:1] wasm log bearer-gate bearer-gate: rejected: issuer",
                "issuer",
            ),
            (
                "[2026-11-26 10:00:00.000][12][critical][wasm] wasm log: would be rejected: claim_rule",
                "claim_rule",
            ),
            // metrics
            ("wasmcustom.bearer_gate.denied.kid: 4", "kid"),
            ("bearer_gate_denied{reason=\"audience\"} 3", "audience"),
            ("x-bearer-gate-report: lifetime", "lifetime"),
            // a body, a challenge, a text
            (
                r#"{"error":"invalid_token","error_description":"Jwt is expired"}"#,
                "expired",
            ),
            (
                r#"www-authenticate: Bearer realm="api", error="invalid_token", error_description="Jwt verification fails""#,
                "signature",
            ),
            ("Jwt payload [iss] field is required", "no_issuer"),
            ("Jwks remote fetch is failed", "keys_unavailable"),
            // a word
            ("expired", "expired"),
            (" too_many_waiting\n", "too_many_waiting"),
            ("why signer?", "signer"),
            (
                "seen in the dashboard of last night: no_rule, many times",
                "no_rule",
            ),
        ];
        for (line, expected) in table {
            assert_eq!(read(line), Told::Reason(expected), "{line}");
        }
        for (line, expected) in [
            (
                "GET / 403 rbac_access_denied_matched_policy[none] 0",
                "none of its ALLOW policies",
            ),
            (
                "rbac_access_denied_matched_policy[ns[edge]-policy[no-admin]-rule[0]]",
                "the DENY policy",
            ),
            (
                r#"{"status":403,"body":"RBAC: access denied"}"#,
                "the filter has let it through",
            ),
            (
                r#"{"status":401,"details":"jwt_authn_access_denied{Jwt_is_expired}"}"#,
                "jwt_authn",
            ),
            (
                r#"{"status":401,"reason":null,"details":"jwt_authn_access_denied{Jwt is expired}"}"#,
                "jwt_authn",
            ),
            (r#"{"status":"401","reason":"-"}"#, "or the upstream gives"),
            ("GET / 401 via_upstream - 0", "the upstream gave"),
            (
                r#"{"response_code":403,"details":"via_upstream"}"#,
                "the upstream gave",
            ),
            ("GET / 503 - wasm_fail_stream", "has crashed"),
            ("GET / 404 route_not_found", "no route"),
        ] {
            let Told::Elsewhere(what, _) = read(line) else {
                panic!("{line}");
            };
            assert!(what.contains(expected), "{line}: {what}");
        }
        for (line, expected) in [
            (r#"{"status":200,"reason":null}"#, "no reason against it"),
            (r#"{"status":200,"reason":"-"}"#, "no reason against it"),
            (
                r#"{"status":200,"reason":null,"path":"/no_rule?reason=expired"}"#,
                "no reason against it",
            ),
            ("wasm_fail_stream", "has crashed"),
            ("GET / 200 via_upstream", "the upstream gave"),
        ] {
            let Told::Other(what) = read(line) else {
                panic!("{line}");
            };
            assert!(what.contains(expected), "{line}: {what}");
        }
        for line in [
            "",
            "nothing of ours",
            // words that every log has
            "[2026-11-26 10:00:00.000][12][critical][main] the type of the subject: signature expired",
            "expired signature",
            "[2026-11-26 10:00:00.000][12][critical][main] initializing epoch 0",
            "HTTP/1.1 401 Unauthorized",
            "rejected: unknown_word",
            "{\"reason\": 5}",
        ] {
            assert_eq!(read(line), Told::Nothing, "{line}");
        }
    }

    #[test]
    fn every_reason_and_every_text_is_found() {
        for (reason, text) in Rejection::texts() {
            for line in [
                reason.to_owned(),
                text.to_owned(),
                format!("[debug][wasm] wasm log bearer-gate: rejected: {reason}"),
                json!({"error_description": text}).to_string(),
            ] {
                assert_eq!(read(&line), Told::Reason(reason), "{line}");
            }
        }
    }
}
