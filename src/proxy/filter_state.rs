//! Filter state of a request, which outlives the filter: access logs and later filters read it.

use bearer_gate_hostcalls as refusable;

use super::envoy::Foreign;
use crate::config::Config;
use crate::outputs::{self, FilterState};
use crate::signature::host::ForeignFunction;

/// Tells the host what kind each state is; good for requests from now on. The host knows the
/// names of an earlier configuration already and refuses to be told again, which changes nothing.
pub(super) fn declare(config: &Config) {
    for declaration in outputs::declarations(config) {
        let _ = Foreign.call("declare_property", &declaration);
    }
}

/// Sets states of the request that is the effective context. `None` where one cannot be set: the
/// host refused, or its name is taken.
pub(super) fn set(states: &[FilterState]) -> Option<()> {
    for (name, value) in states {
        if is_taken(name) {
            return None;
        }
        refusable::set_property(name, value).ok()?;
    }
    Some(())
}

/// Whether the name is that of an object which no Wasm filter has set. Envoy 1.40 does not replace
/// one that belongs to the connection, and does not say so: later filters would read what is not
/// ours.
fn is_taken(name: &str) -> bool {
    let is_there = |path: &[&str]| !matches!(refusable::property(path), Ok(None));
    is_there(&["filter_state", &format!("wasm.{name}")]) && !is_there(&[name])
}
