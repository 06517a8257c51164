//! The authorization code flow without a cookie of its own (RFC 6749 section 4.1, RFC 7636, OpenID
//! Connect Core 1.0 section 3.1).
//!
//! One small cookie tells a browser from others, and all its flows share it. What must be known
//! about one flow is sealed in its `state`, which the provider hands back. `nonce` and
//! `code_verifier` are derived from the key, the browser's cookie and the flow's id. They are in no
//! cookie, and the verifier is in no URL.
//!
//! Invariant: only the browser that began a flow can get its secrets, and only within [`LIFE`].

use subtle::ConstantTimeEq;

use super::CLOCK_SKEW;
use super::seal::{Context, KeyId, Keyring, NONCE_LEN, Purpose, Unsealed};
use crate::jose::base64url;
use crate::record::{Reader, Writer};
use crate::signature::hash::SHA256;

/// How long a person has to sign in at the provider, in seconds.
pub const LIFE: u64 = 600;

/// How often a flow is begun again without the person.
pub const MAX_RESTARTS: u64 = 2;

/// The longest URL to go to after signing in, in octets. Only the path of a longer one stays.
pub const LONGEST_RETURN: usize = 2048;

/// The longest `state` that is read, in characters.
pub const LONGEST_STATE: usize = 4096;

/// How many sign-ins of one scheme a browser may complete in [`SHORT`]. If it asks for a page then and
/// has no session, it is told that it does not keep the session.
const MOST_COMPLETED: u8 = 3;

/// A loop without the person takes less, in seconds.
const SHORT: u64 = 30;

/// What tells a browser from others: random octets, in a cookie. The cookie also counts the
/// sign-ins of a short time, which is the only trace of a browser that drops its session.
#[derive(Clone, PartialEq, Eq)]
pub struct Browser {
    octets: [u8; 16],
    lately: Option<Lately>,
}

/// The sign-ins of one scheme since a time, in Unix seconds.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Lately {
    scheme: u8,
    completed: u8,
    since: u64,
}

impl Browser {
    /// A browser that is new here, from random octets.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self {
            octets: random,
            lately: None,
        }
    }

    /// Reads the cookie's value; `None` where it is not ours.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let value = base64url::decode(value)?;
        let (octets, rest) = value.split_first_chunk()?;
        let lately = match rest {
            [] => None,
            [scheme, completed, since @ ..] => Some(Lately {
                scheme: *scheme,
                completed: *completed,
                since: u64::from_be_bytes(since.try_into().ok()?),
            }),
            [_] => return None,
        };
        Some(Self {
            octets: *octets,
            lately,
        })
    }

    /// The cookie's value.
    #[must_use]
    pub fn value(&self) -> String {
        base64url::encode(&self.octets())
    }

    /// The octets of the cookie's value.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        let mut octets = self.octets.to_vec();
        if let Some(lately) = &self.lately {
            octets.extend([lately.scheme, lately.completed]);
            octets.extend(lately.since.to_be_bytes());
        }
        octets
    }

    /// The same browser after a sign-in by this scheme was completed at `now`, in Unix seconds.
    #[must_use]
    pub fn signed_in(&self, scheme: &str, now: u64) -> Self {
        let before = self.lately(scheme, now);
        let completed = before.map_or(0, |lately| lately.completed);
        Self {
            lately: Some(Lately {
                scheme: tag(scheme),
                completed: completed.saturating_add(1),
                since: before.map_or(now, |lately| lately.since),
            }),
            ..self.clone()
        }
    }

    /// The same browser after somebody has signed out.
    #[must_use]
    pub fn signed_out(&self) -> Self {
        Self::new(self.octets)
    }

    /// Whether sign-ins by this scheme are completed again and again, so that there is no hope in
    /// one more at `now`, in Unix seconds.
    #[must_use]
    pub fn goes_round(&self, scheme: &str, now: u64) -> bool {
        let lately = self.lately(scheme, now);
        lately.is_some_and(|lately| lately.completed >= MOST_COMPLETED)
    }

    fn lately(&self, scheme: &str, now: u64) -> Option<Lately> {
        let is_of = |lately: &Lately| lately.scheme == tag(scheme);
        let is_late = |lately: &Lately| now.abs_diff(lately.since) < SHORT;
        self.lately
            .filter(|lately| is_of(lately) && is_late(lately))
    }

    /// The first 16 octets of SHA-256. A `state` that somebody sees does not show the cookie.
    fn hash(&self) -> [u8; 16] {
        let digest = SHA256.digest(&[&self.octets]);
        let (first, _) = digest.split_first_chunk().unwrap_or((&[0; 16], &[]));
        *first
    }
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Browser")
    }
}

