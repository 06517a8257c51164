//! What is risky about how people sign in.

use bearer_gate::config::{
    ClientAuthentication, Config, Rule, SameSite, Scheme, SignIn, Unauthenticated, Upstream,
};
use bearer_gate::http::request::Request;
use bearer_gate::http::uri;
use bearer_gate::matcher::PathMatcher;
use bearer_gate::policy::{self, RuleOutcome};

use super::Risk;

/// What is told of a secret that stands in the configuration.
const INLINE: &str =
    "stands in the configuration, and in Envoy's dump of it: environment_variable keeps it out";
/// What the paths of interfaces for programs begin with.
const FOR_PROGRAMS: [&str; 3] = ["/api", "/graphql", "/rpc"];

/// Warns of what is below `sign_in`, by paths from there.
pub(super) fn look_at(sign_in: &SignIn, warn: &mut dyn FnMut(&str, &str)) {
    if sign_in.cookie_keys.is_empty() {
        warn(
            "",
            "has no cookie_keys: a restart ends every session, and no other Envoy knows them",
        );
    }
    for (at, key) in sign_in.cookie_keys.iter().enumerate() {
        if key.is_inline() {
            warn(&format!(".cookie_keys[{at}].inline_string"), INLINE);
        }
    }
    for scheme in &sign_in.schemes {
        look_at_scheme(scheme, &mut |field, text| {
            warn(&format!(".schemes.{}.{field}", scheme.name), text);
        });
    }
}

fn look_at_scheme(scheme: &Scheme, warn: &mut dyn FnMut(&str, &str)) {
    let secret = scheme.client.authentication.secret();
    if secret.is_some_and(bearer_gate::config::Secret::is_inline) {
        warn("credentials.token_secret.inline_string", INLINE);
    }
    if let ClientAuthentication::PrivateKeyJwt {
        is_inline: true, ..
    } = &scheme.client.authentication
    {
        warn("credentials.private_key.inline_string", INLINE);
    }
    let goes_over_http = |upstream: &Upstream| {
        let uri = upstream.uri.as_ref();
        uri.is_some_and(|uri| uri.scheme == uri::Scheme::Http)
    };
    let endpoints = &scheme.endpoints;
    for (field, upstream) in [
        ("token_endpoint.uri", Some(&endpoints.token)),
        ("revocation_endpoint.uri", endpoints.revocation.as_ref()),
        (
            "pushed_authorization_request_endpoint.uri",
            endpoints.pushed_authorization.as_ref(),
        ),
    ] {
        if upstream.is_some_and(goes_over_http) {
            warn(
                field,
                "is http: who is in between reads the client's secret and the tokens",
            );
        }
    }
    if scheme.cookie.same_site == SameSite::None {
        warn(
            "cookie.same_site",
            "NONE: the session comes with requests that other sites make",
        );
    }
}

/// Warns of what rules say of paths that the filter answers or sends people to.
pub(super) fn look_at_paths(config: &Config, sign_in: &SignIn, warn: &mut dyn FnMut(String, &str)) {
    for (index, rule) in config.rules.all().iter().enumerate() {
        if let PathMatcher::Exact(path) = &rule.matcher.path
            && sign_in.own_path(path).is_some()
        {
            let text = format!("decides nothing: the filter answers {path} by itself");
            warn(format!("rules[{index}]"), &text);
        }
    }
    for scheme in &sign_in.schemes {
        let Some(path) = &scheme.error_redirect_path else {
            continue;
        };
        let headers = [(":method", "GET"), (":path", path.as_str())];
        let headers = headers.map(|(name, value)| (name.into(), value.as_bytes().to_vec()));
        let request = Request::new(headers.to_vec());
        let decided = policy::select_rule(config, Some(path), &request);
        if !matches!(decided, Ok(RuleOutcome::Public)) {
            warn(
                format!("sign_in.schemes.{}.error_redirect_path", scheme.name),
                "is not public: whoever could not sign in cannot see it. Put a rule for it, without requires, before the others",
            );
        }
    }
}

/// Warns of schemes that other configurations of the same file have with other secrets: a browser
/// tells the cookies of a host apart by their names, and not by ports or listeners.
pub(crate) fn beside<'c>(
    config: &Config,
    others: impl Iterator<Item = &'c Config> + Clone,
) -> Vec<Risk> {
    let mut risks = Vec::new();
    let Some(sign_in) = &config.sign_in else {
        return risks;
    };
    let keys = |sign_in: &SignIn| -> Vec<String> {
        let keys = sign_in.cookie_keys.iter();
        keys.map(|key| key.text().to_owned()).collect()
    };
    for scheme in &sign_in.schemes {
        let is_at_odds = |other: &SignIn| {
            let twin = other.schemes.iter().find(|other| other.name == scheme.name);
            let sites = sign_in.sites.single();
            let shares_host = other
                .sites
                .single()
                .iter()
                .any(|theirs| sites.iter().any(|ours| ours.host() == theirs.host()));
            let differs =
                |twin: &Scheme| twin.scope != scheme.scope || keys(other) != keys(sign_in);
            shares_host && twin.is_some_and(differs)
        };
        let mut others = others.clone().filter_map(|other| other.sign_in.as_ref());
        if others.any(is_at_odds) {
            risks.push(Risk {
                path: format!("sign_in.schemes.{}", scheme.name),
                text: "another configuration of this file has a scheme of this name and a host of this one, with another issuer, another client or other cookie_keys: each deletes the sessions of the other. Give it another name, or the same issuer, client and keys".to_owned(),
            });
        }
    }
    risks
}

