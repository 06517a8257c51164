//! Keys, and tokens that are good or have one flaw.

use std::sync::LazyLock;

use bearer_gate_testbed::token::{base64url, now};
use p256::ecdsa::signature::Signer as _;
use rsa::pkcs8::DecodePrivateKey as _;
use rsa::signature::SignatureEncoding as _;
use rsa::{pkcs1v15, pss};
use serde_json::{Map, Value, json};
use sha2::{Sha256, Sha512};

use crate::configuration::Provider;
use crate::dice::Dice;

/// A signing key of the pool that all providers draw from.
pub(crate) struct PoolKey {
    pub kid: &'static str,
    pub algorithm: &'static str,
    pub jwk: Value,
    private: Private,
}

enum Private {
    Rsa(Box<rsa::PrivateKey>),
    P256(p256::ecdsa::SigningKey),
    Ed25519(ed25519_dalek::SigningKey),
}

pub(crate) static POOL: LazyLock<Vec<PoolKey>> = LazyLock::new(|| {
    let rsa_a = include_str!("../../../tests/fixtures/rsa2048-a.pem");
    let rsa_b = include_str!("../../../tests/fixtures/rsa2048-b.pem");
    let jwk_a = include_str!("../../../tests/fixtures/rsa2048-a.jwk.json");
    let jwk_b = include_str!("../../../tests/fixtures/rsa2048-b.jwk.json");
    vec![
        rsa_key("rsa-a", "RS256", rsa_a, jwk_a),
        rsa_key("rsa-b", "PS256", rsa_b, jwk_b),
        p256_key("ec-a", 0xa5),
        p256_key("ec-b", 0x5a),
        ed25519_key("ed-a", 0x11),
        rsa_key("rsa-c", "RS256", rsa_b, jwk_b),
    ]
});

fn rsa_key(kid: &'static str, algorithm: &'static str, pem: &str, jwk: &str) -> PoolKey {
    let pem = &pem[pem.find("-----").expect("a PEM")..];
    let private = rsa::PrivateKey::from_pkcs8_pem(pem).expect("an RSA key");
    let mut jwk: Value = serde_json::from_str(jwk).expect("a JWK");
    jwk["kid"] = json!(kid);
    jwk["alg"] = json!(algorithm);
    PoolKey {
        kid,
        algorithm,
        jwk,
        private: Private::Rsa(Box::new(private)),
    }
}

fn p256_key(kid: &'static str, secret: u8) -> PoolKey {
    let private = p256::ecdsa::SigningKey::from_slice(&[secret; 32]).expect("a scalar");
    let point = private.verifying_key().to_sec1_point(false);
    let coordinate = |octets: Option<&[u8]>| base64url(octets.expect("a point that is not zero"));
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid,
        "x": coordinate(point.x().map(|x| &x[..])),
        "y": coordinate(point.y().map(|y| &y[..])),
    });
    PoolKey {
        kid,
        algorithm: "ES256",
        jwk,
        private: Private::P256(private),
    }
}

fn ed25519_key(kid: &'static str, secret: u8) -> PoolKey {
    let pair = ed25519_dalek::SigningKey::from_bytes(&[secret; 32]);
    let jwk = json!({
        "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid,
        "x": base64url(pair.verifying_key().to_bytes()),
    });
    PoolKey {
        kid,
        algorithm: "EdDSA",
        jwk,
        private: Private::Ed25519(pair),
    }
}

impl PoolKey {
    /// A token with this header, whatever its `alg` says, and these claims.
    pub(crate) fn token(&self, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", base64url(header), base64url(claims));
        let signature = self.sign(self.algorithm, input.as_bytes());
        format!("{input}.{}", base64url(signature))
    }

