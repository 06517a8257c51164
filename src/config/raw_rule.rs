//! Rules as they are written: `RequirementRule` and what it is made of (jwt_authn, `route.v3`,
//! `type.matcher.v3`), and this filter's additions to them.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::value::{Given, Unsupported, objects};

/// `RequirementRule`, and the additions `authorize` and `report_only`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["match"])))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawRule {
    #[serde(rename = "match")]
    pub matcher: Given<RawMatch>,
    pub requires: Given<RawRequires>,
    #[serde(alias = "requirementName")]
    pub requirement_name: Given<String>,
    pub authorize: Given<RawAuthorize>,
    #[serde(alias = "reportOnly")]
    pub report_only: Given<bool>,
}

/// `route.v3.RouteMatch`, and the additions `methods` and `hosts`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawMatch {
    pub prefix: Given<String>,
    pub path: Given<String>,
    #[serde(alias = "safeRegex")]
    pub safe_regex: Given<RawRegex>,
    #[serde(alias = "pathSeparatedPrefix")]
    pub path_separated_prefix: Given<String>,
    #[serde(alias = "connectMatcher")]
    pub connect_matcher: Given<RawEmpty>,
    #[serde(alias = "caseSensitive")]
    pub case_sensitive: Given<bool>,
    pub methods: Given<Vec<String>>,
    pub hosts: Given<Vec<String>>,
    pub headers: Given<Vec<RawHeaderMatcher>>,
    #[serde(alias = "queryParameters")]
    pub query_parameters: Given<Vec<RawParameterMatcher>>,

    #[serde(alias = "pathMatchPolicy")]
    path_match_policy: Unsupported,
    #[serde(alias = "runtimeFraction")]
    runtime_fraction: Unsupported,
    cookies: Unsupported,
    grpc: Unsupported,
    #[serde(alias = "tlsContext")]
    tls_context: Unsupported,
    #[serde(alias = "dynamicMetadata")]
    dynamic_metadata: Unsupported,
    #[serde(alias = "filterState")]
    filter_state: Unsupported,
}

/// `google.protobuf.Empty`, or a message none of whose fields matter here.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawEmpty {}

/// `type.matcher.v3.RegexMatcher`. There is one engine, here as in Envoy, so naming it changes
/// nothing.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["regex"])))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawRegex {
    #[serde(alias = "googleRe2")]
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
    google_re2: Given<IgnoredAny>,
    pub regex: Given<String>,
}

/// `type.matcher.v3.StringMatcher`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawTextMatcher {
    pub exact: Given<String>,
    pub prefix: Given<String>,
    pub suffix: Given<String>,
    pub contains: Given<String>,
    #[serde(alias = "safeRegex")]
    pub safe_regex: Given<RawRegex>,
    #[serde(alias = "ignoreCase")]
    pub ignore_case: Given<bool>,

    custom: Unsupported,
}

/// `route.v3.HeaderMatcher`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["name"])))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawHeaderMatcher {
    pub name: Given<String>,
    #[serde(alias = "exactMatch")]
    pub exact_match: Given<String>,
    #[serde(alias = "safeRegexMatch")]
    pub safe_regex_match: Given<RawRegex>,
    #[serde(alias = "rangeMatch")]
    pub range_match: Given<RawRange>,
    #[serde(alias = "presentMatch")]
    pub present_match: Given<bool>,
    #[serde(alias = "prefixMatch")]
    pub prefix_match: Given<String>,
    #[serde(alias = "suffixMatch")]
    pub suffix_match: Given<String>,
    #[serde(alias = "containsMatch")]
    pub contains_match: Given<String>,
    #[serde(alias = "stringMatch")]
    pub string_match: Given<RawTextMatcher>,
    #[serde(alias = "invertMatch")]
    pub invert_match: Given<bool>,
    #[serde(alias = "treatMissingHeaderAsEmpty")]
    pub treat_missing_header_as_empty: Given<bool>,
}

/// `type.v3.Int64Range`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawRange {
    pub start: Given<Signed>,
    pub end: Given<Signed>,
}

