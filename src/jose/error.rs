//! Why a token is refused: one flat, stable list.
//!
//! Invariant: texts and labels are fixed. An error holds nothing of the token, so nothing of it can
//! reach a log, a metric or a response through an error.

/// An enum of reasons, each with its words in one row: `Variant: "label" = "text"`. Every list and
/// every accessor is made from the rows, so none can lack a reason.
macro_rules! reasons {
    ($(#[$of:meta])* pub enum $name:ident {
        $($(#[$doc:meta])* $variant:ident: $reason:literal = $text:literal,)*
    }) => {
        $(#[$of])*
        pub enum $name { $($(#[$doc])* $variant,)* }

        impl $name {
            /// Every reason, in the order of their rows.
            pub const ALL: [$name; [$($reason),*].len()] = [$($name::$variant),*];

            /// Label for metrics and logs: snake_case.
            #[must_use]
            pub fn reason(self) -> &'static str {
                match self { $($name::$variant => $reason,)* }
            }

            /// Fixed text for the client and the log.
            #[must_use]
            pub fn description(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}
pub(crate) use reasons;

reasons! {
/// The reasons, in the order of the checks. The texts are jwt_authn's, where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JwtError {
    /// Longer than [`super::jws::MAX_TOKEN_LEN`].
    TooLong: "too_long" = "Jwt is too long",
    /// Not three segments (RFC 7515 section 7.1).
    NotThreeParts: "not_three_parts" =
        "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections",
    /// The header is not base64url.
    HeaderEncoding: "header_encoding" = "Jwt header is an invalid Base64url encoded",
    /// The header is not a JSON object with unique names.
    HeaderJson: "header_json" = "Jwt header is an invalid JSON",
    /// `alg` is missing or not a string.
    AlgorithmMissing: "algorithm_missing" =
        "Jwt header [alg] field is required and must be a string",
    /// `alg` is `none` or unknown.
    AlgorithmUnsupported: "algorithm_unsupported" = "Jwt header [alg] is not supported",
    /// `kid` is not a string, or longer than [`super::jws::MAX_KID_LEN`].
    Kid: "kid" = "Jwt header [kid] field is not a string",
    /// `typ` is not a string.
    Type: "type" = "Jwt header [typ] field is not a string",
    /// `crit` is there (RFC 7515 section 4.1.11): no extension is understood.
    Critical: "critical" = "Jwt header [crit] is not supported",
    /// `b64` is there and not `true` (RFC 7797): the payload would not be encoded.
    UnencodedPayload: "unencoded_payload" = "Jwt header [b64] is not supported",
    /// The payload is not base64url.
    PayloadEncoding: "payload_encoding" = "Jwt payload is an invalid Base64url encoded",
    /// The signature is not base64url.
    SignatureEncoding: "signature_encoding" = "Jwt signature is an invalid Base64url encoded",
    /// The payload is not a JSON object with unique names.
    PayloadJson: "payload_json" = "Jwt payload is an invalid JSON",
    /// `iss` is not a string.
    IssuerType: "issuer_type" = "Jwt payload [iss] field is not a string",
    /// `sub` is not a string.
    SubjectType: "subject_type" = "Jwt payload [sub] field is not a string",
    /// `aud` is neither a string nor an array of strings.
    AudienceType: "audience_type" = "Jwt payload [aud] field is not a string or string list",
    /// `jti` is not a string.
    IdType: "id_type" = "Jwt payload [jti] field is not a string",
    /// `exp` is not a NumericDate.
    ExpirationType: "expiration_type" = "Jwt payload [exp] field is not a NumericDate",
    /// `nbf` is not a NumericDate.
    NotBeforeType: "not_before_type" = "Jwt payload [nbf] field is not a NumericDate",
    /// `iat` is not a NumericDate.
    IssuedAtType: "issued_at_type" = "Jwt payload [iat] field is not a NumericDate",
    /// The algorithm is not one that the provider may use.
    AlgorithmNotAllowed: "algorithm_not_allowed" = "Jwt header [alg] is not allowed",
    /// `signer` of the header is missing, or is not the provider's load balancer.
    Signer: "signer" = "Jwt header [signer] is not allowed",
    /// `client` of the header is missing, or is none of the load balancer's.
    Client: "client" = "Jwt header [client] is not allowed",
    /// `iss` is missing, or is not the provider's issuer.
    Issuer: "issuer" = "Jwt issuer is not configured",
    /// `nbf` is in the future.
    NotYetValid: "not_yet_valid" = "Jwt not yet valid",
    /// `exp` has passed.
    Expired: "expired" = "Jwt is expired",
    /// `exp` is missing and required.
    NoExpiration: "no_expiration" = "Jwt payload [exp] field is required",
    /// `exp` is further away than the provider's tokens may live.
    Lifetime: "lifetime" = "Jwt lifetime is too long",
    /// `iat` is in the future.
    IssuedInFuture: "issued_in_future" = "Jwt is issued in the future",
    /// `aud` is missing or names none of the provider's audiences.
    Audience: "audience" = "Audiences in Jwt are not allowed",
    /// `sub` is missing or not one that the provider's tokens may have.
    Subject: "subject" = "Subject in Jwt is not allowed",
    /// `cnf` is there (RFC 7800): the token needs a proof that the client has a key, and there is
    /// none.
    SenderConstrained: "sender_constrained" = "Jwt is sender-constrained",
    /// `typ` is not the one that the provider's tokens must have.
    TokenType: "token_type" = "Jwt header [typ] is not allowed",
    /// `iss` is missing and required (this and the next ones: RFC 9068 section 2.2).
    NoIssuer: "no_issuer" = "Jwt payload [iss] field is required",
    /// `aud` is missing or empty, and required.
    NoAudience: "no_audience" = "Jwt payload [aud] field is required",
    /// `sub` is missing and required.
    NoSubject: "no_subject" = "Jwt payload [sub] field is required",
    /// `client_id` is missing or not a string, and required.
    NoClientId: "no_client_id" = "Jwt payload [client_id] field is required",
    /// `iat` is missing and required.
    NoIssuedAt: "no_issued_at" = "Jwt payload [iat] field is required",
    /// `jti` is missing and required.
    NoId: "no_id" = "Jwt payload [jti] field is required",
    /// No key of the set is for this token.
    NoKey: "no_key" = "Jwks doesn't have key to match kid or alg from Jwt",
    /// No key verifies the signature.
    Signature: "signature" = "Jwt verification fails",
}
}

impl JwtError {
    /// Whether neither the time nor other keys can make the same token good: it is of another
    /// provider.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::AlgorithmNotAllowed | Self::Issuer)
    }
}
