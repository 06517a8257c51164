//! Why people could not sign in, or stay signed in: the reasons of `docs/observability.md`.
//!
//! Invariant: nothing is said here of a reason but what the document says.

use anstream::println;
use bearer_gate::http::response::Rejection;
use serde_json::{Value, json};

use crate::output::{DIM, HEAD, styled, without_links};

const DOCUMENT: &str = include_str!("../../docs/observability.md");
const PAGE: &str = "docs/observability.md#sign-in";
/// What stands before a reason in metrics, in response code details, and in the address of a page of your own.
const OF_SIGN_INS: [&str; 4] = [
    "sign_in.failed.",
    "sign_in_failed{reason=\"",
    "?error=",
    "&error=",
];
const OF_REFRESHES: [&str; 2] = ["refresh.failed.", "refresh_failed{reason=\""];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SignInReason {
    pub name: &'static str,
    /// Markdown.
    means: &'static str,
}

/// The rows of the tables, sign-ins first.
fn tables() -> [Vec<SignInReason>; 2] {
    let mut tables = DOCUMENT.split("\n| reason | meaning |\n").skip(1);
    [(); 2].map(|()| {
        let rows = tables.next().unwrap_or_default().lines();
        let rows = rows.take_while(|line| line.starts_with('|'));
        rows.filter_map(row).collect()
    })
}

fn row(line: &'static str) -> Option<SignInReason> {
    let (names, means) = line.strip_prefix("| `")?.split_once(" | ")?;
    let (name, _) = names.split_once('`')?;
    let means = means.strip_suffix(" |")?;
    Some(SignInReason { name, means })
}

/// The reason of a sign-in that failed, by its name.
pub(crate) fn of(name: &str) -> Option<SignInReason> {
    let [sign_ins, _] = tables();
    sign_ins.into_iter().find(|reason| reason.name == name)
}

/// The reason in a line of a log, a metric or an address.
pub(crate) fn find(line: &str) -> Option<SignInReason> {
    let [sign_ins, refreshes] = tables();
    let after = |marks: &[&str], known: &[SignInReason]| {
        marks.iter().find_map(|mark| {
            let (_, rest) = line.split_once(mark)?;
            let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
            let name = rest.split(|c| !is_part(c)).next()?;
            known.iter().find(|reason| reason.name == name).copied()
        })
    };
    let by_mark = after(&OF_SIGN_INS, &sign_ins).or_else(|| after(&OF_REFRESHES, &refreshes));
    // some are reasons of a rejection too, which have advice of their own
    let is_rejection = || Rejection::texts().any(|(known, _)| known == line.trim());
    by_mark.or_else(|| of(line.trim()).filter(|_| !is_rejection()))
}

impl SignInReason {
    pub(crate) fn means(self) -> String {
        without_links(self.means).replace('`', "")
    }

    pub(crate) fn print(self, lines: &str) {
        println!("{}{lines}", styled(HEAD, self.name));
        println!("    {}: {}", styled(DIM, "means"), self.means());
        println!("    {}: {PAGE}", styled(DIM, "more"));
    }

    pub(crate) fn to_json(self, lines: usize) -> Value {
        json!({"sign_in": self.name, "lines": lines, "means": self.means(), "page": PAGE})
    }
}

#[cfg(test)]
mod tests {
    use bearer_gate::sign_in::Problem;
    use bearer_gate::sign_in::token_reply::{Refusal, TokenError};

    use super::*;

    #[test]
    fn a_reason_is_found_by_what_stands_before_it() {
        for (line, expected) in [
            (
                "wasmcustom.bearer_gate.sign_in.failed.unknown_host: 1",
                "unknown_host",
            ),
            (
                "GET /oauth2/callback 502 bearer_gate.sign_in.failed.tokens_unusable",
                "tokens_unusable",
            ),
            (
                "bearer_gate_sign_in_failed{reason=\"state_invalid\"} 3",
                "state_invalid",
            ),
            ("/sorry?error=issuer_mismatch", "issuer_mismatch"),
            (
                "bearer_gate.refresh.failed.refresh_refused: 2",
                "refresh_refused",
            ),
            ("/sorry?lang=en&error=issuer_mismatch", "issuer_mismatch"),
            (
                "bearer_gate_refresh_failed{reason=\"refresh_refused\"} 1",
                "refresh_refused",
            ),
            ("code_refused", "code_refused"),
        ] {
            assert_eq!(find(line).map(|it| it.name), Some(expected), "{line}");
        }
        for line in ["", "the unknown_host of a line", "sign_in.failed."] {
            assert_eq!(find(line), None, "{line}");
        }
    }

    #[test]
    fn every_problem_has_a_row() {
        for problem in [
            Problem::UnknownHost,
            Problem::Malformed,
            Problem::State,
            Problem::TooManyRestarts,
            Problem::Issuer,
            Problem::by_provider(b"access_denied"),
            Problem::Push,
            Problem::Tokens(TokenError::Refused(Refusal::InvalidGrant)),
            Problem::Tokens(TokenError::Refused(Refusal::InvalidClient)),
            Problem::IdToken,
            Problem::TooLarge,
            Problem::Unavailable(std::time::Duration::ZERO),
            Problem::NoStore(std::time::Duration::ZERO),
            Problem::Prefetch,
        ] {
            let told = of(problem.name()).map(SignInReason::means);
            assert!(told.is_some_and(|told| !told.contains("](")), "{problem:?}");
        }
    }
}
