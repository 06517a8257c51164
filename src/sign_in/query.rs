//! The parameters of a request to one of the filter's own paths (RFC 6749 section 4.1.2).
//!
//! Invariant: a parameter that is used comes only once, and no upstream or provider can read
//! another one in its place. Otherwise the request is refused.

use std::borrow::Cow;

use super::problem::Problem;
use crate::http::request::Request;

/// The longest value, in octets: that of a `state`.
const LONGEST: usize = crate::session::flow::LONGEST_STATE;

/// The value of a parameter.
///
/// # Errors
/// [`Problem::Malformed`] where it comes several times, or is too long.
pub(super) fn parameter<'r>(
    request: &'r Request,
    name: &str,
) -> Result<Option<Cow<'r, [u8]>>, Problem> {
    let mut own = request
        .parameters()
        .filter(|(known, _)| **known == *name.as_bytes())
        .map(|(_, value)| value);
    match (own.next(), own.next()) {
        (None, _) => Ok(None),
        (Some(value), None) if value.len() <= LONGEST => Ok(Some(value)),
        (Some(_), _) => Err(Problem::Malformed),
    }
}
