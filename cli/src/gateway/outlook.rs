//! Whether a running Envoy does what a configuration says.

use bearer_gate::config::{Config, KeySource, Provider};
use bearer_gate::metrics;

use super::{Gateway, difference, place};
use crate::explanation::Touched;
use crate::keys;
use crate::outlook::{Does, Outlook, Source};
use crate::plugin::Plugin;

impl Gateway {
    /// What this Envoy does with a request, if it is not what was decided. `is_admitted`: whether the
    /// decision was to let it through.
    pub(crate) fn outlook(
        &self,
        plugin: &Plugin<'_>,
        source: Source,
        config: &Config,
        touched: &Touched,
        is_admitted: bool,
    ) -> Option<Outlook> {
        let running = self.running.plugins();
        if running.is_empty() {
            let why = "no listener of this Envoy has the filter";
            return Some(Outlook::new(Does::LetsThrough, why));
        }
        let refused = |one: &Plugin<'_>| {
            let shown = self.extension(one)?;
            (shown.is_refused || one.parse().is_err()).then_some(shown)
        };
        let all: Option<Vec<_>> = running.iter().map(refused).collect();
        if let Some(first) = all.as_ref().and_then(|all| all.first()) {
            let why = format!(
                "Envoy has refused the newest configuration of extension {}: {}",
                first.name,
                first.in_place()
            );
            let does = match first.before {
                None => Does::Answers(500),
                Some(_) => Does::MayDiffer,
            };
            return Some(Outlook::new(does, why));
        }
        let is_asked = |provider: &&Provider| touched.providers.contains(&provider.name);
        let asked: Vec<&Provider> = config.providers.iter().filter(is_asked).collect();
        let without: Vec<String> = asked
            .iter()
            .filter_map(|provider| self.without_keys(provider))
            .collect();
        if is_admitted && let Some(first) = without.first() {
            let does = match without.len() == asked.len() {
                true => Does::Answers(503),
                false => Does::MayDiffer,
            };
            return Some(Outlook::new(does, first.clone()));
        }
        if is_admitted && let Some(outlook) = self.without_application(config) {
            return Some(outlook);
        }
        if source == Source::Running {
            return None;
        }
        let differing = running
            .iter()
            .map(|one| (one, difference::paths(&plugin.value(), &one.value())))
            .min_by_key(|(_, paths)| paths.len());
        let (one, paths) = differing.filter(|(_, paths)| !paths.is_empty())?;
        let first = paths.first().map_or("", String::as_str);
        let more = match paths.len() {
            0 | 1 => String::new(),
            many => format!(" and {} more", many - 1),
        };
        let why = format!(
            "{} runs another configuration than the file has: {first}{more}",
            place(one)
        );
        Some(Outlook::new(Does::MayDiffer, why))
    }

    /// Why the gateway cannot verify a provider's tokens.
    fn without_keys(&self, provider: &Provider) -> Option<String> {
        let KeySource::Remote(remote) = &provider.keys else {
            return None;
        };
        let name = &provider.name;
        let limit = remote
            .times
            .cache_duration
            .saturating_add(remote.times.max_stale);
        let what = match self.stat(&metrics::jwks_age(name)) {
            None => format!("it has no keys of {name}, or did not say so yet"),
            Some(age) if age > limit.as_secs() => {
                format!("its keys of {name} are older than max_stale allows")
            }
            Some(_) => return None,
        };
        let clusters = keys::clusters(remote);
        let bad = clusters.into_iter().find_map(|cluster| {
            let (mark, text) = self.cluster(cluster);
            (mark == crate::explanation::Mark::Bad).then_some(text)
        });
        Some(match bad {
            Some(bad) => format!("{what}: {bad}"),
            None => what,
        })
    }
}
