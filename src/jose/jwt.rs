//! JSON Web Token: the chain of proofs, RFC 7519 section 7.2.
//!
//! Invariant: `Parsed -> Validated -> Verified`, each made only by the function that proves it. A
//! request is admitted with a [`Verified`] token, so an unverified admission does not compile.
//! Claims are validated before the signature is verified: a comparison is cheap, RSA is not.

use std::sync::Arc;

use super::base64url::Spelling;
use super::claims::Claims;
pub use super::error::JwtError;
use super::event::Event;
pub use super::expectations::Expectations;
use super::issuer;
use super::jwa::Algorithm;
use super::jwk::Key;
use super::jwks::MAX_CANDIDATES;
use super::jws::{self, HeaderMemo, JoseHeader, Jws};
use super::verifier::Verifier;
use crate::trace::Trace;

/// A well-formed token. Nothing in it is trusted yet.
#[derive(Clone, Debug)]
pub struct Parsed<'t> {
    jws: Jws<'t>,
    claims: Arc<Claims>,
}

/// A token with the claims that a provider expects. Its signature is not verified yet.
#[derive(Clone, Debug)]
pub struct Validated<'t> {
    jws: Jws<'t>,
    claims: Arc<Claims>,
    /// Whether a key that names an issuer signs for that one alone.
    keys_have_issuers: bool,
}

/// A token whose claims are as expected and whose signature is by one of the provider's keys.
#[derive(Clone, Debug)]
pub struct Verified<'t> {
    algorithm: Algorithm,
    claims: Arc<Claims>,
    header_b64: &'t [u8],
    payload_b64: &'t [u8],
}

/// The claims of a [`Verified`] token, without the request that brought it.
#[derive(Clone, Debug)]
pub struct VerifiedClaims {
    claims: Arc<Claims>,
}

/// Reads a token.
///
/// # Errors
/// A [`JwtError`] from `TooLong` to `IssuedAtType`.
pub fn parse(token: &[u8]) -> Result<Parsed<'_>, JwtError> {
    parse_with(token, Spelling::Plain, &mut HeaderMemo::default())
}

/// The same for a token that is spelt so, by a reader that remembers headers.
///
/// # Errors
/// As [`parse`].
pub fn parse_with<'t>(
    token: &'t [u8],
    spelling: Spelling,
    headers: &mut HeaderMemo,
) -> Result<Parsed<'t>, JwtError> {
    let mut jws = jws::parse_with(token, spelling, headers)?;
    let claims = Arc::new(Claims::parse(jws.take_payload())?);
    Ok(Parsed { jws, claims })
}

impl<'t> Parsed<'t> {
    /// What the client says about the signature.
    #[must_use]
    pub fn untrusted_header(&self) -> &JoseHeader {
        self.jws.untrusted_header()
    }

    /// What the client says in the claims.
    #[must_use]
    pub fn untrusted_claims(&self) -> &Claims {
        &self.claims
    }

    /// Compares the header and the claims with what the provider expects of its tokens at
    /// `now_unix_seconds`.
    ///
    /// # Errors
    /// A [`JwtError`] from `AlgorithmNotAllowed` to `NoId`.
    pub fn validate(
        self,
        expectations: &Expectations,
        now_unix_seconds: f64,
    ) -> Result<Validated<'t>, JwtError> {
        self.validate_with(expectations, now_unix_seconds, &())
    }

    /// The same, and tells of each check.
    ///
    /// # Errors
    /// As [`Parsed::validate`].
    pub fn validate_with<T: for<'e> Trace<Event<'e>>>(
        self,
        expectations: &Expectations,
        now: f64,
        trace: &T,
    ) -> Result<Validated<'t>, JwtError> {
        expectations.check(self.untrusted_header(), &self.claims, now, trace)?;
        Ok(Validated {
            jws: self.jws,
            claims: self.claims,
            keys_have_issuers: expectations.issuer.is_of_tenants(),
        })
    }
}

impl<'t> Validated<'t> {
    /// What the client says about the signature.
    #[must_use]
    pub fn untrusted_header(&self) -> &JoseHeader {
        self.jws.untrusted_header()
    }

