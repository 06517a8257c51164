//! `explain` for people who sign in: why a cookie is no session, what is in one that is, and what
//! becomes of the request.

use bearer_gate::config::SameSite;
use bearer_gate::http::request::Request;
use bearer_gate::session::cookie::Cookie;
use bearer_gate::session::flow::{Browser, Flow};
use bearer_gate::session::life::{Session, Tokens};
use bearer_gate::session::seal::{self, Keyring};

use super::{Files, Ran, run, run_with};

const KEY: &str = "a key of thirty-two octets or more";
const OTHER_KEY: &str = "another key of thirty-two octets or more";
const HOST: &str = "app.example";
const NOW: u64 = 1_800_000_000;

fn config(keys: &str) -> String {
    let scheme = |name: &str| {
        format!(
            "    {name}:
      provider_name: p
      credentials: {{client_id: web}}
      auth_type: NONE
      authorization_endpoint: https://idp.example/authorize
      token_endpoint: {{uri: https://idp.example/token, cluster: idp, timeout: 5s}}
      callback_path: /{name}/callback
      signin_path: /{name}/sign-in
      signout_path: /{name}/sign-out
      session_path: /{name}/session
      session: {{idle_timeout: 1800s}}
"
        )
    };
    format!(
        "providers:
  p:
    issuer: https://idp.example/
    audiences: [api]
    remote_jwks: {{http_uri: {{uri: https://idp.example/jwks, cluster: idp, timeout: 5s}}}}
sign_in:
  cookie_keys: [{keys}]
  allowed_redirect_domains: [{HOST}, other.example]
  schemes:
{}{}rules:
- match: {{prefix: /public}}
- match: {{prefix: /}}
  requires: {{session: staff}}
",
        scheme("staff"),
        scheme("guests")
    )
}

fn inline(key: &str) -> String {
    format!("{{inline_string: {key}}}")
}

fn ring(key: &str) -> Keyring {
    Keyring::new(&[key]).unwrap()
}

fn scope(scheme: &str) -> String {
    seal::scope(scheme, "https://idp.example/", "web")
}

fn session() -> Session {
    Session {
        issuer: None,
        id: [1; 16],
        scope: scope("staff"),
        subject: "alice".to_owned(),
        sid: Some("sid-1".to_owned()),
        auth_time: Some(NOW - 600),
        acr: None,
        started: NOW - 600,
        issued: NOW - 600,
        seen: NOW - 60,
        idle: Some(1800),
        expires: NOW + 28_200,
        claims: "{\"email\":\"alice@example.com\",\"sub\":\"alice\"}".to_owned(),
        tokens: Some(Tokens {
            access: Some("secret-access".to_owned()),
            access_expires: Some(NOW + 300),
            refresh: None,
            id: Some("secret-id".to_owned()),
        }),
        refreshing: None,
        first_sid: None,
    }
}

/// The value of a session's cookie.
fn value(session: &Session, key: &str, host: &str) -> String {
    let sealed = session.seal(&ring(key), host, [7; 24]);
    bearer_gate::jose::base64url::encode(&sealed)
}

fn staff(value: &str) -> String {
    format!("__Host-Http-bg_session_staff={value}")
}

struct Stage {
    files: Files,
}

impl Stage {
    fn explain(&self, keys: &str, more: &[&str]) -> Ran {
        let config = self.files.with("c.yaml", &config(keys));
        let at = NOW.to_string();
        let mut arguments = vec!["explain", "--config", &config, "--at", &at];
        arguments.extend(more);
        run(&arguments)
    }
}

fn stage() -> Stage {
    Stage {
        files: Files::in_a_directory(),
    }
}

#[test]
fn what_is_in_a_session_that_opens() {
    let stage = stage();
    let cookie = staff(&value(&session(), KEY, HOST));
    let ran = stage.explain(&inline(KEY), &["--host", HOST, "--cookie", &cookie]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    for expected in [
        "a session by staff",
        "sub is alice",
        "signed in 10 min ago, last seen 60 s ago, ends in 29 min if nothing is heard of it, and in 8 h at the latest",
        "keeps the claims email, sub",
        "keeps the ID token, the access token, which ends in 5 min",
        "admitted",
    ] {
        assert!(ran.out.contains(expected), "{expected}: {}", ran.out);
    }
    for secret in ["secret-", "alice@example.com", "sid-1", &cookie[40..]] {
        assert!(!ran.out.contains(secret), "{secret}: {}", ran.out);
    }
    // Pasted with the name of the header, or from standard input.
    let line = format!("Cookie: a=b; {cookie}; c=d");
    let ran = stage.explain(&inline(KEY), &["--host", HOST, "--cookie", &line]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    let file = stage.files.with("c.yaml", &config(&inline(KEY)));
    let at = NOW.to_string();
    let arguments = [
        "explain", "--config", &file, "--at", &at, "--host", HOST, "--cookie", "-",
    ];
    assert_eq!(run_with(&arguments, &line).code, 0);
    // A script reads the same.
    let path = format!("https://{HOST}/staff/session");
    let ran = stage.explain(&inline(KEY), &["--path", &path, "--cookie", &cookie]);
    assert!(
        ran.out.contains("sub is alice") && ran.out.contains("answered"),
        "{}",
        ran.out
    );
}

#[test]
fn why_a_cookie_is_no_session() {
    let stage = stage();
    let good = value(&session(), KEY, HOST);
    let with = |change: &dyn Fn(&mut Session)| {
        let mut session = session();
        change(&mut session);
        staff(&value(&session, KEY, HOST))
    };
    let large = Session {
        claims: format!("{{\"sub\":\"alice\",\"x\":\"{}\"}}", "x".repeat(5000)),
        ..session()
    };
    let cookie = Cookie::of_session("staff", None, SameSite::Lax, 12_288).unwrap();
    let sealed = large.seal(&ring(KEY), HOST, [7; 24]);
    let lines = cookie
        .set(&sealed, None, &Request::new(Vec::new()))
        .unwrap();
    let chunks: Vec<&str> = lines
        .iter()
        .map(|line| line.split(';').next().unwrap())
        .collect();
    let browser = Browser::new([2; 16]);
    let flow = Flow::begin(&ring(KEY), &scope("staff"), "/", &browser, [3; 16], NOW);
    let state = flow.send(&ring(KEY), &browser, [4; 24]).unwrap().state;
    let table: &[(String, &[&str])] = &[
        (
            staff(&value(&session(), OTHER_KEY, HOST)),
            &[
                "not among cookie_keys",
                "it was removed, or another gateway",
            ],
        ),
        (
            staff(&value(&session(), KEY, "other.example")),
            &[
                "do not open",
                "sealed for the host other.example, and is read for app.example",
            ],
        ),
        (
            with(&|session| session.scope = scope("guests")),
            &["do not open", "sealed for the scheme guests"],
        ),
        (
            staff(&format!("{}A", &good[..good.len() - 1])),
            &["do not open", "altered, cut or put together wrong"],
        ),
        (staff(&good[..60]), &["do not open", "altered, cut"]),
        (
            staff(&format!("B{}", &good[1..])),
            &[
                "do not open",
                "begins with 5, and what this version of the filter seals begins with 1",
            ],
        ),
        (
            staff(&state),
            &["do not open", "it is a state, of a sign-in by staff"],
        ),
        (staff("~~~"), &["are not base64url"]),
        (
            with(&|session| session.seen = NOW - 3600 + 1000 - 3600),
            &["in the future"],
        ),
        (
            with(&|session| {
                session.started = NOW - 9000;
                session.seen = NOW - 1800;
            }),
            &["for idle_timeout"],
        ),
        (
            with(&|session| session.expires = NOW),
            &["has reached max_duration"],
        ),
        (
            with(&|session| {
                session.started = NOW + 600;
                session.seen = NOW + 600;
            }),
            &["in the future: a clock is wrong"],
        ),
        (format!("{0}; {0}", staff(&good)), &["are there twice"]),
        (chunks[0].to_owned(), &["lack a chunk"]),
        (
            format!("{}; {}", chunks.join("; "), staff("x")),
            &["have a chunk too many"],
        ),
        (
            chunks.join("; ").replace(".0=2.", ".0=x."),
            &["do not begin with the number"],
        ),
        (
            staff(&"x".repeat(13_000)),
            &["larger than cookie.max_bytes"],
        ),
        (
            format!("bg_session_staff={good}"),
            &[
                "no cookie __Host-Http-bg_session_staff",
                "is called __Host-Http-bg_session_staff",
            ],
        ),
    ];
    for (cookie, expected) in table {
        let ran = stage.explain(&inline(KEY), &["--host", HOST, "--cookie", cookie]);
        assert_eq!(ran.code, 1, "{expected:?}: {}", ran.out);
        for part in *expected {
            assert!(ran.out.contains(part), "{part}: {}", ran.out);
        }
    }
    // Keys that are not where the tool runs.
    let cookie = staff(&good);
    let variable = "{environment_variable: BG_KEY_THAT_IS_NOWHERE}";
    let ran = stage.explain(variable, &["--host", HOST, "--cookie", &cookie]);
    assert!(
        ran.out.contains("BG_KEY_THAT_IS_NOWHERE is not set here"),
        "{}",
        ran.out
    );
    // Another host than the one that it was made for.
    let ran = stage.explain(&inline(KEY), &["--cookie", &cookie]);
    assert!(ran.out.contains("--host"), "{}", ran.out);
}

#[test]
fn what_becomes_of_the_request() {
    let stage = stage();
    let cookie = staff(&value(&session(), KEY, HOST));
    let html = "accept: text/html";
    let callback = |state: &str| {
        format!("https://{HOST}/staff/callback?code=1&iss=https://idp.example/&state={state}")
    };
    let browser = Browser::new([2; 16]);
    let begun = |at| {
        let flow = Flow::begin(
            &ring(KEY),
            &scope("staff"),
            "/orders",
            &browser,
            [3; 16],
            at,
        );
        flow.send(&ring(KEY), &browser, [4; 24]).unwrap().state
    };
    let known = format!("__Host-Http-bg_browser={}", browser.value());
    let (fresh, stale) = (callback(&begun(NOW - 5)), callback(&begun(NOW - 700)));
    let table: [(&[&str], i32, &[&str]); 10] = [
        (
            &["--header", html],
            1,
            &[
                "redirected",
                "303",
                "location: https://idp.example/authorize?",
            ],
        ),
        (&[], 1, &["rejected: session_missing", "401"]),
        (
            &["--method", "POST", "--cookie", &cookie],
            1,
            &["rejected: cross_site", "403"],
        ),
        (
            &["--path", "/staff/sign-in"],
            1,
            &["redirected", "idp.example"],
        ),
        (&["--path", "/staff/session"], 1, &["401"]),
        (
            &["--path", &callback("x")],
            1,
            &["state is not ours", "state_invalid", "answer"],
        ),
        (
            &["--path", &callback(&format!("{}A", begun(NOW)))],
            1,
            &["state_invalid"],
        ),
        (
            &["--path", &fresh],
            1,
            &[
                "state is ours: a sign-in that began 5 s ago, for /orders",
                "no cookie bg_browser",
                "redirected",
            ],
        ),
        (
            &["--path", &stale, "--cookie", &known],
            1,
            &["more than 10 minutes ago", "redirected"],
        ),
        (
            &["--path", &fresh, "--cookie", &known],
            2,
            &["this browser began it"],
        ),
    ];
    for (more, code, expected) in table {
        let mut arguments = vec!["--host", HOST];
        arguments.extend(more);
        let ran = stage.explain(&inline(KEY), &arguments);
        assert_eq!(ran.code, code, "{more:?}: {}{}", ran.out, ran.err);
        for part in expected {
            assert!(ran.out.contains(part), "{part}: {}", ran.out);
        }
    }
    let ran = stage.explain(&inline(KEY), &["--path", &fresh, "--cookie", &known]);
    assert!(ran.err.contains("the provider decides"), "{}", ran.err);
}

#[test]
fn what_was_pasted_in_place_of_cookies() {
    let stage = stage();
    for (line, expected) in [
        ("AQIDBA", "a value without a name"),
        ("Set-Cookie: a=b; Path=/", "a line of Set-Cookie"),
        (
            "https://app.example/staff/callback?code=1&state=2",
            "--path",
        ),
    ] {
        let ran = stage.explain(&inline(KEY), &["--cookie", line]);
        assert_eq!(ran.code, 2, "{line}");
        assert!(ran.err.contains(expected), "{line}: {}", ran.err);
    }
}

/// `explain` says where a session is whose cookie is a ticket, and asks no store.
#[test]
fn a_ticket_of_a_session_in_the_shared_store() {
    let files = Files::in_a_directory();
    let explain = |store: &str, cookie: &str| {
        let in_cookies = config(&inline(KEY));
        let in_store = in_cookies.replace(
            "{idle_timeout: 1800s}",
            &format!("{{idle_timeout: 1800s, store: {store}}}"),
        );
        let uri = "{uri: 'http://127.0.0.1:7379/', cluster: webdis, timeout: 1s}";
        let text = format!("shared_store: {{http_uri: {uri}, key_prefix: shop}}\n{in_store}");
        let file = files.with("c.yaml", &text);
        let at = NOW.to_string();
        run(&[
            "explain", "--config", &file, "--at", &at, "--host", HOST, "--cookie", cookie,
        ])
    };
    let ticket = session().seal_ticket(&ring(KEY), HOST, [7; 24]);
    let ticket = staff(&bearer_gate::jose::base64url::encode(&ticket));
    let whole = staff(&value(&session(), KEY, HOST));
    let entry = bearer_gate::session::stored::name(&session());
    let entry = format!("under shop:session:{entry}, and explain does not ask it");
    let table: [(&str, &str, i32, &[&str]); 4] = [
        (
            "SHARED_STORE",
            &ticket,
            2,
            &[
                "a session by staff, if the shared store has it",
                "sub is alice",
                &entry,
                "depends on the shared store",
                "the shared store decides",
            ],
        ),
        ("COOKIE", &whole, 0, &["sub is alice", "keeps the claims"]),
        (
            "SHARED_STORE",
            &whole,
            1,
            &["do not open", "session.store was COOKIE"],
        ),
        (
            "COOKIE",
            &ticket,
            1,
            &["do not open", "session.store was SHARED_STORE"],
        ),
    ];
    for (store, cookie, code, expected) in table {
        let ran = explain(store, cookie);
        let told = format!("{}{}", ran.out, ran.err);
        assert_eq!(ran.code, code, "{store}: {told}");
        for part in expected {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}

/// A page is told by its words.
#[test]
fn a_page_is_told_by_its_words() {
    let ran = run(&[
        "explain",
        "--config",
        "envoy/envoy-sign-in.yaml",
        "--path",
        "http://127.0.0.1:10000/",
        "--header",
        "accept: text/html",
    ]);
    let told = "    a page: Sign-in failed This sign-in took too long";
    assert!(ran.out.contains(told), "{}", ran.out);
    assert!(!ran.out.contains("<p>"), "{}", ran.out);
}
