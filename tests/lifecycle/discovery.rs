//! Keys by the provider's metadata: where they are looked for, and what they may name.

use std::rc::Rc;

use bearer_gate::config::Endpoint;
use bearer_gate::document::event::Event;
use bearer_gate::document::fetch::FetchError;
use bearer_gate::document::finding::Finding;
use bearer_gate::host::Reply;
use bearer_gate::jwks::keys::Keys;
use bearer_gate::jwks::metadata::Metadata;

use crate::SECOND;
use crate::sim::{self, SET_A, SET_B, World, ok, remote, status};

const PLACES: [&str; 4] = [
    "/t/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server/t",
    "/.well-known/openid-configuration/t",
    "/t/.well-known/oauth-authorization-server",
];

/// Puts metadata into the place number `at` of an issuer. The places before it answer with
/// `refusal`.
fn find_metadata(world: &mut World, at: usize, refusal: u16, metadata: &str) {
    world.tick_all();
    for place in &PLACES[..at] {
        assert_eq!(world.calls[0].call.path, *place);
        world.answer(status(refusal));
    }
    assert_eq!(world.calls[0].call.path, PLACES[at]);
    world.answer(ok(metadata));
}

#[test]
fn metadata_are_looked_for_in_each_place() {
    let metadata = r#"{"issuer":"https://idp.test/t","jwks_uri":"https://idp.test/t/keys"}"#;
    for refusal in [400, 401, 403, 404, 405, 410] {
        for at in 0..PLACES.len() {
            let mut world = World::new(2, sim::discovered("https://idp.test/t"));
            find_metadata(&mut world, at, refusal, metadata);
            assert_eq!(world.calls[0].call.path, "/t/keys");
            world.answer(ok(SET_A));
            world.tick_urgently();
            assert_eq!(world.kids(1), ["a"]);
            assert_eq!(world.dispatched, at + 2, "{refusal}");
        }
    }
    // An issuer without a path has two places.
    let mut world = World::new(1, sim::discovered("https://idp.test/"));
    world.tick_all();
    for place in [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
    ] {
        assert_eq!(world.calls[0].call.path, place);
        world.answer(status(404));
    }
    assert!(world.calls.is_empty());
    let Some(Event::Failed { error, asked, .. }) = world.events.pop() else {
        panic!("the search is over");
    };
    assert_eq!(error, FetchError::Status(404));
    assert!(
        asked.contains("/.well-known/oauth-authorization-server"),
        "{asked}"
    );
}

/// Where the address of the metadata is written, its scheme counts, and the issuer is only a name.
#[test]
fn metadata_at_an_address_of_their_own() {
    for (at, issuer, keys, is_taken) in [
        (
            "http://idp.internal/m",
            "https://idp.test/t",
            "http://idp.internal/keys",
            true,
        ),
        (
            "http://idp.internal/m",
            "tenant 7",
            "http://idp.internal/keys",
            true,
        ),
        (
            "https://idp.internal/m",
            "http://idp.test/t",
            "https://idp.internal/keys",
            true,
        ),
        (
            "https://idp.internal/m",
            "http://idp.test/t",
            "http://idp.internal/keys",
            false,
        ),
    ] {
        let mut remote = sim::discovered(issuer);
        if let Endpoint::Discovery { uri, .. } = &mut remote.endpoint {
            *uri = Some(at.to_owned());
        }
        let mut world = World::new(1, remote);
        world.tick_all();
        assert_eq!(world.calls[0].call.address(), at);
        let token = keys.replace("/keys", "/token");
        world.answer(ok(&format!(
            r#"{{"issuer":"{issuer}","jwks_uri":"{keys}","token_endpoint":"{token}"}}"#
        )));
        if is_taken {
            assert_eq!(world.calls[0].call.address(), keys);
            world.answer(ok(SET_A));
            assert_eq!(world.kids(0), ["a"]);
            let endpoint = metadata(&world, 0).token_endpoint.clone();
            assert_eq!(endpoint.unwrap().to_string(), token);
        } else {
            assert!(world.calls.is_empty(), "{at} {keys}");
        }
    }
}

