//! The plugin's configuration: what is accepted and its valid form (here), what is refused and in
//! which words (the modules).

#![allow(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod fields;
mod issuers;
mod keys;
mod responses;
mod rules;
mod sign_in;
mod values;

use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bearer_gate::config::{
    Access, ClaimFormat, ClaimHeader, Config, Endpoint, Fact, KeySource, OutputRules,
    PayloadHeader, ProviderDemand, Reads, Remote, Requirement, Unmatched,
};
use bearer_gate::http::credentials::Place;
use bearer_gate::http::uri::Scheme;
use bearer_gate::jose::issuer::Issuer;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::token_type::TokenType;
use bearer_gate::matcher::{Condition, PathMatcher};
use serde_json::{Value, json};

/// A JWK Set with one usable key.
const JWKS: &str = concat!(
    "{\"keys\":[",
    include_str!("../fixtures/set-a.jwk.json"),
    "]}"
);

/// A configuration with one provider, `p`, that has what is required and `fields` besides.
fn with_provider(fields: Value) -> Value {
    let mut provider = json!({
        "issuer": "https://i.example/",
        "audiences": ["a"],
        "local_jwks": {"inline_string": JWKS}
    });
    merge(&mut provider, fields);
    json!({"providers": {"p": provider}})
}

/// One whose provider fetches its keys, with `fields` in its `remote_jwks`.
fn with_remote(fields: Value) -> Value {
    let mut remote = json!({
        "http_uri": {"uri": "https://i.example/jwks", "cluster": "idp", "timeout": "5s"}
    });
    merge(&mut remote, fields);
    with_provider(json!({"local_jwks": null, "remote_jwks": remote}))
}

/// One whose provider is discovered, with `fields` in its `openid_discovery`.
fn with_discovery(fields: Value) -> Value {
    let mut discovery = json!({"cluster": "idp", "timeout": "5s"});
    merge(&mut discovery, fields);
    with_provider(json!({"local_jwks": null, "openid_discovery": discovery}))
}

/// One with this rule and a provider `auth0`.
fn with_rule(rule: Value) -> Value {
    let mut config = with_provider(json!({}));
    let provider = config["providers"]["p"].take();
    json!({"providers": {"auth0": provider}, "rules": [rule]})
}

/// Sets the members of an object; `null` takes one away.
fn merge(object: &mut Value, fields: Value) {
    let Value::Object(fields) = fields else {
        return;
    };
    let Some(object) = object.as_object_mut() else {
        return;
    };
    for (name, value) in fields {
        if value.is_null() {
            object.remove(&name);
        } else {
            object.insert(name, value);
        }
    }
}

fn parse(config: &Value) -> Result<Config, String> {
    Config::parse(config.to_string().as_bytes()).map_err(|error| error.to_string())
}

fn refused(config: &Value) -> String {
    match parse(config) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => error,
    }
}

fn remote(config: &Value) -> Remote {
    match parse(config).map(|config| config.providers.iter().as_slice()[0].keys.clone()) {
        Ok(KeySource::Remote(remote)) => (*remote).clone(),
        other => panic!("{config}: {other:?}"),
    }
}

