//! What a token must allow: raw to valid.
//!
//! Invariant: an empty or misspelt demand is refused, for it would demand nothing; and every
//! value that a claim is compared with is one that JSON and a Struct can both say exactly.

use std::collections::BTreeMap;

use serde_json::Value;

use super::error::{ConfigError, join, unknown};
use super::raw_rule::{RawAuthorize, RawClaimRule, RawScopes};
use super::text::only;
use super::value::{Entries, Given};
use super::{Authorize, ClaimRule, ClaimTest, Scopes};

/// Beyond 2^53 a double, which the numbers of a Struct are, is not the number that was written.
const LARGEST_NUMBER: f64 = 9_007_199_254_740_992.0;

/// Named demands that rules refer to.
#[derive(Default)]
pub(super) struct Policies(BTreeMap<String, Authorize>);

impl Policies {
    pub(super) fn convert(path: &str, raw: Entries<RawAuthorize>) -> Result<Policies, ConfigError> {
        let Entries(entries) = raw;
        let mut policies = BTreeMap::new();
        for (name, raw) in entries {
            let path = join(path, &name);
            if raw.policies.0.is_some() {
                return Err(ConfigError::new(
                    join(&path, "policies"),
                    "a policy does not refer to others",
                ));
            }
            policies.insert(name, convert(&path, raw, &Policies::default())?);
        }
        Ok(Policies(policies))
    }

    fn named(&self, path: &str, name: &str) -> Result<&Authorize, ConfigError> {
        let names = || self.0.keys().map(String::as_str);
        let policy = self.0.get(name);
        policy.ok_or_else(|| unknown(path, "policy", name, names()))
    }
}

pub(super) fn convert(
    path: &str,
    raw: RawAuthorize,
    policies: &Policies,
) -> Result<Authorize, ConfigError> {
    if raw.scopes.0.is_none() && raw.claims.0.is_none() && raw.policies.0.is_none() {
        return Err(ConfigError::new(
            path,
            "one of scopes, claims and policies is required",
        ));
    }
    let mut authorize = Authorize::default();
    if let Some(names) = raw.policies.0 {
        let path = join(path, "policies");
        if names.is_empty() {
            return Err(ConfigError::new(path, "must not be empty"));
        }
        for (index, name) in names.iter().enumerate() {
            let policy = policies.named(&format!("{path}[{index}]"), name)?;
            authorize.scopes.extend_from_slice(&policy.scopes);
            authorize.claims.extend_from_slice(&policy.claims);
        }
    }
    if let Some(raw) = raw.scopes.0 {
        authorize.scopes.push(scopes(&join(path, "scopes"), raw)?);
    }
    if let Some(rules) = raw.claims.0 {
        let path = join(path, "claims");
        if rules.is_empty() {
            return Err(ConfigError::new(path, "must not be empty"));
        }
        for (index, raw) in rules.into_iter().enumerate() {
            let rule = claim_rule(&format!("{path}[{index}]"), raw)?;
            authorize.claims.push(rule);
        }
    }
    authorize.challenge = challenge(&authorize.scopes);
    Ok(authorize)
}

/// Every scope that is named, once, separated by spaces.
fn challenge(scopes: &[Scopes]) -> String {
    let mut named: Vec<&str> = Vec::new();
    for name in scopes
        .iter()
        .flat_map(|scopes| scopes.all.iter().chain(&scopes.any))
    {
        if !named.contains(&name.as_str()) {
            named.push(name);
        }
    }
    named.join(" ")
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
    Ok(Scopes {
        all: list("all", raw.all)?,
        any: list("any", raw.any)?,
    })
}

/// A scope-token (RFC 6749 section 3.3).
pub(super) fn is_scope(name: &str) -> bool {
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
    let not = raw.not.0.map(|raw| {
        let path = join(path, "not");
        value_test(&path, raw.equals, raw.any, raw.all)
            .ok_or_else(|| {
                ConfigError::new(&path, "exactly one of equals, any and all is required")
            })?
            .map(|test| ClaimTest::Not(Box::new(test)))
    });
    let given = raw.equals.0.is_some() || raw.any.0.is_some() || raw.all.0.is_some();
    let test = only([
        given
            .then(|| value_test(path, raw.equals, raw.any, raw.all))
            .flatten(),
        raw.exists.0.map(|exists| Ok(ClaimTest::Exists(exists))),
        not,
    ]);
    let test = test.ok_or_else(|| {
        ConfigError::new(
            path,
            "exactly one of equals, any, all, exists and not is required",
        )
    })??;
    Ok(ClaimRule { path: names, test })
}

/// The test that is given, if exactly one is.
fn value_test(
    path: &str,
    equals: Given<Value>,
    any: Given<Vec<Value>>,
    all: Given<Vec<Value>>,
) -> Option<Result<ClaimTest, ConfigError>> {
    only([
        equals
            .0
            .map(|value| scalar(&join(path, "equals"), &value).map(|()| ClaimTest::Equals(value))),
        any.0
            .map(|values| scalars(&join(path, "any"), &values).map(|()| ClaimTest::Any(values))),
        all.0
            .map(|values| scalars(&join(path, "all"), &values).map(|()| ClaimTest::All(values))),
    ])
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
