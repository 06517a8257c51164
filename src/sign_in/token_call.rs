//! Calls to a provider with a secret. They push an authorization request (RFC 9126 section 2.1),
//! redeem a code (RFC 6749 section 4.1.3, RFC 7636 section 4.5), refresh a session (RFC 6749 section
//! 6), or revoke a token (RFC 7009 section 2.1).
//!
//! Invariant: the subject of a question has a hash of its secrets, and never a secret. A code makes
//! the same question again only for the flow that it was given to, so no other flow gets its
//! answer.

use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::Serializer;

use super::authorize::{self, Aim};
use super::{pushed, token_reply};
use crate::bytes::digest;
use crate::config::{ClientAuthentication, Scheme, Upstream};
use crate::desk::question::{Question, Repeat, Subject, USUAL_REST, uncounted};
use crate::host::{Call, Method};
use crate::http::uri::Uri;
use crate::jose::base64url;
use crate::session::flow::Sent;
use crate::session::seal::Keyring;

/// The longest answer that is read, in octets: three tokens of the longest kind that is verified,
/// and some room.
pub const LONGEST_REPLY: usize = 64 * 1024;

/// The longest answer to a request that is pushed, in octets. It has a `request_uri` and little else,
/// and everybody can have one pushed, so little room is kept for it.
pub const LONGEST_PUSHED: usize = 8 * 1024;

/// Where a provider is asked.
#[derive(Clone, Copy, Debug)]
pub struct Place<'p> {
    /// The endpoint's address.
    pub uri: &'p Uri,
    /// Its cluster and timeout. Its own address is not used.
    pub upstream: &'p Upstream,
}

/// What a token is, for the provider that must revoke it (RFC 7009 section 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// `access_token`.
    Access,
    /// `refresh_token`: the provider should also revoke the tokens that it was used for.
    Refresh,
}

/// Tells the provider of an authorization request. `flow` tells it from all others, and nobody can
/// guess it. [`pushed::request_uri`] reads the answer.
#[must_use]
pub fn push(
    scheme: &Scheme,
    place: Place<'_>,
    flow: &[u8; 16],
    (aim, redirect_uri, sent): (Aim, &str, &Sent),
) -> Question {
    let mut body = form();
    authorize::append(&mut body, scheme, aim, redirect_uri, sent);
    if let ClientAuthentication::BasicAuth(_) = scheme.client.authentication {
        body.append_pair("client_id", &scheme.client.id);
    }
    Question {
        subject: subject(scheme, "push", &[&base64url::encode(flow)]),
        endpoint: endpoint(scheme, "pushed authorization request"),
        call: Call {
            most: LONGEST_PUSHED,
            ..call(scheme, place, body)
        },
        read: pushed::read,
        repeat: Repeat::May,
        longest_rest: USUAL_REST,
        shared: None,
        counter: uncounted,
    }
}

/// Asks for the tokens of a code. `redirect_uri` is that of the authorization request, and
/// `code_verifier` is the secret of its flow. [`token_reply::exchanged`] reads the answer.
#[must_use]
pub fn exchange(
    scheme: &Scheme,
    place: Place<'_>,
    code: &str,
    redirect_uri: &str,
    code_verifier: &str,
) -> Question {
    let mut body = form();
    body.append_pair("grant_type", "authorization_code")
        .append_pair("code", code)
        .append_pair("redirect_uri", redirect_uri)
        .append_pair("code_verifier", code_verifier);
    append_resources(&mut body, scheme);
    Question {
        subject: subject(scheme, "code", &[code, redirect_uri, code_verifier]),
        endpoint: endpoint(scheme, "token"),
        call: call(scheme, place, body),
        read: token_reply::read,
        repeat: Repeat::MustNot,
        longest_rest: USUAL_REST,
        shared: None,
        counter: uncounted,
    }
}

/// A refresh token, and what tells its use from all others: the session that has it, and how often
/// that session was refreshed before. A provider may give the same token again.
#[derive(Clone, Copy)]
pub struct Spending<'t> {
    /// The id of the session.
    pub session: [u8; 16],
    /// The number of the session's refresh, counted from 0.
    pub number: u64,
    /// The token.
    pub refresh_token: &'t str,
}

