//! A real Envoy with the filters that istiod makes of policies: what the evaluator says of drawn
//! policies (`cli/tests/policies`) is what Envoy does. `BEARER_GATE_SEED` draws others.
//!
//! After istiod's `pilot/pkg/security`, of August 2026: `authn/policy_applier.go` and `authz/model`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../policies/dice.rs"]
mod dice;
#[path = "../policies/istio_drawn.rs"]
mod istio_drawn;
#[path = "../policies/istio_evaluator.rs"]
mod istio_evaluator;
#[path = "../policies/request.rs"]
mod request;

use bearer_gate_testbed::envoy::{Envoy, Filter, Listener};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::raw;
use bearer_gate_testbed::token::{header as head, now, sign, with_signature_bit_flipped};
use bearer_gate_testbed::upstream::Upstream;
use serde_json::{Map, Value, json};

use dice::Dice;
use istio_drawn::policies;
use istio_evaluator::admits;
use request::{ISSUERS, Request, Token};

const POLICIES: usize = 40;
const REQUESTS_EACH: usize = 30;

/// jwt_authn of two rules of a RequestAuthentication.
fn jwt_authn(jwks: &Value) -> Value {
    let names = || (0..ISSUERS.len()).map(|at| format!("origins-{at}"));
    let providers: Map<String, Value> = names()
        .zip(ISSUERS)
        .map(|(name, issuer)| {
            let provider = json!({
                "issuer": issuer,
                "audiences": ["api"],
                "payload_in_metadata": "payload",
                "normalize_payload_in_metadata": {"space_delimited_claims": ["permission", "scope"]},
                "local_jwks": {"inline_string": jwks.to_string()},
            });
            (name, provider)
        })
        .collect();
    let any = |members: Vec<Value>| json!({"requires_any": {"requirements": members}});
    let or_missing = |name: String| {
        any(vec![
            json!({"provider_name": name}),
            json!({"allow_missing": {}}),
        ])
    };
    let each: Vec<Value> = names().map(or_missing).collect();
    let mut members: Vec<Value> = names().map(|name| json!({"provider_name": name})).collect();
    members.push(json!({"requires_all": {"requirements": each}}));
    json!({
        "providers": providers,
        "rules": [{"match": {"prefix": "/"}, "requires": any(members)}],
        "bypass_cors_preflight": true,
    })
}

fn text(value: &str, ignores_case: bool) -> Value {
    let mut text = match (value, value.strip_prefix('*'), value.strip_suffix('*')) {
        ("*", ..) => return json!({"safe_regex": {"regex": ".+"}}),
        (_, Some(end), _) => json!({"suffix": end}),
        (_, _, Some(start)) => json!({"prefix": start}),
        _ => json!({"exact": value}),
    };
    if ignores_case {
        text["ignore_case"] = json!(true);
    }
    text
}

fn header(name: &str, value: &str, ignores_case: bool) -> Value {
    json!({"header": match value {
        "*" => json!({"name": name, "present_match": true}),
        value => json!({"name": name, "string_match": text(value, ignores_case)}),
    }})
}

fn path(value: &str) -> Value {
    if value.contains("{*}") || value.contains("{**}") {
        let template = value.replace("{*}", "*").replace("{**}", "**");
        return json!({"uri_template": {"name": "uri-template", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
            "path_template": template,
        }}});
    }
    json!({"url_path": {"path": text(value, false)}})
}

fn metadata(claims: &[&str], value: Value) -> Value {
    let keys = ["payload"].into_iter().chain(claims.iter().copied());
    let keys: Vec<Value> = keys.map(|key| json!({"key": key})).collect();
    json!({"metadata": {
        "filter": "envoy.filters.http.jwt_authn",
        "path": keys,
        "value": value,
    }})
}

fn claim(claims: &[&str], values: &[&str]) -> Value {
    let texts = values
        .iter()
        .map(|value| json!({"string_match": text(value, false)}));
    let texts: Vec<Value> = texts.collect();
    let value = match texts.as_slice() {
        [only] => only.clone(),
        texts => json!({"or_match": {"value_matchers": texts}}),
    };
    let in_list = json!({"list_match": {"one_of": value}});
    metadata(
        claims,
        json!({"or_match": {"value_matchers": [in_list, value]}}),
    )
}

