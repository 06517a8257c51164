//! RSASSA-PKCS1-v1_5 and RSASSA-PSS, RFC 8017 sections 8.2.2 and 8.1.2.
//!
//! The key computes the power; its encoding is checked here.
//!
//! Invariant: no part of a PKCS#1 v1.5 signature is parsed. The text has one encoded message, which
//! is made and compared with the whole power, so there is no place for a padding that is too short
//! or for octets after the digest (Bleichenbacher 2006, CVE-2006-4339). Every octet of a PSS
//! encoding is checked, and the salt has the one length of RFC 7518 section 3.5.

use super::hash::Hash;
use crate::jose::jwk::RsaPublicKey;

/// RSASSA-PKCS1-V1_5-VERIFY, RFC 8017 section 8.2.2.
pub(super) fn verify_pkcs1_v1_5(
    hash: Hash,
    key: &RsaPublicKey,
    text: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let encoded = power(key, signature)?;
    let expected = emsa_pkcs1_v1_5(hash, text, encoded.len())?;
    Some(encoded == expected)
}

/// RSASSA-PSS-VERIFY, RFC 8017 section 8.1.2.
pub(super) fn verify_pss(
    hash: Hash,
    key: &RsaPublicKey,
    text: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let encoded = power(key, signature)?;
    let bits = key.modulus_bits().checked_sub(1)?;
    // Step 2c: emLen is one octet less than k where the modulus has one bit in its first octet.
    let surplus = encoded.len().checked_sub(bits.div_ceil(8))?;
    let (zeros, encoded) = encoded.split_at_checked(surplus)?;
    Some(zeros.iter().all(|octet| *octet == 0) && is_emsa_pss(hash, text, encoded, bits)?)
}

/// RSAVP1 and I2OSP, RFC 8017 sections 5.2.2 and 4.1: as many octets as the modulus has, of a
/// signature of as many octets.
fn power(key: &RsaPublicKey, signature: &[u8]) -> Option<Vec<u8>> {
    (signature.len() == key.modulus().len()).then(|| key.power(signature))?
}

/// EMSA-PKCS1-v1_5, RFC 8017 section 9.2: `00 01 ff..ff 00 DigestInfo`.
fn emsa_pkcs1_v1_5(hash: Hash, text: &[u8], len: usize) -> Option<Vec<u8>> {
    let digest = hash.digest(&[text]);
    let tail = [&[0], hash.digest_info(), &digest].concat();
    // Step 3: eight octets of padding at least.
    let padding = len
        .checked_sub(tail.len())?
        .checked_sub(2)
        .filter(|padding| *padding >= 8)?;
    let mut encoded = Vec::with_capacity(len);
    encoded.extend_from_slice(&[0, 1]);
    encoded.resize(padding.saturating_add(2), 0xff);
    encoded.extend_from_slice(&tail);
    Some(encoded)
}

/// EMSA-PSS-VERIFY, RFC 8017 section 9.1.2, with `sLen` = `hLen` and MGF1 by the same hash; its
/// step numbers are in the comments. `None` is "inconsistent" as well.
fn is_emsa_pss(hash: Hash, text: &[u8], encoded: &[u8], bits: usize) -> Option<bool> {
    let digest = hash.digest(&[text]); // 2
    let (rest, trailer) = encoded.split_at_checked(encoded.len().checked_sub(1)?)?;
    let db_len = rest.len().checked_sub(hash.len())?; // 3, in part
    let (masked_db, h) = rest.split_at_checked(db_len)?; // 5
    let unused_bits = encoded.len().checked_mul(8)?.checked_sub(bits)?;
    let used = 0xffu8.checked_shr(u32::try_from(unused_bits).ok()?)?;
    let first = *masked_db.first()?;
    let mask = mgf1(hash, h, db_len); // 7
    let mut db: Vec<u8> = masked_db.iter().zip(&mask).map(|(a, b)| a ^ b).collect(); // 8
    *db.first_mut()? &= used; // 9
    let (padding, salt) = db.split_at_checked(db_len.checked_sub(hash.len())?)?; // 3 and 11
    let (one, zeros) = padding.split_last()?;
    let expected = hash.digest(&[&[0; 8], &digest, salt]); // 12 and 13
    Some(
        trailer == [0xbc] // 4
            && first & !used == 0 // 6
            && zeros.iter().all(|octet| *octet == 0) // 10
            && *one == 1 // 10
            && h == expected, // 14
    )
}

/// MGF1, RFC 8017 appendix B.2.1.
fn mgf1(hash: Hash, seed: &[u8], len: usize) -> Vec<u8> {
    let mut mask = Vec::with_capacity(len.saturating_add(hash.len()));
    for counter in 0u32.. {
        if mask.len() >= len {
            break;
        }
        mask.extend_from_slice(&hash.digest(&[seed, &counter.to_be_bytes()]));
    }
    mask.truncate(len);
    mask
}
