//! Envoys of deploy/envoy where people sign in, for the tests of the alerts and the dashboard.

use std::net::SocketAddr;
use std::time::Duration;

use bearer_gate::bytes::half_digest;
use bearer_gate::ended::shard::MOST;
use bearer_gate_testbed::idp::openid::{Misbehaviour, OpenId, RelyingParty};
use bearer_gate_testbed::raw::{self, RawResponse};
use bearer_gate_testbed::visitor::Visitor;
use bearer_gate_testbed::{eventually, http};
use serde_json::{Value, json};

use super::Scene;
use super::modules::LOSE;
use crate::ecds;

/// How long an access token lives, in seconds.
const LIFE: u64 = 2;

/// Where people sign in. `bodies`: whether Envoy hands the filter the bodies of back-channel logouts.
pub(super) struct People(pub(super) Scene);

/// The shared store.
#[derive(Clone, Copy)]
pub(super) struct Store {
    at: SocketAddr,
    has_sessions: bool,
}

impl Store {
    pub(super) fn of_sign_outs(at: SocketAddr) -> Self {
        Self {
            at,
            has_sessions: false,
        }
    }

    /// Sessions are in it, too.
    pub(super) fn of_sessions(at: SocketAddr) -> Self {
        Self {
            at,
            has_sessions: true,
        }
    }
}

impl People {
    pub(super) fn open(bodies: bool, store: Store) -> Self {
        Self::open_behind(bodies, store, |_| {})
    }

    /// With a change of the bootstrap.
    pub(super) fn open_behind(
        bodies: bool,
        store: Store,
        bootstrap: impl FnOnce(&mut Value),
    ) -> Self {
        let mut scene = Scene::open_behind(
            |_| {},
            |_| {},
            |all| {
                add_cluster(all, "redis", store.at);
                bootstrap(all);
            },
        );
        let site = scene.envoy.address().to_string();
        let mut resource = ecds::shipped(&scene.idp);
        *ecds::configuration(&mut resource) = configuration(&scene.idp.issuer(), &site, store);
        if bodies {
            let plugin = &mut resource["resources"][0]["typed_config"]["config"];
            plugin["allow_on_headers_stop_iteration"] = json!(true);
        }
        scene.publish(&resource);
        let openid = scene.idp.openid();
        let told = scene.envoy.url("/told");
        let callback = scene.envoy.url("/oauth2/callback");
        let party = RelyingParty::confidential("web", "s3cret", &callback);
        openid.register(party.backchannel_logout_uri(&told));
        openid.configure(|settings| settings.access_token_lifetime = LIFE as i64);
        let people = Self(scene);
        eventually(
            Duration::from_secs(10),
            "all workers sign people in",
            || (0..16).all(|_| people.get("/sign-in").status == 303),
        );
        people
    }

