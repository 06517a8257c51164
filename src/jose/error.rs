//! Why a token is refused: one flat, stable list.
//!
//! Invariant: texts and labels are fixed. Nothing of the token is carried, so nothing of it can
//! reach a log, a metric or a response by way of an error.

/// Lists an enum's variants beside it, so that the list cannot be short of one.
macro_rules! listed {
    ($(#[$of:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident,)* }) => {
        $(#[$of])*
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every reason, in the order in which the checks are made.
            pub const ALL: &[$name] = &[$($name::$variant,)*];
        }
    };
}

listed! {
/// The reason, in the order in which the checks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JwtError {
    /// Longer than [`super::jws::MAX_TOKEN_LEN`].
    TooLong,
    /// Not three segments (RFC 7515 section 7.1).
    NotThreeParts,
    /// The header is not base64url.
    HeaderEncoding,
    /// The header is not a JSON object with unique names.
    HeaderJson,
    /// `alg` is missing or not a string.
    AlgorithmMissing,
    /// `alg` is `none` or unknown.
    AlgorithmUnsupported,
    /// `kid` is not a string, or longer than [`super::jws::MAX_KID_LEN`].
    Kid,
    /// `typ` is not a string.
    Type,
    /// `crit` is there (RFC 7515 section 4.1.11): no extension is understood.
    Critical,
    /// `b64` is there and not `true` (RFC 7797): the payload would not be encoded.
    UnencodedPayload,
    /// The payload is not base64url.
    PayloadEncoding,
    /// The signature is not base64url.
    SignatureEncoding,
    /// The payload is not a JSON object with unique names.
    PayloadJson,
    /// `iss` is not a string.
    IssuerType,
    /// `sub` is not a string.
    SubjectType,
    /// `aud` is neither a string nor an array of strings.
    AudienceType,
    /// `jti` is not a string.
    IdType,
    /// `exp` is not a NumericDate.
    ExpirationType,
    /// `nbf` is not a NumericDate.
    NotBeforeType,
    /// `iat` is not a NumericDate.
    IssuedAtType,
    /// The algorithm is not one that the provider may use.
    AlgorithmNotAllowed,
    /// `iss` is missing or another.
    Issuer,
    /// `nbf` is ahead.
    NotYetValid,
    /// `exp` is past.
    Expired,
    /// `exp` is missing and required.
    NoExpiration,
    /// `iat` is ahead.
    IssuedInFuture,
    /// `aud` is missing or names none of the provider's audiences.
    Audience,
    /// `sub` is missing or not one that the provider's tokens may have.
    Subject,
    /// `exp` is further away than tokens of the provider may live.
    Lifetime,
    /// `cnf` is there (RFC 7800): possession of a key has to be proved, and was not.
    SenderConstrained,
    /// `typ` is not the one that the provider's tokens have to have.
    TokenType,
    /// `iss` is missing and required (this and the next ones: RFC 9068 section 2.2).
    NoIssuer,
    /// `aud` is missing or empty, and required.
    NoAudience,
    /// `sub` is missing and required.
    NoSubject,
    /// `client_id` is missing or not a string, and required.
    NoClientId,
    /// `iat` is missing and required.
    NoIssuedAt,
    /// `jti` is missing and required.
    NoId,
    /// No key of the set is for this token.
    NoKey,
    /// No key verifies the signature.
    Signature,
}
}

