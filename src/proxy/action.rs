//! What the host is told of a request.

/// Whether a request, or a part of it, goes on. The numbers are the ABI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Action {
    /// It does.
    Continue = 0,
    /// It waits, or was answered.
    Pause = 1,
}
