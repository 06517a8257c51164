//! Arithmetic modulo an odd number by Montgomery's method ("Modular Multiplication Without Trial
//! Division", 1985).
//!
//! The numbers are public, so the steps and their time may depend on them.
//!
//! A digit has 27 bits, so that 64 bits can hold the sum of a column's products. A column is
//! carried once, at its end, and no product waits for the carry of the one before it. The 64-bit
//! product of Wasm has no upper half, so this is faster there than full digits.
//!
//! Invariants: every [`Residue`] is below the modulus, so it has one form. No sum overflows: the
//! bounds are beside [`MAX_DIGITS`].

#![allow(
    clippy::arithmetic_side_effects,
    reason = "the digits and their number are bounded, so no sum leaves its 64 bits"
)]

use std::mem;

/// The bits of a digit.
const BITS: usize = 27;
const MASK: u64 = (1 << BITS) - 1;

/// The most digits. A column is the sum of two products below 2^54 for each digit, a carry and what
/// was there before, which must stay below 2^64. This also bounds the time: 8640 bits.
const MAX_DIGITS: usize = 320;

/// The integers modulo an odd number `n`.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    /// `n`: least significant digit first, an even number of them, and the highest bit is unused.
    modulus: Vec<u64>,
    /// The octets of `n` without leading zeros.
    len: usize,
    /// `-1/n` modulo 2^27.
    inverse: u64,
    /// `R^2` modulo `n`, where `R` is 2^27 to the power of the number of digits.
    r_squared: Residue,
}

/// A number modulo `n`. It must be used only with the ring that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Residue(Vec<u64>);

impl Ring {
    /// From a big-endian number. `None` where that is even, or 1, or too large.
    pub(super) fn new(modulus: &[u8]) -> Option<Self> {
        let zeros = modulus.iter().take_while(|octet| **octet == 0).count();
        let modulus = modulus.get(zeros..)?;
        let bits = modulus.len().checked_mul(8)?;
        // One bit more for the sum of two residues, and an even number for `multiply`.
        let digits = bits.checked_add(1)?.div_ceil(2 * BITS).checked_mul(2)?;
        if digits > MAX_DIGITS || modulus.last()? & 1 == 0 || modulus == [1] {
            return None;
        }
        let len = modulus.len();
        // The highest power of two below n.
        let highest = modulus.first()?.checked_ilog2()?;
        let exponent = (len - 1) * 8 + usize::try_from(highest).ok()?;
        let mut power = vec![0; len];
        *power.first_mut()? = 1 << highest;
        let power = Residue(to_digits(&power, digits));
        let modulus = to_digits(modulus, digits);
        let lowest = *modulus.first()?;
        // Newton's method: an odd number is its own inverse in three bits, and each step doubles
        // them.
        let inverse = (0..4).fold(lowest, |inverse: u64, _| {
            inverse.wrapping_mul(2u64.wrapping_sub(lowest.wrapping_mul(inverse)))
        });
        let mut ring = Self {
            modulus,
            len,
            inverse: inverse.wrapping_neg() & MASK,
            r_squared: Residue(Vec::new()),
        };
        // Doubled until it is 2 R, which stands for 2; and 2 to the power that R is stands for R.
        let r_bits = digits * BITS;
        let two = (exponent..=r_bits).fold(power, |power, _| ring.add(&power, &power));
        ring.r_squared = ring.power(&two, u64::try_from(r_bits).ok()?);
        Some(ring)
    }

    /// The residue that a big-endian number is. `None` where that is not below the modulus.
    pub(super) fn residue(&self, number: &[u8]) -> Option<Residue> {
        let zeros = number.iter().take_while(|octet| **octet == 0).count();
        let number = number.get(zeros..).filter(|rest| rest.len() <= self.len)?;
        let digits = to_digits(number, self.modulus.len());
        is_below(&digits, &self.modulus).then(|| self.multiply(&Residue(digits), &self.r_squared))
    }

    /// The number that a residue is: big-endian, with as many octets as the modulus has.
    pub(super) fn number(&self, residue: &Residue) -> Vec<u8> {
        let one = Residue(to_digits(&[1], self.modulus.len()));
        to_octets(&self.multiply(residue, &one).0, self.len)
    }

    pub(super) fn add(&self, a: &Residue, b: &Residue) -> Residue {
        let sum = a.0.iter().zip(&b.0).map(|(a, b)| a + b).collect();
        self.reduced(sum)
    }

    /// `a` to the power of `exponent`, which is not 0.
    pub(super) fn power(&self, a: &Residue, exponent: u64) -> Residue {
        let below_the_highest = exponent.checked_ilog2().unwrap_or_default();
        (0..below_the_highest).rev().fold(a.clone(), |power, bit| {
            let square = self.multiply(&power, &power);
            if exponent >> bit & 1 == 1 {
                self.multiply(&square, a)
            } else {
                square
            }
        })
    }

