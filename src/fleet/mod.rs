//! What several Envoys share: the sign-outs of each of them, by way of one store.
//!
//! The store has one list. An Envoy appends what ended in it, sealed; every Envoy reads the list from
//! where it has read to, each `interval`, and ends the same here. One worker of a process does both. The
//! others see what it learns in shared data, where the sessions that ended are anyway ([`crate::ended`]).
//!
//! 1. A sign-out here is kept among what is unsent, in shared data ([`shared`]). The asking worker appends
//!    it ([`command`]), and forgets it only when it reads it back: so a store that takes a value and loses
//!    it is told again, and so is one that was away, and a worker that dies loses nothing.
//! 2. A page of the list begins with the last value that was read. Where that is another one, or none, the
//!    store has lost or dropped values: the list is read from its start. Whatever is read twice ends
//!    nothing new.
//! 3. Whoever reads the list from its start notes what it knows and the list lacks ([`SignOuts::missing`]).
//!    Where that is something, one Envoy after the other, chosen by the store, reads on and appends the rest of
//!    its own. It is done when it has read all of it back, and so is everybody else. Who is gone before is
//!    replaced; so who is chosen, and how much that one knows, does not matter. Each appends then what it had
//!    told last, once more: in a list that somebody has put into another order it may stand where others have read.
//! 4. A process that has never read the list to its end waits with requests that count on a session. One
//!    that has not done so for `max_stale` rejects them, or goes on by what it knows.
//!
//! Invariants:
//! - a session ends only by a value that these keys sealed for this very list. Who can write to the store
//!   can lose values and add old ones, but makes none and reads none; whatever else is there is skipped;
//! - nothing of the store stops the reading: a value that is too long to be read is overwritten;
//! - what was only claimed in one Envoy is only a claim in the others;
//! - what a process knows is in the list, or unsent, or missing, and leaves the last two only where it was read back;
//! - no request waits for the store but as in 4;
//! - only [`SignOuts::tick`] and [`SignOuts::reply`] make calls, so calls come from the root context, and
//!   one at a time.

pub mod command;
pub mod shared;

use std::rc::Rc;
use std::time::Duration;

use crate::bytes::half_digest;
use crate::config::FleetStore;
use crate::document::back_off::{BackOff, Bounds};
use crate::document::finding::Finding;
use crate::ended::{self, Ending, List, Missing, NotEnded};
use crate::host::{CallId, Host, Reply};
use crate::metrics;
use crate::session::seal::{Context, Keyring, NONCE_LEN, Purpose};
use crate::time::{Millis, whole_seconds};

use command::{Answer, Command, NoAnswer};
use shared::{Digest, Shared};

/// The key of the list, below the prefix.
const KEY: &str = "ended";
/// The key by which one Envoy is chosen to append what the list lacks, below the prefix.
const RESTORING_KEY: &str = "restoring";
/// For how long it is chosen, in seconds.
const RESTORING_FOR: u64 = 10;
/// After so long nobody is waited for who seems to be chosen.
const REFUSED_FOR: Duration = Duration::from_secs(60);
/// How many values the list keeps at least. At twice as many it is cut.
pub const MOST_VALUES: u64 = 16_384;
/// The most marks of a value.
pub const MOST_MARKS: usize = 64;
/// The same of each kind, where the list lacks much.
const MOST_RESTORED: usize = 256;
/// The most values that are read at once.
const PAGE: u64 = 256;
/// What is sent in the same moment is one value.
const MOMENT: Duration = Duration::from_millis(250);
/// What was sent and is not there is sent again after so many times a moment, two to the power of this.
const MOST_DOUBLED: u32 = 7;
/// The waits after failures. The store is near, and only this asks it.
const WAITS: Bounds = Bounds {
    base: Duration::from_millis(200),
    longest: Duration::from_secs(5),
};
/// How much longer than its timeout a call is awaited. The proxy ends every call by its timeout.
const MARGIN: Duration = Duration::from_millis(500);
/// An entry is looked at for so much longer than the longest session, in seconds: clocks differ, and an ID
/// token may be older than its session.
const DAY: u64 = 24 * 60 * 60;

/// What is asked of the store.
#[derive(Debug)]
enum Step {
    /// The values after the last one that was read, so many of them.
    Read(From, u64),
    /// Append what ended here.
    Send(Ending),
    /// Cut the list.
    Cut,
    /// Overwrite the value at this place, which is too long.
    Overwrite(u64),
    /// Ask whether this process is to append what the list lacks.
    Claim,
    /// Let another one do so.
    Release,
}

