//! What a provider publishes about itself beside its keys: OpenID Connect Discovery 1.0 section 3
//! and RFC 8414 section 2.
//!
//! Invariant: an endpoint is an absolute URL of at most [`MAX_URL`] octets, and https where the
//! metadata are. A member that is wrong counts as absent; it harms neither the others nor the keys.

use std::fmt;

use crate::http::uri::{Scheme, Uri, UriError};
use crate::jose::json::{Document, Element};
use crate::shown::Shown;

/// The longest URL of an endpoint, in octets.
pub const MAX_URL: usize = 2048;

/// What a provider says about itself. A provider without metadata says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// RFC 6749 section 3.1.
    pub authorization_endpoint: Option<Uri>,
    /// RFC 6749 section 3.2.
    pub token_endpoint: Option<Uri>,
    /// OpenID Connect Core 1.0 section 5.3.
    pub userinfo_endpoint: Option<Uri>,
    /// OpenID Connect RP-Initiated Logout 1.0 section 2.1.
    pub end_session_endpoint: Option<Uri>,
    /// RFC 7009 section 2.
    pub revocation_endpoint: Option<Uri>,
    /// RFC 7662 section 2.
    pub introspection_endpoint: Option<Uri>,
    /// RFC 9126 section 2.
    pub pushed_authorization_request_endpoint: Option<Uri>,
    /// Whether authorization requests must be pushed (RFC 9126 section 5).
    pub requires_pushed_requests: bool,
    /// Whether authorization responses always have `iss` (RFC 9207 section 3).
    pub has_iss_parameter: bool,
    /// Whether `S256` is among the code challenge methods (RFC 7636 section 4.2). `None` where the
    /// provider does not say.
    pub has_s256: Option<bool>,
}

type Flag = fn(&mut Metadata) -> &mut bool;
type Field = fn(&mut Metadata) -> &mut Option<Uri>;

/// The members that are endpoints.
const ENDPOINTS: [(&str, Field); 7] = [
    ("authorization_endpoint", |metadata| {
        &mut metadata.authorization_endpoint
    }),
    ("token_endpoint", |metadata| &mut metadata.token_endpoint),
    ("userinfo_endpoint", |metadata| {
        &mut metadata.userinfo_endpoint
    }),
    ("end_session_endpoint", |metadata| {
        &mut metadata.end_session_endpoint
    }),
    ("revocation_endpoint", |metadata| {
        &mut metadata.revocation_endpoint
    }),
    ("introspection_endpoint", |metadata| {
        &mut metadata.introspection_endpoint
    }),
    ("pushed_authorization_request_endpoint", |metadata| {
        &mut metadata.pushed_authorization_request_endpoint
    }),
];
const REQUIRES_PUSHED: &str = "require_pushed_authorization_requests";
const ISS_PARAMETER: &str = "authorization_response_iss_parameter_supported";
const CODE_CHALLENGE_METHODS: &str = "code_challenge_methods_supported";

/// Metadata that were read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// What they say.
    pub metadata: Metadata,
    /// The members that are used, and no others, as a JSON object that says the same.
    pub kept: String,
    /// The members that were left out, each with the reason, as a log may have it.
    pub faults: Vec<String>,
}

