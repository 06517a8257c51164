//! See `check::ended`.

#![no_main]

#[allow(dead_code, unused_imports, reason = "each target has one property")]
#[path = "../../tests/properties/check/mod.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::ended(bytes));
