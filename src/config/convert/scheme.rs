//! One way to sign in: raw to valid.
//!
//! Invariant: a scheme has everything that a sign-in needs: a provider whose ID tokens can be
//! verified, every address or the metadata that have it, and a client that can prove who it is.

use super::authorize::scope;
use super::client::{self, LONGEST, is_printable};
use super::header;
use super::keys::call_timeout;
use super::route_match::{normal, normal_host};
use super::session::{self, Back};
use super::vet::{named, required, required_text, uri};
use crate::config::id::{PerProvider, ProviderId};
use crate::config::read::error::{At, ConfigError};
use crate::config::read::raw_sign_in::{RawEndpoint, RawScheme};
use crate::config::read::value::{Entries, Given, each_once};
use crate::config::sign_in::{Authorization, Endpoints, Environment, OwnPath, Scheme, Upstream};
use crate::config::valid::Provider;
use crate::http::uri::Uri;
use crate::jose::issuer::Issuer;
use crate::jose::jwt::Expectations;
use crate::jose::token_type::TokenType;
use crate::matcher::HostMatcher;
use crate::session::cookie::{Cookie, CookieError};
use crate::session::seal;
use crate::session::site::{self, Sites};

/// The scopes of a scheme that names none (OpenID Connect Core section 5.4).
const DEFAULT_SCOPES: [&str; 3] = ["openid", "profile", "email"];
/// Parameters that the filter sets itself, or that would state all of them in another way (RFC 6749
/// section 4.1.1, RFC 7636, RFC 8707, RFC 9101, RFC 9449, OpenID Connect Core section 3.1.2.1).
const OWN_PARAMETERS: [&str; 15] = [
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "id_token_hint",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "state",
];
const PUSHED: &str = "pushed_authorization_request_endpoint";
const IMPLICIT: &str = "must be code: the implicit flow is refused, OAuth 2.1 has left it out";
const MOST_PARAMETERS: usize = 32;
/// The longest name of a scheme, in bytes: it is part of the names of cookies.
const LONGEST_NAME: usize = 32;
/// The longest name of a scheme that people read, in bytes.
const LONGEST_DISPLAY_NAME: usize = 128;

/// What is needed to convert a scheme.
pub(super) struct Around<'a> {
    pub providers: &'a PerProvider<Provider>,
    pub domains: &'a [HostMatcher],
    pub sites: &'a Sites,
    pub environment: Environment<'a>,
}

