//! Sessions are refreshed while people use them with a real browser.

use std::time::{Duration, Instant};

use bearer_gate_testbed::browser::Browser;
use bearer_gate_testbed::idp::openid::Endpoint;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::sign_in_browser::{
    ALICE, BROWSER, SESSION, World, configuration, fetch, header, names_of_cookies, page, session,
    type_in,
};
use crate::stage::merge;

/// How long an access token lives, in seconds.
const LIFE: i64 = 4;

fn start() -> World {
    let world = World::start();
    let mut config = configuration(&world.idp, &world.site());
    let refresh = json!({"use_refresh_token": true, "forward_bearer_token": true});
    merge(
        &mut config,
        json!({"sign_in": {"schemes": {"staff": refresh}}}),
    );
    let reloaded = world.envoy.reload_wasm(&config);
    reloaded.unwrap_or_else(|refused| panic!("{refused}"));
    let openid = world.idp.openid();
    openid.configure(|settings| settings.access_token_lifetime = LIFE);
    world
}

fn token_calls(world: &World) -> u64 {
    world.idp.openid().calls(Endpoint::Token)
}

async fn tokens_end() {
    let life = u64::try_from(LIFE).expect("a life");
    sleep(Duration::from_secs(life) + Duration::from_millis(200)).await;
}

/// The access token that the upstream got with this page.
async fn token_at(browser: &Browser, url: &str) -> String {
    let asked = page(browser, url).await;
    assert_eq!(header(&asked, "x-user"), Some(ALICE));
    let token = header(&asked, "authorization").expect("an access token");
    token.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_outlives_its_tokens_in_a_browser() {
    let world = start();
    let browser = Browser::start().await;
    let url = world.url("/orders/1");
    browser.open(&url).await;
    browser.wait_for_url(&world.login()).await;
    type_in(&browser, "alice", "wonderland").await;
    token_at(&browser, &url).await;
    a_page_brings_new_tokens(&world, &browser).await;
    a_script_brings_new_tokens(&world, &browser).await;
    three_tabs_are_reloaded_at_once(&world, &browser).await;
    a_script_is_told_that_the_session_is_over(&world, &browser).await;
}

async fn a_page_brings_new_tokens(world: &World, browser: &Browser) {
    let (visits, calls) = (world.visits(), token_calls(world));
    let before = session(browser).await;
    let url = browser.url().await;
    let token = token_at(browser, &url).await;
    tokens_end().await;
    browser.client().refresh().await.expect("a page");
    assert_ne!(token_at(browser, &url).await, token);
    assert_ne!(session(browser).await, before);
    assert_eq!(names_of_cookies(browser).await, [BROWSER, SESSION]);
    assert_eq!(token_calls(world), calls + 1);
    assert_eq!(world.visits(), visits, "nobody was asked to sign in");
}

async fn a_script_brings_new_tokens(world: &World, browser: &Browser) {
    let (visits, calls) = (world.visits(), token_calls(world));
    let before = session(browser).await;
    tokens_end().await;
    let answer = fetch(browser, "/orders/2").await;
    assert_eq!((&answer[0], &answer[1]), (&json!(200), &json!(false)));
    let shown = answer[3].as_str().expect("a body");
    let asked: Value = serde_json::from_str(shown).expect("the upstream's answer");
    assert_eq!(header(&asked, "x-user"), Some(ALICE));
    let after = session(browser).await;
    assert!(after.is_some() && after != before);
    assert_eq!(token_calls(world), calls + 1);
    assert_eq!(world.visits(), visits);
}

async fn three_tabs_are_reloaded_at_once(world: &World, browser: &Browser) {
    let client = browser.client();
    let visits = world.visits();
    let urls = ["/orders/1", "/orders/2", "/orders/3"].map(|path| world.url(path));
    let first = client.window().await.expect("a tab");
    let open = "window.tabs = ['/orders/2', '/orders/3'].map(url => window.open(url))";
    client.execute(open, Vec::new()).await.expect("a script");
    let others = client.windows().await.expect("tabs");
    let others = others.into_iter().filter(|tab| *tab != first);
    let mut tabs: Vec<_> = others.collect();
    assert_eq!(tabs.len(), 2);
    tabs.push(first.clone());
    let mut before = Vec::new();
    // The first tab is the current one after this.
    for tab in &tabs {
        client.switch_to_window(tab.clone()).await.expect("a tab");
        browser.wait_for("pre").await;
        let url = browser.url().await;
        assert!(urls.contains(&url), "{url}");
        before.push(token_at(browser, &url).await);
    }

    let openid = world.idp.openid();
    // So long that all ask meanwhile.
    openid.configure(|settings| settings.token_delay = Duration::from_millis(800));
    tokens_end().await;
    let calls = token_calls(world);
    let reload = "window.tabs.forEach(tab => tab.location.reload()); location.reload()";
    client.execute(reload, Vec::new()).await.expect("a script");
    let mut tokens = Vec::new();
    for tab in tabs {
        client.switch_to_window(tab).await.expect("a tab");
        tokens.push(reloaded(browser, &before).await);
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "all have the same new session");
    assert_eq!(token_calls(world), calls + 1);
    assert_eq!(world.visits(), visits);
    assert_eq!(names_of_cookies(browser).await, [BROWSER, SESSION]);
    openid.configure(|settings| settings.token_delay = Duration::ZERO);
    client.switch_to_window(first).await.expect("the first tab");
}

/// The access token of the current tab, once it is none of those from before.
async fn reloaded(browser: &Browser, before: &[String]) -> String {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let token = token_at(browser, &browser.url().await).await;
        if !before.contains(&token) {
            return token;
        }
        assert!(Instant::now() < deadline, "no new token");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn a_script_is_told_that_the_session_is_over(world: &World, browser: &Browser) {
    let (visits, url) = (world.visits(), browser.url().await);
    // She has signed out there, and her tokens were revoked.
    world.idp.openid().sign_out(ALICE);
    tokens_end().await;
    let answer = fetch(browser, "/orders/2").await;
    assert_eq!((&answer[0], &answer[1]), (&json!(401), &json!(false)));
    let challenge = answer[2].as_str().unwrap_or_default();
    assert!(challenge.starts_with("Bearer "), "{answer}");
    assert_eq!(names_of_cookies(browser).await, [BROWSER, SESSION]);
    assert_eq!(world.visits(), visits, "a script is not sent to sign in");
    // So the page does what a page does.
    let leave = "location.reload()";
    let client = browser.client();
    client.execute(leave, Vec::new()).await.expect("a script");
    browser.wait_for_url(&world.login()).await;
    type_in(browser, "alice", "wonderland").await;
    token_at(browser, &url).await;
}
