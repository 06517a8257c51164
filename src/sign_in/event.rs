//! What is told of a browser that comes back from a provider.

use crate::session::flow::{Flow, Mismatch, StateError};

/// What is told of a callback, in the order in which it is looked at.
#[derive(Clone, Copy)]
pub enum Event<'e> {
    /// The `state`: the flow that it is of, or why it is none of ours.
    State(Result<&'e Flow, StateError>),
    /// Whether this browser began the flow, and lately.
    Flow(Result<(), Mismatch>),
}
