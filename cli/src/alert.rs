//! The alerts of `monitoring/alerts.yaml`: what each says, the command to begin with, and what
//! `docs/operating.md` says of it.
//!
//! Invariant: every alert has a row here and a section there.

use anstream::println;
use serde_json::{Value, json};

use crate::output::{DIM, HEAD, styled, without_links};

/// The document with a section for each alert.
const RUNBOOK: &str = include_str!("../../docs/operating.md");

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Alert {
    pub name: &'static str,
    /// A part of its summary that no other has.
    summary: &'static str,
    /// What to run before anything else.
    first: &'static str,
}

const KEYS: &str = "curl -s 'http://127.0.0.1:9901/stats?filter=bearer_gate.jwks'";
const KIDS: &str = "grep unverified_kid ACCESS_LOG | tail";
const CHECK: &str = "bearer-gate check --strict FILES";
const DENIED: &str = "curl -s 'http://127.0.0.1:9901/stats?filter=bearer_gate.denied'";
const REASONS: &str = "bearer-gate explain --log - < ENVOY_LOG";
const SIGN_IN: &str = "curl -s 'http://127.0.0.1:9901/stats?filter=bearer_gate.sign_in'";
const ENDED: &str = "grep 'list of ended sessions' ENVOY_LOG";
const STORE: &str = "grep 'shared store' ENVOY_LOG | tail";

#[rustfmt::skip]
const ALERTS: [Alert; 26] = [
    Alert { name: "BearerGateNoKeys", summary: "because a provider's keys cannot be had", first: KEYS },
    Alert { name: "BearerGateCannotDecide", summary: "because Envoy refuses what the filter asks of it", first: REASONS },
    Alert { name: "BearerGateNotConfigured", summary: "the filter's first configuration was refused", first: CHECK },
    Alert { name: "BearerGateConfigurationRefused", summary: "and the one before it serves", first: CHECK },
    Alert { name: "BearerGateCrashes", summary: "The filter's VM trapped", first: "grep 'failed: Uncaught' ENVOY_LOG" },
    Alert { name: "BearerGateDoesNotRun", summary: "Envoy answers requests that the filter has not decided", first: CHECK },
    Alert { name: "BearerGateFetchesFail", summary: "cannot be fetched", first: KEYS },
    Alert { name: "BearerGateProviderThrottles", summary: "answers 429: calls are too many", first: KEYS },
    Alert { name: "BearerGateRotationWithoutOverlap", summary: "tokens are refused for want of a key", first: KIDS },
    Alert { name: "BearerGateKeysOld", summary: "The keys of ", first: KEYS },
    Alert { name: "BearerGateManyWait", summary: "Many requests wait for keys", first: KEYS },
    Alert { name: "BearerGateDeniesMost", summary: "of the requests are denied", first: DENIED },
    Alert { name: "BearerGateForgedTokens", summary: "Tokens come that no key of a configured provider signed", first: KIDS },
    Alert { name: "BearerGateSignInsFail", summary: "Most sign-ins fail", first: SIGN_IN },
    Alert { name: "BearerGateRefreshesFail", summary: "Most sessions cannot be refreshed", first: SIGN_IN },
    Alert { name: "BearerGateLogoutsRefused", summary: "Who signs out at the provider stays signed in here", first: "grep 'logout' ENVOY_LOG | tail" },
    Alert { name: "BearerGateLogoutsUnread", summary: "The bodies of back-channel logouts do not reach the filter", first: CHECK },
    Alert { name: "BearerGateSignOutsFail", summary: "Somebody wants to sign out and stays signed in", first: ENDED },
    Alert { name: "BearerGateEverybodySignedOut", summary: "because the list of ended sessions was lost", first: ENDED },
    Alert { name: "BearerGateOthersSignedOut", summary: "because the list of ended sessions is full", first: ENDED },
    Alert { name: "BearerGateStoreUnread", summary: "An Envoy has not read the shared store", first: STORE },
    Alert { name: "BearerGateStoreDrops", summary: "too many wait for the shared store", first: STORE },
    Alert { name: "BearerGateStoreFails", summary: "The shared store is read, and refuses other commands", first: STORE },
    Alert { name: "BearerGateStoreForgets", summary: "The shared store loses what it has", first: STORE },
    Alert { name: "BearerGateStoreStrange", summary: "The shared store has values that an Envoy cannot read", first: STORE },
    Alert { name: "BearerGateSessionStoreFails", summary: "does not answer about the sessions", first: STORE },
];

/// The alert that a text names, or whose summary it has.
pub(crate) fn find(text: &str) -> Option<&'static Alert> {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    let named = words.find_map(|word| ALERTS.iter().find(|alert| alert.name == word));
    named.or_else(|| {
        // one has no part that tells it: it has a name
        let mut told = ALERTS.iter().filter(|alert| alert.summary.len() > 12);
        told.find(|alert| text.contains(alert.summary))
    })
}

impl Alert {
    pub(crate) fn print(&self, lines: &str) {
        println!("{}{lines}", styled(HEAD, self.name));
        println!("    {}: {}", styled(DIM, "first"), self.first);
        for line in self.section().lines() {
            println!("{}", format!("    {line}").trim_end());
        }
        println!("    {}: {}", styled(DIM, "more"), self.page());
    }

    pub(crate) fn to_json(&self, lines: usize) -> Value {
        json!({
            "alert": self.name,
            "lines": lines,
            "first": self.first,
            "section": self.section(),
            "page": self.page(),
        })
    }

    fn page(&self) -> String {
        format!("docs/operating.md#{}", self.name.to_ascii_lowercase())
    }

    /// What the document says of it, without the targets of links.
    fn section(&self) -> String {
        let head = format!("\n### {}\n", self.name);
        let rest = RUNBOOK.split_once(&head).map_or("", |(_, rest)| rest);
        let end = ["\n### ", "\n## "]
            .iter()
            .filter_map(|next| rest.find(next));
        let section = rest.get(..end.min().unwrap_or(rest.len())).unwrap_or(rest);
        without_links(section.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_has_a_row_and_a_section() {
        let rules = include_str!("../../monitoring/alerts.yaml");
        let written: Vec<(&str, &str)> = rules
            .split("- alert: ")
            .skip(1)
            .map(|alert| {
                let name = alert.lines().next().unwrap_or_default();
                let mut lines = alert.lines().map(str::trim);
                let summary = lines.find_map(|line| line.strip_prefix("summary: "));
                (name, summary.unwrap())
            })
            .collect();
        let names: Vec<&str> = written.iter().map(|(name, _)| *name).collect();
        let rows: Vec<&str> = ALERTS.iter().map(|alert| alert.name).collect();
        assert_eq!(rows, names);
        for (alert, (_, summary)) in ALERTS.iter().zip(&written) {
            assert!(summary.contains(alert.summary), "{summary}");
            let section = alert.section();
            assert!(section.len() > 40 && !section.contains("]("), "{section}");
            assert_eq!(
                find(&format!("[FIRING:1] {} (critical)", alert.name)),
                Some(alert)
            );
        }
    }

    #[test]
    fn an_alert_is_known_by_its_summary() {
        let told = "Most sign-ins fail: code_refused";
        assert_eq!(
            find(told).map(|alert| alert.name),
            Some("BearerGateSignInsFail")
        );
        assert_eq!(find("BearerGateNobody"), None);
        assert_eq!(find("The keys of idp"), None);
    }
}