    /// The product of two residues, each of which stands for its number times `R`.
    ///
    /// Two digits of `a` at a time: then each of the sums, which must be loaded and stored,
    /// takes four products and not two.
    pub(super) fn multiply(&self, a: &Residue, b: &Residue) -> Residue {
        let pairs = |digits| <[u64]>::as_chunks::<2>(digits).0;
        let mut sums = vec![[0u64; 2]; self.modulus.len()];
        let mut window = sums.as_mut_slice();
        if let (Some((&[b0, b1], rest_of_b)), Some((&[n0, n1], rest_of_n))) = (
            pairs(&b.0).split_first(),
            pairs(&self.modulus).split_first(),
        ) {
            for &[a0, a1] in pairs(&a.0) {
                let Some(([sum0, sum1], rest)) = mem::take(&mut window).split_first_mut() else {
                    break;
                };
                // The multiples of n that leave nothing in the two lowest digits.
                let sum = *sum0 + a0 * b0;
                let m0 = ((sum & MASK) * self.inverse) & MASK;
                let sum = *sum1 + ((sum + m0 * n0) >> BITS) + a0 * b1 + a1 * b0 + m0 * n1;
                let m1 = ((sum & MASK) * self.inverse) & MASK;
                let carry = (sum + m1 * n0) >> BITS;
                if let Some([sum0, _]) = rest.first_mut() {
                    *sum0 += carry;
                }
                let (mut last_b, mut last_n) = (b1, n1);
                let mut columns = rest.iter_mut();
                for ((&[b0, b1], &[n0, n1]), [sum0, sum1]) in
                    rest_of_b.iter().zip(rest_of_n).zip(columns.by_ref())
                {
                    *sum0 += a0 * b0 + m0 * n0 + a1 * last_b + m1 * last_n;
                    *sum1 += a0 * b1 + m0 * n1 + a1 * b0 + m1 * n0;
                    (last_b, last_n) = (b1, n1);
                }
                if let Some([sum0, _]) = columns.next() {
                    *sum0 += a1 * last_b + m1 * last_n;
                }
                window = rest;
            }
        }
        self.reduced(window.as_flattened().to_vec())
    }

    /// Sums of digits, worth less than `2 n`, as a residue.
    fn reduced(&self, mut digits: Vec<u64>) -> Residue {
        let mut carry = 0;
        for digit in &mut digits {
            let sum = *digit + carry;
            *digit = sum & MASK;
            carry = sum >> BITS;
        }
        if !is_below(&digits, &self.modulus) {
            let mut borrow = 0;
            for (digit, n) in digits.iter_mut().zip(&self.modulus) {
                let difference = digit.wrapping_sub(n + borrow);
                *digit = difference & MASK;
                borrow = difference >> 63;
            }
        }
        Residue(digits)
    }
}

