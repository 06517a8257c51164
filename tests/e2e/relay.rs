//! deploy/relay as it is shipped, but for addresses and TLS: an Envoy between a provider and those that fetch its
//! keys.

use std::time::Duration;

use bearer_gate::document::lifecycle;
use bearer_gate_testbed::envoy::Envoy;
use bearer_gate_testbed::http::{self, Client};
use bearer_gate_testbed::idp::{Fault, Idp, JWKS_PATH};
use bearer_gate_testbed::keys::SigningKey;
use bearer_gate_testbed::token;
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::yaml;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use crate::recipes::kitchen::localize_clusters;

const HOST: &str = "tenant.eu.auth0.com";
const FETCHES: usize = 50;
const COOL_DOWN: Duration = Duration::from_secs(5);
/// How old a copy of the relay a fetch for an unknown kid takes.
const EARLY_MAX_AGE: Duration = Duration::from_secs(lifecycle::EARLY_MAX_AGE);

/// A provider, the relay before it, and what fetches.
struct Relayed {
    relay: Envoy,
    idp: Idp,
    upstream: Upstream,
    client: Client,
}

impl Relayed {
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// With a change of the relay's clusters, which lead to the issuer.
    fn start_with(change: impl Fn(&mut Value)) -> Self {
        let idp = Idp::start();
        let text = yaml::text("deploy/relay/relay.yaml");
        let mut bootstrap = yaml::parse(&text.replace(HOST, &idp.address().to_string()));
        let chain = &mut bootstrap["static_resources"]["listeners"][0]["filter_chains"][0];
        let tls = chain.as_object_mut().unwrap().remove("transport_socket");
        assert!(tls.is_some());
        localize_clusters(&mut bootstrap, idp.address(), idp.address());
        let clusters = bootstrap["static_resources"]["clusters"].as_array_mut();
        clusters.unwrap().iter_mut().for_each(change);
        let relay = Envoy::builder().start_bootstrap(bootstrap);
        Self {
            relay: relay.unwrap_or_else(|refused| panic!("{refused}")),
            idp,
            upstream: Upstream::start(),
            client: Client::without_keep_alive(),
        }
    }

    /// An Envoy that knows the relay, and no provider yet.
    fn gateway(&self) -> Envoy {
        let gateway = Envoy::builder()
            .cluster("idp", self.relay.address())
            .cluster("upstream", self.upstream.address())
            .wasm_filter(json!({"unmatched": "allow"}))
            .start();
        gateway.unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// The Envoy knows the provider from now on.
    fn configure(&self, gateway: &Envoy) {
        self.configure_with(gateway, COOL_DOWN);
    }

    fn configure_with(&self, gateway: &Envoy, unknown_kid_cooldown: Duration) {
        let reloaded = gateway.reload_wasm(&json!({
            "providers": {"demo": {
                "issuer": self.idp.issuer(),
                "audiences": [self.idp.client().audiences[0]],
                "remote_jwks": {
                    "http_uri": {"uri": self.idp.jwks_url(), "cluster": "idp", "timeout": "2s"},
                    "unknown_kid_cooldown": format!("{}s", unknown_kid_cooldown.as_secs()),
                },
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "demo"}}],
        }));
        reloaded.unwrap_or_else(|refused| panic!("{refused}"));
    }

    async fn status(&self, gateway: &Envoy, token: &str) -> u16 {
        self.client.get_with(&gateway.url("/"), token).await.status
    }

    /// The status of one request to the relay.
    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = self.client.request(method, &self.relay.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        http::send(request).await.status
    }

    /// Fetches keys many times at once; how many calls reach the provider, if all are answered with this status.
    async fn calls(&self, status: u16) -> u64 {
        self.calls_with(&[], status).await
    }

