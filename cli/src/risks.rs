//! Warnings of what a valid configuration allows and its author may not have meant.
//!
//! Invariant: a warning is about what the filter will do, so it is read from the valid
//! configuration, not from how that is written; but for what has no effect, in `unused`.

mod audience;
mod issuer;
pub(crate) mod rules;
pub(crate) mod sign_in;
pub(crate) mod unused;

use bearer_gate::config::{
    Access, Config, Endpoint, HttpUri, KeySource, Otherwise, Provider, Requirement, Rule, Unmatched,
};
use bearer_gate::http::credentials::Place;
use bearer_gate::http::uri::{Scheme, Uri};
use bearer_gate::jose::issuer::Issuer;
use bearer_gate::jose::jwt::Expectations;
use bearer_gate::matcher::{Condition, PathMatcher, RequestMatcher};

/// The hosts of Microsoft Entra ID.
const ENTRA: [&str; 3] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
];
const IS_HTTP: &str = "is http: the issuer of a real token has https";

/// A risky choice.
pub(crate) struct Risk {
    /// The field by its path.
    pub path: String,
    pub text: String,
}

pub(crate) fn find(config: &Config) -> Vec<Risk> {
    let mut risks = Vec::new();
    let mut warn = |path: String, text: &str| {
        risks.push(Risk {
            path,
            text: text.to_owned(),
        });
    };
    if config.unmatched == Unmatched::Allow {
        warn(
            "unmatched".to_owned(),
            "what no rule matches reaches the upstream without a token",
        );
    }
    for provider in &config.providers {
        look_at_provider(config, provider, &mut |field, text| {
            let path = format!("providers.{}", provider.name);
            let path = if field.is_empty() {
                path
            } else {
                format!("{path}.{field}")
            };
            warn(path, text);
        });
    }
    for [first, other] in config.sharing_metrics() {
        warn(
            format!("providers.{}", other.name),
            &format!(
                "counts in the same metrics as provider {}: rename one",
                first.name
            ),
        );
    }
    if let Some(signs_in) = &config.sign_in {
        sign_in::look_at(signs_in, &mut |field, text| {
            warn(format!("sign_in{field}"), text);
        });
        sign_in::look_at_paths(config, signs_in, &mut |path, text| warn(path, text));
    }
    if let Some(store) = &config.fleet_store {
        let uri = store.uri.address("");
        if is_open_to_others(&uri) {
            warn(
                "shared_store.http_uri.uri".to_owned(),
                "is http: who is in between can keep sign-outs from this Envoy and take sessions away, though make none",
            );
        }
    }
    rules::look_at(config, &mut |path, text| warn(path, text));
    let rules = config.rules.all();
    for (index, rule) in rules.iter().enumerate() {
        look_at_rule(rule, &mut |field, text| {
            warn(format!("rules[{index}]{field}"), text);
        });
        let earlier = rules.iter().take(index);
        if let Some(by) = earlier
            .clone()
            .position(|earlier| covers(&earlier.matcher, &rule.matcher))
        {
            warn(
                format!("rules[{index}]"),
                &format!("is never reached: rules[{by}] matches everything that it does"),
            );
        }
    }
    risks
}

/// Whether somebody can be in between: not on this host.
fn is_open_to_others(uri: &Uri) -> bool {
    uri.scheme == Scheme::Http && !uri.is_loopback()
}

