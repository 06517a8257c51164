//! Where a provider's keys come from, and the algorithms that it may name: what is refused.

use bearer_gate::config::{Config, Endpoint, KeySource};
use bearer_gate::http::credentials::Place;
use bearer_gate::jose::base64url::{self, Spelling};
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::verifier::Verifier;
use bearer_gate::signature::portable::Portable;
use serde_json::{Value, json};

use super::{merge, parse, refused, remote, with_discovery, with_provider, with_remote};

/// An algorithm without a verifier cannot be named, and is not among the defaults.
#[test]
fn an_algorithm_needs_a_verifier() {
    let parse_for = |fields: Value, verifier: &dyn Verifier| {
        Config::parse_for(
            with_provider(fields).to_string().as_bytes(),
            verifier,
            &|_| None,
        )
        .map(|config| {
            config
                .providers
                .iter()
                .next()
                .unwrap()
                .expectations
                .algorithms
                .clone()
        })
        .map_err(|error| error.to_string())
    };
    let with = |names: Value| json!({"algorithms": names});
    for at in 0..3 {
        let mut names = vec!["RS256", "EdDSA", "ES384"];
        names[at] = "ES512";
        assert_eq!(
            parse_for(with(json!(names)), &Portable).unwrap_err(),
            format!(
                "providers.p.algorithms[{at}]: there is no verifier for ES512 here: \
                 the proxy would have to verify it, and does not"
            ),
        );
    }
    for alone in [Algorithm::Rs256, Algorithm::Es384, Algorithm::EdDsa] {
        let names = with(json!([alone.name()]));
        assert_eq!(parse_for(names, &Portable).unwrap(), [alone]);
    }
    let all_but_es512: Vec<_> = Algorithm::ASYMMETRIC
        .iter()
        .copied()
        .filter(|algorithm| *algorithm != Algorithm::Es512)
        .collect();
    assert_eq!(parse_for(json!({}), &Portable).unwrap(), all_but_es512);

    /// Supports every algorithm, as a complete host does.
    struct Everything;
    impl Verifier for Everything {
        fn verify(&self, _: Algorithm, _: &Key, _: &[u8], _: &[u8]) -> bool {
            false
        }
        fn name(&self) -> &'static str {
            "everything"
        }
    }
    let es512 = parse_for(with(json!(["ES512"])), &Everything);
    assert_eq!(es512.unwrap(), [Algorithm::Es512]);
    let default = parse_for(json!({}), &Everything).unwrap();
    assert_eq!(default, Algorithm::ASYMMETRIC);
}

/// A secret is for `local_jwks`, and for a provider that names an algorithm of HMAC.
#[test]
fn a14_secrets_are_local_and_named() {
    let jwks = |octets: usize| {
        let k = base64url::encode(&vec![7; octets]);
        json!({"inline_string": json!({"keys": [{"kty": "oct", "k": k}]}).to_string()})
    };
    let with_local = |local: Value, algorithms: Value| {
        let mut provider = json!({"issuer": "i", "any_audience": true, "local_jwks": local});
        if !algorithms.is_null() {
            provider["algorithms"] = algorithms;
        }
        json!({"providers": {"p": provider}})
    };
    for names in [json!(["HS256"]), json!(["RS256", "HS256"])] {
        assert!(parse(&with_local(jwks(32), names)).is_ok());
    }
    let none =
        "providers.p.local_jwks.inline_string: Jwks doesn't have any valid public key: key 0: ";
    let unasked = "kty oct is for local_jwks with HS256, HS384 or HS512 in algorithms";
    let short = "the secret is shorter than the hash of its algorithm";
    for (local, names, why) in [
        (jwks(32), Value::Null, unasked),
        (
            jwks(32),
            json!(["RS256", "PS256", "ES256", "EdDSA"]),
            unasked,
        ),
        (jwks(31), json!(["HS256"]), short),
        (jwks(0), json!(["HS256"]), short),
    ] {
        let expected = format!("{none}{why}");
        assert_eq!(
            refused(&with_local(local, names.clone())),
            expected,
            "{names}"
        );
    }
    let local = "providers.p.algorithms: HS256, HS384 and HS512 are for local_jwks only: a secret is not fetched";
    let uri = json!({"uri": "https://i/keys", "cluster": "c", "timeout": "5s"});
    for (source, fields) in [
        ("remote_jwks", json!({"http_uri": uri})),
        ("openid_discovery", json!({"cluster": "c", "timeout": "5s"})),
    ] {
        for name in ["HS256", "HS384", "HS512"] {
            let with = |algorithms: Value| {
                json!({"providers": {"p": {
                    "issuer": "https://i/", "any_audience": true,
                    source: fields, "algorithms": algorithms,
                }}})
            };
            assert!(parse(&with(json!(["RS256"]))).is_ok());
            assert_eq!(refused(&with(json!(["RS256", name]))), local);
        }
    }
}

