//! What every answer has to be, whatever has happened.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::event::What;
use super::model::{Seal, Standing};
use super::stage::{Asked, Sent, Stage};
use crate::world::Page;

pub(super) const SESSION: &str = "__Host-Http-bg_session_staff";

pub(super) type Judged<T = ()> = Result<T, TestCaseError>;

/// What an answer does with the cookie of the session.
enum Change {
    Stays,
    Set(String),
    Deleted,
}

fn change(page: &Page) -> Change {
    let lines = page.headers.iter().filter(|(name, _)| name == "set-cookie");
    let mut own = lines.filter_map(|(_, line)| line.strip_prefix(SESSION)?.strip_prefix('='));
    // The last one counts.
    match own.next_back().and_then(|line| line.split_once(';')) {
        None => Change::Stays,
        Some((_, attributes)) if attributes.contains("Max-Age=0") => Change::Deleted,
        Some((value, _)) => Change::Set(value.to_owned()),
    }
}

/// Which of all refreshes the access token came of that the upstream got; 0 for that of a sign-in.
fn refresh_of(page: &Page) -> Option<usize> {
    let token = page.at_upstream("authorization")?;
    match token.strip_prefix("Bearer access-of-") {
        Some(_) => Some(0),
        None => {
            let rest = token.strip_prefix("Bearer access-")?;
            rest.split('-').next()?.parse().ok()
        }
    }
}

impl Stage {
    fn standing(&self, cookie: Option<&str>, ring: &[String]) -> Standing {
        let (now, provider) = (self.world.now(), &self.world.provider);
        cookie.map_or(Standing::Over("there is none"), |cookie| {
            self.model.standing(cookie, ring, now, provider)
        })
    }

    /// Judges the answer to a request, notes what follows from it, and gives it to its browser.
    pub(super) fn judge(&mut self, sent: &Sent, page: &Page) -> Judged {
        let cookie = sent.cookie.as_deref();
        let standing = self.standing(cookie, &sent.ring);
        let shown = || format!("{standing:?}, {sent:?}: {page:?}");
        if let Some(upstream) = &page.upstream {
            self.judge_admitted(sent, page, standing)?;
            let ours = |(name, value): &(String, String)| name == "cookie" && value.contains("bg_");
            prop_assert!(!upstream.iter().any(ours), "{}", shown());
        } else {
            let says_why = page.reason.is_some() || !page.body.is_empty() || page.status < 400;
            prop_assert!(says_why, "{}", shown());
        }
        if standing == Standing::Alive && sent.asked.relies_on_a_session() {
            let is_put_off = page.status == 503 && self.is_troubled();
            let is_told = page.upstream.is_some() || sent.asked == Asked::Of(What::WhoAmI);
            let is_good = is_told && page.status == 200;
            prop_assert!(is_good || is_put_off, "a good session is lost: {}", shown());
        }
        if sent.asked == Asked::Of(What::WhoAmI) && page.status == 200 {
            let said: serde_json::Value = serde_json::from_str(&page.body).unwrap();
            let session = cookie.and_then(|cookie| self.model.of(cookie));
            let sub = session.map(|session| session.sub.as_str());
            prop_assert!(said["sub"].as_str() == sub, "{}", shown());
            prop_assert!(!matches!(standing, Standing::Over(_)), "{}", shown());
        }
        self.follow(sent, page, standing)?;
        let host = "app.example";
        self.people[sent.at].browser.keep(host, page);
        Ok(())
    }

    /// No request is admitted with another's session, or with one that is over.
    fn judge_admitted(&mut self, sent: &Sent, page: &Page, standing: Standing) -> Judged {
        let shown = || format!("{standing:?}, {sent:?}: {page:?}");
        prop_assert!(sent.asked.relies_on_a_session(), "{}", shown());
        prop_assert!(!matches!(standing, Standing::Over(_)), "{}", shown());
        let session = sent.cookie.as_deref().and_then(|one| self.model.of(one));
        let session = session.unwrap();
        prop_assert!(page.user() == Some(&session.sub), "{}", shown());
        let families = self.world.provider.families.borrow();
        let family = &families[&session.family];
        let is_over = self.model.has_outlived_its_tokens(family, self.world.now());
        prop_assert!(!is_over, "not refreshed: {family:?}, {}", shown());
        let refresh = refresh_of(page);
        if let Some(number @ 1..) = refresh {
            let all = self.world.provider.refreshed.borrow();
            prop_assert!(all[number - 1] == session.family, "{}", shown());
        }
        let seal = self.seal(sent, refresh);
        let why = self
            .model
            .is_to_renew(sent.cookie.as_deref().unwrap(), seal);
        let is_renewed = matches!(change(page), Change::Set(_));
        prop_assert!(why.is_none() || is_renewed, "{why:?}: {}", shown());
        drop(families);
        self.model.has_lost_list = false;
        Ok(())
    }

