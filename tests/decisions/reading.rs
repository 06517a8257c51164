//! Rules and places compare a part as upstreams read it, or the request is refused
//! (SECURITY A33).

use serde_json::json;

use super::{bearer, config, config_with, forged, outcome, request, token_from};
use bearer_gate::http::request::Request;

/// HTTP/2 and HTTP/3 hand over the white space around values.
#[test]
fn a33_white_space_around_a_value_hides_no_token() {
    let optional = config(json!({"allow_missing": {}}), json!({}));
    let (good, bad) = (bearer(&token_from("a")), bearer(&forged("a")));
    for space in ["", " ", "\t", "  \t "] {
        for (authorization, expected) in [
            (format!("{space}{bad}"), "signature"),
            (format!("{bad}{space}"), "signature"),
            (format!("{space}{good}"), "ok x-a=s -authorization"),
            (format!("{good}{space}"), "ok x-a=s -authorization"),
        ] {
            let headers = [("authorization", authorization.as_str())];
            assert_eq!(
                outcome(&optional, &request(&headers)),
                expected,
                "{headers:?}"
            );
        }
    }
    // nor does any other octet at which some upstream splits
    for separator in ["\t", " \t", "\u{a0}", "\u{85}", "\u{2003}", "=", ":"] {
        for before in ["", "\u{a0}", "\u{feff}"] {
            let authorization = format!("{before}Bearer{separator}{}", forged("a"));
            let found = outcome(&optional, &request(&[("authorization", &authorization)]));
            assert!(found.starts_with("header_"), "{authorization:?}: {found}");
        }
    }
    assert_eq!(
        outcome(&optional, &request(&[("authorization", " ")])),
        "ok"
    );
}

/// The upstream sees only the token that was verified.
#[test]
fn a33_a_good_token_beside_a_hidden_one() {
    let config = config(json!({"provider_name": "b"}), json!({}));
    let (good, bad) = (token_from("b"), forged("b"));
    let (cookie, jwt) = (format!("s={good}"), format!(" JWT {bad}"));
    assert_eq!(
        outcome(&config, &request(&[("cookie", &cookie)])),
        "ok x-b=s -cookie"
    );
    let twice = format!("/x?t={bad}");
    let (upper, comma) = (format!("{cookie}; S={bad}"), format!("{cookie},s={bad}"));
    let (semicolon, spelt) = (format!("/x?a=1;t={bad}"), format!("/x?T={bad}"));
    // PHP ends a name at a NUL, its own server leaves out the second `?`, and others read lists
    let (ended, asked) = (format!("/x?t%00x={bad}"), format!("/x??t={bad}"));
    let (listed, indexed) = (format!("/x?t%5B%5D={bad}"), format!("{cookie}; s[0]={bad}"));
    for (other, expected) in [
        (
            [("x-token", jwt.as_str()), ("cookie", &cookie)],
            "several_tokens",
        ),
        ([(":path", &twice), ("cookie", &cookie)], "several_tokens"),
        ([("x_token", &bad), ("cookie", &cookie)], "unsafe_header"),
        ([(":path", &semicolon), ("cookie", &cookie)], "unsafe_query"),
        ([(":path", &spelt), ("cookie", &cookie)], "unsafe_query"),
        ([(":path", &ended), ("cookie", &cookie)], "unsafe_query"),
        ([(":path", &listed), ("cookie", &cookie)], "unsafe_query"),
        ([(":path", &asked), ("cookie", &cookie)], "unsafe_query"),
        ([("x-a", ""), ("cookie", &indexed)], "unsafe_header"),
        ([("x-a", ""), ("cookie", &upper)], "unsafe_header"),
        ([("x-a", ""), ("cookie", &comma)], "unsafe_header"),
        // a list, in a header that should have one token
        ([("x-a", ""), ("x-token", "chat, a.b.c")], "token_list"),
    ] {
        assert_eq!(outcome(&config, &request(&other)), expected, "{other:?}");
    }
}

