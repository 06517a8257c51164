//! People with browsers, thieves with copies of their cookies, a provider, and an Envoy with
//! several workers.

use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::json;

use super::event::{Event, Rules, Way, What};
use super::judge::{Judged, SESSION};
use super::model::{IDLE, LONGEST, Model};
use crate::fleet::store::{Mode, Redis};
use crate::provider::parameters;
use crate::world::{APP, Browser, FROM_ELSEWHERE, PAGE, Page, SCRIPT, Waiting, World, config};

pub(super) const PEOPLE: [&str; 3] = ["alice", "bob", "carol"];
pub(super) const WORKERS: usize = 3;
/// The most copies of cookies.
const COPIES: usize = 3;
/// How long an endpoint or the keys may rest after a failure, in seconds, and some more.
pub(super) const REST: u64 = 45;
/// A sign-in at once after a few others gets a page that says so, for as many seconds.
const SHORT: u64 = 30;
/// So many of them, and as many that come to nothing, where what workers share is lost meanwhile.
const MOST_REDIRECTS: u32 = 6;
/// For how many tenths of a second ticks go on after a long time, which has none.
const PAUSE: u32 = 30;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Of(What),
    /// Somebody comes back from this sign-in at the provider, which this browser began.
    Callback {
        family: u32,
        of: usize,
    },
    SignOut,
    FrontChannel {
        sid: String,
    },
    BackChannel {
        sub: String,
        sid: Option<String>,
        at: u64,
    },
}

