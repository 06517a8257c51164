//! Rules as they are written: `RequirementRule` and what it is made of (jwt_authn, `route.v3`,
//! `type.matcher.v3`), and this filter's additions to them.

use super::error::ConfigError;
use super::tree::Tree;
use super::value::{Anything, FromTree, Given, Unsupported, objects, whole};

objects! {
    /// `RequirementRule`, and the additions `authorize` and `report_only`.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["match"])))]
    pub struct RawRule: "a rule, an object" {
        pub r#match: Given<RawMatch>,
        pub requires: Given<RawRequires>,
        pub requirement_name: Given<String>,
        pub authorize: Given<RawAuthorize>,
        pub report_only: Given<bool>,
    }

    /// `route.v3.RouteMatch`, and the additions `methods` and `hosts`.
    pub struct RawMatch: "an object with prefix, path or another path matcher" {
        pub prefix: Given<String>,
        pub path: Given<String>,
        pub safe_regex: Given<RawRegex>,
        pub path_separated_prefix: Given<String>,
        pub connect_matcher: Given<RawEmpty>,
        pub case_sensitive: Given<bool>,
        pub methods: Given<Vec<String>>,
        pub hosts: Given<Vec<String>>,
        pub headers: Given<Vec<RawHeaderMatcher>>,
        pub query_parameters: Given<Vec<RawParameterMatcher>>,

        path_match_policy: Unsupported,
        runtime_fraction: Unsupported,
        cookies: Unsupported,
        grpc: Unsupported,
        tls_context: Unsupported,
        dynamic_metadata: Unsupported,
        filter_state: Unsupported,
    }

    /// `google.protobuf.Empty`, or a message none of whose fields matter here.
    pub struct RawEmpty: "an empty object" {}

    /// `type.matcher.v3.RegexMatcher`. There is one engine, here as in Envoy, so naming it changes
    /// nothing.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["regex"])))]
    pub struct RawRegex: "an object with regex" {
        #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
        google_re2: Given<Anything>,
        pub regex: Given<String>,
    }

    /// `type.matcher.v3.StringMatcher`.
    pub struct RawTextMatcher: "an object with exact, prefix, suffix, contains or safe_regex" {
        pub exact: Given<String>,
        pub prefix: Given<String>,
        pub suffix: Given<String>,
        pub contains: Given<String>,
        pub safe_regex: Given<RawRegex>,
        pub ignore_case: Given<bool>,

        custom: Unsupported,
    }

    /// `route.v3.HeaderMatcher`.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["name"])))]
    pub struct RawHeaderMatcher: "an object with name and a test" {
        pub name: Given<String>,
        pub exact_match: Given<String>,
        pub safe_regex_match: Given<RawRegex>,
        pub range_match: Given<RawRange>,
        pub present_match: Given<bool>,
        pub prefix_match: Given<String>,
        pub suffix_match: Given<String>,
        pub contains_match: Given<String>,
        pub string_match: Given<RawTextMatcher>,
        pub invert_match: Given<bool>,
        pub treat_missing_header_as_empty: Given<bool>,
    }

    /// `type.v3.Int64Range`.
    pub struct RawRange: "an object with start and end" {
        pub start: Given<Signed>,
        pub end: Given<Signed>,
    }

    /// `route.v3.QueryParameterMatcher`.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["name"])))]
    pub struct RawParameterMatcher: "an object with name" {
        pub name: Given<String>,
        pub string_match: Given<RawTextMatcher>,
        pub present_match: Given<bool>,
    }

    /// `JwtRequirement`.
    pub struct RawRequires: "an object with provider_name or another requirement" {
        pub provider_name: Given<String>,
        pub provider_and_audiences: Given<RawProviderAndAudiences>,
        pub requires_any: Given<RawRequirements>,
        pub requires_all: Given<RawRequirements>,
        pub allow_missing: Given<RawEmpty>,
        pub allow_missing_or_failed: Given<RawEmpty>,

        extract_only_without_validation: Unsupported,
    }

    /// `ProviderWithAudiences`.
    pub struct RawProviderAndAudiences: "an object with provider_name and audiences" {
        pub provider_name: Given<String>,
        pub audiences: Given<Vec<String>>,
    }

    /// `JwtRequirementOrList` and `JwtRequirementAndList`.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["requirements"])))]
    pub struct RawRequirements: "an object with requirements" {
        pub requirements: Given<Vec<RawRequires>>,
    }

    /// Addition: what a valid token has to allow.
    pub struct RawAuthorize: "an object with scopes, claims or policies" {
        pub scopes: Given<RawScopes>,
        pub claims: Given<Vec<RawClaimRule>>,
        /// Names in the map `policies`; in a policy itself refused.
        pub policies: Given<Vec<String>>,
    }

    /// Addition: scopes, all of them or any.
    pub struct RawScopes: "an object with all or any" {
        pub all: Given<Vec<String>>,
        pub any: Given<Vec<String>>,
    }

    /// Addition: one test of one claim.
    #[cfg_attr(feature = "schema", schemars(extend("required" = ["path"])))]
    pub struct RawClaimRule: "an object with path and a test" {
        pub path: Given<Vec<String>>,
        pub equals: Given<serde_json::Value>,
        pub any: Given<Vec<serde_json::Value>>,
        pub all: Given<Vec<serde_json::Value>>,
        pub exists: Given<bool>,
        pub not: Given<RawClaimTest>,
    }

    /// Addition: what must not hold of a claim.
    pub struct RawClaimTest: "an object with equals, any or all" {
        pub equals: Given<serde_json::Value>,
        pub any: Given<Vec<serde_json::Value>>,
        pub all: Given<Vec<serde_json::Value>>,
    }
}

/// A whole number with a sign; protobuf's JSON writes 64 bits as a string too.
#[derive(Clone, Copy)]
pub struct Signed(pub i64);

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
