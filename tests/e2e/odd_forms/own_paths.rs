//! The filter's own paths in odd forms: each is the own path or one for the rules, wholly. No upstream
//! gets what nobody has signed in for, and no half of a sign-out happens.

use bearer_gate_testbed::raw::RawResponse;
use bearer_gate_testbed::transports::{Message, Order, Protocol, send_all};
use serde_json::{Value, json};

use super::reading::readings;
use super::sessions::{self, HOST, signed_in};
use super::{HYPER, Matrix, may_be_admitted};
use crate::stage::{Stage, merge};

const FORM: &str = "application/x-www-form-urlencoded";
const SIGN_OUT: &str = "/oauth2/out";
const TOLD: &str = "/oauth2/told";
const FRAMED: &str = "/oauth2/framed";
const SESSION: &str = "/oauth2/session";

fn config(stage: &Stage) -> Value {
    let mut config = sessions::config(stage);
    let paths = json!({
        "signin_path": "/oauth2/sign-in",
        "signout_path": SIGN_OUT,
        "session_path": SESSION,
        "backchannel_logout_path": TOLD,
        "frontchannel_logout_path": FRAMED,
    });
    merge(&mut config["sign_in"]["schemes"]["staff"], paths);
    config
}

/// A path in other spellings.
fn spellings(path: &str) -> Vec<String> {
    let (_, name) = path.rsplit_once('/').unwrap();
    let (first, rest) = name.split_at(1);
    let code = first.as_bytes()[0];
    let at = |spelt: String| format!("/oauth2/{spelt}");
    vec![
        path.to_owned(),
        format!("/{path}"),
        format!("//{HOST}{path}"),
        format!("/.{path}"),
        format!("/%2e{path}"),
        format!("/x/..{path}"),
        format!("/x/%2e%2e{path}"),
        format!("/;x{path}"),
        format!("http://{HOST}{path}"),
        format!("http://other.example{path}"),
        format!("https://{HOST}{path}"),
        format!("http:{path}"),
        path[1..].to_owned(),
        format!("*{path}"),
        format!("\\{}", &path[1..]),
        format!("/oauth2;x=1/{name}"),
        format!("/OAuth2/{name}"),
        format!("/%6fauth2/{name}"),
        format!("/oauth2%2f{name}"),
        format!("/oauth2%2F{name}"),
        format!("/oauth2\\{name}"),
        format!("/oauth2%5c{name}"),
        at(format!("/{name}")),
        at(format!("./{name}")),
        at(format!("%2e/{name}")),
        at(format!(".;/{name}")),
        at(format!(";/{name}")),
        at(format!("x/../{name}")),
        at(format!("{name};x")),
        at(format!("{name};x=1;y")),
        at(format!("{name}/")),
        at(format!("{name}//")),
        at(format!("{name}/.")),
        at(format!("{name}/%2e")),
        at(format!("{name}.")),
        at(format!("{name}%00")),
        at(format!("{name}%20")),
        at(format!("{name}%09")),
        at(format!("{name}%0a")),
        at(format!("{name}%")),
        at(format!("{name}%zz")),
        at(format!("{name}%3f")),
        at(format!("{name}%23")),
        at(format!("{name}#")),
        at(format!("{name}\u{a0}")),
        at(name.to_uppercase()),
        at(format!("%{code:02x}{rest}")),
        at(format!("%{code:02X}{rest}")),
        at(format!("%25{code:02x}{rest}")),
        at(format!(
            "{}{rest}",
            char::from_u32(u32::from(code) + 0xfee0).unwrap()
        )),
    ]
}

fn message(method: &str, path: &str, query: &str, body: Option<&str>) -> Message {
    let mut message = Message::get(HOST, &format!("{path}{query}"));
    message.method = method.into();
    message.body = body.map(|body| body.as_bytes().to_vec());
    match body {
        Some(_) => message.header("content-type", FORM),
        None => message,
    }
}

fn build() -> Matrix {
    Matrix::build(
        None,
        config,
        bearer_gate_testbed::envoy::Listener::with_bodies,
    )
}

fn shown(protocol: Protocol, path: &str) -> String {
    format!("{protocol:?} {path}")
}

/// Nobody has signed in, so nothing is for an upstream.
#[tokio::test(flavor = "multi_thread")]
async fn s21_no_spelling_of_an_own_path_reaches_the_upstream() {
    let matrix = build();
    let seen = matrix.stage.upstream.requests();
    let callback = "?code=x&state=y";
    let framed = "?iss=https%3A%2F%2Fidp.example&sid=x";
    let mut orders: Vec<(String, Order)> = Vec::new();
    let mut plain = 0;
    for (method, path, query, body) in [
        ("GET", "/oauth2/callback", callback, None),
        ("GET", "/oauth2/sign-in", "?return_to=/x", None),
        ("GET", SIGN_OUT, "", None),
        ("POST", SIGN_OUT, "", Some("")),
        ("GET", SESSION, "", None),
        ("POST", TOLD, "", Some("logout_token=a.b.c")),
        ("GET", FRAMED, framed, None),
    ] {
        for spelt in spellings(path) {
            for protocol in Protocol::ALL {
                let message = message(method, &spelt, query, body);
                plain += usize::from(spelt == path);
                let order = matrix.order(protocol, message, HYPER);
                orders.push((shown(protocol, &spelt), order));
            }
        }
    }
    assert_eq!(plain, 21);
    let sent: Vec<Order> = orders.iter().map(|(_, order)| order.clone()).collect();
    let mut answered = 0;
    for ((what, _), answer) in orders.iter().zip(send_all(&sent)) {
        // Envoy or the client's library refuses some.
        let Ok(answer) = answer else { continue };
        answered += 1;
        assert!(!may_be_admitted(&answer), "{what}: {}", answer.status);
        assert!(readings(&answer).is_empty(), "{what}");
        assert!(
            (303..500).contains(&answer.status),
            "{what}: {}",
            answer.status
        );
    }
    assert!(answered > sent.len() / 2, "{answered} of {}", sent.len());
    assert_eq!(matrix.stage.upstream.requests(), seen);
    matrix.is_alive();
}

