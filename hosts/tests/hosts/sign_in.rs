//! People sign in, on workers that share data.

use std::collections::BTreeMap;

use bearer_gate_hosts::library::{Process, Worker};
use bearer_gate_hosts::token::{ISSUER, RS256, claims, jwks, now};
use bearer_gate_hosts::{Answer, Headers, Outcome, get};
use serde_json::{Value, json};

/// What a browser says of a page that a person opens.
const PAGE: [(&str, &str); 3] = [
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-site", "none"),
];

/// Without `cookie_keys`, so that the workers share a key that one has drawn.
pub(crate) fn configuration() -> Value {
    json!({
        "providers": {"idp": {
            "issuer": ISSUER,
            "audiences": ["api"],
            "local_jwks": {"inline_string": jwks(&[RS256])},
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        }},
        "sign_in": {
            "allowed_redirect_domains": ["app.example"],
            "schemes": {"staff": {
                "provider_name": "idp",
                "credentials": {"client_id": "web", "token_secret": {"inline_string": "secret"}},
                "authorization_endpoint": "https://idp.example/authorize",
                "token_endpoint": {"uri": "https://idp.example/token", "cluster": "idp", "timeout": "5s"},
                "callback_path": "/callback",
                "signout_path": "/sign-out",
            }},
        },
        "rules": [
            {"match": {"prefix": "/public"}},
            {"match": {"prefix": "/api"}, "requires": {"provider_name": "idp"}},
            {"match": {"prefix": "/"}, "requires": {"session": "staff"}},
        ],
    })
}

#[derive(Default)]
struct Browser(BTreeMap<String, String>);

impl Browser {
    fn open(&self, path: &str) -> Headers {
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        let cookies = pairs.collect::<Vec<_>>().join("; ");
        let mut headers = PAGE.to_vec();
        if !cookies.is_empty() {
            headers.push(("cookie", &cookies));
        }
        get(path, &headers)
    }

    fn keep(&mut self, answer: &Answer) {
        for (name, line) in &answer.headers {
            if name == "set-cookie" {
                let (pair, attributes) = line.split_once(';').unwrap();
                let (name, value) = pair.split_once('=').unwrap();
                match attributes.contains("Max-Age=0") {
                    true => self.0.remove(name),
                    false => self.0.insert(name.to_owned(), value.to_owned()),
                };
            }
        }
    }
}

fn parameter(url: &str, name: &str) -> String {
    let (_, query) = url.split_once('?').unwrap();
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name).unwrap();
    value.to_owned()
}

fn signed_in(worker: &mut Worker) -> Browser {
    let mut browser = Browser::default();
    let outcome = worker.ask(browser.open("/page"));
    let answer = outcome.answer();
    assert_eq!(answer.status, 303, "{answer:?}");
    browser.keep(answer);
    let url = answer.header("location").unwrap().to_owned();
    assert!(url.starts_with("https://idp.example/authorize?"), "{url}");

    let back = format!("/callback?code=abc&state={}", parameter(&url, "state"));
    let callback = worker.request(browser.open(&back));
    worker.tick();
    let calls = worker.calls();
    assert_eq!(calls[0].path(), "/token");
    assert!(calls[0].body.contains("code=abc"), "{:?}", calls[0]);
    let id_token = RS256.token(&claims(&json!({
        "aud": "web",
        "iat": now(),
        "nonce": parameter(&url, "nonce"),
    })));
    let access_token = RS256.token(&claims(&json!({})));
    let tokens = json!({
        "access_token": access_token,
        "id_token": id_token,
        "token_type": "Bearer",
        "expires_in": 600,
    });
    worker.answer("200", &tokens.to_string());
    let outcome = worker.outcome(callback);
    let answer = outcome.answer();
    assert_eq!(answer.status, 303, "{answer:?}");
    browser.keep(answer);
    browser
}

#[test]
fn a_session_is_good_and_ends_on_every_worker() {
    let process = Process::default();
    let mut workers: Vec<_> = (0..2)
        .map(|_| process.worker(&configuration()).unwrap())
        .collect();
    let browser = signed_in(&mut workers[0]);
    let somebody_else = signed_in(&mut workers[1]);
    for worker in &mut workers {
        let outcome = worker.ask(browser.open("/page"));
        assert_eq!(outcome.at_upstream("x-user"), Some("ada"), "{outcome:?}");
        // A session is no token, and a changed one is none.
        assert_eq!(worker.ask(browser.open("/api")).status(), 401);
        let mut changed = Browser(browser.0.clone());
        for value in changed.0.values_mut() {
            let last = if value.ends_with('A') { "B" } else { "A" };
            value.replace_range(value.len() - 1.., last);
        }
        let outcome = worker.ask(changed.open("/page"));
        assert!(!matches!(outcome, Outcome::Passes(_)), "{outcome:?}");
    }
    // Somebody signs out on one worker, and a copy of the session is over on the other.
    let outcome = workers[1].ask(browser.open("/sign-out"));
    assert_eq!(outcome.status(), 303, "{outcome:?}");
    for worker in &mut workers {
        let outcome = worker.ask(browser.open("/page"));
        assert!(!matches!(outcome, Outcome::Passes(_)), "{outcome:?}");
        assert_eq!(worker.ask(somebody_else.open("/page")).status(), 200);
    }
}
