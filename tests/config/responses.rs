//! What the configuration says of responses.

use bearer_gate::http::response::{Body, Custom, Format, Rejection};
use serde_json::{Value, json};

use super::{parse, refused};

fn by_reason(name: &str, custom: Value) -> Value {
    json!({"errors": {"by_reason": {name: custom}}})
}

#[test]
fn errors() {
    let defaults = parse(&json!({})).unwrap().responses;
    assert_eq!(defaults.format, Format::Json);
    assert!(defaults.custom.is_empty());
    for (name, format) in [
        ("json", Format::Json),
        ("text", Format::Text),
        ("problem", Format::Problem),
    ] {
        let config = parse(&json!({"errors": {"format": name}})).unwrap();
        assert_eq!(config.responses.format, format);
    }
    for name in Rejection::names() {
        let config = parse(&by_reason(name, json!({"status": 499}))).unwrap();
        assert_eq!(config.responses.custom.get(name).unwrap().status, Some(499));
    }
    let body = |text: &str, content_type: &str| {
        Some(Body {
            text: text.to_owned(),
            content_type: content_type.to_owned(),
        })
    };
    let html = "text/html; charset=utf-8";
    // (format, entry, status, body)
    let table = [
        ("json", json!({"status": 400.0}), Some(400), None),
        ("json", json!({"status": 599}), Some(599), None),
        (
            "json",
            json!({"body": "{\"a\": 1}"}),
            None,
            body("{\"a\": 1}", "application/json"),
        ),
        (
            "json",
            json!({"body": ""}),
            None,
            body("", "application/json"),
        ),
        (
            "text",
            json!({"body": "no"}),
            None,
            body("no", "text/plain"),
        ),
        (
            "problem",
            json!({"body": "{}"}),
            None,
            body("{}", "application/problem+json"),
        ),
        (
            "problem",
            json!({"status": 404, "body": "<p>\u{e9}</p>", "contentType": html}),
            Some(404),
            body("<p>\u{e9}</p>", html),
        ),
        (
            "json",
            json!({"body": "x".repeat(16_384), "content_type": "text/plain"}),
            None,
            body(&"x".repeat(16_384), "text/plain"),
        ),
    ];
    for (format, entry, status, body) in table {
        let config = json!({"errors": {"format": format, "byReason": {"expired": entry.clone()}}});
        let config = parse(&config).unwrap();
        assert_eq!(
            *config.responses.custom.get("expired").unwrap(),
            Custom { status, body },
            "{entry}"
        );
    }
}

#[test]
fn stripped() {
    assert!(!parse(&json!({})).unwrap().responses.strip);
    for (strip, errors) in [
        (
            false,
            json!({"format": "text", "by_reason": {"no_rule": {"body": ""}}}),
        ),
        (true, json!({"by_reason": {"no_rule": {"status": 404}}})),
    ] {
        let config = json!({"stripFailureResponse": strip, "errors": errors});
        assert_eq!(parse(&config).unwrap().responses.strip, strip);
    }
    for (errors, field) in [
        (json!({"format": "json"}), "format"),
        (json!({"include_reason": true}), "include_reason"),
        (
            json!({"by_reason": {"no_rule": {"status": 404, "body": ""}}}),
            "by_reason.no_rule.body",
        ),
    ] {
        assert_eq!(
            refused(&json!({"strip_failure_response": true, "errors": errors})),
            format!("errors.{field}: contradicts strip_failure_response")
        );
    }
}

#[test]
fn the_reason_is_a_member_where_a_body_has_members() {
    for (errors, include_reason) in [
        (json!({}), false),
        (json!({"include_reason": false, "format": "text"}), false),
        (json!({"include_reason": true}), true),
        (json!({"includeReason": true, "format": "problem"}), true),
    ] {
        let config = parse(&json!({"errors": errors})).unwrap();
        assert_eq!(config.responses.include_reason, include_reason, "{errors}");
    }
    assert_eq!(
        refused(&json!({"errors": {"include_reason": true, "format": "text"}})),
        "errors.include_reason: needs the format json or problem: a text has no members"
    );
}