fn look_at_provider(config: &Config, provider: &Provider, warn: &mut dyn FnMut(&str, &str)) {
    let expectations = &provider.expectations;
    let is_http = |text: &str| Uri::parse(text).is_ok_and(|uri| is_open_to_others(&uri));
    match &expectations.issuer {
        Issuer::Any => warn(
            "any_issuer",
            "iss is not looked at: everybody whose key is in the set can issue tokens",
        ),
        Issuer::OfTenants(tenants) if tenants.ids.is_none() => warn(
            "any_tenant",
            "anybody can make a tenant: whoever gets a token for an audience of this API passes, unless rules ask for more",
        ),
        Issuer::Several(several) if several.iter().any(|one| is_http(one)) => {
            warn("issuers", IS_HTTP);
        }
        issuer if issuer.written().is_some_and(is_http) => warn("issuer", IS_HTTP),
        _ => {}
    }
    if let Some(told) = issuer::look_at(provider) {
        warn("issuer", &told);
    }
    if let Issuer::One(one) = &expectations.issuer
        && one.contains(['{', '}'])
    {
        warn(
            "issuer",
            "has a brace: only {tenantid} stands for something, the rest is compared as it is written",
        );
    }
    if expectations.audiences.is_empty()
        && expectations.signer.is_none()
        && !audience::is_asked_by_rules(config, provider)
    {
        warn(
            "any_audience",
            "aud is not looked at: a token that was issued for another API passes",
        );
    }
    if expectations.signer.is_some() && expectations.clients.is_empty() {
        warn(
            "aws_alb.any_client",
            "client is not looked at: a token that the load balancer made for another of its rules passes",
        );
    }
    if !expectations.require_expiration && expectations.max_lifetime.is_none() {
        warn(
            "require_expiration",
            "a token without exp passes for as long as its key is in the set",
        );
    }
    if expectations.allow_sender_constrained {
        warn(
            "allow_sender_constrained",
            "a token that is bound to a key (cnf) passes without a proof of possession: a stolen one too",
        );
    }
    if provider.forward {
        warn(
            "forward",
            "the upstream gets the token, and can use it elsewhere",
        );
    }
    let in_url = |place: &Place| matches!(place, Place::Parameter(_));
    if provider.places.iter().any(in_url) {
        warn(
            "from_params",
            "tokens in addresses end up in logs and histories (RFC 6750 section 2.3)",
        );
    }
    let is_password = |place: &Place| matches!(place, Place::Basic { .. });
    if provider.places.iter().any(is_password) {
        warn(
            "from_basic",
            "clients keep passwords in files and send them unasked, and browsers ask people for one: tokens should end soon",
        );
    }
    look_at_keys_of_all_tenants(provider, warn);
    if let KeySource::Remote(remote) = &provider.keys
        && let Endpoint::Jwks(uri) = &remote.endpoint
        && let Some(text) = no_key_set(&uri.authority, &uri.path)
    {
        warn("remote_jwks.http_uri.uri", text);
    }
    match &provider.keys {
        KeySource::Local(keys) => {
            for key in keys.skipped() {
                warn("local_jwks", &format!("not used: {key}"));
            }
        }
        KeySource::Remote(remote) => match &remote.endpoint {
            Endpoint::Jwks(uri) if is_open_to_others(&uri.address("")) => warn(
                "remote_jwks.http_uri.uri",
                "keys come over http: who is in between can replace them, and sign tokens",
            ),
            endpoint if endpoint.home().is_some_and(is_http) => warn(
                "openid_discovery",
                "keys come over http: who is in between can replace them, and sign tokens",
            ),
            Endpoint::ByKid(uri) => look_at_keys_of_aws(expectations, uri, warn),
            _ => {}
        },
    }
}

/// Some of the keys that Entra publishes for all tenants are for one of them alone, and say so.
fn look_at_keys_of_all_tenants(provider: &Provider, warn: &mut dyn FnMut(&str, &str)) {
    let of_all = |uri: &HttpUri| {
        let host = uri.authority.split(':').next().unwrap_or_default();
        let host = host.to_ascii_lowercase();
        let first = uri.path.split('/').nth(1).unwrap_or_default();
        ENTRA.contains(&host.as_str()) && ["common", "organizations"].contains(&first)
    };
    if let KeySource::Remote(remote) = &provider.keys
        && let Endpoint::Jwks(uri) = &remote.endpoint
        && let Issuer::One(_) | Issuer::Several(_) = &provider.expectations.issuer
        && of_all(uri)
    {
        warn(
            "remote_jwks.http_uri.uri",
            "has the keys of all tenants of Entra, also those that are for another tenant alone: use {tenantid} in issuer, with tenants",
        );
    }
}

