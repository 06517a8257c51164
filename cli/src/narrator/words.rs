//! Words for what a decision tells: rules, places, keys, scopes, claims and checks.
//!
//! Invariant: pure. Each text is made of what the decision found and of nothing else.

use bearer_gate::config::{ClaimTest, Rule, Scopes};
use bearer_gate::http::ambiguous::Ambiguous;
use bearer_gate::http::authority;
use bearer_gate::http::credentials::Place;
use bearer_gate::http::request::Request;
use bearer_gate::jose::claims::Claims;
use bearer_gate::jose::event::{Check, Time};
use bearer_gate::jose::issuer::{Issuer, NotOurs};
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::token_type::TokenType;
use serde_json::Value;

use crate::explanation::Mark;

/// Why a rule cannot be sure of a request.
pub(super) fn why_unclear(part: Ambiguous, request: &Request) -> String {
    match part {
        Ambiguous::Host => {
            let authority = request.value(":authority").unwrap_or_default();
            let reason = authority::host(authority).err();
            let reason = reason.map_or(String::new(), |reason| format!(": it {reason}"));
            format!("looks at the host (--host), which has no single meaning{reason}")
        }
        Ambiguous::Method => "looks at the method, which is not in upper case".to_owned(),
        Ambiguous::Query => {
            "looks at a parameter of the query that upstreams read in several ways".to_owned()
        }
        Ambiguous::Header | Ambiguous::TokenList | Ambiguous::Path => {
            "looks at a header that upstreams read in several ways".to_owned()
        }
    }
}

/// What a path with escaped slashes came to.
pub(super) fn escaped_slashes_in_words([kept, decoded]: &[String; 2], decided: bool) -> String {
    let of_rules = match decided {
        true => "one rule is the first for both, and takes escaped slashes",
        false => "no rule with escaped_slashes is the first for both",
    };
    format!("can be read as {kept} and as {decoded}; {of_rules}")
}

pub(super) fn rule_in_words(rule: &Rule) -> String {
    use bearer_gate::matcher::PathMatcher::{Connect, Exact, Prefix, Regex, Segments};
    let path = match &rule.matcher.path {
        Prefix(text) => format!("prefix {text}"),
        Exact(text) => format!("path {text}"),
        Segments(text) => format!("path_separated_prefix {text}"),
        Regex(_) => "safe_regex".to_owned(),
        Connect => "CONNECT".to_owned(),
    };
    match rule.matcher.conditions.len() {
        0 => path,
        more => format!("{path} and {more} more conditions"),
    }
}

/// What the request has where a token was looked for.
pub(super) fn in_place_of_token(request: &Request, place: &Place) -> Option<&'static str> {
    let Place::Header { name, prefix } = place else {
        return None;
    };
    if prefix.is_empty() {
        return None;
    }
    let query = request
        .path()
        .and_then(|path| path.split(|byte| *byte == b'?').nth(1));
    let has_parameter = |query: &[u8]| {
        query
            .split(|byte| *byte == b'&')
            .any(|piece| piece.starts_with(b"access_token="))
    };
    match request.value(name) {
        Some(value) if value.len() > 1 => {
            Some("nothing: the header is there, and does not begin so")
        }
        _ if query.is_some_and(has_parameter) => Some(
            "nothing: the query has access_token, which is looked for where from_params names it",
        ),
        _ => None,
    }
}

/// What is wrong with a place for a token.
pub(super) fn place_in_doubt(part: Ambiguous) -> &'static str {
    match part {
        Ambiguous::TokenList => "a list, where one token is looked for",
        _ => {
            "what only some upstreams read as a token: under a similar name, or after another separator"
        }
    }
}

pub(super) fn mark_of(good: bool) -> Mark {
    if good { Mark::Good } else { Mark::Bad }
}

pub(super) fn scopes_asked(scopes: &Scopes) -> String {
    let mut parts = Vec::new();
    if !scopes.all.is_empty() {
        parts.push(format!("each of {}", scopes.all.join(" ")));
    }
    if !scopes.any.is_empty() {
        parts.push(format!("one of {}", scopes.any.join(" ")));
    }
    parts.join(" and ")
}

pub(super) fn test_in_words(test: &ClaimTest) -> String {
    match test {
        ClaimTest::Equals(value) => format!("equals {value}"),
        ClaimTest::Any(values) => format!("any of {}", Value::from(values.clone())),
        ClaimTest::All(values) => format!("all of {}", Value::from(values.clone())),
        ClaimTest::Exists(true) => "exists".to_owned(),
        ClaimTest::Exists(false) => "does not exist".to_owned(),
        ClaimTest::Not(inner) => format!("not {}", test_in_words(inner)),
    }
}

pub(super) fn key_in_words(key: &Key) -> String {
    let algorithms: Vec<&str> = Algorithm::ALL
        .iter()
        .filter(|algorithm| key.allows(**algorithm))
        .map(|algorithm| algorithm.name())
        .collect();
    let kid = match key.kid() {
        Some(kid) => format!("kid {kid}"),
        None => "no kid".to_owned(),
    };
    let of = match key.issuer() {
        Some(issuer) => format!(" of {issuer}"),
        None => String::new(),
    };
    format!("{kid}{of} for {}", algorithms.join(", "))
}

