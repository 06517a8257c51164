//! A provider's keys, and what it says of itself beside them: where the filter gets them, and what a
//! decision learns of them. When they are fetched, and how the workers share them, is the business of
//! [`document`](crate::document).

mod by_kid;
pub mod discovery;
pub mod keys;
pub mod metadata;
pub mod remote_keys;

use crate::document::MAX_DOCUMENT;
use crate::jose::jwks::MAX_DOCUMENT_LEN;

// A key set that may be fetched may be parsed. The largest JWK Sets in use have some tens of keys and
// stay below 64 KiB.
const _: () = assert!(MAX_DOCUMENT <= MAX_DOCUMENT_LEN);
