//! The sessions of one worker: the keys that seal them, and the sessions that it opened before.
//!
//! Invariants:
//! - only [`Sessions::open`] makes an [`Opened`], from octets that a key of the ring opens for the
//!   scheme and the host of the request;
//! - a remembered session is found only by all its octets, its scheme and its host. Its times are
//!   checked again each time;
//! - what a ticket opens is another entry than the whole session, which only [`Sessions::complete`]
//!   makes, and which counts for a while.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;

use quick_cache::Weighter;
use quick_cache::unsync::{Cache, DefaultLifecycle};

use crate::bytes;
use crate::config::{Provider, Scheme, SchemeId, SessionStore};
use crate::ended::Known;
use crate::jose::claims::Claims;
use crate::outputs::{self, Outputs};
use crate::session::life::{Alive, NoSession, Session};
use crate::session::seal::Keyring;

/// The most that a worker remembers, in bytes as [`Stored::size`] estimates them.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
/// The size of a usual session, in bytes.
const USUAL_SESSION: u64 = 4096;
/// The size of an entry without its texts and values, in bytes.
const OVERHEAD: usize = 512;
/// How much of a cookie is hashed, in bytes from its end. Its authentication tag is there.
const HASHED: usize = 64;

/// An opened session, with what follows from it.
#[derive(Debug)]
pub struct Opened {
    alive: Alive,
    claims: Claims,
    outputs: Rc<Outputs>,
    known: Known,
    /// Until when it is remembered, in Unix seconds, if it is what a ticket stands for.
    until: Option<u64>,
}

impl Opened {
    /// Whose session it is, and how long it lives.
    #[must_use]
    pub fn session(&self) -> &Session {
        self.alive.session()
    }

    /// The claims that the session keeps.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What of the session is passed on.
    #[must_use]
    pub fn outputs(&self) -> &Rc<Outputs> {
        &self.outputs
    }

    /// What identifies the session if it ends before its time.
    #[must_use]
    pub fn known(&self) -> &Known {
        &self.known
    }

    pub(super) fn alive(&self) -> &Alive {
        &self.alive
    }

    /// Whether it must be sealed anew at `now`, in Unix seconds.
    #[must_use]
    pub fn is_due(&self, now: u64) -> bool {
        self.alive.is_due(now)
    }
}

/// What tells cookies apart.
struct Cookie<'c> {
    scheme: SchemeId,
    host: &'c str,
    value: &'c [u8],
    /// Whether what a ticket stands for is meant, and not the ticket.
    is_completed: bool,
}

impl<'c> Cookie<'c> {
    /// What a ticket stands for.
    fn completed((scheme, host, value): (SchemeId, &'c str, &'c [u8])) -> Self {
        Self {
            scheme,
            host,
            value,
            is_completed: true,
        }
    }
}

struct Stored {
    scheme: SchemeId,
    host: Box<str>,
    value: Box<[u8]>,
    opened: Rc<Opened>,
}

impl Stored {
    fn is_of(&self, cookie: &Cookie<'_>) -> bool {
        self.scheme == cookie.scheme
            && *self.host == *cookie.host
            && self.opened.until.is_some() == cookie.is_completed
            && bytes::equal(&self.value, cookie.value)
    }

    fn size(&self) -> usize {
        let session = self.opened.session();
        let tokens = session.tokens.iter().flat_map(|tokens| {
            let all = [&tokens.access, &tokens.refresh, &tokens.id];
            all.into_iter().flatten().map(String::len)
        });
        let parts = [
            self.host.len(),
            self.value.len(),
            session.claims.len(),
            self.opened.claims.size(),
            self.opened.outputs.size(),
            OVERHEAD,
        ];
        parts
            .into_iter()
            .chain(tokens)
            .fold(0, usize::saturating_add)
    }
}

#[derive(Clone)]
struct BySize;

impl Weighter<u64, Stored> for BySize {
    fn weight(&self, _: &u64, stored: &Stored) -> u64 {
        u64::try_from(stored.size()).unwrap_or(u64::MAX)
    }
}

/// The sessions of one worker and configuration.
pub struct Sessions {
    keyring: Rc<Keyring>,
    opened: RefCell<Cache<u64, Stored, BySize, RandomState>>,
    hash: RandomState,
}

impl Sessions {
    /// Sessions that these keys seal.
    #[must_use]
    pub fn new(keyring: Keyring) -> Self {
        let items = usize::try_from(MOST_BYTES / USUAL_SESSION).unwrap_or(usize::MAX);
        let hash = RandomState::new();
        let lifecycle = DefaultLifecycle::default();
        Self {
            keyring: Rc::new(keyring),
            opened: RefCell::new(Cache::with(
                items,
                MOST_BYTES,
                BySize,
                hash.clone(),
                lifecycle,
            )),
            hash,
        }
    }

