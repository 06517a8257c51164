//! Words for what a decision tells: rules, places, keys, scopes, claims and checks.
//!
//! Invariant: pure. Each text is made of what the decision found and of nothing else.

use bearer_gate::config::{ClaimTest, Remote, Rule, Scopes};
use bearer_gate::http::ambiguous::Ambiguous;
use bearer_gate::http::authority;
use bearer_gate::http::request::Request;
use bearer_gate::jose::claims::Claims;
use bearer_gate::jose::event::{Check, Time};
use bearer_gate::jose::issuer::{Issuer, NotOurs};
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::Key;
use bearer_gate::jose::token_type::TokenType;
use bearer_gate::matcher::{Condition, HostMatcher};
use serde_json::Value;

use crate::explanation::Mark;
use crate::keys;

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

/// What a rule is for: its path, and what must hold besides.
pub(super) fn rule_in_words(rule: &Rule) -> String {
    use bearer_gate::matcher::PathMatcher::{Connect, Exact, Prefix, Regex, Segments};
    let mut words = match &rule.matcher.path {
        Prefix(text) => format!("prefix {text}"),
        Exact(text) => format!("path {text}"),
        Segments(text) => format!("path_separated_prefix {text}"),
        Regex(_) => "safe_regex".to_owned(),
        Connect => "CONNECT".to_owned(),
    };
    for condition in &rule.matcher.conditions {
        let more = match condition {
            Condition::Methods(methods) => format!(", methods {}", methods.join(" ")),
            Condition::Hosts(hosts) => {
                let hosts = hosts.iter().map(|host| match host {
                    HostMatcher::Exact(name) => name.clone(),
                    HostMatcher::Below(name) => format!("*{name}"),
                });
                format!(", hosts {}", hosts.collect::<Vec<String>>().join(" "))
            }
            Condition::Header(header) => format!(", header {}", header.name),
            Condition::Parameter(parameter) => format!(", parameter {}", parameter.name),
        };
        words.push_str(&more);
    }
    words
}

/// What is said of a rule whose path has nothing in common with the request's.
pub(super) const OTHER_PATH: &str = "another path";

