//! What is risky about how people sign in.

use bearer_gate::config::{Rule, SameSite, Scheme, SignIn, Unauthenticated, Upstream};
use bearer_gate::http::uri;
use bearer_gate::matcher::PathMatcher;

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
    let goes_over_http = |upstream: &Upstream| {
        let uri = upstream.uri.as_ref();
        uri.is_some_and(|uri| uri.scheme == uri::Scheme::Http)
    };
    if goes_over_http(&scheme.endpoints.token) {
        warn(
            "token_endpoint.uri",
            "is http: who is in between reads the client's secret and the tokens",
        );
    }
    if scheme
        .endpoints
        .revocation
        .as_ref()
        .is_some_and(goes_over_http)
    {
        warn(
            "revocation_endpoint.uri",
            "is http: who is in between reads the client's secret and the tokens",
        );
    }
    if scheme.cookie.same_site == SameSite::None {
        warn(
            "cookie.same_site",
            "NONE: the session comes with requests that other sites make",
        );
    }
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