/// Asks for new tokens for a refresh token. A provider may accept the token only once (RFC 9700
/// section 4.14.2), so one worker of the process asks. The others get its answer, sealed with
/// `keyring`. [`token_reply::refreshed`] reads the answer.
#[must_use]
pub fn refresh(
    scheme: &Scheme,
    place: Place<'_>,
    spending: Spending<'_>,
    keyring: &Rc<Keyring>,
) -> Question {
    let Spending {
        session,
        number,
        refresh_token,
    } = spending;
    let which = format!("{}/{number}", base64url::encode(&session));
    let mut body = form();
    body.append_pair("grant_type", "refresh_token")
        .append_pair("refresh_token", refresh_token);
    append_resources(&mut body, scheme);
    Question {
        subject: subject(scheme, "refresh", &[&which, refresh_token]),
        endpoint: endpoint(scheme, "token"),
        call: call(scheme, place, body),
        read: token_reply::read_refreshed,
        repeat: Repeat::Later,
        longest_rest: USUAL_REST,
        shared: Some(Rc::clone(keyring)),
        counter: token_reply::refresh_counter,
    }
}

/// Asks the provider to revoke a token. Nobody can act on the answer: it is 200 also for a token
/// that is not valid (RFC 7009 section 2.2).
#[must_use]
pub fn revoke(scheme: &Scheme, place: Place<'_>, token: &str, kind: TokenKind) -> Question {
    let hint = match kind {
        TokenKind::Access => "access_token",
        TokenKind::Refresh => "refresh_token",
    };
    let mut body = form();
    body.append_pair("token", token)
        .append_pair("token_type_hint", hint);
    Question {
        subject: subject(scheme, "revoke", &[token]),
        endpoint: endpoint(scheme, "revocation"),
        call: call(scheme, place, body),
        read: token_reply::read_revoked,
        repeat: Repeat::May,
        longest_rest: USUAL_REST,
        shared: None,
        counter: uncounted,
    }
}

/// A body of `application/x-www-form-urlencoded`.
type Form = Serializer<'static, String>;

fn form() -> Form {
    Serializer::new(String::new())
}

/// The services that the access token should be for (RFC 8707 section 2.2).
fn append_resources(body: &mut Form, scheme: &Scheme) {
    for resource in &scheme.authorization.resources {
        body.append_pair("resource", resource);
    }
}

fn subject(scheme: &Scheme, kind: &'static str, secrets: &[&str]) -> Rc<Subject> {
    let parts = [&*scheme.scope];
    let parts = parts.iter().chain(secrets).map(|part| part.as_bytes());
    let about = base64url::encode(&digest(&parts.collect::<Vec<_>>()));
    Rc::new(Subject { kind, about })
}

fn endpoint(scheme: &Scheme, of: &str) -> Rc<str> {
    format!("{of} endpoint of {}", scheme.name).into()
}

/// The call with its form, and with the proof of who the client is (RFC 6749 section 2.3.1, RFC
/// 8705 section 2). What is signed is added when the call is sent.
fn call(scheme: &Scheme, place: Place<'_>, mut body: Form) -> Call {
    let id = &scheme.client.id;
    let mut headers = vec![
        ("accept", "application/json".to_owned()),
        (
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        ),
    ];
    let mut assertion = None;
    match &scheme.client.authentication {
        ClientAuthentication::BasicAuth(secret) => {
            headers.push(("authorization", basic(id, secret.text())));
        }
        ClientAuthentication::UrlEncodedBody(secret) => {
            body.append_pair("client_id", id)
                .append_pair("client_secret", secret.text());
        }
        ClientAuthentication::PrivateKeyJwt {
            assertion: with, ..
        } => {
            assertion = Some(Rc::clone(with));
            body.append_pair("client_id", id);
        }
        ClientAuthentication::TlsClientAuth
        | ClientAuthentication::Injected
        | ClientAuthentication::None => {
            body.append_pair("client_id", id);
        }
    }
    Call {
        cluster: place.upstream.cluster.clone(),
        method: Method::Post,
        scheme: place.uri.scheme,
        authority: place.uri.authority.clone(),
        path: place.uri.path.clone(),
        headers,
        body: body.finish().into_bytes(),
        timeout: place.upstream.timeout,
        most: LONGEST_REPLY,
        assertion,
    }
}

