//! A provider in miniature: it answers as the specifications ask, until a test tells it to lie.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bearer_gate::host::{Call, Reply};
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::verifier::Verifier;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::sim::response;

/// Takes the one signature for good that the provider makes.
pub(crate) struct OneSignature;

const SIGNATURE: [u8; 256] = [7; 256];

impl Verifier for OneSignature {
    fn verify(&self, _: Algorithm, _: &Key, _: &[u8], signature: &[u8]) -> bool {
        signature == SIGNATURE
    }

    fn name(&self) -> &'static str {
        "one signature"
    }
}

/// What a code was given for.
#[derive(Clone)]
struct Code {
    sub: String,
    nonce: String,
    challenge: String,
    redirect_uri: String,
}

/// A refresh token.
#[derive(Clone)]
struct Refresh {
    sub: String,
    /// The sign-in that it goes back to.
    family: u32,
    spent: bool,
}

/// Changes claims.
type Alteration = Box<dyn Fn(&mut Value)>;
/// Changes an answer of the token endpoint: its status, and its members.
type Lie = Box<dyn Fn(&mut u16, &mut Value)>;

/// The provider.
#[derive(Default)]
pub(crate) struct Provider {
    codes: RefCell<BTreeMap<String, Code>>,
    issued: Cell<u32>,
    tokens: RefCell<BTreeMap<String, Refresh>>,
    /// Families of refresh tokens of which one was used twice.
    pub(crate) reused: RefCell<Vec<u32>>,
    /// Refreshes that brought tokens.
    pub(crate) refreshes: Cell<u32>,
    /// Whether a refresh brings an ID token.
    pub(crate) gives_id_token: Cell<bool>,
    /// Calls of the token endpoint.
    pub(crate) calls: Cell<u32>,
    /// Changes the claims of the next ID tokens.
    pub(crate) claims: RefCell<Option<Alteration>>,
    /// Changes the headers of the next ID tokens.
    pub(crate) header: RefCell<Option<Value>>,
    pub(crate) lie: RefCell<Option<Lie>>,
    pub(crate) is_down: Cell<bool>,
    /// The requests that were pushed, by their `request_uri`.
    pub(crate) pushed: RefCell<BTreeMap<String, BTreeMap<String, String>>>,
    /// Changes the answers to requests that are pushed.
    pub(crate) push_lie: RefCell<Option<Lie>>,
    /// What the revocation endpoint was asked.
    pub(crate) revoked: RefCell<Vec<BTreeMap<String, String>>>,
}

pub(crate) fn parameters(url: &str) -> BTreeMap<String, String> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

impl Provider {
    /// Somebody signs in at an authorization URL, and is sent back.
    pub(crate) fn sign_in(&self, url: &str, sub: &str) -> String {
        let mut asked = parameters(url);
        if let Some(uri) = asked.get("request_uri") {
            assert_eq!((asked.len(), asked["client_id"].as_str()), (2, "web"));
            asked = self
                .pushed
                .borrow_mut()
                .remove(uri)
                .expect("a request that was pushed");
        }
        for (name, expected) in [
            ("response_type", "code"),
            ("client_id", "web"),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(asked[name], expected, "{url}");
        }
        self.issued.set(self.issued.get() + 1);
        let code = format!("code-{}", self.issued.get());
        let given = Code {
            sub: sub.to_owned(),
            nonce: asked["nonce"].clone(),
            challenge: asked["code_challenge"].clone(),
            redirect_uri: asked["redirect_uri"].clone(),
        };
        self.codes.borrow_mut().insert(code.clone(), given);
        format!(
            "{}?code={code}&state={}&iss=https%3A%2F%2Fidp.example%2F",
            asked["redirect_uri"], asked["state"]
        )
    }

    /// Somebody refuses.
    pub(crate) fn refuse(url: &str, error: &str) -> String {
        let asked = parameters(url);
        format!(
            "{}?error={error}&error_description=no+%2B+%3Cscript%3E&state={}",
            asked["redirect_uri"], asked["state"]
        )
    }