#[test]
fn an_example_of_most_fields() {
    let config = Config::parse(
        br#"{
        "providers": {"auth0": {
          "issuer": "https://tenant.eu.auth0.com/",
          "audiences": ["https://api.example.com"],
          "remote_jwks": {
            "http_uri": {"uri": "https://tenant.eu.auth0.com/.well-known/jwks.json", "cluster": "auth0", "timeout": "5s"},
            "cache_duration": "300s"},
          "forward": false,
          "forward_payload_header": "X-Jwt-Payload",
          "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}, {"header_name": "x-city", "claim_name": "address.city"}],
          "clock_skew_seconds": 30.0,
          "require_expiration": true,
          "algorithms": ["RS256"],
          "scope_claims": ["scope"]}},
        "rules": [
          {"match": {"prefix": "/public"}},
          {"match": {"prefix": "/api/messages", "methods": ["POST"]},
           "requires": {"provider_name": "auth0"},
           "authorize": {
             "scopes": {"all": ["write:messages"]},
             "claims": [{"path": ["https://example.com/roles"], "any": ["admin", "editor"]}]}},
          {"match": {"path": "/x"}, "requires": {"provider_name": "auth0"}}]
        }"#,
    )
    .unwrap();
    let provider = &config.providers.iter().as_slice()[0];
    assert_eq!(provider.name, "auth0");
    assert_eq!(
        provider.expectations.issuer.only(),
        Some("https://tenant.eu.auth0.com/")
    );
    assert_eq!(provider.expectations.audiences, ["https://api.example.com"]);
    assert_eq!(provider.expectations.algorithms, [Algorithm::Rs256]);
    assert_eq!(provider.expectations.clock_skew_seconds, 30);
    assert!(provider.expectations.require_expiration);
    assert!(!provider.forward);
    let payload_header = provider.outputs.payload_header.as_ref().unwrap();
    assert_eq!(
        (payload_header.name.as_str(), payload_header.padded),
        ("x-jwt-payload", false)
    );
    assert_eq!(provider.outputs.claim_headers[1].header, "x-city");
    assert_eq!(provider.outputs.claim_headers[1].claim, ["address", "city"]);
    assert_eq!(provider.scope_claims, ["scope"]);
    let KeySource::Remote(remote) = &provider.keys else {
        panic!("keys are fetched");
    };
    assert_eq!(remote.times.cache_duration, Duration::from_secs(300));
    let Endpoint::Jwks(uri) = &remote.endpoint else {
        panic!("from an address");
    };
    assert_eq!(
        (
            uri.scheme,
            uri.authority.as_str(),
            uri.path.as_str(),
            uri.cluster.as_str(),
            uri.timeout
        ),
        (
            Scheme::Https,
            "tenant.eu.auth0.com",
            "/.well-known/jwks.json",
            "auth0",
            Duration::from_secs(5)
        )
    );
    let rules = config.rules.all();
    assert_eq!(rules[0].access, Access::Public);
    assert_eq!(
        rules[1].matcher.conditions,
        [Condition::Methods(vec!["POST".to_owned()])]
    );
    let Access::Token(access) = &rules[1].access else {
        panic!("asks for a token");
    };
    assert_eq!(access.demand.places, [Place::bearer()]);
    assert_eq!(
        access.demand.requirement,
        Requirement::Provider(ProviderDemand {
            provider: config.providers.ids().next().unwrap(),
            places: vec![0],
            session: None,
            expectations: None
        })
    );
    assert_eq!(access.authorize.challenge, "write:messages");
    assert_eq!(
        access.authorize.claims[0].path,
        ["https://example.com/roles"]
    );
    assert_eq!(rules[2].matcher.path, PathMatcher::Exact("/x".to_owned()));
    assert_eq!(
        config.reads,
        Reads::Each(vec![":path", ":method", "authorization"])
    );
    for name in [
        "x-city",
        "x-jwt-payload",
        "x-jwt_payload",
        "x-user",
        "x_city",
        "x_jwt-payload",
        "x_jwt_payload",
        "x_user",
        // to PHP, and to lighttpd
        "x.user",
        "x~jwt+payload",
    ] {
        assert!(config.is_reserved(name), "{name}");
    }
    for name in ["xuser", "x-users", "user", "x--user", "x-user-", ""] {
        assert!(!config.is_reserved(name), "{name}");
    }
    assert_eq!(
        config.reserved_headers,
        ["x-city", "x-jwt-payload", "x-user"]
    );
}

/// Punctuation is not told apart in the names of metrics; local keys have no metrics.
#[test]
fn providers_of_one_label_share_their_metrics() {
    let shares = |names: &[&str], is_local: bool| {
        let one = if is_local {
            with_provider(json!({}))
        } else {
            with_remote(json!({}))
        };
        let providers: serde_json::Map<String, Value> = names
            .iter()
            .map(|name| ((*name).to_owned(), one["providers"]["p"].clone()))
            .collect();
        let config = parse(&json!({"providers": providers})).unwrap();
        let pairs = config.sharing_metrics().into_iter();
        pairs
            .map(|pair| pair.map(|provider| provider.name.clone()).join(" "))
            .collect::<Vec<_>>()
    };
    let table: &[(&[&str], &[&str])] = &[
        (&["a"], &[]),
        (&["a.b", "ab", "a-b", "A.b"], &[]),
        (&["a.b", "a_b"], &["a.b a_b"]),
        (
            &["a b", "a.b", "a\u{e9}b", "c"],
            &["a b a.b", "a b a\u{e9}b"],
        ),
    ];
    for (names, expected) in table {
        assert_eq!(shares(names, false), *expected, "{names:?}");
        assert!(shares(names, true).is_empty(), "{names:?}");
    }
}

