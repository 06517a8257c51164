//! Where a provider's tokens are in a request: raw to valid (`from_headers`, `from_params`,
//! `from_cookies`, `from_subprotocols`, `from_basic`).

use super::alb;
use super::header::{has_a_meaning, is_token};
use super::vet::{refuse_empty_items, required_text};
use crate::config::read::error::{At, ConfigError, GIVEN_TWICE};
use crate::config::read::raw::{
    NameOrCookie, RawFromBasic, RawFromHeader, RawFromSubprotocol, RawProvider,
};
use crate::http::chunks::is_part;
use crate::http::credentials::Place;

/// The most places of one provider: each is looked at with every request.
const MOST_PLACES: usize = 16;
/// Of the headers with a meaning, those that are there for credentials.
const CREDENTIALS: [&str; 2] = ["authorization", "proxy-authorization"];
/// The longest name or prefix, in bytes.
const LONGEST: usize = 256;

/// The places that are named, or the Authorization header alone (RFC 6750 section 2.3 tells
/// against the query).
pub(super) fn places(raw: &mut RawProvider) -> Result<Vec<Place>, ConfigError> {
    let headers = std::mem::take(&mut raw.from_headers);
    let parameters = std::mem::take(&mut raw.from_params);
    let cookies = std::mem::take(&mut raw.from_cookies);
    let subprotocols = std::mem::take(&mut raw.from_subprotocols);
    let mut places = Vec::new();
    let headers = headers.0.unwrap_or_default();
    add(
        "from_headers",
        &mut headers.into_iter().map(header),
        &mut places,
    )?;
    let names = parameters.0.unwrap_or_default();
    refuse_empty_items(&names).at("from_params")?;
    let mut parameters = names.into_iter().map(|name| Ok(Place::Parameter(name)));
    add("from_params", &mut parameters, &mut places)?;
    let cookies = cookies.0.unwrap_or_default();
    add(
        "from_cookies",
        &mut cookies.into_iter().map(cookie),
        &mut places,
    )?;
    let items = subprotocols.0.unwrap_or_default();
    add(
        "from_subprotocols",
        &mut items.into_iter().map(subprotocol),
        &mut places,
    )?;
    if let Some(raw) = std::mem::take(&mut raw.from_basic).0 {
        places.push(basic(raw).at("username").at("from_basic")?);
    }
    if places.len() > MOST_PLACES {
        return Err(ConfigError::here(&format!(
            "has more than {MOST_PLACES} places for tokens"
        )));
    }
    if places.is_empty() {
        places.push(match raw.aws_alb.0 {
            Some(_) => alb::place(),
            None => Place::bearer(),
        });
    }
    Ok(places)
}

/// Adds the places of a field, none of them twice.
fn add(
    field: &str,
    found: &mut dyn Iterator<Item = Result<Place, ConfigError>>,
    places: &mut Vec<Place>,
) -> Result<(), ConfigError> {
    for (index, place) in found.enumerate() {
        let new = place.and_then(|place| {
            if places.iter().any(|known| is_twice(known, &place)) {
                return Err(ConfigError::here(GIVEN_TWICE));
            }
            vet(&place, places)?;
            Ok(place)
        });
        places.push(new.at_item(index).at(field)?);
    }
    Ok(())
}

/// Checks that a token in a place has no request refused because of another place, nor the other way
/// round.
pub(super) fn vet(place: &Place, others: &[Place]) -> Result<(), ConfigError> {
    let mut barred = others
        .iter()
        .filter_map(|other| other.bars(place).or(place.bars(other)));
    match barred.next() {
        None => Ok(()),
        Some((own, name)) => Err(ConfigError::here(&format!(
            "a request with {name} would always be refused: some upstream takes it for {own}, or for a part of that"
        ))),
    }
}

/// Whether what is in one of these places is in the other.
fn is_twice(known: &Place, place: &Place) -> bool {
    match (known, place) {
        (Place::Chunks(name), Place::Cookie(cookie))
        | (Place::Cookie(cookie), Place::Chunks(name)) => is_part(cookie.as_bytes(), name),
        (Place::Subprotocol { prefix, .. }, Place::Subprotocol { prefix: other, .. }) => {
            prefix.eq_ignore_ascii_case(other)
        }
        (known, place) => known == place,
    }
}

fn cookie(NameOrCookie(raw): NameOrCookie) -> Result<Place, ConfigError> {
    let is_plain = raw.name.0.is_some() && raw.chunked.0.is_none();
    // A name alone is the item itself.
    let name = required_text(raw.name);
    let name = if is_plain { name } else { name.at("name") }?;
    Ok(match raw.chunked.0 {
        Some(true) => Place::Chunks(name),
        Some(false) | None => Place::Cookie(name),
    })
}

fn subprotocol(raw: RawFromSubprotocol) -> Result<Place, ConfigError> {
    let prefix = required_text(raw.prefix).at("prefix")?;
    if prefix.len() > LONGEST || !prefix.bytes().all(is_token) {
        return Err(ConfigError::new(
            "prefix",
            &format!("must be {LONGEST} bytes at most, of those that a subprotocol can have"),
        ));
    }
    Ok(Place::Subprotocol {
        prefix,
        base64url: raw.base64url.0.unwrap_or(false),
    })
}

fn basic(raw: RawFromBasic) -> Result<Place, ConfigError> {
    let username = raw.username.0;
    let is_name = |name: &String| {
        name.len() <= LONGEST && !name.contains(|c: char| c == ':' || c.is_control())
    };
    if !username.as_ref().is_none_or(is_name) {
        return Err(ConfigError::here(&format!(
            "must be {LONGEST} bytes at most, without colons and control characters"
        )));
    }
    Ok(Place::Basic { username })
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
