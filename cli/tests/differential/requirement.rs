//! Which tokens a rule asks for.

use serde_json::{Value, json};

use crate::configuration::Provider;

#[derive(Clone, Debug)]
pub enum Requirement {
    Provider(usize),
    ProviderAndAudiences(usize, Vec<String>),
    Any(Vec<Requirement>),
    All(Vec<Requirement>),
    AllowMissing,
    AllowMissingOrFailed,
}

impl Requirement {
    pub fn json(&self, providers: &[Provider]) -> Value {
        let list = |members: &[Requirement]| -> Value {
            members
                .iter()
                .map(|member| member.json(providers))
                .collect()
        };
        match self {
            Requirement::Provider(at) => json!({"provider_name": providers[*at].name}),
            Requirement::ProviderAndAudiences(at, audiences) => json!({
                "provider_and_audiences": {
                    "provider_name": providers[*at].name, "audiences": audiences,
                },
            }),
            Requirement::Any(members) => json!({"requires_any": {"requirements": list(members)}}),
            Requirement::All(members) => json!({"requires_all": {"requirements": list(members)}}),
            Requirement::AllowMissing => json!({"allow_missing": {}}),
            Requirement::AllowMissingOrFailed => json!({"allow_missing_or_failed": {}}),
        }
    }

    /// The providers that it names, and the audiences that it asks for in place of theirs.
    pub fn named(&self) -> Vec<(usize, Option<&[String]>)> {
        match self {
            Requirement::Provider(at) => vec![(*at, None)],
            Requirement::ProviderAndAudiences(at, audiences) => vec![(*at, Some(audiences))],
            Requirement::Any(members) | Requirement::All(members) => {
                members.iter().flat_map(Requirement::named).collect()
            }
            Requirement::AllowMissing | Requirement::AllowMissingOrFailed => Vec::new(),
        }
    }

    /// Whether it also takes a request without any token, or with a bad one.
    pub fn is_lenient(&self) -> bool {
        matches!(
            self,
            Requirement::AllowMissing | Requirement::AllowMissingOrFailed
        )
    }

    /// Whether a part of it is about the tokens of all providers of the configuration.
    pub fn asks_every(&self) -> bool {
        match self {
            Requirement::Provider(_) | Requirement::ProviderAndAudiences(..) => false,
            Requirement::AllowMissing | Requirement::AllowMissingOrFailed => true,
            Requirement::All(members) => members.iter().any(Requirement::asks_every),
            Requirement::Any(members) => {
                members.iter().all(Requirement::is_lenient)
                    || members.iter().any(|m| !m.is_lenient() && m.asks_every())
            }
        }
    }

    /// The providers that it asks, each as often as it does, of so many.
    pub fn occurrences(&self, of: usize) -> Vec<usize> {
        match self {
            Requirement::Provider(at) | Requirement::ProviderAndAudiences(at, _) => vec![*at],
            Requirement::AllowMissing | Requirement::AllowMissingOrFailed => (0..of).collect(),
            Requirement::Any(members) | Requirement::All(members) => members
                .iter()
                .flat_map(|member| member.occurrences(of))
                .collect(),
        }
    }

    /// Whether the members of one of its requires_all are so.
    pub fn any_all(&self, are: &dyn Fn(&[Requirement]) -> bool) -> bool {
        match self {
            Requirement::All(members) => {
                are(members) || members.iter().any(|member| member.any_all(are))
            }
            Requirement::Any(members) => members.iter().any(|member| member.any_all(are)),
            _ => false,
        }
    }

    /// Whether a part of it can do without a good token.
    pub fn has_optional_part(&self) -> bool {
        match self {
            Requirement::Provider(_) | Requirement::ProviderAndAudiences(..) => false,
            Requirement::AllowMissing | Requirement::AllowMissingOrFailed => false,
            Requirement::Any(members) | Requirement::All(members) => members.iter().any(|member| {
                member.has_optional_part()
                    || matches!(member, Requirement::Any(inner) if inner.iter().any(Requirement::is_lenient))
                    || matches!(self, Requirement::All(_)) && member.is_lenient()
            }),
        }
    }

    /// Whether it asks for more than one token.
    pub fn is_all(&self) -> bool {
        match self {
            Requirement::All(_) => true,
            Requirement::Any(members) => members.iter().any(Requirement::is_all),
            _ => false,
        }
    }
}
