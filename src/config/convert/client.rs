//! The client of a scheme, and how it proves who it is: raw to valid.
//!
//! Invariant: a client has what its way to prove itself needs, and nothing that is for another way.

use std::mem;

use super::secret::{self, Text};
use super::vet::{not_empty, required, required_text};
use crate::config::read::error::{At, ConfigError};
use crate::config::read::raw_sign_in::{RawAudience, RawAuthType, RawCredentials};
use crate::config::read::value::Given;
use crate::config::sign_in::{Client, ClientAuthentication, Environment};
use crate::config::valid::Config;
use crate::jose::base64url;
use crate::signature::assertion::{Assertion, PrivateKey, Signer};

/// The longest `client_id`, parameter or resource, in bytes.
pub(super) const LONGEST: usize = 1024;

const NO_KEY: &str = "must be a private key in PKCS#8, of RSA with 2048 bits or more or of P-256: PEM, or the base64 of its DER; openssl pkcs8 -topk8 -nocrypt makes it of another form";
const CANNOT_SIGN: &str =
    "Envoy does not sign with it: the key is broken, or this Envoy has no function that signs";

/// The client of a scheme with this name, whose provider has this issuer, if it has only one.
pub(super) fn convert(
    credentials: Given<RawCredentials>,
    auth_type: Given<RawAuthType>,
    (scheme, issuer): (&str, Option<&str>),
    environment: Environment<'_>,
) -> Result<Client, ConfigError> {
    let mut raw = required(credentials).at("credentials")?;
    let id = required_text(mem::take(&mut raw.client_id)).and_then(|id| {
        is_printable(&id)?;
        Ok(id)
    });
    let id = id.at("client_id").at("credentials")?;
    let auth_type = auth_type.0.unwrap_or(RawAuthType::BasicAuth);
    let secret = match (auth_type, raw.token_secret.0.take()) {
        (RawAuthType::BasicAuth | RawAuthType::UrlEncodedBody, None) => {
            Err(ConfigError::here("required by auth_type"))
        }
        (RawAuthType::BasicAuth | RawAuthType::UrlEncodedBody, Some(raw)) => {
            secret::convert(raw, environment, &is_printable).map(Some)
        }
        (_, Some(_)) => Err(ConfigError::here(
            "contradicts auth_type, which has no use for a secret",
        )),
        (_, None) => Ok(None),
    };
    let secret = secret.at("token_secret").at("credentials")?;
    let is_signed = matches!(auth_type, RawAuthType::PrivateKeyJwt);
    for (field, is_given) in [
        ("private_key", raw.private_key.0.is_some()),
        ("key_id", raw.key_id.0.is_some()),
        (
            "certificate_thumbprint",
            raw.certificate_thumbprint.0.is_some(),
        ),
        ("assertion_audience", raw.assertion_audience.0.is_some()),
    ] {
        if is_given && !is_signed {
            let problem = "contradicts auth_type, which is not PRIVATE_KEY_JWT";
            return Err(ConfigError::new(field, problem)).at("credentials");
        }
    }
    let authentication = match (auth_type, secret) {
        (RawAuthType::BasicAuth, Some(secret)) => ClientAuthentication::BasicAuth(secret),
        (RawAuthType::UrlEncodedBody, Some(secret)) => ClientAuthentication::UrlEncodedBody(secret),
        (RawAuthType::PrivateKeyJwt, _) => {
            return signed(raw, id, (scheme, issuer), environment).at("credentials");
        }
        (RawAuthType::TlsClientAuth, _) => ClientAuthentication::TlsClientAuth,
        (RawAuthType::Injected, _) => ClientAuthentication::Injected,
        (RawAuthType::None | RawAuthType::BasicAuth | RawAuthType::UrlEncodedBody, _) => {
            ClientAuthentication::None
        }
    };
    Ok(Client { id, authentication })
}

