//! Fields that are refused for what they hold.

use bearer_gate::jose::jwa::Algorithm;
use serde_json::{Value, json};

use super::{refused, with_provider};

#[test]
fn refuses_top_level_values() {
    let realm = "realm: must be 1 to 256 printable ASCII characters without \" and \\";
    let table = [
        (json!({"realm": ""}), realm),
        (json!({"realm": "a\"b"}), realm),
        (json!({"realm": "a\\b"}), realm),
        (json!({"realm": "a\r\nb"}), realm),
        (json!({"realm": "\u{e9}"}), realm),
        (json!({"realm": "a".repeat(257)}), realm),
        (
            json!({"max_waiting": 65_537}),
            "max_waiting: must be 65536 at most",
        ),
        (
            json!({"filter_state": ["reason", "subject", "reason"]}),
            "filter_state[2]: given twice",
        ),
        (
            json!({"filter_state": ["token"]}),
            "filter_state[0]: must be reason, provider, issuer, subject, unverified_issuer, unverified_subject or unverified_kid",
        ),
        (
            json!({"max_waiting": u64::MAX}),
            "max_waiting: must be 65536 at most",
        ),
        (
            json!({"max_waiting": -1}),
            "max_waiting: invalid value: integer, expected a whole number from 0",
        ),
        (
            json!({"route_metadata": "bearer_gate"}),
            "route_metadata: needs a namespace of metadata, and a requirement_map whose names routes can use",
        ),
        (
            json!({"unmatched": "permit"}),
            "unmatched: unknown variant, expected `allow` or `deny`",
        ),
        (
            json!({"unmatched": []}),
            "unmatched: invalid type: sequence, expected a string",
        ),
        (
            json!({"unmatched": {"allow": null}}),
            "unmatched: invalid type: map, expected a string",
        ),
        (
            json!({"rules": {}}),
            "rules: invalid type: map, expected a sequence",
        ),
        (
            json!({"providers": []}),
            "providers: invalid type: sequence, expected an object of named entries",
        ),
    ];
    for (config, expected) in table {
        assert_eq!(refused(&config), expected, "{config}");
    }
}

