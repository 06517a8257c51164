//! What a store keeps of a session: its claims and its tokens. The browser has the rest, a ticket
//! ([`Session::seal_ticket`]).
//!
//! Invariants:
//! - an entry opens only for the ticket of its session. One half of its key is the session's id, which
//!   nobody has but the browser: neither who reads the store nor who has the keyring can do without it;
//! - an entry is bound to its name, and each refresh of a session has a name of its own. So what is
//!   older does not pass for what is newer, and nothing is written over.

use super::life::{Alive, Session, Tokens};
use super::seal::{Context, Keyring, MAX_SEALED, NONCE_LEN, Purpose};
use crate::bytes::half_digest;
use crate::jose::base64url;
use crate::record::{Reader, Writer};

/// The version of the record.
const FORMAT: u64 = 1;

/// The name of a session's entry. It tells nothing of the session.
#[must_use]
pub fn name(session: &Session) -> String {
    let number = session.refreshing.map_or(0, |refreshing| refreshing.number);
    let name = half_digest(&[
        b"stored session",
        session.scope.as_bytes(),
        &session.id,
        &number.to_be_bytes(),
    ]);
    base64url::encode(&name)
}

/// The octets for a session's entry; `None` where they are more than are opened again.
#[must_use]
pub fn seal(session: &Session, keyring: &Keyring, nonce: [u8; NONCE_LEN]) -> Option<Vec<u8>> {
    let record = Writer::default().number(FORMAT).text(&session.claims);
    let record = Tokens::write(session.tokens.as_ref(), record).finish();
    let name = name(session);
    let sealed = keyring.seal_for(&session.id, of_entry(session, &name), &record, nonce);
    (sealed.len() <= MAX_SEALED).then_some(sealed)
}

/// The whole session of a ticket with what its entry has; `None` where that is another's, or altered.
#[must_use]
pub fn open(ticket: &Alive, keyring: &Keyring, sealed: &[u8]) -> Option<Alive> {
    let session = ticket.session();
    let name = name(session);
    let opened = keyring.open_for(&session.id, of_entry(session, &name), sealed);
    let opened = opened.ok()?;
    let mut record = Reader(&opened.plaintext);
    if record.number()? != FORMAT {
        return None;
    }
    let claims = record.text()?.to_owned();
    let tokens = Tokens::read(&mut record)?;
    record.finish()?;
    Some(ticket.with(claims, tokens))
}

