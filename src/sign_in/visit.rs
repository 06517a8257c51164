//! A request of a person who may have signed in, as one decision sees it.
//!
//! Invariants:
//! - a decision consumes nothing, so a decision that is made twice has the same result;
//! - a cookie is not a session when it is torn, expired, foreign, or sealed with a key that is
//!   gone. The next page that is shown deletes it, or the next session takes its place. No other
//!   answer deletes it: what a script asked before its person signed in may be answered after that,
//!   and the browser would delete the new session.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::context::{Context, People};
use super::obstacle::Obstacle;
use super::problem::Problem;
use super::refresh::{self, Outcome, Patience};
use super::sessions::Opened;
use super::verified;
use crate::config::{
    Config, OwnPath, ProviderId, Scheme, SchemeId, SessionStore, SignIn, Unauthenticated,
};
use crate::desk::signer::Unverified;
use crate::desk::{Basis, Need};
use crate::document::finding::Finding;
use crate::ended::Known;
use crate::host::NoEntropy;
use crate::http::credentials::Change;
use crate::http::request::Request;
use crate::http::response::Rejection;
use crate::jose::base64url;
use crate::jose::jwt::{Expectations, Verified};
use crate::session::browser::{self, CrossSite};
use crate::session::cookie::{Torn, without_ours};
use crate::session::flow::Browser;
use crate::session::life::{NoSession, Session, Standing};
use crate::session::site::Site;

/// Why it is not known yet whether there is a session.
#[derive(Clone, Debug)]
pub enum NotYet {
    /// The session is being refreshed.
    Await(Need),
    /// The session must be refreshed, and cannot be refreshed now.
    Unavailable(Duration),
    /// It may have ended in another Envoy. The next try to know that is this far away.
    Unknown(Duration),
    /// The shared store has its claims and tokens, and does not answer. The next try is this far away.
    NoStore(Duration),
}

impl From<NotYet> for Obstacle {
    fn from(not_yet: NotYet) -> Self {
        match not_yet {
            NotYet::Await(need) => Self::Await(need),
            NotYet::Unavailable(wait) => Self::Reject(Rejection::provider_unavailable(wait)),
            NotYet::Unknown(wait) => Self::Reject(Rejection::sign_outs_unknown(wait)),
            NotYet::NoStore(wait) => Self::Reject(Rejection::session_store_unavailable(wait)),
        }
    }
}

/// A session in the form that cookies have.
pub(super) struct Put {
    /// The value that the browser sends.
    pub value: Vec<u8>,
    /// The values of `Set-Cookie`.
    pub lines: Vec<String>,
}

/// One request, and the sessions that it has.
pub struct Visit<'v> {
    pub(super) request: &'v Request,
    pub(super) config: &'v Config,
    pub(super) sign_in: &'v SignIn,
    pub(super) basis: Basis<'v>,
    pub(super) people: People<'v>,
    /// The schemes that were looked at, and what was found.
    looked_at: RefCell<Vec<(SchemeId, Found)>>,
    /// The sessions that were relied on, if they were refreshed or could not be refreshed.
    refreshed: RefCell<Vec<(SchemeId, Result<Renewed, NotYet>)>>,
}

#[derive(Clone)]
enum Found {
    /// The cookies have a session that is alive, or the ticket of one. Its entry in the shared store,
    /// if it has one, and its refresh decide whether it counts.
    Alive(Rc<Opened>),
    Nothing,
    /// The cookies are not a session.
    Refuse(NoUse),
}

/// Why the cookies of a scheme are not a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoUse {
    /// The cookies were not set together.
    Torn(Torn),
    /// The request's host has no single meaning, and a session belongs to one host.
    Host,
    /// The cookies do not open, or the session is over.
    Session(NoSession),
    /// The session was ended before its time.
    Ended,
    /// The shared store does not have the entry of the session.
    Lost,
}

/// A session that the response puts into the browser anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// Whose session it is. Where it is over when the response comes, the browser must keep what it has.
    pub session: Known,
    /// The values of `Set-Cookie`.
    pub lines: Vec<String>,
}

