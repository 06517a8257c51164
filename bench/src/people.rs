//! People with sessions, and those who are about to sign in: cookies, flows and token responses,
//! minted with the filter's own code and keys.

use std::rc::Rc;

use anyhow::{Context, Result};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use bearer_gate::http::request::Request;
use bearer_gate::session::cookie::{Cookie, DEFAULT_MAX_BYTES, SameSite};
use bearer_gate::session::flow::{Browser, Flow};
use bearer_gate::session::life::Session;
use bearer_gate::session::seal::{Keyring, scope};
use bearer_gate_testbed::token::now;
use hyper::body::Bytes;
use hyper::header::{COOKIE, HeaderName};
use serde_json::{Value, json};

use crate::case::{Kind, Pools};
use crate::load::{AUTHORITY, TOKEN_PATH, TokenResponses};
use crate::supply::{Ask, Supply};
use crate::tokens::{ISSUER, Key, claims};

/// The name of the scheme.
const SCHEME: &str = "staff";
/// The name of the client at the provider.
const CLIENT: &str = "web";
/// What a cookie key is made of.
const SECRET: &str = "thirty-two octets, for a benchmark";
const CALLBACK: &str = "/oauth2/callback";
/// A sign-in takes several times as long as a request that is let through.
const SIGN_INS: usize = 10;

/// What a case of people's requests has of its own: which it is, its title, the name of its
/// listener, what is asked, the status of the answers, and of how many requests it gets one.
type Case = (Kind, &'static str, &'static str, Rc<Supply>, u16, usize);

/// Whoever mints sessions and sign-ins.
pub(crate) struct People {
    key: Rc<Key>,
    keyring: Keyring,
    session_cookie: Cookie,
    browser_cookie: Cookie,
    random: SystemRandom,
    responses: TokenResponses,
}

impl People {
    /// With the provider's key, and what its token endpoint answers.
    ///
    /// # Errors
    /// When the filter refuses the key or the names of the cookies.
    pub(crate) fn new(key: Rc<Key>, responses: TokenResponses) -> Result<Self> {
        Ok(Self {
            key,
            keyring: Keyring::new(&[SECRET]).ok().context("a keyring")?,
            session_cookie: Cookie::of_session(SCHEME, None, SameSite::Lax, DEFAULT_MAX_BYTES)
                .ok()
                .context("a cookie for sessions")?,
            browser_cookie: Cookie::of_browser(None)
                .ok()
                .context("a cookie for browsers")?,
            random: SystemRandom::new(),
            responses,
        })
    }

    /// A configuration with sign-in, and a rule that asks for a session.
    pub(crate) fn configuration(base: &Value) -> Value {
        let mut configuration = base.clone();
        let rules = json!([{"match": {"prefix": "/"}, "requires": {"session": SCHEME}}]);
        let sign_in = json!({
            "cookie_keys": [{"inline_string": SECRET}],
            "allowed_redirect_domains": [AUTHORITY],
            "schemes": {SCHEME: {
                "provider_name": "tenant",
                "credentials": {
                    "client_id": CLIENT,
                    "token_secret": {"inline_string": "a secret"},
                },
                "authorization_endpoint": format!("{ISSUER}authorize"),
                "token_endpoint": {
                    "uri": format!("{ISSUER}{}", TOKEN_PATH.trim_start_matches('/')),
                    "cluster": "upstream",
                    "timeout": "5s",
                },
                "callback_path": CALLBACK,
                "session": {"idle_timeout": "3600s"},
            }},
        });
        for (name, value) in [("rules", rules), ("sign_in", sign_in)] {
            set_member(&mut configuration, name, value);
        }
        configuration
    }

