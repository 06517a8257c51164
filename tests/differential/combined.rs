//! The deliberate differences about several providers, places and requirements.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::named::{ADMITTED, AUDIENCE, configuration, seen, shows, token};
use crate::request::{Part, Request};

/// The pairs of listeners of these tests: a name, and what jwt_authn is given.
pub fn pairs() -> Vec<(&'static str, Value)> {
    let one = json!({"provider_name": "one"});
    let all = json!({"requires_all": {"requirements": [one, one]}});
    let mut same_issuer = requiring(json!({"allow_missing": {}}), json!({}));
    same_issuer["providers"]["two"] = same_issuer["providers"]["one"].clone();
    same_issuer["providers"]["two"]["audiences"] = json!(["other"]);
    let mut parameters = requiring(one.clone(), json!({}));
    let is_on = json!([{"name": "mode", "string_match": {"exact": "on"}}]);
    parameters["rules"][0]["match"]["query_parameters"] = is_on;
    let two_prefixes = json!({
        "from_headers": [{"name": "x-token"}, {"name": "x-token", "value_prefix": "JWT "}],
    });
    let anywhere = json!({"from_cookies": ["session"], "from_params": ["jwt"]});
    vec![
        ("all", requiring(all, json!({}))),
        ("same-issuer", same_issuer),
        ("parameters", parameters),
        ("anywhere", requiring(one.clone(), anywhere)),
        ("two-prefixes", requiring(one, two_prefixes)),
    ]
}

fn requiring(requires: Value, provider: Value) -> Value {
    let mut json = configuration(provider);
    json["rules"][0]["requires"] = requires;
    json
}

fn bearer(audience: &str) -> Request {
    let token = token(json!({"aud": audience}));
    Request::get("/api", &[("authorization", &format!("Bearer {token}"))])
}

#[test]
fn all_without_side_effects() {
    // jwt_authn takes the token out for the first, and has none for the second.
    let [_, gate] = shows("all", &bearer(AUDIENCE), (401, "Jwt is missing"), ADMITTED);
    assert_eq!(seen(&gate, "x-user"), ["alice"]);
    assert!(seen(&gate, "authorization").is_empty());
}

#[test]
fn every_provider_of_an_issuer() {
    // Which of the two it tries is a matter of jwt_authn's hash map, from request to request.
    let stage = crate::named::stage();
    let mut statuses = BTreeSet::new();
    for _ in 0..20 {
        for audience in [AUDIENCE, "other"] {
            let [native, gate] = stage.ask_both("same-issuer", &bearer(audience));
            assert_eq!((gate.status, gate.is_admitted()), (200, true), "{audience}");
            statuses.insert(native.status);
        }
    }
    assert_eq!(statuses, BTreeSet::from([200, 403]));
}

#[test]
fn parameters_are_decoded() {
    let mut request = Request::get("/api", &[]);
    request.parts.push(Part::Query("mode=o%6e".to_owned()));
    let missing = (401, "Jwt is missing");
    let no_rule = (403, "No rule allows this request");
    shows("parameters", &request, ADMITTED, missing);
    let mut request = Request::get("/api", &[]);
    request.parts.push(Part::Query("mode=off".to_owned()));
    shows("parameters", &request, ADMITTED, no_rule);
}

#[test]
fn cookies_are_stripped() {
    let cookie = format!("a=b; session={}; c=d", token(json!({})));
    let request = Request::get("/api", &[("cookie", &cookie)]);
    let [native, gate] = shows("anywhere", &request, ADMITTED, ADMITTED);
    assert_eq!(seen(&native, "cookie"), [cookie]);
    assert_eq!(seen(&gate, "cookie"), ["a=b; c=d"]);
}

#[test]
fn several_places() {
    // The same good token twice: jwt_authn tells the upstream twice.
    let token = token(json!({}));
    let mut request = Request::get("/api", &[("cookie", &format!("session={token}"))]);
    request.parts.push(Part::Query(format!("jwt={token}")));
    let several = (400, "More than one credential in the request");
    let [native, _] = shows("anywhere", &request, ADMITTED, several);
    assert_eq!(seen(&native, "x-user"), ["alice", "alice"]);
}

#[test]
fn longest_prefix() {
    let value = format!("JWT {}", token(json!({})));
    let request = Request::get("/api", &[("x-token", &value)]);
    // jwt_authn takes the whole value for a second token.
    let text = "Jwt header is an invalid Base64url encoded";
    shows("two-prefixes", &request, (401, text), ADMITTED);
}
