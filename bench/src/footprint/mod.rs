//! What of the module runs for a request: how many instructions, of how much code. Where a machine's
//! caches are cold, the second is what a request costs.
//!
//! Unlike times, these are the same on every machine.

mod host;
mod instrument;

use std::fs;
use std::path::Path;
use std::rc::Rc;

use anyhow::{Result, ensure};

use crate::case::{PATH, configuration};
use crate::load::{AUTHORITY, TokenResponses};
use crate::people::People;
use crate::report::table;
use crate::tokens::{Algorithm, Key, mint};
use host::Host;
use instrument::{Instrumented, instrument};

/// What runs for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footprint {
    pub what: &'static str,
    /// Instructions that are run.
    pub run: u64,
    /// Instructions that are run at least once.
    pub code: u64,
    /// Functions that are run.
    pub functions: usize,
    /// What the host is asked to do, in order.
    pub calls: Vec<&'static str>,
    /// The functions, by the code that is run of them.
    pub parts: Vec<(String, u64, u64)>,
}

/// Tokens that are known, and such that come once.
const KNOWN: usize = 10;
const NEW: usize = 10;
/// Headers that a request has besides its token.
const HEADERS: [(&str, &str); 9] = [
    (":authority", AUTHORITY),
    (":method", "GET"),
    (":path", PATH),
    (":scheme", "http"),
    ("accept", "application/json"),
    ("user-agent", "bench/1"),
    ("x-forwarded-proto", "http"),
    ("x-request-id", "6f1ed002-ab5a-42f5-9fa9-1a0a8a5f0a11"),
    ("x-request-start", "t=1"),
];

/// Measures a module: known and new tokens, with and without a claim in a header, and sessions.
///
/// # Errors
/// When it does not let requests through.
pub(crate) fn measure(module: &Path) -> Result<Vec<Footprint>> {
    let module = instrument(&fs::read(module)?)?;
    let key = Rc::new(Key::generate(Algorithm::Rs256, "bench-1")?);
    let tokens = mint(&key, KNOWN + NEW)?;
    let sessions =
        People::new(Rc::clone(&key), TokenResponses::default())?.sessions(KNOWN + NEW)?;
    let configuration =
        |claim_header| Ok::<_, anyhow::Error>(configuration(&[key.jwk()?], claim_header));
    let mut found = Vec::new();
    for (configuration, titles, asks) in [
        (configuration(false)?, ["known token", "new token"], &tokens),
        (
            configuration(true)?,
            ["known token, a claim header", "new token, a claim header"],
            &tokens,
        ),
        (
            People::configuration(&configuration(true)?),
            [
                "known session, a claim header",
                "new session, a claim header",
            ],
            &sessions,
        ),
    ] {
        let mut host = Host::start(&module, configuration.to_string().as_bytes())?;
        let (known, new) = asks.split_at_checked(KNOWN).unwrap_or_default();
        // What is asked last is what is looked at; what is asked before has made its room.
        for (title, asks) in titles.into_iter().zip([[known; 4].concat(), new.to_vec()]) {
            for ask in &asks {
                let of_ask = ask.headers.iter();
                let of_ask = of_ask.map(|(name, value)| (name.as_str(), value.as_bytes()));
                let all = HEADERS.map(|(name, value)| (name, value.as_bytes()));
                let headers = all.into_iter().chain(of_ask);
                let headers = headers.map(|(name, value)| (name.to_owned(), value.to_vec()));
                let status = host.request(headers.collect())?;
                ensure!(status.is_none(), "{title}: answered with {status:?}");
            }
            found.push(footprint(title, &module, &host));
        }
    }
    Ok(found)
}

fn footprint(what: &'static str, module: &Instrumented, host: &Host) -> Footprint {
    let state = host.state();
    let mut of_functions = vec![(0_u64, 0_u64); module.functions.len()];
    for (part, begun) in module.parts.iter().zip(&state.begun) {
        if let Some((code, run)) = of_functions.get_mut(part.function)
            && *begun > 0
        {
            *code += part.instructions;
            *run += part.instructions * begun;
        }
    }
    let named = module.functions.iter().zip(&of_functions);
    let mut parts: Vec<(String, u64, u64)> = named
        .filter(|(_, (code, _))| *code > 0)
        .map(|((name, _), (code, run))| (name.clone(), *code, *run))
        .collect();
    parts.sort_by_key(|(_, code, _)| std::cmp::Reverse(*code));
    Footprint {
        what,
        run: parts.iter().map(|(.., run)| run).sum(),
        code: parts.iter().map(|(_, code, _)| code).sum(),
        functions: parts.len(),
        calls: state.calls.clone(),
        parts,
    }
}

/// The table, and the functions of each request where `all`.
pub(crate) fn markdown(found: &[Footprint], all: bool) -> String {
    let lines = found.iter().map(|of| {
        vec![
            of.what.to_owned(),
            of.run.to_string(),
            of.code.to_string(),
            of.functions.to_string(),
            of.calls.join(" "),
        ]
    });
    let head = [
        "Wasm of one request",
        "instructions run",
        "of code",
        "functions",
        "host calls",
    ];
    let mut text = table(&head, lines);
    if all {
        for of in found {
            let lines = of.parts.iter();
            let lines = lines
                .map(|(name, code, run)| vec![name.clone(), code.to_string(), run.to_string()]);
            text.push('\n');
            text.push_str(&table(&[of.what, "code", "run"], lines));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use bearer_gate_testbed::envoy::module_path;

    use super::*;

    /// The most instructions that are run, and those of them that are there once: what is run for
    /// the first time, or after others have had the caches, is paid for by the latter. Raise them
    /// only for what is worth it.
    #[test]
    fn a_request_runs_no_more_of_the_module_than_it_should() {
        let few = "header header time";
        let with_claim = "headers time";
        for (of, (run, code, calls)) in measure(&module_path()).unwrap().iter().zip([
            (15_500, 8_600, format!("{few} remove")),
            (103_000, 22_500, format!("{few} verify remove")),
            (26_000, 9_800, format!("{with_claim} remove set")),
            (124_000, 24_500, format!("{with_claim} verify remove set")),
            (78_000, 20_500, format!("{with_claim} remove set")),
            (300_000, 32_500, format!("{with_claim} remove set")),
        ]) {
            assert!(of.run <= run && of.code <= code, "{of:?}");
            // A limit that nothing comes near to holds nothing.
            assert!(of.run * 10 > run * 8 && of.code * 10 > code * 8, "{of:?}");
            // A call of the host costs as much as some thousand instructions.
            assert_eq!(of.calls.join(" "), calls, "{}", of.what);
        }
    }
}
