//! What docs/sign-in.md says to do for ten minutes, done with a provider that no code of this project
//! had a part in. Its four values are changed, as the document has them; and what ties the file to
//! TLS and to fixed ports.

use std::time::{Duration, Instant};

use bearer_gate_testbed::browser::Browser;
use bearer_gate_testbed::canaille::{self, Canaille};
use bearer_gate_testbed::envoy::Envoy;
use bearer_gate_testbed::idp::openid::RelyingParty;
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::yaml;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::recipes::kitchen::{localize_clusters, localize_module, plugin};
use crate::stage::merge;

const SECRET: &str = "the-secret-of-the-client";

/// Changes a value in a text. The text must have it so many times, and the document must name it.
fn change(text: &str, document: &str, value: &str, times: usize, to: &str) -> String {
    assert!(document.contains(&format!("`{value}`")), "{value}");
    assert_eq!(text.matches(value).count(), times, "{value}");
    text.replace(value, to)
}

struct World {
    // Dropped first: it prints its log when a test fails.
    envoy: Envoy,
    provider: Canaille,
    site: String,
    _application: Upstream,
}

/// The shipped file with the values changed, and a scheme that has `more` than the file's. The
/// provider's tokens are good for `life`.
fn start(more: Value, life: Duration) -> World {
    let port = Envoy::free_port();
    let site = format!("http://localhost:{port}");
    let document = yaml::text("docs/sign-in.md");
    for registered in ["/oauth2/callback", "/"] {
        let shown = format!("`http://localhost:10000{registered}`");
        assert!(document.contains(&shown), "{shown}");
    }
    let callback = format!("{site}/oauth2/callback");
    let party = RelyingParty::confidential("ten-minutes", SECRET, &callback);
    let party = party.post_logout_redirect_uri(&format!("{site}/"));
    let provider = Canaille::start_with(&[party], life);
    let application = Upstream::start();

    // The head of the file has the values too.
    let file = yaml::text("envoy/envoy-sign-in.yaml");
    let (_, file) = file.split_once("\n\n").unwrap();
    let issuer = provider.issuer();
    let file = change(file, &document, "https://login.example.com", 1, &issuer);
    let host = issuer.trim_start_matches("http://");
    let file = change(&file, &document, "login.example.com", 3, host);
    let file = change(&file, &document, "my-client-id", 1, "ten-minutes");
    let own = format!(
        "address: 127.0.0.1, port_value: {}",
        application.address().port()
    );
    let file = change(
        &file,
        &document,
        "address: 127.0.0.1, port_value: 8080",
        1,
        &own,
    );
    let file = change(
        &file,
        &document,
        "localhost:10000",
        1,
        &format!("localhost:{port}"),
    );
    let mut bootstrap: Value = yaml::parse(&file);
    localize_module(plugin(&mut bootstrap));
    let sign_in = &mut plugin(&mut bootstrap)["configuration"]["value"]["sign_in"];
    merge(&mut sign_in["schemes"]["web"], more);
    localize_clusters(&mut bootstrap, host.parse().unwrap(), application.address());

    let envoy = Envoy::builder()
        .port(port)
        .variable("BG_CLIENT_SECRET", SECRET)
        .variable("BG_COOKIE_KEY", "a key of thirty-two octets or more")
        .start_bootstrap(bootstrap);
    World {
        envoy: envoy.unwrap_or_else(|refused| panic!("{refused}")),
        provider,
        site,
        _application: application,
    }
}

/// A browser in which Alice has signed in, at the page that she asked for.
async fn signed_in(world: &World) -> Browser {
    let page = format!("{}/", world.site);
    let browser = Browser::start().await;
    browser.open(&page).await;
    browser.wait_for_url(&world.provider.issuer()).await;
    canaille::sign_in(&browser, "alice", "wonderland").await;
    browser.wait_for_url(&page).await;
    browser.wait_for_text("x-user").await;
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_with_a_provider_that_is_not_ours() {
    let world = start(json!({}), Duration::from_secs(3600));
    let (site, issuer) = (&world.site, world.provider.issuer());
    let browser = signed_in(&world).await;
    let text = browser.text().await;
    for header in [
        r#"["x-user","alice"]"#,
        r#"["x-name","Alice Liddell"]"#,
        r#"["x-email","alice@example.com"]"#,
    ] {
        assert!(text.contains(header), "{header} in {text}");
    }
    browser.open(&format!("{site}/oauth2/session")).await;
    browser.wait_for_text(r#""sub":"alice""#).await;

    browser.open(&format!("{site}/sign-out")).await;
    browser.wait_for_url(&issuer).await;
    browser.screenshot("canaille-after-sign-out").await;
    browser.open(&format!("{site}/oauth2/session")).await;
    browser.wait_for_text(r#""sign_in":"/sign-in""#).await;
}

/// The access token that the application gets with Alice's page.
async fn token_at(browser: &Browser, world: &World) -> String {
    browser.open(&format!("{}/", world.site)).await;
    let text = browser.text().await;
    for header in [
        r#"["x-user","alice"]"#,
        r#"["x-email","alice@example.com"]"#,
    ] {
        assert!(text.contains(header), "{header} in {text}");
    }
    let (_, token) = text.split_once("Bearer ").expect("an access token");
    token.split('"').next().expect("a token").to_owned()
}

/// It replaces a refresh token with each use, ends it with the access token, and sends no ID token.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_not_ours_refreshes_a_session() {
    let more = json!({"use_refresh_token": true, "forward_bearer_token": true});
    let world = start(more, Duration::from_secs(15));
    let browser = signed_in(&world).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut tokens = vec![token_at(&browser, &world).await];
    // The code, and a refresh with a token that came with a refresh. The browser may have asked for
    // the site's icon when one was due, so the last page comes after all answers.
    while world.provider.token_answers().len() < 3 {
        assert!(Instant::now() < deadline, "no refresh");
        sleep(Duration::from_millis(300)).await;
        tokens.push(token_at(&browser, &world).await);
    }
    tokens.push(token_at(&browser, &world).await);
    tokens.dedup();
    assert_eq!(tokens.len(), 3, "one for each answer");
    assert_eq!(world.provider.token_answers(), ["200"; 3]);
    let refreshed = "wasmcustom.bearer_gate.refresh.completed";
    assert_eq!(world.envoy.stat(refreshed), 2);
}
