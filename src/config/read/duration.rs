//! Durations as protobuf writes them in JSON: `"5s"`, `"1.5s"`, or `{seconds: 5, nanos: 0}`.
//!
//! Invariant: a duration of the configuration is between 1 ms, the least that Envoy can wait,
//! and [`MAX`].

use std::time::Duration;

use super::error::ConfigError;
use super::tree::Tree;
use super::value::{FromTree, Given, Whole, objects};

/// The longest duration: anything beyond it is a slip, and sums of a few still fit everywhere.
pub(crate) const MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The shortest duration: Envoy counts in milliseconds.
pub(crate) const MIN: Duration = Duration::from_millis(1);

const NOT_A_DURATION: &str = "not a duration, write it as \"5s\", \"1.5s\" or {seconds: 5}";

/// A duration within its bounds, as the raw configuration holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Span(pub Duration);

objects! {
    /// The fields of `google.protobuf.Duration`.
    pub struct Parts: "a duration" {
        seconds: Given<Whole>,
        nanos: Given<Whole>,
    }
}

impl FromTree for Span {
    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        let duration = match tree {
            Tree::Text(text) => parse(&text).ok_or(NOT_A_DURATION),
            Tree::Object(_) => Parts::from_tree(tree)?.duration(),
            other => return Err(other.unlike("a duration such as \"5s\"")),
        };
        duration.and_then(bounded).map_err(ConfigError::here)
    }
}

impl Parts {
    fn duration(self) -> Result<Duration, &'static str> {
        let whole = |given: Given<Whole>| given.0.map_or(0, |Whole(number)| number);
        let nanos = u32::try_from(whole(self.nanos))
            .ok()
            .filter(|nanos| *nanos < 1_000_000_000)
            .ok_or("nanos must be below 1000000000")?;
        Ok(Duration::new(whole(self.seconds), nanos))
    }
}

fn bounded(duration: Duration) -> Result<Span, &'static str> {
    if duration.is_zero() {
        Err("must be greater than zero")
    } else if duration < MIN {
        Err("must be 1 ms at least (\"0.001s\")")
    } else if duration > MAX {
        Err("must be a year at most (\"31536000s\")")
    } else {
        Ok(Span(duration))
    }
}

/// Digits, then up to nine digits of a fraction, then `s`.
fn parse(text: &str) -> Option<Duration> {
    let number = text.strip_suffix('s')?;
    let (seconds, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    // more seconds than a u64 has are too many in any case
    let seconds = seconds.parse().unwrap_or(u64::MAX);
    let nanos = format!("{fraction:0<9}").parse().ok()?;
    Some(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Span, ConfigError> {
        Tree::from_json(json.as_bytes()).and_then(Span::from_tree)
    }

    #[test]
    fn reads_every_form() {
        let table = [
            (r#""5s""#, Duration::from_secs(5)),
            (r#""1.5s""#, Duration::from_millis(1500)),
            (r#""0.001s""#, MIN),
            (r#""0.250000001s""#, Duration::new(0, 250_000_001)),
            (r#""31536000s""#, MAX),
            (r#"{"seconds": 5}"#, Duration::from_secs(5)),
            (
                r#"{"seconds": 5.0, "nanos": 5e8}"#,
                Duration::from_millis(5500),
            ),
            (r#"{"nanos": 1000000}"#, MIN),
        ];
        for (json, expected) in table {
            assert_eq!(read(json).unwrap().0, expected, "{json}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        let zero = "must be greater than zero";
        let short = "must be 1 ms at least (\"0.001s\")";
        let long = "must be a year at most (\"31536000s\")";
        let table = [
            (r#""0s""#, zero),
            (r#""0.0s""#, zero),
            ("{}", zero),
            (r#"{"seconds": 0, "nanos": 0}"#, zero),
            (r#""0.0009s""#, short),
            (r#"{"nanos": 1}"#, short),
            (r#""31536001s""#, long),
            (r#""31536000.000000001s""#, long),
            (r#""99999999999999999999999s""#, long),
            (r#"{"seconds": 18446744073709551615}"#, long),
            (r#"{"nanos": 1000000000}"#, "nanos must be below 1000000000"),
            (r#""5""#, NOT_A_DURATION),
            (r#""5m""#, NOT_A_DURATION),
            (r#""500ms""#, NOT_A_DURATION),
            (r#""-5s""#, NOT_A_DURATION),
            (r#""+5s""#, NOT_A_DURATION),
            (r#"" 5s""#, NOT_A_DURATION),
            (r#""5 s""#, NOT_A_DURATION),
            (r#""s""#, NOT_A_DURATION),
            (r#"".5s""#, NOT_A_DURATION),
            (r#""5.s""#, NOT_A_DURATION),
            (r#""1e3s""#, NOT_A_DURATION),
            (r#""1.0000000001s""#, NOT_A_DURATION),
            (r#""""#, NOT_A_DURATION),
            (
                "5",
                "invalid type: integer, expected a duration such as \"5s\"",
            ),
            (
                r#"{"seconds": -1}"#,
                "invalid value: integer, expected a whole number from 0",
            ),
            (
                r#"{"seconds": 1.5}"#,
                "invalid value: floating point, expected a whole number from 0",
            ),
        ];
        for (json, expected) in table {
            let error = read(json).unwrap_err();
            assert_eq!(error.problem(), expected, "{json}");
        }
    }
}
