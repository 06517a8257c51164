//! Explicit typing of tokens: `typ`, RFC 8725 section 3.11, and the profile for access tokens,
//! RFC 9068 section 4.
//!
//! Invariant: the configuration chooses the type. A token never chooses how it is checked.

use super::claims::Claims;
use super::error::JwtError;

/// The type that a provider's tokens must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// A JWT without a special type: `typ` is `JWT`, or missing. Access tokens of RFC 9068, logout
    /// tokens and other tokens that name their purpose do not pass.
    Jwt,
    /// An access token of RFC 9068: `typ` is `at+jwt`, and the claims of its section 2.2 are
    /// there.
    AccessToken,
    /// A logout token: `typ` is `logout+jwt`, or as with [`TokenType::Jwt`] (OpenID Connect
    /// Back-Channel Logout 1.0 section 2.4). What it says of itself has to be looked at too.
    LogoutToken,
    /// A JWT-SVID: `typ` is `JWT`, `JOSE` or missing (JWT-SVID section 2.3).
    Svid,
}

impl TokenType {
    /// Whether a token with this `typ` and these claims is of this type.
    ///
    /// # Errors
    /// [`JwtError::TokenType`], or the first claim that is missing.
    #[inline]
    pub(super) fn check(self, typ: Option<&str>, claims: &Claims) -> Result<(), JwtError> {
        match (self, typ) {
            (Self::Jwt | Self::LogoutToken | Self::Svid, None) => Ok(()),
            (Self::Svid, Some("JWT" | "JOSE")) => Ok(()),
            (Self::Jwt | Self::LogoutToken, Some(typ)) if is(typ, "jwt") => Ok(()),
            (Self::LogoutToken, Some(typ)) if is(typ, "logout+jwt") => Ok(()),
            (Self::AccessToken, Some(typ)) if is(typ, "at+jwt") => access_token(claims),
            _ => Err(JwtError::TokenType),
        }
    }
}

/// Whether `typ` is the media type `application/{subtype}`. Media types are compared without
/// case, and `application/` may be left out (RFC 7515 section 4.1.9).
fn is(typ: &str, subtype: &str) -> bool {
    const TREE: &str = "application/";
    let short = match typ.split_at_checked(TREE.len()) {
        Some((tree, rest)) if tree.eq_ignore_ascii_case(TREE) => rest,
        _ => typ,
    };
    short.eq_ignore_ascii_case(subtype)
}

/// RFC 9068 section 2.2: the claims that an access token must have.
#[inline]
fn access_token(claims: &Claims) -> Result<(), JwtError> {
    let client = claims.get("client_id").and_then(|id| id.as_str());
    for (is_there, error) in [
        (claims.issuer().is_some(), JwtError::NoIssuer),
        (claims.expires_at.is_some(), JwtError::NoExpiration),
        (claims.audiences().next().is_some(), JwtError::NoAudience),
        (claims.subject().is_some(), JwtError::NoSubject),
        (client.is_some(), JwtError::NoClientId),
        (claims.issued_at.is_some(), JwtError::NoIssuedAt),
        (claims.get("jti").is_some(), JwtError::NoId),
    ] {
        if !is_there {
            return Err(error);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(wanted: TokenType, typ: Option<&str>, claims: &Value) -> Option<JwtError> {
        let claims = Claims::parse(claims.to_string().as_bytes()).unwrap();
        wanted.check(typ, &claims).err()
    }

    fn claims() -> Value {
        json!({"iss": "i", "exp": 2, "aud": "a", "sub": "s", "client_id": "c", "iat": 1, "jti": "j"})
    }

    #[test]
    fn a24_typ_of_an_access_token() {
        let table = [
            (Some("at+jwt"), None),
            (Some("AT+JWT"), None),
            (Some("application/at+jwt"), None),
            (Some("Application/At+Jwt"), None),
            (None, Some(JwtError::TokenType)),
            (Some(""), Some(JwtError::TokenType)),
            (Some("JWT"), Some(JwtError::TokenType)),
            (Some("application/jwt"), Some(JwtError::TokenType)),
            (Some("at+jwt "), Some(JwtError::TokenType)),
            (Some(" at+jwt"), Some(JwtError::TokenType)),
            (Some("at jwt"), Some(JwtError::TokenType)),
            (Some("text/at+jwt"), Some(JwtError::TokenType)),
            (
                Some("application/application/at+jwt"),
                Some(JwtError::TokenType),
            ),
            (Some("/at+jwt"), Some(JwtError::TokenType)),
            (Some("dpop+jwt"), Some(JwtError::TokenType)),
            (Some("applicatio\u{e9}at+jwt"), Some(JwtError::TokenType)),
        ];
        for (typ, expected) in table {
            let result = check(TokenType::AccessToken, typ, &claims());
            assert_eq!(result, expected, "{typ:?}");
        }
    }

    #[test]
    fn a24_claims_of_an_access_token() {
        for (claim, expected) in [
            ("iss", JwtError::NoIssuer),
            ("exp", JwtError::NoExpiration),
            ("aud", JwtError::NoAudience),
            ("sub", JwtError::NoSubject),
            ("client_id", JwtError::NoClientId),
            ("iat", JwtError::NoIssuedAt),
            ("jti", JwtError::NoId),
        ] {
            let mut claims = claims();
            claims.as_object_mut().unwrap().remove(claim);
            let result = check(TokenType::AccessToken, Some("at+jwt"), &claims);
            assert_eq!(result, Some(expected), "{claim}");
        }
        for (claim, value, expected) in [
            ("client_id", json!(1), JwtError::NoClientId),
            ("client_id", json!(["c"]), JwtError::NoClientId),
            ("aud", json!([]), JwtError::NoAudience),
        ] {
            let mut claims = claims();
            claims[claim] = value;
            let result = check(TokenType::AccessToken, Some("at+jwt"), &claims);
            assert_eq!(result, Some(expected), "{claim}");
        }
    }

    #[test]
    fn a36_typ_of_a_jwt_svid() {
        let refused = Some(JwtError::TokenType);
        for (typ, expected) in [
            (None, None),
            (Some("JWT"), None),
            (Some("JOSE"), None),
            (Some("jwt"), refused),
            (Some("jose"), refused),
            (Some("application/jwt"), refused),
            (Some("at+jwt"), refused),
            (Some("wit+jwt"), refused),
            (Some(""), refused),
        ] {
            let found = check(TokenType::Svid, typ, &claims());
            assert_eq!(found, expected, "{typ:?}");
        }
    }

    #[test]
    fn a_plain_jwt_is_not_called_something_else() {
        let table = [
            (None, None),
            (Some("JWT"), None),
            (Some("jwt"), None),
            (Some("application/jwt"), None),
            (Some("at+jwt"), Some(JwtError::TokenType)),
            (Some("application/at+jwt"), Some(JwtError::TokenType)),
            (Some("logout+jwt"), Some(JwtError::TokenType)),
            (Some("JOSE"), Some(JwtError::TokenType)),
            (Some(""), Some(JwtError::TokenType)),
        ];
        for (typ, expected) in table {
            assert_eq!(check(TokenType::Jwt, typ, &json!({})), expected, "{typ:?}");
        }
    }
}
