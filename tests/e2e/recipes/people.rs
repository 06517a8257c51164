//! People sign in by each recipe, at a provider with the endpoints, claims and parameters that the
//! real one documents.

use std::time::Duration;

use bearer_gate_testbed::idp::openid::{Customs, Endpoint, RelyingParty};
use bearer_gate_testbed::idp::{Idp, IdpBuilder};
use bearer_gate_testbed::raw::{self, RawResponse};
use bearer_gate_testbed::visitor::{Visitor, parameters};
use serde_json::{Value, json};

use super::kitchen::{Kitchen, ROUTES, SECRET};

/// The application, as every recipe names it.
const SITE: &str = "https://app.example.com";
/// Where people sign in with a recipe whose provider has another host for that.
const LOGIN_HOST: &str = "login.example.com";

/// How long an access token lives, in seconds. It is refreshed when it has ended.
const LIFE: i64 = 3;

/// What comes of a recipe.
pub(super) struct Recipe {
    pub(super) name: &'static str,
    pub(super) client_id: &'static str,
    pub(super) idp: IdpBuilder,
    /// Whether the provider says in the answer who it is (RFC 9207).
    pub(super) says_iss: bool,
    /// Where the client's secret is sent.
    pub(super) secret_in_body: bool,
    /// Parameters of the authorization request.
    pub(super) asked: &'static [(&'static str, &'static str)],
    /// The `x-user` of a session.
    pub(super) user: &'static str,
    /// What a session gets of [`ROUTES`].
    pub(super) statuses: [u16; 4],
    /// Whether the pages get the access token.
    pub(super) forwards: bool,
    /// One more page that a session gets.
    pub(super) gets: Option<&'static str>,
    /// Whether a sign-out ends the session at the provider.
    pub(super) ends_session: bool,
    /// What the provider does at a refresh: whether the token is replaced, and an ID token comes.
    pub(super) refreshes: (bool, bool),
    /// Where the provider tells of sign-outs.
    pub(super) is_told: Option<&'static str>,
}

impl Recipe {
    /// Somebody signs in and out; returns what is there for more.
    pub(super) async fn serve(self) -> (Kitchen, Visitor) {
        let says_iss = self.says_iss;
        let kitchen = Kitchen::open(self.name, self.idp, |idp| {
            let openid = idp.openid();
            openid.configure(|settings| {
                settings.iss_parameter = says_iss;
                settings.access_token_lifetime = LIFE;
                (
                    settings.rotates_refresh_tokens,
                    settings.id_token_at_refresh,
                ) = self.refreshes;
            });
            let callback = format!("{SITE}/oauth2/callback");
            let party = RelyingParty::confidential(self.client_id, SECRET, &callback);
            openid.register(party.post_logout_redirect_uri(&format!("{SITE}/")));
        });
        let openid = kitchen.idp.openid();
        let mut visitor = Visitor::new()
            .finding("app.example.com", kitchen.envoy.address())
            .finding(LOGIN_HOST, kitchen.idp.address());
        let page = format!("{SITE}/app/orders?year=2026");
        let begun = visitor.get(&page).await;
        assert_eq!(begun.status, 303, "{}", begun.body);
        let location = begun.header("location").unwrap();
        let asked = parameters(location);
        for (name, value) in self.asked {
            let expected = ((*name).to_owned(), (*value).to_owned());
            assert!(asked.contains(&expected), "{name}: {asked:?}");
        }
        let mut back = visitor.sign_in(location, "alice", "wonderland").await;
        if asked.contains(&("prompt".to_owned(), "consent select_account".to_owned())) {
            back = visitor.fill(location, &back, "allow", &[]).await;
        }
        let done = visitor
            .get(back.header("location").expect(&back.body))
            .await;
        assert_eq!(
            done.header("location"),
            Some("/app/orders?year=2026"),
            "{}",
            done.body
        );
        let redeemed = openid.last(Endpoint::Token);
        let in_body = redeemed.parameter("client_secret").is_some();
        assert_eq!(in_body, self.secret_in_body);
        assert_eq!(redeemed.header("authorization").is_none(), in_body);

        let shown = visitor.get(&page).await;
        assert_eq!(shown.status, 200, "{}", shown.body);
        assert_eq!(shown.seen("x-user"), [self.user]);
        assert_eq!(!shown.seen("authorization").is_empty(), self.forwards);
        let mut statuses = [0; 4];
        for (status, path) in statuses.iter_mut().zip(ROUTES) {
            *status = visitor.fetch(&format!("{SITE}{path}")).await.status;
        }
        assert_eq!(statuses, self.statuses);
        if let Some(path) = self.gets {
            let got = visitor.get(&format!("{SITE}{path}")).await;
            assert_eq!(got.status, 200, "{}", got.body);
        }
        self::refresh(&kitchen, &mut visitor, &page, self.user).await;
        if let Some(path) = self.is_told {
            // The provider tells that a session in another browser has ended.
            let mut elsewhere = Visitor::new().finding("app.example.com", kitchen.envoy.address());
            let begun = elsewhere.get(&page).await;
            let location = begun.header("location").unwrap();
            let back = elsewhere.sign_in(location, "bob", "tokyo").await;
            elsewhere.get(back.header("location").unwrap()).await;
            assert_eq!(elsewhere.get(&page).await.status, 200);
            let told = self::told(&kitchen, self.client_id, path);
            assert_eq!(told.status, 200, "{}", told.text());
            assert_eq!(elsewhere.get(&page).await.status, 303);
            assert_eq!(visitor.get(&page).await.status, 200);
        }
        let (mut copy, other) = (visitor.clone(), visitor.fetch(&format!("{SITE}/x")).await);
        assert_eq!(other.status, 403);

        self::sign_out(&kitchen, &mut visitor, self.ends_session).await;
        for signed_out in [&mut visitor, &mut copy] {
            assert_eq!(signed_out.get(&page).await.status, 303);
        }
        (kitchen, visitor)
    }
}

