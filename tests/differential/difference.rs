//! The deliberate differences, as predictions.
//!
//! There are two kinds. Where bearer-gate reads a request otherwise (a path in its normal form, a
//! scheme in lower case), [`reading`] rewrites the request into one that says the same to
//! jwt_authn, and that one's answer is what is expected. Where it is stricter about a token,
//! [`stricter`] names the reason that it has to give.

use std::collections::BTreeSet;
use std::fmt;

use bearer_gate::http::path;

use crate::bench::{Answer, Seen};
use crate::configuration::{Configuration, Place};
use crate::feature::Feature;
use crate::request::{Part, Request, Spelling};
use crate::token::Flaw;

/// Each is described at the head of main.rs and has a test of its own in named.rs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
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
    UnsafePath,
    NormalPath,
    OddClaims,
    ParametersAreDecoded,
    CookiesAreStripped,
    AllWithoutSideEffects,
    EveryProviderOfAnIssuer,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// How bearer-gate reads a request, in jwt_authn's terms.
pub enum Reading {
    /// As it is.
    Same,
    /// As another one.
    Other(Rewritten),
    /// Not at all: 400.
    Refused,
}

/// A request that says to jwt_authn what the original says to bearer-gate.
pub struct Rewritten {
    pub request: Request,
    pub why: Vec<Difference>,
    /// The headers that were rewritten.
    headers: BTreeSet<String>,
    /// The original's pieces of the query, and what was made of each: nothing where it was taken out.
    query: Vec<(String, Option<String>)>,
}

