//! Requirements of several providers, and tokens that may be missing.

use serde_json::{Value, json};

use super::{bearer, config, forged, outcome, request, token, token_from};

/// Under each requirement: a request with this Authorization and this X-Token.
fn check_requirement(requires: Value, table: &[(Option<String>, Option<String>, &str)]) {
    let config = config(requires.clone(), json!({}));
    for (authorization, x_token, expected) in table {
        let mut headers = Vec::new();
        if let Some(token) = authorization {
            headers.push(("authorization", bearer(token)));
        }
        if let Some(token) = x_token {
            headers.push(("x-token", token.clone()));
        }
        let headers: Vec<(&'static str, &str)> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let outcome = outcome(&config, &request(&headers));
        assert_eq!(outcome, *expected, "{requires} {headers:?}");
    }
}

#[test]
fn a_nested_optional_token_is_about_every_provider() {
    let optional =
        json!({"requires_any": {"requirements": [{"allow_missing": {}}, {"allow_missing": {}}]}});
    let nested = json!({"requires_any": {"requirements": [{"provider_name": "b"}, optional]}});
    check_requirement(
        nested,
        &[
            (Some(token_from("a")), None, "ok x-a=s -authorization"),
            (Some(forged("a")), None, "signature"),
        ],
    );
}

#[test]
fn any_of_several() {
    let ac =
        json!({"requires_any": {"requirements": [{"provider_name": "a"}, {"provider_name": "c"}]}});
    check_requirement(
        ac,
        &[
            (Some(token_from("a")), None, "ok x-a=s -authorization"),
            // forwarded
            (Some(token_from("c")), None, "ok x-c=s"),
            (Some(token_from("b")), None, "issuer"),
            (Some(forged("a")), None, "signature"),
            (Some(forged("c")), None, "signature"),
            (Some("x".into()), None, "not_three_parts"),
            (None, None, "token_missing"),
            (None, Some(token_from("a")), "token_missing"),
        ],
    );
    let ab =
        json!({"requires_any": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}});
    check_requirement(
        ab,
        &[
            (Some(token_from("a")), None, "ok x-a=s -authorization"),
            (None, Some(token_from("b")), "ok x-b=s -x-token"),
            (Some(token_from("b")), None, "issuer"),
            (None, Some(token_from("a")), "issuer"),
            (None, None, "token_missing"),
            // only one of them would be verified
            (
                Some(token_from("a")),
                Some(token_from("b")),
                "several_tokens",
            ),
            (Some(token_from("a")), Some("x".into()), "several_tokens"),
        ],
    );
}

#[test]
fn all_of_several() {
    let ab =
        json!({"requires_all": {"requirements": [{"provider_name": "a"}, {"provider_name": "b"}]}});
    check_requirement(
        ab,
        &[
            (
                Some(token_from("a")),
                Some(token_from("b")),
                "ok x-a=s x-b=s -authorization -x-token",
            ),
            (Some(token_from("a")), None, "token_missing"),
            (None, Some(token_from("b")), "token_missing"),
            (Some(token_from("a")), Some(forged("b")), "signature"),
            (Some(forged("a")), Some(token_from("b")), "signature"),
            (Some(token_from("b")), Some(token_from("a")), "issuer"),
        ],
    );
    // one token for both
    let aa = json!({"requires_all": {"requirements": [
        {"provider_name": "a"},
        {"provider_and_audiences": {"provider_name": "a", "audiences": ["second"]}},
    ]}});
    let token = |aud: Value| Some(token(json!({"iss": "a", "aud": aud, "sub": "s"})));
    check_requirement(
        aa,
        &[
            (
                token(json!(["api", "second"])),
                None,
                "ok x-a=s -authorization",
            ),
            (token(json!("api")), None, "audience"),
            (token(json!("second")), None, "audience"),
        ],
    );
}

