//! A session and how long it lives.
//!
//! Invariant: a [`Session`] that was opened is alive at the given time. The idle timeout and the
//! absolute end are both in its record, so that every Envoy decides alike.

use super::CLOCK_SKEW;
use super::seal::{Context, Keyring, NONCE_LEN, Purpose, Unsealed};
use crate::jose::base64url;
use crate::record::{Reader, Writer};

/// `seen` is rewritten once in each of this many parts of the idle timeout.
const RENEWALS: u64 = 10;

/// The formats of the record: with [`Refreshing`] and `first_sid`, and without both. A session of any
/// other format is signed out.
const FORMAT: u64 = 3;
const WITHOUT_REFRESHING: u64 = 2;
/// What is added to the format of a session with an issuer of its own.
const OF_TENANT: u64 = 2;

/// The claims of a ticket.
const NO_CLAIMS: &str = "{}";

/// A person who has signed in. All times are Unix seconds.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// Tells sessions apart in the list of those that have ended. Nobody can guess it.
    pub id: [u8; 16],
    /// The scope of its scheme, see [`super::seal::scope`]. It is not in the record, because the
    /// seal is bound to it.
    pub scope: String,
    /// The ID token's `iss`, where the scheme's provider has one for each tenant: a `sub` and a
    /// `sid` are then this issuer's.
    pub issuer: Option<String>,
    /// The ID token's `sub`.
    pub subject: String,
    /// The provider's own session (OpenID Connect Front-Channel Logout 1.0 section 3).
    pub sid: Option<String>,
    /// The `sid` that it began with, where a refresh brought another one. Both of them end it.
    pub first_sid: Option<String>,
    /// When the person proved who they are, and how (OpenID Connect Core 1.0 section 2).
    pub auth_time: Option<u64>,
    /// The class of that authentication (`acr`).
    pub acr: Option<String>,
    /// The sign-in, in Unix seconds.
    pub started: u64,
    /// When the provider issued the ID token that it began with, by the provider's clock.
    pub issued: u64,
    /// The last request that was noted.
    pub seen: u64,
    /// The longest time without a request, in seconds.
    pub idle: Option<u64>,
    /// When it ends in any case.
    pub expires: u64,
    /// The claims that the configuration chose: a JSON object.
    pub claims: String,
    /// The tokens, where the configuration keeps them.
    pub tokens: Option<Tokens>,
    /// When it is refreshed, where it has a refresh token and uses it.
    pub refreshing: Option<Refreshing>,
}

/// When a session is refreshed. All times are Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refreshing {
    /// How often it was refreshed before.
    pub number: u64,
    /// From when on it must be refreshed.
    pub due: u64,
    /// When the tokens end that it depends on. From then on it counts only after a refresh.
    pub good_until: u64,
    /// A hash of the `nonce` of the ID token that it began with.
    pub nonce: [u8; 16],
}

/// Whether a session that is alive counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It counts.
    Good,
    /// It counts, and must be refreshed.
    Due,
    /// It counts only after a refresh.
    Over,
}

/// The tokens that the provider gave.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The access token; kept where the upstream gets it.
    pub access: Option<String>,
    /// When the access token ends, in Unix seconds.
    pub access_expires: Option<u64>,
    /// The refresh token; kept where the configuration uses it.
    pub refresh: Option<String>,
    /// The ID token, as the provider signed it.
    pub id: Option<String>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tokens")
    }
}

/// Why there is no session. The cookies must be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSession {
    /// Not base64url.
    Malformed,
    /// Sealed with a key that is not there, or no longer there.
    UnknownKey,
    /// Altered, for another scheme, host or purpose, or never sealed.
    Broken,
    /// Ours, but from another version of the filter.
    Format,
    /// Of a tenant that the configuration no longer takes.
    Tenant,
    /// There was no request for the idle timeout.
    Idle,
    /// It has reached its end.
    Expired,
    /// It was begun or seen in the future, by more than [`CLOCK_SKEW`], or its times contradict
    /// each other.
    Times,
}

/// A session that was opened while it was alive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alive {
    session: Session,
    /// Whether it was sealed with another key than the one that seals now.
    has_old_key: bool,
}

