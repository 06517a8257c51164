//! What every raw form is made of, and how it is read out of a [`Tree`].
//!
//! Every kind of object is read by the one [`read_object`], which knows an object's fields by
//! their names and as places to fill. Code that serde derives for each type would be a fifth of
//! the module, all of which Envoy compiles before it takes a request.
//!
//! Invariant: `null` is not "left out", an array is not an object, and a name stands once.

use serde_json::Value;

use super::error::{At, ConfigError, GIVEN_TWICE, MUST_NOT_BE_EMPTY, unknown};
use super::tree::Tree;

/// What a value of the configuration is read as.
pub(in crate::config) trait FromTree: Sized {
    /// # Errors
    /// What is wrong, with the path from this value.
    fn from_tree(tree: Tree) -> Result<Self, ConfigError>;
}

/// A field of an object, to be filled with what is written there.
pub(in crate::config) trait Field {
    /// # Errors
    /// What is wrong, with the path from this field.
    fn fill(&mut self, tree: Tree) -> Result<(), ConfigError>;
}

/// An object with fields of its own.
pub(in crate::config) trait Object: Default {
    /// What it is, in an error.
    const EXPECTED: &'static str;

    /// Whether an unknown name may be a secret, so that no error shows it.
    const HIDES_NAMES: bool = false;

