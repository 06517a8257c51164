//! The plugin's configuration: JSON in the vocabulary of Envoy's jwt_authn, once parsed into a
//! [`Config`] with every default filled in and every choice valid.
//!
//! Invariant: parse, don't validate. The raw form (`raw`) is turned into the valid one in one
//! place for each kind (`convert`), and whatever a [`Config`] can say the filter can
//! do. What it cannot do is refused with the field's path, never ignored; the first problem is
//! reported, and a configuration with a problem is refused as a whole.
//!
//! Defaults deny: a request that no rule matches, a token without `exp`, without an audience or
//! with a `cnf` claim is refused unless the configuration says otherwise.

mod convert;
mod id;
mod read;
mod sign_in;
mod valid;

pub use id::{PerProvider, ProviderId};
pub use read::error::{ConfigError, nearest};
#[cfg(feature = "schema")]
pub use read::schema::{reference, schema};
pub use sign_in::*;
pub use valid::*;
