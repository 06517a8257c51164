//! Policies of Envoy Gateway, drawn, and what their documentation says that they decide.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::gate::{self, JWKS};
use crate::request::{ISSUERS, Request};
use crate::{Drawn, Kind, compare, seed};

/// Whether the principal's claims and scopes are those of a token.
fn passes_token(principal: &Value, request: &Request) -> bool {
    let Some(token) = &request.token else {
        return false;
    };
    let named = ISSUERS
        .iter()
        .position(|issuer| token.claims["iss"] == *issuer);
    if named.map(|at| format!("p{at}")) != principal["provider"].as_str().map(str::to_owned) {
        return false;
    }
    let list = |value: &Value, name: &str| {
        value
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let scopes = list(principal, "scopes").iter().all(|scope| {
        ["scope", "scp"]
            .iter()
            .any(|claim| match &token.claims[*claim] {
                Value::String(words) => words.split(' ').any(|word| scope == word),
                Value::Array(items) => items.contains(scope),
                _ => false,
            })
    });
    let claims = list(principal, "claims").iter().all(|claim| {
        let path = claim["name"].as_str().unwrap().split('.');
        let mut path = path.into_iter();
        let found = path.try_fold(&token.claims, |at, name| at.as_object()?.get(name));
        let values = list(claim, "values");
        match found {
            Some(found) if claim["valueType"] == "StringArray" => found
                .as_array()
                .is_some_and(|items| items.iter().any(|item| values.contains(item))),
            Some(found) => values.contains(found),
            None => false,
        }
    });
    scopes && claims
}

pub(crate) fn passes_rule(rule: &Value, request: &Request) -> bool {
    let operation = &rule["operation"];
    let methods = operation["methods"].as_array();
    let is_method = methods.is_none_or(|methods| methods.iter().any(|one| *one == request.method));
    let is_path = operation.get("path").is_none_or(|path| {
        let value = path["value"].as_str().unwrap();
        let fits = match path["type"].as_str().unwrap_or("PathPrefix") {
            "Exact" => request.path == value,
            _ => {
                let start = value.trim_end_matches('/');
                request.path == start || request.path.starts_with(&format!("{start}/"))
            }
        };
        fits != path["invert"].as_bool().unwrap_or(false)
    });
    let principal = &rule["principal"];
    let headers = principal["headers"].as_array();
    let is_header = headers.is_none_or(|headers| {
        headers.iter().all(|header| {
            let values = header["values"].as_array().unwrap();
            let name = header["name"].as_str().unwrap().to_ascii_lowercase();
            let found = request.headers.iter().find(|(other, _)| *other == name);
            found.is_some_and(|(_, found)| values.iter().any(|value| value == found))
        })
    });
    let is_token = principal
        .get("jwt")
        .is_none_or(|jwt| passes_token(jwt, request));
    is_method && is_path && is_header && is_token
}

fn admits(policies: &[Value], request: &Request) -> bool {
    let spec = &policies[0];
    let is_accepted = match &request.token {
        None => spec["jwt"]["optional"] == true,
        Some(token) => token.is_good && ISSUERS.iter().any(|issuer| token.claims["iss"] == *issuer),
    };
    if !is_accepted {
        return false;
    }
    let Some(authorization) = spec.get("authorization") else {
        return true;
    };
    let rules = authorization["rules"].as_array();
    let rule = rules.and_then(|rules| rules.iter().find(|rule| passes_rule(rule, request)));
    match rule {
        Some(rule) => rule["action"] == "Allow",
        None => authorization["defaultAction"] == "Allow",
    }
}

pub(crate) fn rule(dice: &mut Dice) -> Value {
    let mut principal = json!({});
    if dice.chance(80) {
        let mut jwt = json!({"provider": format!("p{}", dice.between(0, 1))});
        if dice.chance(40) {
            jwt["scopes"] = json!(dice.some(&["a", "b"]));
        }
        if dice.chance(70) || jwt.get("scopes").is_none() {
            let mut claim = json!({
                "name": dice.pick(&["groups", "role", "org.name", "sub"]),
                "values": if dice.chance(70) { dice.some(&["a"]) } else { dice.some(&["a", "b", "s1"]) },
            });
            if claim["name"] == "sub" {
                claim["values"] = json!(["s1"]);
            } else if dice.chance(50) {
                claim["valueType"] = json!("StringArray");
            }
            jwt["claims"] = json!([claim]);
        }
        principal["jwt"] = jwt;
    }
    if dice.chance(20) || principal == json!({}) {
        principal["headers"] = json!([{"name": "X-Mode", "values": dice.some(&["a", "b", "ab"])}]);
    }
    let action = if dice.chance(70) { "Allow" } else { "Deny" };
    let mut rule = json!({"action": action, "principal": principal});
    if dice.chance(60) {
        let mut operation = json!({});
        if dice.chance(40) {
            operation["methods"] = json!(dice.some(&["GET", "POST"]));
        }
        if dice.chance(70) || operation == json!({}) {
            let kind = *dice.pick(&["Exact", "PathPrefix", "PathPrefix"]);
            operation["path"] =
                json!({"type": kind, "value": dice.pick(&["/a", "/a/b", "/b", "/"])});
            if dice.chance(20) {
                operation["path"]["invert"] = json!(true);
            }
        }
        rule["operation"] = operation;
    }
    rule
}

fn draw(dice: &mut Dice) -> Drawn {
    let providers: Vec<Value> = ISSUERS
        .iter()
        .enumerate()
        .map(|(at, issuer)| {
            json!({"name": format!("p{at}"), "issuer": issuer, "audiences": ["api"],
                "localJWKS": {"type": "Inline", "inline": JWKS}})
        })
        .collect();
    let mut spec = json!({
        "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "r"}],
        "jwt": {"providers": providers},
    });
    if dice.chance(25) {
        spec["jwt"]["optional"] = json!(true);
    }
    if dice.chance(90) {
        let rules: Vec<Value> = (0..dice.between(0, 3)).map(|_| rule(dice)).collect();
        spec["authorization"] = json!({"rules": rules});
        if dice.chance(40) {
            spec["authorization"]["defaultAction"] = json!(dice.pick(&["Allow", "Deny"]));
        }
    }
    let resource = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "SecurityPolicy",
        "metadata": {"name": "p"}, "spec": spec,
    });
    Drawn {
        resources: vec![resource],
        shown: spec["authorization"].to_string(),
        deciding: vec![spec],
    }
}

const KIND: Kind<Request> = Kind {
    policies: draw,
    request: Request::draw,
    admits,
    decide: gate::decide,
    may_stop: |_| false,
    is_strict: true,
};

#[test]
fn what_is_migrated_decides_as_envoy_gateway_does() {
    compare(seed(), 250, &KIND).check();
}

#[test]
#[ignore = "long: make soak runs it"]
fn soak_envoy_gateway() {
    for seed in 1..=20 {
        println!("{:?}", compare(seed, 500, &KIND));
    }
}
