//! In which fields two configurations differ.
//!
//! Invariant: only paths are told, never values.

use serde_json::Value;

/// The paths of the fields that differ, from the top; the parts of a list by their number.
pub(super) fn paths(one: &Value, other: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare(one, other, "", &mut found);
    found
}

fn compare(one: &Value, other: &Value, path: &str, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(members), Value::Object(others)) => {
            let added = others.keys().filter(|name| !members.contains_key(*name));
            for name in members.keys().chain(added) {
                let below = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                match (members.get(name), others.get(name)) {
                    (Some(one), Some(other)) => compare(one, other, &below, found),
                    _ => found.push(below),
                }
            }
        }
        (Value::Array(items), Value::Array(others)) => {
            for at in 0..items.len().max(others.len()) {
                let below = format!("{path}[{at}]");
                match (items.get(at), others.get(at)) {
                    (Some(one), Some(other)) => compare(one, other, &below, found),
                    _ => found.push(below),
                }
            }
        }
        (Value::Number(one), Value::Number(other)) if one.as_f64() == other.as_f64() => {}
        (one, other) if one == other => {}
        _ => found.push(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_field_that_differs_is_told_by_its_path() {
        let table = [
            (json!({"a": 1, "b": [1]}), json!({"b": [1.0], "a": 1.0}), ""),
            (json!({"a": {"b": 1}}), json!({"a": {"b": 2}}), "a.b"),
            (json!({"a": 1}), json!({"b": 1}), "a b"),
            (json!({"a": [1, 2]}), json!({"a": [1, 3, 4]}), "a[1] a[2]"),
            (
                json!({"a": [{"b": "x"}]}),
                json!({"a": [{"b": 1}]}),
                "a[0].b",
            ),
            (json!({"a": null}), json!({}), "a"),
        ];
        for (one, other, expected) in table {
            assert_eq!(paths(&one, &other).join(" "), expected, "{one} {other}");
        }
    }
}
