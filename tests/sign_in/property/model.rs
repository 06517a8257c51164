//! What can be known of sessions without the filter: who signed in when, what has ended since, and
//! how long each cookie may count. Times are Unix seconds.
//!
//! It says no more than the documents promise. Where they leave it open whether a session counts,
//! it says so, with the reason.

use std::collections::BTreeMap;

use super::event::Rules;
use crate::provider::{Family, Provider};

/// `idle_timeout` and `max_duration`, and how long tokens live.
pub(super) const IDLE: u64 = 1800;
pub(super) const LONGEST: u64 = 3600;
const TOKENS: u64 = 300;
/// How long the store has what was there before a refresh, less some seconds.
const STAYS: u64 = 585;
/// How long the requests that waited for tokens may count on them, whatever their life.
const JUST_NOW: u64 = 2;
/// How far clocks may differ: an ID token that is newer than a sign-out by less is over with it.
const SKEW: u64 = 60;

/// What is known of a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is a session's, and has to count.
    Alive,
    /// It must not count.
    Over(&'static str),
    /// The documents leave it open.
    Open(&'static str),
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) sub: String,
    pub(super) sid: Option<String>,
    /// The sign-in at the provider that it came of.
    pub(super) family: u32,
    started: u64,
    issued: u64,
    /// The last request.
    seen: u64,
    ended: Option<&'static str>,
    doubt: Option<&'static str>,
}

/// A value of the session's cookie that a browser was given.
#[derive(Debug)]
struct Cookie {
    session: usize,
    sealed: u64,
    /// When it ends in any case.
    ends: u64,
    key: String,
    /// Which of all refreshes it came of: 0 for the sign-in; `None` where nobody can tell.
    refresh: Option<usize>,
    /// The key of what the store has of it.
    entry_key: String,
}

/// Who sealed something, and when.
#[derive(Clone, Copy)]
pub(super) struct Seal<'s> {
    pub(super) key: &'s str,
    pub(super) now: u64,
    pub(super) refresh: Option<usize>,
}

pub(super) struct Model {
    rules: Rules,
    sessions: Vec<Session>,
    cookies: BTreeMap<String, Cookie>,
    /// The provider's sessions that have ended, and until when an ID token was issued that is over.
    ended_sids: BTreeMap<String, u64>,
    /// The people who were signed out everywhere, and when.
    ended_subs: BTreeMap<String, u64>,
    /// Both of them from before Envoy forgot them. The shared store may tell them again at any time.
    told_before: [BTreeMap<String, u64>; 2],
    /// Until when 503 is to be expected, and sign-ins that fail.
    pub(super) troubled_until: u64,
    /// Whether the list of ended sessions was lost, and nobody has been admitted since. Who signs in
    /// in the second in which that is noticed is over at once.
    pub(super) has_lost_list: bool,
    /// Until when answers of the provider were lost on the way or in shared data.
    pub(super) lost_until: u64,
    /// How many refreshes there were before the provider took its last signing key away.
    pub(super) refreshes_by_old_keys: usize,
}

