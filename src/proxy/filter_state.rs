//! Filter state of a request, which outlives the filter: access logs and later filters read it.

use proxy_wasm::hostcalls;

use super::envoy::Foreign;
use crate::config::Config;
use crate::outputs::{self, State};
use crate::signature::host::ForeignFunction;

/// Tells the host what kind each state is; good for requests from now on. The host knows the
/// names of an earlier configuration already and refuses to be told again, which changes nothing.
pub fn declare(config: &Config) {
    for declaration in outputs::declarations(config) {
        let _ = Foreign.call("declare_property", &declaration);
    }
}

/// Sets states of the request that is the effective context. `None` where the host refused.
pub fn set(states: &[State]) -> Option<()> {
    for (name, value) in states {
        hostcalls::set_property(vec![name], Some(value)).ok()?;
    }
    Some(())
}
