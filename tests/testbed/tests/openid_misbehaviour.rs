//! What a client sees of each misbehaviour of the OpenID provider, and that all is well without.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::post;
use bearer_gate_testbed::http::Reply;
use bearer_gate_testbed::idp::openid::{Endpoint, Misbehaviour, RelyingParty};
use bearer_gate_testbed::idp::{Idp, OpenId};
use bearer_gate_testbed::serve::Server;
use bearer_gate_testbed::token;
use bearer_gate_testbed::visitor::{Visitor, parameters};
use serde_json::{Value, json};

use common::{ALICE, CALLBACK, Flow, basic, parameter};

#[tokio::test]
async fn authorization_responses() {
    let idp = Idp::start();
    let flow = Flow::new(&idp);
    let names = async |misbehaviour: Option<Misbehaviour>| {
        idp.openid().misbehave(misbehaviour);
        let back = Visitor::new()
            .sign_in(&flow.authorize(&[]), ALICE[0].1, ALICE[1].1)
            .await;
        let location = back.header("location").unwrap().to_owned();
        let all = parameters(&location);
        let names: Vec<String> = all.into_iter().map(|(name, _)| name).collect();
        (back.status, names.join(" "), location)
    };
    use Misbehaviour as M;
    for (misbehaviour, expected) in [
        (None, (303, "code state iss")),
        (Some(M::StateMissing), (303, "code iss")),
        (Some(M::IssMissing), (303, "code state")),
        (Some(M::CodeRepeated), (303, "code code state iss")),
        (Some(M::StateRepeated), (303, "code state state iss")),
        (Some(M::RedirectWith307), (307, "code state iss")),
        (
            Some(M::ErrorWithHtml),
            (303, "error error_description state iss"),
        ),
    ] {
        let (status, names, _) = names(misbehaviour).await;
        assert_eq!((status, names.as_str()), expected, "{misbehaviour:?}");
    }
    let (_, _, location) = names(Some(M::StateAltered)).await;
    assert_eq!(parameter(&location, "state"), "the statA");
    let (_, _, location) = names(Some(M::IssOther)).await;
    assert_eq!(parameter(&location, "iss"), "https://attacker.example/");

    // Another flow's code: the verifier does not fit, and where that is not looked at the nonce is
    // another's.
    let (_, _, location) = names(Some(M::CodeOfAnotherFlow)).await;
    let reply = flow.redeem(&parameter(&location, "code"), &basic()).await;
    assert_eq!(reply.json()["error"], "invalid_grant");
    let (_, _, location) = names(Some(M::CodeOfAnotherFlowUnchecked)).await;
    let reply = flow.redeem(&parameter(&location, "code"), &basic()).await;
    let claims = token::untrusted_claims(reply.json()["id_token"].as_str().unwrap());
    assert_ne!(claims["nonce"], "the nonce");
}

