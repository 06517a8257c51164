//! What a request can leave open, so that different upstreams would read it differently.
//!
//! Invariant: a rule or a place never decides by one of several readings. Either all of them lead
//! to one answer, or the request is refused, by what is named here.

/// The part of a request that has several readings, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ambiguous {
    /// See [`super::path`]; also no path at all.
    Path,
    /// See [`super::method`].
    Method,
    /// See [`super::authority`].
    Host,
    /// A header or a cookie that was sent in several lines or under several names, where they do
    /// not lead to the same answer.
    Header,
    /// The same of a parameter of the query.
    Query,
    /// A header that is to have one token and has a list.
    TokenList,
}

impl Ambiguous {
    /// All of them.
    pub const ALL: [Ambiguous; 6] = [
        Ambiguous::Path,
        Ambiguous::Method,
        Ambiguous::Host,
        Ambiguous::Header,
        Ambiguous::Query,
        Ambiguous::TokenList,
    ];

    /// The reason as metrics and logs name it.
    #[must_use]
    pub fn reason(self) -> &'static str {
        self.words().0
    }

    /// What a client is told.
    #[must_use]
    pub fn description(self) -> &'static str {
        self.words().1
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Ambiguous::Path => ("unsafe_path", "The request path is ambiguous"),
            Ambiguous::Method => ("unsafe_method", "The request method is ambiguous"),
            Ambiguous::Host => ("unsafe_host", "The request host is ambiguous"),
            Ambiguous::Header => ("unsafe_header", "A request header is ambiguous"),
            Ambiguous::Query => ("unsafe_query", "The request query is ambiguous"),
            Ambiguous::TokenList => ("token_list", "A header for one token has a list"),
        }
    }
}
