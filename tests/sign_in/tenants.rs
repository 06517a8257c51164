//! A provider with an issuer for each tenant, as Microsoft Entra ID is at its common endpoint.
//! A `sub` is a person's in one tenant alone.

use std::rc::Rc;
use std::time::Duration;

use bearer_gate::config::Config;
use serde_json::{Value, json};

use crate::world::{APP, Browser, FROM_ELSEWHERE, KEY_1, Page, World, config};

const OURS: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
const PARTNER: &str = "82229342-1101-4ab6-817b-70c0747630f3";
const STRANGER: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

fn issuer_of(tenant: &str) -> String {
    format!("https://idp.example/{tenant}/v2.0")
}

fn tenants(ids: &[&str]) -> Config {
    config(&[KEY_1], |config| {
        let idp = &mut config["providers"]["idp"];
        idp["issuer"] = json!(issuer_of("{tenantid}"));
        idp["tenants"] = json!(ids);
        idp["claim_to_headers"] = json!([
            {"header_name": "x-user", "claim_name": "sub"},
            {"header_name": "x-tenant", "claim_name": "tid"},
        ]);
        let staff = &mut config["sign_in"]["schemes"]["staff"];
        staff["use_refresh_token"] = json!(true);
        staff["frontchannel_logout_path"] = json!("/staff/framed");
        staff["backchannel_logout_path"] = json!("/staff/told");
    })
}

fn world() -> World {
    World::with(tenants(&[OURS, PARTNER]))
}

/// The ID tokens from now on say this.
fn say(world: &World, iss: Value, tid: Value) {
    *world.provider.claims.borrow_mut() = Some(Box::new(move |claims| {
        claims["iss"] = iss.clone();
        claims["tid"] = tid.clone();
    }));
}

fn say_tenant(world: &World, tenant: &str) {
    say(world, json!(issuer_of(tenant)), json!(tenant));
}

/// Begins to sign in and comes back, with this `iss` in the answer.
fn come_back(world: &World, iss: Option<&str>) -> (Browser, Page) {
    let mut browser = Browser::default();
    let location = world.begin(&mut browser, "/page");
    let back = world.provider.sign_in(&location, "alice");
    let (back, _) = back.split_once("&iss=").unwrap();
    let iss = iss.map_or(String::new(), |iss| {
        let iss: String = form_urlencoded::byte_serialize(iss.as_bytes()).collect();
        format!("&iss={iss}")
    });
    let page = world.come_back(&mut browser, &format!("{back}{iss}"));
    (browser, page)
}

fn signed_in(world: &World, tenant: &str) -> Browser {
    say_tenant(world, tenant);
    let (mut browser, page) = come_back(world, None);
    assert_eq!(page.location(), "/page");
    assert_is_of(world, &mut browser, tenant);
    browser
}

fn assert_is_of(world: &World, browser: &mut Browser, tenant: &str) {
    let page = world.open(browser, "/page");
    assert_eq!((page.status, page.user()), (200, Some("alice")), "{page:?}");
    assert_eq!(page.at_upstream("x-tenant"), Some(tenant));
}

fn assert_asked_to_sign_in(world: &World, browser: &mut Browser) {
    let page = world.open(browser, "/page");
    assert_eq!((page.status, page.upstream), (303, None));
}

fn failed(world: &World, reason: &str) -> i64 {
    let name = format!("bearer_gate.sign_in.failed.{reason}");
    world.process.count_of(&name)
}

#[test]
fn people_of_several_tenants_sign_in() {
    let world = world();
    for tenant in [OURS, PARTNER] {
        signed_in(&world, tenant);
    }
}

#[test]
fn a35_an_id_token_of_another_tenant_signs_nobody_in() {
    for (iss, tid) in [
        (json!(issuer_of(STRANGER)), json!(STRANGER)),
        (json!(issuer_of(OURS)), json!(PARTNER)),
        (json!(issuer_of(OURS)), json!(STRANGER)),
        (json!(issuer_of(STRANGER)), json!(OURS)),
        (json!(issuer_of("{tenantid}")), json!(OURS)),
        (json!(issuer_of("{tenantid}")), json!("{tenantid}")),
        (json!(issuer_of("common")), json!("common")),
        (json!(issuer_of(OURS)), json!([OURS])),
        (json!(issuer_of(OURS)), Value::Null),
        (json!("https://idp.example/"), json!(OURS)),
    ] {
        let world = world();
        say(&world, iss.clone(), tid.clone());
        let (browser, page) = come_back(&world, None);
        assert_eq!(failed(&world, "id_token_invalid"), 1, "{iss} {tid}");
        assert!((400..=503).contains(&page.status), "{page:?}");
        assert!(!browser.has("bg_session"), "{iss} {tid}");
    }
}

/// RFC 9207: Entra does not say who answers, but if somebody does, it is the ID token's issuer.
#[test]
fn s04_the_answer_of_another_tenant_is_refused() {
    let ours = issuer_of(OURS);
    for (iss, calls) in [
        (issuer_of("{tenantid}"), 0),
        (issuer_of(STRANGER), 0),
        (issuer_of("common"), 0),
        (String::new(), 0),
        // It may be, until the ID token is there.
        (issuer_of(PARTNER), 1),
    ] {
        let world = world();
        say_tenant(&world, OURS);
        let (browser, page) = come_back(&world, Some(&iss));
        assert_eq!(failed(&world, "issuer_mismatch"), 1, "{iss}: {page:?}");
        assert!(!browser.has("bg_session"), "{iss}");
        assert_eq!(world.provider.calls.get(), calls, "{iss}");
    }
    let world = world();
    say_tenant(&world, OURS);
    let (_, page) = come_back(&world, Some(&ours));
    assert_eq!(page.location(), "/page");
}

