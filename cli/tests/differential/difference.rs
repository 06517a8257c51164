//! The deliberate differences, as predictions.
//!
//! If bearer-gate reads a request in another way (a path in its normal form, a scheme in lower case),
//! [`reading`] rewrites the request into one that means the same to jwt_authn. oracle.rs says what
//! bearer-gate must answer to it. [`explain`] says why that differs from the answer of jwt_authn. What
//! no known difference explains stays unexplained.

use std::collections::BTreeSet;
use std::fmt;

use bearer_gate::http::path;
use serde_json::Value;

use crate::bench::{Answer, Seen, Told};
use crate::configuration::{Configuration, FAILED, Place};
use crate::oracle::Expected;
use crate::request::{Part, Request, Spelling};
use crate::token::Flaw;

/// Each is described at the head of main.rs and has a test of its own in named.rs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    UnmatchedIsDenied,
    ExpirationIsRequired,
    WrongAudienceIsUnauthorized,
    AudienceIsExact,
    NoQueryParameterByDefault,
    SchemeWithoutCase,
    SchemeAtTheStart,
    SeveralTokens,
    CriticalHeader,
    IssuedInTheFuture,
    SenderConstrained,
    ZeroExpiration,
    LeadingCharacter,
    KeysOfOtherKinds,
    NamedKeyOnly,
    AlgorithmIsBound,
    LongestPrefix,
    UnsafePath,
    SeveralReadings,
    UnknownKid,
    NormalPath,
    OddClaims,
    ParametersAreDecoded,
    CookiesAreStripped,
    AllWithoutSideEffects,
    EveryProviderOfAnIssuer,
    EveryTokenHasAPart,
    SameTokenTwice,
    FailedStatusOfRejections,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How bearer-gate reads a request, in jwt_authn's terms.
pub(crate) enum Reading {
    /// As it is.
    Same,
    /// As another one.
    Other(Rewritten),
    /// Not at all: 400.
    Refused,
}

/// A request that says to jwt_authn what the original says to bearer-gate.
pub(crate) struct Rewritten {
    pub request: Request,
    pub why: Vec<Difference>,
    /// The headers that were rewritten.
    headers: BTreeSet<String>,
    /// The original's pieces of the query, and what was made of each: nothing where it was taken out.
    query: Vec<(String, Option<String>)>,
}

impl Rewritten {
    /// What the upstream sees of the original where it sees `seen` of the rewritten request.
    pub(crate) fn put_back(&self, original: &Request, mut seen: Seen) -> Seen {
        original.path.clone_into(&mut seen.path);
        let rewritten = self.request.headers();
        for name in &self.headers {
            let is_there =
                |headers: &[(String, String)]| headers.iter().any(|(known, _)| known == name);
            if is_there(&rewritten) && !is_there(&seen.headers) {
                // a token was taken out, and its header with it
                continue;
            }
            seen.headers.retain(|(known, _)| known != name);
            let values = original
                .headers()
                .into_iter()
                .filter(|(known, _)| known == name);
            // Envoy trims them.
            let values: Vec<String> = values.map(|(_, v)| v.trim().to_owned()).collect();
            // Envoy joins the lines of this header, and of no other that is drawn.
            if name == "authorization" {
                seen.headers.push((name.clone(), values.join(",")));
            } else {
                seen.headers
                    .extend(values.into_iter().map(|value| (name.clone(), value)));
            }
        }
        seen.headers.sort();
        for (piece, rewritten) in &self.query {
            let at = rewritten
                .as_ref()
                .and_then(|rewritten| seen.query.iter().position(|known| known == rewritten));
            match at {
                Some(at) => piece.clone_into(&mut seen.query[at]),
                None => seen.query.push(piece.clone()),
            }
        }
        seen.query.sort();
        seen
    }
}

/// What bearer-gate says of a part that upstreams read in several ways, where such a request has
/// one: a header in several lines, or parameters with names that are alike.
pub(crate) fn several_readings(request: &Request) -> Vec<&'static str> {
    let twice = |names: Vec<String>| {
        let mut seen = BTreeSet::new();
        names.into_iter().any(|name| !seen.insert(name))
    };
    let headers = request.parts.iter().filter_map(|part| match part {
        Part::Header(name, _) => Some(name.clone()),
        _ => None,
    });
    let parameters = request.parts.iter().filter_map(|part| match part {
        Part::Query(piece) => Some(piece),
        _ => None,
    });
    let pieces = parameters.flat_map(|piece| piece.split('&'));
    let names: Vec<&str> = pieces.filter_map(|piece| piece.split('=').next()).collect();
    let is_odd = |name: &str| !name.bytes().all(|byte| byte.is_ascii_lowercase());
    let mut texts = Vec::new();
    if twice(headers.collect()) {
        texts.push("A request header is ambiguous");
    }
    if names.iter().any(|name| is_odd(name)) || twice(names.iter().map(|n| n.to_string()).collect())
    {
        texts.push("The request query is ambiguous");
    }
    texts
}