impl Rewritten {
    /// What the upstream sees of the original where it sees `seen` of the rewritten request.
    pub fn put_back(&self, original: &Request, mut seen: Seen) -> Seen {
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
            let values: Vec<String> = values.map(|(_, value)| value).collect();
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

pub fn reading(request: &Request) -> Reading {
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
            (Place::Header { name, prefix }, Spelling::Inside) if !prefix.is_empty() => {
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

/// Whether an optional token may be one of several providers', of which jwt_authn tries one.
fn tries_every_provider(configuration: &Configuration) -> bool {
    let is_optional = [Feature::AllowMissing, Feature::AllowMissingOrFailed]
        .iter()
        .any(|feature| configuration.uses.contains(feature));
    let issuers: Vec<&str> = configuration
        .providers
        .iter()
        .filter_map(|provider| provider.issuer.as_deref())
        .collect();
    let distinct: BTreeSet<&str> = issuers.iter().copied().collect();
    is_optional && distinct.len() < configuration.providers.len()
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

/// Why bearer-gate rejects what jwt_authn does not, or with another status.
pub fn stricter(
    configuration: &Configuration,
    request: &Request,
    [native, gate]: [&Answer; 2],
) -> Option<Difference> {
    let has = |flaw: Flaw| request.tokens().any(|(token, ..)| token.flaw == flaw);
    let says =
        |text: &str| gate.reason == text || configuration.strips_failures && gate.reason.is_empty();
    let wrong_audience = "Audiences in Jwt are not allowed";
    let candidates = [
        (
            gate.status == 403
                && says("No rule allows this request")
                && !configuration.is_lenient
                && native.is_admitted(),
            Difference::UnmatchedIsDenied,
        ),
        (
            gate.status == 401
                && says("Jwt payload [exp] field is required")
                && !configuration.is_lenient
                && has(Flaw::NoExpiration),
            Difference::ExpirationIsRequired,
        ),
        (
            gate.status == 401 && says("Jwt is expired") && has(Flaw::ZeroExpiration),
            Difference::ZeroExpiration,
        ),
        (
            gate.status == 401 && says(wrong_audience) && has(Flaw::AudienceWithScheme),
            Difference::AudienceIsExact,
        ),
        (
            gate.status == 401 && says("Jwt header [crit] is not supported") && has(Flaw::Critical),
            Difference::CriticalHeader,
        ),
        (
            gate.status == 401
                && says("Jwt is issued in the future")
                && has(Flaw::IssuedInTheFuture),
            Difference::IssuedInTheFuture,
        ),
        (
            gate.status == 401 && says("Jwt is sender-constrained") && has(Flaw::SenderConstrained),
            Difference::SenderConstrained,
        ),
        (
            gate.status == 401
                && says("Jwt header is an invalid Base64url encoded")
                && has(Flaw::LeadingCharacter),
            Difference::LeadingCharacter,
        ),
        (
            gate.status == 400
                && says("More than one credential in the request")
                && credentials(request) > 1,
            Difference::SeveralTokens,
        ),
        (
            native.status == 403
                && native.reason == wrong_audience
                && gate.status == 401
                && says(wrong_audience),
            Difference::WrongAudienceIsUnauthorized,
        ),
        (
            // The algorithm is looked at before the audience.
            native.status == 403
                && native.reason == wrong_audience
                && gate.status == 401
                && says("Jwt header [alg] is not supported")
                && (has(Flaw::Hmac) || has(Flaw::UnsecuredNone)),
            Difference::WrongAudienceIsUnauthorized,
        ),
        (
            gate.status == 401
                && says("Jwt verification fails")
                && native.is_admitted()
                && has(Flaw::OtherKey)
                && configuration.has_nameless_keys(),
            Difference::NamedKeyOnly,
        ),
        (
            native.status == 401
                && native.reason == "Jwt ED25519 signature is wrong length"
                && gate.is_admitted(),
            Difference::KeysOfOtherKinds,
        ),
        (
            // What the first requirement took out the second one does not find.
            native.status == 401
                && native.reason == "Jwt is missing"
                && gate.is_admitted()
                && configuration.uses.contains(&Feature::RequiresAll),
            Difference::AllWithoutSideEffects,
        ),
        (
            // A missing `exp` is found before a wrong audience.
            native.status == 403
                && native.reason == wrong_audience
                && gate.status == 401
                && says("Jwt payload [exp] field is required")
                && has(Flaw::NoExpiration),
            Difference::WrongAudienceIsUnauthorized,
        ),
        (
            matches!(native.status, 401 | 403)
                && gate.is_admitted()
                && tries_every_provider(configuration),
            Difference::EveryProviderOfAnIssuer,
        ),
    ];
    candidates
        .iter()
        .find(|(holds, _)| *holds)
        .map(|(_, difference)| *difference)
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

/// Whether two rejections with one status are for the same reason, or for two that a token has
/// and of which each filter comes to another one first.
pub fn same_reason(
    configuration: &Configuration,
    request: &Request,
    [native, gate]: [&Answer; 2],
) -> bool {
    let has = |flaw: Flaw| request.tokens().any(|(token, ..)| token.flaw == flaw);
    let has_empty_section = || {
        let is_empty = |text: &str| text.split('.').any(str::is_empty);
        request.tokens().any(|(token, ..)| is_empty(&token.text))
    };
    let three_parts =
        "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections";
    native.is_admitted()
        || native.reason == gate.reason
        || REASONS.contains(&(native.reason.as_str(), gate.reason.as_str()))
        || native.reason == "Jwt is missing" && configuration.uses.contains(&Feature::RequiresAll)
        || native.reason == three_parts && has_empty_section()
        || gate.reason == "Jwt header [alg] is not supported"
            && (has(Flaw::Hmac) || has(Flaw::UnsecuredNone))
}

fn credentials(request: &Request) -> usize {
    let is_credential = |part: &&Part| match part {
        Part::Token { .. } => true,
        Part::Header(name, _) => name == "authorization",
        _ => false,
    };
    request.parts.iter().filter(is_credential).count()
}

/// Why only one of them accepts a token with this flaw.
fn refused_by_one(flaw: Flaw) -> Option<Difference> {
    match flaw {
        Flaw::NoExpiration => Some(Difference::ExpirationIsRequired),
        Flaw::AudienceWithScheme => Some(Difference::AudienceIsExact),
        Flaw::Critical => Some(Difference::CriticalHeader),
        Flaw::IssuedInTheFuture => Some(Difference::IssuedInTheFuture),
        Flaw::SenderConstrained => Some(Difference::SenderConstrained),
        Flaw::ZeroExpiration => Some(Difference::ZeroExpiration),
        Flaw::LeadingCharacter => Some(Difference::LeadingCharacter),
        _ => None,
    }
}

/// Where what the upstream saw differs, in words, and why it may.
pub fn seen_differently(
    configuration: &Configuration,
    request: &Request,
    [native, gate]: [&Seen; 2],
) -> Vec<(String, Option<Difference>)> {
    let mut found = Vec::new();
    if native.path != gate.path {
        found.push((format!("path {} and {}", native.path, gate.path), None));
    }
    if native.query != gate.query {
        found.push((
            format!("query {:?} and {:?}", native.query, gate.query),
            None,
        ));
    }
    let odd = request
        .tokens()
        .any(|(token, ..)| token.flaw == Flaw::OddClaims);
    let sets = |name: &str| {
        configuration
            .providers
            .iter()
            .any(|provider| provider.sets.iter().any(|known| known == name))
    };
    let is_optional = configuration.uses.contains(&Feature::AllowMissingOrFailed);
    let stricter = request
        .tokens()
        .find_map(|(token, ..)| refused_by_one(token.flaw))
        .filter(|_| is_optional);
    let why = |name: &str, side: &str| match stricter {
        _ if odd && name.ends_with("-level") => Some(Difference::OddClaims),
        // A token that only jwt_authn accepts counts as failed.
        Some(difference) => Some(difference),
        None if side == "bearer-gate" && sets(name) && tries_every_provider(configuration) => {
            Some(Difference::EveryProviderOfAnIssuer)
        }
        // Each requirement removes what the one before it has set.
        None => (side == "bearer-gate"
            && sets(name)
            && configuration.uses.contains(&Feature::RequiresAll))
        .then_some(Difference::AllWithoutSideEffects),
    };
    let mut native = native.clone();
    if let Some(without) = without_tokens(request, &native, gate) {
        native.headers = without;
        found.push(("cookie".to_owned(), Some(Difference::CookiesAreStripped)));
    }
    for (list, others, side) in [
        (&native.headers, &gate.headers, "jwt_authn"),
        (&gate.headers, &native.headers, "bearer-gate"),
    ] {
        let mut rest = others.clone();
        for header in list {
            if let Some(at) = rest.iter().position(|other| other == header) {
                rest.swap_remove(at);
            } else {
                found.push((
                    format!("only {side} sends {}: {}", header.0, header.1),
                    why(&header.0, side),
                ));
            }
        }
    }
    found
}

/// What jwt_authn's upstream would have seen with the same cookies taken out as bearer-gate took
/// out, if those were tokens.
fn without_tokens(request: &Request, native: &Seen, gate: &Seen) -> Option<Vec<(String, String)>> {
    let cookies = |seen: &Seen| -> Vec<String> {
        let header = seen.headers.iter().find(|(name, _)| name == "cookie");
        let text = header.map_or("", |(_, value)| value.as_str());
        text.split("; ").map(str::to_owned).collect()
    };
    let (all, left) = (cookies(native), cookies(gate));
    let is_token = |cookie: &String| {
        request.tokens().any(|(token, place, _)| {
            matches!(place, Place::Cookie(name) if *cookie == format!("{name}={}", token.text))
        })
    };
    let taken = all.iter().filter(|cookie| !left.contains(cookie));
    if all == left || !taken.clone().all(is_token) {
        return None;
    }
    let mut headers = native.headers.clone();
    headers.retain(|(name, _)| name != "cookie");
    let rest: Vec<String> = all
        .iter()
        .filter(|cookie| !is_token(cookie) || left.contains(cookie))
        .cloned()
        .collect();
    if !rest.is_empty() {
        headers.push(("cookie".to_owned(), rest.join("; ")));
        headers.sort();
    }
    Some(headers)
}
