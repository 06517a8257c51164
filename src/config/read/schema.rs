//! The JSON Schema of the configuration (draft 2020-12), from the raw types.
//!
//! Invariant: it says what is written, not what is valid: whatever the filter takes passes it, and
//! an unknown name, a `null` or a value of another type does not. What contradicts what, and which
//! names exist, the filter alone can say.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::duration::Span;
use super::raw::{NameOrCookie, RawConfig, RawFromCookie};
use super::raw_rule::Signed;
use super::raw_sign_in::RawKeptClaim;
use super::reference;
use super::value::{Entries, Given, OnlyBool, Unsupported, Whole, camel_case};

/// The schema of the plugin's configuration.
#[must_use]
pub fn schema() -> Value {
    for_editors(from_types())
}

/// The reference of the plugin's configuration, in Markdown. Its links lead from `docs/`.
#[must_use]
pub fn reference() -> String {
    reference::markdown(&from_types())
}

fn from_types() -> Value {
    let generator = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = false)
        .into_generator();
    let mut schema = generator.into_root_schema_for::<RawConfig>();
    Aliases.transform(&mut schema);
    schema.insert("title".to_owned(), "bearer-gate".into());
    without_raw(schema.to_value())
}

/// Without what is there for the reference alone: the order of fields, and where links lead.
fn for_editors(value: Value) -> Value {
    match value {
        Value::Object(members) => members
            .into_iter()
            .filter(|(name, member)| !(name == "order" && member.is_array()))
            .map(|(name, member)| match (name.as_str(), member) {
                ("description", Value::String(text)) => (name, without_links(&text).into()),
                (_, member) => (name, for_editors(member)),
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(for_editors).collect(),
        other => other,
    }
}

/// A text in one line, in which `[a](b)` is `a`.
fn without_links(text: &str) -> String {
    let text = text.replace('\n', " ");
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, words, after)) = first_link(rest) {
        plain.push_str(before);
        plain.push_str(words);
        rest = after;
    }
    plain + rest
}

/// What stands before the first link, its words, and what stands after it.
fn first_link(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("](")?;
    let (before, words) = before.rsplit_once('[')?;
    let (_, after) = rest.split_once(')')?;
    Some((before, words, after))
}

/// Every name of several words is taken in lowerCamelCase too, as protobuf's JSON writes it.
struct Aliases;

impl Transform for Aliases {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let Some(object) = schema.as_object_mut() else {
            return;
        };
        let aliases: Map<String, Value> = match object.get("properties") {
            Some(Value::Object(properties)) => properties
                .iter()
                .filter(|(name, _)| name.contains('_'))
                .map(|(name, field)| (format!("^{}$", camel_case(name)), bare(field)))
                .collect(),
            _ => return,
        };
        if !aliases.is_empty() {
            object.insert("patternProperties".to_owned(), Value::Object(aliases));
        }
    }
}

/// A field's schema without what is said of it, which stands beside its first name.
fn bare(field: &Value) -> Value {
    let mut field = field.clone();
    if let Some(members) = field.as_object_mut() {
        members.remove("description");
        members.remove("default");
    }
    field
}

/// The types' names without their first syllable, which says something to their authors only.
fn without_raw(value: Value) -> Value {
    let bare = |name: String| name.strip_prefix("Raw").map_or(name.clone(), str::to_owned);
    match value {
        Value::Object(members) => members
            .into_iter()
            .map(|(name, member)| {
                let member = match (name.as_str(), member) {
                    ("$ref", Value::String(path)) => {
                        Value::String(path.replace("#/$defs/Raw", "#/$defs/"))
                    }
                    (_, member) => without_raw(member),
                };
                (bare(name), member)
            })
            .collect(),
        Value::Array(items) => items.into_iter().map(without_raw).collect(),
        other => other,
    }
}

impl<T: JsonSchema> JsonSchema for Given<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Entries_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let entry = generator.subschema_for::<T>();
        json_schema!({"type": "object", "additionalProperties": entry})
    }
}

impl JsonSchema for Whole {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Whole".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 0})
    }
}

impl JsonSchema for Signed {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Signed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer"},
            {"type": "string", "pattern": "^[+-]?[0-9]+$"}
        ]})
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let whole = generator.subschema_for::<Whole>();
        json_schema!({
            "description": "`5s`, `1.5s` or `{seconds: 5, nanos: 0}`, from 1 ms to 365 days",
            "anyOf": [
                {"type": "string", "pattern": "^[0-9]+(\\.[0-9]{1,9})?s$"},
                {
                    "type": "object",
                    "properties": {"seconds": whole, "nanos": whole},
                    "additionalProperties": false
                }
            ]
        })
    }
}

impl JsonSchema for RawKeptClaim {
    fn schema_name() -> Cow<'static, str> {
        "Claim".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`sub`, or `{groups: roles}` for a claim by another name",
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                    "minProperties": 1,
                    "maxProperties": 1
                }
            ]
        })
    }
}

impl JsonSchema for NameOrCookie {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "NameOrCookie".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let cookie = generator.subschema_for::<RawFromCookie>();
        json_schema!({"anyOf": [{"type": "string"}, cookie]})
    }
}

impl JsonSchema for Unsupported {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Unsupported".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"not": {}})
    }
}

impl<const POSITION: bool> JsonSchema for OnlyBool<POSITION> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Only_{POSITION}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let position: Value = json!({"const": POSITION});
        Schema::try_from(position).unwrap_or_default()
    }
}