/// Whether a key that no set has may be the reason of a rejection.
pub(crate) fn names_an_unknown_key(request: &Request) -> bool {
    let mut tokens = request.tokens();
    tokens.any(|(token, ..)| token.flaw == Flaw::UnknownKid)
}

pub(crate) fn reading(request: &Request) -> Reading {
    let mut read = Rewritten {
        request: request.clone(),
        why: Vec::new(),
        headers: BTreeSet::new(),
        query: Vec::new(),
    };
    match path::normalize(request.path.as_bytes()) {
        Err(_) => return Reading::Refused,
        Ok(normal) if normal != request.path => {
            read.request.path = normal.into_owned();
            read.why.push(Difference::NormalPath);
        }
        Ok(_) => {}
    }
    let mut parts = Vec::new();
    for part in &request.parts {
        if let Part::Query(piece) = part
            && let Some(decoded) = decoded(piece)
        {
            read.why.push(Difference::ParametersAreDecoded);
            read.query.push((piece.clone(), Some(decoded.clone())));
            parts.push(Part::Query(decoded));
            continue;
        }
        let Part::Token {
            token,
            place,
            spelling,
        } = part
        else {
            parts.push(part.clone());
            continue;
        };
        match (place, spelling) {
            (Place::Param(name), _) if name == "access_token" => {
                read.why.push(Difference::NoQueryParameterByDefault);
                let piece = format!("{name}={}", token.text);
                read.query.push((piece, None));
            }
            (Place::Header { name, prefix }, Spelling::OtherCase) if !prefix.is_empty() => {
                read.why.push(Difference::SchemeWithoutCase);
                read.headers.insert(name.clone());
                parts.push(Part::Token {
                    token: token.clone(),
                    place: place.clone(),
                    spelling: Spelling::Plain,
                });
            }
            // Beside a credential of the scheme it is a second one.
            (Place::Header { name, prefix }, Spelling::Inside)
                if !prefix.is_empty() && !has_credential(request, name) =>
            {
                read.why.push(Difference::SchemeAtTheStart);
                read.headers.insert(name.clone());
            }
            _ => parts.push(part.clone()),
        }
    }
    read.request.parts = parts;
    if read.why.is_empty() {
        Reading::Same
    } else {
        Reading::Other(read)
    }
}

/// Whether a header begins with a scheme that bearer-gate looks for.
fn has_credential(request: &Request, header: &str) -> bool {
    request.parts.iter().any(|part| match part {
        Part::Token {
            place: Place::Header { name, .. },
            spelling,
            ..
        } => name == header && !matches!(spelling, Spelling::Inside | Spelling::NoPrefix),
        Part::Header(name, value) => name == header && value == "Bearer",
        _ => false,
    })
}

/// A piece of a query without its escapes, where it has some. All that are drawn are of two
/// digits and stand for ASCII.
fn decoded(piece: &str) -> Option<String> {
    let mut parts = piece.split('%');
    let mut text = parts.next()?.to_owned();
    let mut has_escapes = false;
    for part in parts {
        let byte = u8::from_str_radix(part.get(..2)?, 16).ok()?;
        text.push(char::from(byte));
        text.push_str(part.get(2..)?);
        has_escapes = true;
    }
    has_escapes.then_some(text)
}

/// Reasons that say the same.
const REASONS: &[(&str, &str)] = &[
    (
        "Jwt payload [exp] field is not an integer",
        "Jwt payload [exp] field is not a NumericDate",
    ),
    (
        "Jwt ED25519 signature is wrong length",
        "Jwt verification fails",
    ),
    // keys of other kinds are tried
    (
        "Jwt ED25519 signature is wrong length",
        "Jwks doesn't have key to match kid or alg from Jwt",
    ),
    (
        "Jwt verification fails",
        "Jwks doesn't have key to match kid or alg from Jwt",
    ),
    ("Jwt verification fails", "Subject in Jwt is not allowed"),
    ("Jwt verification fails", "Jwt lifetime is too long"),
    // text before the token, in a place without a prefix
    (
        "Jwt header is an invalid JSON",
        "Jwt header is an invalid Base64url encoded",
    ),
    // require_expiration, or max_lifetime
    (
        "Jwt verification fails",
        "Jwt payload [exp] field is required",
    ),
];

