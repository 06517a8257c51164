//! What BlackSheep's `use_openid_connect` does in an application, done by the filter in a real Envoy.
//! docs/from-blacksheep.md has the options and the fields.

use std::time::Duration;

use bearer_gate_testbed::envoy::{Envoy, EnvoyBuilder, Filter, Listener, Wasm};
use bearer_gate_testbed::http::Reply;
use bearer_gate_testbed::idp::openid::{Endpoint, RelyingParty};
use bearer_gate_testbed::raw;
use bearer_gate_testbed::visitor::{Visitor, parameters};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stage::{Stage, found_provider, merge};

/// The variables of Envoy's process, and what they have.
const VARIABLES: [(&str, &str); 3] = [
    ("BG_KEY_1", "the first key, of thirty-two octets or more"),
    ("BG_KEY_2", "the second key, of thirty-two octets or more"),
    ("BG_SECRET", "s3cret"),
];
const NAMES: &[&str] = &["BG_KEY_1", "BG_KEY_2", "BG_SECRET"];
const SESSION: &str = "__Host-Http-bg_session_staff";

fn with_variables(builder: EnvoyBuilder) -> EnvoyBuilder {
    let mut wasm = Wasm::new(json!({"unmatched": "allow"}));
    wasm.variables = NAMES;
    let listener = Listener::new("main").filter(Filter::Wasm(wasm));
    let builder = builder.listener(listener);
    VARIABLES.iter().fold(builder, |builder, (name, value)| {
        builder.variable(name, value)
    })
}

fn stage() -> Stage {
    Stage::build(|_| {}, |_, builder| with_variables(builder))
}

/// A scheme `staff` with the least that it needs and `fields`.
fn config(stage: &Stage, fields: Value) -> Value {
    let mut config = json!({
        "providers": {"demo": found_provider(stage)},
        "sign_in": {
            "cookie_keys": [{"environment_variable": "BG_KEY_1"}],
            "allowed_redirect_domains": [site(stage, "127.0.0.1"), site(stage, "localhost")],
            "schemes": {"staff": {
                "provider_name": "demo",
                "credentials": {
                    "client_id": "web",
                    "token_secret": {"environment_variable": "BG_SECRET"},
                },
                "token_endpoint": {"cluster": "idp", "timeout": "2s"},
                "session_path": "/session",
            }},
        },
        "rules": [
            {"match": {"path_separated_prefix": "/public"}},
            {"match": {"path_separated_prefix": "/api"}, "requires": {"provider_name": "demo"}},
            {"match": {"prefix": "/"}, "requires": {"session": "staff"}},
        ],
    });
    merge(&mut config["sign_in"]["schemes"]["staff"], fields);
    let staff = config["sign_in"]["schemes"]["staff"]
        .as_object_mut()
        .unwrap();
    if !staff.contains_key("redirect_uri") {
        staff.entry("callback_path").or_insert(json!("/callback"));
    }
    config
}

fn site(stage: &Stage, host: &str) -> String {
    format!("{host}:{}", stage.address().port())
}

fn serve(envoy: &Envoy, config: &Value) {
    let reloaded = envoy.reload_wasm(config);
    reloaded.unwrap_or_else(|refused| panic!("{refused}"));
}

/// A client of the provider with what a callback at this path of 127.0.0.1 needs.
fn client(stage: &Stage, id: &str, callback: &str) -> RelyingParty {
    RelyingParty::confidential(id, "s3cret", &stage.url(callback))
        .post_logout_redirect_uri(&stage.url("/"))
}

/// Alice opens a page and signs in: what the provider was asked, and the answer to her browser when
/// she comes back from there.
async fn sign_in(visitor: &mut Visitor, page: &str) -> (Vec<(String, String)>, Reply) {
    let begun = visitor.get(page).await;
    assert_eq!(begun.status, 303, "{page}: {}", begun.body);
    let location = begun.header("location").unwrap().to_owned();
    let back = visitor.sign_in(&location, "alice", "wonderland").await;
    let back = back.header("location").expect(&back.body).to_owned();
    (parameters(&location), visitor.get(&back).await)
}

/// Alice with a session.
async fn signed_in(stage: &Stage) -> Visitor {
    let mut visitor = Visitor::new().hanging_up();
    let (_, done) = sign_in(&mut visitor, &stage.url("/page")).await;
    assert_eq!(done.header("location"), Some("/page"), "{}", done.body);
    visitor
}

