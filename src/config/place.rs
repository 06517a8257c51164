//! Where a provider's tokens are in a request: raw to valid (`from_headers`, `from_params`,
//! `from_cookies`).

use super::error::{ConfigError, join};
use super::header::is_token;
use super::provider::{not_empty, refuse_empty_items};
use super::raw::RawFromHeader;
use super::value::Given;
use crate::http::credentials::Place;

/// The most places of one provider: each is looked at with every request.
const MOST_PLACES: usize = 16;
/// The longest name or prefix, in bytes.
const LONGEST: usize = 256;

/// The places that are named, or the Authorization header alone (RFC 6750 section 2.3 tells
/// against the query).
pub(super) fn places(
    path: &str,
    headers: Given<Vec<RawFromHeader>>,
    parameters: Given<Vec<String>>,
    cookies: Given<Vec<String>>,
) -> Result<Vec<Place>, ConfigError> {
    let mut places = Vec::new();
    for (index, raw) in headers.0.unwrap_or_default().into_iter().enumerate() {
        let path = format!("{path}.from_headers[{index}]");
        let name_path = join(&path, "name");
        let name = not_empty(&name_path, raw.name.0)?.to_ascii_lowercase();
        if !name.bytes().all(is_token) || name.len() > LONGEST {
            return Err(ConfigError::new(name_path, "is not a header name"));
        }
        if matches!(name.as_str(), "cookie" | "host") {
            return Err(ConfigError::new(
                name_path,
                "is a header with a form of its own (for a cookie use from_cookies)",
            ));
        }
        let prefix = raw.value_prefix.0.unwrap_or_default();
        let is_text = |c: char| c != ',' && !c.is_control();
        if prefix.len() > LONGEST || !prefix.chars().all(is_text) {
            return Err(ConfigError::new(
                join(&path, "value_prefix"),
                format!("must be {LONGEST} bytes at most, without commas and control characters"),
            ));
        }
        places.push((path, Place::Header { name, prefix }));
    }
    for (field, names, place) in [
        (
            "from_params",
            parameters,
            Place::Parameter as fn(String) -> Place,
        ),
        ("from_cookies", cookies, Place::Cookie),
    ] {
        let path = join(path, field);
        let names = names.0.unwrap_or_default();
        refuse_empty_items(&path, &names)?;
        for (index, name) in names.into_iter().enumerate() {
            places.push((format!("{path}[{index}]"), place(name)));
        }
    }
    if places.len() > MOST_PLACES {
        return Err(ConfigError::new(
            path,
            format!("has more than {MOST_PLACES} places for tokens"),
        ));
    }
    let mut distinct: Vec<Place> = Vec::with_capacity(places.len());
    for (path, place) in places {
        if distinct.contains(&place) {
            return Err(ConfigError::new(path, "given twice"));
        }
        distinct.push(place);
    }
    if distinct.is_empty() {
        distinct.push(Place::bearer());
    }
    Ok(distinct)
}
