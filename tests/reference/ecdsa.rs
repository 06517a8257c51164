//! ECDSA on P-256 and P-384, of keys and nonces that are chosen: the sums that a verifier makes of a point at
//! infinity, of a point and itself, and of opposite points come too.

use bearer_gate::jose::base64url;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwk::{EcCurve, Key};
use p256::NistP256;
use p256::elliptic_curve::group::{Curve as _, Group as _};
use p256::elliptic_curve::ops::Reduce as _;
use p256::elliptic_curve::point::AffineCoordinates as _;
use p256::elliptic_curve::{Field as _, FieldBytes, PrimeField as _, ProjectivePoint, Scalar};
use p384::NistP384;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::json;
use sha2::{Digest, Sha256, Sha384};

use crate::{Case, bytes, compare, flip, key};

#[test]
fn es256() {
    compare("ES256", 20, |random| {
        case::<NistP256>(random, Algorithm::Es256, "P-256", |text| {
            Sha256::digest(text).to_vec()
        })
    });
}

#[test]
fn es384() {
    compare("ES384", 10, |random| {
        case::<NistP384>(random, Algorithm::Es384, "P-384", |text| {
            Sha384::digest(text).to_vec()
        })
    });
}

fn case<C: EcCurve>(
    random: &mut StdRng,
    algorithm: Algorithm,
    crv: &str,
    hash: impl Fn(&[u8]) -> Vec<u8>,
) -> (Case, Key) {
    let generator = ProjectivePoint::<C>::generator();
    let length = FieldBytes::<C>::default().len();
    let number = |octets: &[u8]| Scalar::<C>::reduce(&FieldBytes::<C>::try_from(octets).unwrap());
    let octets = |scalar: Scalar<C>| scalar.to_repr().to_vec();
    let inverse = |scalar: Scalar<C>| scalar.invert().unwrap();
    // Few bits, many, or any: also 1 and -1, whose points are the generator and its opposite.
    let any = |random: &mut StdRng| {
        let few = Scalar::<C>::from(1 << random.random_range(0..64));
        match random.random_range(0..4) {
            0 => few,
            1 => -few,
            _ => number(&bytes(random, length)),
        }
    };
    let (secret, nonce) = (any(random), any(random));
    let text_len = random.random_range(0..300);
    let mut text = bytes(random, text_len);
    let digest = number(&hash(&text));
    let public = (generator * secret).to_affine();
    let mut r = number(&(generator * nonce).to_affine().x());
    let mut s = inverse(nonce) * (digest + r * secret);
    let choice = random.random_range(0..10);
    match choice {
        1 => s = -s,
        // The sum is the point at infinity, whatever s is.
        2 => r = -digest * inverse(secret),
        3 => s = inverse(nonce) * (digest - r * secret),
        4 => r += Scalar::<C>::ONE,
        _ => {}
    }
    let mut signature = [octets(r), octets(s)].concat();
    let kind = match choice {
        0 => "valid",
        1 => "valid, the other s",
        2 => "infinity",
        3 => "the opposite key's",
        4 => "another r",
        5 => {
            flip(random, &mut signature);
            "bit flipped"
        }
        6 => {
            text.push(0);
            "another text"
        }
        7 => {
            let half = random.random_range(0..2) * length;
            let special = [
                vec![0; length],
                octets(-Scalar::<C>::ONE),
                vec![0xff; length],
            ];
            signature[half..half + length].copy_from_slice(&special[random.random_range(0..3)]);
            "zero, the highest, or above"
        }
        8 => {
            signature = bytes(random, 2 * length);
            "random"
        }
        _ => {
            let length = random.random_range(0..2 * length);
            signature.truncate(length);
            "too short"
        }
    };
    let coordinate = |octets: FieldBytes<C>| base64url::encode(&octets);
    let jwk = json!({
        "kty": "EC", "crv": crv, "x": coordinate(public.x()), "y": coordinate(public.y())
    });
    let case = Case {
        kind,
        algorithm,
        text,
        signature,
        expected: Some(choice < 2),
        stricter: None,
    };
    (case, key(jwk))
}
