//! RSA signing keys and the forms in which a JWK Set can publish them (RFC 7517, RFC 7518 s6.3).

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::{EncodeRsaPublicKey, LineEnding};
use rsa::pkcs1v15;
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey};
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::PublicKeyParts;
use rsa::{PrivateKey, PublicKey};
use serde_json::{Map, Value, json};
use sha2::{Sha256, Sha384, Sha512};
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder, Result as BuilderResult};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::Encode;
use x509_cert::der::asn1::Ia5String;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::Validity;

use crate::token::base64url;

/// How a key appears in the JWK Set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// `n` and `e` only.
    Modulus,
    /// `n`, `e` and `x5c`, as Auth0 publishes them.
    ModulusAndCertificate,
    /// `x5c` without `n` and `e`.
    CertificateOnly,
    /// No JWK Set at all, but a map of kids to certificates in PEM, as Google publishes them.
    CertificatesByKid,
}

/// The hash of an RSASSA-PKCS1-v1_5 signature (RFC 7518 s3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaHash {
    /// RS256
    Sha256,
    /// RS384
    Sha384,
    /// RS512
    Sha512,
}

impl RsaHash {
    /// The `alg` value that stands for it.
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::Sha256 => "RS256",
            Self::Sha384 => "RS384",
            Self::Sha512 => "RS512",
        }
    }
}

/// A private key with its kid; cheap to clone.
#[derive(Clone, Debug)]
pub struct SigningKey(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    kid: String,
    private: PrivateKey,
    public: PublicKey,
}

impl SigningKey {
    /// A new 2048-bit key with a random kid.
    pub fn generate() -> Self {
        let kid = base64url(rand::random::<[u8; 15]>());
        Self::generate_with(&kid, 2048)
    }

    /// A new key of at least 1024 bits; tests of weak keys ask for less than 2048.
    pub fn generate_with(kid: &str, bits: usize) -> Self {
        let private = PrivateKey::new(&mut rand::rng(), bits).expect("an RSA key of that size");
        let public = PublicKey::from(&private);
        Self(Arc::new(Inner {
            kid: kid.to_owned(),
            private,
            public,
        }))
    }

    /// The same key under another kid.
    pub fn renamed(&self, kid: &str) -> Self {
        Self(Arc::new(Inner {
            kid: kid.to_owned(),
            private: self.0.private.clone(),
            public: self.0.public.clone(),
        }))
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.0.kid
    }

    /// The RSASSA-PKCS1-v1_5 signature of `message`.
    pub fn signature(&self, hash: RsaHash, message: &[u8]) -> Vec<u8> {
        let key = self.0.private.clone();
        match hash {
            RsaHash::Sha256 => pkcs1v15::SigningKey::<Sha256>::new(key)
                .sign(message)
                .to_vec(),
            RsaHash::Sha384 => pkcs1v15::SigningKey::<Sha384>::new(key)
                .sign(message)
                .to_vec(),
            RsaHash::Sha512 => pkcs1v15::SigningKey::<Sha512>::new(key)
                .sign(message)
                .to_vec(),
        }
    }

    /// The modulus, big-endian without leading zeros.
    pub fn modulus(&self) -> Vec<u8> {
        self.0.public.n_bytes().into_vec()
    }

    /// The public key as SubjectPublicKeyInfo DER.
    pub fn public_der(&self) -> Vec<u8> {
        let der = self.0.public.to_public_key_der();
        der.expect("an RSA key encodes").into_vec()
    }

    /// The public key as `-----BEGIN PUBLIC KEY-----`.
    pub fn public_pem(&self) -> String {
        let pem = self.0.public.to_public_key_pem(LineEnding::LF);
        pem.expect("an RSA key encodes")
    }

    /// The public key as `-----BEGIN RSA PUBLIC KEY-----` (PKCS#1).
    pub fn public_pkcs1_pem(&self) -> String {
        let pem = self.0.public.to_pkcs1_pem(LineEnding::LF);
        pem.expect("an RSA key encodes")
    }

    /// A self-signed certificate for the key, DER.
    pub fn certificate_der(&self) -> Vec<u8> {
        self.certificate(None)
    }

