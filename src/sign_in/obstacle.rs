//! Why a request does not get what it asks for.

use super::problem::Problem;
use crate::desk::Need;
use crate::host::NoEntropy;
use crate::http::response::Rejection;
use crate::session::browser::CrossSite;

/// Why a request for one of the filter's own paths does not get what it asks for.
#[derive(Debug)]
pub(super) enum Obstacle {
    /// A fact is missing.
    Await(Need),
    /// Rejected like any other request.
    Reject(Rejection<'static>),
    /// The sign-in ends.
    Problem(Problem),
}

impl From<Problem> for Obstacle {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<NoEntropy> for Obstacle {
    fn from(_: NoEntropy) -> Self {
        Self::Reject(Rejection::HostRefused)
    }
}

impl From<CrossSite> for Obstacle {
    fn from(_: CrossSite) -> Self {
        Self::Reject(Rejection::CrossSite)
    }
}
