//! A request of somebody who may have signed in, as one decision sees it.
//!
//! Invariants:
//! - nothing is consumed: a decision that is made twice comes to the same;
//! - a cookie that is torn, expired, foreign or of a key that is not there is no session, and is
//!   deleted in the answer.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::problem::Problem;
use super::sessions::{Opened, Sessions};
use crate::config::{Config, OwnPath, ProviderId, Scheme, SchemeId, SignIn, Unauthenticated};
use crate::desk::signer::{self, Unverified};
use crate::desk::{Basis, Metadata, Need};
use crate::document::finding::Finding;
use crate::host::NoEntropy;
use crate::http::credentials::Change;
use crate::http::request::Request;
use crate::http::response::Rejection;
use crate::http::uri::Uri;
use crate::jose::jwt::{self, Expectations, Verified};
use crate::session::browser::{self, CrossSite};
use crate::session::cookie::{Torn, without_ours};
use crate::session::flow::Browser;
use crate::session::life::{NoSession, Session};
use crate::session::site::Site;

/// The wait where the provider's metadata lack an endpoint: newer ones may have it.
const WITHOUT_ENDPOINT: Duration = Duration::from_secs(60);

/// Fills octets with randomness that nobody can guess; see [`crate::host::Host::entropy`].
pub type Entropy<'e> = &'e dyn Fn(&mut [u8]) -> Result<(), NoEntropy>;

/// What a worker has for people who sign in.
#[derive(Clone, Copy)]
pub struct People<'m> {
    /// The sessions, and the keys that seal them.
    pub sessions: &'m Sessions,
    /// Asked for where something is sealed or begun.
    pub entropy: Entropy<'m>,
}

/// Why a request for one of the filter's own paths is not answered as it asks.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// A fact is missing.
    Await(Need),
    /// Rejected like any other request.
    Reject(Rejection<'static>),
    /// The sign-in ends.
    Problem(Problem),
}

impl From<Problem> for Obstacle {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<NoEntropy> for Obstacle {
    fn from(_: NoEntropy) -> Self {
        Self::Reject(Rejection::HostRefused)
    }
}

impl From<CrossSite> for Obstacle {
    fn from(_: CrossSite) -> Self {
        Self::Reject(Rejection::CrossSite)
    }
}

/// One request, and the sessions that it has.
pub struct Visit<'v> {
    pub(super) request: &'v Request,
    pub(super) config: &'v Config,
    pub(super) sign_in: &'v SignIn,
    pub(super) basis: Basis<'v>,
    pub(super) people: People<'v>,
    /// The schemes that were asked for, and what there was.
    looked_at: RefCell<Vec<(SchemeId, Found)>>,
}

#[derive(Clone)]
enum Found {
    Alive(Rc<Opened>),
    Nothing,
    /// Cookies that are no session.
    Refuse(NoUse),
}

