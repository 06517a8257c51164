//! What a browser brings back to sign in.

use bearer_gate::http::request::{Header, Request};
use bearer_gate::jose::base64url;
use bearer_gate::session::cookie::{Cookie, SameSite, without_ours};
use bearer_gate::session::flow::{Browser, Flow, MAX_RESTARTS};
use bearer_gate::session::life::{Refreshing, Session, Standing, Tokens};
use bearer_gate::session::seal::{Context, Keyring, Purpose};
use bearer_gate::session::site::Sites;

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const HOST: &str = "app.example";

/// Two keys, the older one last.
pub(crate) fn keyring() -> Keyring {
    Keyring::new(&["new".repeat(11), "old".repeat(11)]).expect("two secrets")
}

pub(crate) fn cookie() -> Cookie {
    Cookie::of_session("staff", None, SameSite::Lax, 12_288).expect("a cookie")
}

/// A session with so many octets of claims.
pub(crate) fn a_session(octets: usize) -> Session {
    Session {
        issuer: None,
        id: [1; 16],
        scope: "staff".to_owned(),
        subject: "kim".to_owned(),
        sid: None,
        auth_time: Some(NOW),
        acr: None,
        started: NOW,
        issued: NOW,
        seen: NOW,
        idle: Some(1800),
        expires: NOW + 28_800,
        claims: "x".repeat(octets),
        tokens: None,
        refreshing: None,
        first_sid: None,
    }
}

/// The only value of a session that was ever sealed here.
pub(crate) fn the_session() -> Vec<u8> {
    a_session(2).seal(&keyring(), HOST, [7; 24])
}

/// The only state.
pub(crate) fn the_state() -> String {
    let browser = browser();
    let flow = Flow::begin(&keyring(), "staff", "/page", &browser, [3; 16], NOW);
    let sent = flow.send(&keyring(), &browser, [8; 24]);
    sent.expect("its own browser").state
}

fn browser() -> Browser {
    Browser::new([2; 16])
}

fn context(purpose: Purpose) -> Context<'static> {
    let host = match purpose {
        Purpose::Session => HOST,
        _ => "",
    };
    Context {
        purpose,
        scheme: "staff",
        host,
    }
}

/// A session with every field.
pub(crate) fn full_session() -> Session {
    Session {
        issuer: Some("https://idp.example/t".to_owned()),
        sid: Some("s-1".to_owned()),
        acr: Some("1".to_owned()),
        tokens: Some(Tokens {
            access: Some("a".to_owned()),
            access_expires: Some(NOW + 300),
            refresh: Some("r".to_owned()),
            id: Some("i".to_owned()),
        }),
        refreshing: Some(Refreshing {
            number: 1,
            due: NOW + 200,
            good_until: NOW + 300,
            nonce: [7; 16],
        }),
        ..a_session(2)
    }
}

/// What is sealed of a session with every field, of one with none that may be left out, and of a
/// flow.
pub(crate) fn plaintexts() -> [Vec<u8>; 3] {
    let full = full_session();
    let least = Session {
        auth_time: None,
        idle: None,
        ..a_session(0)
    };
    let [full, least] = [full, least].map(|session| session.seal(&keyring(), HOST, [7; 24]));
    let state = base64url::decode(the_state().as_bytes()).expect("its own spelling");
    [
        (Purpose::Session, full),
        (Purpose::Session, least),
        (Purpose::State, state),
    ]
    .map(|(purpose, sealed)| {
        let opened = keyring().open(context(purpose), &sealed);
        opened.expect("its own key").plaintext
    })
}