#[test]
fn all_headers_are_read_at_once_and_those_that_are_looked_at_are_kept() {
    let mut config = with_remote(json!({}));
    config["bypass_cors_preflight"] = json!(true);
    config["rules"] = json!([{
        "match": {"prefix": "/", "headers": [{"name": "X-Mode", "present_match": true}]},
        "requires": {"provider_name": "p"},
    }]);
    config["providers"]["p"]["from_cookies"] = json!(["session"]);
    let reads = parse(&config).unwrap().reads;
    // an upstream may take x_mode for x-mode
    for (name, kept) in [("x-mode", true), ("x_mode", true), ("x-modes", false)] {
        assert_eq!(reads.kept(name).is_some(), kept, "{name}");
    }
    let Reads::All(mut names) = reads else {
        panic!("a cookie is never read alone");
    };
    names.sort_unstable();
    assert_eq!(
        names,
        [
            ":method",
            ":path",
            "access-control-request-method",
            "cookie",
            "origin",
            "x-mode"
        ]
    );
}

#[test]
fn defaults() {
    let config = parse(&with_remote(json!({}))).unwrap();
    assert_eq!(config.unmatched, Unmatched::Deny);
    assert_eq!(config.responses.realm, "api");
    assert_eq!(config.max_waiting, 1024);
    assert!(config.rules.all().is_empty() && config.reserved_headers.is_empty());
    assert_eq!(config.reads, Reads::Each(vec![":path"]));
    assert!(!config.bypass_cors_preflight);
    let provider = &config.providers.iter().as_slice()[0];
    assert_eq!(provider.expectations.algorithms, Algorithm::ASYMMETRIC);
    assert_eq!(provider.expectations.clock_skew_seconds, 60);
    assert!(
        provider.expectations.require_expiration
            && !provider.forward
            && !provider.expectations.allow_sender_constrained
            && provider.expectations.token_type.is_none()
    );
    assert_eq!(provider.scope_claims, ["scope", "scp", "permissions"]);
    let remote = remote(&with_remote(json!({})));
    assert_eq!(remote.times.cache_duration, Duration::from_secs(600));
    assert_eq!(remote.times.max_stale, Duration::from_secs(86_400));
    assert_eq!(remote.times.early_cooldown, Duration::from_secs(30));
    assert!(!remote.times.respect_cache_control);
    assert_eq!(
        (
            remote.times.back_off_base,
            remote.times.back_off_max,
            remote.times.retries
        ),
        (Duration::from_millis(200), Duration::from_secs(30), 0)
    );
    let config =
        parse(&json!({"unmatched": "allow", "realm": "my api", "max_waiting": 0})).unwrap();
    assert_eq!(config.unmatched, Unmatched::Allow);
    assert_eq!(
        (config.responses.realm.as_str(), config.max_waiting),
        ("my api", 0)
    );
    assert!(parse(&json!({})).unwrap().providers.is_empty());
}

#[test]
fn lower_camel_case_is_accepted() {
    let config = parse(&json!({
        "maxWaiting": 5,
        "filterState": ["subject", "reason"],
        "providers": {"p": {
            "anyIssuer": true, "anyAudience": true,
            "remoteJwks": {
                "httpUri": {"uri": "http://i/k", "cluster": "c", "timeout": "1s"},
                "cacheDuration": "60s", "respectCacheControl": true, "maxStale": "3600s",
                "unknownKidCooldown": "10s", "asyncFetch": {"fastListener": true},
                "retryPolicy": {"numRetries": 2, "retryBackOff": {"baseInterval": "0.1s", "maxInterval": "0.5s"}}
            },
            "forwardPayloadHeader": "x-p", "padForwardPayloadHeader": true,
            "claimToHeaders": [{"headerName": "x-c", "claimPath": ["c.d", "e"], "format": "csv", "encode": "base64"}],
            "payloadInMetadata": "jwt", "headerInMetadata": "jose", "failedStatusInMetadata": "failed",
            "normalizePayloadInMetadata": {"spaceDelimitedClaims": ["scope"]},
            "clockSkewSeconds": 1, "requireExpiration": false, "scopeClaims": ["s"],
            "allowSenderConstrained": true, "clearRouteCache": true
        }},
        "rules": [{"match": {"prefix": "/", "caseSensitive": true}, "requires": {"providerName": "p"}}]
    }))
    .unwrap();
    let provider = &config.providers.iter().as_slice()[0];
    assert_eq!(
        (
            &provider.expectations.issuer,
            provider.expectations.audiences.len()
        ),
        (&Issuer::Any, 0)
    );
    assert!(
        !provider.expectations.require_expiration && provider.expectations.allow_sender_constrained
    );
    let KeySource::Remote(remote) = &provider.keys else {
        panic!("keys are fetched");
    };
    assert_eq!(
        (
            remote.times.back_off_base,
            remote.times.back_off_max,
            remote.times.retries
        ),
        (Duration::from_millis(100), Duration::from_millis(500), 2)
    );
    assert!(remote.times.respect_cache_control);
    assert_eq!(config.facts, [Fact::Subject, Fact::Reason]);
    assert_eq!(
        provider.outputs,
        OutputRules {
            payload_header: Some(PayloadHeader {
                name: "x-p".to_owned(),
                padded: true
            }),
            claim_headers: vec![ClaimHeader {
                header: "x-c".to_owned(),
                claim: vec!["c.d".to_owned(), "e".to_owned()],
                format: ClaimFormat::Csv,
                base64: true,
            }],
            payload_state: Some("jwt".to_owned()),
            space_delimited_claims: vec!["scope".to_owned()],
            header_state: Some("jose".to_owned()),
            failure_state: Some("failed".to_owned()),
            facts: config.facts.clone(),
        }
    );
}