/// How much of the list was read, and the last value of that.
type From = (u64, Digest);

/// What is out.
#[derive(Debug)]
struct Asked {
    id: CallId,
    step: Step,
    /// When the proxy must have forgotten the call.
    lost_at: Millis,
}

/// The sign-outs of all Envoys, as one worker sees them.
#[derive(Debug)]
pub struct SignOuts {
    store: FleetStore,
    keyring: Rc<Keyring>,
    /// What values are sealed for.
    list: String,
    /// The longest session, in seconds.
    longest: u64,
    shared: Shared,
    standing: Finding<()>,
    is_stale: bool,
    /// There is something to be done that need not wait for an idle tick.
    hurries: bool,
    asked: Option<Asked>,
    back_off: BackOff,
    page: u64,
    /// The list may have more than was read.
    has_more: bool,
    /// What was sent last, and how often the list did not have it.
    sent: Ending,
    missed: u32,
    next_send: Millis,
    /// No call is made before.
    rests_until: Millis,
    /// What this process knows and was not in the list when that was read so far. `None` where it is not
    /// known, or nothing.
    missing: Option<(From, Missing)>,
    /// Until then this worker appends that.
    chosen_until: Option<Millis>,
    /// It asks no sooner whether it is to do so.
    claims_at: Millis,
    /// Since when another one is said to do so.
    refused_since: Option<Millis>,
    is_long: bool,
    too_long: Option<u64>,
    told_age_at: Millis,
}

impl SignOuts {
    /// Nothing is known yet. `longest` is the longest session, in seconds. `worker`: random bits that
    /// no other worker has.
    #[must_use]
    pub fn new(store: &FleetStore, keyring: Rc<Keyring>, longest: u64, worker: u64) -> Self {
        Self {
            list: format!("{}:{KEY}", store.key_prefix),
            shared: Shared::new(store, &keyring, worker),
            store: store.clone(),
            keyring,
            longest,
            standing: Finding::Pending,
            is_stale: false,
            hurries: false,
            asked: None,
            back_off: BackOff::default(),
            page: PAGE,
            has_more: false,
            sent: Ending::default(),
            missed: 0,
            next_send: Millis(0),
            rests_until: Millis(0),
            missing: None,
            chosen_until: None,
            claims_at: Millis(0),
            refused_since: None,
            is_long: false,
            too_long: None,
            told_age_at: Millis(0),
        }
    }

    /// Whether it is known which sessions have ended, as of the last tick.
    #[must_use]
    pub fn standing(&self) -> Finding<()> {
        self.standing.clone()
    }

    /// The longest time that a call takes.
    #[must_use]
    pub fn longest_call(&self) -> Duration {
        self.store.uri.timeout.saturating_add(MARGIN)
    }

    /// Whether ticks should be frequent.
    #[must_use]
    pub fn is_restless(&self) -> bool {
        self.hurries || self.standing == Finding::Pending
    }

    /// Whether a call is this one's, and how many octets of its response are read at most.
    #[must_use]
    pub fn most(&self, call: CallId) -> Option<usize> {
        let asked = self.asked.as_ref()?;
        (asked.id == call).then_some(command::MOST_ANSWER)
    }

    /// Tells the other Envoys of what ended here.
    pub fn tell(&mut self, ending: &Ending, host: &dyn Host) {
        self.hurries = true;
        if self.shared.keep(ending, host).is_err() {
            host.count(metrics::STORE_DROPPED, 1);
            warn("is not told of a sign-out: too many wait", "");
        }
    }

    /// Moves on by the time that passed, and makes a call if one is due.
    pub fn tick(&mut self, host: &dyn Host, list: &mut List) {
        let now = host.monotonic();
        self.hurries = false;
        if let Some(lost) = self.asked.take_if(|asked| now >= asked.lost_at) {
            self.conclude(lost.step, &Reply::None, host, list);
        }
        self.shared.look(host);
        if self.shared.holds(host, now) {
            self.go_on(host, list);
            self.tell_age(host, now);
        } else {
            self.missing = None;
            self.chosen_until = None;
        }
        self.judge(host, now);
    }

