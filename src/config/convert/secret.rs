//! Secrets of the operator: raw to valid.
//!
//! Invariant: no refusal contains a secret, or a part of one.

use super::text::only;
use super::vet::not_empty;
use crate::config::read::error::{At, ConfigError};
use crate::config::read::raw_sign_in::RawSecret;
use crate::config::sign_in::{Environment, Secret};

/// The longest secret, in bytes. No person needs to remember it.
const LONGEST: usize = 1024;

/// A secret that also passes the test `vet`.
pub(super) fn convert(
    raw: RawSecret,
    environment: Environment<'_>,
    vet: &dyn Fn(&str) -> Result<(), ConfigError>,
) -> Result<Secret, ConfigError> {
    let Text { text, is_inline } = text(raw, environment)?;
    vetted(text, is_inline, vet).at(field(is_inline))
}

/// What a secret is written as.
pub(super) struct Text {
    pub text: String,
    pub is_inline: bool,
}

/// The field that has the text of a secret.
pub(super) fn field(is_inline: bool) -> &'static str {
    match is_inline {
        true => "inline_string",
        false => "environment_variable",
    }
}

/// The text of a secret, which is not vetted.
pub(super) fn text(raw: RawSecret, environment: Environment<'_>) -> Result<Text, ConfigError> {
    if raw.filename.0.is_some() {
        return Err(ConfigError::new(
            "filename",
            "a Wasm filter cannot read files, use environment_variable",
        ));
    }
    let secret = only([
        raw.environment_variable
            .0
            .map(|name| (variable(name, environment).at(field(false)), false)),
        raw.inline_string.0.map(|text| (Ok(text), true)),
    ]);
    let (text, is_inline) = secret.ok_or_else(|| {
        ConfigError::here("exactly one of environment_variable and inline_string is required")
    })?;
    let text = text?;
    Ok(Text { text, is_inline })
}

fn variable(name: String, environment: Environment<'_>) -> Result<String, ConfigError> {
    let name = not_empty(name)?;
    environment(&name).ok_or_else(|| {
        // A name with other characters may be the secret itself, in the wrong field.
        let is_usual = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'_');
        let name = match name.bytes().all(is_usual) {
            true => name.as_str(),
            false => "the variable",
        };
        ConfigError::here(&format!(
            "{name} is not set: Envoy hands on what vm_config.environment_variables names"
        ))
    })
}

fn vetted(
    text: String,
    is_inline: bool,
    vet: &dyn Fn(&str) -> Result<(), ConfigError>,
) -> Result<Secret, ConfigError> {
    if text.is_empty() {
        return Err(ConfigError::here("has an empty secret"));
    }
    if text.len() > LONGEST {
        let problem = format!("has a secret of more than {LONGEST} bytes");
        return Err(ConfigError::here(&problem));
    }
    // Such white space often remains from a file whose text became the variable.
    if text.trim() != text {
        return Err(ConfigError::here(
            "has a secret with white space at an end, as a line feed",
        ));
    }
    vet(&text)?;
    Ok(Secret::new(text, is_inline))
}