impl Alive {
    /// The session of a ticket with its claims and tokens.
    #[must_use]
    pub fn with(&self, claims: String, tokens: Option<Tokens>) -> Self {
        let mut whole = self.clone();
        whole.session.claims = claims;
        whole.session.tokens = tokens;
        whole
    }

    /// What was opened.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The same if it is alive at `now` where it ends at `latest`, both in Unix seconds.
    ///
    /// # Errors
    /// Why it is not alive.
    pub fn until(mut self, latest: u64, now: u64) -> Result<Self, NoSession> {
        self.session.expires = self.session.expires.min(latest);
        self.session.vet(now)?;
        Ok(self)
    }

    /// Whether it must be sealed anew at `now`, in Unix seconds: a tenth of the idle timeout has
    /// passed, or a newer key seals.
    #[must_use]
    pub fn is_due(&self, now: u64) -> bool {
        let silence = now.saturating_sub(self.session.seen);
        let idle = self.session.idle;
        self.has_old_key || idle.is_some_and(|idle| silence.saturating_mul(RENEWALS) >= idle)
    }
}

impl Session {
    /// The octets for its cookies. `host` is the request's host, or the domain of the cookies.
    /// `nonce` is random.
    #[must_use]
    pub fn seal(&self, keyring: &Keyring, host: &str, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let context = in_cookies(Purpose::Session, &self.scope, host);
        let record = self.write(&self.claims, self.tokens.as_ref());
        keyring.seal(context, &record, nonce)
    }

    /// The same without claims and tokens, which a store keeps; see [`super::stored`].
    #[must_use]
    pub fn seal_ticket(&self, keyring: &Keyring, host: &str, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let context = in_cookies(Purpose::Ticket, &self.scope, host);
        keyring.seal(context, &self.write(NO_CLAIMS, None), nonce)
    }

    /// Opens what the cookies of a scheme with this scope have, at `now` in Unix seconds.
    ///
    /// # Errors
    /// [`NoSession`].
    pub fn open(
        keyring: &Keyring,
        scope: &str,
        host: &str,
        cookies: &[u8],
        now: u64,
    ) -> Result<Alive, NoSession> {
        let context = in_cookies(Purpose::Session, scope, host);
        Self::open_as(context, keyring, cookies, now)
    }

    /// Opens what [`Session::seal_ticket`] sealed: a session without claims and tokens.
    ///
    /// # Errors
    /// [`NoSession`].
    pub fn open_ticket(
        keyring: &Keyring,
        scope: &str,
        host: &str,
        cookies: &[u8],
        now: u64,
    ) -> Result<Alive, NoSession> {
        let context = in_cookies(Purpose::Ticket, scope, host);
        Self::open_as(context, keyring, cookies, now)
    }

    #[inline(never)] // for two callers
    fn open_as(
        context: Context<'_>,
        keyring: &Keyring,
        cookies: &[u8],
        now: u64,
    ) -> Result<Alive, NoSession> {
        let sealed = base64url::decode(cookies).ok_or(NoSession::Malformed)?;
        let opened = keyring.open(context, &sealed);
        let opened = opened.map_err(|unsealed| match unsealed {
            Unsealed::UnknownKey => NoSession::UnknownKey,
            Unsealed::Broken => NoSession::Broken,
        })?;
        let session = Self::read(&opened.plaintext, context.scheme).ok_or(NoSession::Format)?;
        session.vet(now)?;
        let has_old_key = opened.key != keyring.sealing_key();
        Ok(Alive {
            session,
            has_old_key,
        })
    }

    /// Whether it is alive at `now`, in Unix seconds.
    ///
    /// # Errors
    /// Why it is not alive.
    pub fn vet(&self, now: u64) -> Result<(), NoSession> {
        let latest = now.saturating_add(CLOCK_SKEW);
        if self.started > latest || self.seen > latest || self.seen < self.started {
            return Err(NoSession::Times);
        }
        if now >= self.expires {
            return Err(NoSession::Expired);
        }
        if now >= self.ends() {
            return Err(NoSession::Idle);
        }
        Ok(())
    }

