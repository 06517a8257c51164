//! A question and its answer.
//!
//! A question is JSON: `{"algorithm": "RS256", "key": {JWK}, "cases": [[text, signature], ...]}`
//! in hexadecimal for plain signatures, or `{"keys": {JWK Set}, "tokens": [token, ...]}`. The
//! answer has a letter for each case: `v`alid, `i`nvalid, or `r`efused, where the key or the
//! token was not even read.

use bearer_gate::jose::json::{Document, Element};
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::jwks::{KeySet, Selection};
use bearer_gate::jose::jws;
use bearer_gate::jose::verifier::Verifier;

/// The answer, or `None` where that was no question.
#[must_use]
pub fn answer(verifier: &dyn Verifier, question: &[u8]) -> Option<String> {
    let question = Document::parse(question).ok()?;
    let question = question.root();
    if let Some(tokens) = question.get("tokens") {
        let keys = question.get("keys")?.to_value().to_string();
        let tokens = tokens.items()?.map(Element::as_str);
        return tokens
            .map(|token| Some(of_token(verifier, &keys, token?)))
            .collect();
    }
    let algorithm = question.get("algorithm")?.as_str()?;
    let key = question.get("key")?;
    let cases = question.get("cases")?.items()?;
    cases
        .map(|case| {
            let mut parts = case.items()?;
            let (text, signature) = (octets(parts.next()?)?, octets(parts.next()?)?);
            Some(of_signature(verifier, algorithm, key, &text, &signature))
        })
        .collect()
}

fn of_signature(
    verifier: &dyn Verifier,
    algorithm: &str,
    key: Element<'_>,
    text: &[u8],
    signature: &[u8],
) -> char {
    let (Some(algorithm), Ok(key)) = (Algorithm::parse(algorithm), Key::parse(key)) else {
        return 'r';
    };
    letter(verifier.verify(algorithm, &key, text, signature))
}

/// What the filter does with a token, but for its claims.
fn of_token(verifier: &dyn Verifier, keys: &str, token: &str) -> char {
    let (Ok(keys), Ok(jws)) = (KeySet::parse(keys.as_bytes()), jws::parse(token.as_bytes())) else {
        return 'r';
    };
    let header = jws.untrusted_header();
    let Selection::Keys(candidates) = keys.candidates(header) else {
        return 'r';
    };
    letter(
        candidates.iter().any(|key| {
            verifier.verify(header.algorithm, key, jws.signing_input(), jws.signature())
        }),
    )
}

fn letter(valid: bool) -> char {
    if valid { 'v' } else { 'i' }
}

fn octets(hexadecimal: Element<'_>) -> Option<Vec<u8>> {
    let digits = hexadecimal.as_str()?.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}
