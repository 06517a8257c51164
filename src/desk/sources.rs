//! Where the keys of each provider come from, and what is logged and counted of them.

use std::rc::Rc;
use std::time::Duration;

use crate::config::{KeySource, PerProvider, Provider, ProviderId};
use crate::document::Now;
use crate::document::event::Event;
use crate::document::finding::Finding;
use crate::document::lifecycle::{FlightId, Lifecycle, Seen};
use crate::host::{Call, Host, Reply};
use crate::jose::jwks::KeySet;
use crate::jwks::keys::{Keys, UnknownKid};
use crate::jwks::metadata::Metadata;
use crate::jwks::remote_keys::RemoteKeys;
use crate::metrics;
use crate::time::Millis;

/// The sources of all providers.
pub(super) struct Sources(PerProvider<Source>);

struct Source {
    /// The name of the provider.
    name: String,
    keys: Origin,
}

enum Origin {
    Local(Rc<KeySet>),
    Remote(Box<Lifecycle<RemoteKeys>>),
}

/// What a step is made with.
pub(super) fn step<H: Host>(host: &H, at: Millis) -> Now<'_> {
    Now {
        at,
        random: host.random(),
        store: host,
    }
}

impl Sources {
    pub(super) fn new(providers: &PerProvider<Provider>, host: &impl Host) -> Self {
        Self(providers.map(|provider| Source {
            name: provider.name.clone(),
            keys: match &provider.keys {
                KeySource::Local(keys) => Origin::Local(Rc::clone(keys)),
                KeySource::Remote(remote) => {
                    let keys = RemoteKeys::new(Rc::clone(remote));
                    Origin::Remote(Box::new(Lifecycle::new(keys, host.random())))
                }
            },
        }))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ProviderId> + use<> {
        self.0.ids()
    }

    fn remotes(&self) -> impl Iterator<Item = (&str, &Lifecycle<RemoteKeys>)> {
        self.0.iter().filter_map(|source| match &source.keys {
            Origin::Local(_) => None,
            Origin::Remote(lifecycle) => Some((source.name.as_str(), &**lifecycle)),
        })
    }

    fn remote(&self, provider: ProviderId) -> Option<&Lifecycle<RemoteKeys>> {
        match &self.0[provider].keys {
            Origin::Local(_) => None,
            Origin::Remote(lifecycle) => Some(lifecycle),
        }
    }

    fn remote_mut(&mut self, provider: ProviderId) -> Option<&mut Lifecycle<RemoteKeys>> {
        match &mut self.0[provider].keys {
            Origin::Local(_) => None,
            Origin::Remote(lifecycle) => Some(lifecycle),
        }
    }

    /// Whether all keys are in the configuration, so that none are fetched.
    pub(super) fn are_local(&self) -> bool {
        self.remotes().next().is_none()
    }

    /// A provider's keys. The clock is asked only where keys have an age.
    pub(super) fn keys(
        &mut self,
        provider: ProviderId,
        host: &impl Host,
        now: impl FnOnce() -> Millis,
    ) -> Keys {
        self.find(provider, host, now, Rc::clone, Lifecycle::keys)
    }

    /// A provider's metadata, in the way that its keys are found. They are empty where the keys are
    /// in the configuration.
    pub(super) fn metadata(
        &mut self,
        provider: ProviderId,
        host: &impl Host,
        now: impl FnOnce() -> Millis,
    ) -> Finding<Rc<Metadata>> {
        self.find(provider, host, now, |_| Rc::default(), Lifecycle::metadata)
    }

    /// A value from the keys of the configuration, or from fetched ones. Where this worker has no
    /// keys, it looks for keys that another worker has shared, before a request waits or is
    /// rejected.
    fn find<T>(
        &mut self,
        provider: ProviderId,
        host: &impl Host,
        now: impl FnOnce() -> Millis,
        local: fn(&Rc<KeySet>) -> T,
        fetched: fn(&Lifecycle<RemoteKeys>, Millis) -> Finding<T>,
    ) -> Finding<T> {
        let lifecycle = match &mut self.0[provider].keys {
            Origin::Local(keys) => return Finding::Ready(local(keys)),
            Origin::Remote(lifecycle) => lifecycle,
        };
        let now = now();
        if let ready @ Finding::Ready(_) = fetched(lifecycle, now) {
            return ready;
        }
        lifecycle.look(&step(host, now));
        let found = fetched(lifecycle, now);
        if let Finding::Unavailable { .. } = found {
            lifecycle.ask();
        }
        self.tell_events(provider, host);
        found
    }

    /// What to do with a token whose `kid` none of the keys has. `came`: what its request saw of
    /// the keys when it came, if that was not just now.
    pub(super) fn unknown_kid(
        &mut self,
        (provider, kid): (ProviderId, Option<&str>),
        came: Option<Seen>,
        host: &impl Host,
        now: impl FnOnce() -> Millis,
    ) -> UnknownKid {
        let Some(lifecycle) = self.remote_mut(provider) else {
            return UnknownKid::NoSuchKey;
        };
        let outcome = lifecycle.unknown_kid(kid, came, &step(host, now()));
        self.tell_events(provider, host);
        outcome
    }

    /// Hears that a provider's key has verified a token with this `kid`.
    pub(super) fn used(
        &mut self,
        provider: ProviderId,
        kid: Option<&str>,
        now: impl FnOnce() -> Millis,
    ) {
        if let Some(lifecycle) = self.remote_mut(provider) {
            lifecycle.source_mut().used(kid, now);
        }
    }

    /// What a request sees of a provider's keys when it begins to wait for them, and the longest
    /// time that a fetch can take.
    pub(super) fn prospects(&self, provider: ProviderId) -> (Seen, Duration) {
        self.remote(provider)
            .map_or_else(Default::default, |lifecycle| {
                (lifecycle.seen(), lifecycle.fetch_time())
            })
    }

    pub(super) fn retry_after(&self, provider: ProviderId, now: Millis) -> Duration {
        let remote = self.remote(provider);
        remote.map_or(Duration::ZERO, |lifecycle| lifecycle.retry_after(now))
    }

    /// Whether a waiting request that saw `seen` can be decided.
    pub(super) fn settled(&self, provider: ProviderId, seen: Seen) -> bool {
        let remote = self.remote(provider);
        remote.is_none_or(|lifecycle| lifecycle.settled(seen))
    }

    /// Whether keys are lacking and something may change that soon.
    pub(super) fn are_restless(&self, now: Millis) -> bool {
        self.remotes()
            .any(|(_, lifecycle)| lifecycle.is_restless(now))
    }

    /// Moves a provider's keys on by the time that passed. The caller must make the call.
    pub(super) fn tick(
        &mut self,
        provider: ProviderId,
        urgent: bool,
        host: &impl Host,
        now: Millis,
    ) -> Option<(FlightId, Call)> {
        let lifecycle = self.remote_mut(provider)?;
        lifecycle.tick(&step(host, now), urgent)
    }

    /// Takes the outcome of a call. The caller must make the next one.
    pub(super) fn reply(
        &mut self,
        provider: ProviderId,
        flight: FlightId,
        reply: Reply,
        host: &impl Host,
        now: Millis,
    ) -> Option<(FlightId, Call)> {
        let lifecycle = self.remote_mut(provider)?;
        lifecycle.answer(flight, reply, &step(host, now))
    }

    /// Gives up all calls.
    pub(super) fn abandon(&mut self, host: &impl Host, now: Millis) {
        for source in &mut self.0 {
            if let Origin::Remote(lifecycle) = &mut source.keys {
                lifecycle.abandon(&step(host, now));
            }
        }
    }

    /// Sets the gauges of the keys' ages. Keys that there are none of do not grow old.
    pub(super) fn gauge_ages(&self, host: &impl Host, now: Millis) {
        for (name, lifecycle) in self.remotes() {
            let age = lifecycle.age(now);
            if let Some(age) = age.map(|age| {
                if lifecycle.is_idle() {
                    Duration::ZERO
                } else {
                    age
                }
            }) {
                host.gauge(&metrics::jwks_age(name), age.as_secs());
            }
        }
    }

    /// Logs and counts what happened to a provider's keys since the last time. True if anything
    /// happened.
    pub(super) fn tell_events(&mut self, provider: ProviderId, host: &impl Host) -> bool {
        let Some(lifecycle) = self.remote_mut(provider) else {
            return false;
        };
        let events = lifecycle.take_events();
        let any = !events.is_empty();
        for event in events {
            tell(&self.0[provider].name, event, host);
        }
        any
    }
}

/// One line in the log for each change of a provider's keys, and its counts.
fn tell(name: &str, event: Event, host: &impl Host) {
    match event {
        Event::Fetched {
            generation,
            found,
            skipped,
            changed,
            news,
        } => {
            host.count(&metrics::jwks_fetch(name, true), 1);
            // From the start: an increase from nothing is none to who watches.
            host.count(&metrics::jwks_changed(name), changed.into());
            let level = if news {
                log::Level::Info
            } else {
                log::Level::Debug
            };
            log::log!(level, "provider {name}: fetched {found}, set {generation}");
            for key in skipped.iter().filter(|_| news) {
                log::warn!("provider {name}: skipped {key}");
            }
        }
        Event::Failed {
            error,
            asked,
            failures,
            news,
        } => {
            host.count(&metrics::jwks_fetch(name, false), 1);
            let level = if news {
                log::Level::Warn
            } else {
                log::Level::Debug
            };
            log::log!(
                level,
                "provider {name}: fetching keys failed ({failures} in a row): {asked}: {error}"
            );
        }
        Event::Installed { generation } => {
            log::debug!("provider {name}: verifies with set {generation}");
        }
        Event::LeaseLost => log::debug!("provider {name}: another worker fetches"),
        Event::Expired => {
            log::warn!("provider {name}: its keys are past max_stale and no longer used");
        }
    }
}
