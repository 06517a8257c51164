//! A token as the password of Basic (RFC 7617), as git, npm and docker send one.
//!
//! Invariant: octets have one accepted spelling (RFC 4648 section 4, with padding). Upstreams skip
//! different characters where there are others, so such a text has no password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::bytes;

/// The scheme, and what follows it.
pub const PREFIX: &str = "Basic ";

/// The password in the credentials, if the name before it is this one, where it has to be one.
#[must_use]
pub(super) fn password(credentials: &[u8], username: Option<&str>) -> Option<Vec<u8>> {
    let text = STANDARD.decode(credentials).ok()?;
    let (name, rest) = text.split_at_checked(bytes::find(&text, b':')?)?;
    let is_it = username.is_none_or(|expected| expected.as_bytes() == name);
    rest.get(1..).filter(|_| is_it).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a03_a_password_has_one_spelling() {
        let table: &[(&str, Option<&str>, Option<&str>)] = &[
            ("", None, None),
            ("dTph", None, Some("a")),                  // u:a
            ("dTph", Some("u"), Some("a")),             // u:a
            ("dTph", Some("U"), None),                  // u:a
            ("dTph", Some(""), None),                   // u:a
            ("OmE=", None, Some("a")),                  // :a
            ("OmE=", Some(""), Some("a")),              // :a
            ("dTphOmI=", None, Some("a:b")),            // u:a:b
            ("dTo=", None, Some("")),                   // u:
            ("dWE=", None, None),                       // ua
            ("dTphLmIuYw==", Some("u"), Some("a.b.c")), // u:a.b.c
            ("dTphLmIuYw", None, None),
            ("dTphLmIuYw=", None, None),
            ("dTphLmIuYx==", None, None),
            ("dTph\n", None, None),
            ("dT ph", None, None),
            ("dTph dTph", None, None),
            ("dTp-", None, None),
            ("dTph.dTph", None, None),
            ("OmE=OmE=", None, None),
        ];
        for (credentials, username, expected) in table {
            let found = password(credentials.as_bytes(), *username);
            assert_eq!(
                found.as_deref(),
                expected.map(str::as_bytes),
                "{credentials:?} {username:?}"
            );
        }
    }
}
