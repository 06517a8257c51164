//! What the transport brings: headers of every kind, and paths.

use bearer_gate_testbed::raw;
use serde_json::json;

use crate::requests::routes;
use crate::stage::{Stage, provider};

#[tokio::test]
async fn a1_to_a7_what_the_transport_brings() {
    let stage = Stage::start(routes);
    let good = stage.idp.good_token();
    let bearer = format!("Bearer {good}");
    let get = |values: &[&[u8]]| {
        let headers: Vec<(&str, &[u8])> = values.iter().map(|v| ("Authorization", *v)).collect();
        raw::get(stage.address(), "/api/private", &headers).unwrap()
    };
    // The scheme without case, at the start, and one or more spaces.
    for accepted in [
        format!("bearer {good}"),
        format!("BEARER {good}"),
        format!("Bearer   {good}"),
    ] {
        assert_eq!(get(&[accepted.as_bytes()]).status, 200, "{accepted}");
    }
    let passed = stage.upstream.requests();

    let plain = Some(r#"Bearer realm="api""#);
    for missing in [
        &b""[..],
        b"Basic dXNlcjpwYXNz",
        b"Bearer",
        b"Bearer ",
        format!("Bearer\t{good}").as_bytes(),
        format!("xBearer {good}").as_bytes(),
        format!("Basic x Bearer {good}").as_bytes(),
        good.as_bytes(),
    ] {
        let reply = get(&[missing]);
        assert_eq!(
            (reply.status, reply.header("www-authenticate")),
            (401, plain)
        );
    }
    for several in [
        &[bearer.as_bytes(), bearer.as_bytes()][..],
        &[bearer.as_bytes(), b"Bearer other"],
        &[b"Basic dXNlcjpwYXNz", bearer.as_bytes()],
        &[bearer.as_bytes(), b"Basic dXNlcjpwYXNz"],
    ] {
        let reply = get(several);
        assert_eq!(reply.status, 400);
        assert!(
            reply
                .header("www-authenticate")
                .unwrap()
                .contains(r#"error="invalid_request""#)
        );
    }
    let long = format!("Bearer {good}{}", "A".repeat(16 * 1024));
    for invalid in [
        &b"Bearer \xff"[..],
        &[bearer.as_bytes(), b"\xff"].concat(),
        &[b"Bearer ".as_slice(), &[0xff; 100]].concat(),
        long.as_bytes(),
        b"Bearer a b",
    ] {
        let reply = get(&[invalid]);
        assert_eq!(reply.status, 401);
        assert!(
            reply
                .header("www-authenticate")
                .unwrap()
                .contains(r#"error="invalid_token""#)
        );
    }
    let connect = raw::request(
        stage.address(),
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n",
    );
    assert_ne!(connect.map_or(0, |reply| reply.status), 200);
    let star = raw::request(
        stage.address(),
        b"OPTIONS * HTTP/1.1\r\nhost: testbed\r\nconnection: close\r\n\r\n",
    );
    assert_ne!(star.map_or(0, |reply| reply.status), 200);

    assert_eq!(stage.upstream.requests(), passed);
    assert_eq!(stage.traps(), 0);
    assert_eq!(get(&[bearer.as_bytes()]).status, 200, "the VM lives");
}

#[tokio::test]
async fn a29_no_spelling_of_a_protected_path_is_public() {
    let stage = Stage::start(|stage| {
        json!({
            "providers": {"demo": provider(stage, json!({}))},
            "rules": [
                {"match": {"prefix": "/admin"}, "requires": {"provider_name": "demo"}},
                {"match": {"prefix": "/public"}},
                {"match": {"path": "/"}},
            ],
        })
    });
    for path in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/.%2E/admin",
        "//admin",
        "/public/..;/admin",
        "/public/..;x=y/admin",
        "/public/..\\admin",
        "/public\\..\\admin",
        "/public/%2f../admin",
        "/public%2f..%2fadmin",
        "/public/%5c../admin",
        "/public/%252e%252e/admin",
        "/public/..%3b/admin",
        "/public/./../admin",
        "/public//../admin",
        "/%61dmin",
        "/admin;x=y",
        "/admin/",
        "/public/%00/../admin",
        "/public/../../admin",
        "/public/%",
        "/public/%zz",
        "/public\u{7f}",
    ] {
        let reply = raw::get(stage.address(), path, &[]);
        // Envoy itself refuses some of them.
        let status = reply.map_or(400, |reply| reply.status);
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    assert_eq!(stage.upstream.requests(), 0);
    for (path, headers) in [
        ("/", [("x-forwarded-uri", &b"/admin"[..])]),
        ("/public/a%20b;v=1", [("x-original-url", b"/admin")]),
    ] {
        assert_eq!(
            raw::get(stage.address(), path, &headers).unwrap().status,
            200,
            "{path}"
        );
    }
    for header in ["x-forwarded-uri", "x-original-url", "x-rewrite-url"] {
        let reply = raw::get(stage.address(), "/admin", &[(header, b"/public")]).unwrap();
        assert_eq!(reply.status, 401, "{header}");
    }
}
