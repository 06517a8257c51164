//! Filters of Envoy's own that stand behind bearer-gate and read what it published.

use bearer_gate_testbed::idp::{Idp, IdpBuilder};
use bearer_gate_testbed::keys::SigningKey;
use bearer_gate_testbed::token;
use serde_json::{Value, json};

use bearer_gate_testbed::idp::openid::RelyingParty;
use bearer_gate_testbed::visitor::Visitor;
use bearer_gate_testbed::yaml;

use super::kitchen::{Kitchen, SECRET, hcm, plugin};
use crate::stage::merge;

const PATH: &str = "/api/messages";

fn idp() -> IdpBuilder {
    Idp::builder().issuer_path("")
}

fn claims(more: Value) -> Value {
    let mut claims = json!({"aud": "https://api.example.com"});
    merge(&mut claims, more);
    claims
}

/// A token of claims that somebody else signed.
fn forged(kitchen: &Kitchen, more: Value) -> String {
    let header = json!({"alg": "RS256", "kid": kitchen.idp.key().kid()});
    token::sign(
        &SigningKey::generate(),
        &header,
        &kitchen.claims(&claims(more)),
    )
}

#[tokio::test]
async fn rate_limit() {
    let kitchen = Kitchen::open("rate-limit", idp(), |_| {});
    let of = |name: &str| kitchen.token(&claims(json!({"sub": name})));
    let (alice, bob) = (of("alice"), of("bob"));
    // Whoever is not let in counts for nobody.
    for _ in 0..7 {
        assert_eq!(kitchen.get(PATH, None).await.status, 401);
        let token = forged(&kitchen, json!({"sub": "alice"}));
        assert_eq!(kitchen.get(PATH, Some(&token)).await.status, 401);
    }
    assert_eq!(kitchen.upstream.requests(), 0);
    for _ in 0..5 {
        assert_eq!(kitchen.get(PATH, Some(&alice)).await.status, 200);
    }
    // Another token is of the same subject.
    let more = json!({"sub": "alice", "jti": "2"});
    for token in [&alice, &kitchen.token(&claims(more))] {
        assert_eq!(kitchen.get(PATH, Some(token)).await.status, 429);
    }
    // Nor can a header say another one.
    let headers = [("x-user", "carol")];
    let reply = kitchen.get_with(PATH, Some(&alice), &headers).await;
    assert_eq!(reply.status, 429);
    for _ in 0..5 {
        assert_eq!(kitchen.get(PATH, Some(&bob)).await.status, 200);
    }
    assert_eq!(kitchen.get(PATH, Some(&bob)).await.status, 429);
    assert_eq!(kitchen.upstream.requests(), 10);
    // Who has no subject has the common bucket of 100, which fills slowly.
    let nobody = kitchen.token(&claims(json!({})));
    let mut passed = 0;
    for _ in 0..75 {
        for reply in [
            kitchen.get("/api/public", None).await,
            kitchen.get(PATH, Some(&nobody)).await,
        ] {
            passed += u64::from(reply.status == 200);
        }
    }
    assert!((100..150).contains(&passed), "{passed}");
    assert_eq!(kitchen.get(PATH, Some(&of("carol"))).await.status, 200);
    assert_eq!(kitchen.upstream.requests(), 11 + passed);
}