    /// When it ends if there is no further request, in Unix seconds.
    #[must_use]
    pub fn ends(&self) -> u64 {
        let idle = self.idle.map(|idle| self.seen.saturating_add(idle));
        idle.map_or(self.expires, |idle| idle.min(self.expires))
    }

    /// Whether it counts at `now`, in Unix seconds, provided that it is alive.
    #[must_use]
    pub fn standing(&self, now: u64) -> Standing {
        match self.refreshing {
            Some(refreshing) if now >= refreshing.good_until => Standing::Over,
            Some(refreshing) if now >= refreshing.due => Standing::Due,
            _ => Standing::Good,
        }
    }

    /// The same session after a request at `now`. Its end stays.
    #[must_use]
    pub fn seen_at(self, now: u64) -> Self {
        Self {
            seen: self.seen.max(now),
            ..self
        }
    }

    /// The record, with these claims and tokens.
    #[inline(never)] // for two callers
    fn write(&self, claims: &str, tokens: Option<&Tokens>) -> Vec<u8> {
        let format = match self.refreshing {
            Some(_) => FORMAT,
            None => WITHOUT_REFRESHING,
        };
        let format = match self.issuer {
            Some(_) => format.saturating_add(OF_TENANT),
            None => format,
        };
        let record = Writer::default()
            .number(format)
            .octets(&self.id)
            .text(&self.subject)
            .optional_text(self.sid.as_deref())
            .optional(self.auth_time)
            .optional_text(self.acr.as_deref())
            .number(self.started)
            .number(self.issued)
            .number(self.seen)
            .optional(self.idle)
            .number(self.expires)
            .text(claims);
        let record = Tokens::write(tokens, record);
        let record = match self.refreshing {
            None => record,
            Some(refreshing) => record
                .number(refreshing.number)
                .number(refreshing.due)
                .number(refreshing.good_until)
                .octets(&refreshing.nonce)
                .optional_text(self.first_sid.as_deref()),
        };
        match &self.issuer {
            None => record,
            Some(issuer) => record.text(issuer),
        }
        .finish()
    }

    fn read(record: &[u8], scope: &str) -> Option<Self> {
        let mut record = Reader(record);
        let format = record.number()?;
        let without_issuer = format.checked_sub(OF_TENANT);
        let without_issuer = without_issuer.filter(|format| *format >= WITHOUT_REFRESHING);
        let has_refreshing = match without_issuer.unwrap_or(format) {
            FORMAT => true,
            WITHOUT_REFRESHING => false,
            _ => return None,
        };
        let mut session = Self {
            id: record.octets()?,
            scope: scope.to_owned(),
            issuer: None,
            subject: record.text()?.to_owned(),
            sid: owned(record.optional_text()?),
            first_sid: None,
            auth_time: record.optional()?,
            acr: owned(record.optional_text()?),
            started: record.number()?,
            issued: record.number()?,
            seen: record.number()?,
            idle: record.optional()?,
            expires: record.number()?,
            claims: record.text()?.to_owned(),
            tokens: Tokens::read(&mut record)?,
            refreshing: None,
        };
        if has_refreshing {
            session.refreshing = Some(Refreshing {
                number: record.number()?,
                due: record.number()?,
                good_until: record.number()?,
                nonce: record.octets()?,
            });
            session.first_sid = owned(record.optional_text()?);
        }
        if without_issuer.is_some() {
            session.issuer = owned(Some(record.text()?));
        }
        record.finish()?;
        Some(session)
    }
}

impl Tokens {
    #[inline(never)] // for two callers
    pub(super) fn write(tokens: Option<&Self>, record: Writer) -> Writer {
        let record = record.number(tokens.is_some().into());
        match tokens {
            None => record,
            Some(tokens) => record
                .optional_text(tokens.access.as_deref())
                .optional(tokens.access_expires)
                .optional_text(tokens.refresh.as_deref())
                .optional_text(tokens.id.as_deref()),
        }
    }