/// Metadata of `https://idp.test/t` with more members.
fn metadata_with(members: &str) -> String {
    format!(r#"{{"issuer":"https://idp.test/t","jwks_uri":"https://idp.test/t/keys",{members}}}"#)
}

fn metadata(world: &World, worker: usize) -> Rc<Metadata> {
    match world.workers[worker].metadata(world.now) {
        Finding::Ready(metadata) => metadata,
        other => panic!("{other:?}"),
    }
}

fn token_endpoint(world: &World, worker: usize) -> Option<String> {
    let metadata = metadata(world, worker);
    metadata.token_endpoint.as_ref().map(ToString::to_string)
}

#[test]
fn metadata_come_with_the_keys_to_every_worker() {
    let mut world = World::new(2, sim::discovered("https://idp.test/t"));
    let metadata_of_a = metadata_with(r#""token_endpoint":"https://idp.test/a""#);
    find_metadata(&mut world, 0, 404, &metadata_of_a);
    for worker in &world.workers {
        assert_eq!(worker.metadata(world.now), Finding::Pending, "no keys yet");
    }
    world.answer(ok(SET_A));
    world.tick(1);
    for worker in 0..2 {
        let found = token_endpoint(&world, worker);
        assert_eq!(found.as_deref(), Some("https://idp.test/a"));
        assert_eq!(world.kids(worker), ["a"]);
    }
    // A value whose text did not change stays in place: first the metadata, then the keys.
    let before = [metadata(&world, 0), metadata(&world, 1)];
    world.answer_when_asked(ok(&metadata_of_a));
    world.answer(ok(SET_B));
    world.tick_urgently();
    for (worker, before) in before.iter().enumerate() {
        assert_eq!(world.kids(worker), ["b"]);
        assert!(Rc::ptr_eq(before, &metadata(&world, worker)));
    }
    let keys = world.keys(1);
    world.answer_when_asked(ok(&metadata_with(
        r#""token_endpoint":"https://idp.test/b""#,
    )));
    world.answer(ok(SET_B));
    world.tick_urgently();
    let is_news = |event: &Event| matches!(event, Event::Fetched { news: true, .. });
    assert_eq!(
        world.events.iter().filter(|event| is_news(event)).count(),
        3
    );
    for worker in 0..2 {
        let found = token_endpoint(&world, worker);
        assert_eq!(found.as_deref(), Some("https://idp.test/b"));
    }
    let (Keys::Ready(before), Keys::Ready(after)) = (keys, world.keys(1)) else {
        panic!("there are keys");
    };
    assert!(Rc::ptr_eq(&before, &after));
    // The metadata end with the keys.
    world.pass(25 * 3600 * SECOND);
    assert!(matches!(world.keys(1), Keys::Pending));
    assert_eq!(world.workers[1].metadata(world.now), Finding::Pending);
}

#[test]
fn bad_metadata_leave_the_keys_alone_and_only_what_is_used_is_shared() {
    let mut world = World::new(2, sim::discovered("https://idp.test/t"));
    let bulk = "x".repeat(100_000);
    let members = format!(
        r#""token_endpoint":"http://idp.test/a","revocation_endpoint":"https://idp.test/{bulk}","end_session_endpoint":"https://idp.test/end","bulk":"{bulk}""#
    );
    find_metadata(&mut world, 0, 404, &metadata_with(&members));
    world.answer(ok(SET_A));
    world.tick_urgently();
    for worker in 0..2 {
        assert_eq!(world.kids(worker), ["a"]);
        let Metadata {
            end_session_endpoint,
            token_endpoint: None,
            revocation_endpoint: None,
            ..
        } = &*metadata(&world, worker)
        else {
            panic!("wrong endpoints are used");
        };
        assert!(end_session_endpoint.is_some());
    }
    let faults = world.events.iter().find_map(|event| match event {
        Event::Fetched { skipped, .. } => Some(skipped),
        _ => None,
    });
    assert_eq!(
        *faults.unwrap(),
        [
            r#"token_endpoint of the metadata: it is not https: "http://idp.test/a""#,
            "revocation_endpoint of the metadata: it is longer than 2048 octets",
        ]
    );
    assert!(world.store.octets() < 4096, "{}", world.store.octets());
}

#[test]
fn a_source_without_metadata_says_nothing() {
    let mut world = World::new(2, remote());
    let say_nothing = |world: &World| {
        for worker in 0..2 {
            assert_eq!(*metadata(world, worker), Metadata::default());
        }
    };
    // No request waits for metadata that will never come, not even before there are keys.
    say_nothing(&world);
    world.settle_with(SET_A);
    say_nothing(&world);
}

/// A server that is down, or asks for patience, is so at every place.
#[test]
fn no_other_place_is_asked_where_the_server_is_at_fault() {
    for answer in [
        status(429),
        status(500),
        status(503),
        status(504),
        status(301),
        Reply::None,
        Reply::NotSent,
        ok("<html>"),
        ok("{}"),
    ] {
        let told = format!("{answer:?}");
        let mut world = World::new(1, sim::discovered("https://idp.test/t"));
        world.tick_all();
        world.answer(answer);
        assert!(world.calls.is_empty(), "{told}");
        assert!(
            matches!(world.events.last(), Some(Event::Failed { .. })),
            "{told}"
        );
    }
}

/// The search may take all of its calls, and no other worker takes over in the meantime.
#[test]
fn a_lease_is_long_enough_for_every_place() {
    let mut world = World::new(2, sim::discovered("https://idp.test/t"));
    world.tick_all();
    for _ in 0..3 {
        world.advance(4 * SECOND);
        world.answer(status(404));
    }
    world.advance(4 * SECOND);
    world.answer(ok(
        r#"{"issuer":"https://idp.test/t","jwks_uri":"https://idp.test/t/keys"}"#,
    ));
    world.advance(4 * SECOND);
    world.answer(ok(SET_A));
    world.tick_urgently();
    assert_eq!((world.dispatched, world.kids(0)), (5, vec!["a".to_owned()]));
    assert_eq!(world.most_calls_under_one_lease, 1);
}

#[test]
fn the_default_port_of_the_issuer_may_be_written() {
    for uri in ["https://idp.test:443/t/keys", "https://IDP.test/t/keys"] {
        let mut world = World::new(1, sim::discovered("https://idp.test/t"));
        let metadata = format!(r#"{{"issuer":"https://idp.test/t","jwks_uri":"{uri}"}}"#);
        find_metadata(&mut world, 0, 404, &metadata);
        let call = &world.calls[0].call;
        assert_eq!(
            (call.authority.as_str(), call.path.as_str()),
            ("idp.test", "/t/keys")
        );
        assert_eq!(call.cluster, "idp");
        world.answer(ok(SET_A));
        assert_eq!(world.kids(0), ["a"]);
    }
}

#[test]
fn sources_whose_names_read_alike_share_nothing() {
    let metadata = r#"{"issuer":"https://idp.test/t","jwks_uri":"https://idp.test/t/keys"}"#;
    let at = |of: &str, of_keys: Option<&str>| {
        let mut remote = sim::discovered("https://idp.test/t");
        if let bearer_gate::config::Endpoint::Discovery {
            cluster,
            jwks_cluster,
            ..
        } = &mut remote.endpoint
        {
            of.clone_into(cluster);
            *jwks_cluster = of_keys.map(str::to_owned);
        }
        remote
    };
    for (one, two) in [
        (("idp", Some("x y")), ("idp x", Some("y"))),
        (("idp", None), ("idp", Some("-"))),
        (("idp", None), ("idp -", None)),
    ] {
        let store = sim::Store::default();
        let mut first = World::on(store.clone(), 1, at(one.0, one.1), 1);
        let mut second = World::on(store, 1, at(two.0, two.1), 2);
        find_metadata(&mut first, 0, 404, metadata);
        first.answer(ok(SET_A));
        assert_eq!(first.kids(0), ["a"]);
        second.tick_all();
        assert!(
            matches!(second.keys(0), Keys::Pending),
            "another's keys: {two:?}"
        );
    }
}
