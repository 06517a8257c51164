//! The configuration as a tree, in whichever form it arrived: JSON text or a Struct.
//!
//! Invariant: what is taken out of it is of the kind that was asked for, an object that has a name
//! twice is refused, and no error tells a value: it may be a secret in the wrong place.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::error::{At, ConfigError};
use crate::named::Named;

/// A value of JSON, with the members of its objects as they were written.
pub(in crate::config) enum Tree {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    Array(Vec<Self>),
    Object(Vec<(String, Self)>),
}

impl Tree {
    /// Reads JSON text. Nesting is bounded by `serde_json`'s limit of 128.
    pub(in crate::config) fn from_json(text: &[u8]) -> Result<Self, ConfigError> {
        serde_json::from_slice(text)
            .map_err(|error| ConfigError::here(&format!("not valid JSON: {error}")))
    }

    /// The members of an object, each name once.
    pub(in crate::config) fn members(
        self,
        expected: &str,
    ) -> Result<Vec<(String, Self)>, ConfigError> {
        let Self::Object(members) = self else {
            return Err(self.unlike(expected));
        };
        let mut names = Named::default();
        for (name, _) in &members {
            if names.get(name).is_some() {
                return Err(ConfigError::given_twice(name));
            }
            names.insert(name, ());
        }
        Ok(members)
    }

    /// The items of an array.
    pub(in crate::config) fn items(self) -> Result<Vec<Self>, ConfigError> {
        match self {
            Self::Array(items) => Ok(items),
            other => Err(other.unlike("a sequence")),
        }
    }

    /// The same as a value of `serde_json`.
    pub(in crate::config) fn into_value(self) -> Result<Value, ConfigError> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Unsigned(number) => number.into(),
            Self::Signed(number) => number.into(),
            Self::Float(number) => number.into(),
            Self::Text(text) => Value::String(text),
            Self::Array(items) => {
                let mut values = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    values.push(item.into_value().at_item(index)?);
                }
                Value::Array(values)
            }
            Self::Object(_) => {
                let mut object = Map::new();
                for (name, member) in self.members("an object")? {
                    let member = member.into_value().at(&name)?;
                    object.insert(name, member);
                }
                Value::Object(object)
            }
        })
    }

    /// Its being of another kind than the `expected` one.
    #[cold]
    pub(in crate::config) fn unlike(&self, expected: &str) -> ConfigError {
        ConfigError::here(&format!("invalid type: {self}, expected {expected}"))
    }

    /// Its being of the `expected` kind, but none of it.
    #[cold]
    pub(in crate::config) fn not_among(&self, expected: &str) -> ConfigError {
        ConfigError::here(&format!("invalid value: {self}, expected {expected}"))
    }
}

/// Only its kind: a wrong value may be a secret.
impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Unsigned(_) | Self::Signed(_) => "integer",
            Self::Float(_) => "floating point",
            Self::Text(_) => "string",
            Self::Array(_) => "sequence",
            Self::Object(_) => "map",
        })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Signed(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}
