//! The hashes of the algorithms, FIPS 180-4, and what each is called inside an RSA signature.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Digest;

/// A hash function as a value, so that what is built on one exists once and not three times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash {
    digest: fn(&[&[u8]]) -> Vec<u8>,
    verify_hmac: fn(&[u8], &[u8], &[u8]) -> bool,
    len: usize,
    digest_info: &'static [u8],
}

impl Hash {
    /// The digest of the parts one after the other.
    pub(super) fn digest(&self, parts: &[&[u8]]) -> Vec<u8> {
        (self.digest)(parts)
    }

    /// Whether `mac` is the HMAC of `text` under `secret`, RFC 2104; compared in constant time.
    pub(super) fn verify_hmac(&self, secret: &[u8], text: &[u8], mac: &[u8]) -> bool {
        (self.verify_hmac)(secret, text, mac)
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

fn verify_hmac<M: Mac + KeyInit>(secret: &[u8], text: &[u8], mac: &[u8]) -> bool {
    M::new_from_slice(secret).is_ok_and(|hmac| hmac.chain_update(text).verify_slice(mac).is_ok())
}

pub(super) const SHA256: Hash = Hash {
    digest: digest::<sha2::Sha256>,
    verify_hmac: verify_hmac::<Hmac<sha2::Sha256>>,
    len: 32,
    digest_info: &[
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ],
};

pub(super) const SHA384: Hash = Hash {
    digest: digest::<sha2::Sha384>,
    verify_hmac: verify_hmac::<Hmac<sha2::Sha384>>,
    len: 48,
    digest_info: &[
        0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
        0x05, 0x00, 0x04, 0x30,
    ],
};

pub(super) const SHA512: Hash = Hash {
    digest: digest::<sha2::Sha512>,
    verify_hmac: verify_hmac::<Hmac<sha2::Sha512>>,
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
}