/// The keys of a load balancer are at an address of its region.
fn look_at_keys_of_aws(
    expectations: &Expectations,
    uri: &HttpUri,
    warn: &mut dyn FnMut(&str, &str),
) {
    let field = "aws_alb.http_uri.uri";
    if uri.scheme == Scheme::Http {
        warn(
            field,
            "keys come over http: who is in between can replace them, and sign tokens",
        );
    }
    let signer = expectations.signer.as_deref().unwrap_or_default();
    let region = signer.split(':').nth(3).unwrap_or_default();
    if !uri.address("").to_string().contains(region) {
        warn(
            field,
            "does not name the region of aws_alb.signer: there are the keys of other load balancers",
        );
    }
}

/// Well-known addresses that serve something else than a JWK Set.
fn no_key_set(authority: &str, path: &str) -> Option<&'static str> {
    let host = authority
        .split(':')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let path = path.split('?').next().unwrap_or_default();
    let is_google = host == "www.googleapis.com" || host == "www.gstatic.com";
    if is_google && path == "/iap/verify/public_key" {
        return Some(
            "Google answers here with keys in PEM, not with a JWK Set: it is at https://www.gstatic.com/iap/verify/public_key-jwk",
        );
    }
    if path.ends_with("/.well-known/openid-configuration")
        || path.contains("/.well-known/oauth-authorization-server")
    {
        return Some(
            "there are the provider's metadata, not its keys: give its jwks_uri, or use openid_discovery in place of remote_jwks",
        );
    }
    let endings = [".pem", ".crt", ".cer", ".der"];
    endings
        .iter()
        .any(|end| path.ends_with(end))
        .then_some("looks like a certificate or a key in PEM, not like a JWK Set, which is JSON")
}

fn look_at_rule(rule: &Rule, warn: &mut dyn FnMut(&str, &str)) {
    sign_in::look_at_rule(rule, warn);
    if rule.report_only {
        warn(
            ".report_only",
            "protects nothing: what it would reject reaches the upstream",
        );
    }
    if rule.escaped_slashes {
        warn(
            ".escaped_slashes",
            "the upstream gets paths with %2F, and must read them in the same way wherever it decides by them",
        );
    }
    match &rule.access {
        Access::Public if is_catch_all(&rule.matcher) => {
            warn("", "is public and matches every request");
        }
        Access::Public => {}
        Access::Token(access) if admits_bad_tokens(&access.demand.requirement) => warn(
            "",
            "allow_missing_or_failed: every request passes, with a bad token too",
        ),
        Access::Token(_) => {}
    }
}

fn is_catch_all(matcher: &RequestMatcher) -> bool {
    let every_path = match &matcher.path {
        PathMatcher::Prefix(prefix) => prefix == "/",
        PathMatcher::Regex(pattern) => {
            let paths: [&[u8]; 3] = [b"/", b"/a/b", b"/x-1_2/~.y"];
            paths.iter().all(|path| pattern.matches(path))
        }
        _ => false,
    };
    every_path && matcher.conditions.is_empty()
}

fn admits_bad_tokens(requirement: &Requirement) -> bool {
    match requirement {
        Requirement::Provider(_) => false,
        Requirement::Any { members, otherwise } => {
            *otherwise == Otherwise::AllowMissingOrFailed || members.iter().any(admits_bad_tokens)
        }
        Requirement::All(members) => members.iter().all(admits_bad_tokens),
    }
}

/// Whether the first matches everything that the second matches; `false` if that is not certain.
fn covers(first: &RequestMatcher, second: &RequestMatcher) -> bool {
    let each_holds = first.conditions.iter().all(|condition| {
        second
            .conditions
            .iter()
            .any(|narrower| implies(narrower, condition))
    });
    each_holds && path_covers(first, second)
}

fn implies(narrower: &Condition, wider: &Condition) -> bool {
    match (narrower, wider) {
        (Condition::Methods(some), Condition::Methods(more)) => {
            some.iter().all(|method| more.contains(method))
        }
        (Condition::Hosts(some), Condition::Hosts(more)) => {
            some.iter().all(|host| more.contains(host))
        }
        (narrower, wider) => narrower == wider,
    }
}

