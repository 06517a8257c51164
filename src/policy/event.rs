//! Events of the choice of a rule, and of the test of what a token allows.

use super::RuleOutcome;
use crate::config::{ClaimRule, Scopes};
use crate::http::ambiguous::Ambiguous;
use crate::jose::claims::Claims;
use crate::jose::json::Element;
use crate::matcher::Comparison;

/// A step of the choice of a rule or of its test of the claims.
#[derive(Clone, Copy)]
pub enum Event<'e> {
    /// The rule at this place of the list was compared. Rules are not compared in their order, and
    /// of those with quite another path none is. The last that is the same or ambiguous decides.
    Compared {
        /// The rule's place in the list, from 0.
        rule: usize,
        /// How the request compares with it, or why that is ambiguous.
        outcome: Result<Comparison, Ambiguous>,
    },
    /// The outcome of all rules.
    Selected(Result<RuleOutcome<'e>, Ambiguous>),
    /// Scopes were looked for.
    Scopes {
        /// The scopes that the rule requires.
        asked: &'e Scopes,
        /// The claims that may have them.
        scope_claims: &'e [String],
        /// The token's claims.
        claims: &'e Claims,
        /// Whether the token has the scopes.
        holds: bool,
    },
    /// A claim was tested.
    Claim {
        /// The claim's path and its test.
        rule: &'e ClaimRule,
        /// The claim's value; `None` where it is missing or null.
        found: Option<Element<'e>>,
        /// Whether the claim passes the test.
        holds: bool,
    },
}