/// Whether two rejections are for the same reason, or for two that a token has and of which each
/// filter comes to another one first. The first is in jwt_authn's words, the second in
/// bearer-gate's.
pub(crate) fn same_reason(request: &Request, [expected, gate]: [&str; 2]) -> bool {
    let has = |flaw: Flaw| request.tokens().any(|(token, ..)| token.flaw == flaw);
    let has_empty_section = || {
        let is_empty = |text: &str| text.split('.').any(str::is_empty);
        request.tokens().any(|(token, ..)| is_empty(&token.text))
    };
    let three_parts =
        "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
    expected == gate
        || REASONS.contains(&(expected, gate))
        // bearer-gate looks at the times before the audience
        || expected == "Audiences in Jwt are not allowed"
            && (gate == "Jwt payload [exp] field is required" && has(Flaw::NoExpiration)
                || gate == "Jwt lifetime is too long" && has(Flaw::LongLife))
        || expected == three_parts && has_empty_section()
        // bearer-gate asks for newer keys only where nothing else is wrong with the token
        || expected == crate::oracle::NO_SUCH_KEY
            && has(Flaw::UnknownKid)
            && matches!(
                gate,
                "Audiences in Jwt are not allowed"
                    | "Jwt issuer is not configured"
                    | "Jwt lifetime is too long"
                    | "Jwt payload [exp] field is required"
                    // another token that is required too
                    | "Jwt is missing"
            )
        || matches!(
            gate,
            "Jwt header [alg] is not supported" | "Jwt header [alg] is not allowed"
        ) && (has(Flaw::Hmac) || has(Flaw::UnsecuredNone))
}

/// Faults of a token that only bearer-gate minds.
const STRICTER: &[Difference] = &[
    Difference::ExpirationIsRequired,
    Difference::ZeroExpiration,
    Difference::AudienceIsExact,
    Difference::CriticalHeader,
    Difference::IssuedInTheFuture,
    Difference::SenderConstrained,
    Difference::LeadingCharacter,
    Difference::NamedKeyOnly,
    Difference::AlgorithmIsBound,
];

/// Differences about how answers for several providers, or one token in several places, combine.
const COMBINED: &[Difference] = &[
    Difference::AllWithoutSideEffects,
    Difference::EveryProviderOfAnIssuer,
    Difference::KeysOfOtherKinds,
    Difference::LongestPrefix,
];

/// Whether a difference can turn jwt_authn's status into bearer-gate's.
fn is_about(native: u16, gate: u16, why: Difference) -> bool {
    use Difference::{
        AllWithoutSideEffects, EveryProviderOfAnIssuer, EveryTokenHasAPart, SameTokenTwice,
        SeveralTokens, UnmatchedIsDenied, WrongAudienceIsUnauthorized,
    };
    match (native, gate) {
        (_, 400) => why == SeveralTokens,
        (200, 403) => why == UnmatchedIsDenied,
        (403, 401) => {
            why == WrongAudienceIsUnauthorized
                || why == EveryProviderOfAnIssuer
                || why == AllWithoutSideEffects
                || STRICTER.contains(&why)
        }
        // What the first requirement took out is missing for a second one that allows that.
        (200, 401) => {
            matches!(
                why,
                EveryProviderOfAnIssuer | AllWithoutSideEffects | EveryTokenHasAPart
            ) || STRICTER.contains(&why)
        }
        (401 | 403, 200) => why == SameTokenTwice || COMBINED.contains(&why),
        _ => false,
    }
}

/// Differences about which of a request's tokens are told of.
const OF_SEVERAL: &[Difference] = &[
    Difference::EveryTokenHasAPart,
    Difference::SameTokenTwice,
    Difference::SeveralTokens,
];

