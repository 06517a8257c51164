//! The deliberate differences about several providers, places and requirements.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::named::{ADMITTED, AUDIENCE, ISSUER, configuration, seen, shows, token};
use crate::request::{Part, Request};

/// The pairs of listeners of these tests: a name, and what jwt_authn is given.
pub(crate) fn pairs() -> Vec<(&'static str, Value)> {
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
    let telling = json!({
        "payload_in_metadata": "told-payload-0", "header_in_metadata": "told-header-0",
        "failed_status_in_metadata": "told-failed-0",
        "normalize_payload_in_metadata": {"space_delimited_claims": ["scope"]},
    });
    vec![
        ("all", requiring(all, json!({}))),
        ("optional", {
            let optional = json!({"requires_any": {"requirements": [one, {"allow_missing": {}}]}});
            let mut places = anywhere.clone();
            places["from_headers"] = json!([{"name": "x-token"}]);
            requiring(optional, places)
        }),
        ("same-issuer", same_issuer),
        ("parameters", parameters),
        ("anywhere", requiring(one.clone(), anywhere.clone())),
        ("alternatives", {
            let optional = json!({"requires_any": {"requirements": [one, {"allow_missing": {}}]}});
            with_two(json!([optional, {"provider_name": "two"}]), json!({}))
        }),
        ("anything", {
            let lenient = json!([{"allow_missing_or_failed": {}}, {"provider_name": "two"}]);
            let anything = json!({"requires_any": {"requirements": lenient}});
            with_two(json!([one, anything]), anywhere)
        }),
        ("telling", requiring(one.clone(), telling.clone())),
        ("telling-anything", {
            let lenient = json!([one, {"allow_missing_or_failed": {}}]);
            requiring(json!({"requires_any": {"requirements": lenient}}), telling)
        }),
        ("two-prefixes", requiring(one, two_prefixes)),
    ]
}

fn requiring(requires: Value, provider: Value) -> Value {
    let mut json = configuration(provider);
    json["rules"][0]["requires"] = requires;
    json
}

/// One of these, of a provider as it is given and of another one in a header of its own.
fn with_two(members: Value, provider: Value) -> Value {
    let mut json = requiring(json!({"requires_any": {"requirements": members}}), provider);
    let mut two = configuration(json!({
        "issuer": TWO, "from_headers": [{"name": "x-token"}],
        "claim_to_headers": [{"header_name": "x-two", "claim_name": "sub"}],
    }));
    json["providers"]["two"] = two["providers"]["one"].take();
    json
}

const TWO: &str = "https://two.example/";

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
    let of = |subject: &str| token(json!({"sub": subject}));
    let cookie = format!("session={}", of("alice"));
    let mut request = Request::get("/api", &[("cookie", &cookie)]);
    request
        .parts
        .push(Part::Query(format!("jwt={}", of("bob"))));
    let several = (400, "More than one credential in the request");
    let [native, _] = shows("anywhere", &request, ADMITTED, several);
    assert_eq!(seen(&native, "x-user"), ["alice", "bob"]);
    // Where anything passes this does too, without claims.
    let [native, gate] = shows("anything", &request, ADMITTED, ADMITTED);
    assert_eq!(seen(&native, "x-user"), ["alice", "bob"]);
    assert_eq!(seen(&gate, "x-user"), [""; 0]);
}

#[test]
fn same_token_twice() {
    let token = token(json!({}));
    let mut request = Request::get("/api", &[("cookie", &format!("a=b; session={token}"))]);
    request.parts.push(Part::Query(format!("jwt={token}")));
    let [native, gate] = shows("anywhere", &request, ADMITTED, ADMITTED);
    assert_eq!(seen(&native, "x-user"), ["alice", "alice"]);
    assert_eq!(seen(&gate, "x-user"), ["alice"]);
    // All of its places are emptied.
    assert_eq!(seen(&gate, "cookie"), ["a=b"]);
    assert_eq!(gate.seen.unwrap().query, [""; 0]);
}

#[test]
fn every_token_has_a_part() {
    let of_two = |audience: &str| {
        let token = token(json!({"iss": TWO, "aud": audience}));
        Request::get("/api", &[("x-token", &token)])
    };
    // jwt_authn is done with the first member, which does without a token.
    let [native, gate] = shows("alternatives", &of_two(AUDIENCE), ADMITTED, ADMITTED);
    assert_eq!(
        (seen(&native, "x-two"), seen(&native, "x-token").len()),
        (vec![], 1)
    );
    assert_eq!(seen(&gate, "x-two"), ["alice"]);
    assert_eq!(seen(&gate, "x-token"), [""; 0]);
    let bad = (401, "Audiences in Jwt are not allowed");
    let [native, _] = shows("alternatives", &of_two("other"), ADMITTED, bad);
    assert_eq!(seen(&native, "x-token").len(), 1);
}

#[test]
fn what_is_told_of_a_token() {
    let token = token(json!({"scope": "a b", "level": 9_007_199_254_740_993_u64, "none": null}));
    let request = Request::get("/api", &[("authorization", &format!("Bearer {token}"))]);
    let [native, gate] = shows("telling", &request, ADMITTED, ADMITTED);
    assert_eq!(native.told, gate.told);
    assert_eq!(gate.told.len(), 2, "{:?}", gate.told);
    let (header, payload) = (&gate.told["told-header-0"], &gate.told["told-payload-0"]);
    assert_eq!(
        header,
        &json!({"alg": "ES256", "kid": "ec-a", "typ": "JWT"})
    );
    assert_eq!(payload["scope"], json!(["a", "b"]));
    assert_eq!(payload["level"].as_f64(), Some(9_007_199_254_740_992.0));
    assert_eq!(payload["iss"], ISSUER);
}

#[test]
fn failed_status_of_rejections() {
    let text = "Audiences in Jwt are not allowed";
    let [native, gate] = shows("telling", &bearer("other"), (403, text), (401, text));
    let (native, gate) = (&native.told["told-failed-0"], &gate.told["told-failed-0"]);
    assert_eq!(
        (&native["message"], &gate["message"]),
        (&json!(text), &json!(text))
    );
    assert!(native["code"].is_number(), "{native}");
    assert_eq!(gate["code"], "audience");
    // jwt_authn tells it of a token that may fail, too.
    let [native, gate] = shows("telling-anything", &bearer("other"), ADMITTED, ADMITTED);
    assert_eq!(native.told["told-failed-0"]["message"], text);
    assert!(gate.told.is_empty(), "{:?}", gate.told);
}

#[test]
fn longest_prefix() {
    let value = format!("JWT {}", token(json!({})));
    let request = Request::get("/api", &[("x-token", &value)]);
    // jwt_authn takes the whole value for a second token.
    let text = "Jwt header is an invalid Base64url encoded";
    shows("two-prefixes", &request, (401, text), ADMITTED);
}

/// A place with an empty value is a place with a token, and a bad one: also where a token may be
/// missing, and so it is to jwt_authn.
#[test]
fn an_empty_value_is_a_bad_token() {
    let get = |headers: &[(&str, &str)]| Request::get("/api", headers);
    let mut parameter = get(&[]);
    parameter.parts.push(Part::Query("jwt=".to_owned()));
    let bad = (
        401,
        "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
    );
    for request in [
        get(&[("cookie", "a=b; session=")]),
        get(&[("x-token", "")]),
        parameter,
    ] {
        shows("optional", &request, bad, bad);
    }
    for request in [get(&[]), get(&[("cookie", "a=b")])] {
        shows("optional", &request, ADMITTED, ADMITTED);
    }
}
