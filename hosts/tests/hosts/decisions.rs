use bearer_gate_hosts::library::Process;
use bearer_gate_hosts::token::{RS256, SIGNERS, bearer, claims, now};
use bearer_gate_hosts::{Outcome, get};
use serde_json::{Value, json};

use crate::local;

#[test]
fn requests_are_decided_as_in_envoy() {
    let mut worker = Process::default().worker(&local()).unwrap();
    let good = || bearer(&json!({}));
    let of = |patch: Value| bearer(&patch);
    let changed = |at: usize, octet: &str| {
        let mut token = good();
        token.replace_range(at..=at, octet);
        token
    };
    let signature_of_another = {
        let (input, _) = good()
            .rsplit_once('.')
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .unwrap();
        let other = of(json!({"sub": "eve"}));
        let (_, signature) = other.rsplit_once('.').unwrap();
        format!("{input}.{signature}")
    };
    // path, Authorization, status, reason
    let table: Vec<(&str, Option<String>, u32, &str)> = vec![
        ("/", Some(good()), 200, ""),
        ("/", None, 401, "token_missing"),
        ("/public", None, 200, ""),
        ("/public/../orders", None, 400, ""),
        ("/%70ublic", None, 200, ""),
        ("/", Some("Basic YTpi".to_owned()), 401, "token_missing"),
        ("/", Some("Bearer a.b".to_owned()), 401, ""),
        ("/", Some(signature_of_another), 401, "signature"),
        ("/", Some(changed(12, "+")), 401, ""),
        ("/", Some(of(json!({"exp": now() - 600}))), 401, "expired"),
        ("/", Some(of(json!({"exp": null}))), 401, ""),
        (
            "/",
            Some(of(json!({"nbf": now() + 600}))),
            401,
            "not_yet_valid",
        ),
        (
            "/",
            Some(of(json!({"iss": "https://evil.example/"}))),
            401,
            "",
        ),
        ("/", Some(of(json!({"aud": "other"}))), 401, "audience"),
        ("/admin", Some(good()), 403, "scope"),
        ("/admin", Some(of(json!({"scope": "admin"}))), 200, ""),
        ("/write", None, 200, ""),
    ];
    for (path, authorization, status, reason) in table {
        let headers: Vec<_> = authorization
            .iter()
            .map(|value| ("authorization", value.as_str()))
            .collect();
        let outcome = worker.ask(get(path, &headers));
        let what = format!("{path} {authorization:?} {outcome:?}");
        assert_eq!(outcome.status(), status, "{what}");
        if let Outcome::Answered(answer) = &outcome {
            assert!(answer.details.contains(reason), "{what}");
            let challenge = answer.header("www-authenticate");
            assert_eq!(challenge.is_some(), status != 503, "{what}");
        }
    }
}

#[test]
fn the_upstream_learns_what_is_true_alone() {
    let mut worker = Process::default().worker(&local()).unwrap();
    let token = bearer(&json!({}));
    for name in ["x-user", "X-User", "x_user"] {
        let forged = [(name, "admin"), ("authorization", token.as_str())];
        let outcome = worker.ask(get("/", &forged));
        let Outcome::Passes(headers) = &outcome else {
            panic!("{name}: {outcome:?}");
        };
        assert!(
            headers.iter().all(|(_, value)| value != "admin"),
            "{headers:?}"
        );
        assert_eq!(outcome.at_upstream("x-user"), Some("ada"));
        // And where no token is needed.
        let outcome = worker.ask(get("/public", &forged[..1]));
        assert_eq!(outcome.at_upstream(name), None, "{outcome:?}");
    }
}

#[test]
fn each_kind_of_key_signs_for_itself() {
    let mut worker = Process::default().worker(&local()).unwrap();
    for signer in SIGNERS {
        let token = format!("Bearer {}", signer.token(&claims(&json!({}))));
        let outcome = worker.ask(get("/", &[("authorization", &token)]));
        assert_eq!(outcome.status(), 200, "{}: {outcome:?}", signer.algorithm);
    }
    // The header of one, the signature of another.
    let (pss, pkcs) = (SIGNERS[2], RS256);
    let claims = claims(&json!({}));
    let (input, _) = pss
        .token(&claims)
        .rsplit_once('.')
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let token = pkcs.token(&claims);
    let (_, signature) = token.rsplit_once('.').unwrap();
    let mixed = format!("Bearer {input}.{signature}");
    assert_eq!(
        worker.ask(get("/", &[("authorization", &mixed)])).status(),
        401
    );
}

#[test]
fn a_configuration_that_is_none_is_refused() {
    let process = Process::default();
    assert!(process.worker(&json!({"providers": {"idp": {}}})).is_none());
    let log = process.log().join("\n");
    assert!(log.contains("configuration refused"), "{log}");
}