impl Model {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            sessions: Vec::new(),
            cookies: BTreeMap::new(),
            ended_sids: BTreeMap::new(),
            ended_subs: BTreeMap::new(),
            told_before: Default::default(),
            troubled_until: 0,
            has_lost_list: false,
            lost_until: 0,
            refreshes_by_old_keys: 0,
        }
    }

    /// The session of a cookie, whether it counts or not.
    pub(super) fn of(&self, cookie: &str) -> Option<&Session> {
        let cookie = self.cookies.get(cookie)?;
        Some(&self.sessions[cookie.session])
    }

    /// Whether a cookie counts where these keys open.
    pub(super) fn standing(
        &self,
        cookie: &str,
        ring: &[String],
        now: u64,
        provider: &Provider,
    ) -> Standing {
        use Standing::{Alive, Open, Over};
        let Some(cookie) = self.cookies.get(cookie) else {
            return Over("nobody has set it");
        };
        let session = &self.sessions[cookie.session];
        let is_silent = |since: u64| self.rules.has_idle && now >= since + IDLE;
        let family = &provider.families.borrow()[&session.family];
        // Its tokens are the last ones, and live.
        let refreshed = provider.refreshed.borrow();
        let last = refreshed.iter().rposition(|of| *of == session.family);
        let is_last = cookie.refresh == Some(last.map_or(0, |last| last + 1));
        let has_tokens = is_last && now < family.granted + TOKENS;
        // What was there before a refresh goes after a while.
        let next = || {
            let mut later = refreshed
                .iter()
                .enumerate()
                .skip(cookie.refresh.unwrap_or(0));
            later
                .find(|(_, of)| **of == session.family)
                .map(|(at, _)| at)
        };
        let is_next_to_last = cookie.refresh.is_some() && next() == last;
        // The next refresh brought an ID token whose key is gone since.
        let is_unverifiable =
            self.rules.gives_id_token && next().is_some_and(|at| at < self.refreshes_by_old_keys);
        let has_entry = is_last || is_next_to_last && now < family.granted + STAYS;
        if !ring.contains(&cookie.key) {
            Over("its key is gone")
        } else if self.rules.in_store && !ring.contains(&cookie.entry_key) {
            Over("the key is gone of what the store has")
        } else if let Some(why) = session.ended {
            Over(why)
        } else if now >= cookie.ends {
            Over("it has reached its end")
        } else if is_silent(session.seen) {
            Over("there was no request")
        } else if let Some(why) = session.doubt {
            Open(why)
        } else if self.rules.in_store && !has_entry {
            Open("the store has it no more, since it was refreshed")
        } else if is_silent(cookie.sealed) {
            Open("an old copy, which knows nothing of later requests")
        } else if self.rules.refreshes && family.is_revoked && !has_tokens {
            Open("the provider refreshes it no more")
        } else if is_unverifiable {
            Open("what it was refreshed to cannot be verified any more")
        } else {
            Alive
        }
    }

    /// Whether the tokens have ended on which a session depends.
    pub(super) fn has_outlived_its_tokens(&self, family: &Family, now: u64) -> bool {
        self.rules.refreshes && now > family.granted + TOKENS + JUST_NOW
    }

    /// A request came with this cookie, and counted.
    pub(super) fn seen(&mut self, cookie: &str, now: u64) {
        if let Some(cookie) = self.cookies.get(cookie) {
            self.sessions[cookie.session].seen = now;
        }
    }

    /// A browser was given another cookie in place of one.
    pub(super) fn renewed(&mut self, before: &str, cookie: &str, seal: Seal<'_>) {
        let before = &self.cookies[before];
        let (session, ends) = (before.session, before.ends);
        let entry_key = match seal.refresh == before.refresh {
            true => before.entry_key.clone(),
            false => seal.key.to_owned(),
        };
        let cookie_of = Cookie {
            entry_key,
            session,
            ends,
            sealed: seal.now,
            key: seal.key.to_owned(),
            refresh: seal.refresh,
        };
        self.cookies.insert(cookie.to_owned(), cookie_of);
    }

    /// Why the answer to a request that was admitted with this cookie must bring another one, if it
    /// must.
    pub(super) fn is_to_renew(&self, cookie: &str, by: Seal<'_>) -> Option<&'static str> {
        let cookie = self.cookies.get(cookie)?;
        if cookie.key != by.key {
            Some("it has an old key")
        } else if self.rules.has_idle && by.now >= cookie.sealed + IDLE / 10 {
            Some("a tenth of the time without a request has passed")
        } else if cookie.refresh.is_some_and(|own| Some(own) != by.refresh) {
            Some("its refresh token is used up")
        } else {
            None
        }
    }

    /// A browser was given a session for a code. `Err` where that session may not be.
    pub(super) fn begun(
        &mut self,
        number: u32,
        family: &Family,
        cookie: &str,
        seal: Seal<'_>,
    ) -> Result<(), &'static str> {
        let ended = |ends: &BTreeMap<String, u64>, name: Option<&String>| {
            let until = name.and_then(|name| ends.get(name));
            until.is_some_and(|until| family.begun <= *until)
        };
        if ended(&self.ended_sids, family.sid.as_ref()) {
            return Err("the provider's session has ended");
        }
        if ended(&self.ended_subs, Some(&family.sub)) {
            return Err("the person was signed out everywhere");
        }
        let [sids, subs] = &self.told_before;
        let was_told = ended(sids, family.sid.as_ref()) || ended(subs, Some(&family.sub));
        let doubt = "the store tells what ended before";
        let mut all = self.sessions.iter();
        let session = match all.position(|session| session.family == number) {
            Some(known) => known,
            None => {
                self.sessions.push(Session {
                    sub: family.sub.clone(),
                    sid: family.sid.clone(),
                    family: number,
                    started: seal.now,
                    issued: family.begun,
                    seen: seal.now,
                    ended: None,
                    doubt: (self.rules.in_store && was_told).then_some(doubt),
                });
                self.sessions.len() - 1
            }
        };
        if let Some(why) = self.sessions[session].ended {
            return Err(why);
        }
        self.sessions[session].seen = seal.now;
        let by_token = family.begun + TOKENS;
        let ends = seal.now + LONGEST;
        let is_by_token = !self.rules.has_idle && !self.rules.refreshes;
        let cookie_of = Cookie {
            session,
            sealed: seal.now,
            ends: if is_by_token {
                ends.min(by_token)
            } else {
                ends
            },
            key: seal.key.to_owned(),
            refresh: Some(0),
            entry_key: seal.key.to_owned(),
        };
        self.cookies.insert(cookie.to_owned(), cookie_of);
        Ok(())
    }

    fn end(&mut self, why: &'static str, is_meant: impl Fn(&Session) -> bool) {
        for session in self.sessions.iter_mut().filter(|session| is_meant(session)) {
            session.ended = session.ended.or(Some(why));
        }
    }

    /// The session of this cookie was ended.
    pub(super) fn ended(&mut self, cookie: &str, why: &'static str) {
        if let Some(family) = self.of(cookie).map(|session| session.family) {
            self.end(why, |session| session.family == family);
        }
    }

    /// A sign-out at the provider was told, and taken later.
    pub(super) fn signed_out(&mut self, sub: &str, sid: Option<&str>, (at, taken): (u64, u64)) {
        let why = "somebody signed out at the provider";
        match sid {
            Some(sid) => {
                let until = at + SKEW;
                self.end(why, |session| {
                    session.sid.as_deref() == Some(sid) && session.issued <= until
                });
                self.ended_sids.insert(sid.to_owned(), until);
            }
            None => {
                let is_theirs = |session: &Session| session.sub == sub;
                self.end(why, |session| is_theirs(session) && session.started <= at);
                let is_late = |session: &Session| (at + 1..=taken).contains(&session.started);
                self.doubt(why, |session| is_theirs(session) && is_late(session));
                self.ended_subs.insert(sub.to_owned(), at);
            }
        }
    }

    /// Something happened after which nobody can say whether these sessions count.
    pub(super) fn doubt(&mut self, why: &'static str, is_meant: impl Fn(&Session) -> bool) {
        for session in self.sessions.iter_mut().filter(|session| is_meant(session)) {
            session.doubt = Some(why);
        }
    }

    /// The list of ended sessions is gone with the process. A copy of the cookies counts again.
    pub(super) fn forget(&mut self) {
        for session in &mut self.sessions {
            if session.ended.take().is_some() {
                session.doubt = Some("it had ended before the restart");
            }
        }
        self.forget_names();
    }

    /// The list was written over. What began until now is over, as what had ended.
    pub(super) fn lose_list(&mut self) {
        self.doubt("the list of ended sessions was lost", |_| true);
        self.has_lost_list = true;
        self.forget_names();
    }

    fn forget_names(&mut self) {
        let [sids, subs] = &mut self.told_before;
        sids.append(&mut self.ended_sids);
        subs.append(&mut self.ended_subs);
    }

    pub(super) fn trouble(&mut self, until: u64) {
        self.troubled_until = self.troubled_until.max(until);
    }
}