/// A session that the request relied on.
#[derive(Clone)]
struct Renewed {
    opened: Rc<Opened>,
    /// The values of `Set-Cookie` that put the session into the browser, if it is a new one.
    lines: Vec<String>,
}

impl<'v> Visit<'v> {
    /// Nothing is looked at yet.
    #[must_use]
    pub fn new(
        request: &'v Request,
        (config, sign_in): (&'v Config, &'v SignIn),
        basis: Basis<'v>,
        people: People<'v>,
    ) -> Self {
        Visit {
            request,
            config,
            sign_in,
            basis,
            people,
            looked_at: RefCell::default(),
            refreshed: RefCell::default(),
        }
    }

    pub(super) fn scheme(&self, id: SchemeId) -> &'v Scheme {
        &self.sign_in.schemes[id]
    }

    pub(super) fn context(&self) -> Context<'v> {
        Context {
            basis: self.basis,
            people: self.people,
        }
    }

    /// Verifies a provider's token with the provider's keys.
    pub(super) fn verify<'t>(
        &self,
        provider: ProviderId,
        expected: &Expectations,
        token: &'t [u8],
    ) -> Result<Verified<'t>, Unverified> {
        let now = self.basis.now;
        verified::by_keys(&self.basis, (provider, expected), token, now)
    }

    /// In Unix seconds.
    pub(super) fn now(&self) -> u64 {
        self.context().unix_seconds()
    }

    /// The session of this scheme that the request has, if it is alive: as far as its cookies have it.
    /// [`Visit::session`] has the rest, and says whether it counts.
    pub fn present(&self, id: SchemeId) -> Option<Rc<Opened>> {
        let mut looked_at = self.looked_at.borrow_mut();
        let known = looked_at.iter().find(|(known, _)| *known == id);
        let found = match known {
            Some((_, found)) => found.clone(),
            None => {
                let found = self.look_at(id);
                looked_at.push((id, found.clone()));
                found
            }
        };
        match found {
            Found::Alive(opened) => Some(opened),
            Found::Nothing | Found::Refuse(_) => None,
        }
    }

    /// What was found in the cookies of a scheme, if they were looked at: a session, nothing, or
    /// why they are not a session.
    #[must_use]
    pub fn looked_at(&self, id: SchemeId) -> Option<Result<Option<Rc<Opened>>, NoUse>> {
        let looked_at = self.looked_at.borrow();
        let (_, found) = looked_at.iter().find(|(known, _)| *known == id)?;
        Some(match found {
            Found::Alive(opened) => Ok(Some(Rc::clone(opened))),
            Found::Nothing => Ok(None),
            Found::Refuse(why) => Err(*why),
        })
    }

    /// The session of this scheme, if it counts. It is refreshed first, if that is due.
    ///
    /// # Errors
    /// [`NotYet`].
    pub fn session(&self, id: SchemeId) -> Result<Option<Rc<Opened>>, NotYet> {
        let Some(opened) = self.present(id) else {
            return Ok(None);
        };
        match self.basis.facts.sign_outs() {
            Finding::Ready(()) => {}
            Finding::Pending => return Err(NotYet::Await(Need::SignOuts)),
            Finding::Unavailable { retry_after } => return Err(NotYet::Unknown(retry_after)),
        }
        let known = self
            .refreshed
            .borrow()
            .iter()
            .find(|(of, _)| *of == id)
            .cloned();
        let outcome = match known {
            Some((_, outcome)) => Some(outcome),
            None => match self.whole(id, &opened)? {
                Some(opened) => self.refresh(id, opened),
                None => {
                    self.refuse(id, NoUse::Lost);
                    return Ok(None);
                }
            },
        };
        match outcome {
            Some(outcome) => {
                let opened = outcome.as_ref().map(|renewed| Rc::clone(&renewed.opened));
                let opened = opened.map_err(NotYet::clone);
                let mut refreshed = self.refreshed.borrow_mut();
                if !refreshed.iter().any(|(of, _)| *of == id) {
                    refreshed.push((id, outcome));
                }
                opened.map(Some)
            }
            None => {
                self.refuse(id, NoUse::Session(NoSession::Expired));
                Ok(None)
            }
        }
    }

    /// Notes that what the cookies of a scheme have is no session after all.
    fn refuse(&self, id: SchemeId, why: NoUse) {
        let mut looked_at = self.looked_at.borrow_mut();
        looked_at.retain(|(of, _)| *of != id);
        looked_at.push((id, Found::Refuse(why)));
    }

    /// The fact that a session's refresh needs.
    #[must_use]
    pub fn need(&self, id: SchemeId) -> Option<Need> {
        match self.session(id) {
            Err(NotYet::Await(need)) => Some(need),
            _ => None,
        }
    }

    /// The session after a refresh that was due; `None` where it is over.
    fn refresh(&self, id: SchemeId, opened: Rc<Opened>) -> Option<Result<Renewed, NotYet>> {
        let lines = Vec::new();
        // Where a body follows, the host would have to keep it while the request waits.
        let patience = if self.request.is_whole() {
            Patience::Waits
        } else {
            Patience::OnlyIfItMust
        };
        let (context, scheme) = (self.context(), self.scheme(id));
        match refresh::refresh(&context, scheme, opened.session(), patience) {
            Outcome::Stays => Some(Ok(Renewed { opened, lines })),
            Outcome::Await(need) => Some(Err(NotYet::Await(need))),
            Outcome::Unavailable(wait) => Some(Err(NotYet::Unavailable(wait))),
            Outcome::Over => {
                log::debug!("a session of {} is over", self.scheme(id).name);
                None
            }
            Outcome::Renewed(session) => self.renew(id, opened, *session, patience),
        }
    }

    /// Puts a session that was refreshed in the place of the one before; `None` where it is over.
    fn renew(
        &self,
        id: SchemeId,
        before: Rc<Opened>,
        session: Session,
        patience: Patience,
    ) -> Option<Result<Renewed, NotYet>> {
        let is_good = before.session().standing(self.now()) != Standing::Over;
        match self.keep_renewed(id, before.session(), &session) {
            Ok(()) => {}
            Err(Obstacle::Await(need)) if !is_good || patience == Patience::Waits => {
                return Some(Err(NotYet::Await(need)));
            }
            // The provider's answer is kept for those who come later.
            Err(Obstacle::Await(_) | Obstacle::Problem(Problem::NoStore(_))) if is_good => {
                return Some(Ok(Renewed {
                    opened: before,
                    lines: Vec::new(),
                }));
            }
            Err(Obstacle::Problem(Problem::NoStore(wait))) => {
                return Some(Err(NotYet::NoStore(wait)));
            }
            Err(_) => return None,
        }
        let put = self.put(id, session.clone()).ok()?;
        let opened = self.open(id, &put.value).ok()?;
        // The new session may be known by another session of the provider, which may have ended.
        if self.basis.facts.is_over(opened.known()) {
            return None;
        }
        let opened = self.completed(id, &put.value, opened, session)?;
        let lines = put.lines;
        Some(Ok(Renewed { opened, lines }))
    }

    fn look_at(&self, id: SchemeId) -> Found {
        let scheme = self.scheme(id);
        let value = match scheme.session_cookie.read(self.request) {
            Ok(Some(value)) => value,
            Ok(None) => return Found::Nothing,
            Err(torn) => {
                log::debug!("cookies of {} make no session: {torn:?}", scheme.name);
                return Found::Refuse(NoUse::Torn(torn));
            }
        };
        match self.open(id, &value) {
            Ok(opened) if self.basis.facts.is_over(opened.known()) => {
                log::debug!("no session of {}: it has ended", scheme.name);
                Found::Refuse(NoUse::Ended)
            }
            Ok(opened) => Found::Alive(opened),
            Err(why) => {
                log::debug!("no session of {}: {why:?}", scheme.name);
                Found::Refuse(why)
            }
        }
    }

    fn open(&self, id: SchemeId, value: &[u8]) -> Result<Rc<Opened>, NoUse> {
        let scheme = self.scheme(id);
        let host = self.host(scheme).map_err(|_| NoUse::Host)?;
        let provider = &self.config.providers[scheme.provider];
        let sessions = self.people.sessions;
        let opened = sessions.open((id, scheme), provider, host, value, self.now());
        opened.map_err(NoUse::Session)
    }

    /// The host that a scheme's cookies are bound to: the request's host, or the domain of the
    /// cookies.
    pub(super) fn host(&self, scheme: &'v Scheme) -> Result<&'v str, Problem> {
        match scheme.cookie.domain.as_deref() {
            Some(domain) => Ok(domain),
            None => self.request.host().map_err(|_| Problem::UnknownHost),
        }
    }

    /// Whether a request that relies on a session came from one of our own pages, or cannot change
    /// anything.
    ///
    /// # Errors
    /// Where another site may have sent it.
    pub fn vet_origin(&self) -> Result<(), CrossSite> {
        browser::vet_origin(self.request, &self.sign_in.sites)
    }

    /// Whether a person without a session is sent to sign in, as a rule says. A page that is shown
    /// after a failure never begins a sign-in by itself.
    #[must_use]
    pub fn is_redirected(&self, unauthenticated: Unauthenticated, path: Option<&str>) -> bool {
        let mut schemes = self.sign_in.schemes.iter();
        let is_of_errors =
            schemes.any(|scheme| path.is_some() && scheme.error_redirect_path.as_deref() == path);
        let is_read = || matches!(self.request.method(), Ok(b"GET" | b"HEAD"));
        !is_of_errors
            && match unauthenticated {
                Unauthenticated::Auto => browser::is_navigation(self.request),
                Unauthenticated::Redirect => is_read() && !browser::is_prefetch(self.request),
                Unauthenticated::Unauthorized => false,
            }
    }

    /// The values of `Set-Cookie` that delete cookies that were looked at and are not a session,
    /// where a person waits for a page. They are for a page that is shown.
    #[must_use]
    pub fn deletions(&self) -> Vec<String> {
        let is_page = browser::is_navigation(self.request);
        let looked_at = self.looked_at.borrow();
        let refused = looked_at
            .iter()
            .filter(|(_, found)| is_page && matches!(found, Found::Refuse(_)));
        let deletions = refused.flat_map(|(id, _)| {
            let cookie = &self.scheme(*id).session_cookie;
            cookie.delete(self.request)
        });
        deletions.collect()
    }

    /// The values of `Set-Cookie` that put refreshed sessions into the browser. Every answer must
    /// have them, because only their refresh tokens are still good.
    #[must_use]
    pub fn refreshed(&self) -> Vec<String> {
        let refreshed = self.refreshed.borrow();
        let renewed = refreshed
            .iter()
            .filter_map(|(_, outcome)| outcome.as_ref().ok());
        renewed
            .flat_map(|renewed| renewed.lines.iter().cloned())
            .collect()
    }

    /// The same values, and those that keep alive the sessions that the request relied on, each with its
    /// session. Sessions that are due are sealed anew. One that cannot be sealed now is sealed later.
    #[must_use]
    pub fn renewals(&self) -> Vec<Renewal> {
        let now = self.now();
        let refreshed = self.refreshed.borrow();
        let renewed = refreshed.iter().filter_map(|(id, outcome)| {
            let renewed = outcome.as_ref().ok()?;
            let lines = renewed.lines.clone();
            let session = *renewed.opened.known();
            (!lines.is_empty()).then_some((*id, Renewal { session, lines }))
        });
        let mut renewed: Vec<(SchemeId, Renewal)> = renewed.collect();
        for (id, found) in self.looked_at.borrow().iter() {
            if let Found::Alive(opened) = found
                && opened.is_due(now)
                && !renewed.iter().any(|(of, _)| of == id)
            {
                let session = opened.session().clone().seen_at(now);
                if let Ok(Put { lines, .. }) = self.put(*id, session) {
                    let session = *opened.known();
                    renewed.push((*id, Renewal { session, lines }));
                }
            }
        }
        renewed.into_iter().map(|(_, renewal)| renewal).collect()
    }

    /// Seals a session for the browser. If it is too large, its raw ID token is left out. The
    /// provider gets that token only at sign-out, and it can learn of the session in another way.
    pub(super) fn put(&self, id: SchemeId, session: Session) -> Result<Put, Obstacle> {
        match self.put_whole(id, &session) {
            Err(Obstacle::Problem(Problem::TooLarge)) => {
                let smaller = self.without_id_token(id, &session);
                self.put_whole(id, &smaller.ok_or(Problem::TooLarge)?)
            }
            put => put,
        }
    }

    /// A session without its raw ID token, where the upstream does not get that.
    pub(super) fn without_id_token(&self, id: SchemeId, session: &Session) -> Option<Session> {
        if self.scheme(id).forward_id_token_header.is_some() {
            return None;
        }
        let mut smaller = session.clone();
        if let Some(tokens) = &mut smaller.tokens {
            tokens.id = None;
        }
        Some(smaller)
    }

    fn put_whole(&self, id: SchemeId, session: &Session) -> Result<Put, Obstacle> {
        let scheme = self.scheme(id);
        let host = self.host(scheme)?;
        let keyring = self.people.sessions.keyring();
        let nonce = self.random()?;
        let sealed = match scheme.session.store {
            SessionStore::Cookie => session.seal(keyring, host, nonce),
            SessionStore::Shared => session.seal_ticket(keyring, host, nonce),
        };
        let left = session.ends().saturating_sub(self.now());
        let max_age = scheme.session.persistent.then_some(left);
        let set = scheme.session_cookie.set(&sealed, max_age, self.request);
        let lines = set.map_err(|too_large| {
            log::warn!("scheme {}: {too_large}", scheme.name);
            Problem::TooLarge
        })?;
        let value = base64url::encode(&sealed).into_bytes();
        Ok(Put { value, lines })
    }

    /// The request as rules and the upstream see it, without the filter's own cookies, and the
    /// change that makes the upstream's request so. `None` where the request has none of these
    /// cookies.
    #[must_use]
    pub fn without_cookies(&self) -> Option<(Request, Change)> {
        let lines = without_ours(self.request, &self.sign_in.cookies())?;
        let request = self.request.with_cookies(&lines);
        Some((request, Change::Lines("cookie", lines)))
    }

    pub(super) fn random<const N: usize>(&self) -> Result<[u8; N], NoEntropy> {
        let mut octets = [0; N];
        (self.people.entropy)(&mut octets)?;
        Ok(octets)
    }

    /// The site that the request is for.
    pub(super) fn site(&self) -> Result<Site, Problem> {
        let site = self.sign_in.sites.of_request(self.request, false);
        site.ok_or(Problem::UnknownHost)
    }

    /// The URL that the provider sends browsers back to.
    pub(super) fn redirect_uri(&self, scheme: &Scheme) -> Result<String, Problem> {
        match &scheme.redirect_uri {
            Some(uri) => Ok(uri.clone()),
            None => {
                let path = scheme.path(OwnPath::Callback).unwrap_or_default();
                Ok(format!("{}{path}", self.site()?.origin()))
            }
        }
    }

    /// The value that tells this browser from others, if the browser has one.
    pub(super) fn browser(&self, scheme: &Scheme) -> Option<Browser> {
        let value = scheme.browser_cookie.read(self.request).ok()??;
        Browser::parse(&value)
    }

    /// The values of `Set-Cookie` that put what is known of this browser into its cookie.
    pub(super) fn note(&self, scheme: &Scheme, browser: &Browser) -> Result<Vec<String>, Problem> {
        let octets = browser.octets();
        let set = scheme.browser_cookie.set(&octets, None, self.request);
        set.map_err(|_| Problem::TooLarge)
    }
}