    /// Verifies the signature with the first of at most [`MAX_CANDIDATES`] keys that does. A
    /// provider of several tenants says of a key whose tokens it signs.
    ///
    /// # Errors
    /// [`JwtError::NoKey`] where no candidate is for the token's algorithm, otherwise
    /// [`JwtError::Signature`].
    pub fn verify<V: Verifier + ?Sized>(
        &self,
        candidates: &[&Key],
        verifier: &V,
    ) -> Result<Verified<'t>, JwtError> {
        self.verify_with(candidates, verifier, &())
    }

    /// The same, and tells of each key that is tried or left out.
    ///
    /// # Errors
    /// As [`Validated::verify`].
    pub fn verify_with<V: Verifier + ?Sized, T: for<'e> Trace<Event<'e>>>(
        &self,
        candidates: &[&Key],
        verifier: &V,
        trace: &T,
    ) -> Result<Verified<'t>, JwtError> {
        let algorithm = self.jws.untrusted_header().algorithm;
        let mut fitting = candidates
            .iter()
            .filter(|key| key.allows(algorithm) && self.may_be_of(key, trace))
            .take(MAX_CANDIDATES)
            .peekable();
        if fitting.peek().is_none() {
            return Err(JwtError::NoKey);
        }
        let (input, signature) = (self.jws.signing_input(), self.jws.signature());
        let verifies = |key: &Key| {
            let verifies = verifier.verify(algorithm, key, input, signature);
            trace.note(|| Event::Tried { key, verifies });
            verifies
        };
        if !fitting.any(|key| verifies(key)) {
            return Err(JwtError::Signature);
        }
        Ok(Verified {
            algorithm,
            claims: Arc::clone(&self.claims),
            header_b64: self.jws.header_segment(),
            payload_b64: self.jws.payload_segment(),
        })
    }

    /// Whether a key signs for the issuer of the token.
    fn may_be_of<T: for<'e> Trace<Event<'e>>>(&self, key: &Key, trace: &T) -> bool {
        let named = key.issuer().filter(|_| self.keys_have_issuers);
        let may_be = named.is_none_or(|issuer| issuer::signs_for(issuer, &self.claims));
        if !may_be {
            trace.note(|| Event::OfAnother(key));
        }
        may_be
    }
}

impl<'t> Verified<'t> {
    /// The claims, which the issuer signed.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The algorithm of the signature, which the key is for.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The JOSE header, base64url without padding.
    #[must_use]
    pub fn header_b64(&self) -> &'t [u8] {
        self.header_b64
    }

    /// The payload, base64url without padding.
    #[must_use]
    pub fn payload_b64(&self) -> &'t [u8] {
        self.payload_b64
    }

    /// Only the claims, to keep them beyond the request.
    #[must_use]
    pub fn into_claims(self) -> VerifiedClaims {
        VerifiedClaims {
            claims: self.claims,
        }
    }
}

impl VerifiedClaims {
    /// Checks again the claims that time can change (`exp`, `nbf` and `iat`), and the one that
    /// differs between rules (`aud`).
    ///
    /// # Errors
    /// [`JwtError::Expired`], [`JwtError::Audience`], and what a clock that went back can make of
    /// it: `NotYetValid`, `IssuedInFuture`, `Lifetime`.
    pub fn validate_again<T: for<'e> Trace<Event<'e>>>(
        &self,
        expectations: &Expectations,
        now_unix_seconds: f64,
        trace: &T,
    ) -> Result<(), JwtError> {
        expectations.check_again(&self.claims, now_unix_seconds, trace)
    }

    /// The claims, which the issuer signed.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::jose::base64url;
    use crate::jose::fixtures::{
        self, HEADER, JWK_A, JWK_B, NOW, PEM_A, PEM_B, claims, expectations,
    };
    use crate::jose::issuer::{Issuer, Tenants};
    use crate::jose::jwks::{KeySet, Selection};
    use crate::signature::portable::Portable;

    fn good() -> String {
        fixtures::token(PEM_A, Algorithm::Rs256, HEADER, &claims(json!({})))
    }