/// Warns of a rule.
pub(super) fn look_at_rule(rule: &Rule, warn: &mut dyn FnMut(&str, &str)) {
    let path = match &rule.matcher.path {
        PathMatcher::Prefix(path) | PathMatcher::Exact(path) | PathMatcher::Segments(path) => path,
        PathMatcher::Regex(_) | PathMatcher::Connect => return,
    };
    let is_for_programs = FOR_PROGRAMS.iter().any(|start| path.starts_with(start));
    if rule.unauthenticated == Unauthenticated::Redirect && is_for_programs {
        warn(
            ".unauthenticated",
            "redirect: programs are sent to a page where they cannot sign in; auto sends browsers only",
        );
    }
}

#[cfg(test)]
mod tests {
    use bearer_gate::config::Config;
    use serde_json::{Value, json};

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    /// The paths that are warned of, of a configuration whose scheme and rule have these fields.
    fn warned(keys: &Value, scheme: &Value, rule: &Value) -> Vec<String> {
        let mut config = json!({
            "providers": {"p": {
                "issuer": "https://i.example/", "audiences": ["a"],
                "openid_discovery": {"cluster": "idp", "timeout": "5s"}
            }},
            "sign_in": {
                "cookie_keys": keys,
                "allowed_redirect_domains": ["app.example"],
                "schemes": {"staff": {
                    "provider_name": "p",
                    "credentials": {"client_id": "web", "token_secret": {"environment_variable": "A"}},
                    "token_endpoint": {"cluster": "idp", "timeout": "5s"},
                    "callback_path": "/callback"
                }}
            },
            "rules": [{"match": {"prefix": "/"}, "requires": {"session": "staff"}}]
        });
        let mut merge = |at: &str, fields: &Value| {
            let object = config.pointer_mut(at).unwrap();
            for (name, value) in fields.as_object().unwrap() {
                object[name] = value.clone();
            }
        };
        merge("/sign_in/schemes/staff", scheme);
        merge("/rules/0", rule);
        if keys.is_null() {
            config["sign_in"]
                .as_object_mut()
                .unwrap()
                .remove("cookie_keys");
        }
        let environment = |_: &str| Some(SECRET.to_owned());
        let text = config.to_string();
        let config = Config::parse_in(text.as_bytes(), &environment).unwrap();
        super::super::find(&config)
            .into_iter()
            .map(|risk| risk.path)
            .collect()
    }

    #[test]
    fn warns_of_sign_in() {
        let good = json!([{"environment_variable": "A"}]);
        let none = json!({});
        let scheme = |path: &str| format!("sign_in.schemes.staff.{path}");
        let credentials = json!({"client_id": "web", "token_secret": {"inline_string": SECRET}});
        let http = json!({"cluster": "idp", "timeout": "5s", "uri": "http://idp/token"});
        let api = json!({"prefix": "/api"});
        let table: [(Value, Value, Value, Vec<String>); 9] = [
            (good.clone(), none.clone(), none.clone(), vec![]),
            (
                Value::Null,
                none.clone(),
                none.clone(),
                vec!["sign_in".to_owned()],
            ),
            (
                json!([{"environment_variable": "A"}, {"inline_string": "another-secret-of-32-bytes-or-more"}]),
                none.clone(),
                none.clone(),
                vec!["sign_in.cookie_keys[1].inline_string".to_owned()],
            ),
            (
                good.clone(),
                json!({"credentials": credentials}),
                none.clone(),
                vec![scheme("credentials.token_secret.inline_string")],
            ),
            (
                good.clone(),
                json!({"token_endpoint": http}),
                none.clone(),
                vec![scheme("token_endpoint.uri")],
            ),
            (
                good.clone(),
                json!({"cookie": {"same_site": "NONE"}}),
                none.clone(),
                vec![scheme("cookie.same_site")],
            ),
            (
                good.clone(),
                none.clone(),
                json!({"match": api, "unauthenticated": "redirect"}),
                vec!["rules[0].unauthenticated".to_owned()],
            ),
            (good.clone(), none.clone(), json!({"match": api}), vec![]),
            (
                good,
                none.clone(),
                json!({"unauthenticated": "redirect"}),
                vec![],
            ),
        ];
        for (keys, scheme, rule, expected) in table {
            assert_eq!(warned(&keys, &scheme, &rule), expected, "{scheme} {rule}");
        }
    }
}
