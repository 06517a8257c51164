//! What happens, one thing after the other. Numbers are taken modulo what is there, so that a
//! sequence keeps its meaning when a part of it is left out.

use proptest::prelude::*;

use crate::fleet::store::Mode;

/// What the configuration says of sessions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Whether sessions are refreshed.
    pub(super) refreshes: bool,
    /// Whether a session ends after a time without a request. Where it does not, it ends with its
    /// ID token, or with its tokens that cannot be refreshed.
    pub(super) has_idle: bool,
    /// Whether a refresh brings an ID token.
    pub(super) gives_id_token: bool,
    /// Whether the provider says which session of its own a sign-in is of.
    pub(super) has_sid: bool,
    /// Whether the shared store has what a session's cookies have otherwise.
    pub(super) in_store: bool,
}

/// What a browser asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A person opens a page.
    Page,
    /// A script of our own page fetches something.
    Script,
    /// The same with a body that has not come yet.
    Post,
    /// The same for a WebSocket.
    Socket,
    /// A script asks who is signed in.
    WhoAmI,
    /// A person follows the link that signs in anew.
    Link,
    /// A page of another site sends a form.
    Forged,
}

/// Where a request goes, and whether it waits there until something else has happened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) worker: usize,
    pub(super) lingers: bool,
}

/// What happens next. `at` is one of the browsers, or one of the copies of their cookies.
#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// A person opens a page and follows where it leads, signing in if asked.
    Visit {
        at: usize,
        way: Way,
    },
    /// One request. Where it leads to the provider, the person signs in there, and comes back later.
    Send {
        at: usize,
        what: What,
        way: Way,
    },
    /// Somebody who was at the provider comes back, in the browser that left, or in another one.
    Return {
        which: usize,
        astray: Option<usize>,
        way: Way,
    },
    /// Somebody else takes over, and signs in by the link.
    TakeOver {
        at: usize,
        who: usize,
        way: Way,
    },
    SignOut {
        at: usize,
        way: Way,
    },
    /// The browser's session is cut.
    Cut {
        at: usize,
    },
    /// Somebody copies the cookies of a browser.
    Copy {
        at: usize,
    },
    /// A person signs out at the provider, which tells so by its back channel: of the session, or of
    /// all of the person's.
    BackChannel {
        at: usize,
        of_all: bool,
        way: Way,
    },
    /// The same by a frame in another browser. `is_true`: the session has ended at the provider.
    FrontChannel {
        of: usize,
        at: usize,
        is_true: bool,
        way: Way,
    },
    /// The calls under way are answered.
    Answer,
    /// Their answers are lost, or the calls already.
    LoseCalls {
        arrive: bool,
    },
    /// The client of a request that waits leaves.
    Leave {
        which: usize,
    },
    /// The provider fails from now on, or is well again.
    Down(bool),
    /// The provider takes the refresh tokens of a person no more.
    Revoke {
        who: usize,
    },
    /// The provider signs by another key from now on.
    SigningKey,
    /// The cookie keys: the next step of a rotation as the documents have it.
    Rotate,
    /// The key that seals has leaked. Another one takes its place at once.
    Replace,
    /// The same configuration is loaded again.
    Reload,
    /// Envoy is restarted.
    Restart {
        arrive: bool,
    },
    LoseWorker {
        worker: usize,
        arrive: bool,
    },
    /// Somebody else's filter writes over everything that is shared.
    Overwrite,
    /// Other workers are faster, so many times.
    LoseWrites(u32),
    /// Time passes, in seconds.
    Pass(u64),
    /// How the shared store is from now on.
    Store(Mode),
    /// The shared store has lost its sessions, or has them under the names of others.
    StoreLoses {
        are_mixed: bool,
    },
}

fn way() -> impl Strategy<Value = Way> {
    (0..3_usize, prop::bool::weighted(0.3)).prop_map(|(worker, lingers)| Way { worker, lingers })
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        4 => Just(What::Page),
        3 => Just(What::Script),
        2 => Just(What::Post),
        1 => Just(What::Socket),
        1 => Just(What::WhoAmI),
        1 => Just(What::Link),
        1 => Just(What::Forged),
    ]
}

/// Most times are near one that means something.
fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        2 => 1..70_u64,
        3 => 235..305_u64,
        1 => 560..660_u64,
        1 => 900..1805_u64,
        1 => 3000..3700_u64,
    ]
}

pub(super) fn rules(in_store: bool) -> impl Strategy<Value = Rules> {
    (
        prop::bool::weighted(0.7),
        any::<bool>(),
        any::<bool>(),
        prop::bool::weighted(0.8),
    )
        .prop_map(
            move |(refreshes, has_idle, gives_id_token, has_sid)| Rules {
                in_store,
                refreshes,
                has_idle,
                gives_id_token,
                has_sid,
            },
        )
}

pub(super) fn event() -> impl Strategy<Value = Event> {
    let at = || 0..6_usize;
    let somewhere = |at: usize, way| (at, way);
    let here = move || (at(), way()).prop_map(move |(at, way)| somewhere(at, way));
    prop_oneof![
        10 => here().prop_map(|(at, way)| Event::Visit { at, way }),
        14 => (here(), what()).prop_map(|((at, way), what)| Event::Send { at, what, way }),
        5 => (at(), prop::option::weighted(0.15, at()), way())
            .prop_map(|(which, astray, way)| Event::Return { which, astray, way }),
        2 => (here(), at()).prop_map(|((at, way), who)| Event::TakeOver { at, who, way }),
        3 => here().prop_map(|(at, way)| Event::SignOut { at, way }),
        1 => at().prop_map(|at| Event::Cut { at }),
        2 => at().prop_map(|at| Event::Copy { at }),
        3 => (here(), any::<bool>())
            .prop_map(|((at, way), of_all)| Event::BackChannel { at, of_all, way }),
        2 => (here(), at(), any::<bool>())
            .prop_map(|((at, way), of, is_true)| Event::FrontChannel { of, at, is_true, way }),
        6 => Just(Event::Answer),
        1 => any::<bool>().prop_map(|arrive| Event::LoseCalls { arrive }),
        1 => at().prop_map(|which| Event::Leave { which }),
        2 => any::<bool>().prop_map(Event::Down),
        1 => at().prop_map(|who| Event::Revoke { who }),
        1 => Just(Event::SigningKey),
        2 => Just(Event::Rotate),
        1 => Just(Event::Replace),
        1 => Just(Event::Reload),
        1 => any::<bool>().prop_map(|arrive| Event::Restart { arrive }),
        1 => (at(), any::<bool>())
            .prop_map(|(worker, arrive)| Event::LoseWorker { worker, arrive }),
        1 => Just(Event::Overwrite),
        1 => (1..12_u32).prop_map(Event::LoseWrites),
        10 => span().prop_map(Event::Pass),
    ]
}

/// The same where sessions are in the shared store.
pub(super) fn event_with_store() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => event(),
        2 => prop_oneof![
            3 => Just(Mode::Well),
            1 => Just(Mode::Down),
            1 => Just(Mode::Silent),
            1 => (1..60_u32).prop_map(Mode::Slow),
        ]
        .prop_map(Event::Store),
        1 => any::<bool>().prop_map(|are_mixed| Event::StoreLoses { are_mixed }),
    ]
}
