//! What a running Envoy means for a request, in words.

use std::collections::BTreeMap;

use bearer_gate::config::{Config, KeySource, Provider, Remote};
use bearer_gate::metrics;

use super::cluster::Cluster;
use super::{Gateway, difference, module, place};
use crate::explanation::{Mark, Step, Touched};
use crate::keys;
use crate::narrator::duration_in_words;
use crate::outlook::{Does, Outlook, Source};
use crate::plugin::Plugin;
use crate::surroundings::called_clusters;

/// What Envoy puts before the filter's metrics.
const PREFIX: &str = "wasmcustom.";
/// More fields that differ, or reasons, are counted only.
const MOST_SHOWN: usize = 5;

impl Gateway {
    /// What there is to say beside a decision by this configuration.
    pub(crate) fn steps(
        &self,
        plugin: &Plugin<'_>,
        source: Source,
        config: &Config,
        touched: &Touched,
    ) -> Vec<Step> {
        let mut steps = vec![self.envoy(), self.filter(plugin, source)];
        let is_asked = |provider: &&Provider| {
            touched.providers.is_empty() || touched.providers.contains(&provider.name)
        };
        for provider in config.providers.iter().filter(is_asked) {
            if let KeySource::Remote(remote) = &provider.keys {
                steps.push(self.keys(provider, remote));
            }
        }
        steps.push(self.requests());
        steps.extend(self.unreached(config));
        steps
    }

    pub(super) fn stat(&self, name: &str) -> Option<u64> {
        self.stats.get(&format!("{PREFIX}{name}")).copied()
    }

    /// The sum of the statistics that end so.
    fn sum(&self, end: &str) -> u64 {
        let ending = self.stats.iter().filter(|(name, _)| name.ends_with(end));
        ending.fold(0, |sum, (_, value)| sum.saturating_add(*value))
    }

    /// How many configurations Envoy has refused. Of an extension that comes from a file two statistics count one
    /// refusal.
    fn refusals(&self) -> u64 {
        const COUNTS: [&str; 2] = ["update_rejected", "config_fail"];
        let mut scopes: BTreeMap<&str, u64> = BTreeMap::new();
        for (name, count) in &self.stats {
            if let Some(scope) = COUNTS.iter().find_map(|count| name.strip_suffix(count)) {
                let most = scopes.entry(scope).or_default();
                *most = (*most).max(*count);
            }
        }
        let counts = scopes.into_values();
        counts.fold(0, u64::saturating_add)
    }

    fn envoy(&self) -> Step {
        let Self {
            version,
            state,
            uptime,
            address,
            ..
        } = self;
        let text = format!("{version} at {address} is {state}, since {uptime}");
        let mut step = Step::new("envoy", Mark::Note, text);
        let refused = self.refusals();
        if refused > 0 {
            let text = format!(
                "it has refused changes of configuration since it began ({refused} times). Its log says why"
            );
            step.detail(Mark::Bad, text);
        }
        for name in &self.refused {
            let text =
                format!("it did not take the newest listener {name}: the one before it runs on");
            step.detail(Mark::Bad, text);
        }
        for extension in self.extensions.iter().filter(|one| one.is_refused) {
            let text = format!(
                "it did not take the newest extension {}: {}",
                extension.name,
                extension.in_place()
            );
            step.detail(Mark::Bad, text);
        }
        let crashes = self.sum("vm_reload_success");
        if crashes > 0 {
            let text =
                format!("VMs of Wasm filters have crashed, and were started anew: {crashes}");
            step.detail(Mark::Bad, text);
        }
        step
    }

    /// Whether the filter runs, from which module, and with which configuration.
    fn filter(&self, plugin: &Plugin<'_>, source: Source) -> Step {
        let running = self.running.plugins();
        if running.is_empty() {
            let mut step = Step::new("filter", Mark::Note, "does not run in this Envoy");
            let text = "no listener has it, nor an extension that was discovered";
            step.detail(Mark::Bad, text);
            return step;
        }
        let places: Vec<String> = running.iter().map(place).collect();
        let mut step = Step::new("filter", Mark::Note, format!("in {}", places.join(", ")));
        for one in &running {
            if let Err(error) = one.parse() {
                let text = format!("{}: {error}: {}", place(one), self.in_place_of(one));
                step.detail(Mark::Bad, text);
            }
        }
        let mut modules: Vec<String> = running.iter().filter_map(module).collect();
        modules.dedup();
        for module in modules {
            step.detail(Mark::Note, format!("module: {module}"));
        }
        let is_refused = |one: &Plugin<'_>| self.extension(one).is_some_and(|it| it.is_refused);
        if source == Source::Running && is_refused(plugin) {
            let text =
                "what Envoy shows decided above, and that was refused: give what runs by --config";
            step.detail(Mark::Bad, text);
        } else if source == Source::Running {
            step.detail(Mark::Good, "its configuration decided above");
        } else {
            let nearest = running
                .iter()
                .map(|one| (one, difference::paths(&plugin.value(), &one.value())))
                .min_by_key(|(_, paths)| paths.len());
            match nearest {
                Some((one, paths)) if paths.is_empty() && is_refused(one) => {
                    let text = format!(
                        "{} was sent the configuration of the file, and refused it",
                        place(one)
                    );
                    step.detail(Mark::Bad, text);
                }
                Some((one, paths)) if paths.is_empty() => {
                    let text = format!("{} runs the configuration of the file", place(one));
                    step.detail(Mark::Good, text);
                }
                Some((one, paths)) => {
                    let shown: Vec<&str> =
                        paths.iter().take(MOST_SHOWN).map(String::as_str).collect();
                    let more = match paths.len().saturating_sub(MOST_SHOWN) {
                        0 => String::new(),
                        more => format!(", and {more} more"),
                    };
                    let text = format!(
                        "{} runs another configuration than the file has. What differs: {}{more}",
                        place(one),
                        shown.join(", ")
                    );
                    step.detail(Mark::Bad, text);
                }
                None => {}
            }
        }
        if !self.stats.keys().any(|name| name.starts_with(PREFIX)) {
            let text = "it has no metric yet: no request came, and no keys were asked for";
            step.detail(Mark::Note, text);
        }
        step
    }

