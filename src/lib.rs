//! bearer-gate: authenticates and authorizes requests at the edge, as a
//! Proxy-Wasm filter.
//!
//! There are two flows. A request: [`proxy`] hands its headers to [`gate`],
//! [`authn`] decides it by way of [`http`] (extract), [`jose`] (parse, validate),
//! [`signature`] (verify) and [`policy`] (authorize), and it is admitted with
//! [`outputs`], rejected, answered or parked; [`door`] carries that out. A key document: a tick in
//! [`gate`] moves [`jwks`] on, which asks for a call, takes the response, shares the set with all
//! workers, and so settles what was parked.
//!
//! Architecture invariants:
//! - Dependencies point one way. A module imports only from rows below its own; no files
//!   import each other in a circle. `tests/layers.rs` reads the law here:
//!
//! ```text
//! proxy
//! gate
//! door
//! authn
//! cache jwks
//! outputs policy
//! config
//! config/convert
//! config/read config/valid
//! config/provider_id host matcher
//! signature http
//! jose
//! bytes metrics named protobuf record text time trace
//! ```
//!
//! - Only `proxy` names the SDK.
//! - Time, randomness and the host come in as arguments or by [`host::Host`].
//! - Whatever comes from outside ends in a decision, never in a panic.

pub mod authn;
pub mod bytes;
pub mod cache;
pub mod config;
pub mod door;
pub mod gate;
pub mod host;
pub mod http;
pub mod jose;
pub mod jwks;
pub mod matcher;
pub mod metrics;
pub mod named;
pub mod outputs;
pub mod policy;
pub mod protobuf;
#[cfg(feature = "filter")]
mod proxy;
pub mod record;
pub mod signature;
pub mod text;
pub mod time;
pub mod trace;

#[cfg(feature = "filter")]
proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(proxy::Root::default()));
}}