    /// The keys that seal and open.
    #[must_use]
    pub fn keyring(&self) -> &Rc<Keyring> {
        &self.keyring
    }

    /// Opens what the cookies of a scheme have, at `now` in Unix seconds. `host` is the request's
    /// host, or the domain of the cookies.
    ///
    /// # Errors
    /// [`NoSession`].
    pub fn open(
        &self,
        (id, scheme): (SchemeId, &Scheme),
        provider: &Provider,
        host: &str,
        value: &[u8],
        now: u64,
    ) -> Result<Rc<Opened>, NoSession> {
        let cookie = Cookie {
            scheme: id,
            host,
            value,
            is_completed: false,
        };
        if let Some(opened) = self.remembered(&cookie, now) {
            opened.session().vet(now)?;
            return Ok(opened);
        }
        let open = match scheme.session.store {
            SessionStore::Cookie => Session::open,
            SessionStore::Shared => Session::open_ticket,
        };
        let alive = open(&self.keyring, &scheme.scope, host, value, now)?;
        // What the configuration says now may be shorter than what it said at the sign-in.
        let latest = scheme.session.latest(alive.session().started);
        let alive = alive.until(latest, now)?;
        let issuers = &provider.expectations.issuer;
        let is_theirs = match alive.session().issuer.as_deref() {
            Some(issuer) => issuers.allows(issuer),
            None => !issuers.is_of_tenants(),
        };
        if !is_theirs {
            return Err(NoSession::Tenant);
        }
        let known = known(alive.session(), provider);
        let opened = opened(alive, known, provider, None).ok_or(NoSession::Format)?;
        Ok(self.remember(&cookie, opened))
    }

    /// The whole session behind a ticket, where it is remembered at `now`, in Unix seconds.
    pub(super) fn completed(
        &self,
        ticket: (SchemeId, &str, &[u8]),
        now: u64,
    ) -> Option<Rc<Opened>> {
        self.remembered(&Cookie::completed(ticket), now)
    }

    /// Remembers the whole session behind a ticket, until then in Unix seconds. `None` where its
    /// claims are none.
    pub(super) fn complete(
        &self,
        cookie: (SchemeId, &str, &[u8]),
        (ticket, provider): (&Opened, &Provider),
        whole: Alive,
        until: u64,
    ) -> Option<Rc<Opened>> {
        let opened = opened(whole, *ticket.known(), provider, Some(until))?;
        Some(self.remember(&Cookie::completed(cookie), opened))
    }

    #[inline(never)] // for two callers, as what follows
    fn remembered(&self, cookie: &Cookie<'_>, now: u64) -> Option<Rc<Opened>> {
        let file = self.file(cookie);
        let all = self.opened.borrow_mut();
        let stored = all.get(&file)?;
        let is_over = stored.opened.until.is_some_and(|until| now >= until);
        let is_it = !is_over && stored.is_of(cookie);
        is_it.then(|| Rc::clone(&stored.opened))
    }

    #[inline(never)]
    fn remember(&self, cookie: &Cookie<'_>, opened: Opened) -> Rc<Opened> {
        let opened = Rc::new(opened);
        let stored = Stored {
            scheme: cookie.scheme,
            host: cookie.host.into(),
            value: cookie.value.into(),
            opened: Rc::clone(&opened),
        };
        self.opened.borrow_mut().insert(self.file(cookie), stored);
        opened
    }

    fn file(&self, cookie: &Cookie<'_>) -> u64 {
        let value = cookie.value;
        let end = value.len().saturating_sub(HASHED);
        let end = value.get(end..).unwrap_or(value);
        self.hash.hash_one((end, cookie.is_completed))
    }
}

/// A session with what follows from it; `None` where its claims are none.
#[inline(never)]
fn opened(alive: Alive, known: Known, provider: &Provider, until: Option<u64>) -> Option<Opened> {
    let claims = Claims::parse(alive.session().claims.as_bytes()).ok()?;
    let outputs = Rc::new(outputs::from_session(provider, &alive, &claims));
    Some(Opened {
        alive,
        claims,
        outputs,
        known,
        until,
    })
}

/// What identifies a session of a provider if it ends before its time.
pub(super) fn known(session: &Session, provider: &Provider) -> Known {
    // Every provider of a scheme has an issuer.
    let of_provider = || provider.expectations.issuer.only();
    let issuer = session.issuer.as_deref().or_else(of_provider);
    Known::new(session, issuer.unwrap_or_default())
}