impl Asked {
    /// Whether it is answered only for somebody who is signed in.
    pub(super) fn relies_on_a_session(&self) -> bool {
        matches!(self, Self::Of(what) if !matches!(what, What::Link | What::Forged))
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct Sent {
    /// Whose browser sent it.
    pub(super) at: usize,
    pub(super) asked: Asked,
    /// The session's cookie that it has.
    pub(super) cookie: Option<String>,
    /// The keys of the configuration that decides it.
    pub(super) ring: Vec<String>,
    /// Whether the person goes where the answer leads only later.
    is_alone: bool,
}

/// A browser, and what the provider knows of it.
pub(super) struct Person {
    pub(super) browser: Browser,
    sub: &'static str,
    /// The provider's own session.
    sid: Option<String>,
    is_thief: bool,
    /// When sign-ins were completed.
    pub(super) completed: Vec<u64>,
}

impl Person {
    fn new(sub: &'static str, browser: Browser, is_thief: bool) -> Self {
        Self {
            browser,
            sub,
            sid: None,
            is_thief,
            completed: Vec::new(),
        }
    }
}

/// Somebody who is at the provider, and comes back by this URL.
struct Away {
    of: usize,
    back: String,
}

pub(super) struct Stage {
    pub(super) world: World,
    pub(super) model: Model,
    pub(super) people: Vec<Person>,
    /// The cookie keys of the configuration; the first one seals.
    pub(super) ring: Vec<String>,
    pub(super) rules: Rules,
    /// The shared store, where sessions are in it.
    pub(super) redis: Option<Rc<Redis>>,
    pub(super) keys: u32,
    sids: u32,
    pub(super) under_way: Vec<(Waiting, Sent)>,
    away: Vec<Away>,
}

pub(super) fn configuration(rules: Rules, ring: &[String]) -> bearer_gate::config::Config {
    let keys: Vec<&str> = ring.iter().map(String::as_str).collect();
    config(&keys, |config| {
        let idp = &mut config["providers"]["idp"];
        idp.as_object_mut().unwrap().remove("local_jwks");
        idp["remote_jwks"] = json!({"http_uri": {
            "uri": "https://idp.example/keys", "cluster": "idp", "timeout": "5s",
        }});
        let staff = &mut config["sign_in"]["schemes"]["staff"];
        staff["backchannel_logout_path"] = json!("/staff/told");
        staff["frontchannel_logout_path"] = json!("/staff/frame");
        staff["use_refresh_token"] = json!(rules.refreshes);
        staff["forward_bearer_token"] = json!(true);
        staff["revocation_endpoint"] =
            json!({"uri": "https://idp.example/revoke", "cluster": "idp", "timeout": "5s"});
        staff["session"] = json!({"max_duration": format!("{LONGEST}s")});
        if rules.has_idle {
            staff["session"]["idle_timeout"] = json!(format!("{IDLE}s"));
        }
        if rules.in_store {
            staff["session"]["store"] = json!("SHARED_STORE");
            config["shared_store"] = json!({"http_uri": {
                "uri": "http://redis:7379/", "cluster": "redis", "timeout": "1s",
            }});
        }
    })
}

/// Adds the shared store, which every worker has read once.
fn add_store(world: &World) -> Rc<Redis> {
    let redis = Rc::new(Redis::default());
    let (store, process) = (Rc::clone(&redis), Rc::clone(&world.process));
    *world.store.borrow_mut() = Some(Rc::new(move |call| {
        store.now.set(process.now.get());
        store.answer(call)
    }));
    world.settle();
    redis
}

pub(super) fn key(number: u32) -> String {
    format!("cookie-key-{number}-5cc1e2ef0f4d43d9a1d5f3c5")
}

impl Stage {
    pub(super) fn new(rules: Rules) -> Self {
        let ring = vec![key(0)];
        let world = World::with(configuration(rules, &ring));
        for _ in 1..WORKERS {
            world.add_worker();
        }
        world.provider.gives_id_token.set(rules.gives_id_token);
        let redis = rules.in_store.then(|| add_store(&world));
        let people = PEOPLE.map(|sub| Person::new(sub, Browser::default(), false));
        Self {
            world,
            model: Model::new(rules),
            people: people.into(),
            ring,
            rules,
            redis,
            keys: 0,
            sids: 0,
            under_way: Vec::new(),
            away: Vec::new(),
        }
    }

    pub(super) fn now(&self) -> u64 {
        self.world.now()
    }

    /// The session's cookie of a browser.
    pub(super) fn cookie(&self, at: usize) -> Option<String> {
        let jar = &self.people[at].browser.jar;
        jar.get(&("app.example".to_owned(), SESSION.to_owned()))
            .cloned()
    }

    fn sid_of(&self, at: usize) -> Option<String> {
        self.model.of(&self.cookie(at)?)?.sid.clone()
    }

    /// A person signs in at the provider, which knows them already or asks. The URL to come back by.
    fn at_provider(&mut self, at: usize, url: &str) -> String {
        if self.people[at].sid.is_none() {
            self.sids += 1;
            self.people[at].sid = Some(format!("sid-{}", self.sids));
        }
        let person = &self.people[at];
        let sid = person.sid.as_deref().filter(|_| self.rules.has_sid);
        self.world.provider.sign_in_with(url, person.sub, sid)
    }

    /// The session of the provider's ends, with all that came of it.
    fn end_at_provider(&mut self, sid: &str) {
        self.world.provider.end(sid);
        for person in &mut self.people {
            person.sid.take_if(|own| own == sid);
        }
    }

    /// Sends a request to a worker: its page, if that is there at once.
    fn send(
        &mut self,
        sent: Sent,
        way: Way,
        request: (&str, &str, &[(&str, &str)]),
    ) -> Judged<Option<Page>> {
        self.world.worker.set(way.worker);
        let (method, url, headers) = request;
        let browser = &self.people[sent.at].browser;
        let arrival = match &sent.asked {
            Asked::BackChannel { sub, sid, at } => {
                let said = match sid {
                    Some(sid) => json!({"sub": sub, "sid": sid}),
                    None => json!({"sub": sub}),
                };
                let token = self.world.provider.logout_token(*at, &said);
                self.world.tell(url, &token)
            }
            _ => self.world.arrive(browser, method, url, headers),
        };
        match arrival {
            Ok(page) => {
                self.take(&sent, &page)?;
                return Ok(Some(page));
            }
            Err(waiting) if way.lingers => self.under_way.push((waiting, sent)),
            Err(waiting) => {
                self.under_way.push((waiting, sent));
                return self.wait_for(waiting).map(Some);
            }
        }
        Ok(None)
    }

    fn take(&mut self, sent: &Sent, page: &Page) -> Judged {
        self.judge(sent, page)?;
        let is_on_the_way = page.header("location").is_some_and(is_provider);
        if is_on_the_way && sent.is_alone && !self.people[sent.at].is_thief {
            let back = self.at_provider(sent.at, page.location());
            self.away.push(Away { of: sent.at, back });
        }
        Ok(())
    }

    /// Lets a moment pass, and takes the answers that come in it.
    fn step(&mut self, millis: u64) -> Judged<Vec<(Waiting, Page)>> {
        self.world.pass(Duration::from_millis(millis));
        if self.world.process.store.loses_writes() {
            // A worker whose claim is refused thinks that another one fetches.
            self.model.trouble(self.now() + REST);
        }
        let mut pages = self.world.tick();
        pages.extend(self.world.answer_calls());
        self.note_what_nobody_heard();
        let mut taken = Vec::new();
        for (context, page) in pages {
            let mut all = self.under_way.iter();
            let at = all.position(|(waiting, _)| waiting.is(context)).unwrap();
            let (waiting, sent) = self.under_way.remove(at);
            self.take(&sent, &page)?;
            taken.push((waiting, page));
        }
        Ok(taken)
    }

    fn wait_for(&mut self, wanted: Waiting) -> Judged<Page> {
        for number in 0..1000 {
            let millis = if number < 30 { 0 } else { 90 };
            let pages = self.step(millis)?;
            let mut pages = pages.into_iter();
            if let Some((_, page)) = pages.find(|(waiting, _)| *waiting == wanted) {
                return Ok(page);
            }
        }
        Err(TestCaseError::fail("never decided"))
    }

    /// Lets everything be answered that is under way.
    fn settle(&mut self) -> Judged {
        for number in 0..1000 {
            let millis = if number < 30 { 0 } else { 90 };
            drop(self.step(millis)?);
            // A store that does not answer is asked all the time.
            let counts = |cluster: &str| cluster != "redis" || self.store_is_well();
            let calls = self.world.process.calls.borrow();
            if self.under_way.is_empty() && !calls.iter().any(|(_, call)| counts(&call.cluster)) {
                return Ok(());
            }
        }
        Err(TestCaseError::fail("never settled"))
    }

    pub(super) fn store_is_well(&self) -> bool {
        let redis = self.redis.as_ref();
        redis.is_none_or(|redis| redis.mode.get() == Mode::Well)
    }

    /// Lets a long time pass. The calls that are out come to nothing.
    fn pass(&mut self, seconds: u64) -> Judged {
        self.settle()?;
        self.world.process.calls.borrow_mut().clear();
        self.world.pass(Duration::from_secs(seconds));
        // What was lost is noticed by a tick, which follows a call's timeout at once: so is the first new try.
        for _ in 0..PAUSE {
            drop(self.step(100)?);
        }
        // Meanwhile the store was read all the time; after a call that was lost, it is in 8 s at most.
        let asked = |stage: &Self| stage.redis.as_ref().map(|redis| redis.calls.get());
        let before = asked(self);
        let is_read = |stage: &Self| asked(stage) >= before.map(|before| before + 2);
        for _ in 0..80 {
            if is_read(self) {
                break;
            }
            drop(self.step(100)?);
        }
        Ok(())
    }

    fn sent(&self, at: usize, asked: Asked, is_alone: bool) -> Sent {
        Sent {
            cookie: self.cookie(at),
            ring: self.ring.clone(),
            at,
            asked,
            is_alone,
        }
    }

    fn ask(&mut self, at: usize, what: What, way: Way, is_alone: bool) -> Judged<Option<Page>> {
        let socket = [SCRIPT[2], ("upgrade", "websocket")];
        let (method, path, headers): (_, _, &[(&str, &str)]) = match what {
            What::Page => ("GET", "/page", &PAGE),
            What::Script => ("GET", "/page", &SCRIPT),
            What::Post => ("POST", "/page", &SCRIPT),
            What::Socket => ("GET", "/page", &socket),
            What::WhoAmI => ("GET", "/staff/session", &SCRIPT),
            What::Link => ("GET", "/staff/sign-in?return_to=/page", &PAGE),
            What::Forged => ("POST", "/page", &FROM_ELSEWHERE),
        };
        let sent = self.sent(at, Asked::Of(what), is_alone);
        self.send(sent, way, (method, &format!("{APP}{path}"), headers))
    }

    fn come_back(
        &mut self,
        at: usize,
        away: &Away,
        way: Way,
        is_alone: bool,
    ) -> Judged<Option<Page>> {
        let code = parameters(&away.back)["code"].clone();
        let family = code.strip_prefix("code-").unwrap().parse().unwrap();
        let asked = Asked::Callback {
            family,
            of: away.of,
        };
        let sent = self.sent(at, asked, is_alone);
        self.send(sent, way, ("GET", &away.back, &FROM_ELSEWHERE))
    }

    /// Opens a page and follows where it leads: the last page.
    fn visit(&mut self, at: usize, first: What, way: Way) -> Judged<Page> {
        let mut hop = Way {
            lingers: false,
            ..way
        };
        let mut page = self.ask(at, first, hop, false)?.unwrap();
        let mut redirects = 0;
        while page.status == 303 {
            // A browser takes a while for each.
            drop(self.step(200)?);
            hop.worker = (hop.worker + 1) % WORKERS;
            let next = page.location().to_owned();
            page = if is_provider(&next) {
                redirects += 1;
                prop_assert!(redirects <= MOST_REDIRECTS, "it goes round");
                let back = self.at_provider(at, &next);
                let away = Away { of: at, back };
                self.come_back(at, &away, hop, false)?.unwrap()
            } else {
                prop_assert_eq!(&next, "/page");
                self.ask(at, What::Page, hop, false)?.unwrap()
            };
        }
        let now = self.now();
        let lately = self.people[at].completed.iter();
        let goes_round = lately.filter(|at| now - **at <= SHORT).count() >= 3;
        let is_excused = self.is_troubled() || goes_round;
        prop_assert!(page.status == 200 || is_excused, "{page:?}");
        Ok(page)
    }

    /// Whether this browser can follow where it is led: a thief only has what was copied.
    fn browser(&self, at: usize) -> usize {
        at % self.people.len()
    }

    pub(super) fn carry_out(&mut self, event: Event) -> Judged {
        let now = self.now();
        match event {
            Event::Visit { at, way } => {
                let at = self.browser(at);
                if self.people[at].is_thief {
                    self.ask(at, What::Page, way, true)?;
                } else {
                    self.visit(at, What::Page, way)?;
                }
            }
            Event::Send { at, what, way } => {
                self.ask(self.browser(at), what, way, true)?;
            }
            Event::Return { which, astray, way } => {
                if !self.away.is_empty() {
                    let away = self.away.remove(which % self.away.len());
                    let at = astray.map_or(away.of, |at| at % PEOPLE.len());
                    self.come_back(at, &away, way, true)?;
                }
            }
            Event::TakeOver { at, who, way } => {
                let at = at % PEOPLE.len();
                // Where another tab is faster, that one counts.
                let is_alone = self.under_way.is_empty();
                self.people[at].sub = PEOPLE[who % PEOPLE.len()];
                self.people[at].sid = None;
                let page = self.visit(at, What::Link, way)?;
                if page.status == 200 && is_alone {
                    prop_assert_eq!(page.user(), Some(self.people[at].sub));
                }
            }
            Event::SignOut { at, way } => {
                let at = self.browser(at);
                let sent = self.sent(at, Asked::SignOut, false);
                let url = format!("{APP}/staff/sign-out");
                let same = [("sec-fetch-site", "same-origin")];
                let page = self.send(sent, way, ("POST", &url, &same))?;
                let is_led_on = page.is_some_and(|page| page.location().contains("/end?"));
                if let Some(sid) = self.people[at].sid.clone().filter(|_| is_led_on) {
                    self.end_at_provider(&sid);
                }
            }
            Event::Cut { at } => {
                let jar = &mut self.people[at % PEOPLE.len()].browser.jar;
                let own = jar.iter_mut().filter(|((_, name), _)| name == SESSION);
                own.for_each(|(_, value)| value.truncate(value.len() - 1));
            }
            Event::Copy { at } => {
                let from = &self.people[at % PEOPLE.len()];
                let copy = Person::new(from.sub, from.browser.clone(), true);
                if self.people.len() < PEOPLE.len() + COPIES {
                    self.people.push(copy);
                }
            }
            Event::BackChannel { at, of_all, way } => {
                let at = at % PEOPLE.len();
                let own = self.sid_of(at).or_else(|| self.people[at].sid.clone());
                let sid = own.filter(|_| !of_all && self.rules.has_sid);
                let sub = self.people[at].sub.to_owned();
                match &sid {
                    Some(sid) => self.end_at_provider(sid),
                    None => {
                        self.world.provider.revoke(|_, family| family.sub == sub);
                        let own = self.people.iter().filter(|person| person.sub == sub);
                        let sids: Vec<String> = own.filter_map(|one| one.sid.clone()).collect();
                        sids.iter().for_each(|sid| self.end_at_provider(sid));
                        // Who signs in again within this second is over at once.
                        self.model.trouble(now + 2);
                    }
                }
                let asked = Asked::BackChannel { sub, sid, at: now };
                let sent = self.sent(at, asked, false);
                self.send(sent, way, ("POST", &format!("{APP}/staff/told"), &[]))?;
            }
            Event::FrontChannel {
                of,
                at,
                is_true,
                way,
            } => {
                let (of, at) = (of % PEOPLE.len(), at % PEOPLE.len());
                let Some(sid) = self.sid_of(of) else {
                    return Ok(());
                };
                if is_true {
                    self.end_at_provider(&sid);
                } else {
                    // Who signs in again in the same session of the provider is over at once.
                    self.model.trouble(now + 62);
                }
                let url = format!("{APP}/staff/frame?iss=https%3A%2F%2Fidp.example%2F&sid={sid}");
                let frame = [PAGE[0], ("sec-fetch-dest", "iframe"), FROM_ELSEWHERE[2]];
                let sent = self.sent(at, Asked::FrontChannel { sid }, false);
                self.send(sent, way, ("GET", &url, &frame))?;
            }
            Event::Answer => drop(self.step(0)?),
            Event::Leave { which } => {
                if !self.under_way.is_empty() {
                    let (waiting, _) = self.under_way.remove(which % self.under_way.len());
                    self.world.leave(waiting);
                }
            }
            Event::Pass(seconds) => self.pass(seconds)?,
            Event::Rotate => {
                // The documents have each step wait until the one before is everywhere.
                self.settle()?;
                self.rotate();
                self.reload();
            }
            _ => self.befall(event),
        }
        self.judge_refreshes()
    }

    /// All is well, and some time passes: everybody can be signed in, and stays so.
    pub(super) fn finish(&mut self) -> Judged {
        self.befall(Event::Down(false));
        self.befall(Event::Store(Mode::Well));
        self.befall(Event::LoseWrites(0));
        self.pass(90)?;
        self.settle()?;
        let of = |worker| Way {
            worker,
            lingers: false,
        };
        if self.model.has_lost_list {
            self.visit(0, What::Page, of(0))?;
            self.pass(REST)?;
            self.model.has_lost_list = false;
        }
        for at in 0..PEOPLE.len() {
            self.visit(at, What::Page, of(at % WORKERS))?;
            let page = self.ask(at, What::Page, of((at + 1) % WORKERS), false)?;
            let signed_in = page.filter(|page| page.status == 200);
            prop_assert!(signed_in.is_some_and(|page| page.user().is_some()));
        }
        self.judge_refreshes()
    }
}

fn is_provider(url: &str) -> bool {
    url.starts_with("https://idp.example/authorize")
}