#[test]
fn refuses_remote_keys() {
    let uri = |uri: &str| json!({"http_uri": {"uri": uri, "cluster": "c", "timeout": "5s"}});
    let back_off = |fields: Value| json!({"retry_policy": {"retry_back_off": fields}});
    let table = [
        (json!({"http_uri": null}), "http_uri: required"),
        (json!({"http_uri": {}}), "http_uri.uri: required"),
        (
            json!({"http_uri": {"uri": "http://a/"}}),
            "http_uri.cluster: required",
        ),
        (
            json!({"http_uri": {"uri": "http://a/", "cluster": ""}}),
            "http_uri.cluster: must not be empty",
        ),
        (
            json!({"http_uri": {"uri": "http://a/", "cluster": "c"}}),
            "http_uri.timeout: required",
        ),
        (
            json!({"http_uri": {"uri": "http://a/", "cluster": "c", "timeout": "0s"}}),
            "http_uri.timeout: must be greater than zero",
        ),
        (
            json!({"http_uri": {"uri": "http://a/", "cluster": "c", "timeout": "4294968s"}}),
            "http_uri.timeout: must be 49 days at most (\"4233600s\")",
        ),
        (
            json!({"http_uri": {"uri": "http://a/", "cluster": "c", "timeout": 5}}),
            "http_uri.timeout: invalid type: integer, expected a duration such as \"5s\"",
        ),
        (
            json!({"http_uri": {"uri": "http://a/", "cluster": "c", "timeout": "5 s"}}),
            "http_uri.timeout: not a duration, write it as \"5s\", \"1.5s\" or {seconds: 5}",
        ),
        (
            uri("i.example/jwks"),
            "http_uri.uri: must start with http:// or https://",
        ),
        (
            uri("https://u:p@i.example/"),
            "http_uri.uri: must not hold a user name or password",
        ),
        (
            uri("https://i.example/#x"),
            "http_uri.uri: must not have a fragment",
        ),
        (
            uri("https://i.example/a b"),
            "http_uri.uri: has a character that a URI cannot have",
        ),
        (uri("https:///jwks"), "http_uri.uri: has no valid host"),
        (
            json!({"cache_duration": "0.5s"}),
            "cache_duration: must be 1 s at least",
        ),
        (
            json!({"cache_duration": "40000000s"}),
            "cache_duration: must be a year at most (\"31536000s\")",
        ),
        (
            json!({"max_stale": "0s"}),
            "max_stale: must be greater than zero",
        ),
        (
            json!({"unknown_kid_cooldown": {}}),
            "unknown_kid_cooldown: must be greater than zero",
        ),
        (
            json!({"retry_policy": {"num_retries": 101}}),
            "retry_policy.num_retries: must be 100 at most",
        ),
        (
            back_off(json!({})),
            "retry_policy.retry_back_off.base_interval: required",
        ),
        (
            back_off(json!({"base_interval": "2s", "max_interval": "1s"})),
            "retry_policy.retry_back_off.max_interval: must not be below base_interval",
        ),
        (
            json!({
                "retry_policy": {"retry_back_off": {"base_interval": "1s"}},
                "async_fetch": {"failed_refetch_duration": "1s"}
            }),
            "async_fetch.failed_refetch_duration: contradicts retry_policy.retry_back_off, which says how long to wait already",
        ),
        (
            json!({"http_uri": ["http://a/", "c", "5s"]}),
            "http_uri: invalid type: sequence, expected an object with uri, cluster and timeout",
        ),
        (
            json!({"async_fetch": true}),
            "async_fetch: invalid type: boolean, expected an object",
        ),
    ];
    for (fields, expected) in table {
        assert_eq!(
            refused(&with_remote(fields.clone())),
            format!("providers.p.remote_jwks.{expected}"),
            "{fields}"
        );
    }
}

