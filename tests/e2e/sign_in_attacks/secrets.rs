//! Nothing that must stay secret is in the filter's log, in an answer, or at Envoy's admin interface.

use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use bearer_gate_testbed::idp::openid::{Endpoint, Misbehaviour};
use bearer_gate_testbed::raw::RawResponse;
use serde_json::json;

use super::{
    ALICE, BROWSER, Browser, HOST, KEY, PAGE, SCRIPT, SECRET, SESSION, Target, config, get,
    register, request, seen, staff,
};
use crate::stage::Stage;

/// So many characters of a secret in a row count as a leak.
const LEAK: usize = 12;

fn leaks<'s>(text: &str, secret: &'s str) -> Option<&'s str> {
    let pieces = secret.as_bytes().chunks(LEAK);
    let mut whole = pieces.filter(|piece| piece.len() == LEAK);
    whole.find_map(|piece| {
        let piece = std::str::from_utf8(piece).ok()?;
        text.contains(piece).then_some(piece)
    })
}

fn stage() -> Stage {
    let stage = Stage::build(
        |_| {},
        |stage, builder| {
            let mut config = config(stage);
            config["sign_in"]["cookie_keys"] = json!([{"environment_variable": "BG_KEY"}]);
            for name in ["staff", "guests"] {
                let credentials = &mut config["sign_in"]["schemes"][name]["credentials"];
                credentials["token_secret"] = json!({"environment_variable": "BG_SECRET"});
            }
            let more = json!({
                "use_refresh_token": true,
                "forward_bearer_token": true,
                "forward_id_token_header": "x-id-token",
            });
            staff(&mut config, more);
            let mut wasm = Wasm::new(config);
            wasm.bodies = true;
            wasm.variables = &["BG_KEY", "BG_SECRET"];
            builder
                .variable("BG_KEY", KEY)
                .variable("BG_SECRET", SECRET)
                .component_log_level("wasm:trace,http:debug")
                .listener(Listener::new("main").filter(Filter::Wasm(wasm)))
        },
    );
    register(&stage, HOST);
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn s28_secrets_that_could_be_read() {
    let stage = stage();
    let openid = stage.idp.openid();
    openid.configure(|settings| settings.access_token_lifetime = 2);
    let mut secrets: Vec<(String, String)> = vec![
        ("the key of the cookies".into(), KEY.into()),
        ("the client's secret".into(), SECRET.into()),
    ];
    let mut answers: Vec<RawResponse> = Vec::new();

    // A whole life of a session: signing in, a page, a refresh, signing out, and coming back.
    let mut alice = Browser::default();
    let location = alice.begin(&stage, "/page");
    let back = super::back(&mut super::Visitor::new(), &location, ALICE).await;
    let code = Target::of(&back).value("code").to_owned();
    answers.push(alice.send(
        &stage,
        get(&back, &[PAGE, &[("sec-purpose", "prefetch")]].concat()),
    ));
    answers.push(alice.send(&stage, get(&format!("{back}&code=x"), PAGE)));
    answers.push(Browser::default().open(&stage, &back));
    answers.push(alice.open(&stage, &back));
    answers.push(alice.open(&stage, &back));
    let first = alice.clone();
    let mut pages = vec![alice.fetch(&stage, "/page")];
    answers.push(alice.fetch(&stage, "/staff/session"));
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    pages.push(alice.fetch(&stage, "/page"));
    assert_eq!(openid.calls(Endpoint::Token), 2, "a refresh");
    for page in &pages {
        let bearer = seen(page, "authorization").concat();
        let token = bearer.strip_prefix("Bearer ").expect("a token");
        secrets.push(("an access token".into(), token.to_owned()));
        secrets.push(("an ID token".into(), seen(page, "x-id-token").concat()));
    }
    let redeemed = openid.seen(Endpoint::Token);
    for (name, of) in [("code_verifier", 0), ("refresh_token", 1)] {
        let value = redeemed[of].parameter(name).expect(name);
        secrets.push((name.into(), value.to_owned()));
    }
    let basic = redeemed[0].header("authorization").expect("Basic");
    secrets.push(("the client's credentials".into(), basic.to_owned()));
    secrets.push(("a code".into(), code));
    for browser in [&first, &alice] {
        secrets.push(("a session".into(), browser.cookie(SESSION).to_owned()));
    }
    secrets.push((
        "the browser's cookie".into(),
        alice.cookie(BROWSER).to_owned(),
    ));
    answers.push(alice.send(
        &stage,
        request(
            "POST",
            "/staff/sign-out",
            &[("sec-fetch-site", "cross-site")],
        ),
    ));
    // What goes wrong says more than what does not.
    for misbehaviour in [
        Misbehaviour::NonceOther,
        Misbehaviour::TokenTypeOther,
        Misbehaviour::ErrorIn200,
        Misbehaviour::TokenResponseTruncated,
        Misbehaviour::AlgNone,
        Misbehaviour::AudienceOther,
    ] {
        let mut other = Browser::default();
        let back = other.on_the_way(&stage, "/page", ALICE).await;
        openid.misbehave(Some(misbehaviour));
        answers.push(other.open(&stage, &back));
        openid.misbehave(None);
        secrets.push(("a code".into(), Target::of(&back).value("code").to_owned()));
    }
    let token = openid.logout_token("guests", "user|alice", "x");
    let mut told = request("POST", "/staff/told", &[]);
    told = told.header("content-type", "application/x-www-form-urlencoded");
    told.body = Some(format!("logout_token={token}").into_bytes());
    answers.push(alice.send(&stage, told));
    secrets.push(("a logout token".into(), token));
    answers.push(alice.send(
        &stage,
        get("/tokens", SCRIPT).header("authorization", "Bearer x"),
    ));
    let left = alice.send(&stage, request("POST", "/staff/sign-out", SCRIPT));
    assert_eq!(left.status, 303, "{}", left.text());

    let log = stage.envoy().log();
    let (own, others): (Vec<&str>, Vec<&str>) =
        log.lines().partition(|line| line.contains("][wasm]"));
    let (own, others) = (own.join("\n"), others.join("\n"));
    assert!(own.contains("answered with a new session"), "debug lines");
    let admin = ["/config_dump", "/stats", "/clusters", "/server_info"];
    let admin = admin.map(|page| (page, stage.envoy().admin(page).expect(page)));
    assert!(admin[0].1.contains("BG_SECRET"), "names are no secrets");
    for (what, secret) in &secrets {
        assert!(secret.len() >= LEAK, "{what}");
        // Envoy itself logs headers here: a leak of the filter's would be found.
        if what == "a session" {
            assert!(leaks(&others, secret).is_some(), "{what}");
        }
        assert_eq!(leaks(&own, secret), None, "{what} in the log");
        for (page, text) in &admin {
            assert_eq!(leaks(text, secret), None, "{what} at {page}");
        }
        // A session goes into its own cookie, and nowhere else.
        for answer in &answers {
            let headers = answer.headers.iter();
            let headers = headers.filter(|(name, _)| name != "set-cookie");
            let headers = headers.map(|(_, value)| String::from_utf8_lossy(value));
            let text = headers.collect::<Vec<_>>().join("\n") + &answer.text();
            assert_eq!(leaks(&text, secret), None, "{what} in {answer:?}");
        }
    }
    assert_eq!(stage.traps(), 0);
}
