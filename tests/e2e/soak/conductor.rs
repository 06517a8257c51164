//! What happens meanwhile: keys rotate, the provider fails, the configuration changes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bearer_gate_testbed::idp::{Fault, Idp};
use bearer_gate_testbed::keys::SigningKey;
use bearer_gate_testbed::token;
use tokio::sync::{RwLock, RwLockReadGuard};

use super::{World, config};

/// How many tokens are in use at a time.
const TOKENS: usize = 50;
/// How long an Envoy may go on with the keys that it has: `cache_duration`, less what is jitter, and
/// the time of a fetch.
const KEPT: Duration = Duration::from_secs(11);

/// What the lanes play.
pub(super) struct Score {
    tokens: Mutex<Vec<String>>,
    /// Held by those whose requests need a provider that answers.
    provider: RwLock<()>,
    over: AtomicBool,
}

/// The subject of a token in use.
pub(super) fn subject(number: usize) -> String {
    format!("user|{}", number % TOKENS)
}

fn mint(idp: &Idp) -> Vec<String> {
    (0..TOKENS)
        .map(|number| idp.token(&idp.claims().subject(&subject(number))))
        .collect()
}

impl Score {
    pub(super) fn new(idp: &Idp) -> Self {
        Self {
            tokens: Mutex::new(mint(idp)),
            provider: RwLock::default(),
            over: AtomicBool::new(false),
        }
    }

    /// A token in use; see [`subject`].
    pub(super) fn token(&self, number: usize) -> String {
        let tokens = self.tokens.lock().unwrap();
        tokens[number % TOKENS].clone()
    }

    /// The provider answers as long as this is held.
    pub(super) async fn provider(&self) -> RwLockReadGuard<'_, ()> {
        self.provider.read().await
    }

    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// False where it is over before.
    fn rest(&self, length: Duration) -> bool {
        let step = Duration::from_millis(100);
        let mut left = length;
        while !left.is_zero() && !self.is_over() {
            thread::sleep(step.min(left));
            left = left.saturating_sub(step);
        }
        !self.is_over()
    }
}

/// One event after another, until it is over.
pub(super) fn conduct(world: &World, beat: Duration) {
    let idp = &world.stage.idp;
    for round in 0.. {
        if !world.score.rest(beat) {
            break;
        }
        match round % 6 {
            0 => reload(world, round),
            1 => fails(world, Fault::Status(503), beat),
            2 => rotate(world),
            3 => fails(world, Fault::Hang, beat),
            4 => {
                let _down = world.score.provider.blocking_write();
                idp.stop();
                world.score.rest(beat / 2);
                idp.restart();
            }
            _ => fails(world, Fault::Html, beat),
        }
    }
}

fn reload(world: &World, round: u64) {
    let next = config(&world.stage, round + 1);
    if let Err(refused) = world.stage.envoy().reload_wasm(&next) {
        world.record.wrong("reload", &refused.to_string());
    }
}

/// Keys and metadata are not to be had.
fn fails(world: &World, fault: Fault, beat: Duration) {
    let idp = &world.stage.idp;
    idp.set_jwks(fault.clone());
    idp.set_discovery(fault);
    world.score.rest(beat / 2);
    idp.set_jwks(Fault::Ok);
    idp.set_discovery(Fault::Ok);
}

/// As it should be done: published first, then used, and the old one withdrawn at last.
fn rotate(world: &World) {
    let idp = &world.stage.idp;
    let (old, new) = (idp.key(), SigningKey::generate());
    idp.set_keys(&[old.clone(), new.clone()]);
    if !world.score.rest(KEPT) {
        return;
    }
    idp.set_keys(&[new.clone(), old]);
    *world.score.tokens.lock().unwrap() = mint(idp);
    if world.score.rest(Duration::from_secs(2)) {
        idp.set_keys(&[new]);
    }
}

/// A token that is new each time.
pub(super) fn new_token(world: &World, number: u64) -> String {
    let idp = &world.stage.idp;
    idp.token(&idp.claims().with("jti", number.to_string()))
}

/// A token by a key that nobody has.
pub(super) fn stranger(world: &World, key: &SigningKey, number: u64) -> String {
    let claims = world.stage.idp.claims().value();
    token::sign(key, &token::header(&format!("nobody {number}")), &claims)
}