/// Why a rule before the one that decides is not for the path.
pub(super) fn other_path_in_words(rule: &Rule, path: Option<&[u8]>) -> &'static str {
    use bearer_gate::matcher::PathMatcher::{Connect, Exact, Prefix, Regex, Segments};
    let text = match &rule.matcher.path {
        Prefix(text) | Exact(text) | Segments(text) => text.as_bytes(),
        Regex(_) | Connect => return OTHER_PATH,
    };
    let start = path.and_then(|path| path.get(..text.len()));
    match start {
        Some(start) if start != text && start.eq_ignore_ascii_case(text) => {
            "another path, which begins so but for upper and lower case (case_sensitive)"
        }
        Some(start) if start == text => {
            "another path, which begins so (`path` is the whole path, `path_separated_prefix` whole segments)"
        }
        _ => OTHER_PATH,
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

/// How the gateway's keys may differ from those that were fetched just now.
pub(super) fn keys_of_gateway_in_words(remote: &Remote) -> String {
    let cluster = keys::clusters(remote).join(" and ");
    let age = duration_in_words(remote.times.cache_duration.as_secs_f64());
    format!(
        "these are new. The gateway asks its cluster {cluster}, not the address, and its keys may be {age} old, or older while fetches fail: --admin says how old"
    )
}

pub(crate) fn duration_in_words(seconds: f64) -> String {
    let (amount, unit) = match seconds.abs().round() {
        whole if whole < 120.0 => (whole, "s"),
        whole if whole < 7200.0 => ((whole / 60.0).round(), "min"),
        whole if whole < 172_800.0 => ((whole / 3600.0).round(), "h"),
        whole => ((whole / 86_400.0).round(), "days"),
    };
    format!("{amount} {unit}")
}

pub(super) fn distance_in_words(seconds: f64) -> String {
    let amount = duration_in_words(seconds);
    if seconds < 0.0 {
        format!("{amount} ago")
    } else {
        format!("in {amount}")
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
        Check::Client { found, expected } => {
            let expected = Value::from(expected.to_vec());
            format!("client is {}; expected one of: {expected}", text(found))
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
            let why = difference_in_words(claims.issuer(), std::slice::from_ref(one));
            return format!("iss is {iss}; expected: {}{why}", Value::from(one.as_str()));
        }
        Issuer::Several(several) => {
            let why = difference_in_words(claims.issuer(), several);
            let several = Value::from(several.clone());
            return format!("iss is {iss}; expected one of: {several}{why}");
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

/// In what an issuer differs from the one that it is most like.
fn difference_in_words(found: Option<&str>, expected: &[String]) -> String {
    let Some(found) = found.filter(|found| !expected.iter().any(|one| one == found)) else {
        return String::new();
    };
    let mut differences = expected.iter().filter_map(|one| difference(found, one));
    differences
        .next()
        .map_or(String::new(), |why| format!(": {why}"))
}

/// The one thing in which two issuers differ, as far as it is one that is met with.
fn difference(found: &str, expected: &str) -> Option<&'static str> {
    let bare = |text: &str| text.trim_end_matches('/').to_owned();
    let rest = |text: &str| {
        let (_, rest) = text.split_once("://")?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        Some((host.to_ascii_lowercase(), bare(path)))
    };
    if found.trim() == expected.trim() {
        return Some("white space at an end is the only difference");
    }
    if bare(found) == bare(expected) {
        return Some(match found.len() > expected.len() {
            true => {
                "the slash at the end is the only difference: the token has it, `issuer` has not"
            }
            false => {
                "the slash at the end is the only difference: `issuer` has it, the token has not"
            }
        });
    }
    if bare(found).eq_ignore_ascii_case(&bare(expected)) {
        return Some("upper and lower case differ");
    }
    let entra = "https://login.microsoftonline.com/";
    if found.starts_with("https://sts.windows.net/") && expected.starts_with(entra) {
        return Some(
            "the token is of version 1.0 of Entra ID, and `issuer` of version 2.0: set requestedAccessTokenVersion to 2 in the API's registration",
        );
    }
    let ((host, path), (other_host, other_path)) = (rest(found)?, rest(expected)?);
    match (host == other_host, path == other_path) {
        (true, true) => Some("http and https differ"),
        (true, false) => {
            Some("the host is the same, and the path is another: another tenant or realm")
        }
        (false, true) if !path.is_empty() => Some(
            "the path is the same, and the host is another: the provider was reached by another name",
        ),
        (false, _) => None,
    }
}

fn date_in_words(claim: &str, time: Time) -> String {
    let date = time.date.seconds();
    let distance = distance_in_words(date - time.now);
    let leeway = time.leeway_seconds;
    format!("{claim} is {date}, {distance}; leeway {leeway} s")
}

#[cfg(test)]
mod tests {
    use bearer_gate::config::Config;

    use super::{difference, other_path_in_words, rule_in_words};

    #[test]
    fn what_a_rule_is_for() {
        let table = [
            ("{prefix: /a}", "/b", "prefix /a", "another path"),
            (
                "{prefix: /a}",
                "/A/x",
                "prefix /a",
                "but for upper and lower case",
            ),
            ("{path: /a}", "/a/x", "path /a", "which begins so (`path`"),
            (
                "{path_separated_prefix: /a, methods: [GET, PUT]}",
                "/ab",
                "path_separated_prefix /a, methods GET PUT",
                "whole segments",
            ),
            (
                "{path: /a, hosts: [a.example, '*.b.example']}",
                "/",
                "path /a, hosts a.example *.b.example",
                "another path",
            ),
            (
                "{safe_regex: {regex: /a}, headers: [{name: x, present_match: true}], query_parameters: [{name: q, present_match: true}]}",
                "/A",
                "safe_regex, header x, parameter q",
                "another path",
            ),
        ];
        for (written, path, words, why) in table {
            let document = crate::document::parse(&format!("rules: [{{match: {written}}}]"), None);
            let json = document.unwrap()[0].to_json();
            let config = Config::parse(json.as_bytes()).unwrap();
            let rule = &config.rules.all()[0];
            assert_eq!(rule_in_words(rule), words);
            let told = other_path_in_words(rule, Some(path.as_bytes()));
            assert!(told.contains(why), "{written} {path}: {told}");
        }
    }

    #[test]
    fn in_what_issuers_differ() {
        let table = [
            ("https://i.example", "https://i.example/", "`issuer` has it"),
            (
                "https://i.example/",
                "https://i.example",
                "the token has it",
            ),
            ("https://i.example/a ", "https://i.example/a", "white space"),
            (
                "https://I.example/",
                "https://i.example",
                "upper and lower case",
            ),
            (
                "http://i.example/a",
                "https://i.example/a/",
                "http and https",
            ),
            (
                "https://i.example/realms/a",
                "https://i.example/realms/b",
                "another tenant or realm",
            ),
            (
                "http://localhost:8080/realms/a",
                "http://keycloak:8080/realms/a",
                "by another name",
            ),
            (
                "https://sts.windows.net/t/",
                "https://login.microsoftonline.com/t/v2.0",
                "version 1.0",
            ),
        ];
        for (found, expected, why) in table {
            let told = difference(found, expected);
            assert!(
                told.is_some_and(|told| told.contains(why)),
                "{found}: {told:?}"
            );
        }
        for (found, expected) in [("https://i.example/", "https://j.example/"), ("me", "you")] {
            assert_eq!(difference(found, expected), None, "{found}");
        }
    }
}
