//! What a token must allow: raw to valid.
//!
//! Invariant: an empty or misspelt demand is refused, for it would demand nothing; and every
//! value that a claim is compared with is one that JSON and a Struct can both say exactly.

use serde_json::Value;

use super::text::only;
use crate::config::read::error::{At, ConfigError, REQUIRED, resolve};
use crate::config::read::raw_rule::{RawAuthorize, RawClaimRule, RawScopes};
use crate::config::read::value::{Given, each, filled, vet_each};
use crate::config::valid::{ClaimRule, ClaimTest, Permissions, Scopes};
use crate::named::Named;

/// Beyond 2^53 a double, which the numbers of a Struct are, is not the number that was written.
const LARGEST_NUMBER: f64 = 9_007_199_254_740_992.0;

/// Demands that rules refer to by name.
pub(super) fn policies(
    raw: Vec<(String, RawAuthorize)>,
) -> Result<Named<Permissions>, ConfigError> {
    let mut policies = Named::default();
    for (name, raw) in raw {
        let policy = if raw.policies.0.is_some() {
            let problem = "a policy does not refer to others";
            Err(ConfigError::new("policies", problem))
        } else {
            convert(raw, &Named::default())
        };
        policies.insert(&name, policy.at(&name)?);
    }
    Ok(policies)
}

pub(super) fn convert(
    raw: RawAuthorize,
    policies: &Named<Permissions>,
) -> Result<Permissions, ConfigError> {
    if raw.scopes.0.is_none() && raw.claims.0.is_none() && raw.policies.0.is_none() {
        return Err(ConfigError::here(
            "one of scopes, claims and policies is required",
        ));
    }
    let mut permissions = Permissions::default();
    if let Some(names) = not_empty(raw.policies).at("policies")? {
        for (index, name) in names.iter().enumerate() {
            let policy = resolve(policies, "policy", name)
                .at_item(index)
                .at("policies")?;
            permissions.scopes.extend_from_slice(&policy.scopes);
            permissions.claims.extend_from_slice(&policy.claims);
        }
    }
    if let Some(raw) = raw.scopes.0 {
        permissions.scopes.push(scopes(raw).at("scopes")?);
    }
    if let Some(rules) = not_empty(raw.claims).at("claims")? {
        let mut rules = each(rules, &mut claim_rule).at("claims")?;
        permissions.claims.append(&mut rules);
    }
    permissions.challenge = challenge(&permissions.scopes);
    Ok(permissions)
}

/// A list that demands nothing is a slip.
fn not_empty<T>(items: Given<Vec<T>>) -> Result<Option<Vec<T>>, ConfigError> {
    items.0.map(filled).transpose()
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

fn scopes(raw: RawScopes) -> Result<Scopes, ConfigError> {
    if raw.all.0.is_none() && raw.any.0.is_none() {
        return Err(ConfigError::here("one of all and any is required"));
    }
    Ok(Scopes {
        all: scope_names(raw.all).at("all")?,
        any: scope_names(raw.any).at("any")?,
    })
}

fn scope_names(names: Given<Vec<String>>) -> Result<Vec<String>, ConfigError> {
    let names = not_empty(names)?.unwrap_or_default();
    vet_each(&names, &|name| scope(name))?;
    Ok(names)
}

/// Refuses a text that is not a scope-token (RFC 6749 section 3.3).
pub(super) fn scope(name: &str) -> Result<(), ConfigError> {
    let is_in_token = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    if !name.is_empty() && name.bytes().all(is_in_token) {
        Ok(())
    } else {
        Err(ConfigError::here(
            "is not a scope: one or more printable ASCII characters without space, \" and \\",
        ))
    }
}

fn claim_rule(raw: RawClaimRule) -> Result<ClaimRule, ConfigError> {
    let path = not_empty(raw.path)
        .and_then(|names| names.ok_or_else(|| ConfigError::here(REQUIRED)))
        .at("path")?;
    let not = raw.not.0.map(|raw| {
        value_test(raw.equals, raw.any, raw.all)
            .unwrap_or_else(|| {
                let problem = "exactly one of equals, any and all is required";
                Err(ConfigError::here(problem))
            })
            .at("not")
            .map(|test| ClaimTest::Not(Box::new(test)))
    });
    let given = raw.equals.0.is_some() || raw.any.0.is_some() || raw.all.0.is_some();
    let test = only([
        given
            .then(|| value_test(raw.equals, raw.any, raw.all))
            .flatten(),
        raw.exists.0.map(|exists| Ok(ClaimTest::Exists(exists))),
        not,
    ]);
    let test = test.ok_or_else(|| {
        ConfigError::here("exactly one of equals, any, all, exists and not is required")
    })??;
    Ok(ClaimRule { path, test })
}

/// The test that is given, if exactly one is.
#[inline(never)]
fn value_test(
    equals: Given<Value>,
    any: Given<Vec<Value>>,
    all: Given<Vec<Value>>,
) -> Option<Result<ClaimTest, ConfigError>> {
    only([
        equals.0.map(|value| {
            scalar(&value)
                .at("equals")
                .map(|()| ClaimTest::Equals(value))
        }),
        any.0
            .map(|values| scalars(values).at("any").map(ClaimTest::Any)),
        all.0
            .map(|values| scalars(values).at("all").map(ClaimTest::All)),
    ])
}

fn scalars(values: Vec<Value>) -> Result<Vec<Value>, ConfigError> {
    let values = filled(values)?;
    vet_each(&values, &scalar)?;
    Ok(values)
}

fn scalar(value: &Value) -> Result<(), ConfigError> {
    match value {
        Value::String(_) | Value::Bool(_) => Ok(()),
        Value::Number(number) => match number.as_f64() {
            Some(number) if number.abs() <= LARGEST_NUMBER => Ok(()),
            _ => Err(ConfigError::here(
                "is a number beyond 2^53, which cannot be compared exactly",
            )),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(ConfigError::here("must be a string, a number or a boolean"))
        }
    }
}