/// One attempt of a browser to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    id: [u8; 16],
    /// In Unix seconds.
    begun: u64,
    /// The scope of its scheme, see [`super::seal::scope`].
    scope: String,
    /// Where to go after signing in; the caller has vetted it.
    return_to: String,
    browser: [u8; 16],
    restarts: u64,
    /// A session that started at this time or later is enough, in Unix seconds.
    enough: u64,
    key: KeyId,
}

/// What goes into the authorization request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// RFC 6749 section 4.1.1.
    pub state: String,
    /// OpenID Connect Core 1.0 section 3.1.2.1.
    pub nonce: String,
    /// RFC 7636 section 4.2, by `S256`.
    pub code_challenge: String,
}

/// What is needed to redeem a code.
#[derive(Clone, PartialEq, Eq)]
pub struct Redeeming {
    /// The `nonce` that the ID token must have.
    pub nonce: String,
    /// RFC 7636 section 4.1.
    pub code_verifier: String,
}

impl std::fmt::Debug for Redeeming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redeeming")
    }
}

/// Why a `state` is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateError {
    /// Too long, or not base64url.
    Malformed,
    /// Sealed with a key that is not there, or no longer there.
    UnknownKey,
    /// Altered, for another scheme, or never sealed.
    Broken,
}

impl From<Unsealed> for StateError {
    fn from(unsealed: Unsealed) -> Self {
        match unsealed {
            Unsealed::UnknownKey => Self::UnknownKey,
            Unsealed::Broken => Self::Broken,
        }
    }
}

/// Why a flow does not belong to this browser, or to this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// It began longer ago than [`LIFE`].
    Expired,
    /// It begins in the future, by more than [`CLOCK_SKEW`].
    Future,
    /// The request has no browser's cookie.
    NoBrowser,
    /// Another browser began it.
    OtherBrowser,
    /// Its key is not there.
    UnknownKey,
}

impl Flow {
    /// Begins a flow for a scheme with this scope, for somebody who has no session and wants one. `id`
    /// is random, and `now` is in Unix seconds.
    #[must_use]
    pub fn begin(
        keyring: &Keyring,
        scope: &str,
        return_to: &str,
        browser: &Browser,
        id: [u8; 16],
        now: u64,
    ) -> Self {
        Self {
            id,
            begun: now,
            scope: scope.to_owned(),
            return_to: shortened(return_to).to_owned(),
            browser: browser.hash(),
            restarts: 0,
            enough: now,
            key: keyring.sealing_key(),
        }
    }

    /// The same flow for somebody who has a session that started at this time, in Unix seconds, and
    /// wants to be somebody else. Times are whole seconds: a session of the second in which it began
    /// may be the one from before. The session may be of a clock that is ahead of this one.
    #[must_use]
    pub fn for_another(self, started: u64) -> Self {
        Self {
            enough: self.begun.max(started).saturating_add(1),
            ..self
        }
    }