/// A client with a private key.
fn signed(
    raw: RawCredentials,
    id: String,
    (scheme, issuer): (&str, Option<&str>),
    environment: Environment<'_>,
) -> Result<Client, ConfigError> {
    let key = raw.private_key.0;
    let key = key.ok_or_else(|| ConfigError::here("required by auth_type"));
    let key = key.and_then(|raw| {
        let Text { text, is_inline } = secret::text(raw, environment)?;
        let key = PrivateKey::parse(&text).ok_or_else(|| ConfigError::here(NO_KEY));
        Ok((key.at(secret::field(is_inline))?, is_inline))
    });
    let (key, is_inline) = key.at("private_key")?;
    let mut parameters = Vec::new();
    for (field, text, read) in [
        ("key_id", raw.key_id.0, key_id as Read),
        (
            "certificate_thumbprint",
            raw.certificate_thumbprint.0,
            thumbprint,
        ),
    ] {
        if let Some(text) = text {
            parameters.push(read(text).at(field)?);
        }
    }
    let audience = match raw.assertion_audience.0 {
        Some(RawAudience::Endpoint) => None,
        Some(RawAudience::Issuer) | None if issuer.is_some() => issuer,
        Some(RawAudience::Issuer) | None => {
            return Err(ConfigError::new(
                "assertion_audience",
                "must be ENDPOINT: the provider has an issuer for each tenant",
            ));
        }
    };
    let mut assertion = Assertion::new(key, &id, audience, &parameters);
    scheme.clone_into(&mut assertion.scheme);
    Ok(Client {
        authentication: ClientAuthentication::PrivateKeyJwt {
            assertion: assertion.into(),
            is_inline,
        },
        id,
    })
}

/// Reads a text into a parameter of the header.
type Read = fn(String) -> Result<(&'static str, String), ConfigError>;

fn key_id(text: String) -> Result<(&'static str, String), ConfigError> {
    let text = not_empty(text)?;
    is_printable(&text)?;
    Ok(("kid", text))
}

/// The hash of a certificate in hexadecimal digits, as tools show it (RFC 7515 sections 4.1.7 and
/// 4.1.8).
fn thumbprint(text: String) -> Result<(&'static str, String), ConfigError> {
    let digits = text.chars().filter(|digit| *digit != ':');
    let digits = digits.map(|digit| digit.to_digit(16));
    let digits: Vec<u32> = digits.collect::<Option<_>>().unwrap_or_default();
    let name = match digits.len() {
        40 => "x5t",
        64 => "x5t#S256",
        _ => {
            return Err(ConfigError::here(
                "must be the SHA-1 or the SHA-256 of the certificate: 40 or 64 hexadecimal digits, with or without colons",
            ));
        }
    };
    let (pairs, _) = digits.as_chunks();
    let octets: Vec<u8> = pairs
        .iter()
        .map(|[high, low]| (high << 4 | low) as u8)
        .collect();
    Ok((name, base64url::encode(&octets)))
}

impl Config {
    /// Has every private key sign once. `signer` calls the host.
    ///
    /// # Errors
    /// Where a key cannot sign, with the path of its field.
    pub fn try_keys(&self, signer: Signer<'_>) -> Result<(), ConfigError> {
        let schemes = self.sign_in.iter().flat_map(|sign_in| &sign_in.schemes);
        for scheme in schemes {
            if let ClientAuthentication::PrivateKeyJwt { assertion, .. } =
                &scheme.client.authentication
                && assertion.form("", 0, [0; 16], signer).is_none()
            {
                let path = format!("sign_in.schemes.{}.credentials.private_key", scheme.name);
                return Err(ConfigError::new(&path, CANNOT_SIGN));
            }
        }
        Ok(())
    }
}

/// Refuses characters that no client id or secret has (RFC 6749 appendix A.1 and A.2).
pub(super) fn is_printable(text: &str) -> Result<(), ConfigError> {
    if text.len() <= LONGEST && text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        Ok(())
    } else {
        Err(ConfigError::here(&format!(
            "must be printable ASCII, {LONGEST} bytes at most"
        )))
    }
}
