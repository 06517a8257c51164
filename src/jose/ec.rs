//! EC public keys, RFC 7518 section 6.2, and why one is refused.
//!
//! Invariant: the type of an [`EcPublicKey`] proves that it is a point of its curve, and not the
//! one at infinity. A point off the curve would be a key on another, weaker curve.

use std::sync::OnceLock;

use p256::NistP256;
use p256::elliptic_curve::point::AffineCoordinates as _;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytes, PrimeField as _, Scalar};
use p384::NistP384;

use super::der;
use super::jwa::Curve;
use super::key_error::KeyError;
use super::multiples::{self, Multiples};
use super::p521;
use super::rsa::without_leading_zeros;

/// The first octet of an uncompressed point, SEC 1 section 2.3.3.
const UNCOMPRESSED: u8 = 4;

/// A vetted EC public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EcPublicKey {
    /// On P-256.
    P256(Point<NistP256>),
    /// On P-384.
    P384(Point<NistP384>),
    /// On P-521.
    P521(p521::Point),
}

impl EcPublicKey {
    /// From coordinates. RFC 7518 section 6.2.1.2 says that leading zeros must not be left out;
    /// some providers do so, and others write the sign octet of their library. The number is
    /// the same, and it is checked on the curve.
    pub(super) fn new(curve: Curve, x: &[u8], y: &[u8]) -> Result<Self, KeyError> {
        let mut point = vec![UNCOMPRESSED];
        for coordinate in [x, y] {
            let number = without_leading_zeros(coordinate);
            let zeros = curve.field_len().checked_sub(number.len());
            let zeros = zeros.filter(|_| !coordinate.is_empty());
            point.resize(
                point
                    .len()
                    .saturating_add(zeros.ok_or(KeyError::CoordinateLength)?),
                0,
            );
            point.extend_from_slice(number);
        }
        Self::from_point(curve, &point)
    }

    /// From an uncompressed point.
    pub(super) fn from_point(curve: Curve, point: &[u8]) -> Result<Self, KeyError> {
        let length = curve.field_len().saturating_mul(2).saturating_add(1);
        if point.len() != length || point.first() != Some(&UNCOMPRESSED) {
            return Err(KeyError::CoordinateLength);
        }
        let (x, y) = point
            .get(1..)
            .and_then(|point| point.split_at_checked(curve.field_len()))
            .ok_or(KeyError::CoordinateLength)?;
        // By coordinates: a reader of every form of a point would need square roots.
        match curve {
            Curve::P256 => Point::from_coordinates(x, y).map(EcPublicKey::P256),
            Curve::P384 => Point::from_coordinates(x, y).map(EcPublicKey::P384),
            Curve::P521 => p521::Point::from_coordinates(x, y).map(EcPublicKey::P521),
        }
        .ok_or(KeyError::NotOnCurve)
    }

    /// The curve.
    #[must_use]
    pub fn curve(&self) -> Curve {
        match self {
            Self::P256(_) => Curve::P256,
            Self::P384(_) => Curve::P384,
            Self::P521(_) => Curve::P521,
        }
    }

    pub(super) fn spki_der(&self) -> Vec<u8> {
        let compress = false;
        match self {
            Self::P256(key) => {
                der::ec_spki(Curve::P256, key.affine.to_sec1_point(compress).as_bytes())
            }
            Self::P384(key) => {
                der::ec_spki(Curve::P384, key.affine.to_sec1_point(compress).as_bytes())
            }
            Self::P521(point) => {
                let (x, y) = point.coordinates();
                der::ec_spki(Curve::P521, &[&[UNCOMPRESSED], x, y].concat())
            }
        }
    }
}

/// A point of a curve, and not the one at infinity.
#[derive(Clone, Debug)]
pub struct Point<C: CurveArithmetic> {
    affine: AffinePoint<C>,
    /// Made when they are first asked for: few of a set's keys are in use.
    multiples: OnceLock<Multiples<C>>,
}

impl<C: multiples::Curve> Point<C> {
    /// The point with these coordinates, if both are below the prime and the point is on the curve.
    fn from_coordinates(x: &[u8], y: &[u8]) -> Option<Self> {
        let coordinate = |octets: &[u8]| FieldBytes::<C>::try_from(octets).ok();
        let affine = AffinePoint::<C>::from_coordinates(&coordinate(x)?, &coordinate(y)?);
        Some(Self {
            affine: affine.into_option()?,
            multiples: OnceLock::new(),
        })
    }

    /// The point itself.
    #[must_use]
    pub fn affine(&self) -> &AffinePoint<C> {
        &self.affine
    }

    /// `u` times the generator and `v` times this point, together.
    #[must_use]
    pub fn sum_of_multiples(&self, u: &Scalar<C>, v: &Scalar<C>) -> AffinePoint<C> {
        let this = self.multiples.get_or_init(|| Multiples::new(self.affine));
        Multiples::sum([(C::multiples(), &u.to_repr()), (this, &v.to_repr())])
    }
}

impl<C: CurveArithmetic> PartialEq for Point<C> {
    fn eq(&self, other: &Self) -> bool {
        self.affine == other.affine
    }
}

impl<C: CurveArithmetic> Eq for Point<C> {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::fixtures::hex;
    use crate::jose::{base64url, fixtures};

