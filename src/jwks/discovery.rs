//! Provider metadata: OpenID Connect Discovery 1.0 section 4 and RFC 8414
//! section 3.
//!
//! Invariants: the metadata's `issuer` is ours to the letter, or nothing in it
//! is used; and a document never sends a call to a host that the configuration
//! does not name: keys on another host than the issuer's need `jwks_cluster`.

use std::fmt;

use crate::http::uri::{Scheme, Uri};
use crate::jose::json::{Document, Element};

/// The two places where metadata is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `{issuer}/.well-known/openid-configuration`.
    OpenId,
    /// `/.well-known/oauth-authorization-server` before the issuer's path; asked
    /// for where the other is not found.
    OAuth,
}

/// Why metadata was not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscoveryError {
    /// Not a JSON object, with each name once, that has `issuer` and `jwks_uri`.
    NotMetadata,
    /// `issuer` is not the configured one.
    Issuer,
    /// `jwks_uri` is no absolute http or https URI, or leaves https.
    JwksUri,
    /// The keys are on another host and no `jwks_cluster` is configured.
    OtherHost,
}

impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DiscoveryError::NotMetadata => "not provider metadata with issuer and jwks_uri",
            DiscoveryError::Issuer => "the metadata's issuer is not the configured issuer",
            DiscoveryError::JwksUri => "jwks_uri is not a URI of the issuer's scheme",
            DiscoveryError::OtherHost => {
                "jwks_uri is on another host than the issuer: configure openid_discovery.jwks_cluster"
            }
        })
    }
}

/// Where the metadata of `issuer` is.
pub fn metadata_path(issuer: &Uri, form: Form) -> String {
    let path = issuer.path.trim_end_matches('/');
    match form {
        Form::OpenId => format!("{path}/.well-known/openid-configuration"),
        Form::OAuth => format!("/.well-known/oauth-authorization-server{path}"),
    }
}

/// Where the keys are, as the metadata of `issuer` says, and the cluster that
/// leads there.
///
/// # Errors
/// See [`DiscoveryError`].
pub fn jwks_location<'c>(
    metadata: &[u8],
    issuer: &str,
    cluster: &'c str,
    jwks_cluster: Option<&'c str>,
) -> Result<(Uri, &'c str), DiscoveryError> {
    let metadata = Document::parse(metadata).map_err(|_| DiscoveryError::NotMetadata)?;
    let text = |name| {
        let member = metadata.root().get(name).and_then(Element::as_str);
        member.ok_or(DiscoveryError::NotMetadata)
    };
    let (named, jwks_uri) = (text("issuer")?, text("jwks_uri")?);
    if named != issuer {
        return Err(DiscoveryError::Issuer);
    }
    let home = Uri::parse(issuer).map_err(|_| DiscoveryError::Issuer)?;
    let keys = Uri::parse(jwks_uri).map_err(|_| DiscoveryError::JwksUri)?;
    if home.scheme == Scheme::Https && keys.scheme != Scheme::Https {
        return Err(DiscoveryError::JwksUri);
    }
    let same_host = keys.scheme == home.scheme && keys.authority == home.authority;
    match (same_host, jwks_cluster) {
        (true, _) => Ok((keys, cluster)),
        (false, Some(other)) => Ok((keys, other)),
        (false, None) => Err(DiscoveryError::OtherHost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_metadata_is_published() {
        for (issuer, openid, oauth) in [
            (
                "https://t.example/",
                "/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server",
            ),
            (
                "https://t.example",
                "/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server",
            ),
            (
                "https://t.example/realms/a",
                "/realms/a/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/realms/a",
            ),
            (
                "https://t.example/realms/a/",
                "/realms/a/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server/realms/a",
            ),
        ] {
            let issuer = Uri::parse(issuer).unwrap();
            assert_eq!(metadata_path(&issuer, Form::OpenId), openid);
            assert_eq!(metadata_path(&issuer, Form::OAuth), oauth);
        }
    }

    #[test]
    fn only_the_configured_issuer_and_hosts_are_followed() {
        use DiscoveryError::*;
        let issuer = "https://t.example/";
        let check = |metadata: &str, jwks_cluster| {
            jwks_location(metadata.as_bytes(), issuer, "home", jwks_cluster)
                .map(|(uri, cluster)| (uri.authority, uri.path, cluster))
        };
        let at = |jwks_uri: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{jwks_uri}"}}"#);
        let found = |host: &str, cluster| Ok((host.to_owned(), "/jwks".to_owned(), cluster));

        let own = at("https://t.example/jwks");
        assert_eq!(check(&own, None), found("t.example", "home"));
        assert_eq!(check(&own, Some("keys")), found("t.example", "home"));

        let other = at("https://keys.example/jwks");
        assert_eq!(check(&other, None), Err(OtherHost));
        assert_eq!(check(&other, Some("keys")), found("keys.example", "keys"));
        // Another port is another host.
        assert_eq!(
            check(&at("https://t.example:8443/jwks"), None),
            Err(OtherHost)
        );

        for refused in [
            "http://t.example/jwks",
            "/jwks",
            "ftp://t.example/jwks",
            "file:///etc/passwd",
            "",
        ] {
            assert_eq!(check(&at(refused), Some("keys")), Err(JwksUri), "{refused}");
        }
        for (metadata, error) in [
            ("", NotMetadata),
            ("{}", NotMetadata),
            ("[]", NotMetadata),
            (
                r#"["https://t.example/","https://t.example/jwks"]"#,
                NotMetadata,
            ),
            // Of two it would be the one or the other.
            (
                r#"{"issuer":"https://t.example/","jwks_uri":"https://t.example/a","jwks_uri":"https://t.example/b"}"#,
                NotMetadata,
            ),
            (r#"{"issuer":"https://t.example/"}"#, NotMetadata),
            (
                r#"{"issuer":1,"jwks_uri":"https://t.example/jwks"}"#,
                NotMetadata,
            ),
            // RFC 8414 section 3.3: identical, not merely alike.
            (
                r#"{"issuer":"https://t.example","jwks_uri":"https://t.example/jwks"}"#,
                Issuer,
            ),
            (
                r#"{"issuer":"https://T.example/","jwks_uri":"https://t.example/jwks"}"#,
                Issuer,
            ),
        ] {
            assert_eq!(check(metadata, Some("keys")), Err(error), "{metadata}");
        }
    }
}
