//! The explanation never contradicts the decision.

use std::rc::Rc;

use bearer_gate::jose::base64url;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwks::KeySet;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::keys::ProviderKeys;
use crate::signing::PrivateKey;

const NOW: f64 = 1_800_000_000.0;

struct Fixtures {
    private: [PrivateKey; 2],
    set: String,
}

thread_local! {
    static FIXTURES: Fixtures = {
        let private = [Algorithm::Es256, Algorithm::EdDsa]
            .map(|algorithm| PrivateKey::generate(algorithm).unwrap());
        let keys: Vec<Value> = ["a", "b"].iter().zip(&private).map(|(kid, key)| {
            let mut jwk = key.public();
            jwk.insert("kid".to_owned(), (*kid).into());
            Value::Object(jwk)
        }).collect();
        Fixtures { set: json!({"keys": keys}).to_string(), private }
    };
}

/// Changes to a good token.
const CHANGES: [(&str, &str); 25] = [
    ("", ""),
    ("exp", "1799999900"),
    // within the leeway
    ("exp", "1799999950"),
    ("nbf", "1800000050"),
    ("iat", "1800000050"),
    ("exp", "\"soon\""),
    ("exp", "null"),
    ("nbf", "1800000100"),
    ("iat", "1800000100"),
    ("aud", "\"other\""),
    ("aud", "[]"),
    ("aud", "null"),
    ("iss", "\"https://other.example/\""),
    ("iss", "null"),
    ("sub", "\"them\""),
    ("cnf", "{}"),
    ("scope", "\"read write\""),
    ("scope", "\"readonly\""),
    ("roles", "[\"admin\"]"),
    ("roles", "\"user\""),
    ("exp", "1900000000"),
    ("signature", ""),
    ("kid", "b"),
    ("kid", "c"),
    ("format", ""),
];

fn token(changes: &[usize]) -> String {
    let mut claims = json!({
        "iss": "https://i.example/", "aud": "api", "sub": "me", "exp": NOW + 300.0, "scope": "read",
    });
    let (mut kid, mut broken, mut format) = ("a", false, false);
    for (name, value) in changes.iter().map(|change| CHANGES[*change]) {
        match name {
            "" => {}
            "kid" => kid = value,
            "signature" => broken = true,
            "format" => format = true,
            name => match serde_json::from_str(value).unwrap() {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value,
            },
        }
    }
    let header = json!({"alg": "ES256", "kid": kid}).to_string();
    let input = format!(
        "{}.{}",
        base64url::encode(header.as_bytes()),
        base64url::encode(claims.to_string().as_bytes())
    );
    let signature = FIXTURES.with(|fixtures| {
        let signed = if broken {
            "another text"
        } else {
            input.as_str()
        };
        fixtures.private[0]
            .sign(Algorithm::Es256, signed.as_bytes())
            .unwrap()
    });
    let token = format!("{input}.{}", base64url::encode(&signature));
    if format {
        token.replacen('.', "", 1)
    } else {
        token
    }
}

const REQUIRES: [&str; 9] = [
    r#"{"provider_name": "p"}"#,
    r#"{"provider_name": "q"}"#,
    r#"{"provider_and_audiences": {"provider_name": "p", "audiences": ["other"]}}"#,
    r#"{"requires_any": {"requirements": [{"provider_name": "p"}, {"provider_name": "q"}]}}"#,
    r#"{"requires_all": {"requirements": [{"provider_name": "p"}, {"provider_name": "q"}]}}"#,
    r#"{"requires_any": {"requirements": [{"provider_name": "p"}, {"allow_missing": {}}]}}"#,
    r#"{"allow_missing_or_failed": {}}"#,
    r#"{"requires_any": {"requirements": [
        {"requires_any": {"requirements": [{"provider_name": "p"}, {"allow_missing": {}}]}},
        {"provider_name": "q"}
    ]}}"#,
    r#"{"requires_all": {"requirements": [{"provider_name": "p"}, {"allow_missing": {}}]}}"#,
];

const AUTHORIZE: [&str; 4] = [
    "null",
    r#"{"scopes": {"all": ["read"]}}"#,
    r#"{"scopes": {"any": ["write", "admin"]}}"#,
    r#"{"scopes": {"all": ["read"]}, "claims": [{"path": ["roles"], "any": ["admin"]}]}"#,
];