#[tokio::test]
async fn token_responses_and_id_tokens() {
    let idp = Idp::start();
    let flow = Flow::new(&idp);
    let mut visitor = Visitor::new();
    let reply = async |visitor: &mut Visitor, misbehaviour: Misbehaviour| {
        idp.openid().misbehave(Some(misbehaviour));
        let code = flow.code(visitor).await;
        flow.redeem(&code, &basic()).await
    };
    use Misbehaviour as M;
    type Check = fn(&Reply) -> bool;
    let responses: &[(Misbehaviour, Check)] = &[
        (M::IdTokenMissing, |reply| {
            reply.json().get("id_token").is_none()
        }),
        (M::AccessTokenMissing, |reply| {
            reply.json().get("access_token").is_none()
        }),
        (M::TokenTypeOther, |reply| {
            reply.json()["token_type"] == "mac"
        }),
        (M::ErrorIn200, |reply| {
            reply.json()["error"] == "invalid_grant"
        }),
        (M::TokenResponseHuge, |reply| reply.body.len() > 1 << 24),
        (M::TokenResponseTruncated, |reply| {
            serde_json::from_str::<Value>(&reply.body).is_err()
        }),
        (M::TokenResponseHtml, |reply| {
            reply.header("content-type") == Some("text/html")
        }),
    ];
    for (misbehaviour, holds) in responses {
        let reply = reply(&mut visitor, *misbehaviour).await;
        assert!(reply.status == 200 && holds(&reply), "{misbehaviour:?}");
    }
    for (misbehaviour, status) in [(M::TokenResponse500, 500), (M::TokenResponseRedirect, 307)] {
        assert_eq!(reply(&mut visitor, misbehaviour).await.status, status);
    }
    for misbehaviour in [M::TokenResponseNever, M::TokenResponseCut] {
        idp.openid().misbehave(Some(misbehaviour));
        let code = flow.code(&mut visitor).await;
        let flow = flow.clone();
        let task = tokio::spawn(async move { flow.redeem(&code, &basic()).await });
        let task = tokio::time::timeout(Duration::from_millis(300), task);
        // No whole answer: time passes, or the client of the test panics for want of it.
        assert!(!matches!(task.await, Ok(Ok(_))), "{misbehaviour:?}");
    }

    type TokenCheck = fn(&Value, &Value) -> bool;
    let tokens: &[(Misbehaviour, TokenCheck)] = &[
        (M::NonceMissing, |_, claims| claims["nonce"].is_null()),
        (M::NonceOther, |_, claims| claims["nonce"] != "the nonce"),
        (M::AlgNone, |header, _| header["alg"] == "none"),
        (M::AlgHs256, |header, _| header["alg"] == "HS256"),
        (M::SignatureBroken, |header, _| header["alg"] == "RS256"),
        (M::AudienceOther, |_, claims| {
            claims["aud"] == "another-client"
        }),
        (M::AudienceOfTwo, |_, claims| {
            claims["aud"] == json!(["web", "another-client"]) && claims["azp"].is_null()
        }),
        (M::AzpOther, |_, claims| claims["azp"] == "another-client"),
        (M::IssuerOther, |_, claims| {
            claims["iss"] == "https://attacker.example/"
        }),
        (M::Expired, |_, claims| {
            claims["exp"].as_i64().unwrap() < token::now() - 3000
        }),
        (M::AtHashOther, |_, claims| claims["at_hash"].is_string()),
        (M::AccessTokenAsIdToken, |header, _| {
            header["typ"] == "at+jwt"
        }),
        (M::LogoutTokenAsIdToken, |header, claims| {
            header["typ"] == "logout+jwt" && claims["events"].is_object()
        }),
    ];
    for (misbehaviour, holds) in tokens {
        let reply = reply(&mut visitor, *misbehaviour).await.json();
        let token = reply["id_token"].as_str().unwrap();
        let (header, claims) = (
            token::untrusted_header(token),
            token::untrusted_claims(token),
        );
        assert!(
            holds(&header, &claims),
            "{misbehaviour:?}: {header} {claims}"
        );
        let good = token::resigned(&idp.key(), token) == token;
        let broken = [M::AlgNone, M::AlgHs256, M::SignatureBroken].contains(misbehaviour);
        assert_eq!(good, !broken, "{misbehaviour:?}");
    }
}

#[tokio::test]
async fn refreshes() {
    let idp = Idp::start();
    let flow = Flow::new(&idp);
    let mut tokens = flow.tokens(&mut Visitor::new()).await;
    let first = token::untrusted_claims(tokens["id_token"].as_str().unwrap());
    let mut refreshed = async |misbehaviour| {
        idp.openid().misbehave(misbehaviour);
        let token = tokens["refresh_token"].as_str().unwrap().to_owned();
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &token)];
        let reply = flow.ask(Endpoint::Token, &fields).await.json();
        if reply["refresh_token"].is_string() {
            tokens = reply.clone();
        }
        let claims = reply["id_token"].as_str().map(token::untrusted_claims);
        (claims.unwrap_or_default(), reply["error"].clone())
    };
    let (_, error) = refreshed(Some(Misbehaviour::RefreshRefused)).await;
    assert_eq!(error, "invalid_grant");
    let (claims, error) = refreshed(Some(Misbehaviour::RefreshWithoutIdToken)).await;
    assert!(claims.is_null() && error.is_null());
    let (claims, _) = refreshed(Some(Misbehaviour::RefreshWithOtherSubject)).await;
    assert_eq!(claims["sub"], "user|mallory");
    let (claims, _) = refreshed(Some(Misbehaviour::RefreshWithOtherAuthTime)).await;
    assert_ne!(claims["auth_time"], first["auth_time"]);
    let (claims, _) = refreshed(None).await;
    assert_eq!(
        (&claims["sub"], &claims["auth_time"]),
        (&first["sub"], &first["auth_time"])
    );
}

