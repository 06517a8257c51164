//! The demo in a real browser: envoy/envoy.yaml as it is shipped, but for ports.

use bearer_gate_testbed::application;
use bearer_gate_testbed::browser::Browser;
use bearer_gate_testbed::envoy::{Envoy, EnvoyBuilder};
use bearer_gate_testbed::idp::Idp;
use bearer_gate_testbed::idp::openid::Endpoint;
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::yaml;

use crate::recipes::kitchen::{localize_module, move_cluster, plugin};

struct Demo {
    _envoy: Envoy,
    idp: Idp,
    _upstream: Upstream,
    site: String,
}

impl Demo {
    fn start() -> Self {
        let any = ([127, 0, 0, 1], 0).into();
        let idp = Idp::start();
        let upstream = Upstream::start_with(any, application::pages()).unwrap();
        let port = Envoy::free_port();
        let site = format!("http://localhost:{port}");
        application::register(&idp, &[&site]);
        let text = yaml::text("envoy/envoy.yaml");
        let shipped = application::SITE.trim_start_matches("http://");
        for place in [shipped, "127.0.0.1:9000"] {
            assert!(text.contains(place), "{place}");
        }
        let text = text.replace(shipped, &format!("localhost:{port}"));
        let mut bootstrap =
            yaml::parse(&text.replace("127.0.0.1:9000", &idp.address().to_string()));
        localize_module(plugin(&mut bootstrap));
        let clusters = bootstrap["static_resources"]["clusters"].as_array_mut();
        for cluster in clusters.unwrap() {
            let cluster = cluster.as_object_mut().unwrap();
            let address = match cluster["name"].as_str() {
                Some("idp") => idp.address(),
                _ => upstream.address(),
            };
            move_cluster(cluster, address);
        }
        let builder = Envoy::builder().port(port);
        let with = |builder: EnvoyBuilder, (name, value)| builder.variable(name, value);
        let builder = application::VARIABLES.into_iter().fold(builder, with);
        let envoy = builder.start_bootstrap(bootstrap);
        Self {
            _envoy: envoy.unwrap_or_else(|refused| panic!("{refused}")),
            idp,
            _upstream: upstream,
            site,
        }
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.site)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_in_a_browser() {
    let demo = Demo::start();
    in_light_or_dark(&demo, &Browser::start().await, "light").await;
    in_light_or_dark(&demo, &Browser::builder().dark().start().await, "dark").await;
}

async fn in_light_or_dark(demo: &Demo, browser: &Browser, name: &str) {
    browser.open(&demo.at("/")).await;
    assert_reads_well(browser).await;
    browser.screenshot(&format!("demo-start-{name}")).await;
    browser.press("Sign in").await;
    let login = demo.idp.openid().browser_url(Endpoint::Authorize);
    browser.wait_for_url(&login).await;
    assert_reads_well(browser).await;
    browser.screenshot(&format!("demo-provider-{name}")).await;
    browser.fill("#username", "alice").await;
    browser.fill("#password", "wonderland").await;
    browser.press("Sign in").await;

    browser.wait_for_url(&demo.at(application::ACCOUNT)).await;
    browser.wait_for_text("Hello, Alice Liddell").await;
    let text = browser.text().await;
    for shown in [
        "x-user user|alice",
        "x-email alice@example.com",
        "\"groups\": [",
    ] {
        assert!(text.contains(shown), "{shown} in {text}");
    }
    browser.press("Call the API").await;
    browser.wait_for_text("Status 200").await;
    assert!(browser.text().await.contains("\"path\": \"/api/private\""));
    assert_reads_well(browser).await;
    browser.screenshot(&format!("demo-account-{name}")).await;

    browser.press("Sign out").await;
    browser
        .wait_for_url(&demo.at(application::SIGNED_OUT))
        .await;
    browser.wait_for_text("You have signed out").await;
    assert_reads_well(browser).await;
    assert_eq!(demo.idp.openid().sessions(), 0);
    browser.client().back().await.unwrap();
    browser.wait_for_url(&login).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_without_scripts() {
    let demo = Demo::start();
    let browser = Browser::builder().without_scripts().start().await;
    browser.open(&demo.at(application::ACCOUNT)).await;
    browser
        .wait_for_url(&demo.idp.openid().browser_url(Endpoint::Authorize))
        .await;
    browser.press("Cancel").await;
    // The provider's words, and the way back to the page that was wanted.
    browser.wait_for_text("The sign-in service says:").await;
    browser.wait_for_text("The person cancelled").await;
    browser.press("Try again").await;
    browser.fill("#username", "bob").await;
    browser.fill("#password", "tokyo").await;
    browser.press("Sign in").await;
    browser.wait_for_url(&demo.at(application::ACCOUNT)).await;
    browser
        .wait_for_text("Your browser runs no scripts here.")
        .await;
    assert!(!browser.text().await.contains("Call the API"));
    browser.press("Sign out").await;
    browser.wait_for_text("You have signed out").await;
}

/// A language, one heading of the first level, headings in order, a label for each field, a name for
/// each button, and colours that can be told apart (WCAG 2.2, 1.4.3).
async fn assert_reads_well(browser: &Browser) {
    const SCRIPT: &str = "
        const wrong = [];
        if (!document.documentElement.lang) wrong.push('no language');
        if (!document.title) wrong.push('no title');
        const levels = [...document.querySelectorAll('h1, h2, h3')].map(h => +h.tagName[1]);
        if (levels.filter(l => l === 1).length !== 1 || levels.some((l, i) => i && l > levels[i - 1] + 1))
            wrong.push('headings ' + levels);
        for (const field of document.querySelectorAll('input:not([type=hidden])'))
            if (!field.labels.length) wrong.push('no label: ' + field.name);
        for (const button of document.querySelectorAll('button, a'))
            if (!button.textContent.trim()) wrong.push('no name: ' + button.outerHTML);
        const parts = colour => colour.match(/[\\d.]+/g).map(Number);
        const light = colour => parts(colour).slice(0, 3).map(c => c / 255)
            .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const behind = element => {
            for (let at = element; at; at = at.parentElement) {
                const colour = getComputedStyle(at).backgroundColor;
                if ((parts(colour)[3] ?? 1) > 0) return colour;
            }
            return 'rgb(255, 255, 255)';
        };
        for (const element of document.querySelectorAll('main *')) {
            const own = [...element.childNodes].some(n => n.nodeType === 3 && n.data.trim());
            if (!own || !element.checkVisibility()) continue;
            const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
            const contrast = (a + 0.05) / (b + 0.05);
            if (contrast < 4.5) wrong.push(contrast.toFixed(1) + ': ' + element.outerHTML);
        }
        return wrong;";
    let wrong = browser.client().execute(SCRIPT, Vec::new()).await.unwrap();
    assert_eq!(wrong, serde_json::json!([]), "{}", browser.url().await);
}
