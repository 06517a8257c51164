//! A rule: raw to valid.
//!
//! Invariant: a rule is public only where it says nothing of `requires` and of `authorize`; an
//! empty or misspelt one is refused, for it would open the route. A rule that could never match
//! is refused too: its author believes that it protects something.

use serde_json::Value;

use super::error::{ConfigError, join, nearest};
use super::header::is_token;
use super::raw::{Given, RawAuthorize, RawClaimRule, RawMatch, RawRule, RawScopes};
use super::{Access, Authorize, ClaimRule, ClaimTest, PathMatcher, Provider, Rule, Scopes};
use crate::http::path;

/// Beyond 2^53 a double, which the numbers of a Struct are, is not the number that was written.
const LARGEST_NUMBER: f64 = 9_007_199_254_740_992.0;

pub(super) fn convert(
    path: &str,
    raw: RawRule,
    providers: &[Provider],
) -> Result<Rule, ConfigError> {
    let match_path = join(path, "match");
    let raw_match = raw
        .matcher
        .0
        .ok_or_else(|| ConfigError::new(&match_path, "required"))?;
    let (matcher, methods) = matcher(&match_path, raw_match)?;
    let access = match (raw.requires.0, raw.authorize.0) {
        (None, None) => Access::Public,
        (None, Some(_)) => {
            return Err(ConfigError::new(
                join(path, "authorize"),
                "needs requires: a rule without it is public",
            ));
        }
        (Some(requires), authorize) => Access::Token {
            provider: provider(&join(path, "requires"), requires.provider_name, providers)?,
            authorize: match authorize {
                Some(raw) => self::authorize(&join(path, "authorize"), raw)?,
                None => Authorize::default(),
            },
        },
    };
    Ok(Rule {
        matcher,
        methods,
        access,
    })
}

fn matcher(path: &str, raw: RawMatch) -> Result<(PathMatcher, Vec<String>), ConfigError> {
    let matcher = match (raw.prefix.0, raw.path.0) {
        (Some(prefix), None) => PathMatcher::Prefix(normal(&join(path, "prefix"), prefix)?),
        (None, Some(exact)) => PathMatcher::Exact(normal(&join(path, "path"), exact)?),
        (None, None) => {
            return Err(ConfigError::new(path, "one of prefix and path is required"));
        }
        (Some(_), Some(_)) => return Err(ConfigError::new(path, "has both prefix and path")),
    };
    let Some(methods) = raw.methods.0 else {
        return Ok((matcher, Vec::new()));
    };
    let path = join(path, "methods");
    if methods.is_empty() {
        return Err(ConfigError::new(path, "must not be empty"));
    }
    for (index, method) in methods.iter().enumerate() {
        let problem = |text: &str| ConfigError::new(format!("{path}[{index}]"), text);
        if method.is_empty() || !method.bytes().all(is_token) {
            return Err(problem("is not a method"));
        }
        // methods have a case (RFC 9110 section 9.1): `get` would match nothing
        if method.bytes().any(|byte| byte.is_ascii_lowercase()) {
            return Err(problem("must be in upper case"));
        }
    }
    Ok((matcher, methods))
}

/// Only what is its own normal form can match a normalized path.
fn normal(path: &str, text: String) -> Result<String, ConfigError> {
    match path::normalize(text.as_bytes()) {
        Ok(normal) if normal == text => Ok(text),
        Ok(normal) => Err(ConfigError::new(
            path,
            format!(
                "never matches: paths are compared without query, parameters and needless escapes, here {normal}"
            ),
        )),
        Err(reason) => Err(ConfigError::new(
            path,
            format!("never matches: it {reason}"),
        )),
    }
}

fn provider(path: &str, name: Given<String>, providers: &[Provider]) -> Result<usize, ConfigError> {
    let name = name.0.ok_or_else(|| {
        ConfigError::new(
            path,
            "provider_name is required (leave requires out for a public rule)",
        )
    })?;
    providers
        .iter()
        .position(|provider| provider.name == name)
        .ok_or_else(|| {
            let names = providers.iter().map(|provider| provider.name.as_str());
            ConfigError::new(
                join(path, "provider_name"),
                match nearest(&name, names) {
                    Some(near) => format!("unknown provider, did you mean {near}?"),
                    None => "unknown provider".to_owned(),
                },
            )
        })
}