    pub(super) fn openid(&self) -> OpenId<'_> {
        self.0.idp.openid()
    }

    /// From nowhere in particular.
    pub(super) fn get(&self, path: &str) -> RawResponse {
        let address = self.0.envoy.address();
        let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        raw::request(address, head.as_bytes()).unwrap()
    }

    /// A page as a browser opens it.
    pub(super) async fn page(&self, visitor: &mut Visitor) -> http::Reply {
        visitor.get(&self.0.envoy.url("/page")).await
    }

    /// Somebody comes back from the provider, with a session or without.
    pub(super) async fn comes_back(&self, who: [&str; 2]) -> (Visitor, u16) {
        let mut visitor = Visitor::new();
        let begun = self.page(&mut visitor).await;
        let location = begun.header("location").expect("the way to the provider");
        let back = visitor.sign_in(location, who[0], who[1]).await;
        let callback = back.header("location").expect("the callback");
        let status = visitor.get(callback).await.status;
        (visitor, status)
    }

    pub(super) async fn signs_in(&self, who: [&str; 2]) -> Visitor {
        let (mut visitor, _) = self.comes_back(who).await;
        assert_eq!(self.page(&mut visitor).await.status, 200);
        visitor
    }

    /// A page of a session, where another filter writes over the list of ended sessions first.
    pub(super) async fn page_without_list(&self, visitor: &mut Visitor) -> u16 {
        let address = self.0.envoy.address();
        let head = format!(
            "GET /page HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{LOSE}: x\r\n\r\n"
        );
        raw::request(address, head.as_bytes()).unwrap();
        self.page(visitor).await.status
    }

    /// So many people sign out at the provider that their part of the list is full.
    pub(super) fn fill_the_list(&self) {
        let issuer = self.0.idp.issuer();
        // As `Mark::of_subject_without_sid` and `Mark::place` have it: two entries for each person.
        let place = |subject: &str| {
            let parts = [&b"sub"[..], issuer.as_bytes(), subject.as_bytes()];
            usize::from(half_digest(&parts)[0]) % 64
        };
        let people = (0..).map(|number| format!("user|{number}"));
        let people = people.filter(|subject| place(subject) == 0);
        for subject in people.take(MOST / 2 + 2) {
            let token = self.openid().logout_token("web", &subject, &subject);
            let told = tell(self.0.envoy.address(), &token);
            assert_eq!(told.status, 200, "{}", told.text());
        }
    }

    /// One front-channel logout.
    pub(super) fn claim(&self, sid: &str) -> u16 {
        let issuer = self.0.idp.issuer();
        self.get(&format!("/framed?iss={issuer}&sid={sid}")).status
    }

    /// What happens on a site that is well, once: what fails is somebody's own affair.
    pub(super) async fn live(&self) {
        let openid = self.openid();
        let mut alice = self.signs_in(["alice", "wonderland"]).await;
        let mut bob = self.signs_in(["bob", "tokyo"]).await;
        tokens_end().await;
        assert_eq!(self.page(&mut alice).await.status, 200, "refreshed");
        openid.misbehave(Some(Misbehaviour::RefreshRefused));
        assert_eq!(self.page(&mut bob).await.status, 303, "refused");
        openid.misbehave(Some(Misbehaviour::NonceOther));
        let (_, status) = self.comes_back(["bob", "tokyo"]).await;
        assert!(status >= 400, "{status}");
        openid.misbehave(None);
        assert_eq!(self.get("/framed").status, 400);
        assert_eq!(self.claim("another"), 200);
        assert!(
            openid
                .sign_out("user|alice")
                .iter()
                .all(|told| told.answer == Some((200, String::new())))
        );
        assert_eq!(self.page(&mut alice).await.status, 303, "signed out");
        let mut bob = self.signs_in(["bob", "tokyo"]).await;
        let left = bob.post(&self.0.envoy.url("/sign-out"), &[]).await;
        assert_eq!(left.status, 303);
    }
}

pub(super) async fn tokens_end() {
    tokio::time::sleep(Duration::from_secs(LIFE) + Duration::from_millis(200)).await;
}

fn configuration(issuer: &str, site: &str, store: Store) -> Value {
    let kept = if store.has_sessions {
        "SHARED_STORE"
    } else {
        "COOKIE"
    };
    json!({
        "providers": {"auth0": {
            "issuer": issuer,
            "any_audience": true,
            "openid_discovery": {"cluster": "auth0", "timeout": "2s"},
        }},
        "sign_in": {
            "cookie_keys": [{"inline_string": "a key of thirty-two octets or more"}],
            "allowed_redirect_domains": [site],
            "schemes": {"staff": {
                "provider_name": "auth0",
                "credentials": {"client_id": "web", "token_secret": {"inline_string": "s3cret"}},
                "token_endpoint": {"cluster": "auth0", "timeout": "2s"},
                "callback_path": "/oauth2/callback",
                "signin_path": "/sign-in",
                "signout_path": "/sign-out",
                "backchannel_logout_path": "/told",
                "frontchannel_logout_path": "/framed",
                "use_refresh_token": true,
                "session": {"idle_timeout": "1800s", "store": kept},
            }},
        },
        "shared_store": {"http_uri": {"uri": "http://redis/", "cluster": "redis", "timeout": "1s"}},
        "rules": [{"match": {"prefix": "/"}, "requires": {"session": "staff"}}],
    })
}

fn add_cluster(bootstrap: &mut Value, name: &str, to: SocketAddr) {
    let address = json!({"address": to.ip(), "port_value": to.port()});
    let endpoint = json!({"endpoint": {"address": {"socket_address": address}}});
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut();
    clusters.unwrap().push(json!({
        "name": name,
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }));
}

/// A back-channel logout, which is answered after a while if Envoy keeps its body back.
pub(super) fn tell(address: SocketAddr, token: &str) -> RawResponse {
    let form = format!("logout_token={token}");
    let head = format!(
        "POST /told HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{form}",
        form.len()
    );
    raw::request(address, head.as_bytes()).unwrap()
}