#[test]
fn a27_optional_tokens() {
    let missing = |members: Value| json!({"requires_any": {"requirements": members}});
    let a_or_none = missing(json!([{"provider_name": "a"}, {"allow_missing": {}}]));
    let first = missing(json!([{"allow_missing": {}}, {"provider_name": "a"}]));
    for requires in [a_or_none, first] {
        check_requirement(
            requires,
            &[
                (None, None, "ok"),
                (Some(token_from("a")), None, "ok x-a=s -authorization"),
                (Some(forged("a")), None, "signature"),
                (Some("x".into()), None, "not_three_parts"),
                (Some(token_from("b")), None, "issuer"),
                // a place of no provider
                (None, Some("x".into()), "ok"),
            ],
        );
    }
    // without other members it is about every provider
    check_requirement(
        json!({"allow_missing": {}}),
        &[
            (None, None, "ok"),
            (Some(token_from("a")), None, "ok x-a=s -authorization"),
            (Some(token_from("c")), None, "ok x-c=s"),
            (None, Some(token_from("b")), "ok x-b=s -x-token"),
            (None, Some(token_from("a")), "issuer"),
            (Some(forged("c")), None, "signature"),
            (None, Some("x".into()), "not_three_parts"),
            (Some(token_from("z")), None, "issuer"),
            (
                Some(token_from("a")),
                Some(token_from("b")),
                "several_tokens",
            ),
        ],
    );
    check_requirement(
        json!({"allow_missing_or_failed": {}}),
        &[
            (None, None, "ok"),
            (Some(token_from("a")), None, "ok x-a=s -authorization"),
            (Some(forged("a")), None, "ok"),
            (Some("x".into()), None, "ok"),
            (Some(token_from("z")), None, "ok"),
        ],
    );
    let lenient = missing(json!([
        {"allow_missing_or_failed": {}}, {"provider_name": "a"}, {"allow_missing": {}}
    ]));
    check_requirement(
        lenient,
        &[
            (None, None, "ok"),
            (Some(token_from("a")), None, "ok x-a=s -authorization"),
            (Some(forged("a")), None, "ok"),
        ],
    );
    // a token that one of them refused is not admitted through the other
    check_requirement(
        missing(json!([
            {"provider_and_audiences": {"provider_name": "a", "audiences": ["admin"]}},
            {"allow_missing": {}}
        ])),
        &[
            (Some(token_from("a")), None, "audience"),
            (None, None, "ok"),
        ],
    );
    check_requirement(
        missing(json!([
            {"provider_and_audiences": {"provider_name": "a", "audiences": ["admin"]}},
            {"allow_missing_or_failed": {}}
        ])),
        &[(Some(token_from("a")), None, "ok"), (None, None, "ok")],
    );
    // nor through a nested one that needs no token
    check_requirement(
        missing(json!([
            {"provider_name": "a"},
            {"requires_any": {"requirements": [{"provider_name": "b"}, {"allow_missing": {}}]}}
        ])),
        &[
            (Some(token_from("a")), None, "ok x-a=s -authorization"),
            (Some(forged("a")), None, "signature"),
            (None, None, "ok"),
        ],
    );
    // one requirement for each of two tokens
    check_requirement(
        json!({"requires_all": {"requirements": [{"provider_name": "a"}, {"allow_missing": {}}]}}),
        &[
            (Some(token_from("a")), None, "ok x-a=s -authorization"),
            (
                Some(token_from("a")),
                Some("junk".into()),
                "not_three_parts",
            ),
            (
                Some(token_from("a")),
                Some(token_from("b")),
                "ok x-a=s x-b=s -authorization -x-token",
            ),
        ],
    );
    // the second requirement is optional
    check_requirement(
        json!({"requires_all": {"requirements": [
            {"provider_name": "a"},
            {"requires_any": {"requirements": [{"provider_name": "b"}, {"allow_missing": {}}]}}
        ]}}),
        &[
            (Some(token_from("a")), None, "ok x-a=s -authorization"),
            (
                Some(token_from("a")),
                Some(token_from("b")),
                "ok x-a=s x-b=s -authorization -x-token",
            ),
            (Some(token_from("a")), Some(forged("b")), "signature"),
            (None, Some(token_from("b")), "token_missing"),
        ],
    );
}

