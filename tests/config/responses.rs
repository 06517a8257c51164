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
        assert_eq!(config.responses.custom[name].status, Some(499));
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
            config.responses.custom["expired"],
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
            ".status: invalid type: string \"401\", expected a whole number from 0",
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
            "errors.format: unknown variant `xml`, expected one of `json`, `text`, `problem`",
        ),
        (
            json!({"errors": {"formt": "json"}}),
            "errors.formt: unknown field, did you mean format?",
        ),
        (
            json!({"errors": []}),
            "errors: invalid type: sequence, expected an object with format or by_reason",
        ),
    ];
    for (config, expected) in table {
        assert_eq!(refused(&config), expected, "{config}");
    }
}