#[test]
fn refuses_errors() {
    let status = ".status: must be 400 to 599; 405, 407 and 426 need a header that is not sent";
    let media_type =
        ".content_type: is not a media type, as text/html; charset=utf-8, of 256 bytes at most";
    let table = [
        (json!({}), ": one of status and body is required"),
        (
            json!({"content_type": "text/html"}),
            ".content_type: needs body",
        ),
        (
            json!({"status": 401, "content_type": "text/html"}),
            ".content_type: needs body",
        ),
        (json!({"status": 399}), status),
        (json!({"status": 200}), status),
        (json!({"status": 302}), status),
        (json!({"status": 600}), status),
        (json!({"status": 0}), status),
        (json!({"status": 4_294_967_697_u64}), status),
        (json!({"status": 405}), status),
        (json!({"status": 407}), status),
        (json!({"status": 426}), status),
        (
            json!({"status": "401"}),
            ".status: invalid type: string, expected a whole number from 0",
        ),
        (
            json!({"body": "x".repeat(16_385), "content_type": "text/plain"}),
            ".body: must be 16384 bytes at most",
        ),
        (
            json!({"body": "no"}),
            ".body: is not JSON, and its content_type is application/json",
        ),
        (
            json!({"body": "{} x", "content_type": "application/Vnd.x+JSON; a=b"}),
            ".body: is not JSON, and its content_type is application/Vnd.x+JSON; a=b",
        ),
        (json!({"body": "x", "content_type": ""}), media_type),
        (json!({"body": "x", "content_type": "html"}), media_type),
        (json!({"body": "x", "content_type": "text/"}), media_type),
        (json!({"body": "x", "content_type": "/html"}), media_type),
        (
            json!({"body": "x", "content_type": "text/html;"}),
            media_type,
        ),
        (
            json!({"body": "x", "content_type": "text/html\r\nset-cookie: a=b"}),
            media_type,
        ),
        (
            json!({"body": "x", "content_type": "text/html; a=b\r\nset-cookie: a=b"}),
            media_type,
        ),
        (
            json!({"body": "x", "content_type": format!("text/{}", "x".repeat(252))}),
            media_type,
        ),
        (
            json!({"bodi": "x"}),
            ".bodi: unknown field, did you mean body?",
        ),
        (
            json!(null),
            ": invalid type: null, expected an object with status or body",
        ),
    ];
    for (entry, expected) in table {
        assert_eq!(
            refused(&by_reason("expired", entry.clone())),
            format!("errors.by_reason.expired{expected}"),
            "{entry}"
        );
    }
    let table = [
        (
            by_reason("token_mising", json!({"status": 404})),
            "errors.by_reason.token_mising: unknown reason, did you mean token_missing?",
        ),
        (
            by_reason("Invalid-Token", json!({"status": 404})),
            "errors.by_reason.Invalid-Token: unknown reason, did you mean invalid_token?",
        ),
        (
            by_reason("teapot", json!({"status": 418})),
            "errors.by_reason.teapot: unknown reason",
        ),
        (
            json!({"errors": {"format": "xml"}}),
            "errors.format: unknown variant, expected one of `json`, `text`, `problem`",
        ),
        (
            json!({"errors": {"formt": "json"}}),
            "errors.formt: unknown field, did you mean format?",
        ),
        (
            json!({"errors": []}),
            "errors: invalid type: sequence, expected an object with format, include_reason or by_reason",
        ),
    ];
    for (config, expected) in table {
        assert_eq!(refused(&config), expected, "{config}");
    }
}

/// The document that a client gets.
fn document(resource: &Value) -> Option<Value> {
    let config = parse(&json!({"protected_resource": resource})).ok()?;
    let resource = config.protected_resource?;
    let path = resource.path().as_bytes();
    let answer = resource.answer(Some(path), Some(b"GET"))?;
    serde_json::from_str(&answer.body).ok()
}

#[test]
fn protected_resource() {
    let none = parse(&json!({})).unwrap();
    assert_eq!(none.protected_resource, None);
    assert_eq!(none.responses.resource_metadata, None);

    let whole = json!({
        "resource": "https://api.example.com:8443/mcp",
        "authorization_servers": ["https://a.example/", "https://b.example/realms/x", "http://127.0.0.1:9000"],
        "scopes_supported": ["read:messages", "!#~"],
        "bearer_methods_supported": ["header", "query"],
        "resource_name": "Messages \u{2014} \"all\"",
        "resource_documentation": "http://docs.example.com/?x=y",
    });
    assert_eq!(document(&whole), Some(whole.clone()));
    let config = parse(&json!({"protectedResource": whole})).unwrap();
    assert_eq!(
        config.responses.resource_metadata.as_deref(),
        Some("https://api.example.com:8443/.well-known/oauth-protected-resource/mcp")
    );
    // What is given only is in it, and as it is written: clients compare the text.
    for resource in [
        "https://a.example",
        "https://a.example/",
        "https://a.example/caf%C3%A9/",
        "http://localhost:10000/mcp",
        "http://[::1]/",
    ] {
        assert_eq!(
            document(&json!({"resource": resource})),
            Some(json!({"resource": resource}))
        );
    }
    // The numbers of a Struct are doubles.
    let additional = json!({"resource": "https://a.example", "additional": {
        "resource_name#nl": "Berichten",
        "dpop_bound_access_tokens_required": false,
        "": {"a": [5.0, -5.0, 5.5, 1e300, {"b": 9_007_199_254_740_992.0}, 9_007_199_254_740_993_u64]},
    }});
    assert_eq!(
        document(&additional).unwrap().to_string(),
        r#"{"":{"a":[5,-5,5.5,1e+300,{"b":9007199254740992},9007199254740993]},"dpop_bound_access_tokens_required":false,"resource":"https://a.example","resource_name#nl":"Berichten"}"#
    );
    let camel = json!({
        "resource": "https://a.example", "authorizationServers": ["https://b.example"],
        "scopesSupported": ["a"], "bearerMethodsSupported": [], "resourceName": "n",
        "resourceDocumentation": "https://c.example",
    });
    assert_eq!(document(&camel).unwrap().as_object().unwrap().len(), 6);
}

