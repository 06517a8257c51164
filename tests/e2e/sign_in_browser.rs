//! People sign in with a real browser: Chromium, the filter in Envoy, and the test provider.
//!
//! The application and the provider are two sites, `app.localhost` and `idp.localhost`, so that the
//! browser treats their cookies and requests as it does in the world. One Envoy serves two schemes:
//! `staff` for most, and `guests`, who are asked for consent and whose sessions have 4096 bytes.

use bearer_gate_testbed::browser::Browser;
use bearer_gate_testbed::envoy::{Envoy, Listener};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::idp::openid::{Endpoint, RelyingParty};
use bearer_gate_testbed::upstream::Upstream;
use serde_json::{Value, json};

pub(crate) const SESSION: &str = "__Host-Http-bg_session_staff";
pub(crate) const BROWSER: &str = "__Host-Http-bg_browser";
/// What the upstream is told of Alice.
pub(crate) const ALICE: &str = "user|alice";

pub(crate) struct World {
    // Dropped first: it prints its log when a test fails.
    pub(crate) envoy: Envoy,
    pub(crate) idp: Idp,
    _upstream: Upstream,
}

impl World {
    pub(crate) fn start() -> Self {
        let idp = Idp::builder().browser_host("idp.localhost").start();
        let idp = idp.expect("a free loopback port");
        let upstream = Upstream::start();
        let envoy = Envoy::builder()
            .cluster("idp", idp.address())
            .cluster("upstream", upstream.address())
            // The port is known only when Envoy runs.
            .listener(
                Listener::wasm("main", configuration(&idp, "app.localhost"))
                    .hcm("route_config", routes()),
            )
            .start()
            .unwrap_or_else(|refused| panic!("{refused}"));
        let world = Self {
            envoy,
            idp,
            _upstream: upstream,
        };
        let site = world.site();
        let with_port = configuration(&world.idp, &site);
        let reloaded = world.envoy.reload_wasm(&with_port);
        reloaded.unwrap_or_else(|refused| panic!("{refused}"));
        let staff = format!("http://{site}/callback");
        let staff = RelyingParty::confidential("web", "secret", &staff)
            .post_logout_redirect_uri(&world.url("/public/bye"));
        world.idp.openid().register(staff);
        let guests = format!("http://{site}/guests/callback");
        let guests = RelyingParty::confidential("guests", "secret", &guests).asking_consent();
        world.idp.openid().register(guests);
        world
    }

    pub(crate) fn site(&self) -> String {
        format!("app.localhost:{}", self.envoy.address().port())
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.site())
    }

    /// Where the provider asks who somebody is.
    pub(crate) fn login(&self) -> String {
        self.idp.openid().browser_url(Endpoint::Authorize)
    }

    /// How often a browser came to the provider to sign in.
    pub(crate) fn visits(&self) -> u64 {
        self.idp.openid().calls(Endpoint::Authorize)
    }
}

/// The upstream for everything; and where a test sets cookies, as no script and no driver can.
fn routes() -> Value {
    json!({"virtual_hosts": [{
        "name": "all",
        "domains": ["*"],
        "routes": [
            {
                "match": {"path": "/public/set-cookie"},
                "direct_response": {"status": 204},
                "response_headers_to_add": [
                    {"header": {"key": "set-cookie", "value": "%REQ(x-set-cookie)%"}},
                ],
            },
            {
                "match": {"prefix": "/"},
                "route": {"cluster": "upstream"},
                // As an application does with pages that are for one person.
                "response_headers_to_add": [
                    {"header": {"key": "cache-control", "value": "no-store"}},
                ],
            },
        ],
    }]})
}