/// Why bearer-gate's answer is another one than jwt_authn's to the same request, and what of it
/// has no reason.
pub(crate) fn explain(
    request: &Request,
    native: &Answer,
    expected: &Expected,
) -> (BTreeSet<Difference>, Vec<String>) {
    let mut explained = BTreeSet::new();
    let mut unexplained = Vec::new();
    // A token that only jwt_authn takes counts as failed where that is allowed.
    let other = expected.why.iter().copied().filter(|why| {
        [COMBINED, STRICTER, OF_SEVERAL]
            .iter()
            .any(|list| list.contains(why))
    });
    if native.status != expected.status {
        let can = |why: &&Difference| is_about(native.status, expected.status, **why);
        explained.extend(expected.why.iter().filter(can));
        if explained.is_empty() {
            unexplained.push(format!(
                "status {} {}, and by its parts {} {}",
                native.status, native.reason, expected.status, expected.reason
            ));
        }
    } else if !native.is_admitted()
        && !native.reason.is_empty()
        && !same_reason(request, [&native.reason, &expected.reason])
    {
        // One of several faults, or of several tokens.
        explained.extend(other.clone());
        if explained.is_empty() {
            unexplained.push(format!(
                "{}, and by its parts {}",
                native.reason, expected.reason
            ));
        }
    }
    let (Some(seen), Some(expected_seen)) = (&native.seen, &expected.seen) else {
        return (explained, unexplained);
    };
    let odd = request
        .tokens()
        .any(|(token, ..)| token.flaw == Flaw::OddClaims);
    for (text, name) in differing(seen, expected_seen) {
        if name == "cookie" {
            explained.insert(Difference::CookiesAreStripped);
        } else if odd && name.ends_with("-level") {
            explained.insert(Difference::OddClaims);
        } else if other.clone().next().is_some() {
            explained.extend(other.clone());
        } else {
            unexplained.push(format!("by its parts: {text}"));
        }
    }
    let of_tokens = |told: &Told| -> Told {
        let mut told = told.clone();
        told.retain(|name, _| !is_failed(name));
        told
    };
    if native.told.keys().any(|name| is_failed(name)) {
        explained.insert(Difference::FailedStatusOfRejections);
    }
    if let Some(told) = &expected.told
        && of_tokens(told) != of_tokens(&native.told)
    {
        explained.extend(other.clone());
        if other.count() == 0 {
            unexplained.push(format!("told {:?}, and by its parts {told:?}", native.told));
        }
    }
    (explained, unexplained)
}

fn is_failed(name: &str) -> bool {
    name.starts_with(&format!("told-{FAILED}-"))
}

/// Where the failed status of bearer-gate does not fit its answer.
pub(crate) fn wrong_failed_status(
    configuration: &Configuration,
    gate: &Answer,
    reason: &str,
) -> Option<String> {
    let is_about_a_token = !gate.is_admitted()
        && !matches!(
            reason,
            "No rule allows this request" | "The request path is ambiguous"
        );
    let mut names: BTreeSet<String> = BTreeSet::new();
    if is_about_a_token {
        names.extend(configuration.failed_names());
    }
    let told = gate.told.iter().filter(|(name, _)| is_failed(name));
    let told: Vec<(&String, &Value)> = told.collect();
    let is_right = |status: &Value| {
        let code = status["code"].as_str().is_some_and(|code| !code.is_empty());
        let message = status["message"].as_str().unwrap_or_default();
        // With stripped responses the status alone says why.
        code && (message == gate.reason || gate.reason.is_empty())
    };
    let right = told.iter().all(|(_, status)| is_right(status))
        && told
            .iter()
            .map(|(name, _)| (*name).clone())
            .eq(names.iter().cloned());
    (!right).then(|| format!("failed status {told:?}, for {names:?}"))
}

/// Where two upstreams saw different things: in words, and the header's name.
pub(crate) fn differing(one: &Seen, other: &Seen) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if one.path != other.path {
        found.push((
            format!("path {} and {}", one.path, other.path),
            String::new(),
        ));
    }
    if one.query != other.query {
        found.push((
            format!("query {:?} and {:?}", one.query, other.query),
            String::new(),
        ));
    }
    for (list, others, which) in [
        (&one.headers, &other.headers, "first"),
        (&other.headers, &one.headers, "second"),
    ] {
        let mut rest = others.clone();
        for header in list {
            if let Some(at) = rest.iter().position(|other| other == header) {
                rest.swap_remove(at);
            } else {
                let text = format!("only the {which} has {}: {}", header.0, header.1);
                found.push((text, header.0.clone()));
            }
        }
    }
    found
}