/// The access token ends, and the page is shown all the same.
async fn refresh(kitchen: &Kitchen, visitor: &mut Visitor, page: &str, user: &str) {
    let openid = kitchen.idp.openid();
    let before = openid.last(Endpoint::Token);
    tokio::time::sleep(Duration::from_secs(LIFE.unsigned_abs() + 1)).await;
    let shown = visitor.get(page).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    assert_eq!(shown.seen("x-user"), [user]);
    let asked = openid.last(Endpoint::Token);
    assert_eq!(asked.parameter("grant_type"), Some("refresh_token"));
    // The client proves itself as before.
    assert_eq!(
        asked.parameter("client_secret"),
        before.parameter("client_secret")
    );
    assert_eq!(
        asked.header("authorization"),
        before.header("authorization")
    );
}

/// A back-channel logout of Bob.
fn told(kitchen: &Kitchen, client_id: &str, path: &str) -> RawResponse {
    let openid = kitchen.idp.openid();
    let sid = openid.sid_of("user|bob").expect("a session");
    let token = openid.logout_token(client_id, "user|bob", &sid);
    openid.sign_out("user|bob");
    let body = format!("logout_token={token}");
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: app.example.com\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    raw::request(kitchen.envoy.address(), head.as_bytes()).unwrap()
}

/// Who signs out comes to the start page, by way of the provider where that knows how.
async fn sign_out(kitchen: &Kitchen, visitor: &mut Visitor, ends_session: bool) {
    let openid = kitchen.idp.openid();
    let left = visitor.post(&format!("{SITE}/sign-out"), &[]).await;
    assert_eq!(left.status, 303, "{}", left.body);
    let location = left.header("location").unwrap();
    if !ends_session {
        assert_eq!(location, "/");
        return;
    }
    let back = visitor.get(location).await;
    let start = format!("{SITE}/");
    assert_eq!(back.header("location"), Some(&*start), "{}", back.body);
    assert_eq!(openid.sessions(), 0);
    assert_eq!(visitor.get(&start).await.status, 200);
}

pub(super) fn idp(issuer_path: &str, jwks_path: &str, customs: Customs) -> IdpBuilder {
    let builder = Idp::builder().issuer_path(issuer_path).jwks_path(jwks_path);
    builder.customs(customs)
}

