//! `explain`: steps, verdict and exit code; and what it never prints.

use super::{Files, Ran, root, run, run_with};

struct Setup {
    files: Files,
    config: String,
    keys: String,
    key: String,
}

impl Setup {
    fn new() -> Self {
        let files = Files::in_a_directory();
        let name = files.path().join("k").display().to_string();
        assert_eq!(run(&["keygen", "--alg", "ES256", "--out", &name]).code, 0);
        let config = files.with(
            "c.yaml",
            "providers:
  p:
    issuer: https://i.example/
    audiences: [api]
    remote_jwks:
      http_uri: {uri: http://127.0.0.1:1/jwks, cluster: c, timeout: 1s}
    claim_to_headers: [{header_name: x-user, claim_name: sub}]
rules:
- match: {prefix: /public}
- match: {prefix: /api}
  requires: {provider_name: p}
  authorize: {scopes: {all: [read]}}
",
        );
        Self {
            files,
            config,
            keys: format!("{name}.jwks.json"),
            key: format!("{name}.jwk.json"),
        }
    }

    fn token(&self, more: &[&str]) -> String {
        let mut arguments = vec!["token", "--key", &self.key];
        arguments.extend(["--claim", "iss=https://i.example/", "--claim", "sub=me"]);
        arguments.extend(more);
        run(&arguments).out.trim().to_owned()
    }

    fn explain(&self, more: &[&str]) -> Ran {
        let mut arguments = vec!["explain", "--config", &self.config];
        arguments.extend(more);
        run(&arguments)
    }
}

#[test]
fn each_verdict_with_its_reason() {
    let setup = Setup::new();
    let good = setup.token(&["--claim", "aud=api", "--scope", "read"]);
    let late = setup.token(&[
        "--claim",
        "aud=api",
        "--scope",
        "read",
        "--expires-in",
        "-90",
    ]);
    let other = setup.token(&["--claim", "aud=other", "--scope", "read"]);
    let weak = setup.token(&["--claim", "aud=api", "--scope", "readonly"]);
    let unknown = setup.token(&["--claim", "aud=api", "--scope", "read", "--kid", "x"]);
    let forged = format!("{}{}", &good[..good.len() - 4], "AAAA");
    let table = [
        ("/api", good.as_str(), 0, "", "the signature is good"),
        ("/public", "", 0, "", "the rule is public"),
        (
            "/api",
            "",
            1,
            "token_missing",
            "no token in header authorization",
        ),
        ("/api", &late, 1, "expired", "ago; leeway 60 s"),
        (
            "/api",
            &other,
            1,
            "audience",
            "aud is [\"other\"]; expected one of: [\"api\"]",
        ),
        (
            "/api",
            &weak,
            1,
            "insufficient_scope",
            "the token has scope \"readonly\"",
        ),
        (
            "/api",
            &unknown,
            1,
            "no_key",
            "the keys: kid bearer-gate-test-",
        ),
        (
            "/api",
            &forged,
            1,
            "signature",
            "tried: kid bearer-gate-test-",
        ),
        (
            "/api",
            "a.b",
            1,
            "not_three_parts",
            "with two dots and 3 sections",
        ),
        ("/other", &good, 1, "no_rule", "no rule matches"),
        ("//api", &good, 1, "unsafe_path", "has no single meaning"),
    ];
    for (path, token, code, reason, text) in table {
        let mut arguments = vec!["--path", path, "--jwks", &setup.keys];
        if !token.is_empty() {
            arguments.extend(["--token", token]);
        }
        let ran = setup.explain(&arguments);
        assert_eq!(ran.code, code, "{path} {reason}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
        arguments.push("--json");
        let report = setup.explain(&arguments).json();
        assert_eq!(report["reason"].as_str().unwrap_or_default(), reason);
        assert_eq!(report["response"].is_null(), code == 0);
    }
    let ran = setup.explain(&["--path", "/api", "--jwks", &setup.keys, "--token", &good]);
    assert!(ran.out.contains("x-user: me"), "{}", ran.out);
    assert!(ran.out.contains("authorization is removed"), "{}", ran.out);
}

/// What the decision did not look at is said to be so, and not judged by the tool.
#[test]
fn what_was_not_asked_is_said() {
    let setup = Setup::new();
    let keys = std::fs::read_to_string(&setup.keys).unwrap();
    let provider = |issuer: &str| serde_json::json!({"issuer": issuer, "audiences": ["api"], "local_jwks": {"inline_string": keys}});
    let any = serde_json::json!([{"provider_name": "p"}, {"provider_name": "q"}]);
    let config = serde_json::json!({
        "providers": {"p": provider("https://i.example/"), "q": provider("https://j.example/")},
        "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": any}}}],
    });
    let config = setup.files.with("any.json", &config.to_string());
    for (issuer, asked) in [
        ("iss=https://i.example/", "1 more not asked"),
        ("iss=https://j.example/", "provider q:"),
    ] {
        let mut arguments = vec!["token", "--key", &setup.key, "--claim", "aud=api"];
        arguments.extend(["--claim", issuer]);
        let token = run(&arguments).out.trim().to_owned();
        let ran = run(&["explain", "--config", &config, "--token", &token]);
        assert_eq!(ran.code, 0, "{}", ran.out);
        assert!(ran.out.contains(asked), "{}", ran.out);
        assert_ne!(
            ran.out.contains("not asked"),
            ran.out.contains("provider q:")
        );
    }
}

