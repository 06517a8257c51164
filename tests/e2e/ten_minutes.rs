//! What docs/sign-in.md says to do for ten minutes, done with a provider that no code of this project
//! had a part in. Its four values are changed, as the document has them; and what ties the file to
//! TLS and to fixed ports.

use bearer_gate_testbed::browser::Browser;
use bearer_gate_testbed::canaille::{self, Canaille};
use bearer_gate_testbed::envoy::Envoy;
use bearer_gate_testbed::idp::openid::RelyingParty;
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::yaml;
use serde_json::Value;

use crate::recipes::kitchen::{localize_clusters, localize_module, plugin};

const SECRET: &str = "the-secret-of-the-client";

/// Changes a value in a text. The text must have it so many times, and the document must name it.
fn change(text: &str, document: &str, value: &str, times: usize, to: &str) -> String {
    assert!(document.contains(&format!("`{value}`")), "{value}");
    assert_eq!(text.matches(value).count(), times, "{value}");
    text.replace(value, to)
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_with_a_provider_that_is_not_ours() {
    let port = Envoy::free_port();
    let site = format!("http://localhost:{port}");
    let document = yaml::text("docs/sign-in.md");
    for registered in ["/oauth2/callback", "/"] {
        let shown = format!("`http://localhost:10000{registered}`");
        assert!(document.contains(&shown), "{shown}");
    }
    let callback = format!("{site}/oauth2/callback");
    let party = RelyingParty::confidential("ten-minutes", SECRET, &callback);
    let provider = Canaille::start(&[party.post_logout_redirect_uri(&format!("{site}/"))]);
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
    localize_clusters(&mut bootstrap, host.parse().unwrap(), application.address());

    let envoy = Envoy::builder()
        .port(port)
        .variable("BG_CLIENT_SECRET", SECRET)
        .variable("BG_COOKIE_KEY", "a key of thirty-two octets or more")
        .start_bootstrap(bootstrap);
    let _envoy = envoy.unwrap_or_else(|refused| panic!("{refused}"));

    let browser = Browser::start().await;
    browser.open(&format!("{site}/")).await;
    browser.wait_for_url(&issuer).await;
    canaille::sign_in(&browser, "alice", "wonderland").await;
    browser.wait_for_url(&format!("{site}/")).await;
    browser.wait_for_text("x-user").await;
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