#[test]
fn refuses_discovery() {
    let table = [
        (json!({"cluster": null}), ".cluster: required"),
        (json!({"timeout": null}), ".timeout: required"),
        (
            json!({"jwks_cluster": ""}),
            ".jwks_cluster: must not be empty",
        ),
        (
            json!({"cache_duration": "0.1s"}),
            ".cache_duration: must be 1 s at least",
        ),
        (json!({"http_uri": {}}), ".http_uri: unknown field"),
        (
            json!({"uri": "/metadata"}),
            ".uri: must start with http:// or https://",
        ),
    ];
    for (fields, expected) in table {
        assert_eq!(
            refused(&with_discovery(fields.clone())),
            format!("providers.p.openid_discovery{expected}"),
            "{fields}"
        );
    }
    let issuers = [
        (
            json!({"any_issuer": true}),
            "needs issuer: the metadata are found by it, and must name it",
        ),
        (
            json!({"issuer": "tenant"}),
            "needs an issuer that is a URI, or uri: the issuer must start with http:// or https://",
        ),
        (
            json!({"issuer": "https://i.example/?t=1"}),
            "needs an issuer without a query, or uri",
        ),
        (
            json!({"issuers": ["accounts.example", "https://i.example/"]}),
            "needs an issuer that is a URI, or uri: the issuer must start with http:// or https://",
        ),
    ];
    for (issuer, expected) in issuers {
        let mut provider =
            json!({"audiences": ["a"], "openid_discovery": {"cluster": "c", "timeout": "1s"}});
        merge(&mut provider, issuer.clone());
        assert_eq!(
            refused(&json!({"providers": {"p": provider}})),
            format!("providers.p.openid_discovery: {expected}"),
            "{issuer}"
        );
    }
    // Where the metadata's address is written, the issuer is their name alone.
    for issuer in ["https://i.example/", "tenant", "https://i.example/?t=1"] {
        for uri in ["http://idp.internal:8080/m", "https://i.example/m"] {
            let mut config = with_discovery(json!({ "uri": uri }));
            config["providers"]["p"]["issuer"] = json!(issuer);
            assert_eq!(refused(&config), "accepted", "{issuer} {uri}");
        }
    }
    let of_tenants = |fields: Value| {
        let mut config = with_discovery(fields);
        let provider = &mut config["providers"]["p"];
        provider["issuer"] = json!("https://login.example/{tenantid}/v2.0");
        provider["any_tenant"] = json!(true);
        refused(&config)
    };
    assert_eq!(
        of_tenants(json!({})),
        "providers.p.openid_discovery.uri: required by {tenantid} in issuer: the metadata of all tenants are at an address of their own"
    );
    let uri = "https://login.example/common/v2.0/.well-known/openid-configuration";
    assert_eq!(of_tenants(json!({"uri": uri})), "accepted");
}