    /// All the steps, as for a request.
    fn decide<'t>(
        token: &'t str,
        keys: &str,
        expectations: &Expectations,
    ) -> Result<Verified<'t>, JwtError> {
        let keys = KeySet::parse(format!(r#"{{"keys":[{keys}]}}"#).as_bytes()).unwrap();
        let validated = parse(token.as_bytes())?.validate(expectations, NOW)?;
        match keys.candidates(validated.untrusted_header()) {
            Selection::Keys(candidates) => validated.verify(&candidates, &Portable),
            Selection::UnknownKid | Selection::NoMatch => Err(JwtError::NoKey),
        }
    }

    #[test]
    fn a_good_token_is_verified() {
        let token = good();
        let verified = decide(&token, JWK_A, &expectations()).unwrap();
        assert_eq!(verified.algorithm(), Algorithm::Rs256);
        assert_eq!(verified.claims().subject(), Some("somebody"));
        assert_eq!(
            verified.claims().expires_at.map(|date| date.seconds()),
            Some(NOW + 300.0)
        );
        assert_eq!(
            verified.payload_b64(),
            token.split('.').nth(1).unwrap().as_bytes()
        );
        // A certificate in place of the numbers is the same key.
        assert!(decide(&token, fixtures::JWK_A_X5C, &expectations()).is_ok());
    }

    #[test]
    fn every_algorithm_verifies_its_own_and_no_other() {
        let unbound = JWK_A.replace("\"alg\"", "\"unbound\"");
        for algorithm in fixtures::RSA_ALGORITHMS {
            for claimed in fixtures::RSA_ALGORITHMS {
                let header = HEADER.replace("RS256", claimed.name());
                let token = fixtures::token(PEM_A, algorithm, &header, &claims(json!({})));
                let bound = JWK_A.replace("RS256", claimed.name());
                let result = |key| decide(&token, key, &expectations()).map(drop);
                let expected = if algorithm == claimed {
                    Ok(())
                } else {
                    Err(JwtError::Signature)
                };
                assert_eq!(result(&bound), expected, "{algorithm:?} as {claimed:?}");
                // A key that does not say PSS is not for PSS.
                let expected = if claimed.is_default_of_its_keys() {
                    expected
                } else {
                    Err(JwtError::NoKey)
                };
                assert_eq!(result(&unbound), expected, "{algorithm:?} as {claimed:?}");
            }
        }
    }

    #[test]
    fn tokens_of_pyjwt_on_curves() {
        let tokens = [
            (fixtures::TOKEN_ES256, fixtures::JWK_P256),
            (fixtures::TOKEN_ES384, fixtures::JWK_P384),
            (fixtures::TOKEN_EDDSA, fixtures::JWK_ED25519),
        ];
        for (at, (token, _)) in tokens.iter().enumerate() {
            for (of, (_, jwk)) in tokens.iter().enumerate() {
                let jwk = jwk.replace("\"kid\"", "\"nameless\"");
                let result = decide(token, &jwk, &expectations()).map(drop);
                let expected = if at == of {
                    Ok(())
                } else {
                    Err(JwtError::NoKey)
                };
                assert_eq!(result, expected, "{token} with {jwk}");
            }
        }
        // Read and refused: this verifier does not have it.
        let result = decide(fixtures::TOKEN_ES512, fixtures::JWK_P521, &expectations());
        assert_eq!(result.map(drop), Err(JwtError::Signature));
    }

    #[test]
    fn every_bit_of_a_token_counts() {
        let token = good().into_bytes();
        let keys = KeySet::parse(format!(r#"{{"keys":[{JWK_A}]}}"#).as_bytes()).unwrap();
        let candidates: Vec<&Key> = keys.keys().iter().collect();
        let lenient = Expectations {
            issuer: Issuer::Any,
            audiences: Vec::new(),
            clock_skew_seconds: 1 << 60,
            require_expiration: false,
            ..expectations()
        };
        let admitted = |token: &[u8]| {
            parse(token)
                .and_then(|parsed| parsed.validate(&lenient, NOW))
                .and_then(|validated| validated.verify(&candidates, &Portable))
                .is_ok()
        };
        assert!(admitted(&token));
        for at in 0..token.len() {
            for bit in 0..8 {
                let mut flipped = token.clone();
                flipped[at] ^= 1 << bit;
                assert!(!admitted(&flipped), "octet {at}, bit {bit}");
            }
            assert!(!admitted(&token[..at]), "the first {at} octets");
            assert!(!admitted(&token[at + 1..]), "without the first {}", at + 1);
        }
    }

    fn hmac_sha256(secret: &[u8], text: &[u8]) -> Vec<u8> {
        let mut block = [0; 64];
        if secret.len() > block.len() {
            block[..32].copy_from_slice(&Sha256::digest(secret));
        } else {
            block[..secret.len()].copy_from_slice(secret);
        }
        let inner = Sha256::digest([&block.map(|b| b ^ 0x36)[..], text].concat());
        Sha256::digest([&block.map(|b| b ^ 0x5c)[..], &inner].concat()).to_vec()
    }

    #[test]
    fn a14_hs256_keyed_with_the_public_key() {
        let der = fixtures::key(JWK_A).spki_der().to_vec();
        let lines: Vec<_> = fixtures::SPKI_A
            .as_bytes()
            .chunks(64)
            .map(<[u8]>::to_vec)
            .collect();
        let pem = [
            b"-----BEGIN PUBLIC KEY-----\n".to_vec(),
            lines.join(&b'\n'),
            b"\n-----END PUBLIC KEY-----\n".to_vec(),
        ]
        .concat();
        let prefixed = [b" \n".to_vec(), pem.clone()].concat();
        for secret in [
            pem,
            prefixed,
            der,
            JWK_A.into(),
            JWK_A.trim().into(),
            vec![],
        ] {
            let also_hmac = Expectations {
                algorithms: Algorithm::ALL.to_vec(),
                ..expectations()
            };
            for (alg, expectations, expected) in [
                ("HS256", expectations(), JwtError::AlgorithmNotAllowed),
                ("HS256", also_hmac, JwtError::NoKey),
                ("RS256", expectations(), JwtError::Signature),
            ] {
                let input = format!(
                    "{}.{}",
                    base64url::encode(HEADER.replace("RS256", alg).as_bytes()),
                    base64url::encode(claims(json!({})).as_bytes())
                );
                let mac = base64url::encode(&hmac_sha256(&secret, input.as_bytes()));
                let token = format!("{input}.{mac}");
                let result = decide(&token, JWK_A, &expectations);
                assert_eq!(result.err(), Some(expected));
            }
        }
    }

    #[test]
    fn a15_the_header_cannot_choose_against_the_key() {
        // Correctly signed with RS384, by a key that is for RS256.
        let header = HEADER.replace("RS256", "RS384");
        let token = fixtures::token(PEM_A, Algorithm::Rs384, &header, &claims(json!({})));
        let refused = decide(&token, JWK_A, &expectations());
        assert_eq!(refused.err(), Some(JwtError::NoKey));
        // Even where the key is forced on it.
        let validated = parse(token.as_bytes())
            .unwrap()
            .validate(&expectations(), NOW);
        let key = fixtures::key(JWK_A);
        let forced = validated.unwrap().verify(&[&key], &Portable);
        assert_eq!(forced.err(), Some(JwtError::NoKey));
        // And where the provider does not allow the algorithm.
        let only_rs256 = Expectations {
            algorithms: vec![Algorithm::Rs256],
            ..expectations()
        };
        let unbound = JWK_A.replace("\"alg\"", "\"unbound\"");
        assert_eq!(
            decide(&token, &unbound, &only_rs256).err(),
            Some(JwtError::AlgorithmNotAllowed)
        );
        let nothing = Expectations {
            algorithms: vec![],
            ..expectations()
        };
        assert_eq!(
            decide(&good(), JWK_A, &nothing).err(),
            Some(JwtError::AlgorithmNotAllowed)
        );
    }

    #[test]
    fn a17_a_key_in_the_header_is_never_used() {
        let jwk_b: Value = serde_json::from_str(JWK_B).unwrap();
        for extra in [
            json!({"jwk": jwk_b}),
            json!({"jku": "https://evil.example/jwks.json"}),
            json!({"x5u": "https://evil.example/cert.pem"}),
            json!({"x5c": ["AAAA"]}),
        ] {
            let mut header: Value = serde_json::from_str(HEADER).unwrap();
            for (name, value) in extra.as_object().unwrap() {
                header[name] = value.clone();
            }
            let header = header.to_string();
            let forged = fixtures::token(PEM_B, Algorithm::Rs256, &header, &claims(json!({})));
            assert_eq!(
                decide(&forged, JWK_A, &expectations()).err(),
                Some(JwtError::Signature),
                "{extra}"
            );
            let honest = fixtures::token(PEM_A, Algorithm::Rs256, &header, &claims(json!({})));
            assert!(decide(&honest, JWK_A, &expectations()).is_ok(), "{extra}");
        }
    }

    #[test]
    fn a19_without_a_kid_a_fixed_number_of_keys_is_tried() {
        struct Counting(std::cell::Cell<usize>);
        impl Verifier for Counting {
            fn verify(&self, _: Algorithm, _: &Key, _: &[u8], _: &[u8]) -> bool {
                self.0.set(self.0.get() + 1);
                false
            }
            fn name(&self) -> &'static str {
                "counting"
            }
        }
        let key = fixtures::key(JWK_A);
        let token = good();
        let validated = parse(token.as_bytes())
            .unwrap()
            .validate(&expectations(), NOW);
        let counting = Counting(0.into());
        let result = validated.unwrap().verify(&[&key; 100], &counting);
        assert_eq!(result.err(), Some(JwtError::Signature));
        assert_eq!(counting.0.get(), MAX_CANDIDATES);
        // The right key among several is found, and the one that is named is tried first.
        for (name, tried) in [(r#""x5t":"t""#, 1), (r#""x5t":"nobody's""#, 2)] {
            let b = JWK_B.replacen('{', r#"{"x5t":"t","#, 1);
            let keys = format!(r#"{{"keys":[{JWK_A},{b}]}}"#);
            let keys = KeySet::parse(keys.as_bytes()).unwrap();
            let header = HEADER.replace(r#""kid":"test-a""#, name);
            let token = fixtures::token(PEM_B, Algorithm::Rs256, &header, &claims(json!({})));
            let validated = parse(token.as_bytes()).unwrap();
            let validated = validated.validate(&expectations(), NOW).unwrap();
            let Selection::Keys(candidates) = keys.candidates(validated.untrusted_header()) else {
                panic!("both fit");
            };
            assert!(
                validated.verify(&candidates[..tried], &Portable).is_ok(),
                "{name}"
            );
            assert!(
                validated
                    .verify(&candidates[..tried - 1], &Portable)
                    .is_err(),
                "{name}"
            );
        }
        let nameless = HEADER.replace("\"kid\"", "\"unused\"");
        let token = fixtures::token(PEM_B, Algorithm::Rs256, &nameless, &claims(json!({})));
        assert!(decide(&token, &format!("{JWK_A},{JWK_B}"), &expectations()).is_ok());
        assert_eq!(
            decide(&token, JWK_A, &expectations()).err(),
            Some(JwtError::Signature)
        );
    }

    /// As Entra publishes its keys for all tenants: some are for one tenant alone.
    #[test]
    fn a35_a_key_of_another_tenant_verifies_nothing() {
        const OURS: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
        const PERSONAL: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
        let template = "https://login.example/{tenantid}/v2.0";
        let of = |tenant: &str| template.replace("{tenantid}", tenant);
        let key = |issuer: &str| JWK_A.replacen('{', &format!("{{{issuer}"), 1);
        let named = |issuer: &str| key(&format!(r#""issuer":"{issuer}","#));
        let of_tenants = Expectations {
            issuer: Issuer::OfTenants(Tenants {
                template: template.to_owned(),
                ids: None,
            }),
            ..expectations()
        };
        let good = claims(json!({"iss": of(OURS), "tid": OURS}));
        let token = fixtures::token(PEM_A, Algorithm::Rs256, HEADER, &good);
        for (jwk, expected) in [
            (named(template), None),
            (named(&of(OURS)), None),
            (key(""), None),
            (key(r#""issuer":null,"#), None),
            (key(r#""issuer":1,"#), Some(JwtError::NoKey)),
            (key(r#""issuer":{},"#), Some(JwtError::NoKey)),
            (
                key(&format!(r#""issuer":["{template}"],"#)),
                Some(JwtError::NoKey),
            ),
            (named(&of(PERSONAL)), Some(JwtError::NoKey)),
            (named("https://login.example/v2.0"), Some(JwtError::NoKey)),
            (named(""), Some(JwtError::NoKey)),
            // The same key for another tenant stands before the one for all, or after it.
            (
                format!("{},{}", named(&of(PERSONAL)), named(template)),
                None,
            ),
            (
                format!("{},{}", named(template), named(&of(PERSONAL))),
                None,
            ),
        ] {
            let found = decide(&token, &jwk, &of_tenants).map(drop).err();
            assert_eq!(found, expected, "{jwk}");
        }
        // Elsewhere the member is unknown, as RFC 7517 section 4 has it.
        let token = super::tests::good();
        for issuer in [format!(r#""{}""#, of(PERSONAL)), "1".to_owned()] {
            let jwk = key(&format!(r#""issuer":{issuer},"#));
            assert!(decide(&token, &jwk, &expectations()).is_ok(), "{issuer}");
        }
    }

    #[test]
    fn a21_a_key_of_one_provider_signs_for_no_other() {
        // Provider B's key set gives its key the kid that the token names.
        let token = fixtures::token(PEM_A, Algorithm::Rs256, HEADER, &claims(json!({})));
        let set_of_b = JWK_B.replace("test-b", "test-a");
        assert_eq!(
            decide(&token, &set_of_b, &expectations()).err(),
            Some(JwtError::Signature)
        );
        // And a token of B's, shown to A, is not of A's issuer.
        let of_b = claims(json!({"iss": "https://b.example/"}));
        let token = fixtures::token(PEM_B, Algorithm::Rs256, HEADER, &of_b);
        assert_eq!(
            decide(&token, &set_of_b, &expectations()).err(),
            Some(JwtError::Issuer)
        );
    }
}