impl Reading {
    /// Reads metadata that are at an address with this scheme.
    #[must_use]
    pub fn new(root: Element<'_>, home: Scheme) -> Self {
        let mut reading = Self::default();
        for (name, field) in ENDPOINTS {
            let endpoint = reading.member(root, name, |found| endpoint(found, home));
            *field(&mut reading.metadata) = endpoint;
        }
        let flags: [(&str, Flag); 2] = [
            (REQUIRES_PUSHED, |metadata| {
                &mut metadata.requires_pushed_requests
            }),
            (ISS_PARAMETER, |metadata| &mut metadata.has_iss_parameter),
        ];
        for (name, flag) in flags {
            let says = reading.member(root, name, |found| {
                let says = found.as_bool().ok_or(Fault::NotBool)?;
                Ok((says, says.to_string()))
            });
            *flag(&mut reading.metadata) = says == Some(true);
        }
        reading.metadata.has_s256 = reading.member(root, CODE_CHALLENGE_METHODS, |found| {
            let methods = found.items().ok_or(Fault::NotList)?;
            let has_s256 = methods
                .into_iter()
                .any(|method| method.as_str() == Some("S256"));
            let kept = if has_s256 { r#"["S256"]"# } else { "[]" };
            Ok((has_s256, kept.to_owned()))
        });
        reading.kept = format!("{{{}}}", reading.kept);
        reading
    }

    /// Reads [`Reading::kept`] again. A text that is not JSON says nothing.
    #[must_use]
    pub fn again(kept: &str, home: Scheme) -> Metadata {
        let read = |document: Document| Self::new(document.root(), home).metadata;
        Document::parse(kept.as_bytes()).map_or_else(|_| Metadata::default(), read)
    }

    /// One member, if it is there and right. `read` gives its value, and the same as JSON.
    fn member<T>(
        &mut self,
        root: Element<'_>,
        name: &str,
        read: impl FnOnce(Element<'_>) -> Result<(T, String), Fault>,
    ) -> Option<T> {
        match read(root.get(name)?) {
            Ok((says, json)) => {
                let comma = if self.kept.is_empty() { "" } else { "," };
                self.kept.push_str(&format!("{comma}\"{name}\":{json}"));
                Some(says)
            }
            Err(fault) => {
                self.faults
                    .push(format!("{name} of the metadata: it {fault}"));
                None
            }
        }
    }
}

/// Why a member is not used, with what was found.
enum Fault {
    NotBool,
    NotList,
    NotText,
    TooLong,
    NotHttps(Shown),
    Uri(UriError, Shown),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBool => f.write_str("is neither true nor false"),
            Self::NotList => f.write_str("is not an array"),
            Self::NotText => f.write_str("is not a string"),
            Self::TooLong => write!(f, "is longer than {MAX_URL} octets"),
            Self::NotHttps(found) => write!(f, "is not https: {found}"),
            Self::Uri(error, found) => write!(f, "{error}: {found}"),
        }
    }
}

