//! Cases that once evaded a rule, each with the answer that it must get.

use bearer_gate_testbed::transports::{Answer, Message};
use serde_json::{Value, json};

use super::subject::{FORGED, PUBLIC_HOST};
use super::{HYPER, Matrix, Subject, config, route, subjects, virtual_host};
use crate::stage::{Stage, merge};

/// The answer, and that the upstream saw nothing. What Envoy itself refuses is a 400 or no answer.
#[track_caller]
fn assert_refused(matrix: &Matrix, what: &str, message: &Message, status: u16) {
    let before = matrix.stage.upstream.requests();
    for (protocol, answer) in matrix.send(message) {
        let refused = match &answer {
            Ok(answer) => answer.status == status,
            Err(_) => status == 400,
        };
        assert!(
            refused,
            "{what} over {protocol:?}: not {status} but {}",
            told(&answer)
        );
    }
    assert_eq!(matrix.stage.upstream.requests(), before, "{what}");
}

fn told(answer: &Answer) -> String {
    match answer {
        Ok(answer) => format!("{} {}", answer.status, answer.text()),
        Err(why) => why.clone(),
    }
}

fn on_subjects() -> (Matrix, Vec<Subject>) {
    let subjects = subjects();
    let matrix = Matrix::build(
        None,
        |stage| {
            let mut config = config(stage, &subjects);
            let outputs = json!({
                "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
            });
            merge(&mut config["providers"]["authorization"], outputs);
            config
        },
        |listener| listener,
    );
    (matrix, subjects)
}

fn find<'s>(subjects: &'s [Subject], name: &str) -> &'s Subject {
    let mut named = subjects.iter().filter(|subject| subject.name == name);
    named.next().expect("a subject of that name")
}

#[test]
fn a33_white_space_around_values() {
    let (matrix, subjects) = on_subjects();
    let bearer = find(&subjects, "authorization");
    for value in [
        " Bearer TOKEN",
        "\tBearer TOKEN",
        "Bearer\tTOKEN",
        "Bearer\t TOKEN",
    ] {
        let value = value.replace("TOKEN", FORGED);
        assert_refused(&matrix, &value, &bearer.message(value.as_bytes()), 401);
    }
    // A good token is where white space around it does not matter.
    for value in ["Bearer TOKEN ", " Bearer TOKEN", "\tBearer  TOKEN\t"] {
        let value = value.replace("TOKEN", &matrix.good);
        for (protocol, answer) in matrix.send(&bearer.message(value.as_bytes())) {
            assert!(
                answer.as_ref().is_ok_and(|answer| answer.status == 200),
                "{value:?} over {protocol:?}: {}",
                told(&answer)
            );
        }
    }
    // The attacker's own token beside the forged one.
    let both = find(&subjects, "all-authorization")
        .message(format!(" Bearer {FORGED}").as_bytes())
        .header("cookie", format!("session={}", matrix.good));
    assert_refused(&matrix, "two tokens", &both, 400);
    for name in [
        "exact", "no-case", "prefix", "suffix", "contains", "regex", "range",
    ] {
        let subject = find(&subjects, name);
        for value in [" VALUE", "\tVALUE", "VALUE ", "VALUE\t"] {
            let value = value.replace("VALUE", subject.plain);
            let what = format!("{name} {value:?}");
            assert_refused(&matrix, &what, &subject.message(value.as_bytes()), 401);
        }
    }
    matrix.is_alive();
}

#[test]
fn a33_methods_in_lower_case() {
    let (matrix, subjects) = on_subjects();
    for name in ["methods", "method-header", "weaker-method"] {
        for method in ["post", "Post", "pOST", "POSt", "get"] {
            let mut message = find(&subjects, name).message(b"user");
            message.method = method.into();
            assert_refused(&matrix, &format!("{name} {method}"), &message, 400);
        }
    }
    matrix.is_alive();
}

#[test]
fn a33_hosts_in_every_spelling() {
    let (matrix, subjects) = on_subjects();
    let host = find(&subjects, "host");
    for authority in [
        "admin.example.com.",
        "admin.example.com.:80",
        "admin.example.com:80",
        "ADMIN.example.com.",
    ] {
        assert_refused(&matrix, authority, &host.message(authority.as_bytes()), 401);
    }
    let below = find(&subjects, "host-below");
    for authority in ["x.int.example.com.", "x.y.INT.example.com.:80"] {
        assert_refused(
            &matrix,
            authority,
            &below.message(authority.as_bytes()),
            401,
        );
    }
    for authority in [
        "admin.example.com:80:90",
        ".:80",
        "a,b",
        "x@admin.example.com",
        "admin..example.com",
        "admin.example.com..",
        "admin%2eexample.com",
        "admin.example.com/x",
    ] {
        assert_refused(&matrix, authority, &host.message(authority.as_bytes()), 400);
    }
    // Two Host lines, or `host` that says other than `:authority`: nobody is let in by it.
    for [first, second] in [
        ["admin.example.com", PUBLIC_HOST],
        [PUBLIC_HOST, "admin.example.com"],
    ] {
        let message = host.message(first.as_bytes()).header("host", second);
        for (protocol, answer) in matrix.send(&message) {
            let Ok(answer) = answer else { continue };
            // Envoy keeps one of them in HTTP/2 and HTTP/3, and hands that to the upstream.
            let seen = |name| answer.json()["headers"].to_string().contains(name);
            let public = answer.status == 200 && !seen("admin.example.com");
            assert!(
                public || (400..=401).contains(&answer.status),
                "{first} {second} over {protocol:?}: {}",
                answer.text()
            );
        }
    }
    matrix.is_alive();
}

