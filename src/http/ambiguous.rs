//! What a request can leave open, so that different upstreams would read it differently.
//!
//! Invariant: a rule or a place never decides by one of several readings. Either all of them lead
//! to one answer, or the request is refused, by what is named here.

use crate::jose::error::reasons;

reasons! {
/// The part of a request that has several readings, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguous {
    /// See [`super::path`]; also no path at all.
    Path: "unsafe_path" = "The request path is ambiguous",
    /// See [`super::method`].
    Method: "unsafe_method" = "The request method is ambiguous",
    /// See [`super::authority`].
    Host: "unsafe_host" = "The request host is ambiguous",
    /// A header or a cookie that was sent in several lines or under several names, where they do
    /// not lead to the same answer.
    Header: "unsafe_header" = "A request header is ambiguous",
    /// The same of a parameter of the query.
    Query: "unsafe_query" = "The request query is ambiguous",
    /// A header that is to have one token and has a list.
    TokenList: "token_list" = "A header for one token has a list",
}
}
