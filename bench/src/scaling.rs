//! How the cost of a request grows with the configuration and with the tokens that are known.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use bearer_gate_testbed::envoy::Listener;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::case::{Modules, PATH, provider, wasm};
use crate::cpu::{Cores, Pinned};
use crate::load::Asked;
use crate::load::{Client, Load};
use crate::measure::{Plan, client, cost, start_envoy};
use crate::report::{Machine, table};
use crate::stats::{differences, median};
use crate::supply::{Ask, Supply};
use crate::tokens::{Algorithm, Key, mint};

/// What signs here: a hit does not depend on it, and it is quick to mint.
const ALGORITHM: Algorithm = Algorithm::Es256;
/// The longest time to make a case's tokens known.
const FILL: Duration = Duration::from_secs(120);

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dimension {
    /// Providers; the last one's token is sent.
    Providers,
    /// Rules; the last one matches.
    Rules,
    /// Keys in the set; the last one signed.
    Keys,
    /// Tokens that come in turn.
    Tokens,
}

const SIZES: [(Dimension, &[usize]); 4] = [
    (Dimension::Providers, &[1, 10, 100]),
    (Dimension::Rules, &[1, 100, 1000]),
    (Dimension::Keys, &[1, 100]),
    (Dimension::Tokens, &[10, 100, 1000, 10_000, 100_000]),
];

/// One line of the table: what the filter adds to a request, in microseconds by round.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Step {
    pub dimension: Dimension,
    pub size: usize,
    pub again_us: Vec<f64>,
    /// With a new token each request; not measured where only tokens grow.
    pub new_us: Vec<f64>,
}

/// `target/bench/scaling.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Scaling {
    pub machine: Machine,
    pub plan: Plan,
    pub steps: Vec<Step>,
}

struct Running {
    step: Step,
    again: Client,
    new: Option<Client>,
}

/// Measures all dimensions and sizes in one Envoy.
///
/// `cache` is a `jwt_cache_config` for the dimension of tokens, for a module that takes one.
///
/// # Errors
/// When Envoy does not start or a request fails.
pub(crate) fn measure(
    modules: &Modules,
    plan: &Plan,
    cache: Option<&Value>,
    cores: Cores,
) -> Result<Vec<Step>> {
    let most_keys = largest(Dimension::Keys);
    let mut keys = Vec::with_capacity(most_keys);
    for number in 0..most_keys {
        keys.push(Key::generate(ALGORITHM, &format!("key-{number}"))?);
    }
    let jwks = keys.iter().map(Key::jwk).collect::<Result<Vec<Value>>>()?;
    let signer = keys.last().context("no keys")?;
    let new_count = 1 + plan.requests * (plan.rounds + 1);
    let count = largest(Dimension::Tokens).max(new_count + plan.regulars);
    eprintln!("scaling: minting {count} tokens");
    let tokens: Rc<[Ask]> = Rc::from(mint(signer, count)?);

    let steps = SIZES
        .iter()
        .flat_map(|(dimension, sizes)| sizes.iter().map(move |size| (*dimension, *size)));
    let steps: Vec<(Dimension, usize, String)> = steps
        .map(|(dimension, size)| (dimension, size, format!("{dimension:?}-{size}")))
        .collect();
    let mut listeners = vec![Listener::new("none")];
    listeners.extend(steps.iter().map(|(dimension, size, name)| {
        wasm(
            name,
            &modules.gate,
            configuration(*dimension, *size, &jwks, cache),
        )
    }));

    let _pinned = Pinned::to(cores.load)?;
    let load = Load::start()?;
    let envoy = start_envoy(&load, listeners, 1, cores)?;
    let slice = |from: usize, count: usize| -> Rc<[Ask]> {
        tokens.iter().skip(from).take(count).cloned().collect()
    };
    // The same requests: a token in a header costs Envoy something by itself.
    let regulars = Asked::of(PATH, Supply::in_turn(slice(0, plan.regulars)));
    let none = client(&envoy, &load, plan, "none", regulars)?;
    load.busy(&none, plan.requests, FILL)?;
    let mut running = Vec::with_capacity(steps.len());
    for (dimension, size, name) in steps {
        eprintln!("scaling: {name}");
        let tokens_grow = dimension == Dimension::Tokens;
        let known = if tokens_grow { size } else { plan.regulars };
        let again = Asked::of(PATH, Supply::in_turn(slice(0, known)));
        let again = client(&envoy, &load, plan, &name, again)?;
        // Twice round: once to make the tokens known, once for the cache to see them again.
        load.busy(&again, (2 * known).max(plan.requests), FILL)?;
        let new = Asked::of(PATH, Supply::once(slice(plan.regulars, new_count)));
        let new = if tokens_grow {
            None
        } else {
            let new = client(&envoy, &load, plan, &name, new)?;
            load.busy(&new, plan.requests, FILL)?;
            Some(new)
        };
        running.push(Running {
            step: Step {
                dimension,
                size,
                again_us: Vec::new(),
                new_us: Vec::new(),
            },
            again,
            new,
        });
    }
    let mut base = Vec::with_capacity(plan.rounds);
    for _ in 0..plan.rounds {
        base.push(cost(&envoy, &load, &none, plan.requests, plan.slice())?);
        for Running { step, again, new } in &mut running {
            let (requests, slice) = (plan.requests, plan.slice());
            step.again_us
                .push(cost(&envoy, &load, again, requests, slice)?);
            if let Some(new) = new {
                step.new_us.push(cost(&envoy, &load, new, requests, slice)?);
            }
        }
    }
    let added = |running: Running| {
        let mut step = running.step;
        step.again_us = differences(&step.again_us, &base);
        step.new_us = differences(&step.new_us, &base);
        step
    };
    Ok(running.into_iter().map(added).collect())
}

