//! The linker's part of a small module.

use std::env;

/// Whether the build's environment has this value.
fn is(name: &str, value: &str) -> bool {
    env::var(name).is_ok_and(|found| found == value)
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // An address in the code has five bytes until it is known, and mostly needs fewer: 57 KB. The
    // linker does not shorten them where there is debug information, which names places in the code.
    if is("CARGO_CFG_TARGET_FAMILY", "wasm") && is("DEBUG", "false") {
        println!("cargo:rustc-link-arg-cdylib=--compress-relocations");
    }
}
