//! Ed25519. The reference checks the equation times the cofactor, as RFC 8032 section 5.1.7
//! allows; the portable verifier the equation itself, as it allows as well. Only who holds the
//! private key can make a signature on which they differ.

use bearer_gate::jose::base64url;
use bearer_gate::jose::jwa::Algorithm;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use rand::RngExt;
use serde_json::json;
use sha2::{Digest, Sha512};

use crate::{Case, bytes, compare, flip, key};

/// The group's order, little-endian, RFC 8032 section 5.1.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let octets = a.iter().zip(b).map(|(a, b)| {
        let sum = u16::from(*a) + u16::from(*b) + carry;
        carry = sum >> 8;
        sum as u8
    });
    octets.collect()
}

#[test]
fn eddsa() {
    compare("EdDSA", 30, |random| {
        let wide = |octets: Vec<u8>| {
            Scalar::from_bytes_mod_order_wide(octets.as_slice().try_into().unwrap())
        };
        let text_len = random.random_range(0..300);
        let text = bytes(random, text_len);
        let secret = wide(bytes(random, 64));
        let nonce = wide(bytes(random, 64));
        let torsion = EIGHT_TORSION[random.random_range(1..8)];
        let choice = random.random_range(0..9);
        let mut public = ED25519_BASEPOINT_POINT * secret;
        let mut commitment = ED25519_BASEPOINT_POINT * nonce;
        if choice == 1 {
            commitment += torsion;
        }
        if choice == 2 {
            public += torsion;
        }
        if choice == 3 {
            commitment = torsion;
        }
        let encode = |point: EdwardsPoint| point.compress().to_bytes();
        let hash = Sha512::new()
            .chain_update(encode(commitment))
            .chain_update(encode(public))
            .chain_update(&text);
        let challenge = wide(hash.finalize().to_vec());
        let mut response = challenge * secret;
        if choice != 3 {
            response += nonce;
        }
        let mut signature = [encode(commitment), response.to_bytes()].concat();
        let mut expected = Some(choice == 0);
        let mut stricter = None;
        let kind = match choice {
            0 => "valid",
            1 => {
                stricter = Some("R has a part of small order: no cofactor");
                "R of mixed order"
            }
            2 => {
                // The part of small order vanishes where the challenge is a multiple of it.
                expected = None;
                stricter = None;
                "key of mixed order"
            }
            3 => "R of small order",
            4 => {
                let high = sum(&signature[32..], &ORDER);
                signature.truncate(32);
                signature.extend(high);
                "S not reduced"
            }
            5 => {
                flip(random, &mut signature);
                "bit flipped"
            }
            6 => {
                signature = bytes(random, 64);
                "random"
            }
            7 => {
                let length = random.random_range(0..64);
                signature.truncate(length);
                "too short"
            }
            _ => {
                // y = p + small, which no canonical encoding spells
                signature[..32].fill(0xff);
                signature[0] = random.random_range(0xed..=0xff);
                signature[31] = random.random_range(0..2) << 7 | 0x7f;
                "R not canonical"
            }
        };
        if choice == 2 {
            // Decided by the equation itself: it holds if the challenge kills the torsion.
            let holds = ED25519_BASEPOINT_POINT * response == commitment + public * challenge;
            expected = Some(holds);
            if !holds {
                stricter = Some("the key has a part of small order: no cofactor");
            }
        }
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": base64url::encode(&encode(public))});
        let case = Case {
            kind,
            algorithm: Algorithm::EdDsa,
            text,
            signature,
            expected,
            stricter,
        };
        (case, key(jwk))
    });
}
