//! What a text is if it is no token, and what to do about it.
//!
//! Invariant: a hint is a fixed text. It decides nothing, and repeats nothing of the token.

pub(crate) mod cookie;
pub(crate) mod elsewhere;

use bearer_gate::jose::base64url;
use serde_json::Value;

/// Words that a program sends in place of the token that it does not have.
const NO_TOKEN: [&str; 6] = ["undefined", "null", "none", "nil", "nan", "[object object]"];

/// What documentation has where a token should be: words, and one of these is among them. In lower case.
const PLACEHOLDERS: [&str; 3] = ["token", "jwt", "your"];

fn is_placeholder(lower: &str) -> bool {
    let is_between = |c: char| matches!(c, '_' | '-' | ' ');
    let are_words = lower
        .chars()
        .all(|c| c.is_ascii_lowercase() || is_between(c));
    let mut words = lower.split(is_between);
    are_words && words.any(|word| PLACEHOLDERS.contains(&word))
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '\u{201c}' | '\u{201d}')
}

const ANSWER: &str = "it is JSON, as a token endpoint answers: give the value of its access_token";
const REFUSAL: &str = "it is JSON, with the error of a token endpoint: there is no token in it";
const DECODED: &str = "it is JSON, as a decoder shows what is in a token: give the token itself, which begins with ey";
const ONE_PART: &str = "it is one part of a token: copy all three, with the two dots between";

/// JSON that was pasted where a token should be: the whole answer of a token endpoint, or what a decoder shows.
pub(crate) fn hint_at_answer(text: &str) -> Option<&'static str> {
    text.trim().starts_with('{').then_some(())?;
    let has = |names: &[&str]| {
        names
            .iter()
            .any(|name| text.contains(&format!("\"{name}\"")))
    };
    if has(&["access_token", "id_token"]) {
        return Some(ANSWER);
    }
    if has(&["error"]) {
        return Some(REFUSAL);
    }
    has(&["iss", "sub", "aud", "exp", "alg"]).then_some(DECODED)
}

/// What is wrong with a text that is no token of three parts, as far as it can be told.
pub(crate) fn hint_at_token(text: &[u8]) -> Option<&'static str> {
    let text = std::str::from_utf8(text).ok()?;
    let lower = text.trim().to_ascii_lowercase();
    if lower.starts_with("authorization:") {
        return Some("it is a whole header line: give what is after `Authorization: Bearer `");
    }
    if lower.starts_with("cookie:") {
        return Some("it is a line of cookies: give that with --cookie");
    }
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return Some("it is an address: give that with --path");
    }
    if lower.starts_with("curl ") {
        return Some("it is a whole command: give what is after `Bearer `");
    }
    if lower.starts_with("basic ") {
        return Some("it is a name and a password, in another scheme: this rule asks for a token");
    }
    if lower.starts_with("access_token=") || lower.starts_with("id_token=") {
        return Some("it has the name of a parameter before it: give what is between = and &");
    }
    if lower.starts_with("bearer ") || lower == "bearer" {
        return Some("it begins with the word Bearer a second time: give what is after it");
    }
    if lower.starts_with("-----begin") || lower.starts_with("{\"kty\"") {
        return Some("it is a key, not a token: show it to nobody if it is a private one");
    }
    let trimmed = lower.trim_matches(['<', '>', '{', '}', '$', '[', ']', '%']);
    if is_placeholder(trimmed) || lower.starts_with(['$', '<']) || lower.starts_with("{{") {
        return Some("it is a placeholder: the variable or the template was not filled in");
    }
    if lower.ends_with("..") || lower.contains('\u{2026}') {
        return Some("it is cut: the dots at its end stand for what is missing. Copy it whole");
    }
    if text.trim().starts_with(is_quote) || text.trim().ends_with(is_quote) {
        return Some("it is in quotes, which are no part of a token: give what is between them");
    }
    if lower.starts_with(['{', '[']) && !NO_TOKEN.contains(&lower.as_str()) {
        return Some(ANSWER);
    }
    if NO_TOKEN.contains(&lower.as_str()) {
        return Some(
            "it is a word for nothing: the client has no token, and sends that in its place",
        );
    }
    if text.trim().contains(char::is_whitespace) {
        return Some(
            "it is broken over lines, or has spaces in it: put it on one line, without spaces",
        );
    }
    if lower.contains('%') {
        return Some("it has % in it, as escaped for an address: undo that");
    }
    let parts: Vec<&str> = text.trim().split('.').collect();
    match parts.as_slice() {
        [] | [""] => None,
        [part] if header(part.as_bytes()).is_some_and(|part| part.is_object()) => Some(ONE_PART),
        [_] => Some(
            "it is opaque: it has no parts in which something could be verified, and only who issued it knows what it means (introspection). Have the provider issue JWTs, for which many want to be told the API (audience, resource or scope)",
        ),
        [header, _, _, _, _] if member(header, "enc").is_some() => Some(
            "it is encrypted (JWE, five parts): only who has its key can read it. Have the provider issue signed tokens (JWS, three parts) that are not encrypted",
        ),
        [_, _, _] if text.contains('=') => Some(
            "it has padding (=), which a JWT has not (RFC 7515 section 2); jwt_authn lets it pass, and tokens of AWS load balancers have it (aws_alb)",
        ),
        [_, _, _] if text.contains(['+', '/']) => Some(
            "it is in base64, not base64url: + and / are no part of a JWT (RFC 7515 section 2)",
        ),
        [_, _, _] => None,
        [header, _] if member(header, "alg").is_some() => Some(
            "its third part, the signature, is missing: it was cut. Copy it whole, with its two dots",
        ),
        _ => Some(
            "a signed JWT has three parts with two dots between: a part is missing, or too many are there",
        ),
    }
}

