//! Verifies a provider's tokens with its keys.

use super::context::Context;
use super::obstacle::Obstacle;
use super::problem::Problem;
use crate::config::{ProviderId, Scheme};
use crate::desk::signer::{self, Unverified};
use crate::desk::{Basis, Need};
use crate::jose::base64url::Spelling;
use crate::jose::jwt::{self, Expectations, Verified};

/// Verifies an ID token of a scheme's provider that came at `at`, in Unix seconds.
pub(super) fn verified<'t>(
    context: &Context<'_>,
    scheme: &Scheme,
    token: &'t [u8],
    at: f64,
) -> Result<Verified<'t>, Obstacle> {
    let of = (scheme.provider, &scheme.id_token);
    by_keys(&context.basis, of, token, at).map_err(|why| match why {
        Unverified::Refused(error) => {
            let (name, reason) = (&scheme.name, error.reason());
            log::warn!("scheme {name}: ID token refused: {reason}");
            Problem::IdToken.into()
        }
        Unverified::AwaitKeys => Obstacle::Await(Need::Keys(scheme.provider)),
        Unverified::Unavailable(wait) => Problem::Unavailable(wait).into(),
    })
}

/// Verifies a token against what is expected of it at `at`, in Unix seconds.
pub(super) fn by_keys<'t>(
    basis: &Basis<'_>,
    (provider, expected): (ProviderId, &Expectations),
    token: &'t [u8],
    at: f64,
) -> Result<Verified<'t>, Unverified> {
    let parsed = jwt::parse_with(token, Spelling::Plain, &mut basis.headers.borrow_mut());
    let validated = parsed.and_then(|parsed| parsed.validate(expected, at));
    let validated = validated.map_err(Unverified::Refused)?;
    let keys = (provider, basis.facts.keys(provider));
    let verified = signer::verify(&validated, keys, basis, &());
    verified.map(|(_, verified)| verified)
}
