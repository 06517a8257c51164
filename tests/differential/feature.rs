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
    ];

    /// Whether bearer-gate has it. What it has not it refuses by name (tests/config), and it is
    /// compared from the day on which its line says `true`.
    pub fn is_built(self) -> bool {
        match self {
            Feature::RemoteJwks => true,
            Feature::Subjects => true,
            Feature::MaxLifetime => true,
            Feature::FromHeaders => true,
            Feature::FromParams => true,
            Feature::FromCookies => true,
            Feature::PadPayloadHeader => false,
            Feature::SafeRegex => true,
            Feature::PathSeparatedPrefix => true,
            Feature::CaseInsensitive => true,
            Feature::Headers => true,
            Feature::QueryParameters => true,
            Feature::ProviderAndAudiences => true,
            Feature::RequiresAny => true,
            Feature::RequiresAll => true,
            Feature::AllowMissing => true,
            Feature::AllowMissingOrFailed => true,
            Feature::RequirementMap => true,
            Feature::BypassCorsPreflight => true,
            Feature::StripFailureResponse => false,
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