    /// The same flow begun again, after a [`Mismatch`]; `None` where that was already done
    /// [`MAX_RESTARTS`] times.
    #[must_use]
    pub fn again(
        &self,
        keyring: &Keyring,
        browser: &Browser,
        id: [u8; 16],
        now: u64,
    ) -> Option<Self> {
        let restarts = self.restarts.checked_add(1)?;
        let flow = Self {
            restarts,
            enough: self.enough,
            ..Self::begin(keyring, &self.scope, &self.return_to, browser, id, now)
        };
        (restarts <= MAX_RESTARTS).then_some(flow)
    }

    /// The parameters of the authorization request. `nonce` is for the seal, and is random. `None`
    /// where another browser began the flow, or its key is not there.
    #[must_use]
    pub fn send(
        &self,
        keyring: &Keyring,
        browser: &Browser,
        nonce: [u8; NONCE_LEN],
    ) -> Option<Sent> {
        let secrets = self.secrets(keyring, browser).ok()?;
        let record = Writer::default()
            .octets(&self.id)
            .number(self.begun)
            .text(&self.return_to)
            .octets(&self.browser)
            .number(self.restarts)
            .number(self.enough)
            .finish();
        let sealed = keyring.seal(of_state(&self.scope), &record, nonce);
        let challenge = SHA256.digest(&[secrets.code_verifier.as_bytes()]);
        Some(Sent {
            state: base64url::encode(&sealed),
            nonce: secrets.nonce,
            code_challenge: base64url::encode(&challenge),
        })
    }

    /// Reads the `state` of a callback for a scheme with this scope. The result is ours, but it may be of
    /// another browser or too old. [`Flow::redeem`] checks that.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(keyring: &Keyring, scope: &str, state: &[u8]) -> Result<Self, StateError> {
        if state.len() > LONGEST_STATE {
            return Err(StateError::Malformed);
        }
        let sealed = base64url::decode(state).ok_or(StateError::Malformed)?;
        let opened = keyring.open(of_state(scope), &sealed)?;
        let flow = Self::read(&opened.plaintext, scope, opened.key);
        flow.ok_or(StateError::Broken)
    }

    fn read(record: &[u8], scope: &str, key: KeyId) -> Option<Self> {
        let mut record = Reader(record);
        let flow = Self {
            id: record.octets()?,
            begun: record.number()?,
            scope: scope.to_owned(),
            return_to: record.text()?.to_owned(),
            browser: record.octets()?,
            restarts: record.number()?,
            enough: record.number()?,
            key,
        };
        record.finish()?;
        Some(flow)
    }

    /// What this browser needs to redeem the flow's code at `now`, in Unix seconds.
    ///
    /// # Errors
    /// [`Mismatch`]: the flow may be begun again, see [`Flow::again`].
    pub fn redeem(
        &self,
        keyring: &Keyring,
        browser: Option<&Browser>,
        now: u64,
    ) -> Result<Redeeming, Mismatch> {
        let secrets = self.secrets(keyring, browser.ok_or(Mismatch::NoBrowser)?)?;
        if self.begun > now.saturating_add(CLOCK_SKEW) {
            return Err(Mismatch::Future);
        }
        if now.saturating_sub(self.begun) > LIFE {
            return Err(Mismatch::Expired);
        }
        Ok(secrets)
    }

    /// When it began, in Unix seconds.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun
    }

    /// Whether a session that started at this time, in Unix seconds, is what it was begun for:
    /// another tab was faster, or its own callback is loaded again.
    #[must_use]
    pub fn is_needless(&self, started: u64) -> bool {
        started >= self.enough
    }

    /// Where to go after signing in.
    #[must_use]
    pub fn return_to(&self) -> &str {
        &self.return_to
    }

    fn secrets(&self, keyring: &Keyring, browser: &Browser) -> Result<Redeeming, Mismatch> {
        if !bool::from(browser.hash().ct_eq(&self.browser)) {
            return Err(Mismatch::OtherBrowser);
        }
        let secret = |label| {
            let octets = keyring.derive(self.key, label, [&browser.octets, &self.id]);
            octets.map(|octets| base64url::encode(&octets))
        };
        let secrets = secret("nonce").zip(secret("code_verifier"));
        let (nonce, code_verifier) = secrets.ok_or(Mismatch::UnknownKey)?;
        Ok(Redeeming {
            nonce,
            code_verifier,
        })
    }
}