fn config(requires: usize, authorize: usize, report_only: bool) -> Option<Config> {
    let keys = FIXTURES.with(|fixtures| fixtures.set.clone());
    let mut rule = json!({
        "match": {"prefix": "/api"},
        "requires": serde_json::from_str::<Value>(REQUIRES[requires]).unwrap(),
        "report_only": report_only,
    });
    let authorize: Value = serde_json::from_str(AUTHORIZE[authorize]).unwrap();
    if !authorize.is_null() {
        rule["authorize"] = authorize;
    }
    let config = json!({
        "providers": {
            "p": {
                "issuer": "https://i.example/", "audiences": ["api"],
                "remote_jwks": {"http_uri": {"uri": "https://i.example/", "cluster": "c", "timeout": "1s"}},
                "subjects": {"prefix": "m"}, "max_lifetime": "3600s",
            },
            "q": {
                "any_issuer": true, "any_audience": true, "require_expiration": false,
                "local_jwks": {"inline_string": keys},
                "from_cookies": ["t"], "from_headers": [{"name": "x-token"}],
            },
        },
        "rules": [{"match": {"path": "/public"}}, rule],
    });
    // some combinations are refused
    Config::parse(config.to_string().as_bytes()).ok()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_steps_agree_with_the_decision(
        requires in 0..REQUIRES.len(),
        authorize in 0..AUTHORIZE.len(),
        report_only in any::<bool>(),
        changes in prop::collection::vec(0..CHANGES.len(), 0..3),
        places in prop::collection::vec(0..3_usize, 0..3),
        path in prop::sample::select(vec!["/api/x", "/api/x", "/api", "/public", "/other", "//api"]),
        keys in 0..4_usize,
    ) {
        let Some(config) = config(requires, authorize, report_only) else { return Ok(()) };
        let token = token(&changes);
        let mut headers: Vec<Header> = vec![
            (Cow::Borrowed(":method"), b"GET".to_vec()),
            (Cow::Borrowed(":path"), path.as_bytes().to_vec()),
        ];
        for place in &places {
            let place = match place {
                0 => Place::bearer(),
                1 => Place::Cookie("t".to_owned()),
                _ => Place::Header { name: "x-token".to_owned(), prefix: String::new() },
            };
            put(&mut headers, &place, &token);
        }
        let request = Request::new(headers);
        let set = FIXTURES.with(|f| Rc::new(KeySet::parse(f.set.as_bytes()).unwrap()));
        let first = match keys {
            0 => ProviderKeys::NotFetched,
            1 => ProviderKeys::Failed("down".to_owned()),
            _ => ProviderKeys::Set { keys: Rc::clone(&set), metadata: Rc::default(), origin: crate::keys::Origin::Configuration },
        };
        let mut known = [first, ProviderKeys::Set { keys: set, metadata: Rc::default(), origin: crate::keys::Origin::Configuration }].into_iter();
        let keys_at_hand = KeysAtHand(config.providers.map(|_| known.next().unwrap()));

        let cache = RefCell::new(TokenCache::new(&config.providers));
        let basis = Basis { facts: &keys_at_hand, verifier: &Portable, headers: &RefCell::default(), now: NOW };
        let context = Context { basis, cache: &cache, people: None };
        let decision = authn::authenticate(&request, &config, &context);
        let explanation = Explanation::new(&config, &request, &[], &keys_at_hand, NOW);

        let bad: Vec<&Step> =
            explanation.steps.iter().filter(|step| step.mark == Mark::Bad).collect();
        let refused = match &decision {
            Decision::Admit(admission) => {
                prop_assert_eq!(explanation.verdict.admitted, Some(true));
                admission.reported
            }
            Decision::Reject(rejection) => {
                prop_assert_eq!(explanation.verdict.admitted, Some(false));
                Some(rejection.rejection.reason())
            }
            Decision::Answer(_) => {
                prop_assert_eq!(explanation.verdict.admitted, Some(true));
                None
            }
            Decision::Await(_) => {
                prop_assert_eq!(explanation.verdict.admitted, None);
                prop_assert!(bad.is_empty());
                None
            }
        };
        // one step says no, the last one, and gives the decision's own reason
        prop_assert_eq!(explanation.verdict.reason, refused);
        match refused {
            None => prop_assert!(bad.is_empty()),
            Some(reason) => {
                prop_assert_eq!(bad.len(), 1);
                let last = explanation.steps.last().unwrap();
                prop_assert_eq!(last.mark, Mark::Bad);
                prop_assert!(last.reasons.contains(&reason), "{} {:?} {:?}", reason, last.reasons, last.details);
            }
        }
        // each check agrees with the library: a token is good if and only if nothing speaks
        // against it between its header and the verdict on it
        let details = explanation.steps.iter().flat_map(|step| &step.details);
        let mut against = None;
        for (mark, text) in details {
            if text.starts_with("header: ") {
                against = Some(false);
            } else if text == "the token is good" || text.starts_with("the claims are good") {
                prop_assert_eq!(against.take(), Some(false), "{}", text);
            } else if *mark == Mark::Bad {
                against = against.map(|_| true);
            }
        }
    }
}
