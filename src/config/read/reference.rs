//! What the README's configuration reference says of each field, for the schema.
//!
//! Invariant: a field is described once, in the README. That it has every field is what a test of
//! the schema is for.

use serde_json::Value;

const README: &str = include_str!("../../../README.md");

/// The types whose fields are described below a heading; empty is the configuration itself.
const SECTIONS: [(&str, &[&str]); 4] = [
    ("Top level", &[""]),
    ("Provider", &["Provider"]),
    (
        "Keys",
        &[
            "RemoteJwks",
            "Discovery",
            "RetryPolicy",
            "BackOff",
            "AsyncFetch",
            "LocalJwks",
        ],
    ),
    ("Rules", &["Rule", "Match", "Requires", "Authorize"]),
];

/// Adds descriptions and defaults to the fields of a schema, where they have none.
pub(in crate::config) fn describe(schema: &mut Value) {
    let reference = README
        .split_once("\n## Configuration reference\n")
        .map_or("", |(_, rest)| rest);
    let reference = reference
        .split_once("\n## ")
        .map_or(reference, |(reference, _)| reference);
    let mut types: &[&str] = &[];
    for line in reference.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            let section = SECTIONS.iter().find(|(name, _)| *name == heading);
            types = section.map_or(&[], |(_, types)| types);
        } else if let Some(row) = line
            .strip_prefix("| ")
            .and_then(|row| row.strip_suffix(" |"))
        {
            let cells: Vec<&str> = row.split(" | ").collect();
            let (Some(names), Some(meaning)) = (cells.first(), cells.last()) else {
                continue;
            };
            let default = cells
                .get(1)
                .filter(|_| cells.len() == 3)
                .and_then(|cell| default(cell));
            for name in names.split('`').skip(1).step_by(2) {
                // `retry_policy.num_retries`, `safe_regex: {regex}`
                let path = name.split(':').next().unwrap_or_default();
                let field = path.rsplit('.').next().unwrap_or_default();
                for owner in types {
                    say(schema, owner, field, meaning, default.as_ref());
                }
            }
        }
    }
}

fn say(schema: &mut Value, owner: &str, field: &str, meaning: &str, default: Option<&Value>) {
    let properties = match owner {
        "" => "/properties".to_owned(),
        owner => format!("/$defs/{owner}/properties"),
    };
    let field = schema
        .pointer_mut(&properties)
        .and_then(|properties| properties.get_mut(field))
        .and_then(Value::as_object_mut);
    let Some(field) = field.filter(|field| !field.contains_key("description")) else {
        return;
    };
    if !meaning.is_empty() {
        let meaning = meaning.trim_start_matches("| ");
        field.insert("description".to_owned(), meaning.into());
    }
    if let Some(default) = default {
        field.insert("default".to_owned(), default.clone());
    }
}

/// A default that is a value: `true`, 60, `600s` or `[scope, scp]`.
fn default(cell: &str) -> Option<Value> {
    let bare = cell.trim_matches('`');
    if let Ok(value) = serde_json::from_str(bare) {
        return Some(value);
    }
    let code = cell.strip_prefix('`')?.strip_suffix('`')?;
    match code
        .strip_prefix('[')
        .and_then(|list| list.strip_suffix(']'))
    {
        Some(list) => Some(list.split(", ").map(Value::from).collect()),
        None => (!code.contains('`')).then(|| code.into()),
    }
}
