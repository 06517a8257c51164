//! The hashes of the algorithms, FIPS 180-4, their HMAC, RFC 2104, and what each is called inside
//! an RSA signature.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Digest;
use subtle::ConstantTimeEq;

use crate::jose::jwa::Algorithm;

/// A hash function as a value, so that what is built on one exists once and not three times.
#[derive(Clone, Copy, Debug)]
pub struct Hash {
    digest: fn(&[&[u8]]) -> Vec<u8>,
    hmac: fn(&[u8], &[u8]) -> Option<Vec<u8>>,
    len: usize,
    digest_info: &'static [u8],
}

impl Hash {
    /// That of an algorithm of JWS (RFC 7518 section 3.1). Ed25519's is SHA-512 (RFC 8032 section 5.1).
    #[must_use]
    pub fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 | Algorithm::Es256 | Algorithm::Hs256 => SHA256,
            Algorithm::Rs384 | Algorithm::Ps384 | Algorithm::Es384 | Algorithm::Hs384 => SHA384,
            Algorithm::Rs512
            | Algorithm::Ps512
            | Algorithm::Es512
            | Algorithm::Hs512
            | Algorithm::EdDsa => SHA512,
        }
    }

    /// The digest of the parts one after the other.
    #[must_use]
    pub fn digest(&self, parts: &[&[u8]]) -> Vec<u8> {
        (self.digest)(parts)
    }

    /// Whether `mac` is the HMAC of `text` under `secret`; compared in constant time.
    pub(super) fn verify_hmac(&self, secret: &[u8], text: &[u8], mac: &[u8]) -> bool {
        (self.hmac)(secret, text).is_some_and(|own| own.ct_eq(mac).into())
    }

    /// The length of a digest in octets, `hLen` in RFC 8017.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The DER of a DigestInfo up to the digest, RFC 8017 section 9.2, note 1.
    pub(super) fn digest_info(&self) -> &'static [u8] {
        self.digest_info
    }
}

fn digest<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = D::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().to_vec()
}

/// `None` for a secret that the hash cannot take; HMAC takes them all.
fn hmac<M: Mac + KeyInit>(secret: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let hmac = M::new_from_slice(secret).ok()?.chain_update(text);
    Some(hmac.finalize().into_bytes().to_vec())
}

/// SHA-256.
pub const SHA256: Hash = Hash {
    digest: digest::<sha2::Sha256>,
    hmac: hmac::<Hmac<sha2::Sha256>>,
    len: 32,
    digest_info: &[
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ],
};

const SHA384: Hash = Hash {
    digest: digest::<sha2::Sha384>,
    hmac: hmac::<Hmac<sha2::Sha384>>,
    len: 48,
    digest_info: &[
        0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
        0x05, 0x00, 0x04, 0x30,
    ],
};

const SHA512: Hash = Hash {
    digest: digest::<sha2::Sha512>,
    hmac: hmac::<Hmac<sha2::Sha512>>,
    len: 64,
    digest_info: &[
        0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03,
        0x05, 0x00, 0x04, 0x40,
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::fixtures::hex;

    /// FIPS 180-4's example "abc".
    #[test]
    fn the_digest_of_parts_is_that_of_the_whole() {
        for (hash, expected) in [
            (
                SHA256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                SHA384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
            ),
            (
                SHA512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
        ] {
            let expected = hex(expected);
            assert_eq!(hash.digest(&[b"abc"]), expected);
            assert_eq!(hash.digest(&[b"", b"a", b"bc"]), expected);
            assert_eq!(hash.len(), expected.len());
            // The prefix says how long the digest is that follows it, and the whole.
            let prefix = hash.digest_info();
            assert_eq!(usize::from(prefix[prefix.len() - 1]), hash.len());
            assert_eq!(usize::from(prefix[1]), prefix.len() - 2 + hash.len());
        }
    }
    /// RFC 4231 sections 4.2 and 4.3; 4.7, with a long secret, is in tests/vectors.
    #[test]
    fn the_hmac_of_a_text() {
        for (secret, text, macs) in [
            (
                &[0x0b; 20][..],
                &b"Hi There"[..],
                [
                    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                    "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
                    "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
                ],
            ),
            (
                b"Jefe",
                b"what do ya want for nothing?",
                [
                    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                    "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
                    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
                ],
            ),
        ] {
            for (hash, mac) in [SHA256, SHA384, SHA512].iter().zip(macs) {
                let mac = hex(mac);
                assert_eq!(rfc_2104(hash, secret, text), mac);
                assert!(hash.verify_hmac(secret, text, &mac));
                assert!(!hash.verify_hmac(secret, text, &mac[1..]));
                assert!(!hash.verify_hmac(secret, text, &[]));
                for at in 0..mac.len() {
                    let mut other = mac.clone();
                    other[at] ^= 1;
                    assert!(!hash.verify_hmac(secret, text, &other), "octet {at}");
                }
            }
        }
    }

    /// RFC 2104 section 2, as it is written there.
    fn rfc_2104(hash: &Hash, secret: &[u8], text: &[u8]) -> Vec<u8> {
        let mut key = vec![0; if hash.len() == 32 { 64 } else { 128 }];
        let digest_of_long = (secret.len() > key.len()).then(|| hash.digest(&[secret]));
        let secret = digest_of_long.as_deref().unwrap_or(secret);
        key[..secret.len()].copy_from_slice(secret);
        let padded = |pad| key.iter().map(|octet| octet ^ pad).collect::<Vec<u8>>();
        let inner = hash.digest(&[&padded(0x36), text]);
        hash.digest(&[&padded(0x5c), &inner])
    }

    /// A secret as long as a block is used as it is, a longer one by its digest.
    #[test]
    fn the_hmac_under_a_secret_of_a_block() {
        for len in 0..300 {
            let secret = vec![0xa5; len];
            for hash in [SHA256, SHA384, SHA512] {
                let mac = rfc_2104(&hash, &secret, b"text");
                assert!(hash.verify_hmac(&secret, b"text", &mac), "{len} octets");
                assert!(!hash.verify_hmac(&secret, b"texT", &mac), "{len} octets");
            }
        }
    }
}
