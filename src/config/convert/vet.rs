//! Checks that fields of every kind share.

use crate::config::id::{Id, PerId};
use crate::config::read::error::{At, ConfigError, MUST_NOT_BE_EMPTY, REQUIRED, unknown};
use crate::config::read::value::{Given, vet_each};
use crate::http::uri::Uri;

pub(super) fn uri(text: &str) -> Result<Uri, ConfigError> {
    Uri::parse(text).map_err(|error| ConfigError::here(&error.to_string()))
}

/// # Errors
/// Where the field is left out.
pub(super) fn required<T>(field: Given<T>) -> Result<T, ConfigError> {
    field.0.ok_or_else(|| ConfigError::here(REQUIRED))
}

/// # Errors
/// Where the field is left out, or empty.
#[inline(never)]
pub(super) fn required_text(field: Given<String>) -> Result<String, ConfigError> {
    required(field).and_then(not_empty)
}

#[inline(never)]
pub(super) fn not_empty(text: String) -> Result<String, ConfigError> {
    if text.is_empty() {
        Err(ConfigError::here(MUST_NOT_BE_EMPTY))
    } else {
        Ok(text)
    }
}

#[inline(never)]
pub(super) fn refuse_empty_items(items: &[String]) -> Result<(), ConfigError> {
    vet_each(items, &|item| {
        if item.is_empty() {
            Err(ConfigError::here(MUST_NOT_BE_EMPTY))
        } else {
            Ok(())
        }
    })
}

/// The values of a list that must name some, but where another field says that every one passes: then
/// there are none.
pub(super) fn listed_or_any(
    [field, any_field]: [&'static str; 2],
    (list, any): (Given<Vec<String>>, &Given<bool>),
) -> Result<Vec<String>, ConfigError> {
    let or_any = |problem: &str| {
        let problem = format!("{problem} (or {any_field}: true)");
        Err(ConfigError::new(field, &problem))
    };
    match (list.0, any.0 == Some(true)) {
        (None, true) => Ok(Vec::new()),
        (None, false) => or_any(REQUIRED),
        (Some(list), false) if list.is_empty() => or_any(MUST_NOT_BE_EMPTY),
        (Some(list), true) if !list.is_empty() => {
            let problem = format!("contradicts {field}");
            Err(ConfigError::new(any_field, &problem))
        }
        (Some(list), _) => {
            refuse_empty_items(&list).at(field)?;
            Ok(list)
        }
    }
}

#[inline(never)]
pub(super) fn at_most(most: u64, number: u64) -> Result<(), ConfigError> {
    if number <= most {
        Ok(())
    } else {
        Err(ConfigError::here(&format!("must be {most} at most")))
    }
}

/// What `written` names of a kind.
///
/// # Errors
/// Where there is nothing of that name, with what it may have stood for.
pub(super) fn named<Kind, T>(
    values: &PerId<Kind, T>,
    kind: &str,
    written: &str,
    name: &dyn Fn(&T) -> &str,
) -> Result<Id<Kind>, ConfigError> {
    let mut entries = values.entries();
    let found = entries.find(|(_, value)| name(value) == written);
    let names = &mut values.iter().map(name);
    found
        .map(|(id, _)| id)
        .ok_or_else(|| unknown(kind, written, names))
}
