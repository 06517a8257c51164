//! What is reported when a browser comes back from a provider.

use crate::session::flow::{Flow, Mismatch, StateError};

/// What is reported of a callback, in the order of the checks.
#[derive(Clone, Copy)]
pub enum Event<'e> {
    /// The `state`: its flow, or why the filter did not make it.
    State(Result<&'e Flow, StateError>),
    /// Whether this browser began the flow, and recently enough.
    Flow(Result<(), Mismatch>),
}
