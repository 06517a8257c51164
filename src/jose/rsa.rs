//! RSA public keys, RFC 7518 section 6.3, and why one is refused.
//!
//! Invariant: an [`RsaPublicKey`] is within the bounds below. Both verifiers rely on that, since
//! the host's accepts keys of 1024 bits.

use std::cell::OnceCell;

use super::der;
use super::key_error::KeyError;
use super::montgomery::Ring;

/// RFC 7518 section 3.3: 2048 bits or more must be used.
pub const MIN_MODULUS_BITS: usize = 2048;
/// The bound on the cost of a verification.
pub const MAX_MODULUS_BITS: usize = 4096;
/// The bound that BoringSSL sets (`kMaxExponentBits`), against costly exponents.
pub const MAX_EXPONENT_BITS: usize = 33;

/// A vetted RSA public key.
#[derive(Clone, Debug)]
pub struct RsaPublicKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
    /// The integers modulo the modulus, made when they are first needed. Where the host verifies,
    /// they are never needed.
    ring: OnceCell<Option<Ring>>,
}

impl PartialEq for RsaPublicKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.modulus, &self.exponent) == (&other.modulus, &other.exponent)
    }
}

impl Eq for RsaPublicKey {}

impl RsaPublicKey {
    /// From big-endian numbers. Leading zeros are dropped: some providers write the sign octet
    /// of their library, and the number is the same.
    pub(super) fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let modulus = without_leading_zeros(modulus);
        let exponent = without_leading_zeros(exponent);
        if bits(modulus) < MIN_MODULUS_BITS {
            return Err(KeyError::ModulusTooSmall);
        }
        if bits(modulus) > MAX_MODULUS_BITS {
            return Err(KeyError::ModulusTooLarge);
        }
        if !is_odd(modulus) {
            return Err(KeyError::ModulusEven);
        }
        if !is_odd(exponent) || exponent == [1] || bits(exponent) > MAX_EXPONENT_BITS {
            return Err(KeyError::Exponent);
        }
        if has_roca_fingerprint(modulus) {
            return Err(KeyError::Roca);
        }
        Ok(Self {
            modulus: modulus.to_vec(),
            exponent: exponent.to_vec(),
            ring: OnceCell::new(),
        })
    }

    /// Big-endian, without leading zeros. Its length is the length of every valid signature.
    #[must_use]
    pub fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// Big-endian, without leading zeros.
    #[must_use]
    pub fn exponent(&self) -> &[u8] {
        &self.exponent
    }

    /// The length of the modulus in bits, `modBits` in RFC 8017.
    pub(crate) fn modulus_bits(&self) -> usize {
        bits(&self.modulus)
    }

    /// A number to the power of the exponent, modulo the modulus and in as many octets as that.
    /// `None` for a number that is not below the modulus.
    pub(crate) fn power(&self, number: &[u8]) -> Option<Vec<u8>> {
        let ring = self
            .ring
            .get_or_init(|| Ring::new(&self.modulus))
            .as_ref()?;
        let exponent = self
            .exponent
            .iter()
            .fold(0, |exponent, octet| exponent << 8 | u64::from(*octet));
        Some(ring.number(&ring.power(&ring.residue(number)?, exponent)))
    }

    pub(super) fn spki_der(&self) -> Vec<u8> {
        der::rsa_spki(&self.modulus, &self.exponent)
    }
}

/// A big-endian number in its shortest form.
pub(super) fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// The bit length of a number without leading zeros.
fn bits(number: &[u8]) -> usize {
    number.first().map_or(0, |first| {
        number
            .len()
            .saturating_mul(8)
            .saturating_sub(first.leading_zeros() as usize)
    })
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last & 1 == 1)
}

/// Primes whose residues give a key of the Infineon generator away (CVE-2017-15361): its primes
/// are `k * M + (65537^a mod M)`, so the modulus is a power of 65537 modulo each divisor of M.
const ROCA_PRIMES: &[u32] = &[
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// True for keys whose private half can be computed. For a sound key it is true with a probability
/// below 2^-27 (Nemec et al., "The Return of Coppersmith's Attack", 2017).
fn has_roca_fingerprint(modulus: &[u8]) -> bool {
    ROCA_PRIMES.iter().all(|prime| {
        // No prime is 0, and below 2^8 nothing here leaves 32 bits.
        let residue = |number: u32| number.checked_rem(*prime).unwrap_or_default();
        let modulus = modulus
            .iter()
            .fold(0, |rest, byte| residue(rest << 8 | u32::from(*byte)));
        let mut power = 1u32;
        (0..*prime).any(|_| {
            power = residue(power.saturating_mul(residue(65537)));
            power == modulus
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An odd number of that many bits which no small prime's pattern fits.
    fn modulus(bits: usize) -> Vec<u8> {
        let mut number = vec![0xa7; bits.div_ceil(8)];
        let top = (bits - 1) % 8;
        number[0] = 1 << top;
        number
    }

    #[test]
    fn a20_bounds_of_modulus_and_exponent() {
        let f4: &[u8] = &[1, 0, 1];
        let even = {
            let mut number = modulus(2048);
            *number.last_mut().unwrap() = 0xa6;
            number
        };
        let table: &[(Vec<u8>, &[u8], Option<KeyError>)] = &[
            (modulus(2048), f4, None),
            (modulus(2049), f4, None),
            (modulus(3072), f4, None),
            (modulus(4096), f4, None),
            (modulus(2048), &[3], None),
            (modulus(2048), &[0, 1, 0, 1], None), // leading zero
            (modulus(2048), &[1, 0xff, 0xff, 0xff, 0xff], None), // 33 bits
            (modulus(1024), f4, Some(KeyError::ModulusTooSmall)),
            (modulus(2047), f4, Some(KeyError::ModulusTooSmall)),
            (vec![], f4, Some(KeyError::ModulusTooSmall)),
            (vec![0; 256], f4, Some(KeyError::ModulusTooSmall)),
            (modulus(4097), f4, Some(KeyError::ModulusTooLarge)),
            (modulus(16384), f4, Some(KeyError::ModulusTooLarge)),
            (even, f4, Some(KeyError::ModulusEven)),
            (modulus(2048), &[], Some(KeyError::Exponent)),
            (modulus(2048), &[0], Some(KeyError::Exponent)),
            (modulus(2048), &[1], Some(KeyError::Exponent)),
            (modulus(2048), &[0, 0, 1], Some(KeyError::Exponent)),
            (modulus(2048), &[2], Some(KeyError::Exponent)),
            (modulus(2048), &[1, 0, 0], Some(KeyError::Exponent)),
            (modulus(2048), &[2, 0, 0, 0, 1], Some(KeyError::Exponent)), // 34 bits
            (modulus(2048), &[0xff; 256], Some(KeyError::Exponent)),
        ];
        for (n, e, expected) in table {
            let result = RsaPublicKey::new(n, e);
            assert_eq!(result.err(), *expected, "{} bits, e {e:?}", n.len() * 8);
        }
    }

    #[test]
    fn leading_zeros_do_not_count() {
        let padded = [&[0, 0], modulus(2048).as_slice()].concat();
        let key = RsaPublicKey::new(&padded, &[0, 3]).unwrap();
        assert_eq!(key.modulus(), modulus(2048));
        assert_eq!(key.exponent(), [3]);
    }
}
