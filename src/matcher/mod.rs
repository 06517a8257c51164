//! Which rule is for a request: Envoy's matchers (`route.v3.RouteMatch`) on paths in normal form,
//! hosts, methods, headers and queries.
//!
//! Architecture invariant: pure, and without choices left: whatever could be wrong with a matcher
//! was refused with the configuration. The path is always the normalized one
//! ([`crate::http::path`]), whatever the matcher, so that no spelling of a path escapes a rule.

mod index;
mod request;

pub use index::PathIndex;
pub use request::{
    Comparison, Condition, HeaderMatcher, HeaderTest, HostMatcher, ParameterMatcher, ParameterTest,
    PathMatcher, RequestMatcher,
};
