//! The explanation never contradicts the decision, where people sign in.

use std::rc::Rc;

use bearer_gate::jose::base64url;
use bearer_gate::jose::jwa::Algorithm;
use bearer_gate::jose::jwks::KeySet;
use bearer_gate::session::life::{Refreshing, Session, Tokens};
use bearer_gate::session::seal;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::keys::ProviderKeys;
use crate::signing::PrivateKey;

const NOW: u64 = 1_800_000_000;
const KEY: &str = "a key of thirty-two octets or more";
const OLD_KEY: &str = "an older key of thirty-two octets or more";
const HOST: &str = "app.example";

struct Fixtures {
    private: PrivateKey,
    set: String,
}

thread_local! {
    static FIXTURES: Fixtures = {
        let private = PrivateKey::generate(Algorithm::Es256).unwrap();
        let mut jwk = private.public();
        jwk.insert("kid".to_owned(), "a".into());
        Fixtures { set: json!({"keys": [jwk]}).to_string(), private }
    };
}

/// A Bearer token of a client's own.
fn token(is_good: bool) -> String {
    let claims = json!({"iss": "https://i.example/", "aud": "api", "sub": "me", "exp": NOW + 300});
    let header = json!({"alg": "ES256", "kid": "a"});
    let parts = [&header, &claims].map(|part| base64url::encode(part.to_string().as_bytes()));
    let input = parts.join(".");
    let signed = if is_good { &*input } else { "another text" };
    let signature = FIXTURES.with(|fixtures| {
        let signed = fixtures.private.sign(Algorithm::Es256, signed.as_bytes());
        signed.unwrap()
    });
    format!("{input}.{}", base64url::encode(&signature))
}

/// What may be wrong with a session, or is its state.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Good,
    Admin,
    OfOldKey,
    OfOtherKey,
    OfOtherHost,
    Flipped,
    Idle,
    Over,
    OfTheFuture,
    RefreshIsDue,
    TokensEnded,
    Nonsense,
    Empty,
}

const KINDS: [Kind; 14] = [
    Kind::Good,
    Kind::Good,
    Kind::Admin,
    Kind::OfOldKey,
    Kind::OfOtherKey,
    Kind::OfOtherHost,
    Kind::Flipped,
    Kind::Idle,
    Kind::Over,
    Kind::OfTheFuture,
    Kind::RefreshIsDue,
    Kind::TokensEnded,
    Kind::Nonsense,
    Kind::Empty,
];

const SCHEMES: [&str; 2] = ["staff", "guests"];

/// The value of a cookie: a session by `scheme`.
fn value(kind: Kind, scheme: &str) -> String {
    let mut session = Session {
        issuer: None,
        id: [1; 16],
        scope: seal::scope(scheme, "https://i.example/", "web"),
        subject: "kim".to_owned(),
        sid: None,
        auth_time: Some(NOW - 600),
        acr: None,
        started: NOW - 600,
        issued: NOW - 600,
        seen: NOW - 60,
        idle: Some(1800),
        expires: NOW + 28_200,
        claims: json!({"sub": "kim"}).to_string(),
        tokens: None,
        refreshing: None,
        first_sid: None,
    };
    let refreshing = |good_until| Refreshing {
        number: 0,
        due: NOW - 10,
        good_until,
        nonce: [5; 16],
    };
    let (mut key, mut host) = (KEY, HOST);
    match kind {
        Kind::Admin => session.claims = json!({"sub": "kim", "roles": ["admin"]}).to_string(),
        Kind::OfOldKey => key = OLD_KEY,
        Kind::OfOtherKey => key = "nobody's key of thirty-two octets or more",
        Kind::OfOtherHost => host = "other.example",
        Kind::Idle => session.seen = NOW - 1801,
        Kind::Over => session.expires = NOW - 1,
        Kind::OfTheFuture => session.seen = NOW + 3600,
        Kind::RefreshIsDue => session.refreshing = Some(refreshing(NOW + 10)),
        Kind::TokensEnded => session.refreshing = Some(refreshing(NOW - 1)),
        Kind::Nonsense => return "x".repeat(100),
        Kind::Empty => return String::new(),
        Kind::Good | Kind::Flipped => {}
    }
    if session.refreshing.is_some() {
        session.tokens = Some(Tokens {
            access: None,
            access_expires: Some(NOW + 10),
            refresh: Some("r".to_owned()),
            id: None,
        });
    }
    let keyring = Keyring::new(&[key]).unwrap();
    let mut sealed = session.seal(&keyring, host, [7; 24]);
    if matches!(kind, Kind::Flipped)
        && let Some(last) = sealed.last_mut()
    {
        *last ^= 1;
    }
    base64url::encode(&sealed)
}