fn path_covers(first: &RequestMatcher, second: &RequestMatcher) -> bool {
    use PathMatcher::{Connect, Exact, Prefix, Regex, Segments};
    // A request without a path is for CONNECT's rules alone.
    if first.path == Connect || second.path == Connect {
        return first.path == second.path;
    }
    if let Prefix(prefix) = &first.path
        && prefix == "/"
    {
        return true;
    }
    let text = match &second.path {
        Prefix(text) | Exact(text) | Segments(text) => text,
        Regex(_) => return first.path == second.path,
        Connect => return false,
    };
    // A rule that regards case covers no rule that ignores it, unless the path has no letters.
    if second.ignore_case && !first.ignore_case {
        return false;
    }
    let text = if first.ignore_case {
        text.to_ascii_lowercase()
    } else {
        text.clone()
    };
    match (&first.path, &second.path) {
        (Prefix(prefix), _) => text.starts_with(prefix.as_str()),
        (Segments(segments), Prefix(_)) => text.starts_with(&format!("{segments}/")),
        (Segments(segments), _) => text == *segments || text.starts_with(&format!("{segments}/")),
        (Exact(exact), Exact(_)) => text == *exact,
        (Regex(pattern), Exact(_)) if !second.ignore_case => pattern.matches(text.as_bytes()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn never_reached(first: &Value, second: &Value) -> bool {
        let config = json!({"rules": [{"match": first}, {"match": second}]});
        let config = Config::parse(config.to_string().as_bytes()).unwrap();
        find(&config)
            .iter()
            .any(|risk| risk.path == "rules[1]" && risk.text.contains("never reached"))
    }

    #[test]
    fn what_an_earlier_rule_takes_is_never_reached() {
        let table = [
            (json!({"prefix": "/"}), json!({"prefix": "/api"}), true),
            (
                json!({"prefix": "/"}),
                json!({"safe_regex": {"regex": "/x"}}),
                true,
            ),
            (
                json!({"prefix": "/"}),
                json!({"connect_matcher": {}}),
                false,
            ),
            (json!({"prefix": "/api"}), json!({"prefix": "/"}), false),
            (json!({"prefix": "/api"}), json!({"path": "/apix"}), true),
            (json!({"prefix": "/api"}), json!({"prefix": "/Api"}), false),
            (
                json!({"prefix": "/api"}),
                json!({"prefix": "/api", "case_sensitive": false}),
                false,
            ),
            (
                json!({"prefix": "/api", "case_sensitive": false}),
                json!({"prefix": "/API"}),
                true,
            ),
            (json!({"path": "/api"}), json!({"path": "/api"}), true),
            (json!({"path": "/api"}), json!({"prefix": "/api"}), false),
            (
                json!({"path_separated_prefix": "/api"}),
                json!({"path": "/api/x"}),
                true,
            ),
            (
                json!({"path_separated_prefix": "/api"}),
                json!({"prefix": "/api"}),
                false,
            ),
            (
                json!({"path_separated_prefix": "/api"}),
                json!({"prefix": "/api/"}),
                true,
            ),
            (
                json!({"safe_regex": {"regex": "/a.*"}}),
                json!({"path": "/abc"}),
                true,
            ),
            (
                json!({"safe_regex": {"regex": "/a.*"}}),
                json!({"prefix": "/abc"}),
                false,
            ),
            (
                json!({"prefix": "/", "methods": ["GET"]}),
                json!({"prefix": "/a"}),
                false,
            ),
            (
                json!({"prefix": "/", "methods": ["GET", "PUT"]}),
                json!({"prefix": "/a", "methods": ["PUT"]}),
                true,
            ),
            (
                json!({"prefix": "/", "methods": ["PUT"]}),
                json!({"prefix": "/a", "methods": ["GET", "PUT"]}),
                false,
            ),
        ];
        for (first, second, expected) in table {
            assert_eq!(never_reached(&first, &second), expected, "{first} {second}");
        }
    }
}
