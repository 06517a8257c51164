//! An Application Load Balancer of AWS, as far as the services behind it see one: the tokens that it
//! puts into `x-amzn-oidc-data`, and the endpoint with its public keys.
//!
//! Its tokens are not JWS to the letter: each part is padded, and the signature is over the padded
//! text.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate;
use rsa::signature::Signer;
use serde_json::{Value, json};

use crate::serve::Server;
use crate::token::now;

/// The load balancer of most tests.
pub const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:\
                       loadbalancer/app/my-load-balancer/50dc6c495c0c9188";
/// The OAuth client by which it signs people in.
pub const CLIENT: &str = "1example23456789";
/// The header with its token.
pub const HEADER: &str = "x-amzn-oidc-data";
/// A SubjectPublicKeyInfo of P-256 up to the point.
const SPKI_P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// A key of a load balancer, and its kid.
#[derive(Clone, Debug)]
pub struct AlbKey {
    kid: String,
    private: SigningKey,
}

impl AlbKey {
    /// A new key with a random UUID.
    pub fn generate() -> Self {
        Self {
            kid: uuid(),
            private: SigningKey::generate_from_rng(&mut rand::rng()),
        }
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The same key under another kid.
    #[must_use]
    pub fn renamed(&self, kid: &str) -> Self {
        Self {
            kid: kid.to_owned(),
            ..self.clone()
        }
    }

    /// The public key as the endpoint has it.
    pub fn pem(&self) -> String {
        let point = self.private.verifying_key().to_sec1_point(false);
        pem(&[&SPKI_P256[..], point.as_bytes()].concat())
    }

    /// The JOSE header of a good token of [`ARN`].
    pub fn header(&self) -> Value {
        json!({
            "typ": "JWT",
            "kid": self.kid,
            "alg": "ES256",
            "iss": "https://idp.example/",
            "client": CLIENT,
            "signer": ARN,
            "exp": now() + 120,
        })
    }

    /// A token with any header and claims, as a load balancer spells it.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_spelt(header, claims, |octets| URL_SAFE.encode(octets))
    }

    /// The same with each part spelt in another way.
    pub fn sign_spelt(
        &self,
        header: &Value,
        claims: &Value,
        spell: impl Fn(&[u8]) -> String,
    ) -> String {
        let parts = [header, claims].map(|part| spell(part.to_string().as_bytes()));
        let input = parts.join(".");
        let signature: Signature = self.private.sign(input.as_bytes());
        format!("{input}.{}", spell(&signature.to_bytes()))
    }

    /// A good token of a person.
    pub fn token(&self) -> String {
        self.sign(&self.header(), &claims())
    }
}

/// The claims of a good token.
pub fn claims() -> Value {
    json!({
        "sub": "5f7c8ec7-c33c-4c00-8bba-fe82aaaabbbb",
        "email": "ada@example.com",
        "username": "ada",
        "exp": now() + 120,
        "iss": "https://idp.example/",
    })
}

/// A random UUID, as kids are.
pub fn uuid() -> String {
    let bits = format!("{:032x}", rand::random::<u128>());
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &bits[part]);
    parts.join("-")
}

/// A SubjectPublicKeyInfo as text.
pub fn pem(spki: &[u8]) -> String {
    let base64 = STANDARD.encode(spki);
    let lines = base64.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n")
}

/// What the endpoint answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// 200 with this text.
    Text(String),
    /// This status, and a document of S3 that says so.
    Status(u16),
    /// 200 with this text, this much later.
    Late(Duration, String),
    /// No answer.
    Hang,
}

/// The endpoint with the public keys; dropping it stops it.
#[derive(Debug)]
pub struct KeyEndpoint {
    shared: Arc<Mutex<Shared>>,
    address: SocketAddr,
    server: Mutex<Option<Server>>,
}

#[derive(Debug)]
struct Shared {
    answers: BTreeMap<String, Answer>,
    /// Of every address without one.
    otherwise: Answer,
    /// Of every address.
    outage: Option<Answer>,
    asked: Vec<String>,
}

impl KeyEndpoint {
    /// On a free loopback port, without a key.
    pub fn start() -> Self {
        let shared = Arc::new(Mutex::new(Shared {
            answers: BTreeMap::new(),
            otherwise: Answer::Status(404),
            outage: None,
            asked: Vec::new(),
        }));
        let server = Self::serve(SocketAddr::from(([127, 0, 0, 1], 0)), &shared);
        Self {
            address: server.address(),
            server: Mutex::new(Some(server)),
            shared,
        }
    }

    fn serve(address: SocketAddr, shared: &Arc<Mutex<Shared>>) -> Server {
        let router = Router::new().fallback(answer).with_state(shared.clone());
        Server::start(address, |_| router).expect("a free port")
    }

    fn state(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no panic while locked")
    }

    /// The address that it listens on, also while stopped.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a key, as a configuration has it.
    pub fn uri(&self) -> String {
        format!("http://{}/{{kid}}", self.address)
    }

    /// Publishes a key.
    pub fn publish(&self, key: &AlbKey) {
        self.answer(key.kid(), Answer::Text(key.pem()));
    }

    /// What is at the address of a kid from now on.
    pub fn answer(&self, kid: &str, answer: Answer) {
        self.state().answers.insert(kid.to_owned(), answer);
    }

    /// Publishes a key no longer.
    pub fn withdraw(&self, kid: &str) {
        self.state().answers.remove(kid);
    }

    /// What is at every address that has nothing; 404 by default.
    pub fn set_otherwise(&self, answer: Answer) {
        self.state().otherwise = answer;
    }

    /// What is at every address in place of keys, while there is an outage.
    pub fn set_outage(&self, answer: Option<Answer>) {
        self.state().outage = answer;
    }

    /// The paths that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// How often the key of a kid was asked for.
    pub fn asked_for(&self, kid: &str) -> usize {
        let path = format!("/{kid}");
        self.state()
            .asked
            .iter()
            .filter(|known| **known == path)
            .count()
    }

    /// Closes the port and cuts all connections.
    pub fn stop(&self) {
        drop(self.server.lock().expect("no panic while locked").take());
    }

    /// Listens on the same port again.
    ///
    /// # Panics
    /// When somebody else took the port meanwhile.
    pub fn restart(&self) {
        let mut server = self.server.lock().expect("no panic while locked");
        if server.is_none() {
            *server = Some(Self::serve(self.address, &self.shared));
        }
    }
}

async fn answer(State(shared): State<Arc<Mutex<Shared>>>, request: Request) -> Response {
    let target = request.uri().to_string();
    let answer = {
        let mut shared = shared.lock().expect("no panic while locked");
        shared.asked.push(target.clone());
        let own = target
            .strip_prefix('/')
            .and_then(|kid| shared.answers.get(kid));
        let answer = shared.outage.as_ref().or(own);
        answer.unwrap_or(&shared.otherwise).clone()
    };
    match answer {
        Answer::Text(text) => text.into_response(),
        Answer::Status(status) => {
            let status = StatusCode::from_u16(status).expect("a status");
            let body = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>";
            (status, Body::from(body)).into_response()
        }
        Answer::Late(wait, text) => {
            tokio::time::sleep(wait).await;
            text.into_response()
        }
        Answer::Hang => std::future::pending().await,
    }
}