fn of_state(scope: &str) -> Context<'_> {
    Context {
        purpose: Purpose::State,
        scheme: scope,
        // The callback may be at another host than the page.
        host: "",
    }
}

/// Tells most schemes of one configuration apart.
fn tag(scheme: &str) -> u8 {
    let sum = |sum: u8, byte: u8| sum.rotate_left(3) ^ byte;
    scheme.bytes().fold(0, sum)
}

/// A URL that is too long, without its query, or else the root.
fn shortened(return_to: &str) -> &str {
    if return_to.len() <= LONGEST_RETURN {
        return return_to;
    }
    let path = return_to.split('?').next().unwrap_or_default();
    if path.len() <= LONGEST_RETURN {
        path
    } else {
        "/"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const NONCE: [u8; NONCE_LEN] = [9; NONCE_LEN];

    fn ring(letters: &[&str]) -> Keyring {
        let secrets: Vec<String> = letters.iter().map(|letter| letter.repeat(32)).collect();
        Keyring::new(&secrets).unwrap()
    }

    fn ours() -> Browser {
        Browser::new([1; 16])
    }

    fn flow() -> Flow {
        Flow::begin(&ring(&["a"]), "staff", "/page?x=1", &ours(), [3; 16], NOW)
    }

    fn state() -> String {
        flow().send(&ring(&["a"]), &ours(), NONCE).unwrap().state
    }

    fn open(state: &str) -> Result<Flow, StateError> {
        Flow::open(&ring(&["a"]), "staff", state.as_bytes())
    }

    #[test]
    fn a_flow_comes_back_as_it_was_sent() {
        let ring = ring(&["a"]);
        let sent = flow().send(&ring, &ours(), NONCE).unwrap();
        let back = open(&sent.state).unwrap();
        assert_eq!(back, flow());
        assert_eq!(back.return_to(), "/page?x=1");
        let with = back.redeem(&ring, Some(&ours()), NOW + 5).unwrap();
        assert_eq!(with.nonce, sent.nonce);
        let challenge = SHA256.digest(&[with.code_verifier.as_bytes()]);
        assert_eq!(base64url::encode(&challenge), sent.code_challenge);
        // RFC 7636 section 4.1
        assert_eq!(with.code_verifier.len(), 43);
        assert_ne!(with.code_verifier, with.nonce);
        assert!(sent.state.len() < 300, "{}", sent.state.len());
        assert_eq!(format!("{with:?} {:?}", ours()), "Redeeming Browser");
    }

    #[test]
    fn a_session_that_is_enough() {
        let ring = ring(&["a"]);
        let ahead = flow().for_another(NOW + 30);
        for (flow, least) in [
            (flow(), NOW),
            (flow().for_another(NOW - 30), NOW + 1),
            (ahead, NOW + 31),
        ] {
            let later = flow.again(&ring, &ours(), [6; 16], NOW + 60).unwrap();
            for flow in [flow, later] {
                let sent = flow.send(&ring, &ours(), NONCE).unwrap();
                let flow = open(&sent.state).unwrap();
                assert!(flow.is_needless(least) && !flow.is_needless(least - 1));
            }
        }
    }

    #[test]
    fn s01_a_state_that_is_foreign_or_altered() {
        let state = state();
        for (at, byte) in state.bytes().enumerate() {
            let mut altered = state.clone().into_bytes();
            altered[at] = if byte == b'A' { b'B' } else { b'A' };
            let altered = String::from_utf8(altered).unwrap();
            assert!(open(&altered).is_err(), "{at}");
            assert!(open(&state[..at]).is_err(), "{at}");
        }
        let other = flow();
        let foreign = ring(&["b"]);
        let key = foreign.sealing_key();
        let foreign = Flow { key, ..other }
            .send(&foreign, &ours(), NONCE)
            .unwrap();
        for (state, expected) in [
            ("", StateError::Broken),
            ("xyz", StateError::Malformed),
            ("AAAA", StateError::Broken),
            ("{\"url\":\"/\"}", StateError::Malformed),
            (&format!("{state}="), StateError::Malformed),
            (&format!("{state}AAAA"), StateError::Broken),
            (&format!("{state}.{state}"), StateError::Malformed),
            (&"A".repeat(LONGEST_STATE + 4), StateError::Malformed),
            (&foreign.state, StateError::UnknownKey),
        ] {
            assert_eq!(open(state), Err(expected), "{state}");
        }
    }

    #[test]
    fn s01_a_state_that_has_expired() {
        let redeem = |now| flow().redeem(&ring(&["a"]), Some(&ours()), now).map(|_| ());
        for (now, expected) in [
            (NOW, Ok(())),
            (NOW + LIFE, Ok(())),
            (NOW + LIFE + 1, Err(Mismatch::Expired)),
            (u64::MAX, Err(Mismatch::Expired)),
            (NOW - CLOCK_SKEW, Ok(())),
            (NOW - CLOCK_SKEW - 1, Err(Mismatch::Future)),
            (0, Err(Mismatch::Future)),
        ] {
            assert_eq!(redeem(now), expected, "{now}");
        }
    }

    #[test]
    fn s02_the_callback_of_another_browser() {
        let flow = open(&state()).unwrap();
        let ring = ring(&["a"]);
        let redeem = |browser: Option<&Browser>| flow.redeem(&ring, browser, NOW);
        assert!(redeem(Some(&ours())).is_ok());
        assert_eq!(redeem(None), Err(Mismatch::NoBrowser));
        let other = Browser::new([2; 16]);
        assert_eq!(redeem(Some(&other)), Err(Mismatch::OtherBrowser));
        assert_eq!(flow.send(&ring, &other, NONCE), None);
    }

    #[test]
    fn s03_each_flow_has_secrets_of_its_own() {
        let ring = ring(&["a"]);
        let redeem = |id, browser: &Browser| {
            Flow::begin(&ring, "staff", "/", browser, id, NOW)
                .redeem(&ring, Some(browser), NOW)
                .unwrap()
        };
        let of = redeem([3; 16], &ours());
        for other in [
            redeem([4; 16], &ours()),
            redeem([3; 16], &Browser::new([2; 16])),
        ] {
            assert_ne!(other.nonce, of.nonce);
            assert_ne!(other.code_verifier, of.code_verifier);
        }
    }

    #[test]
    fn s05_the_callback_of_another_scheme() {
        let ring = ring(&["a"]);
        for scheme in ["guests", "staff2", "staf", ""] {
            let opened = Flow::open(&ring, scheme, state().as_bytes());
            assert_eq!(opened, Err(StateError::Broken), "{scheme}");
        }
    }

    #[test]
    fn s12_a_session_is_no_state() {
        let ring = ring(&["a"]);
        let context = Context {
            purpose: Purpose::Session,
            ..of_state("staff")
        };
        let sealed = ring.seal(context, b"", NONCE);
        assert_eq!(open(&base64url::encode(&sealed)), Err(StateError::Broken));
        // sealed for a state, but not one
        let sealed = ring.seal(of_state("staff"), b"x", NONCE);
        assert_eq!(open(&base64url::encode(&sealed)), Err(StateError::Broken));
    }

    #[test]
    fn s15_a_flow_outlives_a_change_of_keys_and_not_its_keys_removal() {
        let state = state();
        let old = flow().redeem(&ring(&["a"]), Some(&ours()), NOW);
        let both = ring(&["b", "a"]);
        let flow = Flow::open(&both, "staff", state.as_bytes()).unwrap();
        assert_eq!(flow.redeem(&both, Some(&ours()), NOW), old);
        let new = ring(&["b"]);
        let removed = Flow::open(&new, "staff", state.as_bytes());
        assert_eq!(removed, Err(StateError::UnknownKey));
        let gone = flow.redeem(&new, Some(&ours()), NOW);
        assert_eq!(gone, Err(Mismatch::UnknownKey));
    }

    #[test]
    fn s29_a_flow_is_begun_again_twice() {
        let ring = ring(&["a"]);
        let browser = Browser::new([5; 16]);
        let mut flow = flow();
        for id in [6; 2] {
            flow = flow.again(&ring, &browser, [id; 16], NOW + 1).unwrap();
            let sent = flow.send(&ring, &browser, NONCE).unwrap();
            flow = open(&sent.state).unwrap();
            assert_eq!(flow.return_to(), "/page?x=1");
            assert!(flow.redeem(&ring, Some(&browser), NOW + LIFE + 1).is_ok());
        }
        assert_eq!(flow.again(&ring, &browser, [8; 16], NOW + 2), None);
    }

    #[test]
    fn long_urls_to_return_to() {
        let long = |length: usize| "x".repeat(length);
        for (url, expected) in [
            (format!("/{}", long(2047)), None),
            (format!("/a?{}", long(2045)), None),
            (format!("/a?{}", long(2046)), Some("/a")),
            (format!("/{}", long(2048)), Some("/")),
            (format!("/{}?a", long(2048)), Some("/")),
        ] {
            let flow = Flow::begin(&ring(&["a"]), "staff", &url, &ours(), [0; 16], NOW);
            assert_eq!(flow.return_to(), expected.unwrap_or(&url));
            let sent = flow.send(&ring(&["a"]), &ours(), NONCE).unwrap();
            assert_eq!(open(&sent.state), Ok(flow));
        }
    }

    #[test]
    fn the_cookie_of_a_browser() {
        let value = ours().value();
        assert_eq!(value.len(), 22);
        assert_eq!(Browser::parse(value.as_bytes()), Some(ours()));
        for bad in [
            "",
            "AQ",
            &value[1..],
            &format!("{value}="),
            &format!("{value}A"),
        ] {
            assert_eq!(Browser::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_browser_that_signs_in_again_and_again() {
        let read = |browser: &Browser| {
            let value = browser.value();
            let short = &value[..value.len() - 1];
            assert_eq!(Browser::parse(short.as_bytes()), None);
            Browser::parse(value.as_bytes()).unwrap()
        };
        let mut browser = ours();
        for number in 0..3 {
            assert!(!browser.goes_round("staff", NOW + 9), "{number}");
            browser = read(&browser.signed_in("staff", NOW + 3 * number));
        }
        for now in [NOW, NOW + 9, NOW + 29] {
            assert!(browser.goes_round("staff", now));
        }
        // By another scheme, later, with another clock, or after a sign-out it does not.
        for (scheme, now) in [
            ("guests", NOW + 9),
            ("staff", NOW + 30),
            ("staff", NOW - 30),
            ("staff", 0),
            ("staff", u64::MAX),
        ] {
            assert!(!browser.goes_round(scheme, now), "{scheme} {now}");
            assert!(!browser.signed_in(scheme, now).goes_round(scheme, now));
        }
        assert!(browser.signed_out() == ours());
        // It is the same browser all the time.
        let sent = flow().send(&ring(&["a"]), &browser, NONCE);
        assert_eq!(sent.unwrap().state, state());
        // The count does not begin anew from the top.
        for _ in 0..300 {
            browser = browser.signed_in("staff", NOW);
        }
        assert!(browser.goes_round("staff", NOW));
    }
}