    /// Takes the outcome of a call, and makes the next one if one is due. False where the call is not
    /// this one's.
    pub fn reply(&mut self, call: CallId, reply: &Reply, host: &dyn Host, list: &mut List) -> bool {
        let Some(asked) = self.asked.take_if(|asked| asked.id == call) else {
            return false;
        };
        self.conclude(asked.step, reply, host, list);
        let now = host.monotonic();
        if self.shared.holds(host, now) {
            self.go_on(host, list);
        }
        self.judge(host, now);
        true
    }

    /// Gives up the call when the root context goes away. Another worker takes over.
    pub fn abandon(&mut self, host: &dyn Host) {
        self.asked = None;
        self.shared.let_go(host, host.monotonic());
    }

    /// Asks what is to be asked next.
    fn go_on(&mut self, host: &dyn Host, list: &mut List) {
        let now = host.monotonic();
        let rests = !self.back_off.remaining(now, WAITS.longest).is_zero();
        if self.asked.is_some() || rests || now < self.rests_until {
            return;
        }
        let Some(step) = self.next(host, now) else {
            return;
        };
        let Some(sealed) = self.seal(&step, host) else {
            warn("is not told of a sign-out: the host has no randomness", "");
            self.rests_until = now.after(WAITS.longest);
            return;
        };
        let call = self.command(&step, &sealed).call(&self.store);
        match host.dispatch(&call) {
            Some(id) => {
                self.asked = Some(Asked {
                    id,
                    step,
                    lost_at: now.after(self.longest_call()),
                });
            }
            None => self.conclude(step, &Reply::NotSent, host, list),
        }
    }

    fn next(&mut self, host: &dyn Host, now: Millis) -> Option<Step> {
        if let Some(at) = self.too_long.take() {
            return Some(Step::Overwrite(at));
        }
        let read = self.shared.progress.place();
        let is_noted = self.missing.as_ref().is_some_and(|(of, _)| *of == read);
        if !self.shared.progress.has_all && read.0 > 0 && !is_noted {
            self.shared.change(host, now, &|progress| progress.anew());
            self.has_more = true;
        }
        let age = self.shared.progress.age(now);
        if self.has_more || age.is_none_or(|age| age >= self.store.interval) {
            return Some(Step::Read(self.shared.progress.place(), self.page));
        }
        let waits = now < self.next_send;
        if !waits {
            let unsent = self.shared.unsent(host);
            if !unsent.is_empty() {
                let half = MOST_MARKS / 2;
                return Some(Step::Send(unsent.start(half, half)));
            }
        }
        if self.is_long {
            return Some(Step::Cut);
        }
        let is_chosen = self.chosen_until.is_some_and(|until| now < until);
        match &self.missing {
            None => is_chosen.then_some(Step::Release),
            Some((_, missing)) if is_chosen => {
                (!waits || self.missed == 0).then(|| Step::Send(missing.start(MOST_RESTORED)))
            }
            Some(_) => (now >= self.claims_at).then_some(Step::Claim),
        }
    }

    /// Every session that began until then is over by itself, in Unix seconds.
    fn over(&self, now: ended::Now<'_>) -> u64 {
        now.at.saturating_sub(self.longest)
    }

