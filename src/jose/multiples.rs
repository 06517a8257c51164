//! Multiples of points that many signatures are verified with, by sums that are made once: the comb of Lim
//! and Lee ("More Flexible Exponentiation with Precomputation", CRYPTO '94).
//!
//! A scalar is cut into [`TEETH`] rows of as many columns. The sums are those of the points that the
//! first bits of the rows stand for. So a column costs one doubling and one addition, and there are few.
//!
//! The group's law is the curve's crate's, by formulas without exceptions, so no scalar needs care.
//! Scalars and points are public, and the time may depend on them.

#![allow(
    clippy::arithmetic_side_effects,
    reason = "points have a law of their own; indices are bounded by the scalar's length"
)]

use std::sync::OnceLock;

use p256::NistP256;
use p256::elliptic_curve::group::{Curve as _, Group as _};
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytes, ProjectivePoint};
use p384::NistP384;

/// The rows. Each more doubles what a point takes, here 12 KB on P-256 and 18 KB on P-384, and saves
/// less time than the one before.
const TEETH: usize = 7;

/// A curve whose generator's multiples are kept. Its cofactor is 1.
pub trait Curve:
    CurveArithmetic<
        AffinePoint: AffineCoordinates<FieldRepr = FieldBytes<Self>>,
        Scalar: Reduce<FieldBytes<Self>>,
    >
{
    /// Of the generator.
    fn multiples() -> &'static Multiples<Self>;
}

impl Curve for NistP256 {
    fn multiples() -> &'static Multiples<Self> {
        static MULTIPLES: OnceLock<Multiples<NistP256>> = OnceLock::new();
        MULTIPLES.get_or_init(|| Multiples::new(p256::AffinePoint::GENERATOR))
    }
}

impl Curve for NistP384 {
    fn multiples() -> &'static Multiples<Self> {
        static MULTIPLES: OnceLock<Multiples<NistP384>> = OnceLock::new();
        MULTIPLES.get_or_init(|| Multiples::new(p384::AffinePoint::GENERATOR))
    }
}

/// What is kept of a point.
#[derive(Clone, Debug)]
pub struct Multiples<C: CurveArithmetic> {
    /// For each choice of rows the sum of their first bits' points.
    sums: Vec<ProjectivePoint<C>>,
}

impl<C: Curve> Multiples<C> {
    pub(super) fn new(point: AffinePoint<C>) -> Self {
        let mut first_bit = ProjectivePoint::<C>::from(point);
        let mut sums = vec![ProjectivePoint::<C>::identity()];
        for _ in 0..TEETH {
            for at in 0..sums.len() {
                sums.extend(sums.get(at).map(|sum| *sum + first_bit));
            }
            for _ in 0..columns::<C>() {
                first_bit = first_bit.double();
            }
        }
        Self { sums }
    }

    /// The sum of points' multiples by big-endian scalars.
    pub(super) fn sum(parts: [(&Self, &FieldBytes<C>); 2]) -> AffinePoint<C> {
        let mut sum = ProjectivePoint::<C>::identity();
        for column in (0..columns::<C>()).rev() {
            sum = sum.double();
            for (multiples, scalar) in parts {
                if let Some(point) = multiples.sums.get(rows::<C>(scalar, column)) {
                    sum += *point;
                }
            }
        }
        sum.to_affine()
    }
}

/// How many bits of a scalar a row has.
fn columns<C: CurveArithmetic>() -> usize {
    (FieldBytes::<C>::default().len() * 8).div_ceil(TEETH)
}

/// The rows of a scalar that have a bit in this column, each as a bit.
fn rows<C: CurveArithmetic>(scalar: &FieldBytes<C>, column: usize) -> usize {
    (0..TEETH).rev().fold(0, |rows, row| {
        let bit = row * columns::<C>() + column;
        let octet = scalar
            .iter()
            .rev()
            .nth(bit / 8)
            .copied()
            .unwrap_or_default();
        rows << 1 | usize::from(octet >> (bit % 8) & 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::elliptic_curve::group::Group;
    use p256::elliptic_curve::{Field as _, PrimeField as _, Scalar};

    /// Scalars whose columns have every choice of rows, and none.
    fn scalars<C: Curve>() -> Vec<Scalar<C>> {
        let powers = (0..FieldBytes::<C>::default().len() * 8 - 1)
            .scan(Scalar::<C>::ONE, |power, _| {
                Some(std::mem::replace(power, power.double()))
            });
        let mut scalars: Vec<_> = powers.collect();
        scalars.extend(scalars.clone().iter().map(|power| -*power));
        scalars.extend(
            scalars
                .clone()
                .iter()
                .map(|power| *power - Scalar::<C>::ONE),
        );
        scalars.extend([Scalar::<C>::from(3).invert().unwrap(), Scalar::<C>::ZERO]);
        scalars
    }

    fn agrees_with_the_group<C: Curve>() {
        let generator = ProjectivePoint::<C>::generator();
        let scalars = scalars::<C>();
        for secret in [
            Scalar::<C>::ONE,
            -Scalar::<C>::ONE,
            Scalar::<C>::from(2),
            Scalar::<C>::from(0x0123_4567_89ab_cdef),
        ] {
            let point = generator * secret;
            let kept = Multiples::<C>::new(point.to_affine());
            for (u, v) in scalars.iter().zip(scalars.iter().rev()).step_by(31) {
                let sum = Multiples::sum([(C::multiples(), &u.to_repr()), (&kept, &v.to_repr())]);
                let expected = generator * u + point * v;
                assert_eq!(sum, expected.to_affine(), "{u:?} {v:?}");
            }
        }
    }

    #[test]
    fn the_sum_of_multiples_is_the_groups() {
        agrees_with_the_group::<NistP256>();
        agrees_with_the_group::<NistP384>();
    }
}
