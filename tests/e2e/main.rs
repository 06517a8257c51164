//! End-to-end tests: a real Envoy with the release module, an identity provider that obeys the
//! tests, and an upstream that tells what it saw.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod algorithms;
mod aws_alb;
mod blacksheep;
mod chance;
mod compose_file;
mod counters;
mod crash;
mod demo;
mod discovery;
mod ecds;
mod fleet_store;
mod glewlwyd;
mod hostile;
mod injected;
mod keys;
mod logout;
mod monitoring;
mod odd_forms;
mod outage;
mod outputs;
mod places;
mod planted;
mod private_key;
mod pushed;
mod recipes;
mod refresh;
mod refresh_browser;
mod relay;
mod reload;
mod requests;
mod requirements;
mod responses;
mod roll_out;
mod rotation;
mod secrets;
mod session_store;
mod sign_in;
mod sign_in_attacks;
mod sign_in_browser;
mod soak;
mod stage;
mod ten_minutes;
mod trailers;
mod transport;
mod vectors;
mod waiting;
mod wat;
#[path = "../vectors/wycheproof.rs"]
mod wycheproof;
mod your_api;