#[tokio::test]
async fn rbac() {
    let kitchen = Kitchen::open("rbac", idp(), |_| {});
    let a: &[(&str, &str)] = &[("x-tenant", "a")];
    let b: &[(&str, &str)] = &[("x-tenant", "b")];
    let twice: &[(&str, &str)] = &[("x-tenant", "a"), ("x-tenant", "b")];
    let tenant = json!({"tenant": "a", "roles": ["user"]});
    for (more, headers, status) in [
        (json!({"roles": ["user", "admin"]}), &[][..], 200),
        (json!({"roles": ["admin"], "tenant": "a"}), b, 200),
        (tenant.clone(), a, 200),
        (tenant.clone(), b, 403),
        (tenant.clone(), twice, 403),
        (tenant.clone(), &[], 403),
        // a claim that is not there is nobody's, not everybody's
        (json!({}), &[], 403),
        (json!({}), a, 403),
        (json!({}), &[("x-tenant", "")], 403),
        (json!({"tenant": null}), &[("x-tenant", "")], 403),
        // roles that only look like it
        (json!({"roles": ["administrator"]}), &[], 403),
        (json!({"roles": "admin"}), &[], 403),
        (json!({"roles": [["admin"]]}), &[], 403),
        (json!({"role": ["admin"]}), &[], 403),
        (json!({"tenant": ["a"]}), a, 403),
    ] {
        let token = kitchen.token(&claims(more.clone()));
        let reply = kitchen.get_with(PATH, Some(&token), headers).await;
        assert_eq!(reply.status, status, "{more} {headers:?}");
        if status == 403 {
            assert_eq!(reply.body, "RBAC: access denied");
        }
    }
    let before = kitchen.upstream.requests();
    assert_eq!(before, 3);
    let token = forged(&kitchen, json!({"roles": ["admin"]}));
    assert_eq!(kitchen.get(PATH, Some(&token)).await.status, 401);
    for headers in [a, &[("wasm.jwt", "{\"roles\":[\"admin\"]}")]] {
        let reply = kitchen.get_with(PATH, None, headers).await;
        assert_eq!(reply.status, 401, "{headers:?}");
    }
    assert_eq!(kitchen.upstream.requests(), before);
}

/// The filter of docs/from-oauth2-proxy.md as it stands there: people sign in, and those of one domain get in.
#[tokio::test]
async fn people_of_a_domain() {
    let page = yaml::text("docs/from-oauth2-proxy.md");
    let fences: Vec<&str> = page.split("```").collect();
    let mut written = fences.iter().filter_map(|text| text.strip_prefix("yaml\n"));
    let filter = yaml::parse(written.next().expect("the filter"))[0].clone();
    let site = "https://app.example.com";
    for (domain, status) in [("example.com", 200), ("example.org", 403)] {
        let register = |idp: &Idp| {
            let callback = format!("{site}/oauth2/callback");
            let party = RelyingParty::confidential("web_client_id", SECRET, &callback);
            idp.openid().register(party);
        };
        let replace = |recipe: &mut Value, _: &Idp| {
            let value = &mut plugin(recipe)["configuration"]["value"];
            for provider in value["providers"]
                .as_object_mut()
                .expect("them")
                .values_mut()
            {
                provider["payload_in_metadata"] = json!("jwt");
            }
            for scheme in value["sign_in"]["schemes"]
                .as_object_mut()
                .expect("them")
                .values_mut()
            {
                scheme["auth_scopes"] = json!(["openid", "email"]);
            }
            let mut filter = filter.to_string();
            assert_eq!(filter.matches("@example.com").count(), 1);
            filter = filter.replace("@example.com", &format!("@{domain}"));
            let filters = hcm(recipe)["http_filters"].as_array_mut().expect("filters");
            filters.insert(filters.len() - 1, yaml::parse(&filter));
        };
        let kitchen = Kitchen::open_with("auth0", idp_of_auth0(), register, replace);
        let mut visitor = Visitor::new()
            .finding("app.example.com", kitchen.envoy.address())
            .finding("login.example.com", kitchen.idp.address());
        let page = format!("{site}/app");
        let begun = visitor.get(&page).await;
        let location = begun.header("location").expect("to the provider");
        let back = visitor.sign_in(location, "alice", "wonderland").await;
        let done = visitor
            .get(back.header("location").expect(&back.body))
            .await;
        assert_eq!(done.status, 303, "{}", done.body);
        let shown = visitor.get(&page).await;
        assert_eq!(shown.status, status, "{domain}: {}", shown.body);
    }
}

fn idp_of_auth0() -> IdpBuilder {
    let builder = Idp::builder().issuer_path("/");
    builder.jwks_path("/.well-known/jwks.json")
}