pub(crate) fn configuration(idp: &Idp, site: &str) -> Value {
    let scheme = |client: &str, more: Value| {
        let mut scheme = json!({
            "provider_name": "idp",
            "credentials": {"client_id": client, "token_secret": {"inline_string": "secret"}},
            "token_endpoint": {"cluster": "idp", "timeout": "2s"},
        });
        let more = more.as_object().expect("an object").clone();
        scheme.as_object_mut().expect("an object").extend(more);
        scheme
    };
    json!({
        "providers": {"idp": {
            "issuer": idp.issuer(),
            "audiences": ["https://api.example.com"],
            "openid_discovery": {"cluster": "idp", "timeout": "2s"},
            "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
        }},
        "sign_in": {
            "cookie_keys": [{"inline_string": "a secret that is long enough to seal"}],
            "allowed_redirect_domains": [site],
            "schemes": {
                "staff": scheme("web", json!({
                    "redirect_uri": format!("http://{site}/callback"),
                    "signin_path": "/sign-in",
                    "signout_path": "/sign-out",
                    "session_path": "/session",
                    "post_logout_redirect_path": "/public/bye",
                    "frontchannel_logout_path": "/framed",
                    "session": {"idle_timeout": "600s"},
                })),
                "guests": scheme("guests", json!({
                    "callback_path": "/guests/callback",
                    "signin_path": "/guests/sign-in",
                    "cookie": {"max_bytes": 4096},
                })),
            },
        },
        "rules": [
            {"match": {"path_separated_prefix": "/public"}},
            {"match": {"path_separated_prefix": "/guests"}, "requires": {"session": "guests"}},
            {"match": {"prefix": "/"}, "requires": {"session": "staff"}},
        ],
    })
}

/// Waits for the upstream's answer at this URL: what it was asked.
pub(crate) async fn page(browser: &Browser, url: &str) -> Value {
    browser.wait_for_url(url).await;
    let shown = browser.wait_for("pre").await.text().await.expect("a text");
    assert_eq!(browser.url().await, url);
    serde_json::from_str(&shown).unwrap_or_else(|_| panic!("no answer of the upstream: {shown}"))
}

pub(crate) fn header<'v>(asked: &'v Value, name: &str) -> Option<&'v str> {
    let mut headers = asked["headers"].as_array().expect("headers").iter();
    let found = headers.find(|pair| pair[0] == name)?;
    found[1].as_str()
}

pub(crate) async fn type_in(browser: &Browser, username: &str, password: &str) {
    browser.fill("#username", username).await;
    browser.fill("#password", password).await;
    browser.press("Sign in").await;
}

/// What a script of the page gets: the status, whether it was redirected, the challenge, the body.
pub(crate) async fn fetch(browser: &Browser, path: &str) -> Value {
    let script = "const [path, done] = arguments;
        fetch(path).then(async answer => done([answer.status, answer.redirected,
            answer.headers.get('www-authenticate'), await answer.text()]), done);";
    let fetched = browser.client().execute_async(script, vec![json!(path)]);
    fetched.await.expect("a script's answer")
}

pub(crate) async fn names_of_cookies(browser: &Browser) -> Vec<String> {
    let cookies = browser.cookies().await;
    let mut names: Vec<String> = cookies.iter().map(|c| c.name().to_owned()).collect();
    names.sort_unstable();
    names
}