#[test]
fn s23_the_same_sub_of_another_tenant_after_a_refresh() {
    for (tenant, stays) in [(OURS, true), (PARTNER, false), (STRANGER, false)] {
        let world = world();
        world.provider.gives_id_token.set(true);
        let mut browser = signed_in(&world, OURS);
        say_tenant(&world, tenant);
        world.pass(Duration::from_secs(400));
        if stays {
            assert_is_of(&world, &mut browser, tenant);
        } else {
            assert_asked_to_sign_in(&world, &mut browser);
        }
        assert_eq!(world.provider.refreshes.get(), 1);
    }
}

/// After a reload.
#[test]
fn a35_a_tenant_that_is_taken_off_the_list_has_no_sessions() {
    let before = world();
    let [ours, partners] = [OURS, PARTNER].map(|tenant| signed_in(&before, tenant));
    for (listed, remain) in [
        (&[OURS, PARTNER][..], [true, true]),
        (&[PARTNER, STRANGER, OURS], [true, true]),
        (&[OURS], [true, false]),
        (&[STRANGER], [false, false]),
    ] {
        let world = World::on(Rc::clone(&before.process), tenants(listed));
        let browsers = [(OURS, &ours), (PARTNER, &partners)];
        for ((tenant, browser), remains) in browsers.into_iter().zip(remain) {
            let mut browser = browser.clone();
            if remains {
                assert_is_of(&world, &mut browser, tenant);
            } else {
                assert_asked_to_sign_in(&world, &mut browser);
            }
        }
    }
}

/// Somebody of each tenant, by the same `sub`, whose session at the provider has the same `sid`.
fn of_both_tenants(world: &World) -> [Browser; 2] {
    let sign_in = |tenant: &'static str| {
        *world.provider.claims.borrow_mut() = Some(Box::new(move |claims| {
            claims["iss"] = json!(issuer_of(tenant));
            claims["tid"] = json!(tenant);
            claims["sid"] = json!("s-1");
        }));
        come_back(world, None).0
    };
    let browsers = [OURS, PARTNER].map(sign_in);
    world.pass(Duration::from_secs(5));
    browsers
}

/// By `sid`, and of everybody by `sub`.
#[test]
fn s24_a_logout_token_of_one_tenant_ends_no_session_of_another() {
    for said in [
        json!({"sid": "s-1"}),
        json!({"sub": "alice"}),
        json!({"sub": "alice", "sid": "s-1"}),
    ] {
        let world = world();
        let [mut ours, mut partners] = of_both_tenants(&world);
        let tell = |iss: String, tid: Value| {
            let mut claims = said.clone();
            claims["iss"] = json!(iss);
            if !tid.is_null() {
                claims["tid"] = tid;
            }
            let token = world.provider.logout_token(world.now(), &claims);
            let told = world.tell(&format!("{APP}/staff/told"), &token);
            told.unwrap_or_else(|_| panic!("the keys are there")).status
        };
        for (iss, tid) in [
            (issuer_of(OURS), Value::Null),
            (issuer_of(OURS), json!(PARTNER)),
            (issuer_of(OURS), json!(STRANGER)),
            (issuer_of(STRANGER), json!(STRANGER)),
            (issuer_of(STRANGER), json!(OURS)),
            (issuer_of("{tenantid}"), json!(OURS)),
            (issuer_of("common"), json!("common")),
            ("https://idp.example/".to_owned(), json!(OURS)),
        ] {
            assert_eq!(tell(iss.clone(), tid.clone()), 400, "{said} {iss} {tid}");
        }
        assert_is_of(&world, &mut ours, OURS);
        assert_is_of(&world, &mut partners, PARTNER);
        assert_eq!(tell(issuer_of(PARTNER), json!(PARTNER)), 200, "{said}");
        assert_is_of(&world, &mut ours, OURS);
        assert_asked_to_sign_in(&world, &mut partners);
        assert_eq!(tell(issuer_of(OURS), json!(OURS)), 200, "{said}");
        assert_asked_to_sign_in(&world, &mut ours);
    }
}

/// The provider's own sessions have names that are a tenant's too.
#[test]
fn s24_a_sign_out_at_one_tenant_ends_no_session_of_another() {
    let world = world();
    let [mut ours, mut partners] = of_both_tenants(&world);
    let tell = |browser: &mut Browser, tenant: &str| {
        let iss = issuer_of(tenant);
        let iss: String = form_urlencoded::byte_serialize(iss.as_bytes()).collect();
        let url = format!("{APP}/staff/framed?iss={iss}&sid=s-1");
        world.send(browser, "GET", &url, &FROM_ELSEWHERE).status
    };
    for tenant in [STRANGER, "{tenantid}", "common"] {
        assert_eq!(tell(&mut ours, tenant), 400, "{tenant}");
    }
    assert_eq!(tell(&mut ours, PARTNER), 200);
    assert_is_of(&world, &mut ours, OURS);
    assert_asked_to_sign_in(&world, &mut partners);
    assert_eq!(tell(&mut ours, OURS), 200);
    assert_asked_to_sign_in(&world, &mut ours);
}
