//! The parts of a request that different upstreams could read in different ways.
//!
//! Invariant: a rule or a place never decides by one of several readings. Either all of them lead
//! to one answer, or the request is refused, by what is named here.

use crate::jose::error::reasons;

reasons! {
/// The part of a request that has several readings, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguous {
    /// The path; see [`super::path`]. It may also be missing.
    Path: "unsafe_path" = "The request path is ambiguous",
    /// The method; see [`super::method`].
    Method: "unsafe_method" = "The request method is ambiguous",
    /// The host; see [`super::authority`].
    Host: "unsafe_host" = "The request host is ambiguous",
    /// A header or a cookie that was sent in several lines or under several names, which do not all
    /// lead to the same answer.
    Header: "unsafe_header" = "A request header is ambiguous",
    /// A parameter of the query, for the same reason.
    Query: "unsafe_query" = "The request query is ambiguous",
    /// A header that should have one token and has a list.
    TokenList: "token_list" = "A header for one token has a list",
}
}
