//! Which rule a request falls under, and whether a valid token satisfies it (RFC 6750 section 3.1,
//! `insufficient_scope`; RFC 6749 section 3.3, scope tokens).
//!
//! Invariant: everything that is not expressly allowed is denied. Scopes and claim values are
//! compared exactly: by case, as a whole, and a value only with one of its own type.

mod claim;
mod event;

pub use event::Event;

use crate::config::{Access, Config, Permissions, Rule, Scopes, TokenAccess, Unmatched};
use crate::http::ambiguous::Ambiguous;
use crate::http::request::Request;
use crate::http::response::Rejection;
use crate::jose::claims::Claims;
use crate::jose::json::Element;
use crate::trace::{Checks, Trace};

/// What a request needs to be admitted.
#[derive(Clone, Copy, Debug)]
pub enum RuleOutcome<'c> {
    /// Nothing.
    Public,
    /// Tokens, as this rule says.
    Token(&'c Rule, &'c TokenAccess),
    /// No rule is for it, and that denies it.
    NoRule,
}

/// Finds the first rule that matches.
///
/// `path` is normalized (see [`crate::http::path`]).
///
/// # Errors
/// What is ambiguous about the request, where that decides which rule it is; and a request without
/// a path that no rule for CONNECT is for, whatever `unmatched` says.
pub fn select_rule<'c>(
    config: &'c Config,
    path: Option<&str>,
    request: &Request,
) -> Result<RuleOutcome<'c>, Ambiguous> {
    select_rule_with(config, path, request, &())
}

/// The same, and tells of each rule that is looked at.
///
/// # Errors
/// As [`select_rule`].
pub fn select_rule_with<'c, T: for<'e> Trace<Event<'e>>>(
    config: &'c Config,
    path: Option<&str>,
    request: &Request,
    trace: &T,
) -> Result<RuleOutcome<'c>, Ambiguous> {
    let outcome = select(config, path, request, trace);
    trace.note(|| Event::Selected(outcome));
    outcome
}

fn select<'c, T: for<'e> Trace<Event<'e>>>(
    config: &'c Config,
    path: Option<&str>,
    request: &Request,
    trace: &T,
) -> Result<RuleOutcome<'c>, Ambiguous> {
    let compared = |rule, outcome| trace.note(|| Event::Compared { rule, outcome });
    let Some(rule) = config.rules.first(path, request, compared)? else {
        return match config.unmatched {
            _ if path.is_none() => Err(Ambiguous::Path),
            Unmatched::Deny => Ok(RuleOutcome::NoRule),
            Unmatched::Allow => Ok(RuleOutcome::Public),
        };
    };
    Ok(match &rule.access {
        Access::Public => RuleOutcome::Public,
        Access::Token(access) => RuleOutcome::Token(rule, access),
    })
}

/// Whether a path with escaped slashes can be decided: by a rule that says so, which is the first
/// for both readings of the path ([`crate::http::path::with_escaped_slashes`]).
///
/// # Errors
/// [`Ambiguous::Path`] where it cannot; else as [`select_rule`].
pub fn vet_escaped_slashes(
    config: &Config,
    readings: &[String; 2],
    request: &Request,
) -> Result<(), Ambiguous> {
    let [kept, decoded] = readings
        .each_ref()
        .map(|path| select_rule(config, Some(path), request));
    match (kept?, decoded?) {
        (RuleOutcome::Token(rule, _), RuleOutcome::Token(other, _))
            if std::ptr::eq(rule, other) && rule.escaped_slashes =>
        {
            Ok(())
        }
        _ => Err(Ambiguous::Path),
    }
}

/// Why a valid token is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied<'c> {
    /// It lacks a scope.
    Scope {
        /// The scopes that the rule requires, as it names them, separated by spaces.
        scopes_needed: &'c str,
    },
    /// A claim does not pass its test.
    Claim,
}

impl<'c> From<Denied<'c>> for Rejection<'c> {
    fn from(denied: Denied<'c>) -> Self {
        match denied {
            Denied::Scope { scopes_needed } => Rejection::InsufficientScope {
                scope: scopes_needed,
            },
            Denied::Claim => Rejection::ClaimRule,
        }
    }
}

/// Decides whether a token with these claims is allowed the requests of a rule.
///
/// `scope_claims` are the top-level claims that hold scopes; a scope in any of them counts.
///
/// # Errors
/// The first of the rule's demands that the claims do not meet, scopes before claims.
pub fn authorize<'c>(
    permissions: &'c Permissions,
    scope_claims: &[String],
    claims: &Claims,
) -> Result<(), Denied<'c>> {
    authorize_with(permissions, scope_claims, claims, &())
}