fn request_principal(value: &str) -> Value {
    let any = || text("*", false);
    let exact = |value: &str| json!({"exact": value});
    let (issuer, subject) = match value.rsplit_once('/') {
        _ if value == "*" => (any(), any()),
        Some((issuer, subject)) if value.starts_with('*') => (text(issuer, false), exact(subject)),
        Some((issuer, subject)) if value.ends_with('*') => (exact(issuer), text(subject, false)),
        Some((issuer, subject)) => (exact(issuer), exact(subject)),
        None if value.starts_with('*') => (any(), text(value, false)),
        None if value.ends_with('*') => (text(value, false), any()),
        None => (exact(value), exact("")),
    };
    let of = |name, value| metadata(&[name], json!({"string_match": value}));
    json!({"and_ids": {"ids": [of("iss", issuer), of("sub", subject)]}})
}

fn request_principals(values: &[&str]) -> Value {
    let all: Vec<Value> = values
        .iter()
        .map(|value| request_principal(value))
        .collect();
    json!({"or_ids": {"ids": all}})
}

/// The texts of a list, where it is there.
fn texts<'v>(object: &'v Value, name: &str) -> Option<Vec<&'v str>> {
    let list = object.get(name)?.as_array()?;
    Some(list.iter().map(|value| value.as_str().unwrap()).collect())
}

fn permission(operation: &Value) -> Value {
    let mut rules = Vec::new();
    let mut add = |name: &str, not_name: &str, one: &dyn Fn(&str) -> Value| {
        let or = |values: Vec<&str>| {
            let all: Vec<Value> = values.into_iter().map(one).collect();
            json!({"or_rules": {"rules": all}})
        };
        rules.extend(texts(operation, name).map(or));
        rules.extend(texts(operation, not_name).map(|values| json!({"not_rule": or(values)})));
    };
    add("hosts", "notHosts", &|value| {
        header(":authority", value, true)
    });
    add("methods", "notMethods", &|value| {
        header(":method", value, false)
    });
    add("paths", "notPaths", &path);
    if rules.is_empty() {
        rules.push(json!({"any": true}));
    }
    json!({"and_rules": {"rules": rules}})
}

fn condition(condition: &Value) -> Vec<Value> {
    let key = condition["key"].as_str().unwrap();
    let one = |values: Vec<&str>| match key {
        "request.auth.principal" => request_principals(&values),
        "request.auth.audiences" => claim(&["aud"], &values),
        "request.auth.presenter" => claim(&["azp"], &values),
        key if key.starts_with("request.headers[") => {
            let name = key
                .trim_start_matches("request.headers[")
                .trim_end_matches(']');
            let all: Vec<Value> = values
                .iter()
                .map(|value| header(name, value, false))
                .collect();
            json!({"or_ids": {"ids": all}})
        }
        key => {
            let names = key
                .trim_start_matches("request.auth.claims[")
                .trim_end_matches(']');
            let names: Vec<&str> = names.split("][").collect();
            claim(&names, &values)
        }
    };
    let is = texts(condition, "values").map(one);
    let is_not = texts(condition, "notValues").map(|values| json!({"not_id": one(values)}));
    is.into_iter().chain(is_not).collect()
}

fn principal(source: Option<&Value>, when: &[Value]) -> Value {
    let mut ids: Vec<Value> = Vec::new();
    if let Some(source) = source {
        let of = |values: Vec<&str>| request_principals(&values);
        ids.extend(texts(source, "requestPrincipals").map(of));
        let not = |values: Vec<&str>| json!({"not_id": request_principals(&values)});
        ids.extend(texts(source, "notRequestPrincipals").map(not));
    }
    ids.extend(when.iter().flat_map(condition));
    if ids.is_empty() {
        ids.push(json!({"any": true}));
    }
    json!({"and_ids": {"ids": ids}})
}

