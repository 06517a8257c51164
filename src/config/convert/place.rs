//! Where a provider's tokens are in a request: raw to valid (`from_headers`, `from_params`,
//! `from_cookies`).

use super::header::{has_a_meaning, is_token};
use super::vet::{refuse_empty_items, required_text};
use crate::config::read::error::{At, ConfigError, GIVEN_TWICE};
use crate::config::read::raw::RawFromHeader;
use crate::config::read::value::Given;
use crate::http::credentials::Place;

/// The most places of one provider: each is looked at with every request.
const MOST_PLACES: usize = 16;
/// Of the headers with a meaning, those that are there for credentials.
const CREDENTIALS: [&str; 2] = ["authorization", "proxy-authorization"];
/// The longest name or prefix, in bytes.
const LONGEST: usize = 256;

/// The places that are named, or the Authorization header alone (RFC 6750 section 2.3 tells
/// against the query).
pub(super) fn places(
    headers: Given<Vec<RawFromHeader>>,
    parameters: Given<Vec<String>>,
    cookies: Given<Vec<String>>,
) -> Result<Vec<Place>, ConfigError> {
    let mut places = Vec::new();
    for (index, raw) in headers.0.unwrap_or_default().into_iter().enumerate() {
        header(raw)
            .and_then(|place| add(place, &mut places))
            .at_item(index)
            .at("from_headers")?;
    }
    for (field, names, place) in [
        (
            "from_params",
            parameters,
            Place::Parameter as fn(String) -> Place,
        ),
        ("from_cookies", cookies, Place::Cookie),
    ] {
        let names = names.0.unwrap_or_default();
        refuse_empty_items(&names).at(field)?;
        for (index, name) in names.into_iter().enumerate() {
            add(place(name), &mut places).at_item(index).at(field)?;
        }
    }
    if places.len() > MOST_PLACES {
        return Err(ConfigError::here(&format!(
            "has more than {MOST_PLACES} places for tokens"
        )));
    }
    if places.is_empty() {
        places.push(Place::bearer());
    }
    Ok(places)
}

fn add(place: Place, places: &mut Vec<Place>) -> Result<(), ConfigError> {
    if places.contains(&place) {
        return Err(ConfigError::here(GIVEN_TWICE));
    }
    places.push(place);
    Ok(())
}

fn header(raw: RawFromHeader) -> Result<Place, ConfigError> {
    let name = required_text(raw.name).at("name")?;
    let name = name.to_ascii_lowercase();
    if !name.bytes().all(is_token) || name.len() > LONGEST {
        return Err(ConfigError::new("name", "is not a header name"));
    }
    // The filter takes a token's header out of the request.
    if has_a_meaning(&name) && !CREDENTIALS.contains(&name.as_str()) {
        return Err(ConfigError::new(
            "name",
            "is a header with a meaning of its own (for a cookie use from_cookies)",
        ));
    }
    let prefix = raw.value_prefix.0.unwrap_or_default();
    let is_text = |c: char| c != ',' && !c.is_control();
    if prefix.len() > LONGEST || !prefix.chars().all(is_text) {
        return Err(ConfigError::new(
            "value_prefix",
            &format!("must be {LONGEST} bytes at most, without commas and control characters"),
        ));
    }
    if prefix.starts_with(' ') {
        return Err(ConfigError::new(
            "value_prefix",
            "never matches: white space around a value is no part of it",
        ));
    }
    Ok(Place::Header { name, prefix })
}