    fn coordinates(jwk: &str) -> (Vec<u8>, Vec<u8>) {
        let jwk: serde_json::Value = serde_json::from_str(jwk).unwrap();
        let octets = |name: &str| base64url::decode(jwk[name].as_str().unwrap().as_bytes());
        (octets("x").unwrap(), octets("y").unwrap())
    }

    #[test]
    fn a20_a_point_is_on_its_curve() {
        for (jwk, curve) in [
            (fixtures::JWK_P256, Curve::P256),
            (fixtures::JWK_P384, Curve::P384),
            (fixtures::JWK_P521, Curve::P521),
        ] {
            let (x, y) = coordinates(jwk);
            let length = curve.field_len();
            let zero = vec![0; length];
            let mut off = y.clone();
            *off.last_mut().unwrap() ^= 1;
            let other = match curve {
                Curve::P256 => Curve::P384,
                Curve::P384 => Curve::P521,
                Curve::P521 => Curve::P256,
            };
            assert!(EcPublicKey::new(curve, &x, &y).is_ok());
            let length_error = Err(KeyError::CoordinateLength);
            let off_curve = Err(KeyError::NotOnCurve);
            let table = [
                (curve, x.clone(), off, &off_curve),
                (curve, y.clone(), x.clone(), &off_curve),
                (curve, zero.clone(), zero.clone(), &off_curve),
                (curve, vec![0xff; length], y.clone(), &off_curve),
                (curve, x.clone(), x.clone(), &off_curve),
                (curve, vec![], vec![], &length_error),
                (curve, x.clone(), vec![], &length_error),
                // An octet is missing that is not a leading zero.
                (curve, x[..length - 1].to_vec(), y.clone(), &off_curve),
                (curve, x.clone(), [&[1], &y[..]].concat(), &length_error),
                // The same octets, cut at another place.
                (
                    curve,
                    x[..length - 1].to_vec(),
                    [&x[length - 1..], &y[..]].concat(),
                    &length_error,
                ),
            ];
            for (curve, x, y, expected) in table {
                assert_eq!(EcPublicKey::new(curve, &x, &y), *expected, "{x:?} {y:?}");
            }
            // Numbers of the one field are numbers of the larger one.
            let on_other = EcPublicKey::new(other, &x, &y).unwrap_err();
            assert!([KeyError::CoordinateLength, KeyError::NotOnCurve].contains(&on_other));
        }
    }

    /// RFC 7518 section 6.2.1.2 requires the field's length; here the number counts. These have
    /// zeros in front, which are few: x = 5 on P-256, and G of P-521.
    #[test]
    fn leading_zeros_of_a_coordinate_do_not_count() {
        let y = hex("459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc");
        let p521 = coordinates(fixtures::JWK_P521);
        let mut five = vec![0; 32];
        five[31] = 5;
        for (curve, x, y) in [(Curve::P256, five, y), (Curve::P521, p521.0, p521.1)] {
            let full = EcPublicKey::new(curve, &x, &y).unwrap();
            let padded = |number: &[u8], zeros: usize| [&vec![0; zeros], number].concat();
            for x in [
                without_leading_zeros(&x).to_vec(),
                padded(&x, 1),
                padded(&x, 100),
            ] {
                for y in [without_leading_zeros(&y).to_vec(), padded(&y, 1)] {
                    assert_eq!(EcPublicKey::new(curve, &x, &y).as_ref(), Ok(&full));
                }
            }
        }
    }

    /// A coordinate is below the prime: x = 5 is on P-256, x = p + 5 is the same residue.
    #[test]
    fn a20_a_coordinate_is_below_the_prime() {
        let y = hex("459243b9aa581806fe913bce99817ade11ca503c64d9a3c533415c083248fbcc");
        let mut five = vec![0; 32];
        five[31] = 5;
        let above = hex("ffffffff00000001000000000000000000000001000000000000000000000004");
        assert!(EcPublicKey::new(Curve::P256, &five, &y).is_ok());
        assert_eq!(
            EcPublicKey::new(Curve::P256, &above, &y),
            Err(KeyError::NotOnCurve)
        );
    }

    #[test]
    fn only_the_uncompressed_form_is_a_point() {
        let (x, y) = coordinates(fixtures::JWK_P256);
        let point = |tag: u8, rest: &[&[u8]]| {
            let point = [&[tag], rest.concat().as_slice()].concat();
            EcPublicKey::from_point(Curve::P256, &point).err()
        };
        let refused = Some(KeyError::CoordinateLength);
        assert_eq!(point(4, &[&x, &y]), None);
        assert_eq!(point(0, &[]), refused); // infinity
        assert_eq!(point(2, &[&x]), refused); // compressed
        assert_eq!(point(3, &[&x]), refused);
        assert_eq!(point(5, &[&x]), refused); // compact
        assert_eq!(point(6, &[&x, &y]), refused); // hybrid
        assert_eq!(point(7, &[&x, &y]), refused);
        assert_eq!(point(0, &[&x, &y]), refused);
        assert_eq!(point(4, &[&x, &y, &[0]]), refused);
        assert_eq!(EcPublicKey::from_point(Curve::P256, &[]).err(), refused);
    }
}
