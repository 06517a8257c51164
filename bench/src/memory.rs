//! What Envoy has in RAM when a worker knows a great deal: providers, tokens, sessions.

use std::rc::Rc;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use bearer_gate_testbed::envoy::Envoy;
use serde::Serialize;
use serde_json::{Value, json};

use crate::case::{Modules, PATH, wasm};
use crate::cpu::{Cores, Pinned, resident};
use crate::load::{Asked, Load};
use crate::measure::start_envoy;
use crate::people::People;
use crate::report::{Machine, table};
use crate::scaling::{Dimension, configuration};
use crate::supply::{Ask, Supply};
use crate::tokens::{Algorithm, Key, mint};

/// Quick to mint; what is remembered of a token does not depend on it.
const ALGORITHM: Algorithm = Algorithm::Es256;
const PROVIDERS: usize = 100;
const TOKENS: usize = 10_000;
const SESSIONS: usize = 10_000;
/// How often each comes: from its third time on, a token's decision is remembered too.
const TIMES: usize = 4;
/// Where people ask, and tokens do not.
const PAGE: &str = "/page";
const CONNECTIONS: usize = 8;
const FILL: Duration = Duration::from_secs(120);
/// How long Envoy is left alone before its memory is read.
const SETTLED: Duration = Duration::from_secs(1);

/// Bytes in RAM, one after the other in one Envoy of one worker.
#[derive(Debug, Serialize)]
pub(crate) struct Known {
    /// How many tokens the configuration has room for; the default where it says nothing.
    cache: Option<usize>,
    one_provider: u64,
    providers: u64,
    tokens: u64,
    sessions: u64,
}

/// `target/bench/memory.json`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub machine: Machine,
    pub known: Vec<Known>,
}

/// Measures with the default memory for tokens, and with room for all of them.
///
/// # Errors
/// When Envoy does not start or a request fails.
pub(crate) fn measure(modules: &Modules, cores: Cores) -> Result<Vec<Known>> {
    let mut keys = Vec::with_capacity(PROVIDERS);
    for number in 0..PROVIDERS {
        keys.push(Rc::new(Key::generate(ALGORITHM, &format!("key-{number}"))?));
    }
    let jwks = keys.iter().map(|key| key.jwk());
    let jwks = jwks.collect::<Result<Vec<Value>>>()?;
    let signer = keys.last().context("no keys")?;
    let tokens: Rc<[Ask]> = Rc::from(mint(signer, TOKENS)?);
    let _pinned = Pinned::to(cores.load)?;
    let load = Load::start()?;
    let people = People::new(Rc::clone(signer), load.token_responses())?;
    let sessions = people.sessions(SESSIONS)?.into_iter();
    let sessions: Rc<[Ask]> = sessions.map(|ask| ask.at(PAGE.to_owned())).collect();
    let caches = [None, Some(TOKENS)];
    let known = caches.map(|cache| {
        let start = |providers| {
            let configuration =
                for_both(configuration(Dimension::Providers, providers, &jwks, None));
            let configuration = with_room(configuration, cache);
            let listener = wasm("main", &modules.gate, configuration);
            let envoy = start_envoy(&load, [listener], 1, cores)?;
            ask(&load, &envoy, &tokens, 1)?;
            Ok::<_, anyhow::Error>(envoy)
        };
        let one_provider = in_ram(&start(1)?)?;
        let envoy = start(PROVIDERS)?;
        let providers = in_ram(&envoy)?;
        ask(&load, &envoy, &tokens, TIMES * TOKENS)?;
        let tokens = in_ram(&envoy)?;
        ask(&load, &envoy, &sessions, TIMES * SESSIONS)?;
        let sessions = in_ram(&envoy)?;
        Ok(Known {
            cache,
            one_provider,
            providers,
            tokens,
            sessions,
        })
    });
    known.into_iter().collect()
}

/// A configuration for tokens, and for people at [`PAGE`].
fn for_both(configuration: Value) -> Value {
    let mut both = People::configuration(&configuration);
    let of_tokens = configuration.get("rules").and_then(Value::as_array);
    let all = both.get_mut("rules").and_then(Value::as_array_mut);
    if let (Some(of_tokens), Some(all)) = (of_tokens, all) {
        all.splice(0..0, of_tokens.iter().cloned());
    }
    both
}

fn with_room(mut configuration: Value, cache: Option<usize>) -> Value {
    let tenant = configuration.pointer_mut("/providers/tenant");
    if let (Some(size), Some(Value::Object(tenant))) = (cache, tenant) {
        tenant.insert(
            "jwt_cache_config".to_owned(),
            json!({"jwt_cache_size": size}),
        );
    }
    configuration
}

/// Sends so many of these requests, in turn.
fn ask(load: &Load, envoy: &Envoy, asks: &Rc<[Ask]>, count: usize) -> Result<()> {
    let asked = Asked::of(PATH, Supply::in_turn(Rc::clone(asks)));
    let client = load.client(envoy.address(), CONNECTIONS, asked)?;
    load.busy(&client, count, FILL)?;
    Ok(())
}

fn in_ram(envoy: &Envoy) -> Result<u64> {
    sleep(SETTLED);
    resident(envoy.process_id())
}

impl Report {
    /// The table.
    pub(crate) fn markdown(&self) -> String {
        let head = self.known.iter().map(|known| {
            known.cache.map_or_else(
                || "default".to_owned(),
                |size| format!("`jwt_cache_size: {size}`"),
            )
        });
        let head = ["MB in RAM, one worker".to_owned()].into_iter().chain(head);
        let head: Vec<String> = head.collect();
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let line = |title: String, of: fn(&Known) -> u64| {
            // Far below 2^52.
            let mb = |known: &Known| format!("{:.1}", of(known) as f64 / 1e6);
            let cells = self.known.iter().map(mb);
            [title].into_iter().chain(cells).collect::<Vec<String>>()
        };
        let lines = [
            line("one provider, people sign in".to_owned(), |known| {
                known.one_provider
            }),
            line(format!("{PROVIDERS} providers"), |known| known.providers),
            line(format!("and {TOKENS} known tokens"), |known| known.tokens),
            line(format!("and {SESSIONS} sessions"), |known| known.sessions),
        ];
        format!(
            "{}\n{}",
            self.machine.line(),
            table(&head, lines.into_iter())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_people_are_let_in_by_one_configuration() {
        let key = Key::generate(ALGORITHM, "key").unwrap();
        let of_tokens = configuration(Dimension::Providers, 1, &[key.jwk().unwrap()], None);
        let both = with_room(for_both(of_tokens), Some(7));
        let rules = both["rules"].as_array().unwrap();
        assert_eq!(rules[0]["requires"]["provider_name"], "tenant");
        assert_eq!(rules[1]["requires"]["session"], "staff");
        assert_eq!(
            both.pointer("/providers/tenant/jwt_cache_config/jwt_cache_size"),
            Some(&json!(7))
        );
    }
}
