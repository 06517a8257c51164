//! Signing in with an OpenID provider (OpenID Connect Core 1.0 section 3.1): what is sent to the
//! provider, what its answers must say, and what people are shown.

pub mod authorize;
pub mod id_token;
pub mod page;
pub mod session_json;
pub mod sign_out;
pub mod token_call;
pub mod token_reply;

#[cfg(test)]
mod fixtures;
