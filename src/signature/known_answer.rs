//! A known answer: the RS256 example of RFC 7515 appendix A.2.
//!
//! Invariant: a verifier is used only if it accepts the valid signature and refuses the tampered
//! ones. A host function that says yes to everything, or no, or is not there, does not pass.

use super::Verifier;
use crate::jose::json::Object;
use crate::jose::jwk::Key;
use crate::jose::jws;

const MODULUS: &str = "\
    ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrc\
    S2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGz\
    jb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xs\
    mtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8\
    q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";

const TOKEN: &str = "\
    eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA\
    6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat\
    0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t\
    1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07\
    Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv\
    Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77\
    Rw";

/// Whether the verifier tells the valid signature from a tampered one and from the valid one
/// over another text.
#[must_use]
pub fn passes(verifier: &dyn Verifier) -> bool {
    check(verifier) == Some(true)
}

fn check(verifier: &dyn Verifier) -> Option<bool> {
    let jwk: Object = [("kty", "RSA"), ("n", MODULUS), ("e", "AQAB")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let key = Key::parse(&jwk).ok()?;
    let example = jws::parse(TOKEN.as_bytes()).ok()?;
    let algorithm = example.untrusted_header().algorithm;
    let (text, signature) = (example.signing_input(), example.signature());
    let mut tampered_signature = signature.to_vec();
    *tampered_signature.last_mut()? ^= 1;
    let mut tampered_text = text.to_vec();
    *tampered_text.last_mut()? ^= 1;
    Some(
        verifier.verify(algorithm, &key, text, signature)
            && !verifier.verify(algorithm, &key, text, &tampered_signature)
            && !verifier.verify(algorithm, &key, &tampered_text, signature),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::jwa::Algorithm;
    use crate::signature::portable::Portable;

    struct Always(bool);

    impl Verifier for Always {
        fn verify(&self, _: Algorithm, _: &Key, _: &[u8], _: &[u8]) -> bool {
            self.0
        }

        fn name(&self) -> &'static str {
            "always"
        }
    }

    /// Right about signatures, and deaf to the text.
    struct OnlySignature;

    impl Verifier for OnlySignature {
        fn verify(&self, _: Algorithm, _: &Key, _: &[u8], signature: &[u8]) -> bool {
            signature == jws::parse(TOKEN.as_bytes()).unwrap().signature()
        }

        fn name(&self) -> &'static str {
            "only signature"
        }
    }

    #[test]
    fn only_a_verifier_that_verifies_passes() {
        assert!(passes(&Portable));
        assert!(!passes(&Always(true)));
        assert!(!passes(&Always(false)));
        assert!(!passes(&OnlySignature));
    }
}
