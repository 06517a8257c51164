//! The JSON Schema: fresh, and of the filter's own opinion.

use std::collections::BTreeSet;

use bearer_gate::config::{Config, schema};
use serde_json::{Value, json};

use super::root;

#[test]
fn the_file_is_the_schema_of_the_types() {
    let file = std::fs::read_to_string(root().join("envoy/bearer-gate.schema.json")).unwrap();
    let fresh = format!("{:#}\n", schema());
    assert!(
        file == fresh,
        "envoy/bearer-gate.schema.json is stale: make schema"
    );
}

#[test]
fn the_fields_are_described_with_their_defaults() {
    let schema = schema();
    let provider = &schema["$defs"]["Provider"]["properties"];
    for (name, field) in provider.as_object().unwrap() {
        if field["not"].is_null() && field["const"].is_null() {
            assert!(
                field["description"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{name}"
            );
        }
    }
    assert_eq!(provider["clock_skew_seconds"]["default"], 60);
    assert_eq!(provider["require_expiration"]["default"], true);
    assert_eq!(
        provider["scope_claims"]["default"],
        json!(["scope", "scp", "permissions"])
    );
    assert_eq!(schema["properties"]["unmatched"]["default"], "deny");
    let remote = &schema["$defs"]["RemoteJwks"]["properties"];
    assert_eq!(remote["cache_duration"]["default"], "600s");
}

fn provider() -> Value {
    json!({
        "issuer": "https://i.example/",
        "audiences": ["a"],
        "remote_jwks": {"http_uri": {"uri": "https://i.example/", "cluster": "c", "timeout": "5s"}}
    })
}

/// The schema and the filter are of one opinion on these.
fn check(table: &[(Value, bool)]) {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (config, expected) in table {
        assert_eq!(validator.is_valid(config), *expected, "schema: {config}");
        let taken = Config::parse(config.to_string().as_bytes());
        assert_eq!(
            taken.is_ok(),
            *expected,
            "filter: {config}: {:?}",
            taken.err()
        );
    }
}

#[test]
fn what_is_taken_is_valid_and_what_has_no_such_shape_is_not() {
    let with = |fields: Value| {
        let mut provider = provider();
        for (name, value) in fields.as_object().unwrap() {
            provider[name] = value.clone();
        }
        json!({"providers": {"p": provider}})
    };
    let rule = |rule: Value| json!({"providers": {"p": provider()}, "rules": [rule]});
    check(&[
        (json!({}), true),
        (with(json!({})), true),
        (
            with(json!({"clock_skew_seconds": 5, "forward": true})),
            true,
        ),
        (
            with(json!({"clockSkewSeconds": 5.0, "maxLifetime": {"seconds": 5}})),
            true,
        ),
        (
            with(json!({"max_lifetime": "1.5s", "subjects": {"prefix": "a"}})),
            true,
        ),
        (
            with(json!({"from_headers": [{"name": "x", "valuePrefix": "y "}]})),
            true,
        ),
        (
            rule(json!({"match": {"prefix": "/"}, "requires": {"provider_name": "p"}})),
            true,
        ),
        (
            rule(json!({"match": {"safeRegex": {"googleRe2": {}, "regex": "/.*"}}})),
            true,
        ),
        (
            rule(json!({
                "match": {"path": "/", "headers": [{"name": "a", "range_match": {"start": "1", "end": 5}}]},
                "requires": {"provider_and_audiences": {"provider_name": "p", "audiences": ["b"]}},
                "authorize": {"scopes": {"all": ["a"]}, "claims": [{"path": ["x"], "not": {"equals": 1}}]}
            })),
            true,
        ),
        (
            with(json!({"pad_forward_payload_header": false, "clear_route_cache": true})),
            true,
        ),
        (json!([]), false),
        (json!({"provider": {}}), false),
        (json!({"providers": []}), false),
        (json!({"rules": {}}), false),
        (json!({"rules": null}), false),
        (json!({"unmatched": "maybe"}), false),
        (json!({"max_waiting": -1}), false),
        (json!({"max_waiting": 1.5}), false),
        (json!({"stat_prefix": "x"}), false),
        (with(json!({"isuer": "x"})), false),
        (with(json!({"audiences": "a"})), false),
        (with(json!({"audiences": [5]})), false),
        (with(json!({"clock_skew": 5})), false),
        (with(json!({"clear_route_cache": false})), false),
        (with(json!({"max_lifetime": "5m"})), false),
        (with(json!({"max_lifetime": {"minutes": 5}})), false),
        (with(json!({"forward": "true"})), false),
        (
            rule(json!({"match": {"prefix": "/"}, "requires": null})),
            false,
        ),
        (rule(json!({"match": {"prefix": "/", "grpc": {}}})), false),
        (rule(json!({"requires": {"provider_name": "p"}})), false),
        (rule(json!("public")), false),
    ]);
}

#[test]
fn every_alias_is_one_that_the_filter_knows() {
    // a name that the filter does not know is an unknown field, whatever its value
    let schema = schema();
    let mut seen = 0;
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        let Some(aliases) = definition["patternProperties"].as_object() else {
            continue;
        };
        let place = |member: Value| match name.as_str() {
            "Provider" => json!({"providers": {"p": member}}),
            "Rule" => json!({"rules": [member]}),
            "Match" => json!({"rules": [{"match": member}]}),
            "Requires" => json!({"rules": [{"requires": member}]}),
            "RemoteJwks" => json!({"providers": {"p": {"remote_jwks": member}}}),
            "Discovery" => json!({"providers": {"p": {"openid_discovery": member}}}),
            _ => Value::Null,
        };
        for alias in aliases.keys().map(|alias| alias.trim_matches(['^', '$'])) {
            let config = place(json!({(alias): []}));
            if config.is_null() {
                continue;
            }
            seen += 1;
            let error = Config::parse(config.to_string().as_bytes()).unwrap_err();
            assert!(
                !error.problem().contains("unknown field"),
                "{name}.{alias}: {error}"
            );
        }
    }
    assert!(seen > 40, "{seen}");
}