/// What the session's cookie has, if there is one.
pub(crate) async fn session(browser: &Browser) -> Option<String> {
    let cookies = browser.cookies().await;
    let mut cookies = cookies.iter();
    let cookie = cookies.find(|cookie| cookie.name() == SESSION)?;
    Some(cookie.value().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_with_a_browser() {
    let world = World::start();
    let browser = Browser::start().await;
    a_script_without_a_session_gets_401(&world, &browser).await;
    a_deep_link_survives_the_sign_in(&world, &browser).await;
    a_reload_and_a_script_find_the_session(&world, &browser).await;
    a_session_that_was_tampered_with_is_begun_again(&world, &browser).await;
    nothing_private_is_left_after_signing_out(&world, &browser).await;
    three_hundred_groups_fit_or_are_an_error(&world, &browser).await;

    let other = Browser::builder().dark().without_scripts().start().await;
    refused_consent_is_told(&world, &other).await;
    two_tabs_sign_in_at_once(&world, &other).await;
}

async fn a_script_without_a_session_gets_401(world: &World, browser: &Browser) {
    let public = world.url("/public/page");
    browser.open(&public).await;
    assert_eq!(header(&page(browser, &public).await, "x-user"), None);
    for path in ["/orders/7", "/session", "/guests/page"] {
        let answer = fetch(browser, path).await;
        assert_eq!(
            (&answer[0], &answer[1]),
            (&json!(401), &json!(false)),
            "{path}: {answer}"
        );
        let challenge = answer[2].as_str().unwrap_or_default();
        assert!(challenge.starts_with("Bearer "), "{path}: {answer}");
    }
    assert_eq!(world.visits(), 0);
}

async fn a_deep_link_survives_the_sign_in(world: &World, browser: &Browser) {
    let link = world.url("/orders/7?q=a%20b&state=mine");
    browser.open(&link).await;
    browser.wait_for_url(&world.login()).await;
    type_in(browser, "alice", "wonderland").await;
    let asked = page(browser, &link).await;
    assert_eq!(asked["path"], "/orders/7");
    assert_eq!(asked["query"], "q=a%20b&state=mine");
    assert_eq!(header(&asked, "x-user"), Some(ALICE));
    assert_eq!(header(&asked, "cookie"), None);

    let cookies = browser.cookies().await;
    assert_eq!(names_of_cookies(browser).await, [BROWSER, SESSION]);
    for cookie in cookies {
        let same_site = cookie.same_site().map(|value| value.to_string());
        assert_eq!(
            (cookie.secure(), cookie.http_only(), same_site.as_deref()),
            (Some(true), Some(true), Some("Lax"))
        );
        assert!(cookie.expires().is_none(), "it ends with the browser");
    }
}

async fn a_reload_and_a_script_find_the_session(world: &World, browser: &Browser) {
    let visits = world.visits();
    let link = browser.url().await;
    browser.client().refresh().await.expect("a page");
    assert_eq!(header(&page(browser, &link).await, "x-user"), Some(ALICE));
    let answer = fetch(browser, "/orders/8").await;
    assert_eq!((&answer[0], &answer[1]), (&json!(200), &json!(false)));
    let answer = fetch(browser, "/session").await;
    let session: Value = serde_json::from_str(answer[3].as_str().unwrap()).unwrap();
    assert_eq!(session["claims"]["sub"], ALICE, "{session}");
    assert_eq!(world.visits(), visits);
}

async fn a_session_that_was_tampered_with_is_begun_again(world: &World, browser: &Browser) {
    let visits = world.visits();
    let link = browser.url().await;
    let client = browser.client();
    let sealed = session(browser).await.expect("a session");
    let (start, last) = sealed.split_at(sealed.len() - 1);
    let other = if last == "A" { "B" } else { "A" };
    let altered = format!("{SESSION}={start}{other}; Path=/; Secure");
    // A script cannot do it, not even of a page of ours.
    let script = "document.cookie = arguments[0]; return document.cookie";
    let tossed = client.execute(script, vec![json!(altered)]).await;
    assert_eq!(tossed.expect("a script"), json!(""));
    assert_eq!(session(browser).await.as_deref(), Some(&*sealed));
    let script = "const [cookie, done] = arguments;
        fetch('/public/set-cookie', {headers: {'x-set-cookie': cookie}}).then(() => done(), done);";
    let altered = vec![json!(format!("{altered}; HttpOnly"))];
    client
        .execute_async(script, altered)
        .await
        .expect("a script");
    assert_ne!(session(browser).await.as_deref(), Some(&*sealed));

    assert_eq!(fetch(browser, "/orders/7").await[0], json!(401));
    // The 401 of a script deletes nothing: it may come after a new session. The provider still knows
    // her.
    assert_ne!(session(browser).await.as_deref(), Some(&*sealed));
    client.refresh().await.expect("a page");
    assert_eq!(header(&page(browser, &link).await, "x-user"), Some(ALICE));
    assert_eq!(world.visits(), visits + 1);
    assert_ne!(session(browser).await.as_deref(), Some(&*sealed));
}

async fn nothing_private_is_left_after_signing_out(world: &World, browser: &Browser) {
    let client = browser.client();
    let link = browser.url().await;
    let leave = "location.href = '/sign-out'";
    client.execute(leave, Vec::new()).await.expect("a script");
    let bye = world.url("/public/bye");
    let asked = page(browser, &bye).await;
    assert_eq!(header(&asked, "x-user"), None);
    assert_eq!(names_of_cookies(browser).await, [BROWSER]);
    assert_eq!(world.idp.openid().sessions(), 0);

    client.back().await.expect("a page before");
    browser.wait_for_url(&world.login()).await;
    assert!(!browser.text().await.contains(ALICE));
    browser.open(&link).await;
    browser.wait_for_url(&world.login()).await;
}

async fn three_hundred_groups_fit_or_are_an_error(world: &World, browser: &Browser) {
    world
        .idp
        .openid()
        .configure(|settings| settings.groups = 300);
    let link = world.url("/orders/300");
    browser.open(&link).await;
    browser.wait_for_url(&world.login()).await;
    type_in(browser, "alice", "wonderland").await;
    assert_eq!(header(&page(browser, &link).await, "x-user"), Some(ALICE));
    let names = names_of_cookies(browser).await;
    assert!(names.contains(&format!("{SESSION}.1")), "{names:?}");
    let answer = fetch(browser, "/session").await;
    let session: Value = serde_json::from_str(answer[3].as_str().unwrap()).unwrap();
    let groups = session["claims"]["groups"].as_array().expect("groups");
    assert_eq!(groups.len(), 300);

    let visits = world.visits();
    let link = world.url("/guests/page");
    browser.open(&link).await;
    browser.press("Allow").await;
    browser.wait_for_text("Sign-in failed").await;
    let text = browser.text().await;
    let told = "more information than a session can keep";
    assert!(text.contains(told), "{text}");
    assert_eq!(world.visits(), visits + 1);
    browser.screenshot("too-large-light").await;
    world.idp.openid().configure(|settings| settings.groups = 3);
}

async fn refused_consent_is_told(world: &World, browser: &Browser) {
    browser.open(&world.url("/guests/page")).await;
    browser.press("Cancel").await;
    browser.wait_for_text("Access was not granted.").await;
    let url = browser.url().await;
    let callback = world.url("/guests/callback?");
    assert!(url.starts_with(&callback), "{url}");
    browser.screenshot("refused-dark").await;
    browser.press("Try again").await;
    browser.wait_for_url(&world.login()).await;
}

async fn two_tabs_sign_in_at_once(world: &World, browser: &Browser) {
    let client = browser.client();
    let (first, second) = (world.url("/orders/first"), world.url("/orders/second"));
    let first_tab = client.window().await.expect("a tab");
    browser.open(&first).await;
    browser.wait_for("#username").await;
    browser.open_tab().await;
    browser.open(&second).await;
    type_in(browser, "bob", "tokyo").await;
    let asked = page(browser, &second).await;
    assert_eq!(header(&asked, "x-user"), Some("user|bob"));

    let switched = client.switch_to_window(first_tab).await;
    switched.expect("the first tab");
    type_in(browser, "bob", "tokyo").await;
    let asked = page(browser, &first).await;
    assert_eq!(header(&asked, "x-user"), Some("user|bob"));
    assert_eq!(names_of_cookies(browser).await, [BROWSER, SESSION]);
}

/// The provider's page has the filter's path in a frame of another site, to which the browser sends
/// no cookie: the session is over all the same.
#[tokio::test(flavor = "multi_thread")]
async fn s24_a_frame_in_a_page_of_the_provider_ends_the_session() {
    let world = World::start();
    let staff = format!("http://{}/callback", world.site());
    let staff = RelyingParty::confidential("web", "secret", &staff);
    let framed = staff.frontchannel_logout_uri(&world.url("/framed"));
    world.idp.openid().register(framed);
    let browser = Browser::start().await;
    let link = world.url("/orders/7");
    browser.open(&link).await;
    browser.wait_for_url(&world.login()).await;
    type_in(&browser, "alice", "wonderland").await;
    assert_eq!(header(&page(&browser, &link).await, "x-user"), Some(ALICE));
    let copy = session(&browser).await.expect("a session");

    let out = world.idp.openid().browser_url(Endpoint::EndSession);
    browser.open(&out).await;
    browser.press("Sign out").await;
    browser.wait_for_text("You have signed out.").await;
    let told = "wasmcustom.bearer_gate.logout.frontchannel";
    let limit = std::time::Duration::from_secs(10);
    bearer_gate_testbed::eventually(limit, "the frame is loaded", || world.envoy.stat(told) == 1);
    // Cookies know no ports: the driver reads them where the filter is not.
    let beside = format!(
        "http://app.localhost:{}/ready",
        world.envoy.admin_address().port()
    );
    browser.open(&beside).await;
    let kept = session(&browser).await;
    assert_eq!(kept, Some(copy), "the frame had no cookie to delete");
    browser.open(&world.url("/public/page")).await;
    assert_eq!(fetch(&browser, "/orders/7").await[0], json!(401));
    // The next page of the filter's own deletes what is over.
    browser.open(&world.url("/sign-out")).await;
    assert_eq!(session(&browser).await, None);
    browser.open(&link).await;
    browser.wait_for_url(&world.login()).await;
    browser.wait_for("#username").await;
}
