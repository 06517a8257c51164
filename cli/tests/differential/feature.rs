//! What a generated configuration may use of jwt_authn's vocabulary.

use std::fmt;

/// A part of `JwtAuthentication`, or a kind of request to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    RemoteJwks,
    Subjects,
    MaxLifetime,
    FromHeaders,
    FromParams,
    FromCookies,
    PadPayloadHeader,
    SafeRegex,
    PathSeparatedPrefix,
    CaseInsensitive,
    Headers,
    QueryParameters,
    ProviderAndAudiences,
    RequiresAny,
    RequiresAll,
    AllowMissing,
    AllowMissingOrFailed,
    RequirementMap,
    BypassCorsPreflight,
    StripFailureResponse,
    JwtCacheConfig,
    Metadata,
    ConnectMatcher,
}

impl Feature {
    pub const ALL: &[Feature] = &[
        Feature::RemoteJwks,
        Feature::Subjects,
        Feature::MaxLifetime,
        Feature::FromHeaders,
        Feature::FromParams,
        Feature::FromCookies,
        Feature::PadPayloadHeader,
        Feature::SafeRegex,
        Feature::PathSeparatedPrefix,
        Feature::CaseInsensitive,
        Feature::Headers,
        Feature::QueryParameters,
        Feature::ProviderAndAudiences,
        Feature::RequiresAny,
        Feature::RequiresAll,
        Feature::AllowMissing,
        Feature::AllowMissingOrFailed,
        Feature::RequirementMap,
        Feature::BypassCorsPreflight,
        Feature::StripFailureResponse,
        Feature::JwtCacheConfig,
        Feature::Metadata,
        Feature::ConnectMatcher,
    ];
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