#[test]
fn alternatives_that_account_for_the_tokens_come_first() {
    let any = |members: Value| json!({"requires_any": {"requirements": members}});
    let name = |name: &str| json!({"provider_name": name});
    let missing = json!({"allow_missing": {}});
    let failed = json!({"allow_missing_or_failed": {}});
    let nested = any(json!([name("a"), name("c"), missing]));
    check_requirement(
        any(json!([nested, name("b"), missing])),
        &[
            (None, None, "ok"),
            (None, Some(token_from("b")), "ok x-b=s -x-token"),
            (None, Some(forged("b")), "signature"),
            (None, Some("x".into()), "not_three_parts"),
            (None, Some(token_from("a")), "issuer"),
            (Some(token_from("c")), None, "ok x-c=s"),
            (Some(forged("c")), None, "signature"),
            (Some(token_from("b")), None, "issuer"),
            (
                Some(token_from("a")),
                Some(token_from("b")),
                "several_tokens",
            ),
            (Some(token_from("a")), Some(forged("b")), "several_tokens"),
        ],
    );
    // a good token is used, not just tolerated
    check_requirement(
        any(json!([any(json!([name("a"), failed])), name("b")])),
        &[
            (None, Some(token_from("b")), "ok x-b=s -x-token"),
            (None, Some(forged("b")), "ok"),
            (Some(forged("a")), None, "ok"),
        ],
    );
    // only the longer list has a use for both
    let all = json!({"requires_all": {"requirements": [name("a"), name("b")]}});
    check_requirement(
        any(json!([name("a"), all, missing])),
        &[
            (Some(token_from("a")), None, "ok x-a=s -authorization"),
            (
                Some(token_from("a")),
                Some(token_from("b")),
                "ok x-a=s x-b=s -authorization -x-token",
            ),
            (Some(token_from("a")), Some(forged("b")), "signature"),
            (None, Some(token_from("b")), "token_missing"),
            (None, None, "ok"),
        ],
    );
}

#[test]
fn one_token_in_places_of_two_providers() {
    let ab = |kind: &str| {
        let name = |name: &str| json!({"provider_name": name});
        let members = json!([name("a"), name("b"), name("c")]);
        json!({ kind: {"requirements": members} })
    };
    let twice = |token: String| (Some(token.clone()), Some(token));
    let row = |token: String, expected: &'static str| {
        let (authorization, x_token) = twice(token);
        (authorization, x_token, expected)
    };
    check_requirement(
        ab("requires_any"),
        &[
            row(token_from("a"), "ok x-a=s -authorization -x-token"),
            row(token_from("b"), "ok x-b=s -authorization -x-token"),
            // where it is forwarded it stays in a place of its own, and in no other's
            row(token_from("c"), "ok x-c=s -x-token"),
            row(forged("a"), "signature"),
            row("x".into(), "not_three_parts"),
        ],
    );
    check_requirement(ab("requires_all"), &[row(token_from("a"), "issuer")]);
}

/// One cookie is a place of one provider, and of another one that takes chunks too.
#[test]
fn a_cookie_that_is_forwarded_stays_where_another_provider_takes_chunks_of_it() {
    let members = json!([{"provider_name": "b"}, {"provider_name": "c"}]);
    let chunked = json!({"name": "s", "chunked": true});
    for (of_b, of_c) in [(json!("s"), chunked.clone()), (chunked, json!("s"))] {
        for kind in ["requires_any", "requires_all"] {
            let more = json!({"providers": {
                "b": {"from_cookies": [of_b.clone()]},
                "c": {"from_cookies": [of_c.clone()], "forward": true},
            }});
            let config = config(json!({ kind: {"requirements": members.clone()} }), more);
            for (issuer, expected) in [("b", "ok x-b=s cookie:k=1"), ("c", "ok x-c=s")] {
                let cookie = format!("s={}; k=1", token_from(issuer));
                let outcome = outcome(&config, &request(&[("cookie", &cookie)]));
                let expected = if kind == "requires_all" {
                    "issuer"
                } else {
                    expected
                };
                assert_eq!(outcome, expected, "{kind} {issuer}");
            }
        }
    }
}
