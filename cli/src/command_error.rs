//! How a command ends, as the exit code says it.

use std::process::ExitCode;

/// What was asked about is in order.
pub const OK: u8 = 0;
/// A configuration is refused, or a request is.
pub const REFUSED: u8 = 1;
/// The command could not do its work: wrong arguments, an unreadable file, no keys.
pub const USAGE: u8 = 2;

/// Why a command could not do its work.
#[derive(Debug)]
pub struct CommandError(pub String);

impl CommandError {
    pub fn usage(text: impl Into<String>) -> CommandError {
        CommandError(text.into())
    }
}

/// 0 where `good`, otherwise 1.
pub fn exit(good: bool) -> ExitCode {
    ExitCode::from(if good { OK } else { REFUSED })
}