#[test]
fn a33_a_matcher_sees_what_the_upstream_sees() {
    let rules = |matcher: serde_json::Value| {
        json!({"rules": [
            {"match": matcher, "requires": {"provider_name": "a"}},
            {"match": {"prefix": "/"}},
        ]})
    };
    let public = json!({"match": {"prefix": "/"}});
    let by_header = config_with(
        public.clone(),
        rules(
            json!({"prefix": "/", "headers": [{"name": "x-mode", "string_match": {"exact": "admin"}}]}),
        ),
    );
    for (name, value, expected) in [
        ("x-mode", "admin", "token_missing"),
        ("x-mode", " admin", "token_missing"),
        ("x-mode", "admin\t", "token_missing"),
        ("x-mode", "\u{a0}admin", "unsafe_header"),
        ("x_mode", "admin", "unsafe_header"),
        ("x.mode", " admin", "unsafe_header"),
        ("x-mode", "user", "ok"),
        ("x_mode", "user", "ok"),
        ("x-modes", "admin", "ok"),
    ] {
        assert_eq!(
            outcome(&by_header, &request(&[(name, value)])),
            expected,
            "{name}: {value:?}"
        );
    }
    let twice = [("x-mode", "user"), ("x-mode", "admin")];
    assert_eq!(outcome(&by_header, &request(&twice)), "unsafe_header");

    let by_parameter = config_with(
        public.clone(),
        rules(
            json!({"prefix": "/", "query_parameters": [{"name": "mode", "string_match": {"exact": "admin"}}]}),
        ),
    );
    for (query, expected) in [
        ("mode=admin", "token_missing"),
        ("mode%00x=admin", "unsafe_query"),
        ("mode%00=admin", "unsafe_query"),
        ("mode[]=admin", "unsafe_query"),
        ("mode=user&mode%5B0%5D=admin", "unsafe_query"),
        ("?mode=admin", "unsafe_query"),
        ("mode=admin\u{a0}", "unsafe_query"),
        ("mode=admin\u{85}", "unsafe_query"),
        ("mode=user\u{a0}", "ok"),
        ("mode[]=user", "ok"),
        ("filter[mode]=admin", "ok"),
        ("modes[]=admin&mode=user", "ok"),
    ] {
        let path = format!("/x?{query}");
        assert_eq!(
            outcome(&by_parameter, &request(&[(":path", &path)])),
            expected,
            "{query}"
        );
    }

    let by_method = config_with(
        public.clone(),
        rules(json!({"prefix": "/", "headers": [{"name": ":method", "exact_match": "POST"}]})),
    );
    let by_methods = config_with(public, rules(json!({"prefix": "/", "methods": ["POST"]})));
    for config in [by_method, by_methods] {
        for (method, expected) in [
            ("POST", "token_missing"),
            ("GET", "ok"),
            ("post", "unsafe_method"),
            ("Post", "unsafe_method"),
            ("get", "unsafe_method"),
        ] {
            assert_eq!(
                outcome(&config, &request(&[(":method", method)])),
                expected,
                "{method}"
            );
        }
    }
}

/// Whatever `unmatched` says, a missing path is not a path that no rule matches.
#[test]
fn a33_a_request_without_a_path_is_for_no_rule_but_connects() {
    let rule = json!({"match": {"prefix": "/"}, "requires": {"provider_name": "a"}});
    let connect = Request::new(vec![(":method".into(), b"CONNECT".to_vec())]);
    for unmatched in ["allow", "deny"] {
        let config = config_with(rule.clone(), json!({"unmatched": unmatched}));
        assert_eq!(outcome(&config, &connect), "unsafe_path", "{unmatched}");
    }
}

/// Envoy chooses the route by the path as it was sent, and by the host with its dot.
#[test]
fn a33_a_route_is_not_evaded_by_another_spelling() {
    let config = config_with(
        json!({"match": {"prefix": "/"}}),
        json!({"requirement_map": {"users": {"provider_name": "a"}}, "route_metadata": "ns"}),
    );
    let on_route = |name: Option<&str>, path, authority| {
        let headers = [(":path", path), (":authority", authority)];
        let name = name.map(|name| name.as_bytes().to_vec());
        outcome(&config, &request(&headers).on_route_with(name))
    };
    for (path, authority, expected) in [
        ("/api/admin", "a.example", "ok"),
        ("/api/admin?x=1;y/../", "A.example:8080", "ok"),
        ("/.well-known/a%20b", "a.example", "ok"),
        ("/api;x/admin", "a.example", "unsafe_path"),
        ("/api//admin", "a.example", "unsafe_path"),
        ("/api/%61dmin", "a.example", "unsafe_path"),
        ("/api/admin", "a.example.", "unsafe_host"),
        ("/api/admin", "a.example.:80", "unsafe_host"),
        ("/api/admin", "a.example,b.example", "unsafe_host"),
        ("/api/admin", "", "unsafe_host"),
    ] {
        assert_eq!(
            on_route(None, path, authority),
            expected,
            "{path} {authority}"
        );
        let named = if expected == "ok" {
            "token_missing"
        } else {
            expected
        };
        assert_eq!(
            on_route(Some("users"), path, authority),
            named,
            "{path} {authority}"
        );
    }
    assert_eq!(on_route(Some(""), "/", "a.example"), "no_rule");
}

#[test]
fn a33_a_preflight_is_read_as_upstreams_read_it() {
    let config = config(
        json!({"provider_name": "a"}),
        json!({"bypass_cors_preflight": true}),
    );
    let preflight = |method, origin, asked| {
        let headers = [
            (":method", method),
            ("origin", origin),
            ("access-control-request-method", asked),
        ];
        outcome(&config, &request(&headers))
    };
    assert_eq!(preflight("OPTIONS", "https://a.example", "POST"), "ok");
    assert_eq!(preflight("OPTIONS", " ", "POST"), "token_missing");
    assert_eq!(
        preflight("OPTIONS", "https://a.example", "\t"),
        "token_missing"
    );
    assert_eq!(
        preflight("options", "https://a.example", "POST"),
        "token_missing"
    );
    assert_eq!(
        preflight(" OPTIONS", "https://a.example", "POST"),
        "token_missing"
    );
}