/// A client that takes logout tokens, and answers 204.
fn logout_listener() -> Server {
    let handler = |_: Bytes| async { StatusCode::NO_CONTENT };
    let any = ([127, 0, 0, 1], 0).into();
    Server::start(any, |_| Router::new().route("/logout", post(handler))).unwrap()
}

fn register_listener(openid: OpenId<'_>, listener: &Server) {
    // By a name that only browsers know to be this machine's.
    let uri = format!("http://app.localhost:{}/logout", listener.address().port());
    openid.register(
        RelyingParty::confidential("web", "secret", CALLBACK)
            .post_logout_redirect_uri("https://app.example/")
            .backchannel_logout_uri(&uri),
    );
}

#[tokio::test]
async fn logout_tokens() {
    let idp = Idp::start();
    let openid = idp.openid();
    let flow = Flow::new(&idp);
    let listener = logout_listener();
    register_listener(openid, &listener);
    use Misbehaviour as M;
    type Check = fn(&Value, &Value) -> bool;
    let cases: &[(Option<Misbehaviour>, usize, Check)] = &[
        (None, 1, |header, claims| {
            let event = "http://schemas.openid.net/event/backchannel-logout";
            header["typ"] == "logout+jwt"
                && claims["events"] == json!({event: {}})
                && claims["sub"] == "user|alice"
                && claims["sid"].is_string()
                && claims["jti"].is_string()
                && claims["aud"] == "web"
                && claims["nonce"].is_null()
        }),
        (Some(M::LogoutTokenOld), 1, |_, claims| {
            claims["exp"].as_i64().unwrap() < token::now() - 3000
        }),
        (Some(M::LogoutTokenReplayed), 2, |_, claims| {
            claims["events"].is_object()
        }),
        (Some(M::LogoutTokenWithoutEvents), 1, |_, claims| {
            claims["events"].is_null()
        }),
        (Some(M::LogoutTokenWithNonce), 1, |_, claims| {
            claims["nonce"].is_string()
        }),
        (Some(M::LogoutTokenOfNobody), 1, |_, claims| {
            claims["sub"].is_null() && claims["sid"].is_null()
        }),
        (Some(M::LogoutTokenForOther), 1, |_, claims| {
            claims["aud"] == "another-client"
        }),
        (Some(M::IdTokenAsLogoutToken), 1, |header, _| {
            header["typ"] == "JWT"
        }),
    ];
    for (misbehaviour, expected, holds) in cases {
        let tokens = flow.tokens(&mut Visitor::new()).await;
        openid.misbehave(*misbehaviour);
        let sent = openid.sign_out("user|alice");
        openid.misbehave(None);
        assert_eq!(
            (sent.len(), openid.sessions()),
            (*expected, 0),
            "{misbehaviour:?}"
        );
        for delivery in &sent {
            assert_eq!(delivery.answer, Some((204, String::new())));
            let header = token::untrusted_header(&delivery.token);
            let claims = token::untrusted_claims(&delivery.token);
            assert!(
                holds(&header, &claims),
                "{misbehaviour:?}: {header} {claims}"
            );
        }
        assert_eq!(sent.first(), sent.last());
        // What was granted in the session has ended with it.
        let access = [("token", tokens["access_token"].as_str().unwrap())];
        let introspected = flow.ask(Endpoint::Introspection, &access).await.json();
        assert_eq!(introspected["active"], false);
    }
    assert!(openid.sign_out("user|alice").is_empty());
    assert_eq!(openid.deliveries().len(), cases.len() + 1);
}