#[test]
fn key_sources() {
    // Bytes, in either alphabet, padded or not. The note makes the alphabets differ.
    let noted = JWKS.replacen('{', r#"{"note": "???>>>~~~","#, 1);
    for text in [
        BASE64_STANDARD.encode(&noted),
        BASE64_URL_SAFE_NO_PAD.encode(&noted),
    ] {
        assert!(text.contains(['+', '/', '-', '_']), "{text}");
        let config = parse(&with_provider(
            json!({"local_jwks": {"inline_bytes": text}}),
        ))
        .unwrap();
        let KeySource::Local(keys) = &config.providers.iter().as_slice()[0].keys else {
            panic!("keys are local");
        };
        assert_eq!(keys.keys()[0].kid(), Some("a"));
    }
    let discovered = remote(&with_discovery(
        json!({"jwks_cluster": "keys", "cache_duration": {"seconds": 90.0}}),
    ));
    assert_eq!(discovered.times.cache_duration, Duration::from_secs(90));
    assert_eq!(
        discovered.endpoint,
        Endpoint::Discovery {
            issuer: "https://i.example/".to_owned(),
            uri: None,
            cluster: "idp".to_owned(),
            jwks_cluster: Some("keys".to_owned()),
            timeout: Duration::from_secs(5),
        }
    );
    let elsewhere = remote(&with_discovery(json!({"uri": "https://m.example/x?y"})));
    let Endpoint::Discovery { uri, .. } = elsewhere.endpoint else {
        panic!("{:?}", elsewhere.endpoint);
    };
    assert_eq!(uri.as_deref(), Some("https://m.example/x?y"));
    // (fields, base, max, retries)
    let back_off = [
        (json!({"async_fetch": {}}), 200, 30_000, 0),
        (
            json!({"async_fetch": {"fast_listener": false}}),
            200,
            30_000,
            0,
        ),
        (
            json!({"async_fetch": {"failed_refetch_duration": "5s"}}),
            200,
            5000,
            0,
        ),
        (
            json!({"async_fetch": {"failed_refetch_duration": "0.1s"}}),
            100,
            100,
            0,
        ),
        (json!({"retry_policy": {}}), 200, 30_000, 1),
        (json!({"retry_policy": {"num_retries": 0}}), 200, 30_000, 0),
        (
            json!({"retry_policy": {"retry_back_off": {"base_interval": "0.3s"}}}),
            300,
            3000,
            1,
        ),
    ];
    for (fields, base, max, retries) in back_off {
        let remote = remote(&with_remote(fields.clone()));
        assert_eq!(
            (
                remote.times.back_off_base.as_millis(),
                remote.times.back_off_max.as_millis(),
                remote.times.retries
            ),
            (base, max, retries),
            "{fields}"
        );
    }
}

#[test]
fn a24_the_type_of_tokens() {
    for (field, written, expected) in [
        ("token_type", "at+jwt", TokenType::AccessToken),
        ("tokenType", "jwt", TokenType::Jwt),
    ] {
        let config = parse(&with_provider(json!({field: written}))).unwrap();
        let expectations = &config.providers.iter().as_slice()[0].expectations;
        assert_eq!(expectations.token_type, Some(expected));
        assert!(expectations.require_expiration);
    }
}
