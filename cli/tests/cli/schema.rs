//! The JSON Schema: fresh, and of the filter's own opinion.

use bearer_gate::config::{Config, reference, schema};
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

#[test]
fn the_documents_have_the_reference_of_the_types() {
    let document = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let (_, after) = document.split_once("\n<!-- reference:").unwrap();
    let (_, tables) = after.split_once("-->\n").unwrap();
    assert!(
        tables == reference(),
        "docs/configuration.md is stale: make reference"
    );
}

/// The objects of the schema by their names, the configuration itself first.
fn objects(schema: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let named = schema["$defs"].as_object().unwrap().iter();
    let named = named.map(|(name, object)| (name.as_str(), object));
    std::iter::once(("Top level", schema)).chain(named)
}

#[test]
fn the_reference_has_every_field() {
    let schema = schema();
    let reference = reference();
    let mut seen = 0;
    for (name, object) in objects(&schema) {
        let Some(fields) = object["properties"]
            .as_object()
            .filter(|fields| !fields.is_empty())
        else {
            continue;
        };
        let section = reference
            .split(&format!("\n### {name}\n"))
            .nth(1)
            .and_then(|rest| rest.split("\n### ").next())
            .unwrap_or_else(|| {
                if name == "Duration" {
                    ""
                } else {
                    panic!("no section: {name}")
                }
            });
        for (field, value) in fields {
            if name == "Duration" {
                continue;
            }
            seen += 1;
            if value["not"].is_null() {
                let row = section
                    .lines()
                    .find(|line| line.starts_with(&format!("| `{field}`")));
                let row = row.unwrap_or_else(|| panic!("no row: {name}.{field}"));
                assert!(!row.ends_with("|  |"), "says nothing: {row}");
            } else {
                assert!(
                    section.contains(&format!("`{field}`")),
                    "not refused: {name}.{field}"
                );
            }
        }
    }
    assert!(seen > 120, "{seen}");
}

/// A configuration that contains each object which has a field with a default.
fn whole() -> Value {
    let discovery = json!({
        "issuer": "https://i.example/",
        "audiences": ["a"],
        "openid_discovery": {"cluster": "c", "timeout": "5s"}
    });
    let alb = json!({
        "issuer": "https://i.example/",
        "aws_alb": {
            "signer": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/a/1",
            "clients": ["a"],
            "http_uri": {"uri": "https://k.example/{kid}", "cluster": "c", "timeout": "5s"}
        }
    });
    let mut remote = provider();
    remote["subjects"] = json!({"prefix": "a"});
    remote["from_cookies"] = json!([{"name": "a"}]);
    remote["from_subprotocols"] = json!([{"prefix": "a"}]);
    remote["forward_payload_header"] = json!("x-payload");
    remote["remote_jwks"]["retry_policy"] = json!({});
    let either = json!({
        "issuer": "https://i.example/", "audiences": ["a"],
        "local_jwks": {"inline_string": format!("{{\"keys\": [{}]}}", include_str!("../../../tests/fixtures/ed25519.jwk.json"))}
    });
    json!({
        "providers": {"p": remote, "discovery": discovery, "local": either, "alb": alb},
        "errors": {"by_reason": {"no_rule": {"status": 404}}},
        "rules": [{
            "match": {"path": "/", "headers": [{"name": "a", "exact_match": "b"}]},
            "requires": {"requires_any": {"requirements": [
                {"provider_name": "p"}, {"session": "staff"}
            ]}}
        }],
        "sign_in": {
            "cookie_keys": [{"inline_string": "a secret of thirty-two octets or more"}],
            "allowed_redirect_domains": ["app.example"],
            "schemes": {"staff": {
                "provider_name": "discovery",
                "credentials": {"client_id": "web", "token_secret": {"inline_string": "secret"}},
                "token_endpoint": {"cluster": "c", "timeout": "5s"},
                "callback_path": "/callback",
                "session": {},
                "cookie": {}
            }}
        },
        "shared_store": {
            "http_uri": {"uri": "http://redis.example/", "cluster": "c", "timeout": "1s"}
        }
    })
}

/// Every object in `value` that is one of type `name`, as pointers.
fn places(name: &str) -> &'static [&'static str] {
    match name {
        "Top level" => &[""],
        "Provider" => &["/providers/p"],
        "RemoteJwks" => &["/providers/p/remote_jwks"],
        "RetryPolicy" => &["/providers/p/remote_jwks/retry_policy"],
        "Discovery" => &["/providers/discovery/openid_discovery"],
        "AwsAlb" => &["/providers/alb/aws_alb"],
        "FromCookie" => &["/providers/p/from_cookies/0"],
        "FromSubprotocol" => &["/providers/p/from_subprotocols/0"],
        "TextMatcher" => &["/providers/p/subjects"],
        "Errors" => &["/errors"],
        "Rule" => &["/rules/0"],
        "Match" => &["/rules/0/match"],
        "Scheme" => &["/sign_in/schemes/staff"],
        "Session" => &["/sign_in/schemes/staff/session"],
        "SharedStore" => &["/shared_store"],
        "Cookie" => &["/sign_in/schemes/staff/cookie"],
        "HeaderMatcher" => &["/rules/0/match/headers/0"],
        _ => &[],
    }
}

#[test]
fn a_default_that_is_written_changes_nothing() {
    let parse = |config: &Value| {
        let parsed = Config::parse(config.to_string().as_bytes());
        format!(
            "{:?}",
            parsed.unwrap_or_else(|error| panic!("{config}: {error}"))
        )
    };
    let without = parse(&whole());
    let schema = schema();
    let mut seen = 0;
    for (name, object) in objects(&schema) {
        let fields = object["properties"].as_object().into_iter().flatten();
        for (field, default) in
            fields.filter_map(|(field, value)| Some((field, value.get("default")?)))
        {
            let places = places(name);
            assert!(
                !places.is_empty(),
                "{name}.{field} has a default that is not tried"
            );
            for place in places {
                let mut config = whole();
                config.pointer_mut(place).unwrap()[field] = default.clone();
                assert_eq!(parse(&config), without, "{name}.{field}");
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen}");
}
