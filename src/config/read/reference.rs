//! The reference of the configuration as Markdown: a table for each object, from the same types as
//! the schema.
//!
//! Invariant: nothing is said here. What a field means, its default and whether it is an addition to
//! jwt_authn stands at the field, in `raw` and `raw_rule`.

use std::fmt::Write as _;

use serde_json::Value;

/// The object that has no name of its own.
const TOP: &str = "Top level";

/// How the meaning of a field begins that jwt_authn does not have.
const ADDITION: &str = "Addition: ";

/// The tables, each below a heading: first the top level, then each object after the field that is
/// the first to hold one.
pub(super) fn markdown(schema: &Value) -> String {
    let mut objects: Vec<(&str, &Value)> = Vec::new();
    walk(schema, TOP, schema, &mut objects);
    let mut text = String::new();
    for (name, object) in objects {
        section(&mut text, schema, name, object);
    }
    text
}

/// Adds an object, and then those that its fields hold, in their order.
fn walk<'a>(
    schema: &'a Value,
    name: &'a str,
    object: &'a Value,
    seen: &mut Vec<(&'a str, &'a Value)>,
) {
    if seen.iter().any(|(known, _)| *known == name) {
        return;
    }
    seen.push((name, object));
    for (_, field) in fields(object) {
        if let Some((name, object)) = object_in(schema, field)
            && fields(object).next().is_some()
        {
            walk(schema, name, object, seen);
        }
    }
}

/// An object's fields in the order of its type.
fn fields(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let order = object.get("order").and_then(Value::as_array);
    let names = order.into_iter().flatten().filter_map(Value::as_str);
    names.filter_map(|name| {
        let name = name.strip_prefix("r#").unwrap_or(name);
        Some((name, object.get("properties")?.get(name)?))
    })
}

/// The object of a schema, of its items or of its entries.
fn object_in<'a>(schema: &'a Value, field: &'a Value) -> Option<(&'a str, &'a Value)> {
    match field.get("$ref").and_then(Value::as_str) {
        Some(path) => {
            let name = path.strip_prefix("#/$defs/")?;
            Some((name, schema.get("$defs")?.get(name)?))
        }
        None => ["items", "additionalProperties"]
            .iter()
            .filter_map(|part| field.get(part))
            .chain(choices(field))
            .find_map(|part| object_in(schema, part)),
    }
}

/// The schemas of which a value has one.
fn choices(value: &Value) -> impl Iterator<Item = &Value> {
    let choices = value.get("anyOf").and_then(Value::as_array);
    choices.into_iter().flatten()
}

fn section(text: &mut String, schema: &Value, name: &str, object: &Value) {
    // Writing to a string does not fail.
    let _ = write!(text, "\n### {name}\n\n");
    if name != TOP {
        let _ = write!(text, "{}\n\n", words(object));
    }
    let required = object.get("required").and_then(Value::as_array);
    let mut refused = Vec::new();
    text.push_str("| field | type | default | meaning |\n|---|---|---|---|\n");
    for (field, value) in fields(object) {
        let meaning = words(value);
        if value.get("not").is_some() {
            refused.push(format!("`{field}`"));
            continue;
        }
        let (mark, meaning) = match meaning.strip_prefix(ADDITION) {
            Some(meaning) => (" +", capitalized(meaning)),
            None => ("", meaning),
        };
        let is_required = required
            .into_iter()
            .flatten()
            .any(|name| name.as_str() == Some(field));
        let default = match value.get("default") {
            Some(default) => code(default),
            None if is_required => "required".to_owned(),
            None => String::new(),
        };
        let kind = kind(schema, value);
        let _ = writeln!(text, "| `{field}`{mark} | {kind} | {default} | {meaning} |");
    }
    if !refused.is_empty() {
        let _ = write!(text, "\nRefused by name: {}.\n", refused.join(", "));
    }
}

/// What is said of an object or a field, in one line.
fn words(value: &Value) -> String {
    let description = value.get("description").and_then(Value::as_str);
    description.unwrap_or_default().replace('\n', " ")
}

fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next()
        .map(|first| first.to_uppercase().chain(rest).collect())
        .unwrap_or_default()
}

/// A value as it is written in YAML.
fn code(value: &Value) -> String {
    let plain = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    };
    format!("`{plain}`")
}

/// What may be written, in the words of people.
fn kind(schema: &Value, value: &Value) -> String {
    if let Some((name, object)) = value
        .get("$ref")
        .is_some()
        .then(|| object_in(schema, value))
        .flatten()
    {
        return named(name, object);
    }
    if let Some(only) = value.get("const") {
        return code(only);
    }
    match value.get("type").and_then(Value::as_str) {
        Some("string") => "string".to_owned(),
        Some("boolean") => "boolean".to_owned(),
        Some("integer") => "number".to_owned(),
        Some("array") => {
            let items = value.get("items").unwrap_or(&Value::Null);
            let kind = kind(schema, items);
            let plural = if kind == "string" { "s" } else { "" };
            format!("list of {kind}{plural}")
        }
        Some("object") => {
            let entries = value.get("additionalProperties").unwrap_or(&Value::Null);
            format!("{} by name", kind(schema, entries))
        }
        Some(_) => "value".to_owned(),
        None if object_in(schema, value).is_some() => {
            let kinds: Vec<String> = choices(value).map(|choice| kind(schema, choice)).collect();
            kinds.join(" or ")
        }
        None if value.get("anyOf").is_some() => "number".to_owned(),
        None => "any".to_owned(),
    }
}

fn named(name: &str, object: &Value) -> String {
    let choices = object.get("enum").and_then(Value::as_array);
    if let Some(choices) = choices {
        let choices: Vec<String> = choices.iter().map(code).collect();
        choices.join(", ")
    } else if fields(object).next().is_some() {
        format!("[{name}](#{})", name.to_lowercase())
    } else {
        name.to_lowercase()
    }
}
