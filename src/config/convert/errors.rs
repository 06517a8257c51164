//! How rejections are answered: raw to valid.
//!
//! Invariant: what is sent in place of a rejection's own status and body is fixed here, is a
//! status of an error, and is bounded.

use super::header::is_token;
use crate::config::read::error::{At, ConfigError, unknown};
use crate::config::read::raw::{RawCustom, RawErrors, RawFormat};
use crate::config::read::tree::Tree;
use crate::config::read::value::Whole;
use crate::http::response::{Body, Custom, Format, Rejection, Responses};

/// The longest body, in bytes: a page that says what to do, without its pictures.
const LONGEST_BODY: usize = 16 * 1024;
/// The longest media type with its parameters, in bytes.
const LONGEST_CONTENT_TYPE: usize = 256;
/// Errors by RFC 9110 section 15 that are not complete without a header that the filter does not
/// send: Allow, Proxy-Authenticate, Upgrade.
const INCOMPLETE: [u64; 3] = [405, 407, 426];

const STRIPPED: &str = "contradicts strip_failure_response";

/// Takes the form of bodies, and what is sent in place of them by a name of [`Rejection::names`].
pub(super) fn convert(raw: RawErrors, responses: &mut Responses) -> Result<(), ConfigError> {
    let strip = responses.strip;
    if strip && raw.format.0.is_some() {
        return Err(ConfigError::new("format", STRIPPED));
    }
    let include_reason = raw.include_reason.0.unwrap_or(false);
    if strip && include_reason {
        return Err(ConfigError::new("include_reason", STRIPPED));
    }
    let format = match raw.format.0 {
        Some(RawFormat::Json) | None => Format::Json,
        Some(RawFormat::Text) => Format::Text,
        Some(RawFormat::Problem) => Format::Problem,
    };
    if include_reason && format == Format::Text {
        let problem = "needs the format json or problem: a text has no members";
        return Err(ConfigError::new("include_reason", problem));
    }
    responses.format = format;
    responses.include_reason = include_reason;
    for (name, raw) in raw.by_reason.entries() {
        let custom = if strip && raw.body.0.is_some() {
            Err(ConfigError::new("body", STRIPPED))
        } else if Rejection::names().all(|known| known != name) {
            Err(unknown("reason", &name, &mut Rejection::names()))
        } else {
            custom(raw, format)
        };
        let custom = custom.at(&name).at("by_reason")?;
        responses.custom.insert(&name, custom);
    }
    Ok(())
}

fn custom(raw: RawCustom, format: Format) -> Result<Custom, ConfigError> {
    let status = raw.status.0.map(status).transpose().at("status")?;
    let body = match (raw.body.0, raw.content_type.0) {
        (None, None) if status.is_none() => {
            return Err(ConfigError::here("one of status and body is required"));
        }
        (None, None) => None,
        (None, Some(_)) => {
            return Err(ConfigError::new("content_type", "needs body"));
        }
        (Some(text), content_type) => Some(body(text, content_type, format)?),
    };
    Ok(Custom { status, body })
}

fn status(Whole(status): Whole) -> Result<u32, ConfigError> {
    u32::try_from(status)
        .ok()
        .filter(|_| (400..600).contains(&status) && !INCOMPLETE.contains(&status))
        .ok_or_else(|| {
            ConfigError::here("must be 400 to 599; 405, 407 and 426 need a header that is not sent")
        })
}

fn body(text: String, content_type: Option<String>, format: Format) -> Result<Body, ConfigError> {
    if text.len() > LONGEST_BODY {
        let problem = format!("must be {LONGEST_BODY} bytes at most");
        return Err(ConfigError::new("body", &problem));
    }
    let content_type = content_type.unwrap_or_else(|| format.content_type().to_owned());
    let Some(subtype) = subtype(&content_type) else {
        return Err(ConfigError::new(
            "content_type",
            &format!(
                "is not a media type, as text/html; charset=utf-8, of {LONGEST_CONTENT_TYPE} bytes at most"
            ),
        ));
    };
    let is_json = subtype.eq_ignore_ascii_case("json") || has_json_suffix(subtype);
    if is_json && !text.is_empty() && Tree::from_json(text.as_bytes()).is_err() {
        let problem = format!("is not JSON, and its content_type is {content_type}");
        return Err(ConfigError::new("body", &problem));
    }
    Ok(Body { text, content_type })
}

/// The subtype of a media type (RFC 9110 section 8.3.1) that can be a header's value as it is.
fn subtype(content_type: &str) -> Option<&str> {
    let (essence, parameters) = match content_type.split_once(';') {
        Some((essence, parameters)) => (essence.trim_ascii_end(), Some(parameters)),
        None => (content_type, None),
    };
    let (kind, subtype) = essence.split_once('/')?;
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(is_token);
    let are_parameters =
        |text: &str| text.contains('=') && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    (is_name(kind)
        && is_name(subtype)
        && parameters.is_none_or(are_parameters)
        && content_type.len() <= LONGEST_CONTENT_TYPE)
        .then_some(subtype)
}

/// Whether a subtype is a kind of JSON (RFC 6839 section 3.1).
fn has_json_suffix(subtype: &str) -> bool {
    subtype
        .rsplit_once('+')
        .is_some_and(|(_, suffix)| suffix.eq_ignore_ascii_case("json"))
}
