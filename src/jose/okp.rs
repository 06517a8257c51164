//! Octet key pairs on Ed25519, RFC 8037 section 2.
//!
//! Invariant: an [`Ed25519PublicKey`] is the canonical encoding of a point whose order is not
//! small. With a point of small order, one signature would fit many texts.

use super::der;
use super::key_error::KeyError;

/// A vetted Ed25519 public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ed25519PublicKey(ed25519_dalek::VerifyingKey);

impl Ed25519PublicKey {
    /// From its encoding, RFC 8032 section 5.1.5.
    pub(super) fn new(octets: &[u8]) -> Result<Self, KeyError> {
        let octets = octets.try_into().map_err(|_| KeyError::CoordinateLength)?;
        let key =
            ed25519_dalek::VerifyingKey::from_bytes(octets).map_err(|_| KeyError::NotOnCurve)?;
        // RFC 8032 section 5.1.3 decodes no other spelling of the point; the library does.
        if key.to_edwards().compress().as_bytes() != octets {
            return Err(KeyError::NotOnCurve);
        }
        if key.is_weak() {
            return Err(KeyError::SmallOrder);
        }
        Ok(Self(key))
    }

    /// The key in the form that verifies.
    #[must_use]
    pub(crate) fn point(&self) -> &ed25519_dalek::VerifyingKey {
        &self.0
    }

    pub(super) fn spki_der(&self) -> Vec<u8> {
        der::ed25519_spki(self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::fixtures::hex;

    #[test]
    fn a20_weak_and_malformed_points() {
        use KeyError::{CoordinateLength, NotOnCurve, SmallOrder};
        // RFC 8037 appendix A.2
        let good = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        let table = [
            (good, None),
            (&good[2..], Some(CoordinateLength)),
            ("", Some(CoordinateLength)),
            // The eight points of small order, in their canonical encodings.
            (
                "0100000000000000000000000000000000000000000000000000000000000000",
                Some(SmallOrder),
            ),
            (
                "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                Some(SmallOrder),
            ),
            (
                "0000000000000000000000000000000000000000000000000000000000000000",
                Some(SmallOrder),
            ),
            (
                "0000000000000000000000000000000000000000000000000000000000000080",
                Some(SmallOrder),
            ),
            (
                "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
                Some(SmallOrder),
            ),
            (
                "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
                Some(SmallOrder),
            ),
            (
                "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
                Some(SmallOrder),
            ),
            (
                "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
                Some(SmallOrder),
            ),
            // Of them, other encodings: y of p and above, x = 0 with a sign.
            (
                "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                Some(NotOnCurve),
            ),
            (
                "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                Some(NotOnCurve),
            ),
            (
                "0100000000000000000000000000000000000000000000000000000000000080",
                Some(NotOnCurve),
            ),
            (
                "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
                Some(NotOnCurve),
            ),
            (
                "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
                Some(NotOnCurve),
            ),
            // y = 2 has no x.
            (
                "0200000000000000000000000000000000000000000000000000000000000000",
                Some(NotOnCurve),
            ),
        ];
        for (digits, expected) in table {
            assert_eq!(
                Ed25519PublicKey::new(&hex(digits)).err(),
                expected,
                "{digits}"
            );
        }
        let long = [hex(good), vec![0]].concat();
        assert_eq!(Ed25519PublicKey::new(&long).err(), Some(CoordinateLength));
    }
}
