//! The entry that a session has in the shared store, where its scheme keeps claims and tokens there.
//!
//! Invariants:
//! - the store is asked only for a ticket that opened, and for each at most once in [`REMEMBERED`]
//!   on each worker;
//! - a ticket alone is no session: without its entry nobody is let through;
//! - nobody gets a ticket before the store has its entry.

use std::rc::Rc;
use std::time::Duration;

use super::obstacle::Obstacle;
use super::problem::Problem;
use super::sessions::Opened;
use super::store_call;
use super::visit::{NotYet, Visit};
use crate::config::{FleetStore, SchemeId, SessionStore};
use crate::desk::Need;
use crate::desk::question::{Answered, Question};
use crate::document::finding::Finding;
use crate::session::life::Session;
use crate::session::stored;

/// How long a worker remembers what the store has, in seconds.
const REMEMBERED: u64 = 30;
/// How long an entry stays after a refresh, in seconds. The provider's answer is kept as long: who
/// comes with the session from before is led to the new one.
const STAYS: u64 = 10 * 60;
/// The wait before the next try where nobody knows better.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Visit<'_> {
    /// The store that has what the cookies of a scheme have not; `None` where they have all.
    fn store(&self, id: SchemeId) -> Result<Option<&FleetStore>, NotYet> {
        match (self.scheme(id).session.store, &self.config.fleet_store) {
            (SessionStore::Cookie, _) => Ok(None),
            (SessionStore::Shared, Some(store)) => Ok(Some(store)),
            (SessionStore::Shared, None) => Err(NotYet::NoStore(AGAIN_AFTER)),
        }
    }

    #[inline(never)] // for three callers
    fn ask(&self, question: Question) -> Result<Rc<Answered>, NotYet> {
        match self.basis.facts.answer(&question) {
            Finding::Ready(Ok(answer)) => Ok(answer),
            Finding::Pending => Err(NotYet::Await(Need::Answer(Box::new(question)))),
            Finding::Unavailable { retry_after } => Err(NotYet::NoStore(retry_after)),
            Finding::Ready(Err(_)) => Err(NotYet::NoStore(AGAIN_AFTER)),
        }
    }

    /// The whole session of what the cookies of a scheme have; `None` where the store has lost it.
    pub(super) fn whole(
        &self,
        id: SchemeId,
        ticket: &Rc<Opened>,
    ) -> Result<Option<Rc<Opened>>, NotYet> {
        let Some(store) = self.store(id)? else {
            return Ok(Some(Rc::clone(ticket)));
        };
        let scheme = self.scheme(id);
        let (Ok(Some(value)), Ok(host)) =
            (scheme.session_cookie.read(self.request), self.host(scheme))
        else {
            return Ok(None);
        };
        let sessions = self.people.sessions;
        let known = sessions.completed((id, host, &value), self.now());
        if known.is_some() {
            return Ok(known);
        }
        let name = stored::name(ticket.session());
        let answer = self.ask(store_call::read(store, &name))?;
        let sealed = store_call::found(&answer);
        let alive =
            sealed.and_then(|sealed| stored::open(ticket.alive(), sessions.keyring(), &sealed));
        if alive.is_none() {
            log::debug!(
                "no session of {}: the shared store has not its entry",
                scheme.name
            );
        }
        let until = answer.at.saturating_add(REMEMBERED);
        let provider = &self.config.providers[scheme.provider];
        Ok(alive.and_then(|alive| {
            sessions.complete((id, host, &value), (ticket, provider), alive, until)
        }))
    }

    /// Has the store keep a new session.
    pub(super) fn keep(&self, id: SchemeId, session: &Session) -> Result<(), Obstacle> {
        let Some(store) = self.store(id)? else {
            return Ok(());
        };
        let keyring = self.people.sessions.keyring();
        let nonce = self.random()?;
        let seal = |session: &Session| stored::seal(session, keyring, nonce);
        let sealed = seal(session).or_else(|| seal(&self.without_id_token(id, session)?));
        let Some(sealed) = sealed else {
            let name = &self.scheme(id).name;
            log::warn!("scheme {name}: the session is too large for the shared store");
            return Err(Problem::TooLarge.into());
        };
        let seconds = session.expires.saturating_sub(self.now()).max(1);
        let put = store_call::put(store, &stored::name(session), &sealed, seconds);
        match self.ask(put) {
            Ok(_) => Ok(()),
            Err(NotYet::NoStore(wait)) => Err(Problem::NoStore(wait).into()),
            Err(not_yet) => Err(not_yet.into()),
        }
    }

    /// Has the store keep a session in the place of another one, which still is found for a while.
    pub(super) fn keep_renewed(
        &self,
        id: SchemeId,
        before: &Session,
        renewed: &Session,
    ) -> Result<(), Obstacle> {
        self.keep(id, renewed)?;
        let Some(store) = self.store(id)? else {
            return Ok(());
        };
        let seconds = before.expires.saturating_sub(self.now()).clamp(1, STAYS);
        let name = stored::name(before);
        match self.ask(store_call::remove_after(store, &name, seconds)) {
            Err(not_yet @ NotYet::Await(_)) => Err(not_yet.into()),
            // It ends with its session.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// The whole session behind a ticket that was just put into the browser.
    pub(super) fn completed(
        &self,
        id: SchemeId,
        value: &[u8],
        ticket: Rc<Opened>,
        session: Session,
    ) -> Option<Rc<Opened>> {
        let scheme = self.scheme(id);
        if scheme.session.store == SessionStore::Cookie {
            return Some(ticket);
        }
        let host = self.host(scheme).ok()?;
        let alive = ticket.alive().with(session.claims, session.tokens);
        let until = self.now().saturating_add(REMEMBERED);
        let provider = &self.config.providers[scheme.provider];
        let sessions = self.people.sessions;
        sessions.complete((id, host, value), (&ticket, provider), alive, until)
    }

    /// What takes a session's entry away, where it has one. Nobody waits for that.
    pub(super) fn removal(&self, id: SchemeId, session: &Session) -> Option<Question> {
        let store = self.store(id).ok()??;
        Some(store_call::remove(store, &stored::name(session)))
    }
}