/// Whatever was sealed with a good key, by another version or by mistake: a session or a flow that is
/// read from it has one form, and its times hold.
pub(crate) fn sealed(bytes: &[u8]) {
    let ring = keyring();
    let seal = |purpose| {
        let sealed = ring.seal(context(purpose), bytes, [7; 24]);
        base64url::encode(&sealed)
    };
    let value = seal(Purpose::Session);
    if let Ok(alive) = Session::open(&ring, "staff", HOST, value.as_bytes(), NOW) {
        let session = alive.session();
        let again = session.seal(&ring, HOST, [7; 24]);
        assert_eq!(base64url::encode(&again), value);
        assert!(NOW < session.ends() && session.ends() <= session.expires);
        let due = session
            .refreshing
            .is_some_and(|times| times.due <= NOW || times.good_until <= NOW);
        assert_eq!(session.standing(NOW) != Standing::Good, due);
        let later = session.clone().seen_at(NOW + 1);
        assert!(later.ends() >= session.ends() && later.expires == session.expires);
        assert!(!alive.is_due(session.seen) || session.idle == Some(0));
    }
    let state = seal(Purpose::State);
    let Ok(flow) = Flow::open(&ring, "staff", state.as_bytes()) else {
        return;
    };
    match flow.send(&ring, &browser(), [7; 24]) {
        Some(sent) => {
            assert_eq!(sent.state, state);
            let redeeming = flow.redeem(&ring, Some(&browser()), NOW);
            let is_of_now = NOW.abs_diff(flow.begun()) <= 600;
            assert!(redeeming.is_err() || is_of_now);
            assert!(
                redeeming.is_ok_and(|redeeming| redeeming.nonce == sent.nonce)
                    || NOW != flow.begun()
            );
        }
        None => assert!(flow.redeem(&ring, Some(&browser()), NOW).is_err()),
    }
    assert!(flow.redeem(&ring, None, NOW).is_err());
    let (mut next, mut restarts) = (Some(flow), 0);
    while let Some(flow) = next {
        next = flow.again(&ring, &browser(), [4; 16], NOW);
        restarts += 1;
    }
    assert!(restarts <= MAX_RESTARTS + 1, "{restarts}");
}

pub(crate) fn request_with(lines: &[Vec<u8>]) -> Request {
    let header = |line: &Vec<u8>| -> Header { ("cookie".into(), line.clone()) };
    Request::new(lines.iter().map(header).collect())
}

/// Of any lines of cookies and any state, only what was sealed opens; what leaves for the upstream
/// is what was there without ours; a browser is sent to our own hosts only.
pub(crate) fn session(bytes: &[u8]) {
    if let Ok(flow) = Flow::open(&keyring(), "staff", bytes) {
        assert_eq!(bytes, the_state().as_bytes());
        assert_eq!(flow.return_to(), "/page");
    }
    let sites = Sites::parse(&[HOST]).expect("a host");
    if let Ok(url) = sites.return_to(bytes, &["/sign-in"]) {
        let path = url.strip_prefix("https://app.example").unwrap_or(url);
        let is_url = path.len() < url.len();
        assert!(path.starts_with('/') || url.contains("://"), "{url}");
        assert!(!path.starts_with("//") && !url.contains('\\'), "{url}");
        assert!(is_url || path.starts_with('/') || is_spelling(url), "{url}");
    }

    let lines: Vec<Vec<u8>> = bytes
        .split(|byte| *byte == b'\n')
        .take(8)
        .map(<[u8]>::to_vec)
        .collect();
    let (request, cookie) = (request_with(&lines), cookie());
    if let Ok(Some(value)) = cookie.read(&request) {
        if Session::open(&keyring(), "staff", HOST, &value, NOW).is_ok() {
            assert_eq!(base64url::decode(&value), Some(the_session()));
        }
        assert!(!cookie.delete(&request).is_empty());
    }
    for line in cookie.delete(&request) {
        let name = line.split('=').next().unwrap_or_default();
        assert!(name.starts_with(cookie.name()), "{line}");
        let is_sent = |line: &Vec<u8>| line.windows(name.len()).any(|part| part == name.as_bytes());
        assert!(lines.iter().any(is_sent), "{line}");
        assert!(!line.contains(['\r', '\n', '\0']));
    }
    match without_ours(&request, &[&cookie]) {
        None => assert_eq!(cookie.read(&request), Ok(None)),
        Some(rest) => {
            let rest_of = request_with(&rest);
            assert_eq!(without_ours(&rest_of, &[&cookie]), None);
            assert_eq!(cookie.read(&rest_of), Ok(None));
            let parts = |lines: &[Vec<u8>]| -> Vec<Vec<u8>> {
                let parts = lines
                    .iter()
                    .flat_map(|line| line.split(|byte| *byte == b';'));
                parts.map(|part| part.trim_ascii().to_vec()).collect()
            };
            // those that stay are there, in their order
            let mut all = parts(&lines).into_iter();
            for part in parts(&rest) {
                assert!(all.any(|known| known == part));
            }
        }
    }
}

/// Another spelling of the host: in capitals, with a dot at its end, with the port.
fn is_spelling(url: &str) -> bool {
    url.to_ascii_lowercase().starts_with("https://app.example")
}
