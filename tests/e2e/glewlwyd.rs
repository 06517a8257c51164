//! The whole flow with glewlwyd, a provider that no code of this project had a part in: pushed and
//! plain requests, claims, refreshed tokens, and every way to sign out.

use std::time::{Duration, Instant};

use bearer_gate_testbed::browser::Browser;
use bearer_gate_testbed::envoy::{Envoy, Listener};
use bearer_gate_testbed::eventually;
use bearer_gate_testbed::glewlwyd::{self, Glewlwyd};
use bearer_gate_testbed::idp::openid::RelyingParty;
use bearer_gate_testbed::raw;
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::visitor::{Visitor, parameters};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::sign_in_browser::{SESSION, fetch, header, page, session};
use crate::stage::merge;

const SECRET: &str = "the-secret-of-the-client";
/// How long the provider's tokens are good, where they are refreshed.
const LIFE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(30);

struct World {
    // Dropped first: it prints its log when a test fails.
    envoy: Envoy,
    provider: Glewlwyd,
    _upstream: Upstream,
}

impl World {
    /// Tokens that are good for `life`, a scheme that has `more`, and a client that is registered
    /// with `with`.
    fn start(
        life: Duration,
        more: fn(&Self) -> Value,
        with: fn(&Self, RelyingParty) -> RelyingParty,
    ) -> Self {
        let provider = Glewlwyd::start(life);
        let upstream = Upstream::start();
        let envoy = Envoy::builder()
            .cluster("idp", provider.address())
            .cluster("upstream", upstream.address())
            // The port is known only when Envoy runs.
            .listener(Listener::wasm("main", json!({"unmatched": "allow"})).with_bodies())
            .start()
            .unwrap_or_else(|refused| panic!("{refused}"));
        let world = Self {
            envoy,
            provider,
            _upstream: upstream,
        };
        let party = RelyingParty::confidential("web", SECRET, &world.url("/oauth2/callback"));
        let party = party.post_logout_redirect_uri(&world.url("/public/bye"));
        world.provider.register(&with(&world, party));
        let mut config = world.config();
        let scheme = &mut config["sign_in"]["schemes"]["staff"];
        merge(scheme, more(&world));
        let reloaded = world.envoy.reload_wasm(&config);
        reloaded.unwrap_or_else(|refused| panic!("{refused}"));
        world
    }

    fn config(&self) -> Value {
        let cluster = json!({"cluster": "idp", "timeout": "5s"});
        json!({
            "providers": {"glewlwyd": {
                "issuer": self.provider.issuer(),
                "audiences": ["https://api.example.com"],
                "openid_discovery": cluster,
                "claim_to_headers": [
                    {"header_name": "x-user", "claim_name": "sub"},
                    {"header_name": "x-name", "claim_name": "name"},
                    {"header_name": "x-email", "claim_name": "email"},
                ],
            }},
            "sign_in": {
                "cookie_keys": [{"inline_string": "a key of thirty-two octets or more"}],
                "allowed_redirect_domains": [self.site()],
                "schemes": {"staff": {
                    "provider_name": "glewlwyd",
                    "credentials": {"client_id": "web", "token_secret": {"inline_string": SECRET}},
                    "token_endpoint": cluster,
                    "callback_path": "/oauth2/callback",
                    "signout_path": "/sign-out",
                    "session_path": "/session",
                    "post_logout_redirect_path": "/public/bye",
                    "session": {"idle_timeout": "600s"},
                }},
            },
            "rules": [
                {"match": {"path_separated_prefix": "/public"}},
                {"match": {"prefix": "/"}, "requires": {"session": "staff"}},
            ],
        })
    }