    /// The cases of people, with as many known sessions as there are known tokens, and as many new
    /// ones as new tokens.
    ///
    /// # Errors
    /// When a session cannot be sealed.
    pub(crate) fn cases(self: &Rc<Self>, pools: &Pools) -> Result<[Case; 4]> {
        let known = self.sessions(pools.regulars.len())?;
        let new = self.sessions(pools.new.len())?;
        let navigation = Ask::default()
            .and(HeaderName::from_static("sec-fetch-mode"), "navigate")?
            .and(HeaderName::from_static("sec-fetch-dest"), "document")?;
        let people = Rc::clone(self);
        Ok([
            (
                Kind::KnownSession,
                "bearer-gate, repeated sessions",
                "session-known",
                Rc::new(Supply::in_turn(Rc::from(known))),
                200,
                1,
            ),
            (
                Kind::NewSession,
                "bearer-gate, a new session each request",
                "session-new",
                Rc::new(Supply::once(Rc::from(new))),
                200,
                1,
            ),
            (
                Kind::Redirect,
                "bearer-gate, to the provider",
                "redirect",
                Rc::new(Supply::in_turn(Rc::from([navigation]))),
                303,
                1,
            ),
            (
                Kind::Callback,
                "bearer-gate, back from the provider with a code",
                "callback",
                Rc::new(Supply::fresh(move |count| people.callbacks(count))),
                303,
                SIGN_INS,
            ),
        ])
    }

    fn random<const N: usize>(&self) -> Result<[u8; N]> {
        let mut octets = [0; N];
        let filled = self.random.fill(&mut octets);
        filled.ok().context("random octets")?;
        Ok(octets)
    }

    /// Requests with a session each, of people who just signed in.
    ///
    /// # Errors
    /// When a session cannot be sealed.
    pub(crate) fn sessions(&self, count: usize) -> Result<Vec<Ask>> {
        let started = u64::try_from(now())?;
        let session = |serial| -> Result<Ask> {
            let claims = claims(serial, now());
            let session = Session {
                issuer: None,
                id: self.random()?,
                scope: scope(SCHEME, ISSUER, CLIENT),
                subject: claims
                    .get("sub")
                    .and_then(Value::as_str)
                    .context("sub")?
                    .to_owned(),
                sid: None,
                auth_time: Some(started),
                acr: None,
                started,
                issued: started,
                seen: started,
                idle: Some(3600),
                expires: started + 24 * 3600,
                claims: claims.to_string(),
                tokens: None,
                refreshing: None,
                first_sid: None,
            };
            let sealed = session.seal(&self.keyring, AUTHORITY, self.random()?);
            Ask::with(COOKIE, &sent(&self.session_cookie, &sealed)?)
        };
        (0..count).map(session).collect()
    }

    /// Requests of browsers that come back with a code each; the token endpoint knows them.
    fn callbacks(&self, count: usize) -> Result<Vec<Ask>> {
        let begun = u64::try_from(now())?;
        let mut responses = self.responses.borrow_mut();
        let mut callback = |serial| -> Result<Ask> {
            let octets = self.random()?;
            let browser = Browser::new(octets);
            let (keyring, id) = (&self.keyring, self.random()?);
            let flow = Flow::begin(
                keyring,
                &scope(SCHEME, ISSUER, CLIENT),
                "/orders",
                &browser,
                id,
                begun,
            );
            let sent_with = flow.send(keyring, &browser, self.random()?);
            let sent_with = sent_with.context("a flow")?;
            let mut claims = claims(serial, now());
            for (name, value) in [
                ("aud", CLIENT),
                ("azp", CLIENT),
                ("nonce", &sent_with.nonce),
            ] {
                set_member(&mut claims, name, json!(value));
            }
            let response = json!({
                "access_token": "opaque",
                "token_type": "Bearer",
                "expires_in": 3600,
                "id_token": self.key.sign(&claims)?,
            });
            let code = format!("{:032x}", u128::from_be_bytes(self.random()?));
            let path = format!("{CALLBACK}?code={code}&state={}", sent_with.state);
            responses.insert(code, Bytes::from(response.to_string()));
            Ok(Ask::with(COOKIE, &sent(&self.browser_cookie, &octets)?)?.at(path))
        };
        (0..count).map(&mut callback).collect()
    }
}

fn set_member(object: &mut Value, name: &str, value: Value) {
    if let Some(members) = object.as_object_mut() {
        members.insert(name.to_owned(), value);
    }
}

/// What a browser sends of a cookie that it was given.
fn sent(cookie: &Cookie, value: &[u8]) -> Result<String> {
    let set = cookie.set(value, None, &Request::default());
    let set = set.ok().context("a cookie that is small enough")?;
    let pairs = set.iter().filter_map(|line| line.split(';').next());
    Ok(pairs.collect::<Vec<_>>().join("; "))
}
