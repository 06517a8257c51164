//! The alerts for a day of 24 minutes: a test cannot wait for half an hour.

use bearer_gate_testbed::yaml;
use serde_json::{Value, json};

/// How much faster time passes for the test's Prometheus than for the one that is shipped.
const FASTER: u64 = 60;

/// A text with every duration in it (`10m`, `30s`) divided by 60. Nothing else is changed.
fn shortened(text: &str) -> String {
    let mut short = String::new();
    let mut digits = String::new();
    let mut before = ' ';
    for c in text.chars().chain([' ']) {
        if c.is_ascii_digit()
            && (!digits.is_empty() || !(before.is_alphanumeric() || before == '_'))
        {
            digits.push(c);
        } else {
            let number: Option<u64> = digits.parse().ok();
            let seconds = number.and_then(|number| match c {
                's' => Some(number),
                'm' => Some(number * 60),
                _ => None,
            });
            match seconds {
                Some(seconds) => short.push_str(&format!("{}ms", seconds * 1000 / FASTER)),
                None => short.extend(digits.drain(..).chain([c])),
            }
            digits.clear();
        }
        before = c;
    }
    short.trim_end().to_owned()
}

/// monitoring/alerts.yaml for a day that lasts 24 minutes: its windows, what it waits before it fires,
/// and the two thresholds that are times.
pub(super) fn alerts() -> Value {
    let mut alerts = yaml::document("monitoring/alerts.yaml");
    let rules = alerts["groups"][0]["rules"].as_array_mut().unwrap();
    for rule in rules {
        let ages = [
            ("jwks_age_seconds) > 3600", "jwks_age_seconds) > 60"),
            // A busy machine does not read the store each second.
            ("store_age_seconds) > 60", "store_age_seconds) > 5"),
            ("store_age_seconds > 60", "store_age_seconds > 5"),
        ];
        for field in ["expr", "for"] {
            if let Some(text) = rule[field].as_str() {
                let text = ages.iter().fold(shortened(text), |text, (age, short)| {
                    text.replace(age, short)
                });
                rule[field] = json!(text);
            }
        }
    }
    alerts
}

#[test]
fn durations_are_shortened_and_nothing_else() {
    for (long, short) in [
        ("10m", "10000ms"),
        (
            "increase(a_5m{b=\"10m\"}[5m]) > 0.5",
            "increase(a_5m{b=\"10000ms\"}[5000ms]) > 0.5",
        ),
        (
            "x offset 30s > 3600 and y1 > 500",
            "x offset 500ms > 3600 and y1 > 500",
        ),
    ] {
        assert_eq!(shortened(long), short);
    }
}