    /// The same, of a host.
    fn certificate(&self, host: Option<&str>) -> Vec<u8> {
        let spki = SubjectPublicKeyInfo::from_key(&self.0.public).expect("an RSA key encodes");
        let name = Name::from_str("CN=bearer-gate testbed").expect("a valid name");
        let year = Duration::from_secs(365 * 24 * 3600);
        let mut builder = CertificateBuilder::new(
            SelfSigned(name),
            SerialNumber::from(rand::random::<u32>()),
            Validity::from_now(year).expect("a valid period"),
            spki,
        )
        .expect("a valid certificate");
        if let Some(host) = host {
            let name = GeneralName::DnsName(Ia5String::new(host).expect("a host"));
            let names = builder.add_extension(&SubjectAltName(vec![name]));
            names.expect("an extension");
        }
        let signer = pkcs1v15::SigningKey::<Sha256>::new(self.0.private.clone());
        builder
            .build::<_, pkcs1v15::Signature>(&signer)
            .and_then(|certificate| Ok(certificate.to_der()?))
            .expect("the key signs its certificate")
    }

    /// The private key and its self-signed certificate as PEM, for a server with TLS at this host.
    pub fn tls_pem(&self, host: &str) -> (String, String) {
        let key = self.0.private.to_pkcs8_pem(LineEnding::LF);
        let key = key.expect("an RSA key encodes").to_string();
        (key, pem(&self.certificate(Some(host))))
    }

    /// A self-signed certificate for the key, PEM.
    pub fn certificate_pem(&self) -> String {
        pem(&self.certificate_der())
    }

    /// The public JWK.
    pub fn jwk(&self, form: KeyForm) -> Value {
        let mut jwk = Map::new();
        for (name, value) in [("kty", "RSA"), ("use", "sig"), ("alg", "RS256")] {
            jwk.insert(name.to_owned(), json!(value));
        }
        jwk.insert("kid".to_owned(), json!(self.kid()));
        if form != KeyForm::CertificateOnly {
            jwk.insert("n".to_owned(), json!(base64url(self.modulus())));
            jwk.insert("e".to_owned(), json!(base64url(self.0.public.e_bytes())));
        }
        if form != KeyForm::Modulus {
            // RFC 7517 s4.7: base64, not base64url.
            let certificate = STANDARD.encode(self.certificate_der());
            jwk.insert("x5c".to_owned(), json!([certificate]));
        }
        Value::Object(jwk)
    }
}

fn pem(certificate: &[u8]) -> String {
    let base64 = STANDARD.encode(certificate);
    let lines = base64.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines = lines.collect::<Vec<_>>().join("\n");
    format!("-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n")
}

struct SelfSigned(Name);

impl BuilderProfile for SelfSigned {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.0.clone()
    }

    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        _: &TbsCertificate,
    ) -> BuilderResult<Vec<Extension>> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::signature::Verifier;

    #[test]
    fn a_signature_verifies_under_the_published_modulus_only() {
        let key = SigningKey::generate();
        let public = PublicKey::new(
            rsa::BoxedUint::from_be_slice_vartime(&key.modulus()),
            rsa::BoxedUint::from(65537u64),
        )
        .unwrap();
        let verifier = pkcs1v15::VerifyingKey::<Sha256>::new(public);
        let signature = key.signature(RsaHash::Sha256, b"message");
        let signature = pkcs1v15::Signature::try_from(signature.as_slice()).unwrap();
        assert!(verifier.verify(b"message", &signature).is_ok());
        assert!(verifier.verify(b"massage", &signature).is_err());
    }

    #[test]
    fn the_certificate_carries_the_key() {
        let key = SigningKey::generate();
        let spki = key.public_der();
        let certificate = key.certificate_der();
        assert!(certificate.windows(spki.len()).any(|window| window == spki));
        let jwk = key.jwk(KeyForm::CertificateOnly);
        assert!(jwk.get("n").is_none() && jwk.get("e").is_none());
        assert!(jwk["x5c"][0].is_string());
    }
}