/// `route.v3.QueryParameterMatcher`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["name"])))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawParameterMatcher {
    pub name: Given<String>,
    #[serde(alias = "stringMatch")]
    pub string_match: Given<RawTextMatcher>,
    #[serde(alias = "presentMatch")]
    pub present_match: Given<bool>,
}

/// `JwtRequirement`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawRequires {
    #[serde(alias = "providerName")]
    pub provider_name: Given<String>,
    #[serde(alias = "providerAndAudiences")]
    pub provider_and_audiences: Given<RawProviderAndAudiences>,
    #[serde(alias = "requiresAny")]
    pub requires_any: Given<RawRequirements>,
    #[serde(alias = "requiresAll")]
    pub requires_all: Given<RawRequirements>,
    #[serde(alias = "allowMissing")]
    pub allow_missing: Given<RawEmpty>,
    #[serde(alias = "allowMissingOrFailed")]
    pub allow_missing_or_failed: Given<RawEmpty>,

    #[serde(alias = "extractOnlyWithoutValidation")]
    extract_only_without_validation: Unsupported,
}

/// `ProviderWithAudiences`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawProviderAndAudiences {
    #[serde(alias = "providerName")]
    pub provider_name: Given<String>,
    pub audiences: Given<Vec<String>>,
}

/// `JwtRequirementOrList` and `JwtRequirementAndList`.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["requirements"])))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawRequirements {
    pub requirements: Given<Vec<RawRequires>>,
}

/// Addition: what a valid token has to allow.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawAuthorize {
    pub scopes: Given<RawScopes>,
    pub claims: Given<Vec<RawClaimRule>>,
    /// Names in the map `policies`; in a policy itself refused.
    pub policies: Given<Vec<String>>,
}

/// Addition: scopes, all of them or any.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawScopes {
    pub all: Given<Vec<String>>,
    pub any: Given<Vec<String>>,
}

/// Addition: one test of one claim.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["path"])))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawClaimRule {
    pub path: Given<Vec<String>>,
    pub equals: Given<serde_json::Value>,
    pub any: Given<Vec<serde_json::Value>>,
    pub all: Given<Vec<serde_json::Value>>,
    pub exists: Given<bool>,
    pub not: Given<Box<RawClaimTest>>,
}

/// Addition: what must not hold of a claim.
#[derive(Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields, remote = "Self")]
pub struct RawClaimTest {
    pub equals: Given<serde_json::Value>,
    pub any: Given<Vec<serde_json::Value>>,
    pub all: Given<Vec<serde_json::Value>>,
}

/// A whole number with a sign; protobuf's JSON writes 64 bits as a string too.
#[derive(Clone, Copy)]
pub struct Signed(pub i64);

impl<'de> Deserialize<'de> for Signed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Whole(i64),
            Double(f64),
            Text(String),
        }
        let expected = || serde::de::Error::custom("expected a whole number of 64 bits");
        match Written::deserialize(deserializer).map_err(|_| expected())? {
            Written::Whole(number) => Ok(Signed(number)),
            // 2^53: beyond it a double no longer says which whole number was meant
            Written::Double(number)
                if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 =>
            {
                Ok(Signed(number as i64))
            }
            Written::Double(_) => Err(expected()),
            Written::Text(text) => text.parse().map(Signed).map_err(|_| expected()),
        }
    }
}

objects! {
    RawRule: "a rule, an object",
    RawMatch: "an object with prefix, path or another path matcher",
    RawEmpty: "an empty object",
    RawRegex: "an object with regex",
    RawTextMatcher: "an object with exact, prefix, suffix, contains or safe_regex",
    RawHeaderMatcher: "an object with name and a test",
    RawRange: "an object with start and end",
    RawParameterMatcher: "an object with name",
    RawRequires: "an object with provider_name or another requirement",
    RawProviderAndAudiences: "an object with provider_name and audiences",
    RawRequirements: "an object with requirements",
    RawAuthorize: "an object with scopes, claims or policies",
    RawScopes: "an object with all or any",
    RawClaimRule: "an object with path and a test",
    RawClaimTest: "an object with equals, any or all",
}