/// Names in code style at the start of the rows of the README's reference.
fn documented() -> BTreeSet<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let reference = readme
        .split("\n## Configuration reference\n")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .unwrap();
    let mut words = BTreeSet::new();
    for code in reference.split('`').skip(1).step_by(2) {
        let separators = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        words.extend(code.split(separators).map(str::to_owned));
    }
    words
}

/// Every name of the schema; those that are refused by name too.
fn names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                names.extend(properties.keys().cloned());
            }
            members
                .values()
                .for_each(|member| self::names(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| self::names(item, names)),
        _ => {}
    }
}

/// The fields in the first column of the reference's tables.
fn rows() -> BTreeSet<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let reference = readme
        .split("\n## Configuration reference\n")
        .nth(1)
        .unwrap();
    let reference = reference.split("\n## ").next().unwrap();
    let first = reference
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let mut fields = BTreeSet::new();
    for cell in first {
        for code in format!("`{cell}").split('`').skip(1).step_by(2) {
            // `a.b`, `a: v`, `a: {b: [...]}`
            let path = code.split(':').next().unwrap();
            fields.extend(path.split('.').map(str::to_owned));
        }
    }
    fields
}

#[test]
fn the_reference_in_the_readme_has_every_field_and_no_other() {
    let mut fields = BTreeSet::new();
    names(&schema(), &mut fields);
    assert!(fields.len() > 80, "{}", fields.len());
    let documented = documented();
    let missing: Vec<_> = fields.difference(&documented).collect();
    assert!(
        missing.is_empty(),
        "not in the README's reference: {missing:?}"
    );
    let rows = rows();
    assert!(rows.len() > 60, "{}", rows.len());
    let unknown: Vec<_> = rows.difference(&fields).collect();
    assert!(
        unknown.is_empty(),
        "in the README's reference only: {unknown:?}"
    );
}
