//! What one place of a request holds.

use std::borrow::Cow;

use super::ambiguous::Ambiguous;

/// What a place holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extracted<'r> {
    /// Nothing, another scheme, or a scheme without a value.
    Missing,
    /// The token's bytes. They are not checked, and may not be UTF-8.
    Token(Cow<'r, [u8]>),
    /// More than one credential, at least one of them meant for this place.
    Several,
    /// Only some upstreams would take it for a token in this place, or it is a list.
    Ambiguous(Ambiguous),
}

impl<'r> Extracted<'r> {
    /// The one of these values that there is.
    pub(super) fn one(mut values: impl Iterator<Item = Cow<'r, [u8]>>) -> Self {
        match (values.next(), values.next()) {
            (None, _) => Self::Missing,
            (Some(value), None) => Self::Token(value),
            (Some(_), Some(_)) => Self::Several,
        }
    }
}