    async fn calls_with(&self, headers: &[(&str, &str)], status: u16) -> u64 {
        let before = self.idp.jwks_requests();
        let host = self.idp.address().to_string();
        let fetch = || {
            let mut request = self.client.request(Method::GET, &self.relay.url(JWKS_PATH));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            tokio::spawn(http::send(request.header("host", host.clone())))
        };
        let fetches: Vec<_> = (0..FETCHES).map(|_| fetch()).collect();
        for fetch in fetches {
            assert_eq!(fetch.await.unwrap().status, status);
        }
        self.idp.jwks_requests() - before
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_fetches_through_the_relay_are_one_call() {
    let relayed = Relayed::start();
    relayed.idp.set_cache_control(Some("public, max-age=60"));
    relayed
        .idp
        .set_jwks(Fault::Delay(Duration::from_millis(300)));
    assert_eq!(relayed.calls(200).await, 1);
    let gateway = relayed.gateway();
    relayed.configure(&gateway);
    let token = relayed.idp.good_token();
    assert_eq!(relayed.status(&gateway, &token).await, 200);
    assert_eq!(relayed.status(&gateway, "none").await, 401);
    assert_eq!(relayed.idp.jwks_requests(), 1);
    assert_eq!(relayed.idp.discovery_requests(), 0);

    // Nothing else goes through it.
    let host = relayed.idp.address().to_string();
    let good = [("host", host.as_str())];
    assert_eq!(
        relayed
            .ask(Method::GET, "/.well-known/openid-configuration", &good)
            .await,
        200
    );
    assert_eq!(relayed.idp.discovery_requests(), 1);
    for (method, path, headers) in [
        (Method::GET, "/.well-known/jwks.json?x=1", &good[..]),
        (Method::GET, "/oauth/token", &good),
        (Method::POST, "/oauth/token", &good),
        (Method::POST, JWKS_PATH, &good),
        (Method::GET, JWKS_PATH, &[("host", "other.example")]),
        (
            Method::GET,
            JWKS_PATH,
            &[good[0], ("authorization", "Bearer x")],
        ),
        (Method::GET, JWKS_PATH, &[good[0], ("cookie", "a=b")]),
    ] {
        assert_eq!(
            relayed.ask(method, path, headers).await,
            404,
            "{path} {headers:?}"
        );
    }
    assert_eq!(
        relayed.ask(Method::GET, "/relay/ready", &[]).await,
        200,
        "the probe of deployment.yaml"
    );
    assert_eq!(
        (relayed.idp.jwks_requests(), relayed.idp.other_requests()),
        (1, 0)
    );
    assert_eq!(relayed.idp.token_requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_lets_nobody_keep_is_fetched_each_time() {
    let relayed = Relayed::start();
    relayed
        .idp
        .set_jwks(Fault::Delay(Duration::from_millis(300)));
    for cache_control in [None, Some("no-cache"), Some("private, max-age=60")] {
        relayed.idp.set_cache_control(cache_control);
        assert_eq!(
            relayed.calls(200).await,
            FETCHES as u64,
            "{cache_control:?}"
        );
    }
    // Nor are failures kept.
    relayed.idp.set_cache_control(Some("max-age=60"));
    relayed.idp.set_jwks(Fault::Status(503));
    assert_eq!(relayed.calls(503).await, FETCHES as u64);
}

/// What docs/deployment.md has for such a provider.
#[tokio::test(flavor = "multi_thread")]
async fn the_relay_can_say_itself_how_long_keys_are_kept() {
    let document = yaml::text("docs/deployment.md");
    let said = document
        .split("```yaml\n")
        .find(|text| text.contains("header_mutation"));
    let said = yaml::parse(said.unwrap().split("```").next().unwrap());
    let relayed = Relayed::start_with(|cluster| {
        let cluster = cluster.as_object_mut().unwrap();
        cluster.extend(said.as_object().unwrap().clone());
    });
    relayed
        .idp
        .set_jwks(Fault::Delay(Duration::from_millis(300)));
    for cache_control in [None, Some("no-cache"), Some("private, max-age=60")] {
        let relayed = &relayed;
        relayed.idp.set_cache_control(cache_control);
        let first = relayed.calls(200).await;
        assert!(first <= 1, "{cache_control:?}: {first} calls");
    }
    assert_eq!(relayed.idp.jwks_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_relay_stands_in_for_a_provider_that_is_down_while_keys_are_fresh() {
    let relayed = Relayed::start();
    let (old, new) = (relayed.gateway(), relayed.gateway());
    relayed.idp.set_cache_control(Some("max-age=12"));
    relayed.configure(&old);
    let token = relayed.idp.good_token();
    assert_eq!(relayed.status(&old, &token).await, 200);
    let fetched = Instant::now();
    relayed.idp.stop();
    // An Envoy that comes now has keys too.
    relayed.configure(&new);
    assert_eq!(relayed.status(&new, &token).await, 200);
    assert!(
        fetched.elapsed() < Duration::from_secs(9),
        "too slow to tell"
    );

    sleep_until(fetched + Duration::from_millis(13_500)).await;
    let host = relayed.idp.address().to_string();
    let headers = [("host", host.as_str())];
    assert_eq!(relayed.ask(Method::GET, JWKS_PATH, &headers).await, 503);
    // Whoever has keys keeps them.
    for gateway in [&old, &new] {
        assert_eq!(relayed.status(gateway, &token).await, 200);
    }
    relayed.idp.restart();
    assert_eq!(relayed.ask(Method::GET, JWKS_PATH, &headers).await, 200);
}

/// What an unknown kid makes Envoys ask of the relay costs the provider one call in a while.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_too_old_for_who_asks_is_one_call() {
    let relayed = Relayed::start();
    relayed.idp.set_cache_control(Some("max-age=300"));
    relayed
        .idp
        .set_jwks(Fault::Delay(Duration::from_millis(300)));
    assert_eq!(relayed.calls(200).await, 1);
    let max_age = format!("max-age={}", EARLY_MAX_AGE.as_secs());
    let asked = [("cache-control", max_age.as_str())];
    for _ in 0..2 {
        assert_eq!(relayed.calls_with(&asked, 200).await, 1);
        let fetched = Instant::now();
        assert_eq!(relayed.calls_with(&asked, 200).await, 0, "it is new");
        assert!(fetched.elapsed() < EARLY_MAX_AGE, "too slow to tell");
        assert_eq!(relayed.calls(200).await, 0);
        sleep_until(fetched + EARLY_MAX_AGE + Duration::from_secs(2)).await;
    }
    // A provider that refuses such a call takes the copy from nobody else.
    for refused in [429, 503] {
        relayed.idp.set_jwks(Fault::Status(refused));
        sleep(EARLY_MAX_AGE + Duration::from_secs(1)).await;
        relayed.calls_with(&asked, refused).await;
        assert_eq!(relayed.calls(200).await, 0, "{refused}");
    }
    relayed.idp.set_jwks(Fault::Ok);
    // Then it keeps answers again.
    let mut calls = Vec::new();
    while calls.last() != Some(&0) {
        calls.push(relayed.calls_with(&asked, 200).await);
        assert!(calls.len() < 5, "{calls:?}");
    }
}

/// A fetch for an unknown kid takes no copy of the relay that is older than some seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_signs_at_once_is_known_behind_the_relay_within_seconds() {
    let relayed = Relayed::start();
    let gateway = relayed.gateway();
    relayed.idp.set_cache_control(Some("max-age=300"));
    relayed.configure(&gateway);
    let old = relayed.idp.good_token();
    assert_eq!(relayed.status(&gateway, &old).await, 200);
    sleep(EARLY_MAX_AGE + Duration::from_secs(1)).await;
    relayed.idp.rotate_and_drop();
    let new = relayed.idp.good_token();
    assert_eq!(relayed.status(&gateway, &new).await, 200, "at once");
    let fetched = Instant::now();
    assert_eq!(relayed.idp.jwks_requests(), 2);
    // The other worker has the new set within a second.
    sleep(Duration::from_millis(1500)).await;
    for _ in 0..4 {
        // A kid that is unknown, which a new set could have again.
        let status = relayed.status(&gateway, &old).await;
        assert!(matches!(status, 401 | 503), "{status}");
    }
    // Once more, while the copy is new: it counts for its time, and then the cool-down does.
    relayed.idp.rotate_and_drop();
    let newest = relayed.idp.good_token();
    let first = relayed.status(&gateway, &newest).await;
    assert!(
        matches!(first, 401 | 503) || fetched.elapsed() > EARLY_MAX_AGE,
        "{first}"
    );
    let deadline = fetched + EARLY_MAX_AGE + COOL_DOWN + Duration::from_secs(3);
    while relayed.status(&gateway, &newest).await != 200 {
        assert!(Instant::now() < deadline, "the new key is still unknown");
        sleep(Duration::from_millis(200)).await;
    }
}

/// Strangers' kids cost the provider no more than one Envoy's would.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_unknown_kids_does_not_turn_the_relay_off() {
    const SECONDS: u64 = 14;
    let relayed = Relayed::start();
    let gateways = [relayed.gateway(), relayed.gateway(), relayed.gateway()];
    relayed.idp.set_cache_control(Some("max-age=300"));
    let claims = relayed.idp.claims().value();
    let stranger = SigningKey::generate();
    for gateway in &gateways {
        relayed.configure_with(gateway, Duration::from_secs(1));
        let good = relayed.idp.good_token();
        assert_eq!(relayed.status(gateway, &good).await, 200);
    }
    let (before, began) = (relayed.idp.jwks_requests(), Instant::now());
    assert_eq!(before, 1);
    let asked = || relayed.relay.stat("http.relay.downstream_rq_total");
    let asked_before = asked();
    let mut number = 0;
    while began.elapsed() < Duration::from_secs(SECONDS) {
        for gateway in &gateways {
            number += 1;
            let token = token::sign(&stranger, &token::header(&format!("k{number}")), &claims);
            let status = relayed.status(gateway, &token).await;
            assert!(matches!(status, 401 | 503), "{status}");
        }
        sleep(Duration::from_millis(100)).await;
    }
    let (calls, asked) = (relayed.idp.jwks_requests() - before, asked() - asked_before);
    println!("{number} tokens, {asked} fetches, {calls} calls");
    assert!(asked >= SECONDS, "{asked} fetches are no flood");
    let most = began.elapsed().as_secs() / EARLY_MAX_AGE.as_secs() + 1;
    assert!((1..=most).contains(&calls), "{calls} calls");
}