    fn seal<'s>(&self, sent: &'s Sent, refresh: Option<usize>) -> Seal<'s> {
        Seal {
            key: &sent.ring[0],
            now: self.world.now(),
            refresh,
        }
    }

    /// Notes what an answer means for sessions.
    fn follow(&mut self, sent: &Sent, page: &Page, standing: Standing) -> Judged {
        let now = self.world.now();
        let shown = || format!("{standing:?}, {sent:?}: {page:?}");
        let cookie = sent.cookie.as_deref();
        let counts = !matches!(standing, Standing::Over(_));
        if let Some(cookie) = cookie
            && counts
        {
            self.model.seen(cookie, now);
        }
        let seal = self.seal(sent, refresh_of(page));
        match (change(page), &sent.asked) {
            (Change::Set(value), Asked::Callback { family, of }) => {
                prop_assert!(*of == sent.at, "of another browser: {}", shown());
                let before = cookie.and_then(|cookie| self.model.of(cookie));
                let is_other = before.is_some_and(|before| before.family != *family);
                let made = self.world.provider.families.borrow()[family].clone();
                let begun = self.model.begun(*family, &made, &value, seal);
                prop_assert!(begun.is_ok(), "{begun:?}, {}", shown());
                self.people[sent.at].completed.push(now);
                if let Some(cookie) = cookie.filter(|_| is_other) {
                    self.end(cookie, standing, "another one has taken its place");
                }
            }
            (Change::Set(value), _) => {
                prop_assert!(counts, "a session that is over is renewed: {}", shown());
                self.model.renewed(cookie.unwrap(), &value, seal);
            }
            (Change::Deleted, Asked::SignOut) => {}
            (Change::Deleted, Asked::FrontChannel { sid }) => {
                let own = cookie.and_then(|cookie| self.model.of(cookie));
                let is_own = own.is_some_and(|own| own.sid.as_ref() == Some(sid));
                prop_assert!(is_own, "{}", shown());
            }
            (Change::Deleted, _) => {
                prop_assert!(standing != Standing::Alive, "{}", shown());
            }
            (Change::Stays, _) => {}
        }
        match &sent.asked {
            Asked::SignOut => {
                prop_assert!(page.status == 303, "{}", shown());
                if let Some(cookie) = cookie {
                    self.end(cookie, standing, "somebody signed out");
                }
            }
            Asked::BackChannel { sub, sid, at } => {
                prop_assert!(page.status == 200 || self.is_troubled(), "{}", shown());
                if page.status == 200 {
                    self.model.signed_out(sub, sid.as_deref(), (*at, now));
                }
            }
            Asked::FrontChannel { sid } => {
                prop_assert!(page.status == 200, "{}", shown());
                self.model.signed_out("", Some(sid), (now, now));
            }
            Asked::Of(What::Forged) => {
                prop_assert!([401, 403].contains(&page.status), "{}", shown());
            }
            Asked::Of(_) | Asked::Callback { .. } => {}
        }
        Ok(())
    }

    /// The session of a cookie was ended, if it was found.
    fn end(&mut self, cookie: &str, standing: Standing, why: &'static str) {
        match standing {
            Standing::Alive => self.model.ended(cookie, why),
            Standing::Open(_) => {
                let family = self.model.of(cookie).map(|session| session.family);
                self.model
                    .doubt(why, |session| Some(session.family) == family);
            }
            Standing::Over(_) => {}
        }
    }

    /// A refresh token is sent twice only where nobody could know that it was used.
    pub(super) fn judge_refreshes(&self) -> Judged {
        for reuse in self.world.provider.reused.borrow().iter() {
            let is_forgotten = reuse.again >= reuse.first + 600;
            let is_lost = reuse.first <= self.model.lost_until;
            prop_assert!(is_forgotten || is_lost, "{reuse:?}");
        }
        Ok(())
    }

    /// Whether 503 is to be expected, and a sign-in that fails.
    pub(super) fn is_troubled(&self) -> bool {
        let is_down = self.world.provider.is_down.get() || !self.store_is_well();
        is_down || self.model.has_lost_list || self.world.now() < self.model.troubled_until
    }
}
