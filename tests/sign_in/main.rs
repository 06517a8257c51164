//! Sign-in from a person's first request to the last: a browser with cookies, a provider that can
//! lie, and the gate on a recording host.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../sim/mod.rs"]
mod sim;

mod attacks;
mod fleet;
mod property;
mod provider;
mod pushed;
mod refresh;
mod replaced;
mod rotation;
mod sessions;
mod tabs;
mod tenants;
mod visits;
mod world;
