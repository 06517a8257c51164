//! The key that seals sessions where the configuration has none. It is drawn once in a process, and
//! is lost when the process ends.
//!
//! Invariant: all workers of a process seal and open with the same key, or none has a key.

use crate::host::{Host, Version};
use crate::session::seal::{Keyring, LEAST_SECRET};

/// The name under which the workers share it. It is in memory only.
const SHARED_AS: &str = "bearer_gate.cookie_key";

/// The process's key; `None` where the host has no randomness for one, or does not keep it.
#[must_use]
pub fn keyring(host: &impl Host) -> Option<Keyring> {
    if host.read(SHARED_AS).is_none() {
        let mut drawn = [0; LEAST_SECRET];
        host.entropy(&mut drawn).ok()?;
        // Where another worker was faster, its key is used.
        if host.write(SHARED_AS, &drawn, Version::ABSENT) {
            log::warn!(
                "sign_in has no cookie_keys: a random key seals sessions. Restart ends them all, and \
                 no other Envoy knows them"
            );
        }
    }
    let (secret, _) = host.read(SHARED_AS)?;
    Keyring::new(&[secret]).ok()
}
