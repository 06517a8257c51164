//! The ways in which the OpenID provider, or somebody between it and the client, misbehaves.

/// One row for each: its text, its name, and the requirement that its test is for.
macro_rules! misbehaviours {
    ($($(#[doc = $text:literal])+ $name:ident $requirement:literal,)+) => {
        /// What the OpenID provider does wrong, from when it is told to until it is told otherwise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Misbehaviour {
            $($(#[doc = $text])+ $name,)+
        }

        impl Misbehaviour {
            /// Every one, in the order of the authorization response, the pushed request, the token
            /// response, the ID token, the refresh and the logout token.
            pub const ALL: &[Misbehaviour] = &[$(Misbehaviour::$name,)+];

            /// The requirement on the client that it tries: `S4`.
            pub fn requirement(self) -> &'static str {
                match self {
                    $(Misbehaviour::$name => $requirement,)+
                }
            }
        }
    };
}

misbehaviours! {
    /// The authorization response without `state`.
    StateMissing "S1",
    /// The authorization response with the last character of `state` changed.
    StateAltered "S1",
    /// A code of the same client that was given to another flow. Its PKCE verifier does not fit,
    /// and the token endpoint says so.
    CodeOfAnotherFlow "S3",
    /// As [`Misbehaviour::CodeOfAnotherFlow`], and the token endpoint does not compare the
    /// verifier: only the ID token's nonce tells the flows apart.
    CodeOfAnotherFlowUnchecked "S3",
    /// The authorization response without `iss`, which the metadata announces (RFC 9207 s2.4).
    IssMissing "S4",
    /// The authorization response with another provider's `iss`.
    IssOther "S4",
    /// The authorization response with `code` twice.
    CodeRepeated "S6",
    /// The authorization response with `state` twice.
    StateRepeated "S6",
    /// An error in place of a code, with HTML in `error_description`.
    ErrorWithHtml "S26",
    /// The browser comes back from the login form by 307, and so sends the password along.
    RedirectWith307 "S27",

    /// A pushed request is answered by the `request_uri` of the oldest other one.
    PushedOfAnotherFlow "S33",
    /// The same by a `request_uri` that is no text.
    PushedUriNoText "S33",
    /// The same by a `request_uri` with a line feed.
    PushedUriForged "S33",
    /// The same by one whose time is over.
    PushedOver "S33",
    /// The same with the status 200, which does no harm.
    PushedWith200 "S33",
    /// A pushed request is refused: `invalid_scope`.
    PushedRefused "S33",
    /// The same by the status 500.
    Pushed500 "S33",

    /// The token response without `id_token`.
    IdTokenMissing "S22",
    /// The token response without `access_token`.
    AccessTokenMissing "S22",
    /// A `token_type` that is not Bearer.
    TokenTypeOther "S22",
    /// An OAuth error with the status 200.
    ErrorIn200 "S22",
    /// 20 MB of valid JSON.
    TokenResponseHuge "S22",
    /// The first half of the JSON.
    TokenResponseTruncated "S22",
    /// An HTML page with the status 200.
    TokenResponseHtml "S22",
    /// The status 500.
    TokenResponse500 "S22",
    /// A redirect.
    TokenResponseRedirect "S22",
    /// No answer at all.
    TokenResponseNever "S22",
    /// The connection is closed after half of the answer.
    TokenResponseCut "S22",

    /// The ID token without a nonce.
    NonceMissing "S7",
    /// The ID token with another nonce.
    NonceOther "S7",
    /// An unsecured ID token.
    AlgNone "S8",
    /// An ID token with HS256, under the public key's PEM.
    AlgHs256 "S8",
    /// An ID token with one bit of its signature flipped.
    SignatureBroken "S8",
    /// An ID token for another client.
    AudienceOther "S8",
    /// An ID token for this client and another one, without `azp`.
    AudienceOfTwo "S8",
    /// An ID token whose `azp` is another client.
    AzpOther "S8",
    /// An ID token of another issuer.
    IssuerOther "S8",
    /// An ID token that expired an hour ago.
    Expired "S8",
    /// An ID token with the `at_hash` of another access token.
    AtHashOther "S8",
    /// An access token in the ID token's place.
    AccessTokenAsIdToken "S9",
    /// A logout token in the ID token's place.
    LogoutTokenAsIdToken "S9",

    /// `invalid_grant` for every refresh.
    RefreshRefused "S23",
    /// A refresh without an ID token, as most providers answer.
    RefreshWithoutIdToken "S23",
    /// A refresh whose ID token has another `sub`.
    RefreshWithOtherSubject "S23",
    /// A refresh whose ID token has another `auth_time`.
    RefreshWithOtherAuthTime "S23",

    /// A logout token of an hour ago.
    LogoutTokenOld "S20",
    /// The same logout token twice.
    LogoutTokenReplayed "S20",
    /// A logout token without `events`.
    LogoutTokenWithoutEvents "S20",
    /// A logout token with a nonce.
    LogoutTokenWithNonce "S20",
    /// A logout token with neither `sub` nor `sid`.
    LogoutTokenOfNobody "S20",
    /// A logout token for another client.
    LogoutTokenForOther "S20",
    /// An ID token in the logout token's place.
    IdTokenAsLogoutToken "S9",
}