fn policy(rule: &Value) -> Value {
    let list = |name: &str| rule.get(name).and_then(Value::as_array);
    let when = list("when").map_or(&[][..], Vec::as_slice);
    let permissions: Vec<Value> = match list("to") {
        Some(to) => to.iter().map(|to| permission(&to["operation"])).collect(),
        None => vec![permission(&json!({}))],
    };
    let principals: Vec<Value> = match list("from") {
        Some(from) => from
            .iter()
            .map(|from| principal(Some(&from["source"]), when))
            .collect(),
        None => vec![principal(None, when)],
    };
    json!({"permissions": permissions, "principals": principals})
}

/// The RBAC filter of all policies with an action.
fn rbac(policies: &[Value], action: &str) -> Option<Value> {
    let of_action = policies.iter().enumerate().filter(|(_, policy)| {
        policy["spec"]
            .get("action")
            .map_or("ALLOW", |action| action.as_str().unwrap())
            == action
    });
    let mut rules = Map::new();
    for (at, of_action) in of_action {
        let written = of_action["spec"].get("rules").and_then(Value::as_array);
        for (index, rule) in written.into_iter().flatten().enumerate() {
            rules.insert(format!("{at}-{index}"), policy(rule));
        }
        if written.is_none_or(Vec::is_empty) {
            let never = json!({"permissions": [{"not_rule": {"any": true}}], "principals": [{"not_id": {"any": true}}]});
            rules.insert(format!("{at}-none"), never);
        }
    }
    (!rules.is_empty()).then(|| {
        json!({"name": "envoy.filters.http.rbac", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {"action": action, "policies": rules},
        }})
    })
}

fn signed(idp: &Idp, token: &Token) -> String {
    let mut claims = token.claims.clone();
    claims["exp"] = json!(now() + 600);
    let key = idp.key();
    let signed = sign(&key, &head(key.kid()), &claims);
    match token.is_good {
        true => signed,
        false => with_signature_bit_flipped(&signed, 7),
    }
}

/// The request as it is sent.
fn written(idp: &Idp, request: &Request) -> String {
    let Request {
        method, host, path, ..
    } = request;
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(token) = &request.token {
        text.push_str(&format!("authorization: Bearer {}\r\n", signed(idp, token)));
    }
    text.push_str("\r\n");
    text
}

#[test]
fn the_evaluator_of_istio_decides_as_the_filters_of_istiod_do() {
    let seed = std::env::var("BEARER_GATE_SEED").ok();
    let seed = seed.and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut dice = Dice::seeded(seed);
    let idp = Idp::start();
    let upstream = Upstream::start();
    let drawn: Vec<Vec<Value>> = (0..POLICIES).map(|_| policies(&mut dice)).collect();
    let mut builder = Envoy::builder()
        .concurrency(1)
        .cluster("upstream", upstream.address());
    for (at, policies) in drawn.iter().enumerate() {
        let mut listener =
            Listener::new(&at.to_string()).filter(Filter::JwtAuthn(jwt_authn(&idp.jwks())));
        for action in ["DENY", "ALLOW"] {
            if let Some(filter) = rbac(policies, action) {
                listener = listener.filter(Filter::Other(filter));
            }
        }
        builder = builder.listener(listener);
    }
    let envoy = builder
        .start()
        .unwrap_or_else(|refused| panic!("{refused}"));
    let (mut admitted, mut rejected) = (0, 0);
    for (at, policies) in drawn.iter().enumerate() {
        let address = envoy.address_of(&at.to_string());
        for _ in 0..REQUESTS_EACH {
            let request = Request::draw(&mut dice);
            let sent = written(&idp, &request);
            let response = raw::request(address, sent.as_bytes()).unwrap();
            let shown: Vec<String> = policies.iter().map(Value::to_string).collect();
            assert_eq!(
                response.status == 200,
                admits(policies, &request),
                "{} {request:?}\n{}",
                response.status,
                shown.join("\n")
            );
            match response.status {
                200 => admitted += 1,
                _ => rejected += 1,
            }
        }
    }
    println!("{admitted} admitted, {rejected} rejected");
    assert!(
        admitted * 10 >= rejected,
        "{admitted} admitted, {rejected} rejected"
    );
}