struct Row {
    option: &'static str,
    fields: Value,
    client: RelyingParty,
    /// What is opened, and where the browser is in the end.
    opens: &'static str,
    lands: &'static str,
    /// Parameters that the provider is sent.
    asked: Vec<(&'static str, String)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_is_asked_is_what_the_options_say() {
    let stage = stage();
    let web = |callback| client(&stage, "web", callback);
    let rows = [
        Row {
            option: "authority, and every default",
            fields: json!({}),
            client: web("/callback"),
            opens: "/page?a=b",
            lands: "/page?a=b",
            asked: vec![
                ("client_id", "web".to_owned()),
                ("response_type", "code".to_owned()),
                ("scope", "openid profile email".to_owned()),
                ("code_challenge_method", "S256".to_owned()),
            ],
        },
        Row {
            option: "client_id",
            fields: json!({"credentials": {"client_id": "another"}}),
            client: client(&stage, "another", "/callback"),
            opens: "/page",
            lands: "/page",
            asked: vec![("client_id", "another".to_owned())],
        },
        Row {
            option: "audience",
            fields: json!({"authorization_params": {"audience": "https://api.example.com"}}),
            client: web("/callback"),
            opens: "/page",
            lands: "/page",
            asked: vec![("audience", "https://api.example.com".to_owned())],
        },
        Row {
            option: "audience, by RFC 8707",
            fields: json!({"resources": ["https://api.example.com"]}),
            client: web("/callback"),
            opens: "/page",
            lands: "/page",
            asked: vec![("resource", "https://api.example.com".to_owned())],
        },
        Row {
            option: "scope",
            fields: json!({"auth_scopes": ["openid", "offline_access"]}),
            client: web("/callback"),
            opens: "/page",
            lands: "/page",
            asked: vec![("scope", "openid offline_access".to_owned())],
        },
        Row {
            option: "entry_path",
            fields: json!({"signin_path": "/entry"}),
            client: web("/callback"),
            opens: "/entry",
            lands: "/",
            asked: vec![],
        },
        Row {
            option: "callback_path, with the host of the request",
            fields: json!({"callback_path": "/authorization-callback"}),
            client: web("/authorization-callback"),
            opens: "/page",
            lands: "/page",
            asked: vec![("redirect_uri", stage.url("/authorization-callback"))],
        },
        Row {
            option: "redirect_uri",
            fields: json!({"redirect_uri": stage.url("/registered")}),
            client: web("/registered"),
            opens: "/page",
            lands: "/page",
            asked: vec![("redirect_uri", stage.url("/registered"))],
        },
    ];
    let openid = stage.idp.openid();
    for row in rows {
        serve(stage.envoy(), &config(&stage, row.fields));
        openid.register(row.client);
        let mut visitor = Visitor::new().hanging_up();
        let (asked, done) = sign_in(&mut visitor, &stage.url(row.opens)).await;
        for (name, value) in row.asked {
            let pair = (name.to_owned(), value);
            assert!(asked.contains(&pair), "{}: {pair:?} {asked:?}", row.option);
        }
        assert_eq!(done.header("location"), Some(row.lands), "{}", row.option);
        let page = visitor.get(&stage.url(row.lands)).await;
        assert_eq!(page.seen("x-user"), ["user|alice"], "{}", row.option);
    }

    // discovery_endpoint: the only place that is asked.
    let before = (
        stage.idp.discovery_requests(),
        stage.idp.metadata_requests(),
    );
    let mut elsewhere = config(&stage, json!({}));
    let uri = format!("{}/.well-known/oauth-authorization-server", stage.idp.url());
    elsewhere["providers"]["demo"]["openid_discovery"]["uri"] = json!(uri);
    serve(stage.envoy(), &elsewhere);
    openid.register(client(&stage, "web", "/callback"));
    signed_in(&stage).await;
    let after = (
        stage.idp.discovery_requests(),
        stage.idp.metadata_requests(),
    );
    assert_eq!((after.0, after.1 > before.1), (before.0, true));

    // The host of the callback is the request's, where that is listed.
    serve(stage.envoy(), &config(&stage, json!({})));
    let other = format!("http://{}", site(&stage, "localhost"));
    let callback = format!("{other}/callback");
    openid.register(RelyingParty::confidential("web", "s3cret", &callback));
    let mut visitor = Visitor::new()
        .hanging_up()
        .finding("localhost", stage.address());
    let (asked, done) = sign_in(&mut visitor, &format!("{other}/page")).await;
    assert!(asked.contains(&("redirect_uri".to_owned(), callback)));
    assert_eq!(done.header("location"), Some("/page"), "{}", done.body);
    let headers = [("host", &b"evil.example"[..]), ("accept", b"text/html")];
    let forged = raw::get(stage.address(), "/page", &headers).unwrap();
    assert_eq!(forged.header("location"), None);
    assert!((400..500).contains(&forged.status), "{}", forged.status);

    // The implicit flow is refused by its name.
    let implicit = config(&stage, json!({"response_type": "id_token"}));
    let refused = stage.envoy().reload_wasm(&implicit).unwrap_err();
    assert!(refused.log.contains("response_type"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_secret_is_the_one_of_the_environment() {
    let stage = stage();
    serve(stage.envoy(), &config(&stage, json!({})));
    let openid = stage.idp.openid();
    openid.register(client(&stage, "web", "/callback"));
    signed_in(&stage).await;
    let basic = openid.last(Endpoint::Token);
    // "web:s3cret" in base64.
    assert_eq!(
        basic.header("authorization"),
        Some("Basic d2ViOnMzY3JldA==")
    );
    serve(
        stage.envoy(),
        &config(&stage, json!({"auth_type": "URL_ENCODED_BODY"})),
    );
    signed_in(&stage).await;
    let body = openid.last(Endpoint::Token);
    assert_eq!(body.parameter("client_secret"), Some("s3cret"));

    openid.register(RelyingParty::confidential(
        "web",
        "another",
        &stage.url("/callback"),
    ));
    let mut visitor = Visitor::new().hanging_up();
    let (_, failed) = sign_in(&mut visitor, &stage.url("/page")).await;
    assert!(failed.status >= 400, "{}", failed.status);
    assert_eq!(visitor.cookie(&stage.url("/"), SESSION), None);
    let dump = stage.envoy().admin("/config_dump").unwrap();
    assert!(dump.contains("BG_SECRET") && !dump.contains("s3cret"));
    for (_, secret) in VARIABLES {
        assert!(!stage.envoy().log().contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_out_and_lands_where_the_options_say() {
    let stage = stage();
    let paths = json!({"signout_path": "/leave", "post_logout_redirect_path": "/public/bye"});
    serve(stage.envoy(), &config(&stage, paths));
    let openid = stage.idp.openid();
    let bye = stage.url("/public/bye");
    openid.register(client(&stage, "web", "/callback").post_logout_redirect_uri(&bye));
    let mut visitor = signed_in(&stage).await;
    let mut copy = visitor.clone();
    let left = visitor.post(&stage.url("/leave"), &[]).await;
    let location = left.header("location").expect(&left.body).to_owned();
    assert!(location.starts_with(&openid.browser_url(Endpoint::EndSession)));
    let back = visitor.get(&location).await;
    assert_eq!(back.header("location"), Some(&*bye), "{}", back.body);
    assert_eq!(openid.sessions(), 0, "the provider's own");
    assert_eq!(visitor.get(&bye).await.status, 200);
    assert_eq!(visitor.cookie(&stage.url("/"), SESSION), None);
    assert_eq!(copy.get(&stage.url("/page")).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_chooses_between_schemes() {
    let stage = stage();
    let mut both = config(
        &stage,
        json!({"signin_path": "/staff", "display_name": "Staff"}),
    );
    let mut guests = both["sign_in"]["schemes"]["staff"].clone();
    merge(
        &mut guests,
        json!({
            "credentials": {"client_id": "guests"}, "display_name": "Guests & others",
            "callback_path": "/guests/callback", "signin_path": "/guests",
            "session_path": "/guests/session",
        }),
    );
    both["sign_in"]["schemes"]["guests"] = guests;
    let any = json!([{"session": "staff"}, {"session": "guests"}]);
    both["rules"][2]["requires"] = json!({"requires_any": {"requirements": any}});
    serve(stage.envoy(), &both);
    let openid = stage.idp.openid();
    openid.register(client(&stage, "web", "/callback"));
    openid.register(client(&stage, "guests", "/guests/callback"));
    let page = stage.url("/page");
    for (scheme, path, words) in [
        ("staff", "/staff", "Staff"),
        ("guests", "/guests", "Guests &amp; others"),
    ] {
        let mut visitor = Visitor::new().hanging_up();
        let choice = visitor.get(&page).await;
        assert_eq!(choice.status, 401);
        let link = format!("{path}?return_to=%2Fpage");
        let shown = format!("href=\"{link}\">{words}</a>");
        assert!(choice.body.contains(&shown), "{}", choice.body);
        let (_, done) = sign_in(&mut visitor, &stage.url(&link)).await;
        assert_eq!(done.header("location"), Some("/page"), "{}", done.body);
        let shown = visitor.get(&page).await;
        assert_eq!(shown.seen("x-user"), ["user|alice"]);
        let cookie = format!("__Host-Http-bg_session_{scheme}");
        assert!(visitor.cookie(&page, &cookie).is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refuses_consent_comes_back_with_the_error() {
    let stage = stage();
    let error = json!({"error_redirect_path": "/public/error"});
    serve(stage.envoy(), &config(&stage, error));
    let openid = stage.idp.openid();
    openid.register(client(&stage, "web", "/callback").asking_consent());
    let mut visitor = Visitor::new().hanging_up();
    let begun = visitor.get(&stage.url("/page")).await;
    let location = begun.header("location").unwrap().to_owned();
    let consent = visitor.sign_in(&location, "alice", "wonderland").await;
    let back = visitor.fill(&location, &consent, "cancel", &[]).await;
    let back = back.header("location").expect(&back.body).to_owned();
    let told = visitor.get(&back).await;
    assert_eq!(told.status, 303, "{}", told.body);
    let location = told.header("location").unwrap();
    assert_eq!(location, "/public/error?error=access_denied");
    let page = visitor.get(&stage.url(location)).await;
    assert_eq!(page.json()["query"], "error=access_denied");
    assert_eq!(openid.calls(Endpoint::Token), 0);
    let failed = stage.counter("bearer_gate.sign_in.failed.access_denied");
    assert_eq!(failed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_redirected_and_nothing_else_is() {
    let stage = stage();
    serve(stage.envoy(), &config(&stage, json!({})));
    let mut visitor = Visitor::new().hanging_up();
    assert_eq!(visitor.get(&stage.url("/page")).await.status, 303);
    assert_eq!(visitor.post(&stage.url("/page"), &[]).await.status, 401);
    assert_eq!(visitor.fetch(&stage.url("/page")).await.status, 401);
    // No scheme by default: a rule that says so.
    let mut quiet = config(&stage, json!({}));
    quiet["rules"][2]["unauthenticated"] = json!("unauthorized");
    serve(stage.envoy(), &quiet);
    assert_eq!(visitor.get(&stage.url("/page")).await.status, 401);
    assert_eq!(stage.upstream.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_the_claims_and_the_life_of_the_id_token() {
    let stage = stage();
    let mut known = config(&stage, json!({}));
    known["providers"]["demo"]["claim_to_headers"] = json!([
        {"header_name": "x-user", "claim_name": "sub"},
        {"header_name": "x-email", "claim_name": "email"},
        {"header_name": "x-groups", "claim_name": "groups", "format": "csv"},
    ]);
    serve(stage.envoy(), &known);
    let openid = stage.idp.openid();
    openid.register(client(&stage, "web", "/callback"));
    openid.configure(|settings| settings.id_token_lifetime = 4);
    let mut visitor = signed_in(&stage).await;
    for _ in 0..3 {
        let page = visitor.get(&stage.url("/page")).await;
        assert_eq!(page.seen("x-user"), ["user|alice"]);
        assert_eq!(page.seen("x-email"), ["alice@example.com"]);
        assert_eq!(page.seen("x-groups").concat().split(',').count(), 3);
    }
    let session = visitor.fetch(&stage.url("/session")).await.json();
    assert_eq!(session["scheme"], "staff");
    assert_eq!(session["sub"], "user|alice");
    assert_eq!(session["claims"]["email"], "alice@example.com");
    assert_eq!(session["claims"]["groups"].as_array().unwrap().len(), 3);
    assert_eq!(session["expires_at"], session["claims"]["exp"]);
    sleep(Duration::from_millis(4500)).await;
    let seen = stage.upstream.requests();
    assert_eq!(visitor.fetch(&stage.url("/session")).await.status, 401);
    assert_eq!(visitor.get(&stage.url("/page")).await.status, 303);
    assert_eq!(stage.upstream.requests(), seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_kept_where_the_upstream_is_to_have_them() {
    let stage = stage();
    let openid = stage.idp.openid();
    openid.register(client(&stage, "web", "/callback"));
    let mut lengths = Vec::new();
    for (fields, access, id) in [
        (json!({}), false, false),
        (json!({"forward_bearer_token": true}), true, false),
        (
            json!({"forward_id_token_header": "x-id-token"}),
            false,
            true,
        ),
    ] {
        serve(stage.envoy(), &config(&stage, fields));
        let mut visitor = signed_in(&stage).await;
        lengths.push(visitor.cookie(&stage.url("/"), SESSION).map(str::len));
        let page = visitor.get(&stage.url("/page")).await;
        let bearer = page.seen("authorization");
        assert_eq!(
            (bearer.len(), page.seen("x-id-token").len()),
            (access.into(), id.into())
        );
        let answer = visitor.fetch(&stage.url("/session")).await;
        assert!(!answer.body.contains("eyJ"), "a token for scripts");
        // What the application has got is good for an API.
        if let Some(token) = bearer
            .first()
            .and_then(|value| value.strip_prefix("Bearer "))
        {
            assert_eq!(stage.get_with("/api", token).await.status, 200);
        }
    }
    assert!(
        lengths[0] < lengths[1] && lengths[0] < lengths[2],
        "{lengths:?}"
    );
    assert_eq!(stage.get("/api").await.status, 401);
}

/// The status of a page with the session of this visitor, who keeps what comes back.
async fn open(envoy: &Envoy, visitor: &mut Visitor) -> u16 {
    visitor.get(&envoy.url("/page")).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn cookie_keys_rotate_and_are_shared_by_instances() {
    let stage = stage();
    let second = Envoy::builder()
        .cluster("idp", stage.idp.address())
        .cluster("upstream", stage.upstream.address());
    let second = with_variables(second).start();
    let second = second.unwrap_or_else(|refused| panic!("{refused}"));
    let openid = stage.idp.openid();
    openid.register(client(&stage, "web", "/callback"));
    let with_keys = |keys: &[&str]| {
        let mut config = config(&stage, json!({"session": {"idle_timeout": "600s"}}));
        let named = |key: &&str| json!({"environment_variable": key});
        let keys: Vec<Value> = keys.iter().map(named).collect();
        config["sign_in"]["cookie_keys"] = json!(keys);
        let sites = [stage.address(), second.address()].map(|site| site.to_string());
        config["sign_in"]["allowed_redirect_domains"] = json!(sites);
        config
    };
    let reload = |keys: &[&str]| {
        for envoy in [stage.envoy(), &second] {
            serve(envoy, &with_keys(keys));
        }
    };
    reload(&["BG_KEY_1"]);
    let mut visitor = signed_in(&stage).await;
    let first = visitor.clone();
    let sealed = |visitor: &Visitor| visitor.cookie(&stage.url("/"), SESSION).map(str::to_owned);
    assert_eq!(open(&second, &mut visitor).await, 200, "another instance");
    assert_eq!(sealed(&visitor), sealed(&first));

    // The new one in every instance, and then in the first place: nobody signs in anew.
    for keys in [["BG_KEY_1", "BG_KEY_2"], ["BG_KEY_2", "BG_KEY_1"]] {
        reload(&keys);
        for envoy in [stage.envoy(), &second] {
            assert_eq!(open(envoy, &mut visitor.clone()).await, 200, "{keys:?}");
        }
    }
    assert_eq!(open(&second, &mut visitor).await, 200);
    assert_ne!(sealed(&visitor), sealed(&first), "sealed with the new one");
    // The old one goes. Whoever came since has a session, a copy of the old cookie is none.
    reload(&["BG_KEY_2"]);
    for envoy in [stage.envoy(), &second] {
        assert_eq!(open(envoy, &mut visitor.clone()).await, 200);
        assert_eq!(open(envoy, &mut first.clone()).await, 303);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_drawn_at_the_start_is_warned_of() {
    let stage = stage();
    let openid = stage.idp.openid();
    openid.register(client(&stage, "web", "/callback"));
    let mut without = config(&stage, json!({}));
    without["sign_in"]
        .as_object_mut()
        .unwrap()
        .remove("cookie_keys");
    serve(stage.envoy(), &without);
    let mut visitor = signed_in(&stage).await;
    // Every worker knows it.
    for _ in 0..8 {
        assert_eq!(open(stage.envoy(), &mut visitor).await, 200);
    }
    let log = stage.envoy().log();
    let warned = log.lines().find(|line| line.contains("no cookie_keys"));
    let warned = warned.expect("a warning");
    assert!(warned.contains("[warning]"), "{warned}");
    assert!(warned.contains("Restart ends them all"), "{warned}");
}
