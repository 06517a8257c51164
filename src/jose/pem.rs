//! Keys and certificates as text: the encoding of RFC 7468 that is called PEM.
//!
//! Invariant: a text of one label is not read as one of another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::base64url;

/// What stands between the words of a boundary and its hyphens.
const HYPHENS: &str = "-----";
/// The label of an X.509 certificate, RFC 7468 section 5.
pub(super) const CERTIFICATE: &str = "CERTIFICATE";
/// The label of a SubjectPublicKeyInfo, RFC 7468 section 13.
pub(super) const PUBLIC_KEY: &str = "PUBLIC KEY";
/// The label of a private key in PKCS#8, RFC 7468 section 10.
pub(crate) const PRIVATE_KEY: &str = "PRIVATE KEY";

/// What follows the boundary that a text of this label begins with.
pub(super) fn begun<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    let rest = text.trim_ascii_start().strip_prefix("-----BEGIN ")?;
    rest.strip_prefix(label)?.strip_prefix(HYPHENS)
}

/// The octets of the first thing in a text, which must have this label. What follows it is not
/// read: issuers put the rest of a chain there. A public key has no chain, so nothing may follow it.
pub(crate) fn decode(text: &str, label: &str) -> Option<Vec<u8>> {
    let (base64, end) = begun(text, label)?.split_once("-----END ")?;
    let rest = end.strip_prefix(label)?.strip_prefix(HYPHENS)?;
    if label == PUBLIC_KEY && !rest.trim_ascii().is_empty() {
        return None;
    }
    base64url::decode_of_key(base64)
}

/// These octets under this label, in one line.
pub(super) fn encode(octets: &[u8], label: &str) -> String {
    let base64 = STANDARD.encode(octets);
    format!("-----BEGIN {label}-----{base64}-----END {label}-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_label_between_its_boundaries() {
        let table: &[(&str, Option<&[u8]>)] = &[
            (
                "-----BEGIN X-----\nAAEC\n-----END X-----\n",
                Some(&[0, 1, 2]),
            ),
            ("-----BEGIN X-----AAEC-----END X-----", Some(&[0, 1, 2])),
            (
                " \r\n-----BEGIN X-----\r\nAA\r\nE=\r\n-----END X-----\r\n-----BEGIN Y-----",
                Some(&[0, 1]),
            ),
            ("-----BEGIN X-----\n-----END X-----", Some(&[])),
            ("-----BEGIN X-----\nAAEC\n-----END Y-----", None),
            ("-----BEGIN X-----\nAAEC\n-----END X----", None),
            ("-----BEGIN X-----\nAAEC\n", None),
            ("-----BEGIN Y-----\nAAEC\n-----END Y-----", None),
            ("-----BEGIN XX-----\nAAEC\n-----END XX-----", None),
            ("-----BEGIN X ----\nAAEC\n-----END X-----", None),
            ("subject=x\n-----BEGIN X-----\nAAEC\n-----END X-----", None),
            (
                "-----BEGIN X-----\nProc-Type: 4\n\nAAEC\n-----END X-----",
                None,
            ),
            ("-----BEGIN X-----\nAA*C\n-----END X-----", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(decode(text, "X").as_deref(), *expected, "{text}");
        }
    }

    #[test]
    fn nothing_follows_a_public_key() {
        let key = "-----BEGIN PUBLIC KEY-----\nAAEC\n-----END PUBLIC KEY-----";
        for (rest, read) in [
            ("", true),
            ("\r\n \n", true),
            ("\nx", false),
            (
                "\n-----BEGIN PUBLIC KEY-----\nAAEC\n-----END PUBLIC KEY-----",
                false,
            ),
        ] {
            let text = format!("{key}{rest}");
            assert_eq!(decode(&text, PUBLIC_KEY).is_some(), read, "{text}");
        }
    }
}
