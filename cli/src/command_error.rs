//! The exit codes of the commands, and why a command failed.

use std::process::ExitCode;

/// Everything is in order.
pub(crate) const OK: u8 = 0;
/// A configuration is refused, or a request is.
pub(crate) const REFUSED: u8 = 1;
/// The command could not do its work: wrong arguments, an unreadable file, no keys.
pub(crate) const USAGE: u8 = 2;

/// Why a command could not do its work: a line for each reason.
#[derive(Debug)]
pub(crate) struct CommandError(pub Vec<String>);

impl CommandError {
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self(vec![text.into()])
    }
}

/// 0 where `good`, otherwise 1.
pub(crate) fn exit(good: bool) -> ExitCode {
    ExitCode::from(if good { OK } else { REFUSED })
}