const REQUIRES: [&str; 7] = [
    r#"{"session": "staff"}"#,
    r#"{"provider_name": "p"}"#,
    r#"{"requires_any": {"requirements": [{"provider_name": "p"}, {"session": "staff"}]}}"#,
    r#"{"requires_any": {"requirements": [{"session": "staff"}, {"session": "guests"}]}}"#,
    r#"{"requires_any": {"requirements": [{"session": "staff"}, {"allow_missing": {}}]}}"#,
    r#"{"requires_any": {"requirements": [{"session": "guests"}, {"allow_missing_or_failed": {}}]}}"#,
    r#"{"requires_all": {"requirements": [{"session": "staff"}, {"session": "guests"}]}}"#,
];

const UNAUTHENTICATED: [&str; 4] = ["", "auto", "redirect", "unauthorized"];

fn config(
    requires: usize,
    role: bool,
    unauthenticated: usize,
    report_only: bool,
) -> Option<Config> {
    let keys = FIXTURES.with(|fixtures| fixtures.set.clone());
    let mut rule = json!({
        "match": {"prefix": "/app"},
        "requires": serde_json::from_str::<Value>(REQUIRES[requires]).unwrap(),
        "report_only": report_only,
    });
    if role {
        rule["authorize"] = json!({"claims": [{"path": ["roles"], "any": ["admin"]}]});
    }
    if unauthenticated > 0 {
        rule["unauthenticated"] = UNAUTHENTICATED[unauthenticated].into();
    }
    let scheme = |name: &str| {
        json!({
            "provider_name": "p",
            "credentials": {"client_id": "web"},
            "auth_type": "NONE",
            "authorization_endpoint": "https://i.example/authorize",
            "token_endpoint": {"uri": "https://i.example/token", "cluster": "c", "timeout": "1s"},
            "callback_path": format!("/{name}/callback"),
            "signin_path": format!("/{name}/sign-in"),
            "signout_path": format!("/{name}/sign-out"),
            "session_path": format!("/{name}/session"),
            "frontchannel_logout_path": format!("/{name}/framed"),
            "use_refresh_token": name == "staff",
            "session": {"idle_timeout": "1800s"},
        })
    };
    let config = json!({
        "providers": {"p": {
            "issuer": "https://i.example/", "audiences": ["api"],
            "local_jwks": {"inline_string": keys},
        }},
        "sign_in": {
            "cookie_keys": [{"inline_string": KEY}, {"inline_string": OLD_KEY}],
            "allowed_redirect_domains": [HOST],
            "schemes": {"staff": scheme("staff"), "guests": scheme("guests")},
        },
        "rules": [{"match": {"path": "/public"}}, rule],
    });
    // some combinations are refused
    Config::parse(config.to_string().as_bytes()).ok()
}

const PATHS: [&str; 12] = [
    "/app/x",
    "/app/x",
    "/app/x",
    "/app/x",
    "/public",
    "/other",
    "/staff/session",
    "/guests/session",
    "/staff/sign-in?return_to=/app",
    "/staff/sign-out",
    "/staff/callback?code=a&state=b",
    "/guests/framed?iss=https%3A%2F%2Fi.example%2F&sid=s",
];

/// What a browser says about the request.
const MANNERS: [&[(&str, &str)]; 5] = [
    &[],
    &[
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
        ("accept", "text/html"),
    ],
    &[("sec-fetch-site", "same-origin")],
    &[("origin", "https://evil.example")],
    &[
        ("sec-fetch-site", "cross-site"),
        ("sec-purpose", "prefetch"),
    ],
];

/// A cookie: which kind of session, of which scheme, under the name of which, in a line of its own?
type Sent = (usize, usize, usize, bool);