#[test]
fn the_metadata_of_several_issuers_are_the_firsts() {
    let mut config = with_discovery(json!({}));
    let provider = &mut config["providers"]["p"];
    merge(
        provider,
        json!({"issuer": null, "issuers": ["https://new.example/", "old"]}),
    );
    let Endpoint::Discovery { issuer, .. } = remote(&config).endpoint else {
        panic!("the metadata lead to the keys");
    };
    assert_eq!(issuer, "https://new.example/");
}

/// A provider of a load balancer's tokens, with other fields; null takes one away.
fn with_alb(alb: Value, fields: Value) -> Value {
    let mut whole = json!({
        "signer": ARN,
        "clients": ["web"],
        "http_uri": {"uri": "https://k.example/{kid}", "cluster": "c", "timeout": "2s"},
    });
    change(&mut whole, alb);
    let mut provider = json!({"issuer": "https://i/", "aws_alb": whole});
    change(&mut provider, fields);
    json!({"providers": {"p": provider}})
}

/// RFC 7396.
fn change(value: &mut Value, by: Value) {
    match (value, by) {
        (Value::Object(value), Value::Object(by)) => {
            for (name, by) in by {
                match by {
                    Value::Null => drop(value.remove(&name)),
                    by => change(value.entry(name).or_insert(Value::Null), by),
                }
            }
        }
        (value, by) => *value = by,
    }
}

const ARN: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/lb/50dc6c49";

#[test]
fn a_load_balancers_provider_has_what_its_tokens_need() {
    let config = parse(&with_alb(json!({}), json!({}))).unwrap();
    let provider = &config.providers.iter().as_slice()[0];
    let expected = &provider.expectations;
    assert_eq!(expected.signer.as_deref(), Some(ARN));
    assert_eq!(expected.algorithms, [Algorithm::Es256]);
    assert!(expected.audiences.is_empty());
    assert_eq!(expected.clients, ["web"]);
    assert_eq!(provider.spelling, Spelling::Padded);
    let place = Place::Header {
        name: "x-amzn-oidc-data".to_owned(),
        prefix: String::new(),
    };
    assert_eq!(provider.places, [place]);
    let KeySource::Remote(remote) = &provider.keys else {
        panic!("fetched");
    };
    let Endpoint::ByKid(uri) = &remote.endpoint else {
        panic!("one by one");
    };
    assert_eq!(uri.address("x").to_string(), "https://k.example/x");
    for fields in [
        json!({"any_audience": true}),
        json!({"aws_alb": {"clients": null, "any_client": true}}),
        json!({"aws_alb": {"clients": [], "any_client": true}}),
        json!({"token_type": "jwt"}),
        json!({"from_headers": [{"name": "x"}]}),
        json!({"aws_alb": {"signer": ARN.replace("arn:aws:", "arn:aws-us-gov:")}}),
        json!({"aws_alb": {"http_uri": {
            "uri": "https://s3-us-gov-west-1.amazonaws.com/aws-elb-public-keys-prod-us-gov-west-1/{kid}",
        }}}),
    ] {
        assert!(
            parse(&with_alb(json!({}), fields.clone())).is_ok(),
            "{fields}"
        );
    }
    // No other provider's tokens may be padded.
    let other = parse(&with_provider(json!({}))).unwrap();
    let other = &other.providers.iter().as_slice()[0];
    assert_eq!(other.spelling, Spelling::Plain);
    assert_eq!(other.expectations.signer, None);
}

