//! What a browser brings of a session that is in the shared store, and what the store has of it.

use bearer_gate::jose::base64url;
use bearer_gate::session::life::{Alive, Session, Tokens};
use bearer_gate::session::seal::{Context, Purpose};
use bearer_gate::session::stored;

use super::session::{HOST, NOW, a_session, full_session, keyring};

const NONCE: [u8; 24] = [7; 24];

/// The two sessions that were ever put into the store here.
fn sessions() -> [Session; 2] {
    [a_session(2), full_session()]
}

/// The ticket of a session, as it is in a cookie.
fn value(session: &Session) -> String {
    base64url::encode(&session.seal_ticket(&keyring(), HOST, NONCE))
}

fn open(value: &str) -> Option<Alive> {
    Session::open_ticket(&keyring(), "staff", HOST, value.as_bytes(), NOW).ok()
}

/// The good inputs, each with the octet that chooses what it is.
pub(crate) fn good_tickets() -> Vec<Vec<u8>> {
    let ring = keyring();
    let with = |chosen: u8, octets: &[u8]| [&[chosen][..], octets].concat();
    let mut all = Vec::new();
    for session in sessions() {
        let ticket = session.seal_ticket(&ring, HOST, NONCE);
        let plaintext = ring
            .open(of_ticket(), &ticket)
            .expect("its own key")
            .plaintext;
        let entry = stored::seal(&session, &ring, NONCE).expect("it is short");
        let name = stored::name(&session);
        let opened = ring.open_for(&session.id, of_entry(&name), &entry);
        all.push(with(b'0', &plaintext));
        all.push(with(b'1', &opened.expect("its own key").plaintext));
        all.push(with(b'2', value(&session).as_bytes()));
        all.push(with(b'3', &entry));
    }
    all
}

fn of_ticket() -> Context<'static> {
    Context {
        purpose: Purpose::Ticket,
        scheme: "staff",
        host: HOST,
    }
}

fn of_entry(name: &str) -> Context<'_> {
    Context {
        purpose: Purpose::Stored,
        scheme: "staff",
        host: name,
    }
}

/// The first octet chooses what the others are: what was sealed as a ticket or as an entry, by another
/// version or by mistake, or what a browser or the store brings, sealed or not. A ticket and an entry have one
/// form; an entry changes nothing but claims and tokens; and of what comes from outside only what was sealed opens.
pub(crate) fn ticket(bytes: &[u8]) {
    let (chosen, rest) = bytes.split_first().unwrap_or((&b'0', b""));
    match chosen {
        b'1' => sealed_entry(rest),
        b'2' => from_a_browser(rest),
        b'3' => from_the_store(rest),
        _ => sealed_ticket(rest),
    }
}

fn sealed_ticket(plaintext: &[u8]) {
    let ring = keyring();
    let sealed = base64url::encode(&ring.seal(of_ticket(), plaintext, NONCE));
    let as_session = Session::open(&ring, "staff", HOST, sealed.as_bytes(), NOW);
    assert!(as_session.is_err());
    let Some(alive) = open(&sealed) else { return };
    let session = alive.session();
    if session.claims == "{}" && session.tokens.is_none() {
        assert_eq!(value(session), sealed);
    }
    assert!(NOW < session.ends() && session.ends() <= session.expires);
    assert_eq!(stored::name(session).len(), 22);
    // Its entry is found by it, with what the session has, or is too long.
    let claims = "[1]".to_owned();
    let whole = alive.with(claims, Some(Tokens::default()));
    if let Some(entry) = stored::seal(whole.session(), &ring, NONCE) {
        let opened = stored::open(&alive, &ring, &entry);
        assert!(opened.is_some_and(|opened| opened.session() == whole.session()));
    }
}

fn sealed_entry(plaintext: &[u8]) {
    let ring = keyring();
    for session in sessions() {
        let name = stored::name(&session);
        let entry = ring.seal_for(&session.id, of_entry(&name), plaintext, NONCE);
        let ticket = open(&value(&session)).expect("a ticket");
        let Some(whole) = stored::open(&ticket, &ring, &entry) else {
            continue;
        };
        let again = stored::seal(whole.session(), &ring, NONCE);
        assert!(again.is_none_or(|again| again == entry));
        let bare = ticket.session().clone();
        let of_entry = whole.session().clone();
        let but_for = Session {
            claims: bare.claims.clone(),
            tokens: None,
            ..of_entry
        };
        assert!(but_for == bare);
    }
}

fn from_a_browser(value_of_cookie: &[u8]) {
    let ring = keyring();
    if Session::open_ticket(&ring, "staff", HOST, value_of_cookie, NOW).is_ok() {
        let own = sessions();
        assert!(
            own.iter()
                .any(|own| value(own).as_bytes() == value_of_cookie)
        );
        assert!(Session::open(&ring, "staff", HOST, value_of_cookie, NOW).is_err());
    }
}

fn from_the_store(entry: &[u8]) {
    let ring = keyring();
    for session in sessions() {
        let ticket = open(&value(&session)).expect("a ticket");
        if let Some(whole) = stored::open(&ticket, &ring, entry) {
            assert!(*whole.session() == session);
            let own = stored::seal(&session, &ring, NONCE);
            assert_eq!(own.as_deref(), Some(entry));
        }
    }
}