/// The JOSE header of a token, as its issuer wrote it.
pub(crate) fn header(token: &[u8]) -> Option<Value> {
    // AWS pads it.
    let first = token.split(|byte| matches!(byte, b'.' | b'=')).next()?;
    serde_json::from_slice(&base64url::decode(first)?).ok()
}

/// A hint about the claims of a token whose audience is another.
pub(crate) fn hint_at_audience(claims: &Value) -> Option<&'static str> {
    let is_there = |name: &&str| claims.get(name).is_some();
    ["at_hash", "c_hash", "nonce"].iter().find(|name| is_there(name)).map(|_| {
        "at_hash, c_hash and nonce are claims of ID tokens, which are for the client alone: send the access token"
    })
}

/// A hint about the header of a token that only one API can verify.
pub(crate) fn hint_at_header(header: &Value) -> Option<&'static str> {
    header.get("nonce").map(|_| {
        "nonce is in the header, as in tokens for Microsoft Graph: what was signed is not what is here, so nobody but Graph can verify it. Ask Entra for a token of your own API (its scope, api://.../...)"
    })
}

fn member(header: &str, name: &str) -> Option<Value> {
    self::header(header.as_bytes())?.get(name).cloned()
}

#[cfg(test)]
mod tests {
    use super::{hint_at_answer, hint_at_token};

    #[test]
    fn says_which_json_was_pasted() {
        for (text, expected) in [
            ("{\"access_token\": \"a.b.c\"}", Some("give the value")),
            ("{\"error\":\"invalid_client\"}", Some("no token in it")),
            (
                "{\n \"iss\": \"https://i.example/\",\n \"sub\": \"a\"}",
                Some("a decoder shows"),
            ),
            (
                "{\"alg\":\"RS256\",\"typ\":\"JWT\"}",
                Some("a decoder shows"),
            ),
            ("{\"kty\":\"RSA\"}", None),
            ("{{token}}", None),
            ("a.b.c", None),
        ] {
            let hint = hint_at_answer(text);
            let is_it = hint
                .zip(expected)
                .is_some_and(|(hint, part)| hint.contains(part));
            assert!(
                is_it || hint.is_none() && expected.is_none(),
                "{text}: {hint:?}"
            );
        }
    }

    #[test]
    fn says_what_a_text_is() {
        let table = [
            ("Authorization: Bearer a.b.c", "a whole header line"),
            ("authorization:a.b.c", "a whole header line"),
            ("Cookie: a=b", "--cookie"),
            ("curl -H 'Authorization: Bearer a.b.c'", "a whole command"),
            ("Basic YTpi", "another scheme"),
            ("access_token=a.b.c&expires_in=60", "between = and &"),
            ("https://app.example/cb?state=x", "--path"),
            ("Bearer a.b.c", "a second time"),
            ("\"a.b.c\"", "in quotes"),
            ("a.b.c'", "in quotes"),
            ("{\"access_token\": \"a.b.c\"}", "is JSON"),
            ("undefined", "a word for nothing"),
            ("[object Object]", "a word for nothing"),
            ("a.b\nc.d", "broken over lines"),
            ("a.b.c%3D", "escaped for an address"),
            ("-----BEGIN PRIVATE KEY-----\nMII", "is a key"),
            ("{\"kty\":\"RSA\"}", "is a key"),
            ("$TOKEN", "a placeholder"),
            ("${ACCESS_TOKEN}", "a placeholder"),
            ("{{token}}", "a placeholder"),
            ("<your-token>", "a placeholder"),
            ("TOKEN", "a placeholder"),
            ("YOUR_TOKEN_HERE", "a placeholder"),
            ("my-access-token", "a placeholder"),
            ("<paste your JWT here>", "a placeholder"),
            ("tokenofaservice", "is opaque"),
            ("your_token_2f9a", "is opaque"),
            // {"sub":"a"}, and {"alg":"RS256"}
            ("eyJzdWIiOiJhIn0", "one part"),
            ("eyJhbGciOiJSUzI1NiJ9", "one part"),
            (
                "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0",
                "the signature, is missing",
            ),
            ("eyJhbGciOi...", "it is cut"),
            ("eyJhbGciOi..", "it is cut"),
            ("eyJhbGciOi\u{2026}", "it is cut"),
            ("opaque-1f2e3d", "is opaque"),
            ("a.b.c=", "padding"),
            ("a+.b.c", "not base64url"),
            ("a.b", "three parts"),
            ("a.b.c.d.e", "three parts"),
            // {"alg":"dir","enc":"A128GCM"}
            (
                "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..a.b.c",
                "is encrypted",
            ),
        ];
        for (text, expected) in table {
            let hint = hint_at_token(text.as_bytes());
            assert!(
                hint.is_some_and(|hint| hint.contains(expected)),
                "{text}: {hint:?}"
            );
        }
        for text in ["", "a.b.c", "\u{fffd}.b.c"] {
            assert_eq!(hint_at_token(text.as_bytes()), None, "{text}");
        }
    }
}