pub(super) fn distance_in_words(seconds: f64) -> String {
    let whole = seconds.abs().round();
    let (amount, unit) = match whole {
        whole if whole < 120.0 => (whole, "s"),
        whole if whole < 7200.0 => ((whole / 60.0).round(), "min"),
        whole if whole < 172_800.0 => ((whole / 3600.0).round(), "h"),
        whole => ((whole / 86_400.0).round(), "days"),
    };
    if seconds < 0.0 {
        format!("{amount} {unit} ago")
    } else {
        format!("in {amount} {unit}")
    }
}

/// The scopes that a token has.
pub(super) fn scopes_held(scope_claims: &[String], claims: &Claims) -> String {
    let has: Vec<String> = scope_claims
        .iter()
        .filter_map(|name| Some(format!("{name} {}", claims.get(name)?.to_value())))
        .collect();
    if has.is_empty() {
        format!("the token has none of {}", scope_claims.join(", "))
    } else {
        format!("the token has {}", has.join(", "))
    }
}

/// A check: what is there, and what is expected.
pub(super) fn check_in_words(check: Check<'_>) -> String {
    let text = |text: Option<&str>| match text {
        Some(text) => Value::from(text).to_string(),
        None => "not there".to_owned(),
    };
    match check {
        Check::Algorithm { found, allowed } => {
            let allowed: Vec<&str> = allowed.iter().map(|one| one.name()).collect();
            format!("alg is {}; allowed: {}", found.name(), allowed.join(", "))
        }
        Check::Issuer {
            claims,
            expected,
            outcome,
        } => issuer_in_words(claims, expected, outcome),
        Check::Signer { found, expected } => {
            format!(
                "signer is {}; expected: {}",
                text(found),
                text(Some(expected))
            )
        }
        Check::NotBefore(time) => date_in_words("nbf", time),
        Check::Expiration(time) => date_in_words("exp", time),
        Check::NoExpiration => "exp is not there".to_owned(),
        Check::Lifetime(most) => format!("max_lifetime is {} s", most.as_secs_f64()),
        Check::IssuedAt(time) => date_in_words("iat", time),
        Check::Audience { found, expected } => {
            let found = found.map_or("not there".to_owned(), |named| {
                let named: Vec<Value> = named.each().map(|one| one.to_value()).collect();
                Value::from(named).to_string()
            });
            format!(
                "aud is {found}; expected one of: {}",
                Value::from(expected.to_vec())
            )
        }
        Check::Subject(found) => format!("sub is {}; subjects are configured", text(found)),
        Check::Confirmation => "cnf is there: the token is bound to a key of its holder".to_owned(),
        Check::Type { found, expected } => {
            let expected = match expected {
                TokenType::Jwt => "JWT, or none",
                TokenType::Svid => "JWT, JOSE, or none",
                TokenType::LogoutToken => "logout+jwt, JWT, or none",
                TokenType::AccessToken => "at+jwt, and the claims of an access token (RFC 9068)",
            };
            format!("typ is {}; expected: {expected}", text(found))
        }
    }
}

/// What `iss` is, and `tid` where it counts.
fn issuer_in_words(claims: &Claims, expected: &Issuer, outcome: Result<(), NotOurs>) -> String {
    let found = |name: &str| match claims.get(name) {
        Some(value) => value.to_value().to_string(),
        None => "not there".to_owned(),
    };
    let iss = found("iss");
    let tenants = match expected {
        Issuer::Any => return format!("iss is {iss}"),
        Issuer::One(one) => {
            return format!("iss is {iss}; expected: {}", Value::from(one.as_str()));
        }
        Issuer::Several(several) => {
            let several = Value::from(several.clone());
            return format!("iss is {iss}; expected one of: {several}");
        }
        Issuer::TrustDomain(name) => {
            return format!(
                "sub is {}; expected: the SPIFFE ID of a workload of spiffe://{name}/",
                found("sub")
            );
        }
        Issuer::OfTenants(tenants) => tenants,
    };
    let of = match &tenants.ids {
        Some(ids) => format!("one of {}", ids.join(", ")),
        None => "any tenant".to_owned(),
    };
    let why = match outcome {
        Ok(()) => "",
        Err(NotOurs::Issuer | NotOurs::Workload) => {
            ": iss has not this form, with a tenant's id for {tenantid}"
        }
        Err(NotOurs::Tenant) => ": the tenant is not one of them",
        Err(NotOurs::TenantId) => ": tid is not the tenant of iss",
    };
    format!(
        "iss is {iss}, tid is {}; expected: {} of {of}{why}",
        found("tid"),
        Value::from(tenants.template.as_str()),
    )
}

fn date_in_words(claim: &str, time: Time) -> String {
    let date = time.date.seconds();
    let distance = distance_in_words(date - time.now);
    let leeway = time.leeway_seconds;
    format!("{claim} is {date}, {distance}; leeway {leeway} s")
}