/// Customs with endpoints below a path: the authorization, the token and the logout endpoint.
pub(super) fn customs(paths: [&'static str; 3], id_token: Value) -> Customs {
    let [authorize, token, end_session] = paths;
    Customs {
        paths: vec![
            (Endpoint::Authorize, authorize),
            (Endpoint::Token, token),
            (Endpoint::EndSession, end_session),
        ],
        id_token,
        ..Customs::default()
    }
}

#[tokio::test]
async fn people_of_auth0() {
    let own = json!({"groups": null, "https://example.com/roles": ["admin"]});
    let paths = ["/authorize", "/oauth/token", "/oidc/logout"];
    let recipe = Recipe {
        name: "auth0",
        client_id: "web_client_id",
        idp: idp("/", "/.well-known/jwks.json", customs(paths, own)),
        says_iss: false,
        secret_in_body: true,
        asked: &[
            ("audience", "https://api.example.com"),
            ("scope", "openid profile email offline_access"),
        ],
        user: "user|alice",
        statuses: [200, 401, 200, 200],
        forwards: true,
        gets: None,
        ends_session: true,
        refreshes: (true, true),
        is_told: None,
    };
    let (_kitchen, mut visitor) = recipe.serve().await;
    let begun = visitor.get(&format!("{SITE}/sign-up?return_to=/app")).await;
    let asked = parameters(begun.header("location").unwrap());
    assert!(asked.contains(&("screen_hint".to_owned(), "signup".to_owned())));
    assert!(!asked.iter().any(|(name, _)| name == "prompt"));
}

#[tokio::test]
async fn people_of_entra() {
    const TENANT: &str = "/11111111-1111-1111-1111-111111111111";
    const SCOPE: &str = "openid profile email offline_access api://22222222-2222-2222-2222-222222222222/Messages.Read";
    let paths = [
        "/11111111-1111-1111-1111-111111111111/oauth2/v2.0/authorize",
        "/11111111-1111-1111-1111-111111111111/oauth2/v2.0/token",
        "/11111111-1111-1111-1111-111111111111/oauth2/v2.0/logout",
    ];
    let own = json!({
        "aio": "AXQAi/8TAAAA", "at_hash": null, "auth_time": null, "azp": null, "groups": null,
        "oid": "44444444-4444-4444-4444-444444444444", "rh": "0.AXQA", "roles": ["Editor"],
        "tid": &TENANT[1..], "ver": "2.0",
    });
    let mut customs = customs(paths, own);
    customs.token_response = json!({"ext_expires_in": 3599, "scope": SCOPE});
    let keys = format!("{TENANT}/discovery/v2.0/keys");
    let recipe = Recipe {
        name: "entra",
        client_id: "33333333-3333-3333-3333-333333333333",
        idp: idp(&format!("{TENANT}/v2.0"), &keys, customs),
        says_iss: false,
        secret_in_body: true,
        asked: &[("scope", SCOPE)],
        user: "44444444-4444-4444-4444-444444444444",
        statuses: [200, 401, 200, 403],
        forwards: true,
        gets: None,
        ends_session: true,
        refreshes: (true, true),
        is_told: None,
    };
    recipe.serve().await;
}

#[tokio::test]
async fn people_of_okta() {
    let paths = [
        "/oauth2/default/v1/authorize",
        "/oauth2/default/v1/token",
        "/oauth2/default/v1/logout",
    ];
    let own = json!({
        "amr": ["pwd"], "azp": null, "groups": ["Everyone", "Editors"], "idp": "00o1", "ver": 1,
        "sub": "00uid4BxXw6I6TV4m0g3",
    });
    let recipe = Recipe {
        name: "okta",
        client_id: "web_client_id",
        idp: idp(
            "/oauth2/default",
            "/oauth2/default/v1/keys",
            customs(paths, own),
        ),
        says_iss: false,
        secret_in_body: false,
        asked: &[("scope", "openid profile email offline_access")],
        user: "00uid4BxXw6I6TV4m0g3",
        statuses: [200, 401, 200, 403],
        forwards: false,
        gets: None,
        ends_session: true,
        refreshes: (true, true),
        is_told: None,
    };
    recipe.serve().await;
}

#[tokio::test]
async fn people_of_keycloak() {
    let paths = [
        "/realms/demo/protocol/openid-connect/auth",
        "/realms/demo/protocol/openid-connect/token",
        "/realms/demo/protocol/openid-connect/logout",
    ];
    let own = json!({
        "acr": "1", "groups": null, "realm_access": {"roles": ["offline_access", "editor"]},
        "session_state": "9d5b6d8e", "typ": "ID",
    });
    let keys = "/realms/demo/protocol/openid-connect/certs";
    let recipe = Recipe {
        name: "keycloak",
        client_id: "web",
        idp: idp("/realms/demo", keys, customs(paths, own)),
        says_iss: true,
        secret_in_body: false,
        asked: &[("scope", "openid profile email")],
        user: "user|alice",
        statuses: [200, 401, 200, 403],
        forwards: false,
        gets: None,
        ends_session: true,
        refreshes: (true, true),
        is_told: Some("/oauth2/backchannel"),
    };
    let (_kitchen, mut visitor) = recipe.serve().await;
    let begun = visitor.get(&format!("{SITE}/sign-up")).await;
    let asked = parameters(begun.header("location").unwrap());
    assert!(asked.contains(&("prompt".to_owned(), "create".to_owned())));
}

#[tokio::test]
async fn people_of_google() {
    let paths = ["/o/oauth2/v2/auth", "/token", "/none"];
    let own = json!({
        "auth_time": null, "email": "ada@example.com", "groups": null, "hd": "example.com",
        "sid": null, "sub": "110169484474386276334",
    });
    let mut customs = customs(paths, own);
    customs.metadata = json!({
        "end_session_endpoint": null,
        "token_endpoint": "https://oauth2.googleapis.com/token",
    });
    let scope = "openid https://www.googleapis.com/auth/userinfo.email \
                 https://www.googleapis.com/auth/userinfo.profile";
    customs.token_response = json!({"scope": scope});
    let recipe = Recipe {
        name: "google",
        client_id: "web-client.apps.googleusercontent.com",
        idp: idp("", "/oauth2/v3/certs", customs),
        says_iss: false,
        secret_in_body: true,
        asked: &[
            ("hd", "example.com"),
            ("access_type", "offline"),
            ("prompt", "consent select_account"),
        ],
        user: "110169484474386276334",
        statuses: [200; 4],
        forwards: false,
        gets: None,
        ends_session: false,
        refreshes: (false, true),
        is_told: None,
    };
    let (kitchen, _) = recipe.serve().await;
    let redeemed = kitchen.idp.openid().last(Endpoint::Token);
    assert_eq!(redeemed.header("host"), Some("oauth2.googleapis.com"));
}

#[tokio::test]
async fn people_of_cognito() {
    const POOL: &str = "/eu-central-1_EXAMPLE";
    let paths = ["/oauth2/authorize", "/oauth2/token", "/logout"];
    let own = json!({
        "azp": null, "cognito:groups": ["admins"], "cognito:username": "ada", "groups": null,
        "sid": null, "token_use": "id",
    });
    let customs = Customs {
        metadata: json!({
            "authorization_endpoint": format!("https://{LOGIN_HOST}/oauth2/authorize"),
            "end_session_endpoint": null,
            "token_endpoint": format!("https://{LOGIN_HOST}/oauth2/token"),
        }),
        token_response: json!({"scope": null}),
        back_parameter: "logout_uri",
        asks_before_sign_out: false,
        ..customs(paths, own)
    };
    let recipe = Recipe {
        name: "cognito",
        client_id: "2example23456789",
        idp: idp(POOL, &format!("{POOL}/.well-known/jwks.json"), customs),
        says_iss: false,
        secret_in_body: false,
        asked: &[("scope", "openid profile email")],
        user: "user|alice",
        // They take tokens only.
        statuses: [401; 4],
        forwards: false,
        gets: Some("/app/admin/x"),
        ends_session: true,
        refreshes: (false, true),
        is_told: None,
    };
    let (kitchen, _) = recipe.serve().await;
    let left = kitchen.idp.openid().last(Endpoint::EndSession);
    let sent = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        left.query,
        [
            sent("client_id", "2example23456789"),
            sent("logout_uri", "https://app.example.com/")
        ]
    );
}