#[test]
fn a_load_balancer_is_named_and_its_keys_have_addresses() {
    let arn = "aws_alb.signer: must be the ARN of an Application Load Balancer: \
               arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID";
    let path = "aws_alb.http_uri.uri: must end with /{kid}, and have it nowhere else";
    let uri = |uri: &str| json!({"http_uri": {"uri": uri}});
    let alb = [
        (json!({"signer": null}), "aws_alb.signer: required"),
        (json!({"signer": ""}), "aws_alb.signer: must not be empty"),
        (json!({"signer": "*"}), arn),
        (json!({"signer": "50dc6c49"}), arn),
        (json!({"signer": format!(" {ARN}")}), arn),
        (json!({"signer": format!("{ARN}/x")}), arn),
        (json!({"signer": ARN.replace("/app/", "/net/")}), arn),
        (json!({"signer": ARN.replace("eu-west-1", "")}), arn),
        (json!({"signer": ARN.replace("123456789012", "*")}), arn),
        (
            json!({"signer": ARN.replace(":loadbalancer", ":listener")}),
            arn,
        ),
        (
            json!({"clients": null}),
            "aws_alb.clients: required (or any_client: true)",
        ),
        (
            json!({"clients": null, "any_client": false}),
            "aws_alb.clients: required (or any_client: true)",
        ),
        (
            json!({"clients": []}),
            "aws_alb.clients: must not be empty (or any_client: true)",
        ),
        (
            json!({"clients": ["web", ""]}),
            "aws_alb.clients[1]: must not be empty",
        ),
        (
            json!({"any_client": true}),
            "aws_alb.any_client: contradicts clients",
        ),
        (json!({"http_uri": null}), "aws_alb.http_uri: required"),
        (uri("https://k.example/"), path),
        (uri("https://k.example/{kid}/"), path),
        (uri("https://k.example/{kid}/{kid}"), path),
        (uri("https://k.example/x{kid}"), path),
        (uri("https://k.example/?k=/{kid}"), path),
        (uri("https://k.example/{region}/{kid}"), path),
        (
            uri("https://{kid}/"),
            "aws_alb.http_uri.uri: has no valid host",
        ),
        (
            uri("k.example/{kid}"),
            "aws_alb.http_uri.uri: must start with http:// or https://",
        ),
        (
            json!({"http_uri": {"cluster": null}}),
            "aws_alb.http_uri.cluster: required",
        ),
        (
            json!({"respect_cache_control": true}),
            "aws_alb.respect_cache_control: unknown field",
        ),
        (
            json!({"cache_duration": "0.5s"}),
            "aws_alb.cache_duration: must be 1 s at least",
        ),
    ];
    for (alb, why) in alb {
        let expected = format!("providers.p.{why}");
        let refused = refused(&with_alb(alb.clone(), json!({})));
        assert!(refused.starts_with(&expected), "{alb}: {refused}");
    }
    let mut config = with_alb(json!({}), json!({}));
    let demand = json!({"provider_and_audiences": {"provider_name": "p", "audiences": ["a"]}});
    config["rules"] = json!([{"match": {"prefix": "/"}, "requires": demand}]);
    assert_eq!(
        refused(&config),
        "rules[0].requires.provider_and_audiences.provider_name: \
         has aws_alb: its tokens have no aud, so audiences would refuse each"
    );
    let local = json!({"inline_string": "{}"});
    for (fields, why) in [
        (
            json!({"audiences": ["a"]}),
            "p.audiences: is not for aws_alb: its tokens have no aud",
        ),
        (
            json!({"audiences": []}),
            "p.audiences: is not for aws_alb: its tokens have no aud",
        ),
        (
            json!({"issuer": null}),
            "p.issuer: required (or issuers, trust_domain, or any_issuer: true)",
        ),
        (
            json!({"algorithms": ["HS256"]}),
            "p.algorithms: HS256, HS384 and HS512 are for local_jwks only: a secret is not fetched",
        ),
        (
            json!({"token_type": "at+jwt"}),
            "p.token_type: contradicts aws_alb: a load balancer signs no access tokens of RFC 9068",
        ),
        (
            json!({"local_jwks": local}),
            "p: has more than one of remote_jwks, local_jwks, openid_discovery and aws_alb",
        ),
    ] {
        let refused = refused(&with_alb(json!({}), fields.clone()));
        assert_eq!(refused, format!("providers.{why}"), "{fields}");
    }
}
