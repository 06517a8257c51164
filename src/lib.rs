//! bearer-gate: authenticates and authorizes requests at the edge, as a
//! Proxy-Wasm filter.
//!
//! There are two flows. A request: [`proxy`] hands its headers to [`gate`],
//! [`authn`] decides it by way of [`http`] (extract), [`jose`] (parse, validate),
//! [`signature`] (verify) and [`policy`] (authorize), and it is admitted with
//! [`outputs`], rejected, answered or parked; [`door`] carries that out. A fact from outside: a
//! decision that lacks one says so, and its request waits at the [`desk`]. A tick makes the call, and
//! the answer settles what was parked. Keys are a fact by themselves: a [`document`]
//! that is fetched once and shared with all workers; [`jwks`] says which calls bring it and reads it.
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
//! sign_in
//! desk
//! cache fleet jwks
//! ended outputs policy shelf
//! config
//! config/convert
//! config/read config/valid
//! config/sign_in
//! document
//! config/id host matcher
//! session
//! signature http
//! jose seldom
//! bytes metrics named protobuf record shown text time trace
//! ```
//!
//! - Only `proxy` names the calls of the host.
//! - Time, randomness and the host come in as arguments or by [`host::Host`].
//! - Whatever comes from outside ends in a decision, never in a panic.
//!
//! A decision needs no proxy. Here no provider has keys yet, and no request needs them:
//!
//! ```
//! use std::cell::RefCell;
//! use std::rc::Rc;
//!
//! use bearer_gate::authn::{Context, Decision, authenticate};
//! use bearer_gate::cache::TokenCache;
//! use bearer_gate::config::{Config, ProviderId};
//! use bearer_gate::desk::{Basis, Facts, Metadata};
//! use bearer_gate::desk::question::{Answered, Question, Unclear};
//! use bearer_gate::document::finding::Finding;
//! use bearer_gate::ended::{Known, Mark};
//! use bearer_gate::http::request::Request;
//! use bearer_gate::jwks::keys::{Keys, UnknownKid};
//! use bearer_gate::signature::portable::Portable;
//!
//! struct Nothing;
//! impl Facts for Nothing {
//!     fn keys(&self, _: ProviderId) -> Keys {
//!         Keys::Pending
//!     }
//!     fn unknown_kid(&self, _: ProviderId, _: Option<&str>) -> UnknownKid {
//!         UnknownKid::NoSuchKey
//!     }
//!     fn metadata(&self, _: ProviderId) -> Finding<Rc<Metadata>> {
//!         Finding::Pending
//!     }
//!     fn is_over(&self, _: &Known) -> bool {
//!         false
//!     }
//!     fn knows_token(&self, _: &Mark) -> bool {
//!         false
//!     }
//!     fn answer(&self, _: &Question) -> Finding<Result<Rc<Answered>, Unclear>> {
//!         Finding::Pending
//!     }
//! }
//!
//! let config = Config::parse(br#"{
//!     "providers": {"idp": {
//!         "issuer": "https://issuer.example/",
//!         "audiences": ["https://api.example"],
//!         "openid_discovery": {"cluster": "idp", "timeout": "5s"}
//!     }},
//!     "rules": [
//!         {"match": {"path": "/health"}},
//!         {"match": {"prefix": "/"}, "requires": {"provider_name": "idp"}}
//!     ]
//! }"#)?;
//! let context = Context {
//!     basis: Basis {
//!         facts: &Nothing,
//!         verifier: &Portable,
//!         headers: &RefCell::default(),
//!         now: 1_800_000_000.0,
//!     },
//!     cache: &RefCell::new(TokenCache::new(&config.providers)),
//!     people: None,
//! };
//! let request = |path: &str| {
//!     let headers = [(":method", "GET"), (":path", path)];
//!     Request::new(headers.map(|(name, value)| (name.into(), value.into())).to_vec())
//! };
//!
//! let health = authenticate(&request("/health"), &config, &context);
//! assert!(matches!(health, Decision::Admit(_)));
//!
//! let Decision::Reject(refusal) = authenticate(&request("/orders"), &config, &context) else {
//!     panic!("there is no token");
//! };
//! assert_eq!(refusal.rejection.reason(), "token_missing");
//! assert_eq!(refusal.rejection.status(), 401);
//! # Ok::<(), bearer_gate::config::ConfigError>(())
//! ```

pub mod authn;
pub mod bytes;
pub mod cache;
pub mod config;
pub mod desk;
pub mod document;
pub mod door;
pub mod ended;
pub mod fleet;
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
pub mod seldom;
pub mod session;
pub mod shelf;
pub mod shown;
pub mod sign_in;
pub mod signature;
pub mod text;
pub mod time;
pub mod trace;

/// What the host's calls go to, one for each VM. The crate in `module/` has the entry points.
#[cfg(feature = "filter")]
pub use proxy::{Action, Worker};
