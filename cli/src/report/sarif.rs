//! SARIF 2.1.0 (OASIS), as far as there is something to say.
//!
//! Invariant: a result's `ruleIndex` is the place of its kind in the rules, which are all kinds.

use serde_json::{Value, json};

use super::Report;
use crate::finding::{Finding, Kind, Spot};

pub(super) fn of(report: &Report<'_>) -> Value {
    let rules: Vec<Value> = Kind::ALL
        .iter()
        .map(|kind| {
            json!({
                "id": kind.name(),
                "shortDescription": {"text": kind.about()},
                "help": {"text": format!("docs/checks.md#{}", kind.name())},
            })
        })
        .collect();
    let results = report.findings.iter();
    let results: Vec<Value> = results.map(|finding| result(report, finding)).collect();
    let notes = report.notes.iter();
    let notes: Vec<Value> = notes
        .map(|note| {
            json!({
                "level": "note",
                "message": {"text": note.text},
                "locations": [place(report, note.spot)],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "bearer-gate",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notes}],
        }],
    })
}

fn result(report: &Report<'_>, finding: &Finding) -> Value {
    let index = Kind::ALL.iter().position(|kind| *kind == finding.kind);
    let mut text = match finding.path.as_str() {
        "" => finding.text.clone(),
        path => format!("{path}: {}", finding.text),
    };
    if !finding.instead.is_empty() {
        text = format!("{text}\nWrite {}", finding.instead);
    }
    json!({
        "ruleId": finding.kind.name(),
        "ruleIndex": index,
        "level": finding.level.name(),
        "message": {"text": text},
        "locations": [place(report, finding.spot)],
    })
}

fn place(report: &Report<'_>, spot: Spot) -> Value {
    let name = report.files.get(spot.file);
    let name = name.map_or("", |file| file.name.as_str());
    json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(name)},
        "region": {"startLine": spot.line, "startColumn": spot.column},
    }})
}

/// A path as a reference to a URI (RFC 3986 section 4.2).
fn uri(path: &str) -> String {
    let mut uri = match path.starts_with('/') {
        true => String::from("file://"),
        false => String::new(),
    };
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn a_path_is_a_reference() {
        let table = [
            ("envoy/envoy.yaml", "envoy/envoy.yaml"),
            ("/a b/%.yaml", "file:///a%20b/%25.yaml"),
            ("a:b/é#?", "a%3Ab/%C3%A9%23%3F"),
        ];
        for (path, expected) in table {
            assert_eq!(uri(path), expected, "{path}");
        }
    }
}