#[test]
fn a33_connect_without_a_path_is_for_its_own_rule_only() {
    for (rules, status) in [
        (json!([]), 400),
        (
            json!([{"match": {"connect_matcher": {}}, "requires": {"provider_name": "authorization"}}]),
            401,
        ),
    ] {
        let matrix = Matrix::build(
            None,
            |stage| {
                let mut config = config(stage, &subjects());
                config["unmatched"] = json!("allow");
                let all = config["rules"].as_array_mut().expect("a list");
                all.extend(rules.as_array().into_iter().flatten().cloned());
                config
            },
            |listener| listener.hcm("upgrade_configs", json!([{"upgrade_type": "CONNECT"}])),
        );
        let connect = Message {
            method: b"CONNECT".to_vec(),
            path: None,
            ..Message::get("public.example.com:443", "")
        };
        assert_refused(&matrix, "CONNECT", &connect, status);
        matrix.is_alive();
    }
}

/// What a route asks for holds for every spelling of its path, and a name that says nothing is no
/// name.
#[test]
fn a33_requirements_of_routes() {
    let with = |prefix: &str, requirement: Value| {
        let mut route = route(prefix, HYPER);
        route["metadata"] = json!({
            "filter_metadata": {"bearer_gate": {"requirement_name": requirement}},
        });
        route
    };
    let routes = virtual_host(&[
        with("/api/admin", json!("users")),
        with("/empty", json!("")),
        with("/null", Value::Null),
        route("/", HYPER),
    ]);
    let configure = |stage: &Stage| {
        let mut config = config(stage, &subjects());
        config["route_metadata"] = json!("bearer_gate");
        config["requirement_map"] = json!({"users": {"provider_name": "authorization"}});
        config["rules"] = json!([
            {"match": {"prefix": "/alive"}, "requires": {"provider_name": "authorization"}},
            {"match": {"prefix": "/"}},
        ]);
        config
    };
    let matrix = Matrix::build(None, configure, |listener| {
        listener.hcm("route_config", routes.clone())
    });
    let refused = |path: &str, status: u16| {
        assert_refused(&matrix, path, &Message::get(PUBLIC_HOST, path), status);
    };
    refused("/api/admin", 401);
    refused("/empty", 403);
    refused("/null", 403);
    for path in ["/api;x/admin", "/api//admin", "/%61pi/admin", "/api;/admin"] {
        refused(path, 400);
    }
    for (protocol, answer) in matrix.send(&Message::get(PUBLIC_HOST, "/api/other?x=%61;//")) {
        assert_eq!(
            answer.map_or(0, |answer| answer.status),
            200,
            "{protocol:?}"
        );
    }
    matrix.is_alive();
}

/// What the filter sets is its own in trailers, too.
#[test]
fn a34_headers_of_the_filter_in_trailers() {
    let (matrix, _) = on_subjects();
    let field = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    let mut message = Message::get(PUBLIC_HOST, "/alive/x")
        .header("authorization", format!("Bearer {}", matrix.good));
    message.method = b"POST".to_vec();
    message.body = Some(b"hello".to_vec());
    message.trailers = vec![
        field("x-user", "admin"),
        field("x-other", "kept"),
        field("x_user", "admin"),
    ];
    for (protocol, answer) in matrix.send(&message) {
        let answer = answer.unwrap_or_else(|why| panic!("{protocol:?}: {why}"));
        assert_eq!(answer.status, 200, "{protocol:?}: {}", answer.text());
        let seen = answer.json();
        let trailers = seen["trailers"].to_string();
        assert_eq!(trailers, r#"[["x-other","kept"]]"#, "{protocol:?}");
        assert_eq!(seen["body"], "hello", "{protocol:?}");
    }
    // On a public route, and without a body.
    let mut message = Message::get(PUBLIC_HOST, "/exact/x");
    message.trailers = vec![field("x-user", "admin"), field("x-other", "kept")];
    for (protocol, answer) in matrix.send(&message) {
        let answer = answer.unwrap_or_else(|why| panic!("{protocol:?}: {why}"));
        let trailers = answer.json()["trailers"].to_string();
        assert_eq!(trailers, r#"[["x-other","kept"]]"#, "{protocol:?}");
    }
    matrix.is_alive();
}
