//! Tests of a claim.
//!
//! Invariant: values are compared exactly: as a whole, and only with one of their own type.

use serde_json::{Number, Value};

use crate::config::ClaimTest;
use crate::jose::json::Element;

/// Whether a claim, which may not be there, passes a test.
#[inline]
pub(super) fn passes(test: &ClaimTest, claim: Option<Element<'_>>) -> bool {
    match (test, claim) {
        (ClaimTest::Exists(exists), claim) => claim.is_some() == *exists,
        (ClaimTest::Not(test), claim) => !passes(test, claim),
        (_, None) => false,
        (ClaimTest::Equals(value), Some(claim)) => equal(value, claim),
        (ClaimTest::Any(values), Some(claim)) => values.iter().any(|value| contains(claim, value)),
        (ClaimTest::All(values), Some(claim)) => values.iter().all(|value| contains(claim, value)),
    }
}

/// Whether a claim is, or as an array holds, a value.
fn contains(claim: Element<'_>, value: &Value) -> bool {
    claim.each().any(|item| equal(value, item))
}

fn equal(value: &Value, claim: Element<'_>) -> bool {
    match value {
        Value::String(text) => claim.as_str() == Some(text),
        Value::Bool(value) => claim.as_bool() == Some(*value),
        // 5 and 5.0 are one number, written by different libraries
        Value::Number(a) => claim
            .as_number()
            .is_some_and(|b| match (whole(a), whole(b)) {
                (Some(a), Some(b)) => a == b,
                (None, None) => a.as_f64() == b.as_f64(),
                _ => false,
            }),
        _ => false,
    }
}

/// A number that is whole and small enough to be exact in every form of it.
fn whole(number: &Number) -> Option<i128> {
    if let Some(number) = number.as_u64() {
        return Some(number.into());
    }
    if let Some(number) = number.as_i64() {
        return Some(number.into());
    }
    let number = number.as_f64().filter(|number| number.fract() == 0.0)?;
    // 2^64: no integer of JSON beyond it is read as anything but a double
    (number.abs() <= 18_446_744_073_709_551_616.0).then_some(number as i128)
}
