//! What is written, as it is read: the two encodings, the tree, and the raw form of each object.
//!
//! Invariant: a raw form holds what its author wrote. Whether that is valid is decided later.

pub(in crate::config) mod duration;
pub(in crate::config) mod encoding;
pub(in crate::config) mod error;
pub(in crate::config) mod raw;
pub(in crate::config) mod raw_rule;
pub(in crate::config) mod raw_sign_in;
#[cfg(feature = "schema")]
mod reference;
#[cfg(feature = "schema")]
pub(in crate::config) mod schema;
pub(in crate::config) mod tree;
pub(in crate::config) mod value;
