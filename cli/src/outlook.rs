//! What the gateway does with a request that a configuration was asked about, where that is not the
//! same: it lacks keys, runs something else, or has settings that get in between.

use serde_json::{Value, json};

/// Where the configuration is from that decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    File,
    /// A running Envoy.
    Running,
}

/// What the gateway does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// It answers by itself, with this status.
    Answers(u16),
    /// It asks nobody for a token.
    LetsThrough,
    /// It may do otherwise.
    MayDiffer,
}

/// Why a gateway does something else than the decision says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outlook {
    pub does: Does,
    pub why: String,
}

impl Outlook {
    pub(crate) fn new(does: Does, why: impl Into<String>) -> Self {
        let why = why.into();
        Self { does, why }
    }

    /// In place of a decision, in words.
    pub(crate) fn in_words(&self, word: &str) -> String {
        let why = &self.why;
        match self.does {
            Does::Answers(status) => {
                format!("{status} from the gateway; {word} by the configuration alone. Why: {why}")
            }
            Does::LetsThrough => {
                format!("let through by the gateway; {word} by the configuration alone. Why: {why}")
            }
            Does::MayDiffer => {
                format!("{word} by the configuration; the gateway may do otherwise. Why: {why}")
            }
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let (does, status) = match self.does {
            Does::Answers(status) => ("answers", Some(status)),
            Does::LetsThrough => ("lets_through", None),
            Does::MayDiffer => ("may_differ", None),
        };
        json!({"does": does, "status": status, "why": self.why})
    }
}