pub(super) fn convert(
    name: String,
    raw: RawScheme,
    around: &Around<'_>,
) -> Result<Scheme, ConfigError> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_legal) {
        return Err(ConfigError::here(&format!(
            "a scheme's name is 1 to {LONGEST_NAME} letters, digits, - and _"
        )));
    }

    let found = provider(raw.provider_name, around.providers).at("provider_name")?;
    let (provider, mut id_token) = found;
    let declared = &around.providers[provider];
    let whose = (name.as_str(), id_token.issuer.only());
    let client = client::convert(raw.credentials, raw.auth_type, whose, around.environment)?;
    id_token.audiences = vec![client.id.clone()];

    let endpoints = Endpoints {
        authorization: for_browsers(raw.authorization_endpoint).at("authorization_endpoint")?,
        token: required(raw.token_endpoint)
            .and_then(upstream)
            .at("token_endpoint")?,
        revocation: further(raw.revocation_endpoint).at("revocation_endpoint")?,
        pushed_authorization: further(raw.pushed_authorization_request_endpoint).at(PUSHED)?,
        end_session: for_browsers(raw.end_session_endpoint).at("end_session_endpoint")?,
        end_session_parameters: parameters(raw.end_session_params, &[]).at("end_session_params")?,
    };
    if !declared.keys.is_discovered() {
        complete(&endpoints)?;
    }

    let redirect_uri = raw
        .redirect_uri
        .0
        .map(|text| redirect_uri(text, around.sites).at("redirect_uri"))
        .transpose()?;
    let (callback, host) = match (&redirect_uri, raw.callback_path.0) {
        (Some(uri), None) => (uri.path.clone(), Some(normal_host_of(uri)?)),
        (None, Some(path)) => (own_path(path).at("callback_path")?, None),
        _ => {
            return Err(ConfigError::here(
                "exactly one of redirect_uri and callback_path is required",
            ));
        }
    };
    let mut paths = vec![(OwnPath::Callback, callback)];
    for (kind, path) in [
        (OwnPath::SignIn, raw.signin_path),
        (OwnPath::SignUp, raw.signup_path),
        (OwnPath::SignOut, raw.signout_path),
        (OwnPath::BackchannelLogout, raw.backchannel_logout_path),
        (OwnPath::FrontchannelLogout, raw.frontchannel_logout_path),
        (OwnPath::Session, raw.session_path),
    ] {
        if let Some(path) = path.0 {
            paths.push((kind, own_path(path).at(field(kind, false))?));
        }
    }

    if raw.response_type.0.is_some_and(|kind| kind != "code") {
        return Err(ConfigError::new("response_type", IMPLICIT));
    }
    let signs_up = paths.iter().any(|(kind, _)| *kind == OwnPath::SignUp);
    let sign_up_parameters = parameters(raw.signup_params, &OWN_PARAMETERS).at("signup_params")?;
    if sign_up_parameters.is_some() && !signs_up {
        return Err(ConfigError::new("signup_params", "needs signup_path"));
    }
    let signs_out = paths.iter().any(|(kind, _)| *kind == OwnPath::SignOut);
    if endpoints.end_session_parameters.is_some() && !signs_out {
        return Err(ConfigError::new("end_session_params", "needs signout_path"));
    }
    let authorization = Authorization {
        scopes: scopes(raw.auth_scopes).at("auth_scopes")?,
        resources: each_once(&raw.resources.0.unwrap_or_default(), &resource).at("resources")?,
        parameters: parameters(raw.authorization_params, &OWN_PARAMETERS)
            .at("authorization_params")?
            .unwrap_or_default(),
        sign_up_parameters: sign_up_parameters
            .unwrap_or_else(|| vec![("prompt".to_owned(), "create".to_owned())]),
    };

    let back = match &host {
        Some(host) => Back::Host(host),
        None => Back::Any(around.domains),
    };
    let post_logout = raw.post_logout_redirect_path.0;
    let forward_id_token_header = raw
        .forward_id_token_header
        .0
        .map(|name| id_token_header(&name, declared).at("forward_id_token_header"));
    let cookie = session::cookie(raw.cookie.0.unwrap_or_default(), &back).at("cookie")?;
    let domain = cookie.domain.as_deref();
    let session_cookie = Cookie::of_session(&name, domain, cookie.same_site, cookie.max_bytes);
    let own = |cookie: Result<Cookie, CookieError>| {
        cookie.map_err(|error| ConfigError::new("cookie", &error.to_string()))
    };
    let issuer = declared.expectations.issuer.written();
    Ok(Scheme {
        scope: seal::scope(&name, issuer.unwrap_or_default(), &client.id),
        session_cookie: own(session_cookie)?,
        browser_cookie: own(Cookie::of_browser(domain))?,
        display_name: display_name(raw.display_name, &name).at("display_name")?,
        name,
        provider,
        logout_token: Expectations {
            // Some tokens have a `sid` and no `sub`.
            subjects: None,
            max_lifetime: None,
            // Providers that go by a draft leave `exp` out: how old such a token may be is known
            // where it is read.
            require_expiration: false,
            token_type: Some(TokenType::LogoutToken),
            ..id_token.clone()
        },
        id_token,
        client,
        endpoints,
        redirect_uri: redirect_uri.map(|uri| uri.to_string()),
        paths,
        post_logout_redirect_path: post_logout
            .map_or(Ok("/".to_owned()), |path| normal(path, false))
            .at("post_logout_redirect_path")?,
        error_redirect_path: raw
            .error_redirect_path
            .0
            .map(|path| normal(path, false))
            .transpose()
            .at("error_redirect_path")?,
        authorization,
        use_refresh_token: raw.use_refresh_token.0.unwrap_or(false),
        session: session::convert(raw.session.0.unwrap_or_default()).at("session")?,
        cookie,
        forward_bearer_token: raw.forward_bearer_token.0.unwrap_or(false),
        forward_id_token_header: forward_id_token_header.transpose()?,
    })
}

/// The name of a scheme that people read.
fn display_name(given: Given<String>, name: &str) -> Result<String, ConfigError> {
    let Some(text) = given.0 else {
        return Ok(name.to_owned());
    };
    let is_blank = text.trim().is_empty();
    if is_blank || text.len() > LONGEST_DISPLAY_NAME || text.chars().any(char::is_control) {
        return Err(ConfigError::here(&format!(
            "must be 1 to {LONGEST_DISPLAY_NAME} bytes of text, without control characters"
        )));
    }
    Ok(text)
}

