//! Rules as they are written: `RequirementRule` and what it is made of (jwt_authn, `route.v3`,
//! `type.matcher.v3`), and this filter's additions to them.

use super::error::ConfigError;
use super::raw_sign_in::RawUnauthenticated;
use super::tree::Tree;
use super::value::{Anything, FromTree, Given, Unsupported, objects, whole};

objects! {
    /// Which requests a rule is for, and what it asks of them: `RequirementRule` in jwt_authn.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["match"])))]
    pub struct RawRule: "a rule, an object" {
        /// Which requests the rule is for.
        pub r#match: Given<RawMatch>,
        /// Which tokens are needed. A rule without it (and without `requirement_name`) is public;
        /// an empty `requires` is refused.
        pub requires: Given<RawRequires>,
        /// In place of `requires`: a name in `requirement_map`.
        pub requirement_name: Given<String>,
        /// Addition: what the token must allow.
        pub authorize: Given<RawAuthorize>,
        /// Addition: `true`: what the rule would reject is let through, see [Report
        /// only](rules.md#report-only).
        pub report_only: Given<bool> = false,
        /// Addition: whether the rule takes paths with `%2F`, see [Escaped
        /// slashes](requests.md#escaped-slashes). Such a rule needs a token.
        pub escaped_slashes: Given<bool> = false,
        /// Addition: what somebody gets who has not signed in, where `requires` has a `session`.
        /// `auto`: a browser that opens a page is sent to sign in, everybody else gets 401.
        /// `redirect`: every GET and HEAD is sent to sign in. `unauthorized`: always 401.
        #[cfg_attr(feature = "schema", schemars(skip))]
        pub unauthenticated: Given<RawUnauthenticated> = "auto",
    }

    /// Exactly one of `prefix`, `path_separated_prefix`, `path`, `safe_regex` and `connect_matcher`, and
    /// conditions, all of which must hold: `route.v3.RouteMatch` in Envoy.
    pub struct RawMatch: "an object with prefix, path or another path matcher" {
        /// The path starts with this text. As in Envoy it is text, not segments: `/api` matches
        /// `/api/x` **and** `/apix`.
        pub prefix: Given<String>,
        /// The path is this.
        pub path: Given<String>,
        /// The path matches this expression as a whole.
        pub safe_regex: Given<RawRegex>,
        /// The path is this, or goes on after it with a slash.
        pub path_separated_prefix: Given<String>,
        /// The request is a CONNECT, whatever its path: `{}`.
        pub connect_matcher: Given<RawEmpty>,
        /// `false` compares `prefix`, `path` and `path_separated_prefix` without case.
        pub case_sensitive: Given<bool> = true,
        /// Addition: the method is one of these, in upper case.
        pub methods: Given<Vec<String>>,
        /// Addition: the host is one of these; `*.example.com` is every name below it. Hosts are
        /// compared [without port](requests.md).
        pub hosts: Given<Vec<String>>,
        /// Each of these tests of a header holds.
        pub headers: Given<Vec<RawHeaderMatcher>>,
        /// Each of these tests of a query parameter holds. Names and values are decoded.
        pub query_parameters: Given<Vec<RawParameterMatcher>>,

        path_match_policy: Unsupported,
        runtime_fraction: Unsupported,
        cookies: Unsupported,
        grpc: Unsupported,
        tls_context: Unsupported,
        dynamic_metadata: Unsupported,
        filter_state: Unsupported,
    }

    /// An empty object.
    pub struct RawEmpty: "an empty object" {}

    /// A regular expression: `type.matcher.v3.RegexMatcher` in Envoy.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["regex"])))]
    pub struct RawRegex: "an object with regex" {
        /// Accepted, and changes nothing: there is one engine, as in Envoy.
        #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
        google_re2: Given<Anything>,
        /// The expression, in RE2's syntax without Unicode classes.
        pub regex: Given<String>,
    }

    /// A test of a text, exactly one besides `ignore_case`: `type.matcher.v3.StringMatcher` in Envoy.
    pub struct RawTextMatcher: "an object with exact, prefix, suffix, contains or safe_regex" {
        /// The text is this.
        pub exact: Given<String>,
        /// The text starts with this.
        pub prefix: Given<String>,
        /// The text ends with this.
        pub suffix: Given<String>,
        /// The text has this in it.
        pub contains: Given<String>,
        /// The text matches this expression as a whole.
        pub safe_regex: Given<RawRegex>,
        /// Whether case is ignored, but in `safe_regex`.
        pub ignore_case: Given<bool> = false,

        custom: Unsupported,
    }

    /// A test of a header: `route.v3.HeaderMatcher` in Envoy.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["name"])))]
    pub struct RawHeaderMatcher: "an object with name and a test" {
        /// The header. `:path` is refused: it has many spellings. `host` and `:authority` are
        /// compared as `hosts` are.
        pub name: Given<String>,
        /// The value is this.
        pub exact_match: Given<String>,
        /// The value matches this expression as a whole.
        pub safe_regex_match: Given<RawRegex>,
        /// The value is a whole number in this range.
        pub range_match: Given<RawRange>,
        /// `true`: the header is there; `false`: it is not.
        pub present_match: Given<bool>,
        /// The value starts with this.
        pub prefix_match: Given<String>,
        /// The value ends with this.
        pub suffix_match: Given<String>,
        /// The value has this in it.
        pub contains_match: Given<String>,
        /// The value passes this test.
        pub string_match: Given<RawTextMatcher>,
        /// Whether the test must fail.
        pub invert_match: Given<bool> = false,
        /// Whether a header that is not there is tested as if it were empty.
        pub treat_missing_header_as_empty: Given<bool> = false,
    }

    /// A range of whole numbers: `type.v3.Int64Range` in Envoy.
    pub struct RawRange: "an object with start and end" {
        /// The first number of the range.
        pub start: Given<Signed>,
        /// The first number after the range.
        pub end: Given<Signed>,
    }

    /// A test of a query parameter: `route.v3.QueryParameterMatcher` in Envoy.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["name"])))]
    pub struct RawParameterMatcher: "an object with name" {
        /// The parameter.
        pub name: Given<String>,
        /// Its value passes this test.
        pub string_match: Given<RawTextMatcher>,
        /// `true`: the parameter is there; `false`: it is not.
        pub present_match: Given<bool>,
    }

    /// Which tokens are needed, by exactly one field: `JwtRequirement` in jwt_authn.
    pub struct RawRequires: "an object with provider_name or another requirement" {
        /// A token of this provider.
        pub provider_name: Given<String>,
        /// A token of this provider, with other `audiences` than the provider's own.
        pub provider_and_audiences: Given<RawProviderAndAudiences>,
        /// One of these, two at least.
        pub requires_any: Given<RawRequirements>,
        /// All of these. One token can satisfy several of them.
        pub requires_all: Given<RawRequirements>,
        /// No token, or a good one; a bad one is 401: `{}`. In a `requires_any` it is about the
        /// providers beside it, by itself about all.
        pub allow_missing: Given<RawEmpty>,
        /// Anything: `{}`. A good token is used: its claims become headers. While the keys are on
        /// their way the request waits; if they are not to be had, the token counts as failed.
        pub allow_missing_or_failed: Given<RawEmpty>,
        /// Addition: somebody who has signed in by this scheme of `sign_in`. What is asked of
        /// tokens beside it does not count: a session is one only where a rule names it.
        #[cfg_attr(feature = "schema", schemars(skip))]
        pub session: Given<String>,

        extract_only_without_validation: Unsupported,
    }

    /// `ProviderWithAudiences` in jwt_authn.
    pub struct RawProviderAndAudiences: "an object with provider_name and audiences" {
        /// The provider. Required.
        pub provider_name: Given<String>,
        /// In place of the provider's own.
        pub audiences: Given<Vec<String>>,
    }

    /// `JwtRequirementOrList` and `JwtRequirementAndList` in jwt_authn.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["requirements"])))]
    pub struct RawRequirements: "an object with requirements" {
        /// The requirements, two at least.
        pub requirements: Given<Vec<RawRequires>>,
    }

    /// Addition: what a good token must allow.
    pub struct RawAuthorize: "an object with scopes, claims or policies" {
        /// Scopes that the token must have.
        pub scopes: Given<RawScopes>,
        /// Tests of claims, each of which must hold.
        pub claims: Given<Vec<RawClaimRule>>,
        /// Names in `policies`, each of which must be satisfied too. Refused in a policy itself.
        pub policies: Given<Vec<String>>,
    }

    /// Addition: scopes; `all`, `any`, or both.
    pub struct RawScopes: "an object with all or any" {
        /// Each of these.
        pub all: Given<Vec<String>>,
        /// One of these.
        pub any: Given<Vec<String>>,
    }

    /// Addition: one test of one claim: `path` and exactly one other field.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["path"])))]
    pub struct RawClaimRule: "an object with path and a test" {
        /// The claim: literal member names from the top.
        pub path: Given<Vec<String>>,
        /// The claim is this.
        pub equals: Given<serde_json::Value>,
        /// The claim is one of these, or is an array with one of them.
        pub any: Given<Vec<serde_json::Value>>,
        /// The claim is an array with each of these.
        pub all: Given<Vec<serde_json::Value>>,
        /// `true`: the claim is there and not `null`; `false`: it is not.
        pub exists: Given<bool>,
        /// The claim does not pass this test. A claim that is not there passes.
        pub not: Given<RawClaimTest>,
    }

    /// Addition: what must not hold of a claim: exactly one field.
    pub struct RawClaimTest: "an object with equals, any or all" {
        /// The claim is not this.
        pub equals: Given<serde_json::Value>,
        /// The claim is none of these, and no array with one of them.
        pub any: Given<Vec<serde_json::Value>>,
        /// The claim is no array with each of these.
        pub all: Given<Vec<serde_json::Value>>,
    }
}

/// A whole number with a sign; protobuf's JSON writes 64 bits as a string too.
#[derive(Clone, Copy)]
pub(crate) struct Signed(pub i64);

impl FromTree for Signed {
    fn from_tree(tree: Tree) -> Result<Self, ConfigError> {
        let number = match tree {
            Tree::Unsigned(number) => i64::try_from(number).ok(),
            Tree::Signed(number) => Some(number),
            Tree::Float(number) => whole(number),
            Tree::Text(text) => text.parse().ok(),
            Tree::Null | Tree::Bool(_) | Tree::Array(_) | Tree::Object(_) => None,
        };
        number
            .map(Signed)
            .ok_or_else(|| ConfigError::here("expected a whole number of 64 bits"))
    }
}
