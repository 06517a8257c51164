//! Provider metadata: OpenID Connect Discovery 1.0 section 4 and RFC 8414
//! section 3.
//!
//! Invariants: nothing in the metadata is used unless their `issuer` equals the configured one,
//! byte for byte; and a document never sends a call to a host that the configuration does not name,
//! nor from https to http. Keys on another host than the metadata's need `jwks_cluster`.

use std::fmt;

use super::metadata::Reading;
use crate::bytes;
use crate::http::uri::{Scheme, Uri};
use crate::jose::issuer::TENANT_ID;
use crate::jose::json::{Document, Element};
use crate::shown::Shown;

/// Why metadata was not used, with what was found, as a log may have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiscoveryError {
    /// Not a JSON object with `issuer` and `jwks_uri`, or a name occurs twice in it.
    NotMetadata,
    /// `issuer` is not the configured one.
    Issuer(String),
    /// `jwks_uri` is not an absolute http or https URI, or leaves https.
    JwksUri(String),
    /// The keys are on another host and no `jwks_cluster` is configured.
    OtherHost(String),
}

impl DiscoveryError {
    /// Fixed text.
    pub fn description(&self) -> &'static str {
        match self {
            Self::NotMetadata => "not provider metadata with issuer and jwks_uri",
            Self::Issuer(_) => "the metadata's issuer is not the configured issuer",
            Self::JwksUri(_) => "jwks_uri is not an absolute URI, or leaves https",
            Self::OtherHost(_) => {
                "jwks_uri is on another host than the metadata: configure openid_discovery.jwks_cluster"
            }
        }
    }
}

/// The fixed text, and what was found.
impl fmt::Display for DiscoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())?;
        match self {
            Self::NotMetadata => Ok(()),
            Self::Issuer(found) | Self::JwksUri(found) | Self::OtherHost(found) => {
                write!(f, ": it is {found}")
            }
        }
    }
}

/// The error for an issuer that is not the configured one.
fn mismatch(named: &str, configured: &str) -> DiscoveryError {
    let placeholder = bytes::find(named.as_bytes(), b'{').and_then(|at| named.get(at..));
    let hint = if placeholder.is_some_and(|rest| rest.starts_with(TENANT_ID)) {
        "; {tenantid} is for any tenant of Entra: name one tenant in issuer, or write {tenantid} \
         there too and list the tenants"
    } else {
        ""
    };
    let (named, configured) = (Shown::new(named), Shown::new(configured));
    DiscoveryError::Issuer(format!("{named}, configured is {configured}{hint}"))
}

/// Where the metadata of `issuer` may be, in the order in which the places are asked: after the
/// issuer (OpenID Connect Discovery 1.0 section 4), then before its path (RFC 8414 sections 3 and
/// 5), then where Okta and others publish those of RFC 8414. Without a path, two of the four places
/// are the same as the others.
pub fn metadata_paths(issuer: &Uri) -> Vec<String> {
    const OPENID: &str = "/.well-known/openid-configuration";
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    let path = issuer.path.trim_end_matches('/');
    let mut paths = vec![[path, OPENID].concat(), [OAUTH, path].concat()];
    if !path.is_empty() {
        paths.push([OPENID, path].concat());
        paths.push([path, OAUTH].concat());
    }
    paths
}

/// Whether this status means that the metadata may be in the next place. 429 is about the time of
/// the call, not the place.
pub fn is_elsewhere(status: u16) -> bool {
    (400..500).contains(&status) && status != 429
}

/// What is used of an issuer's metadata.
#[derive(Debug)]
pub struct Found<'c> {
    /// The address of the keys, and the cluster for it.
    pub jwks_location: (Uri, &'c str),
    /// What else they say.
    pub reading: Reading,
}