fn of_entry<'c>(session: &'c Session, name: &'c str) -> Context<'c> {
    Context {
        purpose: Purpose::Stored,
        scheme: &session.scope,
        host: name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::life::{NoSession, Refreshing};

    const NOW: u64 = 1_800_000_000;
    const HOST: &str = "app.example";

    fn ring(letters: &[&str]) -> Keyring {
        let secrets: Vec<String> = letters.iter().map(|letter| letter.repeat(32)).collect();
        Keyring::new(&secrets).unwrap()
    }

    fn session(id: u8, number: Option<u64>) -> Session {
        Session {
            id: [id; 16],
            scope: "staff".to_owned(),
            issuer: None,
            subject: "kim".to_owned(),
            sid: Some("s-1".to_owned()),
            first_sid: None,
            auth_time: None,
            acr: None,
            started: NOW,
            issued: NOW,
            seen: NOW,
            idle: Some(1800),
            expires: NOW + 8 * 3600,
            claims: r#"{"email":"kim@a.example"}"#.to_owned(),
            tokens: Some(Tokens {
                access: Some("a.b.c".to_owned()),
                refresh: Some("r".to_owned()),
                ..Tokens::default()
            }),
            refreshing: number.map(|number| Refreshing {
                number,
                due: NOW + 240,
                good_until: NOW + 300,
                nonce: [9; 16],
            }),
        }
    }

    fn sealed(session: &Session) -> Vec<u8> {
        seal(session, &ring(&["a"]), [7; NONCE_LEN]).unwrap()
    }

    fn ticket_of(session: &Session) -> Alive {
        let ticket = session.seal_ticket(&ring(&["a"]), HOST, [5; NONCE_LEN]);
        let ticket = base64url::encode(&ticket).into_bytes();
        Session::open_ticket(&ring(&["a"]), &session.scope, HOST, &ticket, NOW).unwrap()
    }

    #[test]
    fn a_ticket_and_its_entry_are_the_session() {
        for session in [session(1, None), session(1, Some(0)), session(2, Some(7))] {
            let ticket = ticket_of(&session);
            let bare = ticket.session();
            assert_eq!((bare.claims.as_str(), bare.tokens.is_none()), ("{}", true));
            let whole = open(&ticket, &ring(&["a"]), &sealed(&session)).unwrap();
            assert!(*whole.session() == session);
            // The time of the last request is in the ticket.
            let later = ticket_of(&session.clone().seen_at(NOW + 60));
            let whole = open(&later, &ring(&["a"]), &sealed(&session)).unwrap();
            assert_eq!(whole.session().seen, NOW + 60);
        }
    }

    #[test]
    fn s35_an_entry_opens_for_its_ticket_alone() {
        let own = session(1, Some(1));
        let table = [
            ("its own", session(1, Some(1)), true),
            ("of another session", session(2, Some(1)), false),
            ("from before a refresh", session(1, Some(0)), false),
            ("from after a refresh", session(1, Some(2)), false),
            (
                "of another scheme",
                Session {
                    scope: "guests".to_owned(),
                    ..session(1, Some(1))
                },
                false,
            ),
        ];
        for (what, of, opens) in table {
            let opened = open(&ticket_of(&own), &ring(&["a"]), &sealed(&of));
            assert_eq!(opened.is_some(), opens, "{what}");
        }
        let good = sealed(&own);
        for at in 0..good.len() {
            let mut altered = good.clone();
            altered[at] ^= 1;
            assert!(open(&ticket_of(&own), &ring(&["a"]), &altered).is_none());
            assert!(open(&ticket_of(&own), &ring(&["a"]), &good[..at]).is_none());
        }
        assert!(open(&ticket_of(&own), &ring(&["b"]), &good).is_none());
        // Another key seals by now.
        assert!(open(&ticket_of(&own), &ring(&["b", "a"]), &good).is_some());
    }

    /// Sealed octets of one kind do not pass for another one's, under the same names.
    #[test]
    fn s35_nothing_else_is_a_ticket_or_an_entry() {
        let own = session(1, None);
        let ring = ring(&["a"]);
        let cookies = own.seal(&ring, HOST, [5; NONCE_LEN]);
        assert!(open(&ticket_of(&own), &ring, &cookies).is_none());
        let cookies = base64url::encode(&cookies).into_bytes();
        let opened = Session::open_ticket(&ring, "staff", HOST, &cookies, NOW);
        assert_eq!(opened.err(), Some(NoSession::Broken));
        let ticket = own.seal_ticket(&ring, HOST, [5; NONCE_LEN]);
        assert!(open(&ticket_of(&own), &ring, &ticket).is_none());
        let ticket = base64url::encode(&ticket).into_bytes();
        let opened = Session::open(&ring, "staff", HOST, &ticket, NOW);
        assert_eq!(opened.err(), Some(NoSession::Broken));
        let other_host = Session::open_ticket(&ring, "staff", "b.example", &ticket, NOW);
        assert_eq!(other_host.err(), Some(NoSession::Broken));
    }

    #[test]
    fn names_tell_entries_apart_and_nothing_else() {
        let first = name(&session(1, Some(0)));
        assert_eq!(first, name(&session(1, None)));
        assert_eq!(first.len(), 22);
        let others = [session(2, None), session(1, Some(1)), session(1, Some(256))];
        for other in &others {
            assert_ne!(first, name(other));
        }
    }

    #[test]
    fn an_entry_is_no_longer_than_what_is_opened() {
        let overhead = sealed(&session(1, None)).len();
        let with = |length: usize| Session {
            claims: "x".repeat(length),
            ..session(1, None)
        };
        let most = MAX_SEALED - overhead + session(1, None).claims.len();
        let longest = sealed(&with(most));
        assert_eq!(longest.len(), MAX_SEALED);
        assert!(open(&ticket_of(&with(most)), &ring(&["a"]), &longest).is_some());
        assert!(seal(&with(most + 1), &ring(&["a"]), [7; NONCE_LEN]).is_none());
    }
}
