//! Puts test vectors to the library's verifiers, where they run: inside Envoy as a Wasm module,
//! and natively as a library.
//!
//! In Envoy, the body of a POST is a [question](judge) and the response its answer. The path says
//! which verifier is asked: `/portable` or `/host`, the latter as the filter has it. The header
//! `x-host-calls` says how often Envoy's own function was called for it.

pub mod judge;

#[cfg(target_family = "wasm")]
mod module;