#[test]
fn the_token_is_printed_only_where_that_is_asked_for() {
    let setup = Setup::new();
    let token = setup.token(&["--claim", "aud=api", "--scope", "read"]);
    let signature = token.rsplit('.').next().unwrap();
    let bearer = format!("authorization: Bearer {token}");
    let with_query = format!("/api?access_token={token}");
    for more in [
        vec!["--token", token.as_str()],
        vec!["--header", &bearer],
        vec!["--token", &token, "--json"],
        vec!["--path", &with_query],
        vec!["--token", &token, "--path", "//"],
    ] {
        let mut arguments = vec!["--path", "/api", "--jwks", &setup.keys];
        if more.contains(&"--path") {
            arguments.drain(..2);
        }
        arguments.extend(more);
        let ran = setup.explain(&arguments);
        assert!(
            !ran.out.contains(signature) && !ran.err.contains(signature),
            "{}",
            ran.out
        );
    }
    for format in [&["--show-token"][..], &["--show-token", "--json"]] {
        let mut arguments = vec!["--path", "/api", "--token", &token];
        arguments.extend(format);
        assert!(setup.explain(&arguments).out.contains(&token));
    }
}

#[test]
fn a_token_from_standard_input() {
    let setup = Setup::new();
    let token = setup.token(&["--claim", "aud=api", "--scope", "read"]);
    let arguments = [
        "explain",
        "--config",
        &setup.config,
        "--path",
        "/api",
        "--jwks",
        &setup.keys,
        "--token",
        "-",
    ];
    for input in [format!("{token}\n"), format!("Bearer {token}")] {
        assert_eq!(run_with(&arguments, &input).code, 0);
    }
}

