//! The challenge of a rejection (RFC 9110 section 11.6.1, RFC 6750 section 3).
//!
//! Invariant: a text between the quotes of a challenge is printable ASCII and cannot end the
//! quotes, so no text can split the header.

use super::Rejection;

/// The value of `WWW-Authenticate`, where a rejection that is sent with `status` has one.
///
/// A request without credentials gets no error code (RFC 6750 section 3.1). A request that no rule
/// allows gets no challenge, since no token would help. Where the configuration chose another
/// status, a 401 always has a challenge (RFC 9110 section 15.5.2), and a status that is not in
/// section 3.1 has none: a 404 with a challenge would hide nothing.
///
/// `resource_metadata` is there where authorization would help (RFC 9728 section 5.1).
pub(super) fn challenge(
    rejection: &Rejection,
    status: u32,
    realm: &str,
    resource_metadata: Option<&str>,
) -> Option<String> {
    if !matches!(status, 400 | 401 | 403) {
        return None;
    }
    let mut challenge = String::from("Bearer");
    parameter(&mut challenge, "realm", realm);
    match rejection {
        Rejection::TokenMissing | Rejection::SessionMissing => {}
        Rejection::InvalidToken { .. }
        | Rejection::SeveralTokens
        | Rejection::Ambiguous(_)
        | Rejection::ClaimRule
        | Rejection::InsufficientScope { .. } => {
            parameter(&mut challenge, "error", rejection.error());
            parameter(&mut challenge, "error_description", rejection.description());
            if let Rejection::InsufficientScope { scope } = rejection {
                parameter(&mut challenge, "scope", scope);
            }
        }
        Rejection::NotConfigured
        | Rejection::HostRefused
        | Rejection::NotEnded { .. }
        | Rejection::SignOutsUnknown { .. }
        | Rejection::SessionStoreUnavailable { .. }
        | Rejection::BodyMissing
        | Rejection::NoRule
        | Rejection::CrossSite
        | Rejection::KeysUnavailable { .. }
        | Rejection::ProviderUnavailable { .. }
        | Rejection::TooManyWaiting { .. } => {
            if status != 401 {
                return None;
            }
        }
    }
    if let Some(url) = resource_metadata
        && status != 400
    {
        parameter(&mut challenge, "resource_metadata", url);
    }
    Some(challenge)
}

/// Adds `name="value"`: the first after a space, the others after a comma.
fn parameter(challenge: &mut String, name: &str, value: &str) {
    if challenge.ends_with('"') {
        challenge.push(',');
    }
    challenge.push(' ');
    challenge.push_str(name);
    challenge.push_str("=\"");
    challenge.extend(value.chars().filter(|c| is_quotable(*c)));
    challenge.push('"');
}

/// Whether a character can stand in a quoted-string (RFC 9110 section 5.6.4), and in a string of
/// JSON, without an escape.
pub(crate) fn is_quotable(c: char) -> bool {
    (' '..='~').contains(&c) && !matches!(c, '"' | '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_are_named_where_authorization_would_help() {
        let url = "https://a.example/.well-known/oauth-protected-resource";
        let named = format!(", resource_metadata=\"{url}\"");
        let scope = Rejection::InsufficientScope { scope: "a" };
        let keys = Rejection::KeysUnavailable {
            retry_after_seconds: 1,
        };
        // (rejection, the status it is sent with, whether it has a challenge, which names them)
        let table = [
            (Rejection::TokenMissing, 401, true, true),
            (Rejection::TokenMissing, 403, true, true),
            (Rejection::TokenMissing, 404, false, false),
            (scope, 403, true, true),
            (Rejection::ClaimRule, 403, true, true),
            (Rejection::SeveralTokens, 400, true, false),
            (Rejection::SeveralTokens, 401, true, true),
            (Rejection::NoRule, 403, false, false),
            (Rejection::NoRule, 401, true, true),
            (keys, 503, false, false),
        ];
        for (rejection, status, challenged, names) in table {
            let plain = challenge(&rejection, status, "api", None);
            assert_eq!(plain.is_some(), challenged, "{rejection:?} {status}");
            let expected = plain.map(|plain| if names { plain + &named } else { plain });
            let challenge = challenge(&rejection, status, "api", Some(url));
            assert_eq!(challenge, expected, "{rejection:?} {status}");
        }
    }

    #[test]
    fn no_text_breaks_out_of_its_quotes() {
        let hostile = "a\"b\\c\r\nset-cookie: x=y\u{0}\u{7f}\u{e9}";
        let rejection = Rejection::InsufficientScope { scope: hostile };
        let challenge = challenge(&rejection, 403, hostile, Some(hostile)).unwrap();
        assert!(challenge.starts_with("Bearer realm=\"abcset-cookie: x=y\", error="));
        assert!(
            challenge.ends_with(
                "scope=\"abcset-cookie: x=y\", resource_metadata=\"abcset-cookie: x=y\""
            )
        );
        assert!(challenge.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
    }
}