    fn site(&self) -> String {
        format!("localhost:{}", self.envoy.address().port())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.site())
    }

    /// Where the provider asks who somebody is.
    fn login(&self) -> String {
        self.provider.url("/login.html")
    }

    fn counter(&self, name: &str) -> u64 {
        self.envoy.stat(&format!("wasmcustom.bearer_gate.{name}"))
    }

    /// The statuses of requests with a copy of a session's cookie, on connections of their own, so
    /// that each worker has some.
    fn statuses(&self, value: &str) -> [u16; 8] {
        let host = self.site();
        [(); 8].map(|()| {
            let request = format!(
                "GET /x HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
                 sec-fetch-site: same-origin\r\ncookie: {SESSION}={value}\r\n\r\n"
            );
            let answer = raw::request(self.envoy.address(), request.as_bytes());
            answer.expect("an answer").status
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_and_out_by_the_pages_of_glewlwyd() {
    let more = |world: &World| {
        // Without a state it sends nobody back.
        let end = format!("{}/end_session?state=bye", world.provider.issuer());
        json!({
            "use_refresh_token": true,
            "forward_bearer_token": true,
            "forward_id_token_header": "x-id-token",
            "frontchannel_logout_path": "/framed",
            "end_session_endpoint": end,
        })
    };
    let world = World::start(LIFE, more, |world, party| {
        party.frontchannel_logout_uri(&world.url("/framed"))
    });
    let browser = Browser::start().await;
    let link = world.url("/orders/7?q=a%20b");
    browser.open(&link).await;
    let asked = signed_in(&world, &browser, &link).await;
    assert_eq!(header(&asked, "x-name"), Some("Alice Liddell"));
    assert_eq!(header(&asked, "x-email"), Some("alice@example.com"));
    let told = fetch(&browser, "/session").await;
    let told: Value = serde_json::from_str(told[3].as_str().unwrap()).unwrap();
    assert_eq!(header(&asked, "x-user"), told["sub"].as_str());

    two_refreshes(&world, &browser, &link).await;
    a_frame_ends_the_session(&world, &browser, &link).await;

    signed_in(&world, &browser, &link).await;
    let leave = "location.href = '/sign-out'";
    let client = browser.client();
    client.execute(leave, Vec::new()).await.expect("a script");
    glewlwyd::sign_out(&browser, "web").await;
    page(&browser, &world.url("/public/bye?state=bye")).await;
    assert_eq!(session(&browser).await, None);
    assert_eq!(world.counter("signed_out"), 1);
    let revoked = "Refresh token generated for client 'web' revoked";
    eventually(PATIENCE, revoked, || world.provider.log().contains(revoked));

    // It knows her no more.
    browser.open(&link).await;
    browser.wait_for_url(&world.login()).await;
    browser.wait_for("#username").await;
}

/// Alice signs in, and sees the page that she asked for.
async fn signed_in(world: &World, browser: &Browser, link: &str) -> Value {
    browser.wait_for_url(&world.login()).await;
    glewlwyd::sign_in(browser, "alice", "wonderland").await;
    page(browser, link).await
}

/// It replaces a refresh token with each use, and sends no ID token with new tokens.
async fn two_refreshes(world: &World, browser: &Browser, link: &str) {
    let deadline = Instant::now() + PATIENCE;
    let mut tokens = Vec::new();
    while world.counter("refresh.completed") < 2 {
        assert!(Instant::now() < deadline, "no refresh");
        sleep(Duration::from_millis(200)).await;
        tokens.push(token_at(browser, link).await);
    }
    tokens.push(token_at(browser, link).await);
    tokens.dedup();
    assert!(tokens.len() >= 3, "{}", tokens.len());
}

async fn token_at(browser: &Browser, link: &str) -> String {
    browser.open(link).await;
    let asked = page(browser, link).await;
    assert_eq!(header(&asked, "x-email"), Some("alice@example.com"));
    let token = header(&asked, "authorization").expect("an access token");
    token.to_owned()
}

/// Another application of the provider signs her out: it has our path in a frame of its page.
async fn a_frame_ends_the_session(world: &World, browser: &Browser, link: &str) {
    let copy = session(browser).await.expect("a session");
    assert_eq!(world.statuses(&copy), [200; 8]);
    let asked = page(browser, link).await;
    let id_token = header(&asked, "x-id-token").expect("an ID token");
    let end = format!("{}/end_session?id_token_hint=", world.provider.issuer());
    browser.open(&format!("{end}{id_token}")).await;
    glewlwyd::sign_out(browser, "web").await;
    browser.wait_for_text("You are disconnected").await;
    assert_eq!(world.counter("logout.frontchannel"), 1);
    assert_eq!(world.statuses(&copy), [401; 8]);
    // It has ended by that, and not because its tokens were revoked.
    let stats = world.envoy.stats();
    let failed = |name: &str| name.contains("bearer_gate.refresh.failed");
    let failed = stats.iter().filter(|(name, _)| failed(name));
    assert_eq!(failed.map(|(_, count)| count).sum::<u64>(), 0);
    browser.open(link).await;
}

/// Its logout tokens have no `exp`.
#[tokio::test(flavor = "multi_thread")]
async fn glewlwyd_takes_a_pushed_request_and_tells_of_a_sign_out() {
    let more = |_: &World| {
        json!({
            "pushed_authorization_request_endpoint": {"cluster": "idp", "timeout": "5s"},
            "backchannel_logout_path": "/told",
        })
    };
    let world = World::start(Duration::from_secs(3600), more, |world, party| {
        party.backchannel_logout_uri(&world.url("/told"))
    });
    let mut visitor = Visitor::new();
    let begun = visitor.get(&world.url("/orders/7")).await;
    assert_eq!(begun.status, 303, "{}", begun.body);
    let location = begun.header("location").unwrap();
    let brought = parameters(location);
    let names: Vec<&str> = brought.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["client_id", "request_uri"]);
    let provider = &world.provider;
    let back = provider
        .sign_in_as_its_page(&mut visitor, location, "bob", "tokyo")
        .await;
    let callback = back.header("location").expect("the way back");
    let issuer = ("iss".to_owned(), provider.issuer());
    assert!(parameters(callback).contains(&issuer), "{callback}");
    let done = visitor.get(callback).await;
    assert_eq!(done.header("location"), Some("/orders/7"), "{}", done.body);
    let shown = visitor.get(&world.url("/orders/7")).await;
    assert_eq!(shown.seen("x-name"), ["Bob Harris"]);

    let copy = visitor.cookie(&world.url("/"), SESSION).expect("a session");
    let copy = copy.to_owned();
    assert_eq!(world.statuses(&copy), [200; 8]);
    let told = visitor.fetch(&world.url("/session")).await.json();
    let sid = told["claims"]["sid"].as_str().expect("a sid");
    provider.sign_out_as_its_page(&mut visitor, sid).await;
    let told = || world.counter("logout.backchannel") == 1;
    eventually(PATIENCE, "glewlwyd tells", told);
    assert_eq!(world.statuses(&copy), [401; 8]);
    assert_eq!(world.counter("logout.refused"), 0);
}
