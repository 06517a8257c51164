//! The names of the filter's metrics. Envoy puts `wasmcustom.` before them.

/// Counter: requests that were let through, on public routes too.
pub const ALLOWED: &str = "bearer_gate.allowed";
/// Counter: requests that the filter answered itself though nothing about them is wrong: with the metadata of
/// the protected resource, and on the way of signing in and out.
pub const ANSWERED: &str = "bearer_gate.answered";
/// Counter: browsers that were sent to a provider to sign in.
pub const SIGN_IN_BEGUN: &str = "bearer_gate.sign_in.begun";
/// Counter: sign-ins that made a session.
pub const SIGN_IN_COMPLETED: &str = "bearer_gate.sign_in.completed";
/// Counter: sessions that were refreshed.
pub const REFRESH_COMPLETED: &str = "bearer_gate.refresh.completed";
/// Counter: sign-outs.
pub const SIGNED_OUT: &str = "bearer_gate.signed_out";
/// Counter: logout tokens that were believed.
pub const BACKCHANNEL_LOGOUT: &str = "bearer_gate.logout.backchannel";
/// Counter: front-channel logouts that were taken.
pub const FRONTCHANNEL_LOGOUT: &str = "bearer_gate.logout.frontchannel";
/// Counter: back-channel and front-channel logouts that were refused.
pub const LOGOUT_REFUSED: &str = "bearer_gate.logout.refused";
/// Counter: times that the list of ended sessions was lost, so that every session is over.
pub const ENDED_LOST: &str = "bearer_gate.ended.lost";
/// Counter: sign-outs that found their part of the list full, so that sessions of others are over.
pub const ENDED_FULL: &str = "bearer_gate.ended.full";
/// Counter: commands that the shared store has done.
pub const STORE_SUCCESS: &str = "bearer_gate.shared_store.success";
/// Counter: commands that the shared store has not done.
pub const STORE_FAILED: &str = "bearer_gate.shared_store.failed";
/// Counter: values of the shared store that are not of these Envoys.
pub const STORE_SKIPPED: &str = "bearer_gate.shared_store.skipped";
/// Counter: times that the shared store had lost what it had.
pub const STORE_LOST: &str = "bearer_gate.shared_store.lost";
/// Counter: sign-outs that the shared store is not told, because too many wait.
pub const STORE_DROPPED: &str = "bearer_gate.shared_store.dropped";
/// Counter: workers that found that the shared store could not be read for `max_stale`.
pub const STORE_STALE: &str = "bearer_gate.shared_store.stale";
/// Gauge: how long ago the shared store was read to its end, in seconds; since the start, if never.
pub const STORE_AGE: &str = "bearer_gate.shared_store.age_seconds";
/// Counter: sessions that were found in the shared store.
pub const SESSION_STORE_FOUND: &str = "bearer_gate.session_store.found";
/// Counter: sessions that the shared store did not have.
pub const SESSION_STORE_MISSING: &str = "bearer_gate.session_store.missing";
/// Counter: sessions that were put into the shared store.
pub const SESSION_STORE_PUT: &str = "bearer_gate.session_store.put";
/// Counter: calls about sessions that the shared store did not answer.
pub const SESSION_STORE_FAILED: &str = "bearer_gate.session_store.failed";
/// Counter: tokens that were found in the cache of verified ones.
pub const CACHE_HIT: &str = "bearer_gate.token_cache.hit";
/// Counter: tokens that were not in the cache, so that their signatures were verified.
pub const CACHE_MISS: &str = "bearer_gate.token_cache.miss";
/// Gauge: requests that wait for keys, or for answers, over all workers.
pub const WAITING: &str = "bearer_gate.waiting";

/// Counter: requests that were rejected, by reason.
pub fn denied(reason: &str) -> String {
    format!("bearer_gate.denied.{reason}")
}

/// Counter: sign-ins that ended without a session, by reason.
pub fn sign_in_failed(reason: &str) -> String {
    format!("bearer_gate.sign_in.failed.{reason}")
}

/// Counter: calls to refresh a session that brought no tokens, by reason.
pub fn refresh_failed(reason: &str) -> String {
    format!("bearer_gate.refresh.failed.{reason}")
}

/// Counter: requests that a rule which only reports would have rejected, by reason. They count as
/// let through too.
pub fn reported(reason: &str) -> String {
    format!("bearer_gate.reported.{reason}")
}

/// Counter: fetches of a provider's keys that ended, by outcome.
pub fn jwks_fetch(provider: &str, succeeded: bool) -> String {
    let outcome = if succeeded { "success" } else { "failed" };
    format!("bearer_gate.jwks_fetch.{}.{outcome}", label(provider))
}

/// Counter: sets of a provider's keys that took the place of another one.
pub fn jwks_changed(provider: &str) -> String {
    format!("bearer_gate.jwks_changed.{}", label(provider))
}

/// Gauge: the age of the keys that a provider's tokens are verified with, in
/// seconds.
pub fn jwks_age(provider: &str) -> String {
    format!("bearer_gate.jwks_age_seconds.{}", label(provider))
}

/// A provider's name as one part of a metric's name. Names that differ in punctuation alone have
/// one label.
#[must_use]
pub fn label(provider: &str) -> String {
    provider
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_one_part_of_the_name() {
        assert_eq!(
            jwks_fetch("a.b c", true),
            "bearer_gate.jwks_fetch.a_b_c.success"
        );
        assert_eq!(jwks_age("eu-1"), "bearer_gate.jwks_age_seconds.eu-1");
    }
}