/// Id and secret are each form-encoded, so the colon between them is the only one (RFC 6749 section
/// 2.3.1).
fn basic(id: &str, secret: &str) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(id), encode(secret));
    format!("Basic {}", STANDARD.encode(pair))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::http::uri;
    use crate::sign_in::fixtures::{CLIENT_SECRET, scheme};

    const REDIRECT_URI: &str = "https://app.example/oauth2/callback";

    type Pairs<'p> = Vec<(&'p str, &'p str)>;

    fn uri() -> Uri {
        Uri::parse("https://idp.example/token?tenant=1").unwrap()
    }

    fn exchange_of(scheme: &Scheme, code: &str, verifier: &str) -> Question {
        let uri = uri();
        let place = Place {
            uri: &uri,
            upstream: &scheme.endpoints.token,
        };
        exchange(scheme, place, code, REDIRECT_URI, verifier)
    }

    fn refresh_of(scheme: &Scheme, token: &str) -> Question {
        let uri = uri();
        let place = Place {
            uri: &uri,
            upstream: &scheme.endpoints.token,
        };
        refresh(scheme, place, spending(token, 0), &keyring())
    }

    fn keyring() -> Rc<Keyring> {
        Rc::new(Keyring::new(&["a-key-of-thirty-two-octets-at-least"]).unwrap())
    }

    fn spending(refresh_token: &str, number: u64) -> Spending<'_> {
        Spending {
            session: [7; 16],
            number,
            refresh_token,
        }
    }

    fn revoke_of(scheme: &Scheme, token: &str, kind: TokenKind) -> Question {
        let uri = uri();
        let place = Place {
            uri: &uri,
            upstream: &scheme.endpoints.token,
        };
        revoke(scheme, place, token, kind)
    }

    fn push_of(scheme: &Scheme, flow: [u8; 16]) -> Question {
        let uri = uri();
        let place = Place {
            uri: &uri,
            upstream: &scheme.endpoints.token,
        };
        let sent = Sent {
            state: "secret-state".to_owned(),
            nonce: "secret-nonce".to_owned(),
            code_challenge: "c_1".to_owned(),
        };
        push(scheme, place, &flow, (Aim::SignIn, REDIRECT_URI, &sent))
    }

    fn parameters(question: &Question) -> Vec<(String, String)> {
        form_urlencoded::parse(&question.call.body)
            .into_owned()
            .collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    fn header<'q>(question: &'q Question, name: &str) -> Option<&'q str> {
        let mut headers = question.call.headers.iter();
        let (_, value) = headers.find(|(known, _)| *known == name)?;
        Some(value)
    }

    #[test]
    fn what_each_call_asks() {
        let scheme = scheme(json!({"resources": ["urn:a", "urn:b"]}));
        let resources = [("resource", "urn:a"), ("resource", "urn:b")];
        let table: [(Question, Pairs<'_>, Repeat); 5] = [
            (
                push_of(&scheme, [7; 16]),
                [
                    &[
                        ("response_type", "code"),
                        ("redirect_uri", REDIRECT_URI),
                        ("scope", "openid profile email"),
                        ("state", "secret-state"),
                        ("nonce", "secret-nonce"),
                        ("code_challenge", "c_1"),
                        ("code_challenge_method", "S256"),
                    ][..],
                    &resources,
                    &[("client_id", "web")],
                ]
                .concat(),
                Repeat::May,
            ),
            (
                exchange_of(&scheme, "c/1+ =&", "v_1"),
                [
                    &[
                        ("grant_type", "authorization_code"),
                        ("code", "c/1+ =&"),
                        ("redirect_uri", REDIRECT_URI),
                        ("code_verifier", "v_1"),
                    ][..],
                    &resources,
                ]
                .concat(),
                Repeat::MustNot,
            ),
            (
                refresh_of(&scheme, "r+1"),
                [
                    &[("grant_type", "refresh_token"), ("refresh_token", "r+1")][..],
                    &resources,
                ]
                .concat(),
                Repeat::Later,
            ),
            (
                revoke_of(&scheme, "r+1", TokenKind::Refresh),
                vec![("token", "r+1"), ("token_type_hint", "refresh_token")],
                Repeat::May,
            ),
            (
                revoke_of(&scheme, "a", TokenKind::Access),
                vec![("token", "a"), ("token_type_hint", "access_token")],
                Repeat::May,
            ),
        ];
        for (question, expected, repeat) in table {
            assert_eq!(parameters(&question), pairs(&expected), "{question:?}");
            assert_eq!(question.repeat, repeat, "{question:?}");
            let call = &question.call;
            assert_eq!(call.method, Method::Post);
            assert_eq!(call.scheme, uri::Scheme::Https);
            assert_eq!(call.authority, "idp.example");
            assert_eq!(call.path, "/token?tenant=1");
            assert_eq!(call.cluster, "idp");
            assert_eq!(call.timeout, Duration::from_secs(5));
            let is_pushed =
                !call.body.starts_with(b"grant_type=") && !call.body.starts_with(b"token=");
            let most = if is_pushed {
                LONGEST_PUSHED
            } else {
                LONGEST_REPLY
            };
            assert_eq!(call.most, most);
            let form = Some("application/x-www-form-urlencoded");
            assert_eq!(header(&question, "content-type"), form);
            assert_eq!(header(&question, "accept"), Some("application/json"));
        }
    }

    #[test]
    fn a_client_proves_who_it_is_in_six_ways() {
        let id = json!({"client_id": "a:b c"});
        let secret =
            json!({"client_id": "a:b c", "token_secret": {"environment_variable": "SECRET"}});
        let in_body = [("client_id", "a:b c"), ("client_secret", CLIENT_SECRET)];
        // "a%3Ab+c:client%3Asecret+e1b7%26%3D%25"
        let basic = "Basic YSUzQWIrYzpjbGllbnQlM0FzZWNyZXQrZTFiNyUyNiUzRCUyNQ==";
        let key =
            json!({"client_id": "a:b c", "private_key": {"environment_variable": "PRIVATE_KEY"}});
        let table: [(&str, &Value, Option<&str>, Pairs<'_>); 6] = [
            ("BASIC_AUTH", &secret, Some(basic), vec![]),
            ("URL_ENCODED_BODY", &secret, None, in_body.to_vec()),
            ("PRIVATE_KEY_JWT", &key, None, in_body[..1].to_vec()),
            ("TLS_CLIENT_AUTH", &id, None, in_body[..1].to_vec()),
            ("INJECTED", &id, None, in_body[..1].to_vec()),
            ("NONE", &id, None, in_body[..1].to_vec()),
        ];
        for (auth_type, credentials, authorization, in_body) in table {
            let scheme = scheme(json!({"auth_type": auth_type, "credentials": credentials}));
            for question in [
                exchange_of(&scheme, "c", "v"),
                refresh_of(&scheme, "r"),
                revoke_of(&scheme, "a", TokenKind::Access),
            ] {
                let authorized = header(&question, "authorization");
                assert_eq!(authorized, authorization, "{auth_type}");
                let mut of_client = parameters(&question);
                of_client.retain(|(name, _)| name.starts_with("client_"));
                assert_eq!(of_client, pairs(&in_body), "{auth_type}");
                let signs = question.call.assertion.is_some();
                assert_eq!(signs, auth_type == "PRIVATE_KEY_JWT", "{auth_type}");
            }
            // RFC 9126 section 2.1: `client_id` is one of the parameters that are pushed.
            let mut of_client = parameters(&push_of(&scheme, [7; 16]));
            of_client.retain(|(name, _)| name.starts_with("client_"));
            let in_body = if in_body.is_empty() {
                pairs(&[("client_id", "a:b c")])
            } else {
                pairs(&in_body)
            };
            assert_eq!(of_client, in_body, "{auth_type}");
        }
    }

    #[test]
    fn s03_a_code_is_another_question_for_another_flow() {
        let staff = scheme(json!({}));
        let guests = Scheme {
            scope: "guests".to_owned(),
            ..staff.clone()
        };
        let question = exchange_of(&staff, "c-1", "v-1");
        assert!(question == exchange_of(&staff, "c-1", "v-1"));
        for other in [
            exchange_of(&staff, "c-1", "v-2"),
            exchange_of(&staff, "c-2", "v-1"),
            exchange_of(&staff, "c-1v", "-1"),
            exchange_of(&guests, "c-1", "v-1"),
            refresh_of(&staff, "c-1"),
        ] {
            assert!(question != other, "{other:?}");
        }
        assert!(refresh_of(&staff, "r") != refresh_of(&guests, "r"));
    }

    #[test]
    fn s33_a_pushed_request_is_another_question_for_another_flow() {
        let staff = scheme(json!({}));
        let guests = Scheme {
            scope: "guests".to_owned(),
            ..staff.clone()
        };
        let question = push_of(&staff, [7; 16]);
        assert!(question == push_of(&staff, [7; 16]));
        assert!(question != push_of(&staff, [8; 16]));
        assert!(question != push_of(&guests, [7; 16]));
    }

    #[test]
    fn s28_no_secret_is_shown() {
        let scheme = scheme(json!({}));
        for question in [
            exchange_of(&scheme, "secret-1", "secret-2"),
            refresh_of(&scheme, "secret-1"),
            revoke_of(&scheme, "secret-1", TokenKind::Refresh),
            push_of(&scheme, [7; 16]),
        ] {
            let shown = format!(
                "{question:?} {:?} {} {:?}",
                question.call, question.subject.about, scheme.client
            );
            assert!(
                !shown.contains("secret-") && !shown.contains(CLIENT_SECRET),
                "{shown}"
            );
            assert!(shown.contains("endpoint of staff"), "{shown}");
        }
    }
}