/// The same, and tells of each scope and claim that is looked at.
///
/// # Errors
/// As [`authorize`].
pub fn authorize_with<'c, T: for<'e> Trace<Event<'e>>>(
    permissions: &'c Permissions,
    scope_claims: &[String],
    claims: &Claims,
    trace: &T,
) -> Result<(), Denied<'c>> {
    let mut checks = Checks::new(trace);
    for asked in &permissions.scopes {
        let holds = satisfies(asked, scope_claims, claims);
        let denied = Denied::Scope {
            scopes_needed: &permissions.challenge,
        };
        checks.that(holds, denied, || Event::Scopes {
            asked,
            scope_claims,
            claims,
            holds,
        })?;
    }
    for rule in &permissions.claims {
        let found = claims.at(&rule.path).filter(|value| !value.is_null());
        let holds = claim::passes(&rule.test, found);
        checks.that(holds, Denied::Claim, || Event::Claim { rule, found, holds })?;
    }
    checks.outcome()
}

#[inline]
fn satisfies(scopes: &Scopes, scope_claims: &[String], claims: &Claims) -> bool {
    let has = |scope: &String| {
        let in_claim = |value: Element<'_>| match value.as_str() {
            // RFC 8693 section 4.2: one string, separated by spaces
            Some(list) => list.split(' ').any(|item| item == scope),
            None => value
                .items()
                .is_some_and(|mut items| items.any(|item| item.as_str() == Some(scope))),
        };
        scope_claims
            .iter()
            .filter_map(|name| claims.get(name))
            .any(in_claim)
    };
    scopes.all.iter().all(has) && (scopes.any.is_empty() || scopes.any.iter().any(has))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Requirement;
    use crate::jose::fixtures::JWK_A;

    fn config(rules: &Value, unmatched: &str) -> Config {
        let jwks = json!({"keys": [serde_json::from_str::<Value>(JWK_A).unwrap()]}).to_string();
        let provider =
            json!({"issuer": "i", "audiences": ["a"], "local_jwks": {"inline_string": jwks}});
        let text = json!({
            "providers": {"one": provider, "two": provider}, "rules": rules, "unmatched": unmatched
        });
        Config::parse(text.to_string().as_bytes()).unwrap()
    }

    fn outcome(config: &Config, path: Option<&str>, method: Option<&str>) -> String {
        let method = method.map(|method| (":method".into(), method.as_bytes().to_vec()));
        decided(config, path, &Request::new(method.into_iter().collect()))
    }

    fn decided(config: &Config, path: Option<&str>, request: &Request) -> String {
        match select_rule(config, path, request) {
            Ok(RuleOutcome::Public) => "public".to_owned(),
            Ok(RuleOutcome::NoRule) => "no rule".to_owned(),
            Ok(RuleOutcome::Token(_, access)) => match &access.demand.requirement {
                Requirement::Provider(demand) => config.providers[demand.provider].name.clone(),
                other => format!("{other:?}"),
            },
            Err(ambiguous) => ambiguous.reason().to_owned(),
        }
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = json!([
            {"match": {"prefix": "/public"}},
            {"match": {"path": "/api/health"}},
            {"match": {"prefix": "/api", "methods": ["POST", "PUT"]}, "requires": {"provider_name": "two"}},
            {"match": {"prefix": "/api"}, "requires": {"provider_name": "one"}},
            {"match": {"path": "/form", "methods": ["GET"]}},
        ]);
        let table = [
            ("/public", Some("GET"), "public"),
            ("/public/x", Some("DELETE"), "public"),
            ("/publicx", Some("GET"), "public"),
            ("/Public", Some("GET"), "unmatched"),
            ("/api/health", Some("POST"), "public"),
            ("/api/health/", Some("GET"), "one"),
            ("/api/x", Some("GET"), "one"),
            ("/api/x", Some("POST"), "two"),
            ("/api/x", Some("PUT"), "two"),
            // a method that some upstream runs as POST is not another method
            ("/api/x", Some("post"), "unsafe_method"),
            ("/api/x", Some("Put"), "unsafe_method"),
            ("/api/x", Some("get"), "unsafe_method"),
            ("/api/x", Some("PO ST"), "unsafe_method"),
            ("/api/x", None, "unsafe_method"),
            // no rule looks at it, so it does not matter
            ("/public", Some("post"), "public"),
            ("/public", None, "public"),
            ("/", Some("post"), "unmatched"),
            ("/form", Some("GET"), "public"),
            ("/form", Some("POST"), "unmatched"),
            ("/form", None, "unsafe_method"),
            ("/", Some("GET"), "unmatched"),
        ];
        for (path, method, expected) in table {
            for (unmatched, then) in [("deny", "no rule"), ("allow", "public")] {
                let expected = if expected == "unmatched" {
                    then
                } else {
                    expected
                };
                let config = config(&rules, unmatched);
                assert_eq!(
                    outcome(&config, Some(path), method),
                    expected,
                    "{path} {method:?}"
                );
            }
        }
        assert_eq!(
            outcome(&config(&json!([]), "deny"), Some("/"), Some("GET")),
            "no rule"
        );
        let connect = json!([
            {"match": {"prefix": "/"}},
            {"match": {"connect_matcher": {}}, "requires": {"provider_name": "one"}},
        ]);
        for unmatched in ["deny", "allow"] {
            let connect = config(&connect, unmatched);
            assert_eq!(outcome(&connect, None, Some("CONNECT")), "one");
            assert_eq!(outcome(&connect, None, Some("connect")), "unsafe_method");
            assert_eq!(outcome(&connect, None, Some("GET")), "unsafe_path");
            // no path is not any path
            let no_connect = config(&json!([{"match": {"prefix": "/"}}]), unmatched);
            assert_eq!(outcome(&no_connect, None, Some("CONNECT")), "unsafe_path");
        }
    }

    /// The first rule is for admin.example.com by its host, by `host` or by `:authority`, or for
    /// everything below int.example.com; the second is public.
    #[test]
    fn no_other_spelling_of_a_host_gets_past_its_rule() {
        let guards = [
            json!({"prefix": "/", "hosts": ["admin.example.com"]}),
            json!({"prefix": "/", "hosts": ["Admin.Example.Com."]}),
            json!({"prefix": "/", "hosts": ["*.example.com"]}),
            json!({"prefix": "/", "headers": [{"name": "Host", "exact_match": "admin.example.com"}]}),
            json!({"prefix": "/", "headers": [{"name": ":authority", "suffix_match": ".Example.com."}]}),
            json!({"prefix": "/", "headers": [{"name": ":authority", "prefix_match": "Admin."}]}),
            json!({"prefix": "/", "headers": [{"name": "host",
                "safe_regex_match": {"regex": "admin\\.example\\.com(:[0-9]+)?"}}]}),
        ];
        let table = [
            ("admin.example.com", "one"),
            ("admin.example.com.", "one"),
            ("admin.example.com:80", "one"),
            ("admin.example.com.:80", "one"),
            ("admin.example.com:", "one"),
            ("ADMIN.example.COM", "one"),
            ("www.example.org", "public"),
            ("www.example.org:8443", "public"),
            ("[::1]:80", "public"),
            ("admin.example.com..", "unsafe_host"),
            ("admin.example.com:80:90", "unsafe_host"),
            ("x@admin.example.com", "unsafe_host"),
            ("admin.example.com,www.example.org", "unsafe_host"),
            ("www.example.org,admin.example.com", "unsafe_host"),
            ("admin.example.com ", "unsafe_host"),
            ("\tadmin.example.com", "unsafe_host"),
            ("admin%2eexample.com", "unsafe_host"),
            (".:80", "unsafe_host"),
            (":80", "unsafe_host"),
            ("", "unsafe_host"),
        ];
        for guard in guards {
            let rules = json!([
                {"match": guard, "requires": {"provider_name": "one"}},
                {"match": {"prefix": "/"}},
            ]);
            let open = json!([{"match": guard, "requires": {"provider_name": "one"}}]);
            for config in [config(&rules, "deny"), config(&open, "allow")] {
                for (authority, expected) in table {
                    let headers = vec![(":authority".into(), authority.as_bytes().to_vec())];
                    let found = decided(&config, Some("/"), &Request::new(headers));
                    assert_eq!(found, expected, "{guard} {authority:?}");
                }
                assert_eq!(
                    decided(&config, Some("/"), &Request::default()),
                    "unsafe_host"
                );
            }
        }
    }

    /// What a token with these claims meets under a rule with this `authorize`.
    fn decide(demand: &Value, claims: &Value) -> Result<(), String> {
        let rules = json!([{"match": {"prefix": "/"}, "requires": {"provider_name": "one"}, "authorize": demand}]);
        let config = config(&rules, "deny");
        let Ok(RuleOutcome::Token(_, access)) =
            select_rule(&config, Some("/"), &Request::default())
        else {
            panic!("the rule asks for a token");
        };
        let scope_claims = &config.providers.iter().next().unwrap().scope_claims;
        let claims = Claims::parse(claims.to_string().as_bytes()).unwrap();
        authorize(&access.authorize, scope_claims, &claims).map_err(|denied| match denied {
            Denied::Scope { scopes_needed } => scopes_needed.to_owned(),
            Denied::Claim => "claim".to_owned(),
        })
    }

    #[test]
    fn scopes() {
        let all = json!({"scopes": {"all": ["read", "write"]}});
        let any = json!({"scopes": {"any": ["read", "write"]}});
        let both = json!({"scopes": {"all": ["a"], "any": ["b", "c", "a"]}});
        let yes = Ok(());
        let no = |scopes: &str| Err(scopes.to_owned());
        let table = [
            (&all, json!({"scope": "read write"}), yes.clone()),
            (&all, json!({"scope": "write other read"}), yes.clone()),
            (&all, json!({"scope": "read  write"}), yes.clone()),
            (&all, json!({"scp": ["read", "write"]}), yes.clone()),
            (&all, json!({"scp": "read write"}), yes.clone()),
            // the union over the scope claims
            (
                &all,
                json!({"scope": "read", "permissions": ["write"]}),
                yes.clone(),
            ),
            (
                &all,
                json!({"scope": 5, "scp": null, "permissions": ["write", "read"]}),
                yes.clone(),
            ),
            (&all, json!({"scope": "read"}), no("read write")),
            (&all, json!({}), no("read write")),
            (&all, json!({"scope": ""}), no("read write")),
            // by case, as a whole
            (&all, json!({"scope": "Read Write"}), no("read write")),
            (
                &all,
                json!({"scope": "readonly writeable"}),
                no("read write"),
            ),
            (&all, json!({"scope": "rea writ"}), no("read write")),
            (&all, json!({"scope": "read,write"}), no("read write")),
            (&all, json!({"scope": "read\twrite"}), no("read write")),
            // an item of an array is one scope
            (&all, json!({"scp": ["read write"]}), no("read write")),
            (&all, json!({"scp": [["read", "write"]]}), no("read write")),
            (
                &all,
                json!({"scp": {"read": true, "write": true}}),
                no("read write"),
            ),
            (&all, json!({"scopes": "read write"}), no("read write")),
            (&any, json!({"scope": "write"}), yes.clone()),
            (&any, json!({"scp": ["x", "read"]}), yes.clone()),
            (&any, json!({"scope": "x"}), no("read write")),
            (&any, json!({"scope": "readwrite"}), no("read write")),
            (&both, json!({"scope": "a"}), yes.clone()),
            (&both, json!({"scope": "b c"}), no("a b c")),
        ];
        for (demand, claims, expected) in table {
            assert_eq!(decide(demand, &claims), expected, "{demand} {claims}");
        }
    }

    #[test]
    fn claims() {
        let roles = "https://example.com/roles";
        let table = [
            // equals: the value, of its own type
            (
                json!({"path": ["a"], "equals": "x"}),
                json!({"a": "x"}),
                true,
            ),
            (
                json!({"path": ["a"], "equals": "x"}),
                json!({"a": "X"}),
                false,
            ),
            (
                json!({"path": ["a"], "equals": "x"}),
                json!({"a": ["x"]}),
                false,
            ),
            (json!({"path": ["a"], "equals": "x"}), json!({}), false),
            (
                json!({"path": ["a"], "equals": true}),
                json!({"a": true}),
                true,
            ),
            (
                json!({"path": ["a"], "equals": true}),
                json!({"a": "true"}),
                false,
            ),
            (
                json!({"path": ["a"], "equals": true}),
                json!({"a": 1}),
                false,
            ),
            (
                json!({"path": ["a"], "equals": false}),
                json!({"a": null}),
                false,
            ),
            (json!({"path": ["a"], "equals": 5.0}), json!({"a": 5}), true),
            (
                json!({"path": ["a"], "equals": 5}),
                json!({"a": "5"}),
                false,
            ),
            (
                json!({"path": ["a"], "equals": 5}),
                json!({"a": 5.5}),
                false,
            ),
            (
                json!({"path": ["a"], "equals": 5.5}),
                json!({"a": 5.5}),
                true,
            ),
            (
                json!({"path": ["a"], "equals": -1}),
                json!({"a": -1.0}),
                true,
            ),
            (
                json!({"path": ["a"], "equals": -1}),
                json!({"a": u64::MAX}),
                false,
            ),
            // a double would not tell these apart
            (
                json!({"path": ["a"], "equals": 9_007_199_254_740_992_u64}),
                json!({"a": 9_007_199_254_740_993_u64}),
                false,
            ),
            // any, all: of an array, or of a single value
            (
                json!({"path": [roles], "any": ["admin", "editor"]}),
                json!({roles: ["x", "editor"]}),
                true,
            ),
            (
                json!({"path": [roles], "any": ["admin", "editor"]}),
                json!({roles: "admin"}),
                true,
            ),
            (
                json!({"path": [roles], "any": ["admin", "editor"]}),
                json!({roles: "admin editor"}),
                false,
            ),
            (
                json!({"path": [roles], "any": ["admin", "editor"]}),
                json!({roles: ["administrator"]}),
                false,
            ),
            (
                json!({"path": [roles], "any": ["admin", "editor"]}),
                json!({roles: []}),
                false,
            ),
            (
                json!({"path": [roles], "any": ["admin"]}),
                json!({roles: [["admin"]]}),
                false,
            ),
            (
                json!({"path": [roles], "any": [1, "1"]}),
                json!({roles: [true, 1.0]}),
                true,
            ),
            (
                json!({"path": [roles], "all": ["a", "b"]}),
                json!({roles: ["b", "c", "a"]}),
                true,
            ),
            (
                json!({"path": [roles], "all": ["a", "b"]}),
                json!({roles: ["a"]}),
                false,
            ),
            (
                json!({"path": [roles], "all": ["a"]}),
                json!({roles: "a"}),
                true,
            ),
            (
                json!({"path": [roles], "all": ["a"]}),
                json!({roles: {"a": "a"}}),
                false,
            ),
            // exists
            (
                json!({"path": ["a"], "exists": true}),
                json!({"a": false}),
                true,
            ),
            (
                json!({"path": ["a"], "exists": true}),
                json!({"a": null}),
                false,
            ),
            (
                json!({"path": ["a"], "exists": true}),
                json!({"b": 1}),
                false,
            ),
            (
                json!({"path": ["a"], "exists": false}),
                json!({"b": 1}),
                true,
            ),
            (
                json!({"path": ["a"], "exists": false}),
                json!({"a": null}),
                true,
            ),
            (
                json!({"path": ["a"], "exists": false}),
                json!({"a": 1}),
                false,
            ),
            // not: also where the claim is not there
            (
                json!({"path": ["a"], "not": {"equals": 1}}),
                json!({"a": 2}),
                true,
            ),
            (
                json!({"path": ["a"], "not": {"equals": 1}}),
                json!({"a": 1.0}),
                false,
            ),
            (
                json!({"path": ["a"], "not": {"any": ["x", "y"]}}),
                json!({"a": ["z", "y"]}),
                false,
            ),
            (
                json!({"path": ["a"], "not": {"all": ["x", "y"]}}),
                json!({"a": ["x"]}),
                true,
            ),
            (
                json!({"path": ["a"], "not": {"equals": 1}}),
                json!({}),
                true,
            ),
            // literal names, level by level
            (
                json!({"path": ["a", "b.c"], "equals": 1}),
                json!({"a": {"b.c": 1}}),
                true,
            ),
            (
                json!({"path": ["a", "b"], "equals": 1}),
                json!({"a.b": 1}),
                false,
            ),
            (
                json!({"path": ["a.b"], "equals": 1}),
                json!({"a": {"b": 1}}),
                false,
            ),
            (
                json!({"path": ["a", "0"], "equals": 1}),
                json!({"a": [1]}),
                false,
            ),
            (
                json!({"path": ["a", "b"], "exists": false}),
                json!({"a": "b"}),
                true,
            ),
        ];
        for (rule, claims, passes) in table {
            let expected = if passes {
                Ok(())
            } else {
                Err("claim".to_owned())
            };
            assert_eq!(
                decide(&json!({"claims": [rule]}), &claims),
                expected,
                "{rule} {claims}"
            );
        }
    }

    #[test]
    fn every_demand_counts() {
        let demand = json!({
            "scopes": {"all": ["s"]},
            "claims": [{"path": ["a"], "equals": 1}, {"path": ["b"], "equals": 2}]
        });
        assert_eq!(
            decide(&demand, &json!({"scope": "s", "a": 1, "b": 2})),
            Ok(())
        );
        assert_eq!(
            decide(&demand, &json!({"a": 1, "b": 2})),
            Err("s".to_owned())
        );
        assert_eq!(decide(&demand, &json!({"a": 1})), Err("s".to_owned()));
        assert_eq!(
            decide(&demand, &json!({"scope": "s", "a": 1})),
            Err("claim".to_owned())
        );
        assert_eq!(
            decide(&demand, &json!({"scope": "s", "b": 2})),
            Err("claim".to_owned())
        );
    }
}