fn cookies(sent: &[Sent]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (kind, scheme, name, own_line) in sent {
        let value = value(KINDS[*kind], SCHEMES[*scheme]);
        let pair = format!("__Host-Http-bg_session_{}={value}", SCHEMES[*name]);
        match lines.last_mut() {
            Some(line) if !own_line => line.push_str(&format!("; {pair}")),
            _ => lines.push(pair),
        }
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_steps_agree_with_the_decision_about_sessions(
        requires in 0..REQUIRES.len(),
        (role, report_only) in (any::<bool>(), prop::bool::weighted(0.2)),
        unauthenticated in 0..UNAUTHENTICATED.len(),
        sent in prop::collection::vec(
            (0..KINDS.len(), 0..2_usize, prop::sample::select(vec![0_usize, 0, 1]), any::<bool>()),
            0..3,
        ),
        bearer in prop::option::weighted(0.3, any::<bool>()),
        (method, path) in (prop::sample::select(vec!["GET", "GET", "POST"]), 0..PATHS.len()),
        (host, manners) in (prop::sample::select(vec![HOST, HOST, HOST, "other.example"]), 0..MANNERS.len()),
    ) {
        let Some(config) = config(requires, role, unauthenticated, report_only) else { return Ok(()) };
        let mut headers: Vec<Header> = vec![
            (Cow::Borrowed(":method"), method.as_bytes().to_vec()),
            (Cow::Borrowed(":path"), PATHS[path].as_bytes().to_vec()),
            (Cow::Borrowed(":authority"), host.as_bytes().to_vec()),
        ];
        for line in cookies(&sent) {
            headers.push((Cow::Borrowed("cookie"), line.into_bytes()));
        }
        for (name, value) in MANNERS[manners] {
            headers.push((Cow::Borrowed(name), value.as_bytes().to_vec()));
        }
        if let Some(is_good) = bearer {
            put(&mut headers, &Place::bearer(), &token(is_good));
        }
        let request = Request::new(headers).with_body(Body::Whole(Vec::new()));
        let set = FIXTURES.with(|f| Rc::new(KeySet::parse(f.set.as_bytes()).unwrap()));
        let keys_at_hand = KeysAtHand(config.providers.map(|_| ProviderKeys::Set {
            keys: Rc::clone(&set), metadata: Rc::default(), origin: crate::keys::Origin::Configuration,
        }));

        let cache = RefCell::new(TokenCache::new(&config.providers));
        let basis = Basis {
            facts: &keys_at_hand, verifier: &Portable, headers: &RefCell::default(), now: NOW as f64,
        };
        let keyring = config.sign_in.as_ref().and_then(|sign_in| sign_in.keyring.clone());
        let sessions = Sessions::new(keyring.unwrap());
        let people = People {
            sessions: &sessions,
            entropy: &|into| {
                into.fill(3);
                Ok(())
            },
            steady: &bearer_gate::sign_in::Steady::default(),
        };
        let context = Context { basis, cache: &cache, people: Some(people) };
        let decision = authn::authenticate(&request, &config, &context);
        let explanation = Explanation::new(&config, &request, &[], &keys_at_hand, NOW as f64);

        let verdict = &explanation.verdict;
        let bad: Vec<&Step> =
            explanation.steps.iter().filter(|step| step.mark == Mark::Bad).collect();
        match &decision {
            Decision::Admit(admission) => {
                prop_assert_eq!(verdict.admitted, Some(true));
                prop_assert_eq!(verdict.reason, admission.reported);
                prop_assert_eq!(bad.is_empty(), admission.reported.is_none());
            }
            Decision::Reject(refusal) => {
                let reason = refusal.rejection.reason();
                prop_assert_eq!(verdict.admitted, Some(false));
                prop_assert_eq!(verdict.reason, Some(reason));
                // one step says no, the last one, and gives the decision's own reason
                prop_assert_eq!(bad.len(), 1, "{}", reason);
                let last = explanation.steps.last().unwrap();
                prop_assert_eq!(last.mark, Mark::Bad);
                prop_assert!(last.reasons.contains(&reason), "{} {:?} {:?}", reason, last.reasons, last.details);
            }
            Decision::Answer(answer) => {
                let is_let_in = answer.response.status < 300;
                prop_assert_eq!(verdict.admitted, Some(is_let_in), "{}", answer.what);
                let last = explanation.steps.last().unwrap();
                prop_assert_eq!(&*last.text, answer.what);
            }
            Decision::Await(need) => {
                prop_assert_eq!(verdict.admitted, None);
                prop_assert_eq!(verdict.asks_provider, matches!(need, bearer_gate::desk::Need::Answer(_)));
                prop_assert!(bad.is_empty());
            }
        }
        // No secret is shown: neither a cookie's value nor a token.
        let shown = explanation.to_json(None).to_string();
        for (kind, scheme, _, _) in &sent {
            let value = value(KINDS[*kind], SCHEMES[*scheme]);
            prop_assert!(value.len() < 50 || !shown.contains(&value));
        }
    }
}
