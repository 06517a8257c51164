//! At the most verbose log level, the filter writes nothing of tokens, signatures and keys to
//! Envoy's log.

use bearer_gate_testbed::envoy::Listener;
use bearer_gate_testbed::keys::{KeyForm, SigningKey};
use bearer_gate_testbed::token;
use serde_json::{Value, json};

use crate::requests::routes;
use crate::stage::Stage;

/// So many characters of a secret in a row count as a leak.
const LEAK: usize = 16;

fn leaks<'l>(lines: &[&'l str], secret: &str) -> Option<&'l str> {
    let pieces = secret
        .as_bytes()
        .chunks(LEAK)
        .filter(|piece| piece.len() == LEAK);
    let mut pieces = pieces.map(|piece| std::str::from_utf8(piece).unwrap());
    pieces.find_map(|piece| lines.iter().find(|line| line.contains(piece)).copied())
}

#[tokio::test]
async fn no_token_and_no_key_is_logged() {
    // At `http:debug` Envoy itself logs every header with its token, so a leak would be found.
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let mut config = routes(stage);
            let local = json!({"inline_string": stage.idp.jwks().to_string()});
            config["providers"]["local"] = json!({
                "issuer": "https://local.example/", "audiences": ["a"], "local_jwks": local,
            });
            builder
                .component_log_level("wasm:trace,http:debug")
                .listener(Listener::wasm("main", config))
        },
    );
    let idp = &stage.idp;
    let good = idp.good_token();
    let stranger = SigningKey::generate();
    let tokens = [
        good.clone(),
        idp.token(&idp.claims().expires_in(-600)),
        idp.token(&idp.claims().issuer("https://local.example/")),
        token::with_signature_bit_flipped(&good, 7),
        token::sign(&stranger, &token::header("nobody's"), &idp.claims().value()),
        token::unsecured("none", &idp.claims().value()),
        token::hs256(b"a secret", "kid", &idp.claims().value()),
        format!("{good}.{good}"),
    ];
    for token in &tokens {
        for target in ["/api/private", "/api/private-scoped", "/public", "/nowhere"] {
            stage.get_with(target, token).await;
        }
    }
    let log = stage.envoy().log();
    let (own, others): (Vec<&str>, Vec<&str>) =
        log.lines().partition(|line| line.contains("][wasm]"));
    assert!(
        own.iter().any(|line| line.contains("rejected: expired")),
        "reasons are logged"
    );
    for token in &tokens {
        for part in token.split('.').filter(|part| part.len() >= LEAK) {
            assert!(leaks(&others, part).is_some(), "Envoy logs headers");
            assert_eq!(leaks(&own, part), None);
        }
    }
    for key in [idp.key(), stranger] {
        let jwk = key.jwk(KeyForm::ModulusAndCertificate);
        let certificate = jwk["x5c"][0].as_str().map(str::to_owned);
        let number = jwk["n"].as_str().map(str::to_owned);
        let secrets: Vec<String> = number.into_iter().chain(certificate).collect();
        assert!(!secrets.is_empty());
        for secret in secrets {
            assert_eq!(leaks(&own, &secret), None);
        }
    }
    // Nor are the values of claims logged: they are about a person.
    let claims: Value = idp.claims().value();
    let subject = claims["sub"].as_str().unwrap();
    assert!(own.iter().all(|line| !line.contains(subject)), "{subject}");
}
