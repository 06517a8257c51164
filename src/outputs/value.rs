//! A claim as the value of a header, or the values of several.
//!
//! Invariants: every value is legal (RFC 9110 section 5.5), so no claim ends a header early. A
//! reader that trims it reads the same. A reader that splits at commas reads no item of a list as two
//! items, also where lines of one name count as one line (section 5.3). A claim has all of its
//! values or none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

use crate::config::{ClaimFormat, ClaimHeader};

/// The most headers that one claim is repeated in: many servers accept 100 headers in all.
const MOST_REPEATED: usize = 64;
/// A double from here on may stand for a whole number that it is not: 2^53.
const INEXACT: f64 = 9_007_199_254_740_992.0;

/// The values, or `None` where the claim has no form in this header.
pub(super) fn header_values(claim: Value, header: &ClaimHeader) -> Option<Vec<String>> {
    let encode = |text: String| {
        if header.base64 {
            STANDARD.encode(text)
        } else {
            text
        }
    };
    let values = match (header.format, claim) {
        (_, Value::Null) => return None,
        // in base64 already, as jwt_authn has it
        (ClaimFormat::JwtAuthn, claim @ (Value::Array(_) | Value::Object(_))) => {
            vec![STANDARD.encode(serde_json::to_string(&claim).ok()?)]
        }
        (ClaimFormat::JwtAuthn, scalar) => vec![encode(text(scalar, jwt_authn_number)?)],
        (ClaimFormat::Json, claim) => vec![encode(ascii_json(&claim)?)],
        (ClaimFormat::Csv, claim) => vec![items(claim, header.base64)?.join(",")],
        (ClaimFormat::Repeat, claim) => items(claim, header.base64)?,
    };
    let legal = values.len() <= MOST_REPEATED && values.iter().all(|value| is_legal(value));
    legal.then_some(values)
}

/// The items of an array; anything else is one item.
fn items(claim: Value, base64: bool) -> Option<Vec<String>> {
    let items = match claim {
        Value::Array(items) => items,
        one => vec![one],
    };
    let item = |item| {
        let text = text(item, json_number)?;
        if base64 {
            // the empty item would be no item
            (!text.is_empty()).then(|| STANDARD.encode(text))
        } else {
            is_one_item(&text).then_some(text)
        }
    };
    items.into_iter().map(item).collect()
}

