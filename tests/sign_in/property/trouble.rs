//! What befalls the provider, the shared store, and Envoy.

use super::event::Event;
use super::stage::{PEOPLE, REST, Stage, WORKERS, configuration, key};

impl Stage {
    /// What happens to the provider, and to Envoy.
    pub(super) fn befall(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::LoseCalls { arrive } => self.lose(None, arrive),
            Event::Down(is_down) => {
                self.world.provider.is_down.set(is_down);
                self.model.trouble(now + REST);
            }
            Event::Revoke { who } => {
                let sub = PEOPLE[who % PEOPLE.len()];
                self.world.provider.revoke(|_, family| family.sub == sub);
            }
            Event::SigningKey => {
                let key = &self.world.provider.has_new_key;
                key.set(!key.get());
                let refreshes = self.world.provider.refreshed.borrow().len();
                self.model.refreshes_by_old_keys = refreshes;
                self.model.trouble(now + REST);
            }
            Event::Replace => {
                self.keys += 1;
                self.ring = vec![key(self.keys)];
                self.reload();
            }
            Event::Reload => self.reload(),
            Event::Restart { arrive } => {
                self.lose(None, arrive);
                self.model.lost_until = now;
                self.world.restart();
                self.under_way.clear();
                self.model.forget();
            }
            Event::LoseWorker { worker, arrive } => {
                let worker = worker % WORKERS;
                self.lose(Some(worker), arrive);
                self.world.lose(worker);
                let world = &self.world;
                self.under_way.retain(|(waiting, _)| world.waits(*waiting));
            }
            Event::Overwrite => {
                self.world
                    .process
                    .store
                    .overwrite_all(b"\x01\0\0\0\0\0\0\0garbage");
                self.model.lose_list();
                self.model.lost_until = now;
                self.model.trouble(now + REST);
            }
            Event::LoseWrites(times) => {
                self.world.process.store.lose_writes(times);
                self.model.trouble(now + REST);
            }
            Event::Store(mode) => {
                if let Some(redis) = &self.redis {
                    redis.mode.set(mode);
                    self.model.trouble(now + REST);
                }
            }
            Event::StoreLoses { are_mixed } => {
                if let Some(redis) = &self.redis {
                    redis.lose_sessions(are_mixed);
                    self.model.doubt("the store has lost it", |_| true);
                }
            }
            _ => unreachable!("{event:?}"),
        }
    }

    /// Adds a key, then puts it first, then takes the old one away.
    pub(super) fn rotate(&mut self) {
        let newest = key(self.keys);
        match self.ring.len() {
            1 => {
                self.keys += 1;
                self.ring.push(key(self.keys));
            }
            _ if self.ring[0] == newest => self.ring.truncate(1),
            _ => self.ring.reverse(),
        }
    }

    pub(super) fn reload(&mut self) {
        self.world.reload(configuration(self.rules, &self.ring));
    }

    /// Answers are lost that the provider has given, or may be.
    fn lose(&mut self, worker: Option<usize>, arrive: bool) {
        self.world.lose_calls(worker, arrive);
        self.note_what_nobody_heard();
        self.model.trouble(self.now() + REST);
    }

    pub(super) fn note_what_nobody_heard(&mut self) {
        let unheard = self.world.unheard.take();
        if !unheard.is_empty() {
            let why = "the answer to its refresh was lost";
            self.model
                .doubt(why, |session| unheard.contains(&session.family));
            self.model.lost_until = self.now();
        }
    }
}