    pub(crate) fn answer(&self, call: &Call, now: u64) -> Reply {
        assert_eq!(call.authority, "idp.example");
        if call.path == "/revoke" {
            let asked = form_urlencoded::parse(&call.body).into_owned().collect();
            self.revoked.borrow_mut().push(asked);
            return response(200, "");
        }
        if call.path == "/par" {
            return self.push(call);
        }
        assert_eq!(call.path, "/token");
        self.calls.set(self.calls.get() + 1);
        if self.is_down.get() {
            return Reply::None;
        }
        let asked: BTreeMap<String, String> =
            form_urlencoded::parse(&call.body).into_owned().collect();
        let (mut status, mut body) = if asked["grant_type"] == "refresh_token" {
            self.refresh(&asked["refresh_token"], now)
        } else {
            self.redeem(&asked, now)
        };
        if let Some(lie) = &*self.lie.borrow() {
            lie(&mut status, &mut body);
        }
        let text = match &body {
            Value::String(text) => text.clone(),
            body => body.to_string(),
        };
        response(status, text)
    }

    fn push(&self, call: &Call) -> Reply {
        if self.is_down.get() {
            return Reply::None;
        }
        let asked = form_urlencoded::parse(&call.body).into_owned();
        let asked: Vec<(String, String)> = asked.collect();
        let mut pushed = self.pushed.borrow_mut();
        let uri = format!("urn:pushed:{}", pushed.len());
        let known: BTreeMap<String, String> = asked.iter().cloned().collect();
        assert_eq!(
            known.len(),
            asked.len(),
            "a parameter comes twice: {asked:?}"
        );
        pushed.insert(uri.clone(), known);
        let (mut status, mut body) = (201, json!({"request_uri": uri, "expires_in": 60}));
        if let Some(lie) = &*self.push_lie.borrow() {
            lie(&mut status, &mut body);
        }
        response(status, body.to_string())
    }

    /// A refresh token is good once. The second time all of its sign-in are revoked.
    fn refresh(&self, token: &str, now: u64) -> (u16, Value) {
        let refused = || (400, json!({"error": "invalid_grant"}));
        let mut tokens = self.tokens.borrow_mut();
        let Some(known) = tokens.get_mut(token) else {
            return refused();
        };
        let spent = std::mem::replace(&mut known.spent, true);
        let Refresh { sub, family, .. } = known.clone();
        drop(tokens);
        let mut reused = self.reused.borrow_mut();
        if spent {
            reused.push(family);
        }
        if reused.contains(&family) {
            return refused();
        }
        self.refreshes.set(self.refreshes.get() + 1);
        let code = Code {
            sub,
            nonce: String::new(),
            challenge: String::new(),
            redirect_uri: String::new(),
        };
        let mut body = self.tokens(&code, family, now);
        let members = body.as_object_mut().unwrap();
        if !self.gives_id_token.get() {
            members.remove("id_token");
        }
        let access = format!("access-{}-of-{}", self.refreshes.get(), code.sub);
        members.insert("access_token".to_owned(), json!(access));
        (200, body)
    }

    fn redeem(&self, asked: &BTreeMap<String, String>, now: u64) -> (u16, Value) {
        let code = self.codes.borrow_mut().remove(&asked["code"]);
        let good = code.filter(|code| {
            let challenge = Sha256::digest(&asked["code_verifier"]);
            code.challenge == BASE64_URL_SAFE_NO_PAD.encode(challenge)
                && code.redirect_uri == asked["redirect_uri"]
        });
        match good {
            Some(code) => (200, self.tokens(&code, self.issued.get(), now)),
            None => (400, json!({"error": "invalid_grant"})),
        }
    }

    fn tokens(&self, code: &Code, family: u32, now: u64) -> Value {
        let mut known = self.tokens.borrow_mut();
        let refresh_token = format!("refresh-{}-of-{family}", known.len());
        let refresh = Refresh {
            sub: code.sub.clone(),
            family,
            spent: false,
        };
        known.insert(refresh_token.clone(), refresh);
        let mut claims = json!({
            "iss": "https://idp.example/",
            "aud": "web",
            "sub": code.sub,
            "iat": now,
            "exp": now + 300,
            "nonce": code.nonce,
            "groups": ["staff"],
        });
        if code.nonce.is_empty() {
            claims.as_object_mut().unwrap().remove("nonce");
        }
        if let Some(change) = &*self.claims.borrow() {
            change(&mut claims);
        }
        let header = self.header.borrow().clone();
        let header = header.unwrap_or_else(|| json!({"alg": "RS256", "kid": "a"}));
        json!({
            "id_token": token(&header, &claims),
            "access_token": format!("access-of-{}", code.sub),
            "token_type": "Bearer",
            "expires_in": 300,
            "refresh_token": refresh_token,
        })
    }
}

/// A token with the provider's signature.
pub(crate) fn token(header: &Value, claims: &Value) -> String {
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let signature = BASE64_URL_SAFE_NO_PAD.encode(SIGNATURE);
    format!("{}.{}.{signature}", part(header), part(claims))
}