/// The field that has this path of the filter's own.
pub(super) fn field(kind: OwnPath, by_uri: bool) -> &'static str {
    match kind {
        OwnPath::Callback if by_uri => "redirect_uri",
        OwnPath::Callback => "callback_path",
        OwnPath::SignIn => "signin_path",
        OwnPath::SignUp => "signup_path",
        OwnPath::SignOut => "signout_path",
        OwnPath::BackchannelLogout => "backchannel_logout_path",
        OwnPath::FrontchannelLogout => "frontchannel_logout_path",
        OwnPath::Session => "session_path",
    }
}

/// The provider, and what it expects of an ID token, except for the audience.
fn provider(
    name: Given<String>,
    providers: &PerProvider<Provider>,
) -> Result<(ProviderId, Expectations), ConfigError> {
    let name = required_text(name)?;
    let id = named(providers, "provider", &name, &|known| &known.name)?;
    let expected = &providers[id].expectations;
    let problem = match expected.issuer {
        Issuer::One(_) | Issuer::OfTenants(_) => None,
        Issuer::Any => Some("has any_issuer: an ID token is one of a certain issuer"),
        Issuer::Several(_) => Some("has issuers: people sign in at one issuer"),
        Issuer::TrustDomain(_) => Some("has trust_domain: its tokens are of workloads"),
    };
    if let Some(problem) = problem {
        return Err(ConfigError::here(problem));
    }
    if expected.signer.is_some() {
        return Err(ConfigError::here(
            "has aws_alb: a load balancer signs no ID tokens",
        ));
    }
    let mut algorithms = expected.algorithms.clone();
    algorithms.retain(|algorithm| !algorithm.is_symmetric());
    if algorithms.is_empty() {
        return Err(ConfigError::here(
            "has algorithms with a secret only: an ID token is signed with a key pair here",
        ));
    }
    let id_token = Expectations {
        algorithms,
        require_expiration: true,
        token_type: Some(TokenType::Jwt),
        ..expected.clone()
    };
    Ok((id, id_token))
}

/// Checks that each endpoint has an address, for a provider without metadata.
fn complete(endpoints: &Endpoints) -> Result<(), ConfigError> {
    const NEEDED: &str = "required: the provider has no openid_discovery that would tell it";
    let lacks = |upstream: &Upstream| upstream.uri.is_none();
    if endpoints.authorization.is_none() {
        return Err(ConfigError::new("authorization_endpoint", NEEDED));
    }
    for (field, upstream) in [
        ("token_endpoint", Some(&endpoints.token)),
        ("revocation_endpoint", endpoints.revocation.as_ref()),
        (PUSHED, endpoints.pushed_authorization.as_ref()),
    ] {
        if upstream.is_some_and(lacks) {
            return Err(ConfigError::new("uri", NEEDED)).at(field);
        }
    }
    Ok(())
}

/// A URI that browsers are sent to.
fn for_browsers(text: Given<String>) -> Result<Option<Uri>, ConfigError> {
    text.0
        .map(|text| {
            let uri = uri(&text)?;
            is_safe_for_browsers(&uri)?;
            Ok(uri)
        })
        .transpose()
}

fn is_safe_for_browsers(uri: &Uri) -> Result<(), ConfigError> {
    if site::is_secure(uri) {
        return Ok(());
    }
    Err(ConfigError::here(
        "must be https, unless the host is localhost, below it, or a loopback address",
    ))
}

fn upstream(raw: RawEndpoint) -> Result<Upstream, ConfigError> {
    Ok(Upstream {
        uri: raw.uri.0.map(|text| uri(&text)).transpose().at("uri")?,
        cluster: required_text(raw.cluster).at("cluster")?,
        timeout: call_timeout(raw.timeout).at("timeout")?,
    })
}

/// An endpoint that may be left out.
fn further(raw: Given<RawEndpoint>) -> Result<Option<Upstream>, ConfigError> {
    raw.0.map(upstream).transpose()
}