    /// Every field, by its name in lower_snake_case.
    fn fields(&mut self) -> Vec<(&'static str, &mut dyn Field)>;
}

/// Declares objects; the text of each is what an error says was expected in its place.
///
/// What is written above an object and its fields is the reference of the configuration (see
/// `super::reference`). So is a field's default: the value that stands for the field when it is
/// left out, where there is one. A field that `jwt_authn` does not have begins with "Addition: ".
macro_rules! objects {
    ($(
        $(#[$attribute:meta])*
        pub struct $object:ident: $expected:literal $(, HIDES_NAMES = $hides:literal)? {
            $($(#[$of_field:meta])* $visibility:vis $field:ident: $type:ty $(= $default:expr)?,)*
        }
    )*) => {$(
        #[derive(Default)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
        #[cfg_attr(feature = "schema", schemars(extend("order" = [$(stringify!($field)),*])))]
        $(#[$attribute])*
        pub(crate) struct $object {
            $(
                $(#[$of_field])*
                $(#[cfg_attr(feature = "schema", schemars(extend("default" = $default)))])?
                $visibility $field: $type,
            )*
        }

        impl $crate::config::read::value::Object for $object {
            const EXPECTED: &'static str = $expected;
            $(const HIDES_NAMES: bool = $hides;)?

            fn fields(&mut self) -> Vec<(&'static str, &mut dyn $crate::config::read::value::Field)> {
                vec![$((stringify!($field), &mut self.$field)),*]
            }
        }
    )*};
}

pub(in crate::config) use objects;

impl<T: Object> FromTree for T {
    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        let mut object = T::default();
        read_object(tree, T::EXPECTED, T::HIDES_NAMES, object.fields())?;
        Ok(object)
    }
}

fn read_object(
    tree: Tree,
    expected: &str,
    hides_names: bool,
    fields: Vec<(&'static str, &mut dyn Field)>,
) -> Result<(), ConfigError> {
    let names: Vec<&str> = fields.iter().map(|(name, _)| bare(name)).collect();
    let showable = |error: ConfigError| {
        let is_field = |name: &&str| is_spelling(error.path(), name);
        if hides_names && !names.iter().any(is_field) {
            ConfigError::here(error.problem())
        } else {
            error
        }
    };
    let mut rest: Vec<Option<&mut dyn Field>> =
        fields.into_iter().map(|(_, field)| Some(field)).collect();
    for (name, tree) in tree.members(expected).map_err(showable)? {
        let at = names.iter().position(|known| is_spelling(&name, known));
        let Some(field) = at.and_then(|at| rest.get_mut(at)) else {
            return Err(showable(unknown_field(&name, &names)));
        };
        field
            .take()
            .ok_or_else(|| ConfigError::given_twice(&name))?
            .fill(tree)
            .at(&name)?;
    }
    Ok(())
}

/// A field's name without what Rust needs before `match`.
fn bare(name: &'static str) -> &'static str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// Whether `written` is `name`, which protobuf's JSON writes in lowerCamelCase.
fn is_spelling(written: &str, name: &str) -> bool {
    written == name || (is_camel_case(written) && written == camel_case(name))
}

fn is_camel_case(name: &str) -> bool {
    name.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// A name in lower_snake_case as it is in lowerCamelCase.
pub(in crate::config) fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |camel, word| {
        let (head, tail) = word.split_at_checked(1).unwrap_or((word, ""));
        camel + &head.to_ascii_uppercase() + tail
    })
}

/// A name that no field has. What it may have stood for is told in its author's own spelling.
#[cold]
fn unknown_field(written: &str, names: &[&str]) -> ConfigError {
    if is_camel_case(written) {
        let names: Vec<String> = names.iter().map(|name| camel_case(name)).collect();
        unknown("field", written, &mut names.iter().map(String::as_str))
    } else {
        unknown("field", written, &mut names.iter().copied())
    }
    .within(written)
}

/// Converts a list's items, one by one.
#[inline(never)]
pub(in crate::config) fn each<T, U>(
    items: Vec<T>,
    convert: &mut dyn FnMut(T) -> Result<U, ConfigError>,
) -> Result<Vec<U>, ConfigError> {
    let mut converted = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        converted.push(convert(item).at_item(index)?);
    }
    Ok(converted)
}

/// Vets a list's items, one by one.
pub(in crate::config) fn vet_each<T>(
    items: &[T],
    vet: &dyn Fn(&T) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    items
        .iter()
        .enumerate()
        .try_for_each(|(index, item)| vet(item).at_item(index))
}

/// A list that says nothing is a slip.
pub(in crate::config) fn filled<T>(items: Vec<T>) -> Result<Vec<T>, ConfigError> {
    if items.is_empty() {
        Err(ConfigError::here(MUST_NOT_BE_EMPTY))
    } else {
        Ok(items)
    }
}

/// Converts a list's items, none of which may come to the same as another.
pub(in crate::config) fn each_once<T: PartialEq>(
    items: &[String],
    convert: &dyn Fn(&str) -> Result<T, ConfigError>,
) -> Result<Vec<T>, ConfigError> {
    let mut converted = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let item = convert(item).at_item(index)?;
        if converted.contains(&item) {
            return Err(ConfigError::here(GIVEN_TWICE)).at_item(index);
        }
        converted.push(item);
    }
    Ok(converted)
}

/// A field that may be left out, but not be `null`.
pub(crate) struct Given<T>(pub Option<T>);

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: FromTree> Field for Given<T> {
    fn fill(&mut self, tree: Tree) -> Result<(), ConfigError> {
        self.0 = Some(T::from_tree(tree)?);
        Ok(())
    }
}

impl FromTree for bool {
    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        match tree {
            Tree::Bool(value) => Ok(value),
            other => Err(other.unlike("a boolean")),
        }
    }
}

impl FromTree for String {
    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        match tree {
            Tree::Text(text) => Ok(text),
            other => Err(other.unlike("a string")),
        }
    }
}

impl FromTree for Tree {
    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        Ok(tree)
    }
}

impl FromTree for Value {
    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        tree.into_value()
    }
}

impl<T: FromTree> FromTree for Vec<T> {
    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        let mut items = Self::new();
        read_items(tree, &mut |item| {
            items.push(T::from_tree(item)?);
            Ok(())
        })?;
        Ok(items)
    }
}

/// Reads a list, item by item, in one place for all that lists are of.
fn read_items(
    tree: Tree,
    read: &mut dyn FnMut(Tree) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    for (index, item) in tree.items()?.into_iter().enumerate() {
        read(item).at_item(index)?;
    }
    Ok(())
}