    fn sign(&self, algorithm: &str, text: &[u8]) -> Vec<u8> {
        match (&self.private, algorithm) {
            (Private::Rsa(key), "PS256") => pss::SigningKey::<Sha256>::new((**key).clone())
                .sign(text)
                .to_vec(),
            (Private::Rsa(key), "RS512") => pkcs1v15::SigningKey::<Sha512>::new((**key).clone())
                .sign(text)
                .to_vec(),
            (Private::Rsa(key), _) => pkcs1v15::SigningKey::<Sha256>::new((**key).clone())
                .sign(text)
                .to_vec(),
            (Private::P256(key), _) => {
                let signature: p256::ecdsa::Signature = key.sign(text);
                signature.to_bytes().to_vec()
            }
            (Private::Ed25519(pair), _) => pair.sign(text).to_bytes().to_vec(),
        }
    }
}

/// What is wrong with a token, or only unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    None,
    // good for both
    AudienceInAList,
    ExpiredWithinTheSkew,
    NotYetValidWithinTheSkew,
    NoIssuedAt,
    FractionalExpiration,
    NoKid,
    NoSubject,
    // bad for both
    Expired,
    NotYetValid,
    OtherIssuer,
    NoIssuer,
    OtherAudience,
    NoAudience,
    EmptyAudience,
    OtherSubject,
    LongLife,
    BadSignature,
    OtherKey,
    UnknownKid,
    OtherHash,
    UnsecuredNone,
    Hmac,
    Garbage,
    StringExpiration,
    NumericAudience,
    DuplicateMember,
    // good for the one, bad for the other
    NoExpiration,
    AudienceWithScheme,
    Critical,
    IssuedInTheFuture,
    SenderConstrained,
    ZeroExpiration,
    LeadingCharacter,
    // told to the upstream in other words
    OddClaims,
}

const FLAWS: &[(u32, Flaw)] = &[
    (160, Flaw::None),
    (8, Flaw::AudienceInAList),
    (6, Flaw::ExpiredWithinTheSkew),
    (6, Flaw::NotYetValidWithinTheSkew),
    (6, Flaw::NoIssuedAt),
    (4, Flaw::FractionalExpiration),
    (10, Flaw::NoKid),
    (5, Flaw::NoSubject),
    (8, Flaw::Expired),
    (6, Flaw::NotYetValid),
    (8, Flaw::OtherIssuer),
    (5, Flaw::NoIssuer),
    (8, Flaw::OtherAudience),
    (5, Flaw::NoAudience),
    (3, Flaw::EmptyAudience),
    (8, Flaw::OtherSubject),
    (6, Flaw::LongLife),
    (8, Flaw::BadSignature),
    (6, Flaw::OtherKey),
    (6, Flaw::UnknownKid),
    (5, Flaw::OtherHash),
    (4, Flaw::UnsecuredNone),
    (4, Flaw::Hmac),
    (10, Flaw::Garbage),
    (3, Flaw::StringExpiration),
    (3, Flaw::NumericAudience),
    (3, Flaw::DuplicateMember),
    (8, Flaw::NoExpiration),
    (5, Flaw::AudienceWithScheme),
    (3, Flaw::Critical),
    (4, Flaw::IssuedInTheFuture),
    (3, Flaw::SenderConstrained),
    (3, Flaw::ZeroExpiration),
    (3, Flaw::LeadingCharacter),
    (6, Flaw::OddClaims),
];

/// A token as it is sent, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub text: String,
    pub flaw: Flaw,
    /// The name of the provider that it is for.
    pub provider: String,
    /// The JOSE header and the claims, where it has some.
    pub header: String,
    pub claims: String,
}

/// Seconds between a time that a token says and the moment at which a check would change its
/// mind; a slow machine may spend them.
const MARGIN: i64 = 20;

impl Token {
    /// A token for this provider, with a flaw or without.
    pub(crate) fn draw(dice: &mut Dice, provider: &Provider) -> Self {
        let flaw = dice.weighted(FLAWS);
        Self::with(dice, provider, flaw)
    }

