//! Runs a recipe. What ties it to the outside world is replaced, by structure, and nothing else:
//! the issuer's host, the clusters' endpoints and their TLS, the module's path, the ports.

use std::net::SocketAddr;

use bearer_gate_testbed::envoy::{Envoy, module_path};
use bearer_gate_testbed::http::{self, Client, Reply};
use bearer_gate_testbed::idp::{Idp, IdpBuilder};
use bearer_gate_testbed::token::now;
use bearer_gate_testbed::upstream::Upstream;
use bearer_gate_testbed::yaml;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::stage::merge;

/// The private, the scoped, the editors' and the administrators' route of a recipe.
pub(crate) const ROUTES: [&str; 4] = [
    "/api/private",
    "/api/private-scoped",
    "/api/editor/x",
    "/api/admin/x",
];
/// The secret of a recipe's client.
pub(crate) const SECRET: &str = "s3cret~of.the-client";

pub(crate) struct Kitchen {
    pub(crate) envoy: Envoy,
    pub(crate) idp: Idp,
    pub(crate) upstream: Upstream,
    client: Client,
    /// The recipe as it is run.
    pub(crate) recipe: Value,
}

/// The HttpConnectionManager of a recipe.
pub(crate) fn hcm(recipe: &mut Value) -> &mut Value {
    &mut recipe["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
}

/// The `PluginConfig` of bearer-gate in a recipe.
pub(crate) fn plugin(recipe: &mut Value) -> &mut Value {
    let filters = hcm(recipe)["http_filters"].as_array_mut();
    let mut filters = filters.expect("filters").iter_mut();
    let filter = filters.find(|filter| filter["name"] == "envoy.filters.http.wasm");
    &mut filter.expect("bearer-gate")["typed_config"]["config"]
}

/// `https://HOST/path` at another place.
pub(crate) fn move_url(url: &mut Value, to: &str) {
    let old = url.as_str().expect("a URL");
    let rest = old.strip_prefix("https://").expect("an https URL");
    let path = rest.find('/').map_or("", |slash| &rest[slash..]);
    *url = json!(format!("{to}{path}"));
}

/// The module as it was built.
pub(crate) fn localize_module(plugin: &mut Value) {
    plugin["vm_config"]["code"]["local"]["filename"] = json!(module_path());
}

/// The module as it was built, and `idp` in place of the real provider.
pub(crate) fn localize_plugin(plugin: &mut Value, idp: &Idp) {
    localize_module(plugin);
    let providers = plugin["configuration"]["value"]["providers"].as_object_mut();
    for provider in providers.expect("providers").values_mut() {
        if provider["issuer"] == idp.issuer() {
            continue; // it has the name of the real one
        }
        if provider.get("remote_jwks").is_some() {
            let uri = &mut provider["remote_jwks"]["http_uri"]["uri"];
            move_url(uri, &idp.url());
            assert_eq!(*uri, idp.jwks_url(), "the path of the keys");
        }
        if provider.get("issuer").is_none() {
            continue;
        }
        move_url(&mut provider["issuer"], &idp.url());
        let issuer = provider["issuer"].as_str().expect("an issuer");
        let tenants = provider["tenants"].as_array();
        let issuers = match tenants {
            None => vec![issuer.to_owned()],
            Some(tenants) => tenants
                .iter()
                .map(|tenant| issuer.replace("{tenantid}", tenant.as_str().unwrap()))
                .collect(),
        };
        assert!(issuers.contains(&idp.issuer()), "the issuer's path");
        if provider["openid_discovery"].get("uri").is_some() {
            move_url(&mut provider["openid_discovery"]["uri"], &idp.url());
        }
    }
}

/// The clusters with TLS lead to `idp` without it, and the cluster `upstream` or `api` to `upstream`.
pub(crate) fn localize_clusters(bootstrap: &mut Value, idp: SocketAddr, upstream: SocketAddr) {
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut();
    for cluster in clusters.expect("clusters") {
        let cluster = cluster.as_object_mut().expect("a cluster");
        let provider = cluster.remove("transport_socket").is_some();
        if provider || cluster["name"] == "upstream" || cluster["name"] == "api" {
            let address = if provider { idp } else { upstream };
            move_cluster(cluster, address);
        }
    }
}

/// Another endpoint for a cluster.
pub(crate) fn move_cluster(cluster: &mut Map<String, Value>, address: SocketAddr) {
    let endpoints = &mut cluster["load_assignment"]["endpoints"][0]["lb_endpoints"];
    endpoints[0]["endpoint"]["address"]["socket_address"] =
        json!({"address": address.ip(), "port_value": address.port()});
}

impl Kitchen {
    /// With a provider whose paths are those of the real one.
    pub(crate) fn open(name: &str, idp: IdpBuilder, prepare: impl FnOnce(&Idp)) -> Self {
        Self::open_with(name, idp, prepare, |_, _| {})
    }

    /// The same, of a recipe in which more is replaced.
    pub(crate) fn open_with(
        name: &str,
        idp: IdpBuilder,
        prepare: impl FnOnce(&Idp),
        replace: impl FnOnce(&mut Value, &Idp),
    ) -> Self {
        let idp = idp.start().expect("a free loopback port");
        prepare(&idp);
        let upstream = Upstream::start();
        let mut recipe = yaml::document(&format!("envoy/recipes/{name}.yaml"));

        localize_plugin(plugin(&mut recipe), &idp);
        localize_clusters(&mut recipe, idp.address(), upstream.address());
        replace(&mut recipe, &idp);
        let envoy = Envoy::builder()
            .component_log_level("wasm:trace") // tests look for what must not be there
            .variable("BG_COOKIE_KEY", "a key of thirty-two octets or more")
            .variable("BG_CLIENT_SECRET", SECRET)
            .start_bootstrap(recipe.clone());
        Self {
            envoy: envoy.unwrap_or_else(|refused| panic!("{refused}")),
            idp,
            upstream,
            client: Client::without_keep_alive(),
            recipe,
        }
    }

    /// A token of these claims, and what every token has: issuer, times.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_with(
            &json!({"alg": "RS256", "kid": self.idp.key().kid()}),
            claims,
        )
    }

    /// The same under another JOSE header.
    pub(crate) fn token_with(&self, header: &Value, claims: &Value) -> String {
        self.idp.sign(header, &self.claims(claims))
    }

    pub(crate) fn claims(&self, claims: &Value) -> Value {
        let mut all = json!({"iss": self.idp.issuer(), "iat": now(), "exp": now() + 3600});
        merge(&mut all, claims.clone());
        all
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> Reply {
        self.get_with(path, token, &[]).await
    }

    /// With more headers.
    pub(crate) async fn get_with(
        &self,
        path: &str,
        token: Option<&str>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = self.client.request(Method::GET, &self.envoy.url(path));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        http::send(request).await
    }

    /// The statuses of [`ROUTES`].
    pub(crate) async fn statuses(&self, token: Option<&str>) -> [u16; 4] {
        let mut statuses = [0; 4];
        for (status, path) in statuses.iter_mut().zip(ROUTES) {
            *status = self.get(path, token).await.status;
        }
        statuses
    }

    /// What is the same for every provider: the public route, no token, other paths.
    pub(crate) async fn check_without_token(&self) {
        assert_eq!(self.get("/api/public", None).await.status, 200);
        assert_eq!(self.statuses(None).await, [401; 4]);
        for path in [
            "/x",
            "/api",
            "/api/public/x",
            "/api/privatex",
            "/api/adminx",
        ] {
            let reply = self.get(path, None).await;
            assert_eq!(reply.status, 403, "{path}: {}", reply.body);
        }
        assert_eq!(self.get("/api/admin", None).await.status, 401);
        self.check_for_pages().await;
        assert_eq!(self.upstream.requests(), 1);
    }

    /// Where the recipe is for pages of another origin, they can read a rejection; strangers cannot.
    async fn check_for_pages(&self) {
        let mut recipe = self.recipe.clone();
        let policy =
            &hcm(&mut recipe)["route_config"]["virtual_hosts"][0]["typed_per_filter_config"];
        let policy = &policy["envoy.filters.http.cors"];
        let listed = policy["allow_origin_string_match"][0]["exact"].as_str();
        for origin in [listed, Some("https://stranger.example")] {
            let Some(origin) = origin else {
                continue;
            };
            let headers = [("origin", origin)];
            let reply = self.get_with("/api/private", None, &headers).await;
            assert_eq!(reply.status, 401);
            let allowed = reply.header("access-control-allow-origin");
            assert_eq!(allowed, listed.filter(|listed| *listed == origin));
        }
    }

    /// Claims that are put over `base`, and the four statuses.
    pub(crate) async fn check(&self, base: &Value, rows: &[(&str, Value, [u16; 4])]) {
        for (what, change, statuses) in rows {
            let mut claims = base.clone();
            merge(&mut claims, change.clone());
            let token = self.token(&claims);
            assert_eq!(self.statuses(Some(&token)).await, *statuses, "{what}");
        }
    }

    /// The headers that the upstream sees of a token that passes everywhere.
    pub(crate) async fn check_headers(&self, claims: &Value, expected: &[(&str, &str)]) {
        let token = self.token(claims);
        let reply = self.get("/api/private", Some(&token)).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        for (name, value) in expected {
            assert_eq!(reply.seen(name), [*value], "{name}");
        }
        let headers = &self.provider()["claim_to_headers"];
        assert_eq!(headers.as_array().map(Vec::len), Some(expected.len()));
        assert!(reply.seen("authorization").is_empty());
    }

    fn provider(&self) -> Value {
        let mut recipe = self.recipe.clone();
        let providers = plugin(&mut recipe)["configuration"]["value"]["providers"].take();
        providers
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .clone()
    }
}