/// Reads the metadata of `issuer`, which were found at the host of `home`.
///
/// # Errors
/// See [`DiscoveryError`].
pub fn read<'c>(
    metadata: &[u8],
    issuer: &str,
    home: &Uri,
    cluster: &'c str,
    jwks_cluster: Option<&'c str>,
) -> Result<Found<'c>, DiscoveryError> {
    let metadata = Document::parse(metadata).map_err(|_| DiscoveryError::NotMetadata)?;
    let text = |name| {
        let member = metadata.root().get(name).and_then(Element::as_str);
        member.ok_or(DiscoveryError::NotMetadata)
    };
    let (named, jwks_uri) = (text("issuer")?, text("jwks_uri")?);
    if named != issuer {
        return Err(mismatch(named, issuer));
    }
    let leaves_https = |keys: &Uri| home.scheme == Scheme::Https && keys.scheme != Scheme::Https;
    let keys = Uri::parse(jwks_uri).ok().filter(|keys| !leaves_https(keys));
    let keys = keys.ok_or_else(|| DiscoveryError::JwksUri(Shown::new(jwks_uri).0))?;
    let same_host = keys.scheme == home.scheme && keys.authority == home.authority;
    let cluster = match (same_host, jwks_cluster) {
        (true, _) => cluster,
        (false, Some(other)) => other,
        (false, None) => return Err(DiscoveryError::OtherHost(Shown::new(jwks_uri).0)),
    };
    Ok(Found {
        jwks_location: (keys, cluster),
        reading: Reading::new(metadata.root(), home.scheme),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_metadata_is_published() {
        for (issuer, paths) in [
            (
                "https://t.example",
                &[
                    "/.well-known/openid-configuration",
                    "/.well-known/oauth-authorization-server",
                ][..],
            ),
            (
                "https://t.example/",
                &[
                    "/.well-known/openid-configuration",
                    "/.well-known/oauth-authorization-server",
                ],
            ),
            (
                "https://t.example/realms/a",
                &[
                    "/realms/a/.well-known/openid-configuration",
                    "/.well-known/oauth-authorization-server/realms/a",
                    "/.well-known/openid-configuration/realms/a",
                    "/realms/a/.well-known/oauth-authorization-server",
                ],
            ),
            (
                "https://t.example/realms/a/",
                &[
                    "/realms/a/.well-known/openid-configuration",
                    "/.well-known/oauth-authorization-server/realms/a",
                    "/.well-known/openid-configuration/realms/a",
                    "/realms/a/.well-known/oauth-authorization-server",
                ],
            ),
        ] {
            assert_eq!(metadata_paths(&Uri::parse(issuer).unwrap()), paths);
        }
    }

    #[test]
    fn some_statuses_lead_to_the_next_place() {
        for status in [400, 401, 403, 404, 405, 406, 410, 415, 418, 451, 499] {
            assert!(is_elsewhere(status), "{status}");
        }
        for status in [0, 200, 204, 301, 302, 308, 399, 429, 500, 502, 503, 504] {
            assert!(!is_elsewhere(status), "{status}");
        }
    }

    #[test]
    fn a_mismatch_names_both_sides() {
        let text = |metadata: &str, issuer: &str| {
            let home = Uri::parse(issuer).unwrap();
            let error = read(metadata.as_bytes(), issuer, &home, "c", None);
            error.unwrap_err().to_string()
        };
        let entra = "https://login.microsoftonline.com/{tenantid}/v2.0";
        let common = "https://login.microsoftonline.com/common/v2.0";
        let metadata = format!(r#"{{"issuer":"{entra}","jwks_uri":"https://x.example/k"}}"#);
        let told = text(&metadata, common);
        for part in [
            "is not the configured issuer: it is \"https://login.microsoftonline.com/{tenantid}/v2.0\"",
            "configured is \"https://login.microsoftonline.com/common/v2.0\"",
            "name one tenant in issuer",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let evil = format!(
            r#"{{"issuer":"a\n[x] {}","jwks_uri":"https://x.example/k"}}"#,
            "e".repeat(10_000)
        );
        let told = text(&evil, common);
        assert!(told.contains(r#"it is "a\x0a[x] eee"#), "{told}");
        assert!(told.len() < 600 && !told.contains("tenant"), "{told}");
        for (uri, part) in [
            (
                "https://x.example/k",
                "jwks_cluster: it is \"https://x.example/k\"",
            ),
            (
                "http://login.microsoftonline.com/k",
                "https: it is \"http://login",
            ),
            ("/keys", "https: it is \"/keys\""),
        ] {
            let metadata = format!(r#"{{"issuer":"{common}","jwks_uri":"{uri}"}}"#);
            let told = text(&metadata, common);
            assert!(told.contains(part), "{part}: {told}");
        }
    }

    /// RFC 3986 section 6.2.3: the default port may be written or not.
    #[test]
    fn the_default_port_is_the_same_host() {
        for (issuer, jwks_uri, same) in [
            ("https://t.example/t", "https://t.example:443/t/keys", true),
            ("https://t.example:443/t", "https://t.example/t/keys", true),
            ("https://t.example:443/", "https://T.example:0443/", true),
            ("http://t.example", "http://t.example:80/keys", true),
            ("http://[::1]/", "http://[::1]:80/keys", true),
            ("https://t.example/", "https://t.example:80/keys", false),
            ("http://t.example/", "http://t.example:443/keys", false),
            ("https://t.example/", "https://t.example:4430/keys", false),
            ("https://t.example:8443/", "https://t.example:443/", false),
            ("https://t.example:8443/", "https://t.example:8443/", true),
        ] {
            let metadata = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{jwks_uri}"}}"#);
            let home = Uri::parse(issuer).unwrap();
            let found = read(metadata.as_bytes(), issuer, &home, "c", None);
            assert_eq!(found.is_ok(), same, "{issuer} {jwks_uri}");
        }
    }

    #[test]
    fn only_the_configured_issuer_and_hosts_are_followed() {
        let other_host = Err(
            "jwks_uri is on another host than the metadata: configure openid_discovery.jwks_cluster",
        );
        let bad_uri = Err("jwks_uri is not an absolute URI, or leaves https");
        let not_metadata = "not provider metadata with issuer and jwks_uri";
        let other_issuer = "the metadata's issuer is not the configured issuer";
        let issuer = "https://t.example/";
        let check = |metadata: &str, jwks_cluster| {
            let home = Uri::parse(issuer).unwrap();
            read(metadata.as_bytes(), issuer, &home, "home", jwks_cluster)
                .map(|found| found.jwks_location)
                .map(|(uri, cluster)| (uri.authority, uri.path, cluster))
                .map_err(|error| error.description())
        };
        let at = |jwks_uri: &str| format!(r#"{{"issuer":"{issuer}","jwks_uri":"{jwks_uri}"}}"#);
        let found = |host: &str, cluster| Ok((host.to_owned(), "/jwks".to_owned(), cluster));

        let own = at("https://t.example/jwks");
        assert_eq!(check(&own, None), found("t.example", "home"));
        assert_eq!(check(&own, Some("keys")), found("t.example", "home"));

        let other = at("https://keys.example/jwks");
        assert_eq!(check(&other, None), other_host);
        assert_eq!(check(&other, Some("keys")), found("keys.example", "keys"));
        // Another port is another host.
        assert_eq!(check(&at("https://t.example:8443/jwks"), None), other_host);

        for refused in [
            "http://t.example/jwks",
            "/jwks",
            "ftp://t.example/jwks",
            "file:///etc/passwd",
            "",
        ] {
            assert_eq!(check(&at(refused), Some("keys")), bad_uri, "{refused}");
        }
        for (metadata, error) in [
            ("", not_metadata),
            ("{}", not_metadata),
            ("[]", not_metadata),
            (
                r#"["https://t.example/","https://t.example/jwks"]"#,
                not_metadata,
            ),
            // Different readers would take different ones of the two.
            (
                r#"{"issuer":"https://t.example/","jwks_uri":"https://t.example/a","jwks_uri":"https://t.example/b"}"#,
                not_metadata,
            ),
            (r#"{"issuer":"https://t.example/"}"#, not_metadata),
            (
                r#"{"issuer":1,"jwks_uri":"https://t.example/jwks"}"#,
                not_metadata,
            ),
            // RFC 8414 section 3.3: identical, not merely alike.
            (
                r#"{"issuer":"https://t.example","jwks_uri":"https://t.example/jwks"}"#,
                other_issuer,
            ),
            (
                r#"{"issuer":"https://T.example/","jwks_uri":"https://t.example/jwks"}"#,
                other_issuer,
            ),
        ] {
            assert_eq!(check(metadata, Some("keys")), Err(error), "{metadata}");
        }
    }
}