/// An endpoint, and its URL as JSON. A [`Uri`] has no character that JSON escapes.
fn endpoint(found: Element<'_>, home: Scheme) -> Result<(Uri, String), Fault> {
    let text = found.as_str().ok_or(Fault::NotText)?;
    if text.len() > MAX_URL {
        return Err(Fault::TooLong);
    }
    let uri = Uri::parse(text).map_err(|error| Fault::Uri(error, Shown::new(text)))?;
    if home == Scheme::Https && uri.scheme != Scheme::Https {
        return Err(Fault::NotHttps(Shown::new(text)));
    }
    let json = format!("\"{uri}\"");
    Ok((uri, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(metadata: &str, home: Scheme) -> Reading {
        let document = Document::parse(metadata.as_bytes()).unwrap();
        Reading::new(document.root(), home)
    }

    fn uri(text: &str) -> Option<Uri> {
        Some(Uri::parse(text).unwrap())
    }

    #[test]
    fn each_member_is_read_and_kept_and_nothing_else() {
        let members = r#""authorization_endpoint":"https://idp.example/authorize?tenant=a&b=%20","token_endpoint":"https://tokens.example/token","userinfo_endpoint":"https://idp.example/me","end_session_endpoint":"https://idp.example/logout","revocation_endpoint":"https://idp.example/revoke","introspection_endpoint":"https://idp.example/introspect","pushed_authorization_request_endpoint":"https://idp.example/par","require_pushed_authorization_requests":true,"authorization_response_iss_parameter_supported":true,"code_challenge_methods_supported":["S256"]"#;
        let whole = format!(
            r#"{{"issuer":"https://idp.example","jwks_uri":"https://idp.example/keys",{members},"scopes_supported":["openid"],"registration_endpoint":"https://idp.example/register"}}"#
        );
        let reading = read(&whole, Scheme::Https);
        assert_eq!(
            reading.metadata,
            Metadata {
                authorization_endpoint: uri("https://idp.example/authorize?tenant=a&b=%20"),
                token_endpoint: uri("https://tokens.example/token"),
                userinfo_endpoint: uri("https://idp.example/me"),
                end_session_endpoint: uri("https://idp.example/logout"),
                revocation_endpoint: uri("https://idp.example/revoke"),
                introspection_endpoint: uri("https://idp.example/introspect"),
                pushed_authorization_request_endpoint: uri("https://idp.example/par"),
                requires_pushed_requests: true,
                has_iss_parameter: true,
                has_s256: Some(true),
            }
        );
        assert_eq!(reading.kept, format!("{{{members}}}"));
        assert_eq!(reading.faults, [""; 0]);
        let again = Reading::again(&reading.kept, Scheme::Https);
        assert_eq!(again, reading.metadata);
    }

    #[test]
    fn a_wrong_member_is_absent_and_the_others_count() {
        let long = |octets: usize| {
            let url = "https://idp.example/";
            format!("\"{url}{}\"", "x".repeat(octets - url.len()))
        };
        let (longest, too_long) = (long(MAX_URL), long(MAX_URL + 1));
        // (the issuer's scheme, the endpoint as JSON) -> the reason, or none
        let https = Scheme::Https;
        for (home, endpoint, fault) in [
            (https, r#""https://other.example:8443/x?y""#, ""),
            (https, r#""HTTPS://IDP.example:443""#, ""),
            (https, &longest, ""),
            (https, &too_long, "it is longer than 2048 octets"),
            (Scheme::Http, r#""http://idp.example/x""#, ""),
            (Scheme::Http, r#""https://idp.example/x""#, ""),
            (
                https,
                r#""http://idp.example/x""#,
                r#"it is not https: "http://idp.example/x""#,
            ),
            (https, "null", "it is not a string"),
            (https, "1", "it is not a string"),
            (https, r#"["https://idp.example/"]"#, "it is not a string"),
            (
                https,
                r#""""#,
                r#"it must start with http:// or https://: """#,
            ),
            (
                https,
                r#""/token""#,
                r#"it must start with http:// or https://: "/token""#,
            ),
            (
                https,
                r#""javascript:alert(1)""#,
                r#"it must start with http:// or https://: "javascript:alert(1)""#,
            ),
            (
                https,
                r#""https://idp.example/#x""#,
                r#"it must not have a fragment: "https://idp.example/#x""#,
            ),
            (
                https,
                r#""https://a:b@idp.example/""#,
                r#"it must not hold a user name or password: "https://a:b@idp.example/""#,
            ),
            (
                https,
                r#""https://idp.example/\r\nx""#,
                r#"it has a character that a URI cannot have: "https://idp.example/\x0d\x0ax""#,
            ),
            (
                https,
                r#""https://idp.example/\"x""#,
                r#"it has a character that a URI cannot have: "https://idp.example/\"x""#,
            ),
        ] {
            let metadata = format!(
                r#"{{"token_endpoint":{endpoint},"revocation_endpoint":"https://idp.example/r"}}"#
            );
            let reading = read(&metadata, home);
            let faults: Vec<String> = (!fault.is_empty())
                .then(|| format!("token_endpoint of the metadata: {fault}"))
                .into_iter()
                .collect();
            assert_eq!(reading.faults, faults);
            let Metadata {
                token_endpoint,
                revocation_endpoint,
                ..
            } = &reading.metadata;
            assert_eq!(token_endpoint.is_some(), fault.is_empty(), "{endpoint}");
            assert_eq!(*revocation_endpoint, uri("https://idp.example/r"));
            assert_eq!(Reading::again(&reading.kept, home), reading.metadata);
        }
    }

    #[test]
    fn a_missing_or_wrong_member_says_nothing() {
        // -> iss in responses, S256, how many faults
        for (metadata, has_iss, has_s256, faults) in [
            ("{}", false, None, 0),
            (
                r#"{"authorization_response_iss_parameter_supported":true}"#,
                true,
                None,
                0,
            ),
            (
                r#"{"authorization_response_iss_parameter_supported":false}"#,
                false,
                None,
                0,
            ),
            (
                r#"{"authorization_response_iss_parameter_supported":"true"}"#,
                false,
                None,
                1,
            ),
            (
                r#"{"authorization_response_iss_parameter_supported":1}"#,
                false,
                None,
                1,
            ),
            (
                r#"{"code_challenge_methods_supported":["plain","S256"]}"#,
                false,
                Some(true),
                0,
            ),
            (
                r#"{"code_challenge_methods_supported":["plain"]}"#,
                false,
                Some(false),
                0,
            ),
            (
                r#"{"code_challenge_methods_supported":["s256",1,["S256"]]}"#,
                false,
                Some(false),
                0,
            ),
            (
                r#"{"code_challenge_methods_supported":[]}"#,
                false,
                Some(false),
                0,
            ),
            (
                r#"{"code_challenge_methods_supported":"S256"}"#,
                false,
                None,
                1,
            ),
        ] {
            let reading = read(metadata, Scheme::Https);
            assert_eq!(reading.metadata.has_iss_parameter, has_iss, "{metadata}");
            assert_eq!(reading.metadata.has_s256, has_s256, "{metadata}");
            assert_eq!(reading.faults.len(), faults, "{metadata}");
            assert_eq!(
                Reading::again(&reading.kept, Scheme::Https),
                reading.metadata
            );
        }
        for garbage in ["", "{", "x", "[1]"] {
            assert_eq!(Reading::again(garbage, Scheme::Https), Metadata::default());
        }
    }
}