fn largest(dimension: Dimension) -> usize {
    let sizes = SIZES.iter().filter(|(of, _)| *of == dimension);
    sizes
        .flat_map(|(_, sizes)| *sizes)
        .copied()
        .max()
        .unwrap_or(1)
}

/// A configuration with `size` of one thing. The token's provider, rule and key are the last.
pub(crate) fn configuration(
    dimension: Dimension,
    size: usize,
    jwks: &[Value],
    cache: Option<&Value>,
) -> Value {
    let last = jwks.len().saturating_sub(1);
    let with_keys = |count: usize| {
        let first = jwks.len().saturating_sub(count);
        provider(jwks.get(first..).unwrap_or_default())
    };
    let mut tenant = with_keys(if dimension == Dimension::Keys {
        size
    } else {
        1
    });
    if dimension == Dimension::Tokens
        && let (Some(cache), Some(tenant)) = (cache, tenant.as_object_mut())
    {
        tenant.insert("jwt_cache_config".to_owned(), cache.clone());
    }
    let mut providers = Map::new();
    if dimension == Dimension::Providers {
        for number in 1..size {
            let mut other = provider(
                jwks.get(number % last.max(1)..=number % last.max(1))
                    .unwrap_or_default(),
            );
            if let Some(other) = other.as_object_mut() {
                let issuer = format!("https://tenant-{number}.example.com/");
                other.insert("issuer".to_owned(), json!(issuer));
            }
            providers.insert(format!("tenant-{number}"), other);
        }
    }
    providers.insert("tenant".to_owned(), tenant);
    let mut rules = Vec::new();
    if dimension == Dimension::Rules {
        for number in 1..size {
            let prefix = format!("/api/service-{number}/");
            rules.push(json!({
                "match": {"prefix": prefix},
                "requires": {"provider_name": "tenant"},
            }));
        }
    }
    rules.push(json!({"match": {"prefix": "/api"}, "requires": {"provider_name": "tenant"}}));
    json!({"providers": providers, "rules": rules})
}

impl Scaling {
    /// The table with what it needs to be understood.
    pub(crate) fn markdown(&self) -> String {
        let lines = self.steps.iter().filter_map(|step| {
            let what = match step.dimension {
                Dimension::Providers => "providers",
                Dimension::Rules => "rules",
                Dimension::Keys => "keys in the set",
                Dimension::Tokens => "tokens in turn",
            };
            let new = median(&step.new_us).map(|new| format!("{new:.1}"));
            Some(vec![
                what.to_owned(),
                step.size.to_string(),
                format!("{:.1}", median(&step.again_us)?),
                new.unwrap_or_default(),
            ])
        });
        let head = [
            "Added CPU us per request, median",
            "how many",
            "repeated tokens",
            "new tokens",
        ];
        format!(
            "{}\n{} tokens, {} rounds of {} requests:\n\n{}",
            self.machine.line(),
            ALGORITHM.title(),
            self.plan.rounds,
            self.plan.requests,
            table(&head, lines)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_grows_and_the_others_stay() {
        let jwks: Vec<Value> = (0..100).map(|n| json!({"kid": n.to_string()})).collect();
        for (dimension, size, providers, rules, keys) in [
            (Dimension::Providers, 100, 100, 1, 1),
            (Dimension::Rules, 1000, 1, 1000, 1),
            (Dimension::Keys, 100, 1, 1, 100),
            (Dimension::Keys, 1, 1, 1, 1),
            (Dimension::Tokens, 10, 1, 1, 1),
        ] {
            let made = configuration(dimension, size, &jwks, None);
            assert_eq!(made["providers"].as_object().unwrap().len(), providers);
            assert_eq!(made["rules"].as_array().unwrap().len(), rules);
            let set = &made["providers"]["tenant"]["local_jwks"]["inline_string"];
            let set: Value = serde_json::from_str(set.as_str().unwrap()).unwrap();
            let set = set["keys"].as_array().unwrap();
            assert_eq!(set.len(), keys);
            // The signer is the last of all keys.
            assert_eq!(set.last().unwrap()["kid"], "99");
        }
    }

    #[test]
    fn a_cache_is_configured_where_tokens_grow() {
        let cache = json!({"jwt_cache_size": 5});
        let made = configuration(Dimension::Tokens, 10, &[json!({})], Some(&cache));
        assert_eq!(made["providers"]["tenant"]["jwt_cache_config"], cache);
        let made = configuration(Dimension::Rules, 10, &[json!({})], Some(&cache));
        assert!(made["providers"]["tenant"]["jwt_cache_config"].is_null());
    }
}
