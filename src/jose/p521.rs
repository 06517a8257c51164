//! Points of P-521, FIPS 186-5 and SEC 2 section 2.6.1 (secp521r1).
//!
//! This module only vets keys. The host verifies signatures on this curve, so there is no
//! arithmetic of points.
//!
//! Invariant: a [`Point`] has coordinates below the prime and is on the curve. The point at
//! infinity has no coordinates, so it is not a [`Point`]. The group's cofactor is 1, so every other
//! point of the curve is in the group.

use super::montgomery::Ring;

/// The length in octets of a coordinate.
const LEN: usize = 66;

/// The prime, 2^521 - 1.
const P: [u8; LEN] = {
    let mut prime = [0xff; LEN];
    let [first, ..] = &mut prime;
    *first = 1;
    prime
};
/// The coefficient b; the other one is -3.
const B: [u8; LEN] = [
    0x00, 0x51, 0x95, 0x3e, 0xb9, 0x61, 0x8e, 0x1c, 0x9a, 0x1f, 0x92, 0x9a, 0x21, 0xa0, 0xb6, 0x85,
    0x40, 0xee, 0xa2, 0xda, 0x72, 0x5b, 0x99, 0xb3, 0x15, 0xf3, 0xb8, 0xb4, 0x89, 0x91, 0x8e, 0xf1,
    0x09, 0xe1, 0x56, 0x19, 0x39, 0x51, 0xec, 0x7e, 0x93, 0x7b, 0x16, 0x52, 0xc0, 0xbd, 0x3b, 0xb1,
    0xbf, 0x07, 0x35, 0x73, 0xdf, 0x88, 0x3d, 0x2c, 0x34, 0xf1, 0xef, 0x45, 0x1f, 0xd4, 0x6b, 0x50,
    0x3f, 0x00,
];

/// A point of the curve, as its coordinates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    x: Box<[u8]>,
    y: Box<[u8]>,
}

impl Point {
    /// From coordinates in full length, if each is below the prime and they are on the curve.
    pub(super) fn from_coordinates(x: &[u8], y: &[u8]) -> Option<Self> {
        // They are below the prime if they are elements of its field.
        let is_point = x.len() == LEN && y.len() == LEN && is_on_curve(x, y)?;
        is_point.then(|| Self {
            x: x.into(),
            y: y.into(),
        })
    }

    /// The coordinates, x first.
    pub(super) fn coordinates(&self) -> (&[u8], &[u8]) {
        (&self.x, &self.y)
    }
}

/// y^2 = x^3 - 3x + b, modulo the prime. Written without the subtraction.
fn is_on_curve(x: &[u8], y: &[u8]) -> Option<bool> {
    let field = Ring::new(&P)?;
    let (x, y, b) = (field.residue(x)?, field.residue(y)?, field.residue(&B)?);
    let three_x = field.add(&field.add(&x, &x), &x);
    let left = field.add(&field.power(&y, 2), &three_x);
    Some(left == field.add(&field.power(&x, 3), &b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::fixtures::hex;

    /// SEC 2 section 2.6.1: the base point G.
    fn base() -> (Vec<u8>, Vec<u8>) {
        (
            hex(
                "00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66",
            ),
            hex(
                "011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650",
            ),
        )
    }

    /// The prime less a number below it, big-endian.
    fn less(number: &[u8]) -> Vec<u8> {
        let mut borrow = false;
        let mut difference: Vec<u8> = P
            .iter()
            .zip(number)
            .rev()
            .map(|(p, n)| {
                let (rest, first) = p.overflowing_sub(*n);
                let (rest, second) = rest.overflowing_sub(u8::from(borrow));
                borrow = first || second;
                rest
            })
            .collect();
        difference.reverse();
        difference
    }

    #[test]
    fn a20_a_point_of_p521_satisfies_the_equation() {
        let (x, y) = base();
        let is_point = |x: &[u8], y: &[u8]| Point::from_coordinates(x, y).is_some();
        assert!(is_point(&x, &y));
        assert!(is_point(&x, &less(&y)), "the negative of the point");
        assert!(!is_point(&less(&x), &y));
        assert!(!is_point(&y, &x));
        for at in 0..LEN {
            for bit in 0..8 {
                let flip = |number: &[u8]| {
                    let mut flipped = number.to_vec();
                    flipped[at] ^= 1 << bit;
                    flipped
                };
                assert!(!is_point(&flip(&x), &y), "x: octet {at}, bit {bit}");
                assert!(!is_point(&x, &flip(&y)), "y: octet {at}, bit {bit}");
            }
        }
        let point = Point::from_coordinates(&x, &y).unwrap();
        assert_eq!(point.coordinates(), (x.as_slice(), y.as_slice()));
    }

    /// A coordinate has one spelling: x + p is the same residue and no coordinate.
    #[test]
    fn a20_a_coordinate_of_p521_is_below_the_prime() {
        // x = 0 is on the curve, with the roots of b for y.
        let zero = vec![0; LEN];
        let root_of_b = hex(
            "012df13601594a883ef2d935e44bb90bf4d6619b74e52af7552f97769011c0719eb439cfab2a88d40fe59a2bed1f43557169a2d0a2ccd280c607b92bbf51ffe0b078",
        );
        assert!(Point::from_coordinates(&zero, &root_of_b).is_some());
        assert!(Point::from_coordinates(&zero, &less(&root_of_b)).is_some());
        assert_eq!(Point::from_coordinates(&P, &root_of_b), None);
        assert_eq!(Point::from_coordinates(&zero, &P), None);
        let (x, y) = base();
        for bad in [vec![0xff; LEN], P.to_vec(), zero, vec![], x[1..].to_vec()] {
            assert_eq!(Point::from_coordinates(&bad, &y), None, "{bad:?}");
            assert_eq!(Point::from_coordinates(&x, &bad), None, "{bad:?}");
        }
        let longer = [&[0], x.as_slice()].concat();
        assert_eq!(Point::from_coordinates(&longer, &y), None);
    }
}