#[test]
fn without_keys_nothing_is_decided_that_keys_decide() {
    let setup = Setup::new();
    let good = setup.token(&["--claim", "aud=api", "--scope", "read"]);
    let ran = setup.explain(&["--path", "/api", "--token", &good]);
    assert_eq!(ran.code, 2, "{}", ran.out);
    assert!(
        ran.out.contains("undecided") && ran.err.contains("--jwks"),
        "{}",
        ran.err
    );
    // what no key can mend is said at once
    let late = setup.token(&["--claim", "aud=api", "--expires-in", "-90"]);
    assert_eq!(setup.explain(&["--path", "/api", "--token", &late]).code, 1);
    // nothing listens there
    let ran = setup.explain(&["--path", "/api", "--token", &good, "--fetch"]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(
        ran.out.contains("rejected: keys_unavailable"),
        "{}",
        ran.out
    );
}

#[test]
fn keys_are_fetched_as_the_filter_does() {
    use std::io::{BufRead, BufReader, Write};
    let setup = Setup::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}/", listener.local_addr().unwrap());
    let keys = std::fs::read_to_string(&setup.keys).unwrap();
    let metadata = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{issuer}keys"}}"#);
    let server = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            reader.read_line(&mut line).unwrap();
            let mut header = String::new();
            while reader.read_line(&mut header).unwrap() > 2 {
                header.clear();
            }
            let path = line.split(' ').nth(1).unwrap().to_owned();
            let (status, body) = match path.as_str() {
                "/keys" => ("200 OK", keys.as_str()),
                "/.well-known/oauth-authorization-server" => ("200 OK", metadata.as_str()),
                _ => ("404 Not Found", ""),
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            )
            .unwrap();
            asked.push(path);
        }
        asked
    });
    let config = setup.files.with(
        "d.yaml",
        &format!("providers:\n  p:\n    issuer: {issuer}\n    audiences: [api]\n    openid_discovery: {{cluster: c, timeout: 5s}}\nrules:\n- match: {{prefix: /}}\n  requires: {{provider_name: p}}\n"),
    );
    let iss = format!("iss={issuer}");
    let token = setup.token(&["--claim", "aud=api", "--claim", &iss]);
    let ran = run(&["explain", "--config", &config, "--token", &token, "--fetch"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(
        server.join().unwrap(),
        [
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server",
            "/keys"
        ]
    );
}

#[test]
fn the_configuration_has_to_be_good_and_one() {
    let setup = Setup::new();
    let bad = setup.files.with("bad.yaml", "rules:\n- macth: {}\n");
    let ran = run(&["explain", "--config", &bad]);
    assert_eq!(ran.code, 2);
    assert!(
        ran.err.contains("bad.yaml:2:3: rules[0].macth"),
        "{}",
        ran.err
    );
    let two = setup
        .files
        .with("two.yaml", "unmatched: allow\n---\nunmatched: deny\n");
    assert_eq!(run(&["explain", "--config", &two]).code, 2);
    assert_eq!(run(&["explain", "--config", &two, "--select", "0"]).code, 0);
    assert_eq!(run(&["explain", "--config", &two, "--select", "1"]).code, 1);
    assert_eq!(run(&["explain", "--config", &two, "--select", "2"]).code, 2);
}

/// Key documents as providers publish them, and a set of which no key can be used.
#[test]
fn keys_as_they_are_found() {
    let files = Files::in_a_directory();
    let config = files.with(
        "c.yaml",
        "providers:
  p:
    issuer: https://issuer.test/
    audiences: [api]
    remote_jwks:
      http_uri: {uri: https://issuer.test/jwks, cluster: idp, timeout: 2s}
rules:
- match: {prefix: /}
  requires: {provider_name: p}
",
    );
    let explain = |keys: &str, token: &str| {
        let arguments = [
            "explain", "--config", &config, "--jwks", keys, "--token", "-",
        ];
        run_with(&arguments, token)
    };
    let sets = root().join("tests/fixtures/sets");
    let mut seen = 0;
    for entry in std::fs::read_dir(sets).unwrap() {
        let path = entry.unwrap().path().display().to_string();
        let Some(name) = path.strip_suffix(".jwks.json") else {
            continue;
        };
        let token = std::fs::read_to_string(format!("{name}.jwt")).unwrap();
        let ran = explain(&path, &token);
        assert_eq!(ran.code, 0, "{name}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains("the signature is good"), "{name}");
        if name.ends_with("spiffe-bundle") {
            let skipped = "skipped key 0: use is neither sig nor jwt-svid";
            assert!(ran.out.contains(skipped), "{}", ran.out);
        }
        seen += 1;
    }
    assert_eq!(seen, 11);

    let token = include_str!("../../../tests/fixtures/sets/padded-modulus.jwt");
    for (name, document, expected) in [
        (
            "none.json",
            r#"{"keys":[{"kty":"RSA","use":"enc"},{"kty":"oct","k":"c2VjcmV0"}]}"#,
            "key 0: use is neither sig nor jwt-svid; key 1: kty oct is for local_jwks",
        ),
        ("empty.json", r#"{"keys":[]}"#, "[keys] is empty"),
        (
            "page.html",
            "<!doctype html><p>Sign in",
            "it is HTML or XML; it begins \"<!doctype html>",
        ),
        ("marked.json", "\u{feff}{\"keys\":[]}", "a byte order mark"),
        (
            "cut.json",
            r#"{"keys":[{"kty":"oct","k":"c2Vj"#,
            "an invalid JSON",
        ),
    ] {
        let ran = explain(&files.with(name, document), token);
        assert_eq!(ran.code, 2, "{name}: {}", ran.out);
        assert!(ran.err.contains(expected), "{name}: {}", ran.err);
        assert!(!ran.err.contains("c2Vj"), "a secret: {}", ran.err);
        // The same document in the configuration: the same reasons.
        let inline = serde_json::json!({
            "providers": {"p": {"any_issuer": true, "any_audience": true,
                "local_jwks": {"inline_string": document}}},
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "p"}}],
        });
        let ran = run(&["check", &files.with("inline.json", &inline.to_string())]);
        assert_eq!(ran.code, 1, "{name}: {}", ran.out);
        let reason = "providers.p.local_jwks.inline_string: Jwks";
        assert!(ran.out.contains(reason), "{name}: {}", ran.out);
        assert!(!ran.out.contains("c2Vj"), "a secret: {}", ran.out);
        if matches!(name, "none.json" | "empty.json") {
            assert!(ran.out.contains(expected), "{name}: {}", ran.out);
        }
    }
}

#[test]
fn what_is_no_token_is_told_apart() {
    let setup = Setup::new();
    let good = setup.token(&["--claim", "aud=api"]);
    let encrypted = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..a.b.c";
    let (start, end) = good.split_at(20);
    let table = [
        (encrypted.to_owned(), "it is encrypted"),
        ("ya29.a0AfH6".replace('.', "-"), "it is opaque"),
        (format!("\"{good}\""), "it is in quotes"),
        (
            format!("Authorization: Bearer {good}"),
            "it is a whole header line",
        ),
        (format!("{start}\n{end}"), "it is broken over lines"),
        (format!("{good}="), "it has padding"),
        ("undefined".to_owned(), "the client has no token"),
        ("$TOKEN".to_owned(), "it is a placeholder"),
        (format!("{start}..."), "it is cut"),
    ];
    for (token, expected) in table {
        for ran in [
            setup.explain(&["--path", "/api", "--token", &token]),
            run_with(
                &[
                    "explain",
                    "--config",
                    &setup.config,
                    "--path",
                    "/api",
                    "--token",
                    "-",
                ],
                &token,
            ),
        ] {
            assert_eq!(ran.code, 1, "{expected}: {}{}", ran.out, ran.err);
            let verdict = ran.out.lines().next().unwrap();
            assert!(verdict.contains(expected), "{expected}: {}", ran.out);
        }
    }
    let raw = format!("authorization: {good}");
    let cookie = format!("cookie: jwt={good}");
    let table = [
        (
            &["--header", raw.as_str(), "--path", "/api"],
            "present, but does not begin with \"Bearer \": it is a token alone",
        ),
        (
            &["--header", "x: y", "--path", "/api?access_token=x"],
            "(parameter access_token): it is looked for where from_params names it",
        ),
        (
            &["--header", cookie.as_str(), "--path", "/api"],
            "(cookie jwt): it is looked for where from_cookies names it",
        ),
        (
            &["--header", "authorization: Bearer", "--path", "/api"],
            "with nothing after Bearer: the client has no token",
        ),
    ];
    for (more, expected) in table {
        let ran = setup.explain(more);
        assert_eq!(ran.code, 1);
        let verdict = ran.out.lines().next().unwrap();
        assert!(verdict.contains(expected), "{}", ran.out);
    }
}

/// Both values, and in what they differ.
#[test]
fn an_issuer_without_its_slash_is_told() {
    let setup = Setup::new();
    let token = setup.token(&["--claim", "iss=https://i.example", "--claim", "aud=api"]);
    let ran = setup.explain(&["--path", "/api", "--token", &token]);
    assert_eq!(ran.code, 1, "{}", ran.out);
    let told = r#"iss is "https://i.example"; expected: "https://i.example/": the slash at the end is the only difference: `issuer` has it, the token has not"#;
    assert!(ran.out.contains(told), "{}", ran.out);
    assert!(ran.out.contains("what to do about issuer:"), "{}", ran.out);
}

#[test]
fn an_id_token_in_place_of_an_access_token_is_told() {
    let setup = Setup::new();
    for (audience, told) in [("aud=web", true), ("aud=api", false)] {
        let token = setup.token(&["--claim", audience, "--claim", "nonce=n"]);
        let ran = setup.explain(&["--path", "/api", "--token", &token]);
        let hint = "claims of ID tokens, which are for the client alone";
        assert_eq!(ran.out.contains(hint), told, "{}", ran.out);
    }
}

#[test]
fn the_whole_header_is_shown() {
    let setup = Setup::new();
    let good = setup.token(&["--claim", "aud=api", "--scope", "read"]);
    let ran = setup.explain(&["--path", "/api", "--jwks", &setup.keys, "--token", &good]);
    assert!(ran.out.contains(r#""typ":"JWT""#), "{}", ran.out);
    // {"alg":"RS256","kid":"k","nonce":"n","x5t":"t","typ":"JWT"}
    let (_, rest) = good.split_once('.').unwrap();
    let header = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsiLCJub25jZSI6Im4iLCJ4NXQiOiJ0IiwidHlwIjoiSldUIn0";
    let token = format!("{header}.{rest}");
    let ran = setup.explain(&["--path", "/api", "--jwks", &setup.keys, "--token", &token]);
    assert_eq!(ran.code, 1);
    assert!(ran.out.contains(r#""nonce":"n""#), "{}", ran.out);
    assert!(
        ran.out.contains("nobody but Graph can verify it"),
        "{}",
        ran.out
    );
}

#[test]
fn nothing_of_a_token_or_a_body_steers_who_reads() {
    let setup = Setup::new();
    let evil = "\u{9b}2J\u{202e}\u{200b}\u{2028}\u{1b}";
    let sub = format!("sub={evil}");
    let token = setup.token(&["--claim", "aud=api", "--scope", "read", "--claim", &sub]);
    let config = std::fs::read_to_string(&setup.config).unwrap()
        + "errors: {by_reason: {token_missing: {body: \"\\u009b\\u202e\", content_type: text/plain}}}\n";
    let config = setup.files.with("evil.yaml", &config);
    for more in [&["--token", token.as_str()][..], &[]] {
        for json in [&["--json"][..], &[]] {
            let mut arguments = vec!["explain", "--config", &config, "--path", "/api"];
            arguments.extend(["--jwks", &setup.keys]);
            arguments.extend(more);
            arguments.extend(json);
            let ran = run(&arguments);
            let steers = |c: char| {
                evil.chars()
                    .any(|bad| bad == c && !bad.is_ascii_alphanumeric())
            };
            assert!(!ran.out.contains(steers), "{:?}", ran.out);
            assert!(ran.out.contains("202e"), "{:?}", ran.out);
        }
    }
}

/// What only the filter sets is gone before a rule or a place of tokens looks at it.
#[test]
fn headers_that_only_the_filter_sets_decide_nothing() {
    let setup = Setup::new();
    let config = setup.files.with(
        "reserved.yaml",
        "providers:
  p:
    issuer: https://i.example/
    audiences: [api]
    remote_jwks:
      http_uri: {uri: http://127.0.0.1:1/jwks, cluster: c, timeout: 1s}
    claim_to_headers: [{header_name: x-user, claim_name: sub}]
rules:
- match: {prefix: /, headers: [{name: x-user, present_match: true}]}
- match: {prefix: /report, headers: [{name: x-bearer-gate-report, present_match: true}]}
- match: {prefix: /}
  requires: {provider_name: p}
  report_only: true
",
    );
    let table: &[(&str, &[&str], &str)] = &[
        ("/", &["X-User: me"], "x-user"),
        // many upstreams read it as X-User
        ("/", &["x_user: me"], "x_user"),
        (
            "/",
            &["x-user: a", "X_User: b", "x-user: c"],
            "x-user, x_user",
        ),
        (
            "/report",
            &["x-bearer-gate-report: token_missing"],
            "x-bearer-gate-report",
        ),
        ("/", &["x-other: me"], ""),
    ];
    for (path, headers, removed) in table {
        let mut arguments = vec!["explain", "--config", &config, "--path", path, "--json"];
        for header in *headers {
            arguments.extend(["--header", header]);
        }
        let report = run(&arguments).json();
        assert_eq!(report["reason"], "token_missing", "{headers:?} {report}");
        let steps = report["steps"].as_array().unwrap();
        let told = steps.iter().find(|step| step["step"] == "headers");
        let told = told.map_or("", |step| step["text"].as_str().unwrap());
        assert!(told.ends_with(removed), "{headers:?} {told}");
        assert_eq!(told.is_empty(), removed.is_empty(), "{headers:?}");
        let upstream = report["upstream"].as_array().unwrap();
        for name in removed.split(", ").filter(|name| !name.is_empty()) {
            let text = format!("the client's own {name} is removed");
            assert!(upstream.contains(&text.clone().into()), "{text}");
        }
    }
}

/// Each place of a token by its name, with the token in it, and what the upstream gets.
#[test]
fn places_are_named() {
    let setup = Setup::new();
    let token = setup.token(&["--claim", "aud=api"]);
    let rules = "rules:
- match: {prefix: /admin}
  requires: {provider_name: p}
- match: {prefix: /}
  requires: {provider_name: p}
  escaped_slashes: true
";
    for (field, words, removed) in [
        (
            "from_cookies: [{name: app, chunked: true}]",
            "cookie app or its chunks, app.0 and so on",
            "cookie is removed: it has the token",
        ),
        (
            "from_subprotocols: [{prefix: t., base64url: true}]",
            "WebSocket subprotocol after \"t.\", in base64url",
            "sec-websocket-protocol is removed: it has the token",
        ),
        (
            "from_basic: {username: git}",
            "password of Basic, of the name git",
            "authorization is removed: it has the token",
        ),
    ] {
        let provider = format!(
            "providers:
  p:
    issuer: https://i.example/
    audiences: [api]
    remote_jwks:
      http_uri: {{uri: http://127.0.0.1:1/jwks, cluster: c, timeout: 1s}}
    {field}
"
        );
        let config = setup.files.with("places.yaml", &(provider + rules));
        let explain = |path: &str, more: &[&str]| {
            let arguments = ["explain", "--config", &config, "--jwks", &setup.keys];
            run(&[&arguments[..], &["--path", path], more].concat())
        };
        let ran = explain("/a%2fb", &["--token", &token]);
        assert_eq!(ran.code, 0, "{}", ran.out);
        let read = "can be read as /a%2Fb and as /a/b; one rule is the first for both";
        for told in [words, removed, read] {
            assert!(ran.out.contains(told), "{told}: {}", ran.out);
        }
        let ran = explain("/%2Fadmin", &["--token", &token]);
        assert_eq!(ran.code, 1, "{}", ran.out);
        let ran = explain("/x%2F../y", &[]);
        assert_eq!(ran.code, 1, "{}", ran.out);
        let ran = explain("/admin%2Fx", &["--token", &token]);
        assert_eq!(ran.code, 1, "{}", ran.out);
        let told = "no rule with escaped_slashes is the first for both";
        assert!(ran.out.contains(told), "{}", ran.out);
        assert!(ran.out.contains("unsafe_path"), "{}", ran.out);
        let ran = explain("/a", &[]);
        let basic = ran.out.contains(r#"www-authenticate: Basic realm="api""#);
        assert_eq!(basic, field.starts_with("from_basic"), "{}", ran.out);
    }
}

/// The whole answer of a token endpoint in the place of the token.
#[test]
fn an_answer_of_a_token_endpoint_is_no_token() {
    let answer = r#"{"access_token": "eyJhbGciOiJSUzI1NiJ9.e30.abc", "token_type": "Bearer"}"#;
    let told = "as a token endpoint answers: give the value of its access_token";
    let file = "envoy/envoy-minimal.yaml";
    let explain = |option: &str, value: &str| {
        let arguments = [
            "explain", "--config", file, "--path", "/api/x", option, value,
        ];
        run_with(&arguments, answer)
    };
    for ran in [explain("--token", answer), explain("--token", "-")] {
        assert_eq!(ran.code, 2, "{}", ran.out);
        assert!(ran.err.contains(told), "{}", ran.err);
    }
    let header = format!("authorization: Bearer {answer}");
    let ran = explain("--header", &header);
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains(told), "{}", ran.out);
    assert!(ran.out.contains("several_tokens"), "{}", ran.out);
}