#[test]
fn refuses_provider_values() {
    let keys =
        "providers.p: has more than one of remote_jwks, local_jwks, openid_discovery and aws_alb";
    let table = [
        (
            json!({"issuer": null}),
            "providers.p.issuer: required (or issuers, trust_domain, or any_issuer: true)",
        ),
        (
            json!({"issuer": null, "any_issuer": false}),
            "providers.p.issuer: required (or issuers, trust_domain, or any_issuer: true)",
        ),
        (
            json!({"issuer": ""}),
            "providers.p.issuer: must not be empty",
        ),
        (
            json!({"any_issuer": true}),
            "providers.p.any_issuer: contradicts issuer",
        ),
        (
            json!({"token_type": "at+jwt", "require_expiration": false}),
            "providers.p.require_expiration: contradicts token_type: an access token of RFC 9068 has exp",
        ),
        (
            json!({"token_type": "JWT"}),
            "providers.p.token_type: unknown variant, expected `at+jwt` or `jwt`",
        ),
        (
            json!({"token_type": ""}),
            "providers.p.token_type: unknown variant, expected `at+jwt` or `jwt`",
        ),
        (
            json!({"audiences": null}),
            "providers.p.audiences: required (or any_audience: true)",
        ),
        (
            json!({"audiences": []}),
            "providers.p.audiences: must not be empty (or any_audience: true)",
        ),
        (
            json!({"audiences": ["a", ""]}),
            "providers.p.audiences[1]: must not be empty",
        ),
        (
            json!({"any_audience": true}),
            "providers.p.any_audience: contradicts audiences",
        ),
        (
            json!({"audiences": "a"}),
            "providers.p.audiences: invalid type: string, expected a sequence",
        ),
        (
            json!({"clock_skew_seconds": 86_401}),
            "providers.p.clock_skew_seconds: must be 86400 at most",
        ),
        (
            json!({"clock_skew_seconds": 0.5}),
            "providers.p.clock_skew_seconds: invalid value: floating point, expected a whole number from 0",
        ),
        (
            json!({"require_expiration": "false"}),
            "providers.p.require_expiration: invalid type: string, expected a boolean",
        ),
        (
            json!({"algorithms": []}),
            "providers.p.algorithms: must not be empty",
        ),
        (
            json!({"algorithms": ["RS256", "RS256"]}),
            "providers.p.algorithms[1]: given twice",
        ),
        (
            json!({"scope_claims": []}),
            "providers.p.scope_claims: must not be empty",
        ),
        (
            json!({"scope_claims": [""]}),
            "providers.p.scope_claims[0]: must not be empty",
        ),
        (
            json!({"local_jwks": null}),
            "providers.p: has no keys: one of remote_jwks, local_jwks, openid_discovery and aws_alb is required",
        ),
        (json!({"remote_jwks": {}}), keys),
        (json!({"openid_discovery": {}}), keys),
        (
            json!({"local_jwks": {}}),
            "providers.p.local_jwks: one of inline_string and inline_bytes is required",
        ),
        (
            json!({"local_jwks": {"filename": "/etc/jwks.json"}}),
            "providers.p.local_jwks.filename: a Wasm filter cannot read files, use inline_string",
        ),
        (
            json!({"local_jwks": {"inline_string": "{}", "inline_bytes": "e30="}}),
            "providers.p.local_jwks: has both inline_string and inline_bytes",
        ),
        (
            json!({"local_jwks": {"inline_string": " "}}),
            "providers.p.local_jwks.inline_string: must not be empty",
        ),
        (
            json!({"local_jwks": {"inline_string": "{}"}}),
            "providers.p.local_jwks.inline_string: Jwks does not have [keys] field",
        ),
        (
            json!({"local_jwks": {"inline_string": r#"{"keys": [{"kty": "oct", "k": "AA"}]}"#}}),
            "providers.p.local_jwks.inline_string: Jwks doesn't have any valid public key: key 0: kty oct is for local_jwks with HS256, HS384 or HS512 in algorithms",
        ),
        (
            json!({"local_jwks": {"inline_bytes": "e30*"}}),
            "providers.p.local_jwks.inline_bytes: is not base64",
        ),
        (
            json!({"forward_payload_header": "Authorization"}),
            "providers.p.forward_payload_header: is a header that the filter must not set",
        ),
        (
            json!({"forward_payload_header": ":path"}),
            "providers.p.forward_payload_header: must not be a pseudo-header",
        ),
        (
            json!({"forward_payload_header": ""}),
            "providers.p.forward_payload_header: is not a header name",
        ),
        (
            json!({"forward_payload_header": "x-user", "claim_to_headers": [{"header_name": "x.user", "claim_name": "sub"}]}),
            "providers.p.claim_to_headers[0].header_name: is set by this provider already",
        ),
        (
            json!({"forward_payload_header": "x-user", "claim_to_headers": [{"header_name": "X_User", "claim_name": "sub"}]}),
            "providers.p.claim_to_headers[0].header_name: is set by this provider already",
        ),
        (
            json!({"claim_to_headers": [{"claim_name": "sub"}]}),
            "providers.p.claim_to_headers[0].header_name: required",
        ),
        (
            json!({"claim_to_headers": [{"header_name": "x-user"}]}),
            "providers.p.claim_to_headers[0].claim_name: required",
        ),
        (
            json!({"claim_to_headers": [{"header_name": "x-user", "claim_name": "a..b"}]}),
            "providers.p.claim_to_headers[0].claim_name: has an empty name between its dots",
        ),
        (
            json!({"claim_to_headers": [{"header_name": "x-user", "claim_path": []}]}),
            "providers.p.claim_to_headers[0].claim_path: must not be empty",
        ),
        (
            json!({"claim_to_headers": [{"header_name": "x-user", "claim_path": ["a", ""]}]}),
            "providers.p.claim_to_headers[0].claim_path[1]: must not be empty",
        ),
        (
            json!({"claim_to_headers": [{"header_name": "x-user", "claim_name": "a", "claim_path": ["a"]}]}),
            "providers.p.claim_to_headers[0]: has both claim_name and claim_path",
        ),
        (
            json!({"claim_to_headers": [{"header_name": "x-user", "claim_name": "a", "format": "CSV"}]}),
            "providers.p.claim_to_headers[0].format: must be csv, json or repeat",
        ),
        (
            json!({"claim_to_headers": [{"header_name": "x-user", "claim_name": "a", "encode": "hex"}]}),
            "providers.p.claim_to_headers[0].encode: must be base64",
        ),
        (
            json!({"payload_in_metadata": ""}),
            "providers.p.payload_in_metadata: must be 1 to 127 bytes without control characters",
        ),
        (
            json!({"header_in_metadata": "a\nb"}),
            "providers.p.header_in_metadata: must be 1 to 127 bytes without control characters",
        ),
        (
            json!({"failed_status_in_metadata": "x".repeat(128)}),
            "providers.p.failed_status_in_metadata: must be 1 to 127 bytes without control characters",
        ),
        (
            json!({"payload_in_metadata": "bearer_gate.reason"}),
            "providers.p.payload_in_metadata: must not begin with bearer_gate.",
        ),
        (
            json!({"payload_in_metadata": "jwt", "header_in_metadata": "jwt"}),
            "providers.p.header_in_metadata: is set by this provider already",
        ),
        (
            json!({"payload_in_metadata": "jwt", "normalize_payload_in_metadata": {"space_delimited_claims": [""]}}),
            "providers.p.normalize_payload_in_metadata.space_delimited_claims[0]: must not be empty",
        ),
    ];
    for (fields, expected) in table {
        assert_eq!(
            refused(&with_provider(fields.clone())),
            expected,
            "{fields}"
        );
    }
    let supported: Vec<_> = Algorithm::ALL.iter().map(|known| known.name()).collect();
    let supported = supported.join(", ");
    for name in [
        "none", "rs256", "hs256", "RS1", "", "RS256 ", "ES521", "ES256K", "eddsa",
    ] {
        assert_eq!(
            refused(&with_provider(json!({"algorithms": ["RS256", name]}))),
            format!("providers.p.algorithms[1]: not a supported algorithm ({supported})"),
        );
    }
    // Two names of one algorithm.
    assert_eq!(
        refused(&with_provider(json!({"algorithms": ["EdDSA", "Ed25519"]}))),
        "providers.p.algorithms[1]: given twice",
    );
    let named = |name: &str| refused(&json!({"providers": {name: {}}}));
    assert!(named("").ends_with("a provider's name is 1 to 128 bytes without control characters"));
    assert!(named("a\nb").starts_with("providers.a\\nb: a provider's name"));
}

#[test]
fn refuses_places_and_bounds() {
    let table = [
        (
            json!({"from_headers": [{}]}),
            ".from_headers[0].name: required",
        ),
        (
            json!({"from_headers": [{"name": "x a"}]}),
            ".from_headers[0].name: is not a header name",
        ),
        (
            json!({"from_headers": [{"name": ":path"}]}),
            ".from_headers[0].name: is not a header name",
        ),
        (
            json!({"from_headers": [{"name": "Cookie"}]}),
            ".from_headers[0].name: is a header with a meaning of its own (for a cookie use from_cookies)",
        ),
        (
            json!({"from_headers": [{"name": "Content-Length"}]}),
            ".from_headers[0].name: is a header with a meaning of its own (for a cookie use from_cookies)",
        ),
        (
            json!({"from_headers": [{"name": "x"}, {"name": "transfer_encoding"}]}),
            ".from_headers[1].name: is a header with a meaning of its own (for a cookie use from_cookies)",
        ),
        (
            json!({"from_headers": [{"name": "x-envoy-original-path"}]}),
            ".from_headers[0].name: is a header with a meaning of its own (for a cookie use from_cookies)",
        ),
        (
            json!({"from_headers": [{"name": "host"}]}),
            ".from_headers[0].name: is a header with a meaning of its own (for a cookie use from_cookies)",
        ),
        (
            json!({"from_headers": [{"name": "x", "value_prefix": " Bearer "}]}),
            ".from_headers[0].value_prefix: never matches: white space around a value is no part of it",
        ),
        (
            json!({"from_headers": [{"name": "x", "value_prefix": "a,b"}]}),
            ".from_headers[0].value_prefix: must be 256 bytes at most, without commas and control characters",
        ),
        (
            json!({"from_headers": [{"name": "x"}, {"name": "X"}]}),
            ".from_headers[1]: given twice",
        ),
        (
            json!({"from_params": ["a", "a"]}),
            ".from_params[1]: given twice",
        ),
        (
            json!({"from_params": [""]}),
            ".from_params[0]: must not be empty",
        ),
        (
            json!({"from_cookies": [""]}),
            ".from_cookies[0]: must not be empty",
        ),
        (
            json!({"from_cookies": [{}]}),
            ".from_cookies[0].name: required",
        ),
        (
            json!({"from_cookies": [{"name": "", "chunked": true}]}),
            ".from_cookies[0].name: must not be empty",
        ),
        (
            json!({"from_cookies": [{"name": "a", "chunk": true}]}),
            ".from_cookies[0].chunk: unknown field",
        ),
        (
            json!({"from_cookies": [5]}),
            ".from_cookies[0]: invalid type: integer, expected a name, or an object with name and chunked",
        ),
        (
            json!({"from_cookies": ["a", {"name": "a"}]}),
            ".from_cookies[1]: given twice",
        ),
        (
            json!({"from_cookies": [{"name": "a", "chunked": true}, "a"]}),
            ".from_cookies[1]: given twice",
        ),
        (
            json!({"from_cookies": ["a_1", {"name": "a", "chunked": true}]}),
            ".from_cookies[1]: given twice",
        ),
        (
            json!({"from_cookies": [{"name": "a", "chunked": true}, "ab"]}),
            ".from_cookies[1]: a request with ab would always be refused: some upstream takes it for a, or for a part of that",
        ),
        (
            json!({"from_cookies": ["c.12", {"name": "c", "chunked": true}]}),
            ".from_cookies[1]: a request with c.12 would always be refused: some upstream takes it for c, or for a part of that",
        ),
        (
            json!({"from_cookies": [{"name": "A_B2", "chunked": true}, {"name": "a.b", "chunked": true}]}),
            ".from_cookies[1]: a request with A_B2 would always be refused: some upstream takes it for a.b, or for a part of that",
        ),
        (
            json!({"from_cookies": ["a.b", "a_b"]}),
            ".from_cookies[1]: a request with a_b would always be refused: some upstream takes it for a.b, or for a part of that",
        ),
        (
            json!({"from_params": ["access_token", "Access-Token"]}),
            ".from_params[1]: a request with Access-Token would always be refused: some upstream takes it for access_token, or for a part of that",
        ),
        (
            json!({"from_headers": [{"name": "x-token"}, {"name": "x_token"}]}),
            ".from_headers[1]: a request with x_token would always be refused: some upstream takes it for x-token, or for a part of that",
        ),
        (
            json!({"from_subprotocols": [{}]}),
            ".from_subprotocols[0].prefix: required",
        ),
        (
            json!({"from_subprotocols": [{"prefix": "Bearer "}]}),
            ".from_subprotocols[0].prefix: must be 256 bytes at most, of those that a subprotocol can have",
        ),
        (
            json!({"from_subprotocols": [{"prefix": "t."}, {"prefix": "T.", "base64url": true}]}),
            ".from_subprotocols[1]: given twice",
        ),
        (
            json!({"from_basic": {"username": "a:b"}}),
            ".from_basic.username: must be 256 bytes at most, without colons and control characters",
        ),
        (
            json!({"from_basic": true}),
            ".from_basic: invalid type: boolean, expected an object",
        ),
        (
            json!({"from_params": (0..17).map(|n| n.to_string()).collect::<Vec<_>>()}),
            ": has more than 16 places for tokens",
        ),
        (
            json!({"subjects": {}}),
            ".subjects: exactly one of exact, prefix, suffix, contains and safe_regex is required",
        ),
        (
            json!({"max_lifetime": "0s"}),
            ".max_lifetime: must be greater than zero",
        ),
        (
            json!({"jwt_cache_config": {"jwt_cache_size": 200_001}}),
            ".jwt_cache_config.jwt_cache_size: must be 200000 at most",
        ),
        (
            json!({"jwt_cache_config": {"jwt_max_token_size": 16_385}}),
            ".jwt_cache_config.jwt_max_token_size: must be 16384 at most",
        ),
    ];
    for (fields, expected) in table {
        let config = with_provider(fields);
        assert_eq!(
            refused(&config),
            format!("providers.p{expected}"),
            "{config}"
        );
    }
    for accepted in [
        json!({"jwt_cache_config": {}}),
        json!({"from_cookies": ["a", {"name": "b"}, {"name": "c", "chunked": true}, "x.c"]}),
        json!({"from_subprotocols": [{"prefix": "t."}, {"prefix": "t.b.", "base64url": true}]}),
        json!({"from_basic": {"username": ""}}),
        json!({"jwtCacheConfig": {"jwtCacheSize": 0, "jwtMaxTokenSize": 4096}}),
        json!({"fromHeaders": [{"name": "authorization", "valuePrefix": "Bearer "}, {"name": "authorization"}]}),
    ] {
        assert_eq!(refused(&with_provider(accepted)), "accepted");
    }
}

/// Of one provider, or of two that one rule asks for.
#[test]
fn places_that_would_have_each_others_requests_refused() {
    let with = |one: Value, other: Value, requires: Value| {
        let mut config = with_provider(json!({"from_cookies": [one]}));
        config["providers"]["q"] = config["providers"]["p"].clone();
        config["providers"]["q"]["from_cookies"] = json!([other]);
        config["rules"] = json!([{"match": {"prefix": "/"}, "requires": requires}]);
        refused(&config)
    };
    let chunked = |name: &str| json!({"name": name, "chunked": true});
    let both = json!({"requires_any": {"requirements": [
        {"provider_name": "p"}, {"provider_name": "q"},
    ]}});
    let one = json!({"provider_name": "p"});
    let all = json!({"allow_missing": {}});
    for (requires, is_refused) in [(&both, true), (&all, true), (&one, false)] {
        for (first, second) in [
            (chunked("a"), json!("ab")),
            (json!("ab"), chunked("a")),
            (json!("a.b"), json!("A-B")),
        ] {
            let told = with(first, second, requires.clone());
            let expected = "rules[0].requires: a request with ";
            assert_eq!(told.starts_with(expected), is_refused, "{told}");
        }
        // One cookie may be of both.
        assert_eq!(with(chunked("a"), json!("a"), requires.clone()), "accepted");
        assert_eq!(with(chunked("a"), json!("b"), requires.clone()), "accepted");
    }
}