fn text(scalar: Value, number: fn(&Number) -> Option<String>) -> Option<String> {
    match scalar {
        Value::String(text) => Some(text),
        Value::Bool(value) => Some(value.to_string()),
        Value::Number(value) => number(&value),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// As jwt_authn prints numbers, except that whole ones are exact as far as 64 bits go. jwt_authn
/// takes each for a double, and prints what is negative or no whole number with six decimals.
fn jwt_authn_number(number: &Number) -> Option<String> {
    if let Some(whole) = number.as_u64() {
        return Some(whole.to_string());
    }
    if let Some(negative) = number.as_i64() {
        return Some(format!("{negative}.000000"));
    }
    let number = number.as_f64().filter(|number| number.abs() < INEXACT)?;
    if number >= 0.0 && number.fract() == 0.0 {
        // of -0 without its sign
        Some((number as u64).to_string())
    } else {
        Some(six_decimals(number))
    }
}

/// A number below 2^53 as `{:.6}` has it, ties to even. The standard library's way is for every
/// number there is, and 15 KB of the module.
fn six_decimals(number: f64) -> String {
    // IEEE 754: the number is `significand` * 2^-`shift`.
    let bits = number.to_bits();
    let exponent = (bits >> 52) & 0x7ff;
    let fraction = u128::from(bits & ((1 << 52) - 1));
    let significand = if exponent == 0 {
        fraction
    } else {
        fraction | 1 << 52
    };
    let shift = 1075u64.saturating_sub(exponent.max(1));
    let shift = shift.min(100) as u32;
    let below_one = (1u128 << shift) - 1;
    let whole = (significand >> shift) as u64;
    // Below 2^73; with a shift of more than that, less than half of the last place.
    let millionths = (significand & below_one) * 1_000_000;
    let floor = (millionths >> shift) as u64;
    let rest = millionths & below_one;
    let half = (1u128 << shift) >> 1;
    let up = rest > half || (rest == half && floor & 1 == 1);
    let sign = if number.is_sign_negative() { "-" } else { "" };
    match floor + u64::from(up) {
        1_000_000 => format!("{sign}{}.000000", whole + 1),
        decimals => format!("{sign}{whole}.{decimals:06}"),
    }
}

fn json_number(number: &Number) -> Option<String> {
    let exact = !number.is_f64() || number.as_f64()?.abs() < INEXACT;
    exact.then(|| number.to_string())
}

/// JSON with whatever is not printable ASCII escaped; only strings can have that.
fn ascii_json(value: &Value) -> Option<String> {
    let json = serde_json::to_string(value).ok()?;
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if (' '..='~').contains(&c) {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    Some(ascii)
}

fn is_legal(value: &str) -> bool {
    !value.is_empty() && value.trim() == value && !value.chars().any(char::is_control)
}

/// Quoting (RFC 4180) would not do: who does not know of it finds the item `admin` in `"x,admin,y"`.
fn is_one_item(text: &str) -> bool {
    is_legal(text) && !text.contains([',', '"'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn values(claim: &Value, format: ClaimFormat, base64: bool) -> Option<Vec<String>> {
        let header = ClaimHeader {
            header: "x".to_owned(),
            claim: vec!["c".to_owned()],
            format,
            base64,
        };
        header_values(claim.clone(), &header)
    }

    fn check(format: ClaimFormat, table: &[(Value, Option<&str>)]) {
        for (claim, expected) in table {
            let value = values(claim, format, false);
            let expected = expected.map(|value| vec![value.to_owned()]);
            assert_eq!(value, expected, "{format:?} {claim}");
        }
    }

    /// What the real filter does is in the end-to-end tests.
    #[test]
    fn without_a_format_as_jwt_authn() {
        check(
            ClaimFormat::JwtAuthn,
            &[
                (json!("auth0|5f"), Some("auth0|5f")),
                (json!("Zoë"), Some("Zoë")),
                (json!("a, \"b\""), Some("a, \"b\"")),
                (json!(true), Some("true")),
                (json!(0), Some("0")),
                (json!(9_007_199_254_740_993_u64), Some("9007199254740993")),
                (json!(u64::MAX), Some("18446744073709551615")),
                (json!(5.0), Some("5")),
                (json!(-0.0), Some("0")),
                (json!(-5), Some("-5.000000")),
                (json!(i64::MIN), Some("-9223372036854775808.000000")),
                (json!(1.5), Some("1.500000")),
                (json!(-1e-7), Some("-0.000000")),
                (json!([]), Some("W10=")),
                (json!(["a", 1]), Some("WyJhIiwxXQ==")),
                (json!({"k": "v"}), Some("eyJrIjoidiJ9")),
                // 2^53 as a double, and 2^64: what was meant is not known
                (json!(9_007_199_254_740_992.0), None),
                (json!(18_446_744_073_709_551_616.0), None),
                (json!(-1e300), None),
                (json!(""), None),
                (json!(null), None),
            ],
        );
    }

    #[test]
    fn a31_claims_never_end_a_header_early_nor_hide_at_its_ends() {
        let hostile = [
            "a\r\nx-admin: 1",
            "a\nb",
            "a\0b",
            "a\u{7f}b",
            "a\u{85}b",
            "a\tb",
            " admin",
            "admin ",
            "\u{a0}admin",
            "admin\u{3000}",
            " ",
        ];
        for text in hostile {
            for format in [ClaimFormat::JwtAuthn, ClaimFormat::Csv, ClaimFormat::Repeat] {
                check(format, &[(json!(text), None)]);
            }
            // all of the list or nothing
            for format in [ClaimFormat::Csv, ClaimFormat::Repeat] {
                check(format, &[(json!(["user", text]), None)]);
            }
        }
    }

    #[test]
    fn csv() {
        check(
            ClaimFormat::Csv,
            &[
                (json!(["a"]), Some("a")),
                (json!(["a", "b c", "é"]), Some("a,b c,é")),
                (
                    json!([1, -2, 2.5, 9_007_199_254_740_993_u64, true]),
                    Some("1,-2,2.5,9007199254740993,true"),
                ),
                (json!("a b"), Some("a b")),
                (json!(["a", "b,c"]), None),
                (json!(["a", "\"b"]), None),
                (json!(["a", ""]), None),
                (json!(["a", null]), None),
                (json!(["a", ["b"]]), None),
                (json!(["a", {"b": 1}]), None),
                (json!(["a", 1e20]), None),
                (json!({"a": 1}), None),
                (json!("a,b"), None),
                (json!([]), None),
                (json!(null), None),
            ],
        );
    }

    #[test]
    fn repeat() {
        let repeat = |claim: Value| values(&claim, ClaimFormat::Repeat, false);
        assert_eq!(repeat(json!(["a", 1])), Some(vec!["a".into(), "1".into()]));
        assert_eq!(repeat(json!("a")), Some(vec!["a".into()]));
        assert_eq!(repeat(json!([])), Some(Vec::new()));
        // lines of one name are one line to some
        assert_eq!(repeat(json!(["a,b"])), None);
        let many = |n: usize| repeat(json!(vec!["a"; n])).map(|values| values.len());
        assert_eq!((many(64), many(65)), (Some(64), None));
    }

    #[test]
    fn json_is_ascii_and_says_the_same() {
        check(
            ClaimFormat::Json,
            &[
                (
                    json!("a\r\n\u{7f}\u{85}é😀\"\\"),
                    Some(r#""a\r\n\u007f\u0085\u00e9\ud83d\ude00\"\\""#),
                ),
                (json!(-5), Some("-5")),
                (json!(1.5), Some("1.5")),
                (json!([]), Some("[]")),
                (
                    json!({"k": [1, {"x": null}]}),
                    Some(r#"{"k":[1,{"x":null}]}"#),
                ),
                (json!(null), None),
            ],
        );
    }

    #[test]
    fn base64_takes_what_is_no_legal_value() {
        for (claim, format, expected) in [
            (json!("a\r\nb"), ClaimFormat::JwtAuthn, "YQ0KYg=="),
            (json!(5), ClaimFormat::JwtAuthn, "NQ=="),
            // not twice
            (json!(["a", 1]), ClaimFormat::JwtAuthn, "WyJhIiwxXQ=="),
            (json!(["a", 1]), ClaimFormat::Json, "WyJhIiwxXQ=="),
            (json!(["a,b", " c"]), ClaimFormat::Csv, "YSxi,IGM="),
        ] {
            let value = values(&claim, format, true);
            assert_eq!(value, Some(vec![expected.to_owned()]), "{claim}");
        }
        let repeated = values(&json!(["a,b", "c"]), ClaimFormat::Repeat, true);
        assert_eq!(repeated, Some(vec!["YSxi".into(), "Yw==".into()]));
        assert_eq!(values(&json!(["a", ""]), ClaimFormat::Csv, true), None);
        assert_eq!(values(&json!(""), ClaimFormat::JwtAuthn, true), None);
    }

    fn any_claim() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            any::<String>(),
            "[a-c,\"; \t\r\n\0\u{7f}\u{85}\u{a0}é]{0,6}"
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            // exact in text: the parser may miss the last bit of others
            any::<i32>().prop_map(|eighths| json!(f64::from(eighths) / 8.0)),
            Just(json!(1e300)),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    /// What upstreams do to header lines: join, split, trim, drop what is empty.
    fn split(lines: &[String]) -> Vec<String> {
        let joined = lines.join(", ");
        let items = joined.split(',').map(|item| item.trim().to_owned());
        items.filter(|item| !item.is_empty()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn six_decimals_are_those_of_the_standard_library(bits: u64, near in -1e6..1e6f64, ties in -1_000_000_000..1_000_000_000i64) {
            for number in [f64::from_bits(bits), near, near / 1e9, near.trunc() + 0.999_999_7, near.trunc() - 0.999_999_7, ties as f64 / 128.0, 0.0, -0.0, 9_007_199_254_740_991.5] {
                if number.abs() < INEXACT {
                    prop_assert_eq!(six_decimals(number), format!("{number:.6}"), "{:?}", number);
                }
            }
        }

        #[test]
        fn a31_no_claim_makes_an_illegal_value_or_another_list(claim in any_claim(), base64: bool) {
            let formats = [ClaimFormat::JwtAuthn, ClaimFormat::Csv, ClaimFormat::Json, ClaimFormat::Repeat];
            for format in formats {
                let Some(lines) = values(&claim, format, base64) else {
                    continue;
                };
                for line in &lines {
                    prop_assert!(!line.is_empty());
                    prop_assert!(line.bytes().all(|byte| byte >= b' ' && byte != 0x7f), "{line:?}");
                    prop_assert!(!line.starts_with(' ') && !line.ends_with(' '), "{line:?}");
                }
                if let (ClaimFormat::Csv | ClaimFormat::Repeat, Value::Array(items)) = (format, &claim) {
                    let texts = items.iter().map(|item| match item {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    });
                    let expected: Vec<String> = texts
                        .map(|text| if base64 { STANDARD.encode(text) } else { text })
                        .collect();
                    prop_assert_eq!(split(&lines), expected);
                }
                if let (ClaimFormat::Json, [line], false) = (format, lines.as_slice(), base64) {
                    prop_assert!(line.is_ascii());
                    let again: Value = serde_json::from_str(line).unwrap();
                    prop_assert_eq!(again.to_string(), claim.to_string());
                }
            }
        }
    }
}
