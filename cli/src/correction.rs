//! What to write in place of what the filter refuses: of mistakes that many make at first.
//!
//! Invariant: the reason is the filter's own. Nothing here decides whether a configuration is good, and no
//! value is printed.

use bearer_gate::config::ConfigError;

/// Words for a field that it has not, where it would have to be, and what is meant. The place is the last
/// member of the path above it.
const MEANT: [(&str, &[&str], &str); 7] = [
    (
        "authorize",
        &["roles", "role", "groups", "group"],
        "claims: [{path: [roles], any: [admin]}], with the names that lead to the claim",
    ),
    (
        "authorize",
        &["permissions", "permission"],
        "scopes: {all: [...]}, for which scope, scp and permissions of the token count",
    ),
    (
        "requires",
        &["scopes", "scope", "claims", "roles", "authorize"],
        "authorize: {...} beside requires, not in it",
    ),
    (
        "requires",
        &["provider", "providers", "name", "jwt"],
        "provider_name, with the name of one of the providers",
    ),
    (
        "rules",
        &[
            "path",
            "prefix",
            "path_separated_prefix",
            "safe_regex",
            "methods",
            "hosts",
        ],
        "match: {...} around it",
    ),
    (
        "claims",
        &["name", "claim", "claim_name"],
        "path: [...], with the names that lead to the claim",
    ),
    (
        "providers",
        &["jwks_uri", "jwks_url", "jwks", "uri"],
        "remote_jwks: {http_uri: {uri: ..., cluster: ..., timeout: 5s}}",
    ),
];

/// How a problem ends, and what to write.
const FIXED: [(&str, &str); 4] = [
    ("must be in upper case", "it in capital letters, as GET"),
    (
        "must not end with a slash",
        "it without the last slash: what is below is meant too",
    ),
    ("it does not start with a slash", "a slash before it"),
    (
        "invalid type: sequence, expected a string",
        "one text, without the brackets",
    ),
];

/// What to write, if it is known.
pub(crate) fn of(error: &ConfigError) -> Option<&'static str> {
    let (path, problem) = (error.path(), error.problem());
    if problem.ends_with("expected a sequence") {
        // what stands there may be a secret in a wrong place
        return Some(match problem.starts_with("invalid type: string") {
            true => "a list: [...] around it",
            false => "a list, with a dash before each entry",
        });
    }
    if problem.ends_with("expected an object with all or any") {
        return Some("{all: [...]} for each of them, {any: [...]} for one of them");
    }
    if path.starts_with("sign_in.allowed_redirect_domains[") {
        return Some(
            "the host alone, as app.example.com or app.example.com:8443: without https://, and without a slash",
        );
    }
    if path.ends_with("timeout") && (problem == "required" || problem.ends_with("such as \"5s\"")) {
        return Some("timeout: 5s");
    }
    if problem.ends_with("expected an object with provider_name or another requirement") {
        return Some("{provider_name: ...}, with the name of one of the providers");
    }
    if problem.starts_with("has no keys:") {
        return Some(
            "remote_jwks: {http_uri: {uri: ..., cluster: ..., timeout: 5s}}, or openid_discovery: {cluster: ..., timeout: 5s}",
        );
    }
    if path.ends_with(".equals") && problem == "must be a string, a number or a boolean" {
        return Some("any: [...] where one of several values is enough");
    }
    let mut fixed = FIXED.iter();
    if let Some((_, instead)) = fixed.find(|(what, _)| problem.ends_with(what)) {
        return Some(instead);
    }
    let (above, name) = path
        .rsplit_once('.')
        .filter(|_| problem == "unknown field")?;
    let mut meant = MEANT.iter().filter(|(place, ..)| is_in(above, place));
    let (_, _, text) = meant.find(|(_, names, _)| names.contains(&name))?;
    Some(text)
}

/// Whether a path is that of an object of this kind: `rules[0]` one of `rules`, `providers.p` one of `providers`.
fn is_in(path: &str, place: &str) -> bool {
    match path.split_once('.') {
        Some(("providers", name)) if !name.contains(['.', '[']) => place == "providers",
        _ => {
            let last = path.rsplit('.').next().unwrap_or_default();
            last.split('[').next() == Some(place)
        }
    }
}