#[test]
fn refuses_a_protected_resource() {
    let https = "must be https, unless the host is localhost or a loopback address";
    let resources = [
        (json!(null), "required: the https URL that clients use"),
        (json!(""), "must start with http:// or https://"),
        (
            json!("api.example.com"),
            "must start with http:// or https://",
        ),
        (json!("http://api.example.com"), https),
        (json!("https://a.example/#x"), "must not have a fragment"),
        (json!("https://a.example/?x=y"), "must not have a query"),
        (
            json!("https://u:p@a.example/"),
            "must not hold a user name or password",
        ),
        (
            json!("https://a.example/\", error=\"x"),
            "has a character that a URI cannot have",
        ),
        (
            json!("https://a.example/\r\nset-cookie: x"),
            "has a character that a URI cannot have",
        ),
        (
            json!("HTTPS://a.example/"),
            "must have its scheme and host in lower case",
        ),
        (
            json!("https://A.example/"),
            "must have its scheme and host in lower case",
        ),
        (
            json!("https://a.example/b/../c"),
            "has a path that has a dot segment",
        ),
        (
            json!("https://a.example/b;c=d"),
            "must have its path without parameters and needless escapes, here /b",
        ),
        (
            json!("https://a.example/%62"),
            "must have its path without parameters and needless escapes, here /b",
        ),
    ];
    for (resource, expected) in resources {
        let mut fields = json!({"resource_name": "n"});
        super::merge(&mut fields, json!({"resource": resource}));
        assert_eq!(
            refused(&json!({"protected_resource": fields})),
            format!("protected_resource.resource: {expected}"),
            "{fields}"
        );
    }
    let table = [
        (
            json!({"authorization_servers": []}),
            ".authorization_servers: must not be empty".to_owned(),
        ),
        (
            json!({"authorization_servers": ["https://a.example", "http://b.example"]}),
            format!(".authorization_servers[1]: {https}"),
        ),
        (
            json!({"authorization_servers": ["https://a.example/?x"]}),
            ".authorization_servers[0]: must not have a query".to_owned(),
        ),
        (
            json!({"authorization_servers": ["tenant"]}),
            ".authorization_servers[0]: must start with http:// or https://".to_owned(),
        ),
        (
            json!({"scopes_supported": []}),
            ".scopes_supported: must not be empty".to_owned(),
        ),
        (
            json!({"scopes_supported": ["a", "b c"]}),
            ".scopes_supported[1]: is not a scope: one or more printable ASCII characters without space, \" and \\".to_owned(),
        ),
        (
            json!({"bearer_methods_supported": ["body"]}),
            ".bearer_methods_supported[0]: unknown variant, expected `header` or `query`"
                .to_owned(),
        ),
        (
            json!({"resource_name": ""}),
            ".resource_name: must not be empty".to_owned(),
        ),
        (
            json!({"resource_documentation": "docs"}),
            ".resource_documentation: must start with http:// or https://".to_owned(),
        ),
        (
            json!({"additional": {"resource": "https://b.example"}}),
            ".additional.resource: has a field of its own".to_owned(),
        ),
        (
            json!({"additional": {"x": null}}),
            ".additional.x: must not be null: leave it out".to_owned(),
        ),
        (
            json!({"additional": {"x": "y".repeat(65_536)}}),
            ": makes a document of more than 65536 bytes".to_owned(),
        ),
        (
            json!({"scope_supported": ["a"]}),
            ".scope_supported: unknown field, did you mean scopes_supported?".to_owned(),
        ),
    ];
    for (fields, expected) in table {
        let mut resource = json!({"resource": "https://a.example"});
        super::merge(&mut resource, fields);
        assert_eq!(
            refused(&json!({"protected_resource": resource})),
            format!("protected_resource{expected}")
        );
    }
}
