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

use crate::sim::{SET_A, SET_B, response};

/// Takes the one signature for good that each of the provider's keys makes.
pub(crate) struct OneSignature;

impl Verifier for OneSignature {
    fn verify(&self, _: Algorithm, key: &Key, _: &[u8], signature: &[u8]) -> bool {
        key.kid().is_some_and(|kid| signature == signature_of(kid))
    }

    fn name(&self) -> &'static str {
        "one signature"
    }
}

fn signature_of(kid: &str) -> [u8; 256] {
    [kid.as_bytes()[0]; 256]
}

/// What a code was given for.
#[derive(Clone, Default)]
struct Code {
    /// The sign-in.
    family: u32,
    sub: String,
    sid: Option<String>,
    nonce: String,
    challenge: String,
    redirect_uri: String,
}

/// A refresh token.
struct Refresh {
    /// The sign-in that it goes back to.
    family: u32,
    /// When it was used.
    spent: Option<u64>,
}

/// What came of a sign-in: its tokens are one family. Times are Unix seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Family {
    pub(crate) sub: String,
    pub(crate) sid: Option<String>,
    /// When the code was redeemed, and when tokens were given last.
    pub(crate) begun: u64,
    pub(crate) granted: u64,
    pub(crate) is_revoked: bool,
}

/// A refresh token that was used twice.
#[derive(Debug)]
pub(crate) struct Reuse {
    pub(crate) first: u64,
    pub(crate) again: u64,
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
    pub(crate) families: RefCell<BTreeMap<u32, Family>>,
    /// The refresh tokens that were used twice.
    pub(crate) reused: RefCell<Vec<Reuse>>,
    /// The families of the tokens that refreshes brought, in order.
    pub(crate) refreshed: RefCell<Vec<u32>>,
    /// Whether the answers to refreshes are good for nothing.
    pub(crate) is_mixed_up: Cell<bool>,
    /// Whether it signs by its second key, and publishes that alone.
    pub(crate) has_new_key: Cell<bool>,
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
        self.sign_in_with(url, sub, None)
    }

    /// The same in a session of the provider's own, which it has a name for.
    pub(crate) fn sign_in_with(&self, url: &str, sub: &str, sid: Option<&str>) -> String {
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
            family: self.issued.get(),
            sub: sub.to_owned(),
            sid: sid.map(str::to_owned),
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
        if call.path == "/keys" {
            return match (self.is_down.get(), self.has_new_key.get()) {
                (true, _) => Reply::None,
                (_, is_new) => response(200, if is_new { SET_B } else { SET_A }),
            };
        }
        if call.path == "/revoke" {
            let asked: BTreeMap<String, String> =
                form_urlencoded::parse(&call.body).into_owned().collect();
            if let Some(token) = self.tokens.borrow().get(&asked["token"]) {
                self.revoke(|family, _| family == token.family);
            }
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

    /// A session of the provider's own ends. Nothing that came of it is good any longer.
    pub(crate) fn end(&self, sid: &str) {
        let is_other = |code: &Code| code.sid.as_deref() != Some(sid);
        self.codes.borrow_mut().retain(|_, code| is_other(code));
        self.revoke(|_, family| family.sid.as_deref() == Some(sid));
    }

    /// Takes no refresh token of these families any longer.
    pub(crate) fn revoke(&self, is_meant: impl Fn(u32, &Family) -> bool) {
        for (number, family) in self.families.borrow_mut().iter_mut() {
            family.is_revoked |= is_meant(*number, family);
        }
    }

    /// A logout token with these claims besides those that all have.
    pub(crate) fn logout_token(&self, now: u64, said: &Value) -> String {
        self.issued.set(self.issued.get() + 1);
        let mut claims = json!({
            "iss": "https://idp.example/", "aud": "web", "iat": now, "exp": now + 120,
            "jti": format!("logout-{}", self.issued.get()),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        });
        let members = said.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(members);
        token(&json!({"alg": "RS256", "kid": self.kid()}), &claims)
    }

    fn kid(&self) -> &'static str {
        if self.has_new_key.get() { "b" } else { "a" }
    }

    /// A refresh token is good once. The second time all of its sign-in are revoked.
    fn refresh(&self, token: &str, now: u64) -> (u16, Value) {
        let refused = || (400, json!({"error": "invalid_grant"}));
        let mut tokens = self.tokens.borrow_mut();
        let Some(known) = tokens.get_mut(token) else {
            return refused();
        };
        let number = known.family;
        if let Some(first) = known.spent {
            let reuse = Reuse { first, again: now };
            self.reused.borrow_mut().push(reuse);
            self.revoke(|family, _| family == number);
            return refused();
        }
        let family = self.families.borrow()[&number].clone();
        if family.is_revoked {
            return refused();
        }
        known.spent = Some(now);
        drop(tokens);
        self.refreshes.set(self.refreshes.get() + 1);
        self.refreshed.borrow_mut().push(number);
        let code = Code {
            family: number,
            sub: family.sub,
            sid: family.sid,
            ..Code::default()
        };
        let mut body = self.tokens(&code, now);
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
            Some(code) => (200, self.tokens(&code, now)),
            None => (400, json!({"error": "invalid_grant"})),
        }
    }

    fn tokens(&self, code: &Code, now: u64) -> Value {
        let mut families = self.families.borrow_mut();
        let family = families.entry(code.family).or_insert_with(|| Family {
            sub: code.sub.clone(),
            sid: code.sid.clone(),
            begun: now,
            ..Family::default()
        });
        let is_useless = self.is_mixed_up.get() && self.gives_id_token.get();
        if !(is_useless && code.nonce.is_empty()) {
            family.granted = now;
        }
        let mut known = self.tokens.borrow_mut();
        let refresh_token = format!("refresh-{}-of-{}", known.len(), code.family);
        let refresh = Refresh {
            family: code.family,
            spent: None,
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
        if let Some(sid) = &code.sid {
            claims["sid"] = json!(sid);
        }
        if let Some(change) = &*self.claims.borrow() {
            change(&mut claims);
        }
        let header = self.header.borrow().clone();
        let header = header.unwrap_or_else(|| json!({"alg": "RS256", "kid": self.kid()}));
        json!({
            "id_token": token(&header, &claims),
            "access_token": format!("access-of-{}", code.sub),
            "token_type": "Bearer",
            "expires_in": 300,
            "refresh_token": refresh_token,
        })
    }
}

/// A token with the provider's signature, by its second key if the header says so.
pub(crate) fn token(header: &Value, claims: &Value) -> String {
    let part = |json: &Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
    let kid = header["kid"].as_str().unwrap_or("a");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature_of(kid));
    format!("{}.{}.{signature}", part(header), part(claims))
}
