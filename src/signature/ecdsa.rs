//! The form of an ECDSA signature, RFC 7518 section 3.4: `r` and `s` in full length, one after
//! the other.
//!
//! Invariant: a [`Signature`] has both of its numbers in `1..n` (FIPS 186-5 section 6.4.2, step
//! 1), so neither verifier is asked about what can only be a forgery. Zeros for both were once
//! good for every text (CVE-2022-21449).

use p256::elliptic_curve::ops::{Invert as _, Reduce as _};
use p256::elliptic_curve::point::AffineCoordinates as _;
use p256::elliptic_curve::{FieldBytes, NonZeroScalar, Scalar};

use crate::jose::der;
use crate::jose::jwa::Curve;
use crate::jose::jwk::{EcCurve, EcPoint};

/// The order of P-256's group, SEC 2 section 2.4.2.
const ORDER_P256: &[u8] = &[
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];
/// The order of P-384's group, SEC 2 section 2.5.1.
const ORDER_P384: &[u8] = &[
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc7, 0x63, 0x4d, 0x81, 0xf4, 0x37, 0x2d, 0xdf,
    0x58, 0x1a, 0x0d, 0xb2, 0x48, 0xb0, 0xa7, 0x7a, 0xec, 0xec, 0x19, 0x6a, 0xcc, 0xc5, 0x29, 0x73,
];
/// The order of P-521's group, SEC 2 section 2.6.1.
const ORDER_P521: &[u8] = &[
    0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xfa, 0x51, 0x86, 0x87, 0x83, 0xbf, 0x2f, 0x96, 0x6b, 0x7f, 0xcc, 0x01, 0x48, 0xf7, 0x09,
    0xa5, 0xd0, 0x3b, 0xb5, 0xc9, 0xb8, 0x89, 0x9c, 0x47, 0xae, 0xbb, 0x6f, 0xb7, 0x1e, 0x91, 0x38,
    0x64, 0x09,
];

/// A signature whose numbers are in range. It is not verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature<'a> {
    r: &'a [u8],
    s: &'a [u8],
}

impl<'a> Signature<'a> {
    pub(super) fn parse(curve: Curve, octets: &'a [u8]) -> Option<Self> {
        let (r, s) = octets.split_at_checked(curve.field_len())?;
        let order = match curve {
            Curve::P256 => ORDER_P256,
            Curve::P384 => ORDER_P384,
            Curve::P521 => ORDER_P521,
        };
        // Numbers of one length compare as their octets do.
        let in_range = |number: &[u8]| {
            number.len() == order.len() && number < order && number.iter().any(|octet| *octet != 0)
        };
        (in_range(r) && in_range(s)).then_some(Signature { r, s })
    }

    /// Whether it is this key's, FIPS 186-5 section 6.4.2. `digest` is as long as the order. `None`
    /// where a length is of another curve.
    pub(super) fn is_of<C: EcCurve>(self, key: &EcPoint<C>, digest: &[u8]) -> Option<bool> {
        let octets = |number: &[u8]| FieldBytes::<C>::try_from(number).ok();
        let in_range = |number| NonZeroScalar::<C>::from_repr(octets(number)?).into_option();
        let (r, s) = (in_range(self.r)?, in_range(self.s)?);
        let inverse = s.invert_vartime();
        let u = Scalar::<C>::reduce(&octets(digest)?) * *inverse;
        let v = *r * *inverse;
        // The point at infinity has 0 here, which `r` is not.
        let x = key.sum_of_multiples(&u, &v).x();
        Some(Scalar::<C>::reduce(&x) == *r)
    }

    /// The form that the host reads.
    pub(super) fn to_der(self) -> Vec<u8> {
        der::ecdsa_signature(self.r, self.s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a16_length_and_range() {
        for (curve, order) in [
            (Curve::P256, ORDER_P256),
            (Curve::P384, ORDER_P384),
            (Curve::P521, ORDER_P521),
        ] {
            let length = curve.field_len();
            let zero = vec![0; length];
            let mut one = zero.clone();
            one[length - 1] = 1;
            let mut below = order.to_vec();
            below[length - 1] -= 1;
            let mut above = order.to_vec();
            above[length - 1] += 1;
            let most = vec![0xff; length];
            for good in [&one, &below] {
                for other in [&one, &below] {
                    let raw = [good.as_slice(), other].concat();
                    let parsed = Signature::parse(curve, &raw).unwrap();
                    assert_eq!((parsed.r, parsed.s), (good.as_slice(), other.as_slice()));
                }
                for bad in [&zero, &order.to_vec(), &above, &most] {
                    for raw in [[good.as_slice(), bad], [bad.as_slice(), good]] {
                        assert_eq!(Signature::parse(curve, &raw.concat()), None, "{raw:?}");
                    }
                }
            }
            assert_eq!(Signature::parse(curve, &vec![0; 2 * length]), None);

            let raw = [one.as_slice(), &one].concat();
            let longer = [raw.as_slice(), &[0]].concat();
            let padded = [&[0], raw.as_slice()].concat();
            for bad in [&[], &raw[1..], &raw[..length], &raw[..2 * length - 1]] {
                assert_eq!(Signature::parse(curve, bad), None);
            }
            for bad in [
                longer,
                padded,
                Signature::parse(curve, &raw).unwrap().to_der(),
            ] {
                assert_eq!(Signature::parse(curve, &bad), None);
            }
        }
    }
}