    /// The keys that a provider's tokens are verified with, and the clusters that they come from.
    fn keys(&self, provider: &Provider, remote: &Remote) -> Step {
        let name = &provider.name;
        let age = self.stat(&metrics::jwks_age(name));
        let text = match age {
            Some(age) => format!("of {name}: {} old", in_words(age)),
            None => format!("of {name}: none"),
        };
        let mut step = Step::new("keys", Mark::Note, text);
        let times = &remote.times;
        let (fresh, stale) = (times.cache_duration, times.max_stale);
        match age {
            None => step.detail(
                Mark::Bad,
                "the gateway has no keys, or did not say so yet: tokens get 503",
            ),
            Some(age) if age > fresh.saturating_add(stale).as_secs() => {
                step.detail(Mark::Bad, "older than max_stale allows: tokens get 503");
            }
            Some(age) if age > fresh.as_secs() => {
                let text = "older than cache_duration: fetches fail, and keys that are new at the provider are not there";
                step.detail(Mark::Bad, text);
            }
            Some(_) => {}
        }
        let [good, failed] = [true, false].map(|succeeded| {
            let name = metrics::jwks_fetch(name, succeeded);
            self.stat(&name).unwrap_or_default()
        });
        let mark = if good == 0 && failed > 0 {
            Mark::Bad
        } else {
            Mark::Note
        };
        step.detail(mark, format!("fetches: {good} good, {failed} failed"));
        for cluster in keys::clusters(remote) {
            let (mark, text) = self.cluster(cluster);
            step.detail(mark, text);
        }
        step
    }

    pub(super) fn cluster(&self, name: &str) -> (Mark, String) {
        let mut clusters = self.clusters.iter();
        let Some(cluster) = clusters.find(|cluster| cluster.name == name) else {
            let known: Vec<&str> = self.clusters.iter().map(|one| one.name.as_str()).collect();
            let text = match known.len() {
                0..=MOST_SHOWN => format!("there are: {}", known.join(", ")),
                many => format!("there are {many} others"),
            };
            return (Mark::Bad, format!("cluster {name}: does not exist; {text}"));
        };
        cluster.in_words()
    }

    /// The clusters to which no call of the filter's goes: those of the applications.
    fn of_applications(&self, config: &Config) -> impl Iterator<Item = &Cluster> {
        let called = called_clusters(config);
        let clusters = self.clusters.iter();
        clusters.filter(move |cluster| !called.contains(&cluster.name))
    }

    /// The applications that requests do not reach.
    fn unreached(&self, config: &Config) -> Option<Step> {
        let mut step = Step::new("upstream", Mark::Note, "what requests are let through to");
        for cluster in self.of_applications(config) {
            if let (mark @ (Mark::Bad | Mark::Note), text) = cluster.in_words() {
                step.detail(mark, text);
            }
        }
        (!step.details.is_empty()).then_some(step)
    }

    /// Why a request that is let through gets no answer, where there is one application alone.
    pub(super) fn without_application(&self, config: &Config) -> Option<Outlook> {
        let mut clusters = self.of_applications(config);
        let only = clusters.next().filter(|_| clusters.next().is_none())?;
        let does = match (only.has_no_host(), only.has_never_answered()) {
            (true, _) => Does::Answers(503),
            (_, true) => Does::MayDiffer,
            _ => return None,
        };
        Some(Outlook::new(does, only.in_words().1))
    }

    /// What became of the requests so far.
    fn requests(&self) -> Step {
        let allowed = self.stat(metrics::ALLOWED).unwrap_or_default();
        let denied = self.by_reason(&metrics::denied(""));
        let total = denied
            .iter()
            .fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        let text = format!("{allowed} let through, {total} rejected since Envoy began");
        let mut step = Step::new("requests", Mark::Note, text);
        let shown = |counts: &[(&str, u64)]| {
            let counts = counts.iter().take(MOST_SHOWN);
            let counts: Vec<String> = counts
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            counts.join(", ")
        };
        if !denied.is_empty() {
            step.detail(Mark::Note, format!("rejected: {}", shown(&denied)));
        }
        let reported = self.by_reason(&metrics::reported(""));
        if !reported.is_empty() {
            let text = format!(
                "let through by rules that only report: {}",
                shown(&reported)
            );
            step.detail(Mark::Note, text);
        }
        let waiting = self.stat(metrics::WAITING).unwrap_or_default();
        if waiting > 0 {
            step.detail(Mark::Note, format!("waiting now: {waiting}"));
        }
        step
    }

    /// The counters of this kind by reason, the largest first.
    fn by_reason(&self, start: &str) -> Vec<(&str, u64)> {
        let prefix = format!("{PREFIX}{start}");
        let named = self.stats.iter().filter_map(|(name, value)| {
            let reason = name.strip_prefix(&prefix)?;
            (*value > 0).then_some((reason, *value))
        });
        let mut counts: Vec<(&str, u64)> = named.collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }
}

fn in_words(seconds: u64) -> String {
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    duration_in_words(f64::from(seconds))
}