/// Of as many digits each.
fn is_below(a: &[u64], b: &[u64]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// As many digits; the number has no more.
fn to_digits(number: &[u8], len: usize) -> Vec<u64> {
    let mut digits = Vec::with_capacity(len);
    let (mut bits, mut held) = (0u64, 0);
    for octet in number.iter().rev() {
        bits |= u64::from(*octet) << held;
        held += 8;
        if held >= BITS {
            digits.push(bits & MASK);
            bits >>= BITS;
            held -= BITS;
        }
    }
    digits.push(bits);
    digits.resize(len, 0);
    digits
}

/// As many octets; the number has no more.
fn to_octets(digits: &[u64], len: usize) -> Vec<u8> {
    let mut octets = Vec::with_capacity(len);
    let (mut bits, mut held) = (0u64, 0);
    for digit in digits {
        bits |= digit << held;
        held += BITS;
        while held >= 8 {
            octets.push((bits & 0xff) as u8);
            bits >>= 8;
            held -= 8;
        }
    }
    octets.push((bits & 0xff) as u8);
    octets.resize(len, 0);
    octets.reverse();
    octets
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_bigint::BigUint;
    use proptest::prelude::*;

    fn power(modulus: &[u8], base: &[u8], exponent: u64) -> Option<Vec<u8>> {
        let ring = Ring::new(modulus)?;
        let base = ring.residue(base)?;
        Some(ring.number(&ring.power(&base, exponent)))
    }

    fn expected(modulus: &[u8], base: &[u8], exponent: u64) -> Vec<u8> {
        let number = BigUint::from_bytes_be;
        number(base)
            .modpow(&BigUint::from(exponent), &number(modulus))
            .to_bytes_be()
    }

    fn without_zeros(number: &[u8]) -> &[u8] {
        &number[number.iter().take_while(|octet| **octet == 0).count()..]
    }

    /// Of a modulus, the bases at the edges, and a few exponents.
    fn check(modulus: &[u8], base: &[u8]) {
        let mut below = modulus.to_vec();
        *below.last_mut().unwrap() -= 1;
        let mut halved = BigUint::from_bytes_be(modulus) >> 1u8;
        let half = halved.to_bytes_be();
        halved += 1u8;
        let reduced =
            (BigUint::from_bytes_be(base) % BigUint::from_bytes_be(modulus)).to_bytes_be();
        for base in [
            &[][..],
            &[1],
            &below,
            &half,
            &halved.to_bytes_be(),
            &reduced,
        ] {
            for exponent in [1, 2, 3, 65537, 0x1_ffff_ffff] {
                let power = power(modulus, base, exponent).unwrap();
                assert_eq!(power.len(), without_zeros(modulus).len());
                let expected = expected(modulus, base, exponent);
                assert_eq!(
                    without_zeros(&power),
                    without_zeros(&expected),
                    "{base:x?} to the power of {exponent} modulo {modulus:x?}"
                );
            }
        }
    }

    /// Digits, octets and limbs that are all ones or all zeros, and every length up to what is
    /// more than a pair of digits.
    #[test]
    fn powers_modulo_numbers_at_the_edges() {
        for len in (1..40).chain([255, 256, 257, 383, 384, 385, 511, 512, 513]) {
            let ones = vec![0xff; len];
            let mut sparse = vec![0; len];
            sparse[0] = 0x80;
            sparse[len - 1] |= 1;
            let mut padded = vec![0, 0];
            padded.extend_from_slice(&ones);
            let mut top = ones.clone();
            top[0] = 1;
            let mut low = vec![0; len];
            low[0] = 3;
            low[len - 1] |= 1;
            for modulus in [&ones, &sparse, &padded, &top, &low] {
                if without_zeros(modulus) != [1] {
                    check(modulus, &ones);
                }
            }
        }
    }

    #[test]
    fn what_is_no_odd_modulus_is_refused() {
        let even = [[0xff; 255].as_slice(), &[0xfe]].concat();
        let large = [0xff; MAX_DIGITS * BITS / 8];
        for modulus in [&[][..], &[0], &[0, 0], &[1], &[0, 1], &[2], &even, &large] {
            assert!(Ring::new(modulus).is_none(), "{modulus:x?}");
        }
        // The most digits of all ones: the highest that the sums get.
        check(&large[1..], &[7; 1000]);
    }

    #[test]
    fn an_element_is_below_the_modulus() {
        let modulus = [[0xab; 255].as_slice(), &[0xcd]].concat();
        let ring = Ring::new(&modulus).unwrap();
        let mut above = modulus.clone();
        *above.last_mut().unwrap() += 1;
        let longer = [&[1], modulus.as_slice()].concat();
        for number in [
            modulus.as_slice(),
            &above,
            &longer,
            &[0xff; 256],
            &[0xff; 600],
        ] {
            assert_eq!(ring.residue(number), None, "{number:x?}");
        }
        let mut below = modulus.clone();
        *below.last_mut().unwrap() -= 1;
        let padded = [&[0, 0, 0], below.as_slice()].concat();
        let residue = ring.residue(&below).unwrap();
        assert_eq!(ring.residue(&padded).as_ref(), Some(&residue));
        assert_eq!(ring.number(&residue), below);
    }

    #[test]
    fn sums_and_products_have_one_form() {
        let modulus = [[0xff; 65].as_slice(), &[0x0b]].concat();
        let ring = Ring::new(&modulus).unwrap();
        let [zero, one, two] = [0, 1, 2].map(|number| ring.residue(&[number]).unwrap());
        let mut less_one = modulus.clone();
        *less_one.last_mut().unwrap() -= 1;
        let less_one = ring.residue(&less_one).unwrap();
        assert_eq!(ring.add(&one, &one), two);
        assert_eq!(ring.add(&less_one, &one), zero);
        assert_eq!(ring.add(&less_one, &two), one);
        assert_eq!(ring.multiply(&less_one, &less_one), one);
        assert_eq!(ring.multiply(&less_one, &zero), zero);
        assert_eq!(
            ring.add(&less_one, &less_one),
            ring.multiply(&less_one, &two)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn powers_are_those_of_another_library(
            mut modulus in prop::collection::vec(any::<u8>(), 1..600),
            base in prop::collection::vec(any::<u8>(), 0..700),
        ) {
            *modulus.last_mut().unwrap() |= 1;
            prop_assume!(without_zeros(&modulus) != [1]);
            check(&modulus, &base);
        }

        /// Runs of ones and zeros: carries go a long way, and differences are near the modulus.
        #[test]
        fn powers_of_runs(
            runs in prop::collection::vec((prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xfe, 0xff]), 1..80usize), 1..8),
            base in prop::collection::vec((prop::sample::select(vec![0, 0xff]), 1..80usize), 1..8),
        ) {
            let octets = |runs: Vec<(u8, usize)>| -> Vec<u8> {
                runs.into_iter().flat_map(|(octet, len)| vec![octet; len]).collect()
            };
            let mut modulus = octets(runs);
            *modulus.last_mut().unwrap() |= 1;
            prop_assume!(without_zeros(&modulus) != [1]);
            check(&modulus, &octets(base));
        }
    }
}