/// Reads each of these from its word.
macro_rules! words {
    ($($raw:ident { $($word:literal => $variant:ident,)* })*) => {$(
        impl $crate::config::read::value::FromTree for $raw {
            fn from_tree(
                tree: $crate::config::read::tree::Tree,
            ) -> Result<Self, $crate::config::read::error::ConfigError> {
                match String::from_tree(tree)?.as_str() {
                    $($word => Ok($raw::$variant),)*
                    _ => Err($crate::config::read::value::unknown_word(&[$($word),*])),
                }
            }
        }
    )*};
}

pub(in crate::config) use words;

/// What was written is not told, as nowhere (see [`Tree`]).
pub(in crate::config) fn unknown_word(words: &[&str]) -> ConfigError {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    let words = match words.as_slice() {
        [first, second] => format!("{first} or {second}"),
        words => format!("one of {}", words.join(", ")),
    };
    ConfigError::here(&format!("unknown variant, expected {words}"))
}

/// A whole number. The numbers of a Struct are doubles, so `5.0` is one.
#[derive(Clone, Copy)]
pub(crate) struct Whole(pub u64);

impl FromTree for Whole {
    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        const EXPECTED: &str = "a whole number from 0";
        let number = match &tree {
            Tree::Unsigned(number) => Some(*number),
            Tree::Float(number) => whole(*number).and_then(|number| u64::try_from(number).ok()),
            Tree::Signed(_) => None,
            _ => return Err(tree.unlike(EXPECTED)),
        };
        number.map(Whole).ok_or_else(|| tree.not_among(EXPECTED))
    }
}

/// The whole number that a double is. Beyond 2^53 it no longer says which one was meant.
pub(in crate::config) fn whole(double: f64) -> Option<i64> {
    (double.fract() == 0.0 && double.abs() <= 9_007_199_254_740_992.0).then_some(double as i64)
}

/// An object with names of the operator's choice, in the order written.
pub(crate) struct Entries<T>(pub Vec<(String, T)>);

impl<T> Given<Entries<T>> {
    /// The entries; none where the field is left out.
    pub(in crate::config) fn entries(self) -> Vec<(String, T)> {
        self.0.map(|Entries(entries)| entries).unwrap_or_default()
    }
}

impl<T: FromTree> FromTree for Entries<T> {
    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        let mut entries = Vec::new();
        read_entries(tree, &mut |name, member| {
            entries.push((name.to_owned(), T::from_tree(member)?));
            Ok(())
        })?;
        Ok(Self(entries))
    }
}

/// Reads an object of named entries, one by one, in one place for all that entries are.
fn read_entries(
    tree: Tree,
    read: &mut dyn FnMut(&str, Tree) -> Result<(), ConfigError>,
) -> Result<(), ConfigError> {
    for (name, member) in tree.members("an object of named entries")? {
        read(&name, member).at(&name)?;
    }
    Ok(())
}

/// A field that only has to be present.
pub(crate) struct Anything;

impl FromTree for Anything {
    fn from_tree(_: Tree) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

/// Why a field of jwt_authn is refused.
const UNSUPPORTED: &str = "not supported by this version of bearer-gate";

/// A field that jwt_authn has and this version has not.
#[derive(Default)]
pub(crate) struct Unsupported;

impl Field for Unsupported {
    fn fill(&mut self, _: Tree) -> Result<(), ConfigError> {
        Err(ConfigError::here(UNSUPPORTED))
    }
}

/// A switch of jwt_authn that this version knows in one position: the one that it is in when
/// the field is left out.
#[derive(Default)]
pub(crate) struct OnlyBool<const POSITION: bool>;

impl<const POSITION: bool> Field for OnlyBool<POSITION> {
    fn fill(&mut self, tree: Tree) -> Result<(), ConfigError> {
        if bool::from_tree(tree)? == POSITION {
            Ok(())
        } else {
            Err(ConfigError::here(UNSUPPORTED))
        }
    }
}