fn authorize(path: &str, raw: RawAuthorize) -> Result<Authorize, ConfigError> {
    if raw.scopes.0.is_none() && raw.claims.0.is_none() {
        return Err(ConfigError::new(
            path,
            "one of scopes and claims is required",
        ));
    }
    let scopes = raw
        .scopes
        .0
        .map(|raw| scopes(&join(path, "scopes"), raw))
        .transpose()?;
    let claims_path = join(path, "claims");
    let claims = match raw.claims.0 {
        None => Vec::new(),
        Some(rules) if rules.is_empty() => {
            return Err(ConfigError::new(claims_path, "must not be empty"));
        }
        Some(rules) => rules
            .into_iter()
            .enumerate()
            .map(|(index, raw)| claim_rule(&format!("{claims_path}[{index}]"), raw))
            .collect::<Result<_, _>>()?,
    };
    Ok(Authorize { scopes, claims })
}

fn scopes(path: &str, raw: RawScopes) -> Result<Scopes, ConfigError> {
    if raw.all.0.is_none() && raw.any.0.is_none() {
        return Err(ConfigError::new(path, "one of all and any is required"));
    }
    let list = |field: &str, names: Given<Vec<String>>| {
        let Some(names) = names.0 else {
            return Ok(Vec::new());
        };
        let path = join(path, field);
        if names.is_empty() {
            return Err(ConfigError::new(path, "must not be empty"));
        }
        match names.iter().position(|name| !is_scope(name)) {
            Some(index) => Err(ConfigError::new(
                format!("{path}[{index}]"),
                "is not a scope: one or more printable ASCII characters without space, \" and \\",
            )),
            None => Ok(names),
        }
    };
    let all = list("all", raw.all)?;
    let any = list("any", raw.any)?;
    let mut named: Vec<&str> = Vec::new();
    for name in all.iter().chain(&any) {
        if !named.contains(&name.as_str()) {
            named.push(name);
        }
    }
    Ok(Scopes {
        challenge: named.join(" "),
        all,
        any,
    })
}

/// A scope-token (RFC 6749 section 3.3).
fn is_scope(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

fn claim_rule(path: &str, raw: RawClaimRule) -> Result<ClaimRule, ConfigError> {
    let names_path = join(path, "path");
    let names = raw
        .path
        .0
        .ok_or_else(|| ConfigError::new(&names_path, "required"))?;
    if names.is_empty() {
        return Err(ConfigError::new(names_path, "must not be empty"));
    }
    let test = match (raw.equals.0, raw.any.0, raw.all.0, raw.exists.0) {
        (Some(value), None, None, None) => {
            scalar(&join(path, "equals"), &value)?;
            ClaimTest::Equals(value)
        }
        (None, Some(values), None, None) => {
            scalars(&join(path, "any"), &values)?;
            ClaimTest::Any(values)
        }
        (None, None, Some(values), None) => {
            scalars(&join(path, "all"), &values)?;
            ClaimTest::All(values)
        }
        (None, None, None, Some(exists)) => ClaimTest::Exists(exists),
        _ => {
            return Err(ConfigError::new(
                path,
                "exactly one of equals, any, all and exists is required",
            ));
        }
    };
    Ok(ClaimRule { path: names, test })
}

fn scalars(path: &str, values: &[Value]) -> Result<(), ConfigError> {
    if values.is_empty() {
        return Err(ConfigError::new(path, "must not be empty"));
    }
    values
        .iter()
        .enumerate()
        .try_for_each(|(index, value)| scalar(&format!("{path}[{index}]"), value))
}

fn scalar(path: &str, value: &Value) -> Result<(), ConfigError> {
    match value {
        Value::String(_) | Value::Bool(_) => Ok(()),
        Value::Number(number) => match number.as_f64() {
            Some(number) if number.abs() <= LARGEST_NUMBER => Ok(()),
            _ => Err(ConfigError::new(
                path,
                "is a number beyond 2^53, which cannot be compared exactly",
            )),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => Err(ConfigError::new(
            path,
            "must be a string, a number or a boolean",
        )),
    }
}