/// The callback's URL, which the provider compares as text.
fn redirect_uri(text: String, sites: &Sites) -> Result<Uri, ConfigError> {
    let uri = uri(&text)?;
    is_safe_for_browsers(&uri)?;
    if uri.path.contains('?') {
        return Err(ConfigError::here("must not have a query"));
    }
    let written = uri.to_string();
    if written != text {
        let problem = format!("must be in its normal form, here {written}");
        return Err(ConfigError::here(&problem));
    }
    own_path(uri.path.clone())?;
    let origin = format!("{}://{}", uri.scheme.name(), uri.authority);
    if !sites.have_origin(origin.as_bytes()) {
        return Err(ConfigError::here(
            "has a host that is not in allowed_redirect_domains",
        ));
    }
    Ok(uri)
}

fn normal_host_of(uri: &Uri) -> Result<String, ConfigError> {
    let authority = uri.authority.as_str();
    let has_port = |rest: &str| !rest.ends_with(']');
    let host = match authority.rsplit_once(':') {
        Some((host, rest)) if has_port(rest) => host,
        _ => authority,
    };
    normal_host(host)
}

/// A path that the filter answers. It must be one that requests can have, and not the site's first
/// page.
fn own_path(path: String) -> Result<String, ConfigError> {
    let path = normal(path, false)?;
    if path == "/" {
        return Err(ConfigError::here("must be a path below /"));
    }
    Ok(path)
}

fn scopes(names: Given<Vec<String>>) -> Result<Vec<String>, ConfigError> {
    let Some(names) = names.0 else {
        return Ok(DEFAULT_SCOPES.map(str::to_owned).to_vec());
    };
    let scopes = each_once(&names, &|name| scope(name).map(|()| name.to_owned()))?;
    if !scopes.iter().any(|scope| scope == "openid") {
        return Err(ConfigError::here(
            "must have openid: without it there is no ID token",
        ));
    }
    Ok(scopes)
}

/// An absolute URI without fragment, of any scheme (RFC 8707 section 2, RFC 3986 section 4.3).
fn resource(text: &str) -> Result<String, ConfigError> {
    let is_scheme = |scheme: &str| {
        let mut bytes = scheme.bytes();
        bytes
            .next()
            .is_some_and(|first| first.is_ascii_alphabetic())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    let is_text = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}#".contains(&byte);
    let parts = text.split_once(':');
    let is_uri = parts.is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty());
    if is_uri && text.len() <= LONGEST && text.bytes().all(is_text) {
        Ok(text.to_owned())
    } else {
        Err(ConfigError::here(
            "must be an absolute URI without fragment",
        ))
    }
}

/// Parameters of a request to the provider. None of them may be one that the filter sets (`set`).
fn parameters(
    entries: Given<Entries<String>>,
    set: &[&str],
) -> Result<Option<Vec<(String, String)>>, ConfigError> {
    let Some(Entries(entries)) = entries.0 else {
        return Ok(None);
    };
    if entries.len() > MOST_PARAMETERS {
        let problem = format!("must have {MOST_PARAMETERS} parameters at most");
        return Err(ConfigError::here(&problem));
    }
    for (name, value) in &entries {
        parameter(name, value, set).at(name)?;
    }
    Ok(Some(entries))
}

fn parameter(name: &str, value: &str, set: &[&str]) -> Result<(), ConfigError> {
    if set.contains(&name) {
        let problem = match name {
            "response_type" => IMPLICIT,
            "response_mode" => "is left to the filter: the answer must come as a query",
            "request" | "request_uri" => {
                "would say every parameter again, past what the filter sets"
            }
            _ => "is a parameter that the filter sets",
        };
        return Err(ConfigError::here(problem));
    }
    is_printable(name)?;
    if name.is_empty() {
        return Err(ConfigError::here("is no name of a parameter"));
    }
    if value.len() > LONGEST || value.chars().any(char::is_control) {
        return Err(ConfigError::here(&format!(
            "must be {LONGEST} bytes at most, without control characters"
        )));
    }
    Ok(())
}

/// A header in which nothing else of the provider is sent.
fn id_token_header(name: &str, provider: &Provider) -> Result<String, ConfigError> {
    let name = header::parse(name)?;
    let comparable = header::same_to_cgi(&name);
    let mut set = provider.outputs.headers_set();
    if set.any(|known| header::same_to_cgi(known) == comparable) {
        return Err(ConfigError::here("is set by the provider already"));
    }
    Ok(name)
}
