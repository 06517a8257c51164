//! bearer-gate

pub mod jose;
pub mod signature;
