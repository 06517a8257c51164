//! What is shipped for containers, where a Docker engine answers: the image of the module, and a fleet of
//! Envoys.
//!
//! Images that cannot be pulled are made by `tests/images/stand-ins.sh`. What cannot be tested says so in a line
//! that begins with `LEFT OUT:`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a test fails by panicking"
)]

mod fleet;
mod image;

/// What marks what the tests have Docker make.
const LABEL: &str = "bearer-gate-tested";
