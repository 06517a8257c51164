//! AuthorizationPolicies of Istio, drawn.

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::request::ISSUERS;

const PATHS: [&str; 14] = [
    "/a", "/a*", "/a/*", "/a/b", "/a/b", "/b", "*/c", "*c", "*", "/a/{*}", "/a/{*}/c", "/a/{**}",
    "/a/*/c", "/b/*",
];
const HOSTS: [&str; 6] = [
    "a.example",
    "*.example",
    "B.example",
    "a.*",
    "*",
    "*a.example",
];
const METHODS: [&str; 4] = ["GET", "POST", "OPTIONS", "*"];
const PRINCIPALS: [&str; 9] = [
    "*",
    "*",
    "https://one.example/s1",
    "https://one.example/*",
    "https://two.example//s2",
    "*/s1",
    "https://one.example/s1*",
    "https:*",
    "*0",
];
const VALUES: [&str; 5] = ["a", "a", "b", "x", "a b"];

fn source(dice: &mut Dice) -> Value {
    let mut source = json!({});
    if dice.chance(80) {
        source["requestPrincipals"] = json!(dice.some(&PRINCIPALS));
    } else {
        source["notRequestPrincipals"] = json!(dice.some(&PRINCIPALS));
    }
    json!({"source": source})
}

fn operation(dice: &mut Dice) -> Value {
    let mut operation = json!({});
    if dice.chance(75) {
        let name = if dice.chance(80) { "paths" } else { "notPaths" };
        operation[name] = json!(dice.some(&PATHS));
    }
    if dice.chance(30) {
        let name = if dice.chance(75) {
            "methods"
        } else {
            "notMethods"
        };
        operation[name] = json!(dice.some(&METHODS));
    }
    if dice.chance(20) || operation == json!({}) {
        let name = if dice.chance(75) { "hosts" } else { "notHosts" };
        operation[name] = json!(dice.some(&HOSTS));
    }
    json!({"operation": operation})
}

fn condition(dice: &mut Dice) -> Value {
    let key = *dice.pick(&[
        "request.auth.claims[groups]",
        "request.auth.claims[groups]",
        "request.auth.claims[role]",
        "request.auth.claims[scope]",
        "request.auth.claims[org][name]",
        "request.auth.claims[org.x]",
        "request.auth.claims[iss]",
        "request.auth.claims[sub]",
        "request.auth.presenter",
        "request.auth.audiences",
        "request.auth.principal",
        "request.headers[X-Mode]",
        "request.headers[x-mode]",
    ]);
    let values: Vec<String> = match key {
        "request.auth.claims[iss]" => vec![(*dice.pick(&ISSUERS)).to_owned()],
        "request.auth.claims[sub]" => dice.some(&["s1", "s2", "s1*"]),
        "request.auth.audiences" => dice.some(&["api", "other"]),
        "request.auth.principal" => dice.some(&PRINCIPALS),
        key if key.starts_with("request.headers") => dice.some(&["a", "b*", "*a", "*"]),
        _ if dice.chance(6) => dice.some(&["a*", "*"]),
        _ => dice.some(&VALUES),
    };
    let name = if dice.chance(75) {
        "values"
    } else {
        "notValues"
    };
    json!({"key": key, name: values})
}

fn rule(dice: &mut Dice, least: &str) -> Value {
    let mut rule = json!({});
    if least == "from" || dice.chance(55) {
        let sources = if dice.chance(85) { 1 } else { 2 };
        let sources: Vec<Value> = (0..sources).map(|_| source(dice)).collect();
        rule["from"] = json!(sources);
    }
    if dice.chance(60) {
        let operations = if dice.chance(75) { 1 } else { 2 };
        let operations: Vec<Value> = (0..operations).map(|_| operation(dice)).collect();
        rule["to"] = json!(operations);
    }
    if dice.chance(35) {
        let conditions: Vec<Value> = (0..dice.between(1, 2)).map(|_| condition(dice)).collect();
        rule["when"] = json!(conditions);
    }
    rule
}

pub(crate) fn policies(dice: &mut Dice) -> Vec<Value> {
    let mut policies = Vec::new();
    let mut add = |spec: Value| {
        let name = format!("p{}", policies.len());
        policies.push(json!({
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": {"name": name, "namespace": "n"},
            "spec": spec,
        }));
    };
    if dice.chance(40) {
        let rule = json!({"from": [{"source": {"notRequestPrincipals": ["*"]}}]});
        add(json!({"action": "DENY", "rules": [rule]}));
    }
    if dice.chance(45) {
        let rules: Vec<Value> = (0..dice.between(1, 2)).map(|_| rule(dice, "")).collect();
        add(json!({"action": "DENY", "rules": rules}));
    }
    for _ in 0..dice.between(0, 2) {
        let least = if dice.chance(70) { "from" } else { "" };
        let rules: Vec<Value> = (0..dice.between(0, 2)).map(|_| rule(dice, least)).collect();
        let mut spec = json!({});
        if !rules.is_empty() {
            spec["rules"] = json!(rules);
        }
        if dice.chance(50) {
            spec["action"] = json!("ALLOW");
        }
        add(spec);
    }
    policies
}
