//! What a generated configuration may use of jwt_authn's vocabulary.

use std::fmt;

/// A part of `JwtAuthentication`, or a kind of request to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Feature {
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
    pub(crate) const ALL: &[Self] = &[
        Self::RemoteJwks,
        Self::Subjects,
        Self::MaxLifetime,
        Self::FromHeaders,
        Self::FromParams,
        Self::FromCookies,
        Self::PadPayloadHeader,
        Self::SafeRegex,
        Self::PathSeparatedPrefix,
        Self::CaseInsensitive,
        Self::Headers,
        Self::QueryParameters,
        Self::ProviderAndAudiences,
        Self::RequiresAny,
        Self::RequiresAll,
        Self::AllowMissing,
        Self::AllowMissingOrFailed,
        Self::RequirementMap,
        Self::BypassCorsPreflight,
        Self::StripFailureResponse,
        Self::JwtCacheConfig,
        Self::Metadata,
        Self::ConnectMatcher,
    ];
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
