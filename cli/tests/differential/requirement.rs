//! Which tokens a rule asks for.

use serde_json::{Value, json};

use crate::configuration::Provider;

#[derive(Clone, Debug)]
pub(crate) enum Requirement {
    Provider(usize),
    ProviderAndAudiences(usize, Vec<String>),
    Any(Vec<Self>),
    All(Vec<Self>),
    AllowMissing,
    AllowMissingOrFailed,
}

impl Requirement {
    pub(crate) fn json(&self, providers: &[Provider]) -> Value {
        let list = |members: &[Self]| -> Value {
            members
                .iter()
                .map(|member| member.json(providers))
                .collect()
        };
        match self {
            Self::Provider(at) => json!({"provider_name": providers[*at].name}),
            Self::ProviderAndAudiences(at, audiences) => json!({
                "provider_and_audiences": {
                    "provider_name": providers[*at].name, "audiences": audiences,
                },
            }),
            Self::Any(members) => json!({"requires_any": {"requirements": list(members)}}),
            Self::All(members) => json!({"requires_all": {"requirements": list(members)}}),
            Self::AllowMissing => json!({"allow_missing": {}}),
            Self::AllowMissingOrFailed => json!({"allow_missing_or_failed": {}}),
        }
    }

    /// The providers that it names, and the audiences that it asks for in place of theirs.
    pub(crate) fn named(&self) -> Vec<(usize, Option<&[String]>)> {
        match self {
            Self::Provider(at) => vec![(*at, None)],
            Self::ProviderAndAudiences(at, audiences) => vec![(*at, Some(audiences))],
            Self::Any(members) | Self::All(members) => {
                members.iter().flat_map(Self::named).collect()
            }
            Self::AllowMissing | Self::AllowMissingOrFailed => Vec::new(),
        }
    }

    /// Whether it also takes a request without any token, or with a bad one.
    pub(crate) fn is_lenient(&self) -> bool {
        matches!(self, Self::AllowMissing | Self::AllowMissingOrFailed)
    }

    /// Whether a part of it is about the tokens of all providers of the configuration.
    pub(crate) fn asks_every(&self) -> bool {
        match self {
            Self::Provider(_) | Self::ProviderAndAudiences(..) => false,
            Self::AllowMissing | Self::AllowMissingOrFailed => true,
            Self::All(members) => members.iter().any(Self::asks_every),
            Self::Any(members) => {
                members.iter().all(Self::is_lenient)
                    || members.iter().any(|m| !m.is_lenient() && m.asks_every())
            }
        }
    }

    /// The providers that it asks, each as often as it does, of so many.
    pub(crate) fn occurrences(&self, of: usize) -> Vec<usize> {
        match self {
            Self::Provider(at) | Self::ProviderAndAudiences(at, _) => vec![*at],
            Self::AllowMissing | Self::AllowMissingOrFailed => (0..of).collect(),
            Self::Any(members) | Self::All(members) => members
                .iter()
                .flat_map(|member| member.occurrences(of))
                .collect(),
        }
    }

    /// Whether the test holds for the members of one of its requires_all.
    pub(crate) fn any_all(&self, are: &dyn Fn(&[Self]) -> bool) -> bool {
        match self {
            Self::All(members) => are(members) || members.iter().any(|member| member.any_all(are)),
            Self::Any(members) => members.iter().any(|member| member.any_all(are)),
            _ => false,
        }
    }

    /// Whether a part of it can do without a good token.
    pub(crate) fn has_optional_part(&self) -> bool {
        match self {
            Self::Provider(_) | Self::ProviderAndAudiences(..) => false,
            Self::AllowMissing | Self::AllowMissingOrFailed => false,
            Self::Any(members) | Self::All(members) => members.iter().any(|member| {
                member.has_optional_part()
                    || matches!(member, Self::Any(inner) if inner.iter().any(Self::is_lenient))
                    || matches!(self, Self::All(_)) && member.is_lenient()
            }),
        }
    }

    /// Whether it asks for more than one token.
    pub(crate) fn is_all(&self) -> bool {
        match self {
            Self::All(_) => true,
            Self::Any(members) => members.iter().any(Self::is_all),
            _ => false,
        }
    }
}