impl JwtError {
    /// Fixed text for the client and the log: jwt_authn's, where it has one.
    #[must_use]
    pub fn description(self) -> &'static str {
        match self {
            JwtError::TooLong => "Jwt is too long",
            JwtError::NotThreeParts => {
                "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
            }
            JwtError::HeaderEncoding => "Jwt header is an invalid Base64url encoded",
            JwtError::HeaderJson => "Jwt header is an invalid JSON",
            JwtError::AlgorithmMissing => "Jwt header [alg] field is required and must be a string",
            JwtError::AlgorithmUnsupported => "Jwt header [alg] is not supported",
            JwtError::Kid => "Jwt header [kid] field is not a string",
            JwtError::Type => "Jwt header [typ] field is not a string",
            JwtError::Critical => "Jwt header [crit] is not supported",
            JwtError::UnencodedPayload => "Jwt header [b64] is not supported",
            JwtError::PayloadEncoding => "Jwt payload is an invalid Base64url encoded",
            JwtError::SignatureEncoding => "Jwt signature is an invalid Base64url encoded",
            JwtError::PayloadJson => "Jwt payload is an invalid JSON",
            JwtError::IssuerType => "Jwt payload [iss] field is not a string",
            JwtError::SubjectType => "Jwt payload [sub] field is not a string",
            JwtError::AudienceType => "Jwt payload [aud] field is not a string or string list",
            JwtError::IdType => "Jwt payload [jti] field is not a string",
            JwtError::ExpirationType => "Jwt payload [exp] field is not a NumericDate",
            JwtError::NotBeforeType => "Jwt payload [nbf] field is not a NumericDate",
            JwtError::IssuedAtType => "Jwt payload [iat] field is not a NumericDate",
            JwtError::AlgorithmNotAllowed => "Jwt header [alg] is not allowed",
            JwtError::Issuer => "Jwt issuer is not configured",
            JwtError::NotYetValid => "Jwt not yet valid",
            JwtError::Expired => "Jwt is expired",
            JwtError::NoExpiration => "Jwt payload [exp] field is required",
            JwtError::IssuedInFuture => "Jwt is issued in the future",
            JwtError::Audience => "Audiences in Jwt are not allowed",
            JwtError::Subject => "Subject in Jwt is not allowed",
            JwtError::Lifetime => "Jwt lifetime is too long",
            JwtError::SenderConstrained => "Jwt is sender-constrained",
            JwtError::TokenType => "Jwt header [typ] is not allowed",
            JwtError::NoIssuer => "Jwt payload [iss] field is required",
            JwtError::NoAudience => "Jwt payload [aud] field is required",
            JwtError::NoSubject => "Jwt payload [sub] field is required",
            JwtError::NoClientId => "Jwt payload [client_id] field is required",
            JwtError::NoIssuedAt => "Jwt payload [iat] field is required",
            JwtError::NoId => "Jwt payload [jti] field is required",
            JwtError::NoKey => "Jwks doesn't have key to match kid or alg from Jwt",
            JwtError::Signature => "Jwt verification fails",
        }
    }

    /// Label for metrics.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            JwtError::TooLong => "too_long",
            JwtError::NotThreeParts => "not_three_parts",
            JwtError::HeaderEncoding => "header_encoding",
            JwtError::HeaderJson => "header_json",
            JwtError::AlgorithmMissing => "algorithm_missing",
            JwtError::AlgorithmUnsupported => "algorithm_unsupported",
            JwtError::Kid => "kid",
            JwtError::Type => "type",
            JwtError::Critical => "critical",
            JwtError::UnencodedPayload => "unencoded_payload",
            JwtError::PayloadEncoding => "payload_encoding",
            JwtError::SignatureEncoding => "signature_encoding",
            JwtError::PayloadJson => "payload_json",
            JwtError::IssuerType => "issuer_type",
            JwtError::SubjectType => "subject_type",
            JwtError::AudienceType => "audience_type",
            JwtError::IdType => "id_type",
            JwtError::ExpirationType => "expiration_type",
            JwtError::NotBeforeType => "not_before_type",
            JwtError::IssuedAtType => "issued_at_type",
            JwtError::AlgorithmNotAllowed => "algorithm_not_allowed",
            JwtError::Issuer => "issuer",
            JwtError::NotYetValid => "not_yet_valid",
            JwtError::Expired => "expired",
            JwtError::NoExpiration => "no_expiration",
            JwtError::IssuedInFuture => "issued_in_future",
            JwtError::Audience => "audience",
            JwtError::Subject => "subject",
            JwtError::Lifetime => "lifetime",
            JwtError::SenderConstrained => "sender_constrained",
            JwtError::TokenType => "token_type",
            JwtError::NoIssuer => "no_issuer",
            JwtError::NoAudience => "no_audience",
            JwtError::NoSubject => "no_subject",
            JwtError::NoClientId => "no_client_id",
            JwtError::NoIssuedAt => "no_issued_at",
            JwtError::NoId => "no_id",
            JwtError::NoKey => "no_key",
            JwtError::Signature => "signature",
        }
    }
}
