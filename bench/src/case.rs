//! What is compared: listeners of one Envoy that differ in one filter.
//!
//! bearer-gate and jwt_authn are given the same providers and rules, word for word.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::Result;
use bearer_gate_testbed::envoy::{Filter, Listener, Wasm};
use serde::Serialize;
use serde_json::{Value, json};

use crate::people::People;
use crate::supply::{Ask, Supply};
use crate::tokens::{AUDIENCE, ISSUER};

/// The path that all cases ask for.
pub(crate) const PATH: &str = "/api/messages?page=2";
/// How many tokens the native cache may hold: at least as many as there are regulars. It holds 100
/// by default.
const NATIVE_CACHE: usize = 20_000;
/// As many regulars as bearer-gate remembers by default; for more, it is configured like the native
/// cache.
const USUAL_REGULARS: usize = 1000;

/// Which filter a case has, and which tokens it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// No filter at all.
    None,
    /// A Wasm filter that does nothing.
    Noop,
    /// jwt_authn with default settings: it verifies every time.
    JwtAuthn,
    /// jwt_authn with `jwt_cache_config`.
    JwtAuthnCached,
    /// bearer-gate, a few hundred tokens in turn.
    Warm,
    /// bearer-gate, a new token each request.
    Cold,
    /// bearer-gate, a few hundred sessions in turn.
    KnownSession,
    /// bearer-gate, a new session each request.
    NewSession,
    /// bearer-gate, a person without a session, who is sent to the provider.
    Redirect,
    /// bearer-gate, a person who comes back with a code.
    Callback,
    /// bearer-gate with jwt-simple as its only verifier, a new token each request.
    JwtSimple,
    /// Another build of bearer-gate, a few hundred tokens in turn.
    OtherWarm,
    /// Another build of bearer-gate, a new token each request.
    OtherCold,
}

/// One of the things that are compared.
#[derive(Debug)]
pub(crate) struct Case {
    pub kind: Kind,
    /// The name of its listener.
    pub name: String,
    /// What the report says.
    pub title: String,
    pub listener: Listener,
    pub supply: Rc<Supply>,
    /// The status of each answer.
    pub expected: u16,
    /// Of so many requests that the others get, it gets one: what takes long gets fewer.
    pub one_in: usize,
}

/// The Wasm modules.
#[derive(Debug, Clone)]
pub(crate) struct Modules {
    pub gate: PathBuf,
    pub noop: PathBuf,
    /// bearer-gate built to verify by jwt-simple; the case is left out without it.
    pub jwt_simple: Option<PathBuf>,
    /// Other builds of bearer-gate, with their names.
    pub others: Vec<(String, PathBuf)>,
}

/// The tokens of all cases.
pub(crate) struct Pools {
    pub regulars: Rc<[Ask]>,
    pub new: Rc<[Ask]>,
}

/// Providers and rules for both filters, with a claim in a header or without.
pub(crate) fn configuration(keys: &[Value], claim_header: bool) -> Value {
    let mut provider = provider(keys);
    if !claim_header && let Some(provider) = provider.as_object_mut() {
        provider.remove("claim_to_headers");
    }
    json!({
        "providers": {"tenant": provider},
        "rules": [
            {"match": {"prefix": "/public"}},
            {"match": {"prefix": "/api"}, "requires": {"provider_name": "tenant"}},
        ],
    })
}

/// A provider of the tokens' issuer with these keys.
pub(crate) fn provider(keys: &[Value]) -> Value {
    json!({
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": json!({"keys": keys}).to_string()},
        "claim_to_headers": [{"header_name": "x-user", "claim_name": "sub"}],
    })
}

/// A listener with a module; no two share a VM.
pub(crate) fn wasm(name: &str, module: &Path, configuration: Value) -> Listener {
    let mut wasm = Wasm::new(configuration);
    name.clone_into(&mut wasm.name);
    name.clone_into(&mut wasm.vm_id);
    module.clone_into(&mut wasm.module);
    Listener::new(name).filter(Filter::Wasm(wasm))
}

/// All cases for this configuration and these tokens, in the order of the report. Without people, jwt-simple
/// is left out too, which takes many times as long as all others.
///
/// # Errors
/// When sessions cannot be minted.
pub(crate) fn cases(
    modules: &Modules,
    configuration: &Value,
    pools: &Pools,
    people: Option<&Rc<People>>,
) -> Result<Vec<Case>> {
    let caching = || {
        let mut configuration = configuration.clone();
        if let Some(provider) = configuration.pointer_mut("/providers/tenant")
            && let Some(provider) = provider.as_object_mut()
        {
            let cache = json!({"jwt_cache_size": NATIVE_CACHE});
            provider.insert("jwt_cache_config".to_owned(), cache);
        }
        configuration
    };
    let native = Filter::JwtAuthn;
    let in_turn = || Rc::new(Supply::in_turn(Rc::clone(&pools.regulars)));
    let once = || Rc::new(Supply::once(Rc::clone(&pools.new)));
    let case = |kind, title: &str, listener: Listener, name: &str, supply| Case {
        kind,
        name: name.to_owned(),
        title: title.to_owned(),
        listener,
        supply,
        expected: 200,
        one_in: 1,
    };
    let of_gate = if pools.regulars.len() > USUAL_REGULARS {
        caching()
    } else {
        configuration.clone()
    };
    let gate = |name: &str, module: &Path| wasm(name, module, of_gate.clone());

    let mut cases = vec![
        case(
            Kind::None,
            "no filter",
            Listener::new("none"),
            "none",
            in_turn(),
        ),
        case(
            Kind::Noop,
            "Wasm filter that does nothing",
            wasm("noop", &modules.noop, json!({})),
            "noop",
            in_turn(),
        ),
        case(
            Kind::JwtAuthn,
            "jwt_authn, default settings",
            Listener::new("native").filter(native(configuration.clone())),
            "native",
            in_turn(),
        ),
        case(
            Kind::JwtAuthnCached,
            "jwt_authn, `jwt_cache_config`",
            Listener::new("native-cached").filter(native(caching())),
            "native-cached",
            in_turn(),
        ),
        case(
            Kind::Warm,
            "bearer-gate, repeated tokens",
            gate("warm", &modules.gate),
            "warm",
            in_turn(),
        ),
        case(
            Kind::Cold,
            "bearer-gate, a new token each request",
            gate("cold", &modules.gate),
            "cold",
            once(),
        ),
    ];
    if let Some(people) = people {
        for (kind, title, name, supply, expected, one_in) in people.cases(pools)? {
            cases.push(Case {
                expected,
                one_in,
                ..case(
                    kind,
                    title,
                    wasm(name, &modules.gate, People::configuration(configuration)),
                    name,
                    supply,
                )
            });
        }
        if let Some(module) = &modules.jwt_simple {
            cases.push(case(
                Kind::JwtSimple,
                "bearer-gate by jwt-simple, a new token each request",
                gate("jwt-simple", module),
                "jwt-simple",
                once(),
            ));
        }
    }
    for (name, module) in &modules.others {
        for (kind, what, tokens) in [
            (Kind::OtherWarm, "warm", in_turn()),
            (Kind::OtherCold, "cold", once()),
        ] {
            let listener_name = format!("{name}-{what}");
            let listener = gate(&listener_name, module);
            cases.push(case(
                kind,
                &format!("{name}, {what}"),
                listener,
                &listener_name,
                tokens,
            ));
        }
    }
    Ok(cases)
}