/// Why the cookies of a scheme are no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoUse {
    /// They are not those that were set together.
    Torn(Torn),
    /// The request's host has no single meaning, and a session is of one host.
    Host,
    /// They do not open, or the session is over.
    Session(NoSession),
    /// The session was ended before its time.
    Ended,
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
        }
    }

    pub(super) fn scheme(&self, id: SchemeId) -> &'v Scheme {
        &self.sign_in.schemes[id]
    }

    /// In Unix seconds. A clock that is no number is at 1970, where every session is of the future.
    pub(super) fn now(&self) -> u64 {
        self.basis.now as u64
    }

    /// The issuer of a scheme's provider, which has one.
    pub(super) fn issuer(&self, scheme: &Scheme) -> &'v str {
        let expected = &self.config.providers[scheme.provider].expectations;
        expected.issuer.as_deref().unwrap_or_default()
    }

    /// How long a session lives at most, of any scheme, in seconds.
    pub(super) fn longest_session(&self) -> u64 {
        let spans = self.sign_in.schemes.iter();
        let spans = spans.map(|scheme| scheme.session.max_duration.as_secs());
        spans.max().unwrap_or(u64::MAX)
    }

    /// A token of a provider's, by its keys.
    pub(super) fn verify<'t>(
        &self,
        provider: ProviderId,
        expected: &Expectations,
        token: &'t [u8],
    ) -> Result<Verified<'t>, Unverified> {
        let basis = &self.basis;
        let parsed = jwt::parse_with(token, &mut basis.headers.borrow_mut());
        let validated = parsed.and_then(|parsed| parsed.validate(expected, basis.now));
        let validated = validated.map_err(Unverified::Refused)?;
        let keys = (provider, basis.facts.keys(provider));
        let verified = signer::verify(&validated, keys, basis, &());
        verified.map(|(_, verified)| verified)
    }

    /// The session by this scheme, if it is alive.
    pub fn session(&self, id: SchemeId) -> Option<Rc<Opened>> {
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

    /// What the cookies of a scheme came to, where they were looked at: a session, nothing, or why
    /// they are none.
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
        let host = match scheme.cookie.domain.as_deref() {
            Some(domain) => Ok(domain),
            None => self.request.host(),
        };
        let Ok(host) = host else {
            return Found::Refuse(NoUse::Host);
        };
        let provider = &self.config.providers[scheme.provider];
        let sessions = self.people.sessions;
        match sessions.open((id, scheme), provider, host, &value, self.now()) {
            Ok(opened) if self.basis.facts.is_over(opened.known()) => {
                log::debug!("no session of {}: it has ended", scheme.name);
                Found::Refuse(NoUse::Ended)
            }
            Ok(opened) => Found::Alive(opened),
            Err(why) => {
                log::debug!("no session of {}: {why:?}", scheme.name);
                Found::Refuse(NoUse::Session(why))
            }
        }
    }

    /// Whether what counts on a session was sent by one of our own pages, or cannot change
    /// anything.
    ///
    /// # Errors
    /// Where another site may have sent it.
    pub fn vet_origin(&self) -> Result<(), CrossSite> {
        browser::vet_origin(self.request, &self.sign_in.sites)
    }

    /// Whether whoever has no session is sent to sign in, as a rule says it. A page that is shown
    /// after a failure never begins again by itself.
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

    /// The values of `Set-Cookie` that delete what was looked at and is no session.
    #[must_use]
    pub fn deletions(&self) -> Vec<String> {
        let looked_at = self.looked_at.borrow();
        let refused = looked_at
            .iter()
            .filter(|(_, found)| matches!(found, Found::Refuse(_)));
        let deletions = refused.flat_map(|(id, _)| {
            let cookie = &self.scheme(*id).session_cookie;
            cookie.delete(self.request)
        });
        deletions.collect()
    }

    /// The values of `Set-Cookie` that keep sessions alive which were counted on: those that are
    /// due are sealed anew. One that cannot be now is later.
    #[must_use]
    pub fn renewals(&self) -> Vec<String> {
        let now = self.now();
        let looked_at = self.looked_at.borrow();
        let mut lines = Vec::new();
        for (id, found) in looked_at.iter() {
            if let Found::Alive(opened) = found
                && opened.is_due(now)
            {
                let session = opened.session().clone().seen_at(now);
                if let Ok(set) = self.cookies(*id, &session) {
                    lines.extend(set);
                }
            }
        }
        lines
    }

    /// The values of `Set-Cookie` that put a session into the browser.
    pub(super) fn cookies(&self, id: SchemeId, session: &Session) -> Result<Vec<String>, Obstacle> {
        let scheme = self.scheme(id);
        let host = match scheme.cookie.domain.as_deref() {
            Some(domain) => domain,
            None => self.request.host().map_err(|_| Problem::UnknownHost)?,
        };
        let keyring = self.people.sessions.keyring();
        let sealed = session.seal(keyring, host, self.random()?);
        let left = session.ends().saturating_sub(self.now());
        let max_age = scheme.session.persistent.then_some(left);
        let set = scheme.session_cookie.set(&sealed, max_age, self.request);
        set.map_err(|too_large| {
            log::warn!("scheme {}: {too_large}", scheme.name);
            Problem::TooLarge.into()
        })
    }

    /// The request as rules and the upstream see it, and how the upstream's comes to be so: without
    /// the filter's own cookies. `None` where it has none of them.
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

    /// Where the provider sends browsers back.
    pub(super) fn redirect_uri(&self, scheme: &Scheme) -> Result<String, Problem> {
        match &scheme.redirect_uri {
            Some(uri) => Ok(uri.clone()),
            None => {
                let path = scheme.path(OwnPath::Callback).unwrap_or_default();
                Ok(format!("{}{path}", self.site()?.origin()))
            }
        }
    }

    /// What tells the browser from others, if it has that.
    pub(super) fn browser(&self, scheme: &Scheme) -> Option<Browser> {
        let value = scheme.browser_cookie.read(self.request).ok()??;
        Browser::parse(&value)
    }

    /// An endpoint of a scheme's provider: the configured one, or else what the provider's metadata
    /// say. `None` where neither does.
    pub(super) fn endpoint(
        &self,
        scheme: &Scheme,
        configured: Option<&Uri>,
        in_metadata: fn(&Metadata) -> Option<&Uri>,
    ) -> Result<Option<Uri>, Obstacle> {
        match configured {
            Some(uri) => Ok(Some(uri.clone())),
            None => {
                let metadata = self.metadata(scheme)?;
                Ok(in_metadata(&metadata).cloned())
            }
        }
    }

    /// The same, of an endpoint that a sign-in cannot do without: newer metadata may have it.
    pub(super) fn needed_endpoint(
        &self,
        scheme: &Scheme,
        configured: Option<&Uri>,
        in_metadata: fn(&Metadata) -> Option<&Uri>,
    ) -> Result<Uri, Obstacle> {
        let endpoint = self.endpoint(scheme, configured, in_metadata)?;
        endpoint.ok_or(Problem::Unavailable(WITHOUT_ENDPOINT).into())
    }

    /// The metadata of a scheme's provider.
    pub(super) fn metadata(&self, scheme: &Scheme) -> Result<Rc<Metadata>, Obstacle> {
        match self.basis.facts.metadata(scheme.provider) {
            Finding::Ready(metadata) => Ok(metadata),
            Finding::Pending => Err(Obstacle::Await(Need::Keys(scheme.provider))),
            Finding::Unavailable { retry_after } => Err(Problem::Unavailable(retry_after).into()),
        }
    }
}