#[tokio::test]
async fn signing_out_by_the_browser() {
    let idp = Idp::start();
    let openid = idp.openid();
    let flow = Flow::new(&idp);
    let listener = logout_listener();
    register_listener(openid, &listener);
    let mut visitor = Visitor::new();
    let tokens = flow.tokens(&mut visitor).await;
    let hint = tokens["id_token"].as_str().unwrap();
    let end_session = |parameters: &[(&str, &str)]| {
        let query = serde_urlencoded::to_string(parameters).unwrap();
        format!("{}?{query}", openid.url(Endpoint::EndSession))
    };
    let home = ("post_logout_redirect_uri", "https://app.example/");
    for refused in [
        vec![home],
        vec![("id_token_hint", "a.b.c"), home],
        vec![("id_token_hint", hint), ("client_id", "other")],
        vec![
            ("client_id", "web"),
            ("post_logout_redirect_uri", "https://attacker.example/"),
        ],
    ] {
        let reply = visitor.get(&end_session(&refused)).await;
        assert_eq!((reply.status, openid.sessions()), (400, 1), "{refused:?}");
    }
    // Without a hint it may be anybody's link.
    let url = end_session(&[("client_id", "web"), home, ("state", "s")]);
    let page = visitor.get(&url).await;
    assert_eq!((page.status, openid.sessions()), (200, 1));
    let back = visitor.fill(&url, &page, "", &[("confirmed", "yes")]).await;
    assert_eq!(
        back.header("location"),
        Some("https://app.example/?state=s")
    );
    assert_eq!((openid.sessions(), openid.deliveries().len()), (0, 1));

    let tokens = flow.tokens(&mut visitor).await;
    let hint = tokens["id_token"].as_str().unwrap();
    let back = visitor
        .get(&end_session(&[("id_token_hint", hint), home]))
        .await;
    assert_eq!(back.header("location"), Some("https://app.example/"));
    assert_eq!(openid.deliveries().len(), 2);
    let back = visitor.get(&flow.authorize(&[("prompt", "none")])).await;
    let location = back.header("location").unwrap();
    assert_eq!(parameter(location, "error"), "login_required");
}

#[tokio::test]
async fn pages_beside_the_login_page() {
    let idp = Idp::start();
    let flow = Flow::new(&idp);
    let mut visitor = Visitor::new();
    let url = flow.authorize(&[("prompt", "create")]);
    let page = visitor.get(&url).await;
    assert!(page.body.contains("<h1>Sign up</h1>"));
    let taken = [("name", "A"), ("username", "alice"), ("password", "p")];
    let page = visitor.fill(&url, &page, "sign-up", &taken).await;
    assert!(page.body.contains("role=\"alert\""));
    let free = [
        ("name", "Carol <b>"),
        ("username", "carol"),
        ("password", "p"),
    ];
    let back = visitor.fill(&url, &page, "sign-up", &free).await;
    let code = parameter(back.header("location").unwrap(), "code");
    let tokens = flow.redeem(&code, &basic()).await.json();
    let claims = token::untrusted_claims(tokens["id_token"].as_str().unwrap());
    assert_eq!(
        (&claims["sub"], &claims["name"]),
        (&json!("user|carol"), &json!("Carol <b>"))
    );
    // The page that was sent cannot be sent again.
    assert_eq!(
        visitor.fill(&url, &page, "sign-up", &free).await.status,
        400
    );

    let party = RelyingParty::confidential("web", "secret", CALLBACK);
    idp.openid().register(party.asking_consent());
    let url = flow.authorize(&[]);
    let page = visitor.get(&url).await;
    assert!(page.body.contains("<li>profile</li>"), "{}", page.body);
    let back = visitor.fill(&url, &page, "cancel", &[]).await;
    let location = back.header("location").unwrap();
    assert_eq!(parameter(location, "error"), "access_denied");
    assert_eq!(parameter(location, "state"), "the state");
    let page = visitor.get(&url).await;
    let back = visitor.fill(&url, &page, "allow", &[]).await;
    assert!(!parameter(back.header("location").unwrap(), "code").is_empty());
    let back = visitor.get(&flow.authorize(&[("prompt", "none")])).await;
    assert_eq!(
        parameter(back.header("location").unwrap(), "error"),
        "consent_required"
    );

    idp.openid()
        .register(RelyingParty::confidential("web", "secret", CALLBACK));
    let page = visitor
        .get(&flow.authorize(&[("response_mode", "form_post")]))
        .await;
    assert!(page.body.contains(&format!("action=\"{CALLBACK}\"")));
    assert!(page.body.contains("name=\"code\"") && page.body.contains("name=\"iss\""));
}

#[test]
fn each_misbehaviour_is_listed_once_with_its_requirement() {
    for (index, misbehaviour) in Misbehaviour::ALL.iter().enumerate() {
        let requirement = misbehaviour.requirement();
        let number = requirement.strip_prefix('S').and_then(|n| n.parse().ok());
        assert!(number.is_some_and(|number: u8| (1..=33).contains(&number)));
        assert_eq!(*misbehaviour as usize, index);
    }
}