    fn now_of_ended<'h>(&self, host: &'h dyn Host) -> ended::Now<'h> {
        ended::Now {
            at: whole_seconds(host.unix_seconds()),
            random: host.random(),
            store: host,
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            purpose: Purpose::Ended,
            scheme: &self.list,
            host: "",
        }
    }

    /// The value that a step puts into the store. `None` where it cannot be sealed.
    fn seal(&self, step: &Step, host: &dyn Host) -> Option<Vec<u8>> {
        let Step::Send(ending) = step else {
            return Some(vec![0]);
        };
        let mut nonce = [0; NONCE_LEN];
        host.entropy(&mut nonce).ok()?;
        Some(self.keyring.seal(self.context(), &ending.encode(), nonce))
    }

    fn open(&self, text: &[u8]) -> Option<Ending> {
        let opened = self.keyring.open(self.context(), &command::value(text)?);
        Ending::decode(&opened.ok()?.plaintext)
    }

    fn command<'c>(&self, step: &Step, value: &'c [u8]) -> Command<'c> {
        match step {
            Step::Read((read, _), page) => {
                // From the last value that was read, to see whether it is still there.
                let to = read.saturating_add(*page).saturating_sub(1);
                Command::Range(KEY, read.saturating_sub(1), to)
            }
            Step::Send(_) => Command::Append(KEY, value),
            Step::Cut => Command::KeepLast(KEY, MOST_VALUES),
            Step::Overwrite(at) => Command::Overwrite(KEY, *at, value),
            Step::Claim => Command::PutNew(RESTORING_KEY, value, RESTORING_FOR),
            Step::Release => Command::Delete(RESTORING_KEY),
        }
    }

    fn conclude(&mut self, step: Step, reply: &Reply, host: &dyn Host, list: &mut List) {
        let now = host.monotonic();
        let answer = self.command(&step, &[]).read(reply);
        match (step, answer) {
            (Step::Read((read, _), 1), Err(NoAnswer::TooLong)) => {
                self.too_long = Some(read);
                return;
            }
            (Step::Read(_, page), Err(NoAnswer::TooLong)) => {
                self.page = (page / 4).max(1);
                return;
            }
            (_, Err(_)) => return self.fail(reply, host, now),
            (Step::Read(from, page), Ok(Answer::Values(values))) => {
                if self.learn(&values, (from, page), host, list).is_none() {
                    return self.fail(reply, host, now);
                }
            }
            (Step::Send(ending), Ok(Answer::Number(length))) => {
                self.sent = ending;
                self.has_more = true;
                let missed = self.missed.min(MOST_DOUBLED);
                self.next_send = now.after(MOMENT.saturating_mul(1 << missed));
                self.is_long = length > MOST_VALUES.saturating_mul(2);
            }
            (Step::Claim, Ok(Answer::Done)) => self.choose(now),
            (Step::Claim, Ok(_)) => {
                self.claims_at = now.after(self.store.interval);
                let since = *self.refused_since.get_or_insert(now);
                if now.since(since) >= REFUSED_FOR {
                    self.choose(now);
                }
            }
            (Step::Release, Ok(_)) => self.chosen_until = None,
            (Step::Overwrite(_), Ok(_)) => self.skip(1, host),
            (Step::Cut, Ok(_)) => self.is_long = false,
            (Step::Read(..) | Step::Send(_), Ok(_)) => {}
        }
        if self.back_off.failures > 0 {
            warn("answers again", "");
        }
        self.back_off = BackOff::default();
        host.count(metrics::STORE_SUCCESS, 1);
    }

    fn fail(&mut self, reply: &Reply, host: &dyn Host, now: Millis) {
        let random = host.random();
        self.back_off = self.back_off.failed(reply.refusal(), WAITS, now, random);
        host.count(metrics::STORE_FAILED, 1);
        if self.back_off.failures == 1 {
            warn("fails: ", told(reply));
        }
        if !self.shared.progress.is_failing {
            self.shared
                .change(host, now, &|progress| progress.is_failing = true);
        }
    }

    /// Has this worker append what the list lacks, after it has read what was appended meanwhile.
    fn choose(&mut self, now: Millis) {
        self.chosen_until = Some(now.after(Duration::from_secs(RESTORING_FOR)));
        self.refused_since = None;
        self.has_more = true;
    }

    fn skip(&self, values: u64, host: &dyn Host) {
        host.count(metrics::STORE_SKIPPED, values);
        warn(
            "has values that are not of these Envoys: they are skipped",
            "",
        );
    }

    /// Ends here what the others have told. `None` where it cannot be ended now: it is read again then.
    fn learn(
        &mut self,
        values: &[&[u8]],
        ((read, last), page): (From, u64),
        host: &dyn Host,
        list: &mut List,
    ) -> Option<()> {
        let now = host.monotonic();
        if (read, last) != self.shared.progress.place() {
            // Another worker has read on meanwhile.
            return Some(());
        }
        let new = match (read, values.split_first()) {
            (0, _) => values,
            (_, Some((first, new))) if digest(first) == last => new,
            _ => {
                self.begin_anew(host, now);
                return Some(());
            }
        };
        let ended = self.now_of_ended(host);
        let noted = self.missing.take().filter(|(of, _)| *of == (read, last));
        let mut missing = match (self.shared.progress.has_all, read, noted) {
            (true, ..) => None,
            (false, 0, _) => Some(list.all_after(self.over(ended).saturating_sub(DAY), ended)),
            (false, _, Some((_, missing))) => Some(missing),
            // It is read from its start.
            (false, _, None) => return Some(()),
        };
        let mut told = Ending::default();
        let mut strange = 0_u64;
        for value in new {
            match self.open(value) {
                Some(ending) => told.append(ending),
                None => strange = strange.saturating_add(1),
            }
        }
        if strange > 0 {
            self.skip(strange, host);
        }
        if !told.is_empty() {
            self.shared.forget(&told, host);
            if let Some(missing) = &mut missing {
                missing.leave_out(&told);
            }
            let over = self.over(ended);
            told.leave_out_until(over.saturating_sub(DAY));
            match list.end(&told.with_earliest(over), ended) {
                Ok(()) | Err(NotEnded::Full) => {}
                Err(NotEnded::Refused) => return None,
            }
        }
        let count = new.len() as u64;
        let is_whole = count < page;
        let place = (
            read.saturating_add(count),
            new.last().map_or(last, |value| digest(value)),
        );
        missing = missing.filter(|missing| !(is_whole && missing.is_empty()));
        let has_all = is_whole && missing.is_none();
        // Not before: what is there may be where others do not read any more.
        if has_all && !self.shared.progress.has_all {
            self.shared.tell_again(host);
        }
        self.shared.change(host, now, &|progress| {
            (progress.read, progress.last) = place;
            if is_whole {
                progress.whole_at = Some(now);
                progress.is_failing = false;
                progress.has_all = has_all;
            }
        });
        self.has_more = !is_whole;
        self.page = self.page.saturating_mul(2).min(PAGE);
        if is_whole && !self.sent.is_empty() {
            let sent = std::mem::take(&mut self.sent);
            let mut back = sent.clone();
            back.leave_out(&self.shared.unsent(host));
            let missing = missing.as_ref();
            // What was appended and is not there is told again.
            let is_back = back == sent && missing.is_none_or(|missing| !missing.has_any(&sent));
            self.missed = match is_back {
                true => 0,
                false => self.missed.saturating_add(1),
            };
        }
        self.missing = missing.map(|missing| (place, missing));
        Some(())
    }

    /// The store has lost or dropped what was read: it is read from its start.
    fn begin_anew(&mut self, host: &dyn Host, now: Millis) {
        let is_begun = self.shared.change(host, now, &|progress| {
            progress.anew();
            progress.has_all = false;
        });
        if !is_begun {
            return;
        }
        warn("has lost what it had: it is told again", "");
        host.count(metrics::STORE_LOST, 1);
        self.has_more = true;
        // Whoever changes the list all the time causes no more calls than that.
        self.rests_until = now.after(MOMENT);
    }

    /// Says what is known now.
    fn judge(&mut self, host: &dyn Host, now: Millis) {
        let progress = &self.shared.progress;
        let age = progress.age(now);
        let is_fresh = age.is_some_and(|age| age <= self.store.max_stale);
        let is_pending = age.is_none() && !progress.is_failing;
        let was_stale = std::mem::replace(&mut self.is_stale, !is_fresh && !is_pending);
        self.standing = if is_pending {
            Finding::Pending
        } else if is_fresh || self.store.allow_stale {
            Finding::Ready(())
        } else {
            Finding::Unavailable {
                retry_after: self.store.interval,
            }
        };
        if self.is_stale && !was_stale {
            host.count(metrics::STORE_STALE, 1);
            let then = match self.store.allow_stale {
                true => "count by what this Envoy knows",
                false => "are not let through",
            };
            warn("could not be read for max_stale: sessions ", then);
        }
    }

    fn tell_age(&mut self, host: &dyn Host, now: Millis) {
        if now >= self.told_age_at {
            self.told_age_at = now.after(Duration::from_secs(1));
            let age = self.shared.progress.unread_for(now);
            host.gauge(metrics::STORE_AGE, age.as_secs());
        }
    }
}

fn digest(value: &[u8]) -> Digest {
    half_digest(&[value])
}

/// What came in place of an answer, for the log. Nothing of the store is shown.
fn told(reply: &Reply) -> &'static str {
    match reply {
        Reply::NotSent => "the call was refused: is the cluster defined and has it hosts?",
        Reply::Response { status: 200, .. } => "Redis refuses the command",
        Reply::Response { status: 403, .. } => "status 403: webdis does not allow the command",
        Reply::Response { status: 503, .. } => "status 503: webdis or Redis is not there",
        Reply::Response { .. } => "another status than 200",
        Reply::None | Reply::TooLarge(_) => "no response",
    }
}

/// Writes a line of the log.
#[inline(never)]
fn warn(what: &str, why: &str) {
    log::warn!("the shared store {what}{why}");
}
