//! Known answers: examples that try a verifier before it is used, one for each kind of
//! key that the host is asked about.
//!
//! For RSA that is RFC 7515 appendix A.2, for each curve RFC 6979 appendices A.2.5 to A.2.7, the
//! text "sample" by the hash that JWS has with the curve.
//!
//! Invariant: an example is passed only by a verifier that accepts the valid signature and refuses
//! the tampered ones. One that says yes to everything, or no, or is not there, does not pass.

use crate::jose::base64url;
use crate::jose::json::Document;
use crate::jose::jwa::Algorithm;
use crate::jose::jwk::Key;

/// A valid signature, and what it is over and by.
#[derive(Debug)]
pub struct Example {
    /// Its algorithm; the others of the same kind of key differ from it in the hash.
    pub algorithm: Algorithm,
    jwk: &'static [(&'static str, &'static str)],
    text: &'static str,
    signature: &'static str,
}

/// One for each kind of key that the host is asked about.
pub const EXAMPLES: &[Example] = &[
    Example {
        algorithm: Algorithm::Rs256,
        jwk: &[
            ("kty", "RSA"),
            (
                "n",
                "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrc\
                 S2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGz\
                 jb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xs\
                 mtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8\
                 q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
            ),
            ("e", "AQAB"),
        ],
        text: "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA\
               6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        signature: "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Q\
                    c_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTy\
                    WzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwu\
                    sC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5A\
                    XLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    },
    Example {
        algorithm: Algorithm::Es256,
        jwk: &[
            ("kty", "EC"),
            ("crv", "P-256"),
            ("x", "YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y"),
            ("y", "eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk"),
        ],
        text: "sample",
        signature: "79SLKqy2qP0RQN2c1F6B1p0sh3tWqvmRw00OqE6vNxb3yxyULWV8QdQ2x6G24p9l8-kA27mv9AZN\
                    xKsvhDrNqA",
    },
    Example {
        algorithm: Algorithm::Es384,
        jwk: &[
            ("kty", "EC"),
            ("crv", "P-384"),
            (
                "x",
                "7DpOQVtOGaRWhhgCn0J_pdqai8SukuAuBqrlKGswDGTe-PDqkFWGYGSiVFFUgLwT",
            ),
            (
                "y",
                "gBXZty19VyROqO-awMYhiWcIpZNn-d-59UyoSz8cnbEoiyMcOuDU_nNE_SUzJkcg",
            ),
        ],
        text: "sample",
        signature: "lO27kqXsuKrUc25WxpGRaz-IFAZmzp-nPWTE6pWtEzyBpkgVLkSs-W423R6A-r5Gme9K6xXxeM6h\
                    _kDbJgMTjxMOdAoZYkUmIDtjUdCjqU-jKcFFeG5nnnuCxxo4YorI",
    },
    Example {
        algorithm: Algorithm::Es512,
        jwk: &[
            ("kty", "EC"),
            ("crv", "P-521"),
            (
                "x",
                "AYlFUNB4WTLgDqojtpTyE_jDEh-G3JegTlpxZ9tOW803ESPUbkXba11TcKfyD7YzFV04_6FtK9dh\
                 3KxHS5ovUCOk",
            ),
            (
                "y",
                "AEkxAclizU0v3feCKF5kWEE5wvkbR_h_-CNU1mMPdGoooNsldBtbNKgoAIsirMI_kk-q-9TTP4Hq\
                 ZpVt_qor_fz1",
            ),
        ],
        text: "sample",
        signature: "AMMo-vy9ed13hQNwxGMl2YfLUlVp-2PF07xTlQ5tTF8XTiWh7pAXtdRQYGrdFStTSTHX1OhFXMkf\
                    mxW_Bew243f6AGF8znz1BkgGxGf2eNO0CA1vHMUK8myiCUFzCCgbaK8oJiPqpj5bXAcj2LjDf_B3\
                    exog-Myx3MxDmX8e4ORNpKZ6",
    },
];

impl Example {
    /// Whether a verifier (key, text, signature) tells the valid signature from a tampered one and
    /// from the valid one over another text.
    pub fn is_passed_by(&self, verify: impl Fn(&Key, &[u8], &[u8]) -> bool) -> bool {
        let passes = || {
            let key = self.key()?;
            let (text, signature) = (self.text.as_bytes(), self.signature()?);
            let mut tampered_signature = signature.clone();
            *tampered_signature.last_mut()? ^= 1;
            let mut tampered_text = text.to_vec();
            *tampered_text.last_mut()? ^= 1;
            Some(
                verify(&key, text, &signature)
                    && !verify(&key, text, &tampered_signature)
                    && !verify(&key, &tampered_text, &signature),
            )
        };
        passes() == Some(true)
    }

    fn key(&self) -> Option<Key> {
        let members = self.jwk.iter();
        let members: Vec<String> = members
            .map(|(name, value)| format!(r#""{name}":"{value}""#))
            .collect();
        let jwk = format!("{{{}}}", members.join(","));
        let jwk = Document::parse(jwk.as_bytes()).ok()?;
        Key::parse(jwk.root()).ok()
    }

    fn signature(&self) -> Option<Vec<u8>> {
        base64url::decode(self.signature.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::verifier::Verifier;
    use crate::signature::host::HostAlgorithm;
    use crate::signature::portable::Portable;

    #[test]
    fn only_a_verifier_that_verifies_passes() {
        for example in EXAMPLES {
            let algorithm = example.algorithm;
            let portable = |key: &Key, text: &[u8], signature: &[u8]| {
                Portable.verify(algorithm, key, text, signature)
            };
            assert_eq!(
                example.is_passed_by(portable),
                Portable.supports(algorithm),
                "{algorithm:?}"
            );
            assert!(!example.is_passed_by(|_, _, _| true));
            assert!(!example.is_passed_by(|_, _, _| false));
            // Right about one of the two, and deaf to the other.
            let right = example.signature().unwrap();
            assert!(!example.is_passed_by(|_, _, signature| signature == right));
            let text = example.text.as_bytes();
            assert!(!example.is_passed_by(|_, of, _| of == text));
            assert!(example.is_passed_by(|_, of, signature| of == text && signature == right));
        }
    }

    #[test]
    fn there_is_one_for_every_kind_of_key_that_the_host_is_asked_about() {
        for algorithm in Algorithm::ALL {
            let same_kind = |of: &&Example| of.algorithm.key_type() == algorithm.key_type();
            let examples = EXAMPLES.iter().filter(same_kind).count();
            let by_host = HostAlgorithm::for_algorithm(*algorithm).is_some();
            if by_host {
                assert_eq!(examples, 1, "{algorithm:?}");
            }
        }
        for example in EXAMPLES {
            assert!(HostAlgorithm::for_algorithm(example.algorithm).is_some());
            assert!(example.key().unwrap().allows(example.algorithm));
        }
    }
}