/// A session, and what the provider calls it.
struct SignedIn {
    cookie: String,
    sid: String,
}

impl SignedIn {
    async fn new(matrix: &Matrix) -> Self {
        let openid = matrix.stage.idp.openid();
        // The provider knows no other session of hers.
        openid.sign_out("user|alice");
        let cookie = signed_in(matrix).await;
        let sid = openid.sid_of("user|alice");
        Self {
            cookie,
            sid: sid.expect("a session"),
        }
    }

    /// What would end it, sent to another spelling of an own path.
    fn ends_by(&self, matrix: &Matrix, own: &str, spelt: &str) -> Message {
        let openid = matrix.stage.idp.openid();
        match own {
            SIGN_OUT => message("POST", spelt, "", Some("a=b"))
                .header("origin", format!("https://{HOST}"))
                .header("cookie", self.cookie.as_str()),
            TOLD => {
                let token = openid.logout_token("web", "user|alice", &self.sid);
                message("POST", spelt, "", Some(&format!("logout_token={token}")))
            }
            _ => {
                let issuer = matrix.stage.idp.issuer();
                let issuer = issuer.replace(':', "%3A").replace('/', "%2F");
                let query = format!("?iss={issuer}&sid={}", self.sid);
                message("GET", spelt, &query, None)
            }
        }
    }

    fn is_over(&self, matrix: &Matrix) -> bool {
        let page = Message::get(HOST, "/page").header("cookie", self.cookie.as_str());
        let order = matrix.order(Protocol::Http1, page, HYPER);
        match send_all(&[order]).remove(0).expect("an answer").status {
            200 => false,
            401 => true,
            other => panic!("{other}"),
        }
    }
}

/// Whether an answer says that the session has ended.
fn is_done(own: &str, spelt: &str, answer: &RawResponse) -> bool {
    if own != SIGN_OUT {
        return answer.status == 200 && !may_be_admitted(answer);
    }
    let cookie = answer.header("set-cookie");
    let deletes = cookie.is_some_and(|line| line.contains("Max-Age=0"));
    // By its authority it may be for another host, which has no session to end.
    answer.status == 303 && deletes && !spelt.starts_with("http://other.")
}

/// What the answers to these say of the sign-out of a session that has just begun, and whether it is
/// over then.
async fn try_all(matrix: &Matrix, own: &str, forms: &[(Protocol, String)]) -> (Vec<bool>, bool) {
    let session = SignedIn::new(matrix).await;
    let order = |(protocol, spelt): &(Protocol, String)| {
        matrix.order(*protocol, session.ends_by(matrix, own, spelt), HYPER)
    };
    let orders: Vec<Order> = forms.iter().map(order).collect();
    let answers = send_all(&orders);
    let told = answers.iter().zip(forms).map(|(answer, (_, spelt))| {
        let answer = answer.as_ref();
        answer.is_ok_and(|answer| is_done(own, spelt, answer))
    });
    (told.collect(), session.is_over(matrix))
}

/// With a session: it is over and everybody is told so, or neither.
#[tokio::test(flavor = "multi_thread")]
async fn s24_no_spelling_does_half_of_a_sign_out() {
    let matrix = build();
    for own in [SIGN_OUT, TOLD, FRAMED] {
        let spelt = spellings(own).into_iter();
        let forms = spelt.flat_map(|spelt| Protocol::ALL.map(|protocol| (protocol, spelt.clone())));
        let forms: Vec<(Protocol, String)> = forms.collect();
        // The answer to each is the same whether another one was faster.
        let (told, is_over) = try_all(&matrix, own, &forms).await;
        assert!(is_over);
        let parted = forms.into_iter().zip(told);
        let (ending, others): (Vec<_>, Vec<_>) = parted.partition(|(_, is_told)| *is_told);
        let [ending, others] =
            [ending, others].map(|part| part.into_iter().map(|(form, _)| form).collect::<Vec<_>>());
        let (told, is_over) = try_all(&matrix, own, &others).await;
        assert!(!is_over, "{others:?}");
        assert!(told.iter().all(|is_told| !is_told), "{others:?}");
        for form in &ending {
            let (told, is_over) = try_all(&matrix, own, std::slice::from_ref(form)).await;
            assert!(is_over && told == [true], "{form:?}");
        }
        for protocol in Protocol::ALL {
            assert!(ending.contains(&(protocol, own.to_owned())), "{ending:?}");
        }
    }
    matrix.is_alive();
}