    /// The tokens, or that there are none; `None` where it is neither.
    #[inline(never)] // for two callers
    pub(super) fn read(record: &mut Reader<'_>) -> Option<Option<Self>> {
        Some(match record.number()? {
            0 => None,
            1 => Some(Self {
                access: owned(record.optional_text()?),
                access_expires: record.optional()?,
                refresh: owned(record.optional_text()?),
                id: owned(record.optional_text()?),
            }),
            _ => return None,
        })
    }
}

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::to_owned)
}

fn in_cookies<'c>(purpose: Purpose, scope: &'c str, host: &'c str) -> Context<'c> {
    Context {
        purpose,
        scheme: scope,
        host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const HOST: &str = "app.example";

    fn ring(letters: &[&str]) -> Keyring {
        let secrets: Vec<String> = letters.iter().map(|letter| letter.repeat(32)).collect();
        Keyring::new(&secrets).unwrap()
    }

    fn session() -> Session {
        Session {
            id: [1; 16],
            scope: "staff".to_owned(),
            issuer: None,
            subject: "kim".to_owned(),
            sid: Some("s-1".to_owned()),
            first_sid: None,
            auth_time: Some(NOW - 5),
            acr: None,
            started: NOW,
            issued: NOW - 1,
            seen: NOW,
            idle: Some(1800),
            expires: NOW + 8 * 3600,
            claims: r#"{"email":"kim@a.example"}"#.to_owned(),
            tokens: None,
            refreshing: None,
        }
    }

    const REFRESHING: Refreshing = Refreshing {
        number: 3,
        due: NOW + 240,
        good_until: NOW + 300,
        nonce: [9; 16],
    };

    fn cookies(session: &Session) -> Vec<u8> {
        let sealed = session.seal(&ring(&["a"]), HOST, [5; NONCE_LEN]);
        base64url::encode(&sealed).into_bytes()
    }

    fn written(session: &Session) -> Vec<u8> {
        session.write(&session.claims, session.tokens.as_ref())
    }

    fn open(cookies: &[u8], now: u64) -> Result<Alive, NoSession> {
        Session::open(&ring(&["a"]), "staff", HOST, cookies, now)
    }

    #[test]
    fn a_session_comes_back_as_it_was() {
        let tokens = Tokens {
            access: Some("a.b.c".to_owned()),
            access_expires: Some(NOW + 300),
            refresh: None,
            id: Some(String::new()),
        };
        let first_sid = Some("s-0".to_owned());
        let issuer = Some("https://i.example/t".to_owned());
        for (tokens, refreshing, first_sid, issuer, format) in [
            (None, None, None, None, 2),
            (Some(Tokens::default()), None, None, None, 2),
            (Some(tokens.clone()), None, None, None, 2),
            (Some(tokens.clone()), Some(REFRESHING), None, None, 3),
            (Some(tokens.clone()), Some(REFRESHING), first_sid, None, 3),
            (None, None, None, issuer.clone(), 4),
            (Some(tokens), Some(REFRESHING), None, issuer, 5),
        ] {
            let session = Session {
                issuer,
                tokens,
                refreshing,
                first_sid,
                ..session()
            };
            let alive = open(&cookies(&session), NOW + 1).unwrap();
            assert!(alive.session == session && !alive.is_due(NOW));
            let written = written(&session);
            assert_eq!(written[0], format);
            for length in 0..written.len() {
                assert!(Session::read(&written[..length], "staff").is_none());
            }
            assert!(Session::read(&[&written[..], b"x"].concat(), "staff").is_none());
        }
        assert_eq!(
            format!("{:?}{:?}", session(), Tokens::default()),
            "SessionTokens"
        );
    }

    #[test]
    fn s12_a_session_of_another_host_or_scheme() {
        let cookies = cookies(&session());
        for (scheme, host) in [("staff", "other.example"), ("guests", HOST), ("staff", "")] {
            let opened = Session::open(&ring(&["a"]), scheme, host, &cookies, NOW);
            assert_eq!(opened, Err(NoSession::Broken), "{scheme} {host}");
        }
    }

    #[test]
    fn s15_a_session_is_sealed_anew_with_the_first_key() {
        let cookies = cookies(&session());
        let open = |ring| Session::open(&ring, "staff", HOST, &cookies, NOW);
        assert!(!open(ring(&["a", "b"])).unwrap().is_due(NOW));
        assert!(open(ring(&["b", "a"])).unwrap().is_due(NOW));
        assert_eq!(open(ring(&["b"])), Err(NoSession::UnknownKey));
    }

    #[test]
    fn s16_idle_and_absolute_ends() {
        let end = session().expires;
        for (idle, seen, now, expected) in [
            (Some(1800), NOW, NOW, Ok(false)),
            (Some(1800), NOW, NOW + 179, Ok(false)),
            (Some(1800), NOW, NOW + 180, Ok(true)),
            (Some(1800), NOW, NOW + 1799, Ok(true)),
            (Some(1800), NOW, NOW + 1800, Err(NoSession::Idle)),
            (Some(1800), NOW + 1800, NOW + 3599, Ok(true)),
            (Some(1800), end - 10, end - 1, Ok(false)),
            (Some(1800), end - 10, end, Err(NoSession::Expired)),
            (Some(0), NOW, NOW, Err(NoSession::Idle)),
            (Some(u64::MAX), NOW, end - 1, Ok(false)),
            (Some(u64::MAX), NOW, end, Err(NoSession::Expired)),
            (None, NOW, end - 1, Ok(false)),
            (None, NOW, end, Err(NoSession::Expired)),
            (None, NOW, u64::MAX, Err(NoSession::Expired)),
        ] {
            let session = Session {
                idle,
                seen,
                ..session()
            };
            let opened = open(&cookies(&session), now).map(|alive| alive.is_due(now));
            assert_eq!(opened, expected, "idle {idle:?}, seen {seen}, now {now}");
        }
        let later = session().seen_at(NOW + 600);
        assert_eq!((later.ends(), later.expires), (NOW + 2400, end));
        assert_eq!(later.seen_at(NOW).seen, NOW + 600);
    }

    #[test]
    fn a_session_stands_on_its_tokens() {
        use Standing::{Due, Good, Over};
        let session = Session {
            refreshing: Some(REFRESHING),
            ..session()
        };
        for (after, expected) in [(0, Good), (239, Good), (240, Due), (299, Due), (300, Over)] {
            assert_eq!(session.standing(NOW + after), expected, "{after}");
            assert_eq!(session.vet(NOW + after), Ok(()), "{after}");
        }
        let without = Session {
            refreshing: None,
            ..session
        };
        assert_eq!(without.standing(u64::MAX), Good);
    }

    #[test]
    fn s16_times_in_the_future() {
        let refused = Err(NoSession::Times);
        for (started, seen, expected) in [
            (NOW + CLOCK_SKEW, NOW + CLOCK_SKEW, Ok(())),
            (NOW + CLOCK_SKEW + 1, NOW + CLOCK_SKEW + 1, refused),
            (NOW, NOW + CLOCK_SKEW + 1, refused),
            (NOW, u64::MAX, refused),
            // seen before it began
            (NOW, NOW - 1, refused),
        ] {
            let session = Session {
                started,
                seen,
                ..session()
            };
            let opened = open(&cookies(&session), NOW).map(|_| ());
            assert_eq!(opened, expected, "started {started}, seen {seen}");
        }
    }

    #[test]
    fn what_is_no_session() {
        let ring = ring(&["a"]);
        let sealed = |record: &[u8]| {
            let sealed = ring.seal(
                in_cookies(Purpose::Session, "staff", HOST),
                record,
                [0; NONCE_LEN],
            );
            base64url::encode(&sealed).into_bytes()
        };
        let mut newer = written(&session());
        newer[0] += 2;
        // A record of one format is never read as another.
        let mut other = written(&session());
        other[0] += 1;
        let table: &[(Vec<u8>, NoSession)] = &[
            (b"".to_vec(), NoSession::Broken),
            (b"~".to_vec(), NoSession::Malformed),
            (sealed(b""), NoSession::Format),
            (sealed(&newer), NoSession::Format),
            (sealed(&other), NoSession::Format),
        ];
        for (cookies, expected) in table {
            assert_eq!(open(cookies, NOW), Err(*expected));
        }
    }
}