    pub(crate) fn with(dice: &mut Dice, provider: &Provider, flaw: Flaw) -> Self {
        let mut claims = good_claims(dice, provider);
        let key = *dice.pick(&provider.keys);
        let mut header = Map::new();
        header.insert("alg".to_owned(), json!(POOL[key].algorithm));
        header.insert("typ".to_owned(), json!("JWT"));
        header.insert("kid".to_owned(), json!(POOL[key].kid));
        spoil_claims(dice, provider, flaw, &mut claims);
        let mut signer = key;
        match flaw {
            Flaw::NoKid => drop(header.remove("kid")),
            Flaw::UnknownKid => drop(header.insert("kid".to_owned(), json!("nobody"))),
            Flaw::OtherHash if POOL[key].algorithm == "RS256" => {
                header.insert("alg".to_owned(), json!("RS512"));
            }
            Flaw::UnsecuredNone => drop(header.insert("alg".to_owned(), json!("none"))),
            Flaw::Hmac => drop(header.insert("alg".to_owned(), json!("HS256"))),
            Flaw::Critical => {
                header.insert("crit".to_owned(), json!(["urn:example:unknown"]));
                header.insert("urn:example:unknown".to_owned(), json!(1));
            }
            Flaw::OtherKey => signer = other_key(key),
            _ => {}
        }
        let algorithm = header["alg"].as_str().expect("a string").to_owned();
        let header = Value::Object(header).to_string();
        let mut claims = Value::Object(claims).to_string();
        if flaw == Flaw::DuplicateMember {
            claims.insert_str(1, r#""sub":"somebody else","#);
        }
        let input = format!("{}.{}", base64url(&header), base64url(&claims));
        let mut signature = match flaw {
            Flaw::UnsecuredNone => Vec::new(),
            Flaw::Hmac => vec![7; 32],
            _ => POOL[signer].sign(&algorithm, input.as_bytes()),
        };
        if flaw == Flaw::BadSignature {
            let at = dice.between(0, signature.len() - 1);
            signature[at] ^= 1 << dice.between(0, 7);
        }
        let mut text = format!("{input}.{}", base64url(signature));
        match flaw {
            Flaw::Garbage => text = garbage(dice, &text),
            Flaw::LeadingCharacter => text.insert(0, '!'),
            _ => {}
        }
        Self {
            text,
            flaw,
            provider: provider.name.clone(),
            header,
            claims,
        }
    }
}

fn good_claims(dice: &mut Dice, provider: &Provider) -> Map<String, Value> {
    let mut claims = Map::new();
    let mut set = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    let issuer = provider
        .issuer
        .as_deref()
        .unwrap_or("https://anybody.example/");
    set("iss", json!(issuer));
    let audiences = &provider.audiences;
    let audience = match audiences.as_slice() {
        [] => "anything",
        known => dice.pick(known),
    };
    set("aud", json!(audience));
    let subject = provider.subjects.as_ref().map_or("alice", |s| s.good);
    set("sub", json!(subject));
    set("iat", json!(now() - 30));
    let life = provider.max_lifetime.map_or(600, |most| most - MARGIN);
    set("exp", json!(now() + life));
    // Whole numbers from 0, texts, truth values: those that both write alike.
    set("level", json!(dice.between(0, 9)));
    set("member", json!(dice.chance(50)));
    set("org", json!({"name": "acme", "unit": {"id": 7}}));
    claims
}

fn spoil_claims(dice: &mut Dice, provider: &Provider, flaw: Flaw, claims: &mut Map<String, Value>) {
    let skew = provider.clock_skew;
    let mut set = |name: &str, value: Value| drop(claims.insert(name.to_owned(), value));
    match flaw {
        Flaw::AudienceInAList => {
            let known = claims["aud"].clone();
            claims.insert(
                "aud".to_owned(),
                json!(["https://elsewhere.example", known]),
            );
        }
        Flaw::ExpiredWithinTheSkew => set("exp", json!(now() - skew + MARGIN)),
        Flaw::Expired => set("exp", json!(now() - skew - MARGIN)),
        Flaw::NotYetValidWithinTheSkew => set("nbf", json!(now() + skew - MARGIN)),
        Flaw::NotYetValid => set("nbf", json!(now() + skew + 10 * MARGIN)),
        Flaw::NoIssuedAt => drop(claims.remove("iat")),
        Flaw::FractionalExpiration => set("exp", json!(now() as f64 + 250.5)),
        Flaw::NoSubject => drop(claims.remove("sub")),
        Flaw::OtherIssuer => set("iss", json!("https://elsewhere.example/")),
        Flaw::NoIssuer => drop(claims.remove("iss")),
        Flaw::OtherAudience => {
            let others = [
                "https://elsewhere.example",
                "api",
                "https://api.example.com.evil",
                "",
            ];
            set("aud", json!(dice.pick(&others)));
        }
        Flaw::NoAudience => drop(claims.remove("aud")),
        Flaw::EmptyAudience => set("aud", json!([])),
        Flaw::NumericAudience => set("aud", json!(5)),
        Flaw::OtherSubject => {
            let other = provider.subjects.as_ref().map_or("bob", |s| s.bad);
            set("sub", json!(other));
        }
        Flaw::LongLife => {
            let most = provider.max_lifetime.unwrap_or(100_000);
            set("exp", json!(now() + most + 10 * MARGIN));
        }
        Flaw::StringExpiration => set("exp", json!((now() + 300).to_string())),
        Flaw::NoExpiration => drop(claims.remove("exp")),
        Flaw::ZeroExpiration => set("exp", json!(0)),
        Flaw::AudienceWithScheme => {
            let bare = |text: &str| {
                let text = text.strip_prefix("https://").unwrap_or(text);
                text.trim_end_matches('/').to_owned()
            };
            let known = provider
                .audiences
                .first()
                .map_or("anything", String::as_str);
            let spelt = match dice.between(0, 2) {
                0 => format!("http://{}", bare(known)),
                1 => format!("{}/", bare(known)),
                _ => bare(known),
            };
            set("aud", json!(spelt));
        }
        Flaw::IssuedInTheFuture => set("iat", json!(now() + skew + 10 * MARGIN)),
        Flaw::SenderConstrained => set("cnf", json!({"jkt": "x"})),
        Flaw::OddClaims => {
            let odd = [
                json!(1.5),
                json!(-3),
                json!(9_007_199_254_740_993_u64),
                json!(""),
                json!(null),
                json!(["a", "b"]),
                json!({"a": 1}),
                json!(" spaces "),
                json!("a\tb"),
            ];
            set("level", dice.pick(&odd).clone());
        }
        _ => {}
    }
}

/// Another key of the same kind, so that only the signature is wrong.
fn other_key(key: usize) -> usize {
    let kind = |at: usize| std::mem::discriminant(&POOL[at].private);
    let others = 0..POOL.len();
    let same = |at: &usize| {
        *at != key && kind(*at) == kind(key) && POOL[*at].jwk["n"] != POOL[key].jwk["n"]
            || *at != key && kind(*at) == kind(key) && POOL[key].jwk["n"].is_null()
    };
    others.into_iter().find(same).unwrap_or(0)
}

fn garbage(dice: &mut Dice, good: &str) -> String {
    let parts: Vec<&str> = good.split('.').collect();
    match dice.between(0, 9) {
        0 => "garbage".to_owned(),
        1 => format!("{}.{}", parts[0], parts[1]),
        2 => format!("{good}.{}", parts[2]),
        3 => format!("{}.{}.", parts[0], parts[1]),
        4 => format!("{}.{}.{}", parts[0], base64url("{"), parts[2]),
        5 => format!("{}.{}.{}", base64url("[]"), parts[1], parts[2]),
        6 => format!("{}.{}.{}=", parts[0], parts[1], parts[2]),
        7 | 8 => String::new(),
        _ => "..".to_owned(),
    }
}
