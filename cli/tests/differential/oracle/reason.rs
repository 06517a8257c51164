//! Why bearer-gate answers otherwise than jwt_authn on purpose: because of one token, or because of
//! how a rule combines providers.

use serde_json::Value;

use super::{NO_SUCH_KEY, Oracle, texts};
use crate::configuration::{Place, Provider};
use crate::difference::Difference;
use crate::place::Found;
use crate::requirement::Requirement;
use crate::token::{Flaw, Token};

impl Oracle<'_> {
    /// Why bearer-gate refuses a token that jwt_authn takes.
    pub(crate) fn minds(
        &self,
        token: &Token,
        provider: &Provider,
        audiences: Option<&Vec<String>>,
    ) -> Option<(Difference, &'static str)> {
        let claims: Value = serde_json::from_str(&token.claims).unwrap_or_default();
        let header: Value = serde_json::from_str(&token.header).unwrap_or_default();
        match token.flaw {
            Flaw::NoExpiration if provider.requires_expiration(self.configuration.is_lenient) => {
                Some((
                    Difference::ExpirationIsRequired,
                    "Jwt payload [exp] field is required",
                ))
            }
            Flaw::ZeroExpiration => Some((Difference::ZeroExpiration, "Jwt is expired")),
            Flaw::AudienceWithScheme => {
                let allowed = audiences.unwrap_or(&provider.audiences);
                let is_exact = allowed.iter().any(|known| claims["aud"] == known.as_str());
                (!allowed.is_empty() && !is_exact).then_some((
                    Difference::AudienceIsExact,
                    "Audiences in Jwt are not allowed",
                ))
            }
            Flaw::Critical => Some((
                Difference::CriticalHeader,
                "Jwt header [crit] is not supported",
            )),
            Flaw::IssuedInTheFuture => {
                let at = claims["iat"].as_i64().unwrap_or_default();
                // Providers differ in their skew.
                (at > bearer_gate_testbed::token::now() + provider.clock_skew)
                    .then_some((Difference::IssuedInTheFuture, "Jwt is issued in the future"))
            }
            Flaw::SenderConstrained => {
                Some((Difference::SenderConstrained, "Jwt is sender-constrained"))
            }
            Flaw::LeadingCharacter => Some((
                Difference::LeadingCharacter,
                "Jwt header is an invalid Base64url encoded",
            )),
            Flaw::OtherKey => {
                let named = header["kid"].as_str().unwrap_or_default();
                let difference = if provider.names_key(named) {
                    Some(Difference::NamedKeyOnly)
                } else {
                    // The other RSA key is for RS256, or says no algorithm.
                    (header["alg"] == "PS256").then_some(Difference::AlgorithmIsBound)
                };
                difference.map(|why| (why, "Jwt verification fails"))
            }
            // What jwt_authn finds in place of the key that is named says no algorithm.
            Flaw::UnknownKid => {
                let algorithm = header["alg"].as_str().unwrap_or_default();
                let is_other = algorithm == "PS256" && !provider.has_nameless_key(algorithm);
                is_other.then_some((Difference::AlgorithmIsBound, NO_SUCH_KEY))
            }
            _ => None,
        }
    }

    /// What is different because of how the rule combines providers.
    pub(crate) fn combination(
        &self,
        requires: &Requirement,
        found: &[(&Place, Found)],
    ) -> Vec<Difference> {
        let mut why = Vec::new();
        let is_empty = |found: &Found| matches!(found, Found::Nothing);
        let filled = found.iter().filter(|(_, found)| !is_empty(found)).count();
        if texts(found).len() < filled {
            why.push(Difference::SameTokenTwice);
        }
        // jwt_authn is done with the first alternative that is satisfied, also by no token.
        if filled > 1 || filled > 0 && requires.has_optional_part() {
            why.push(Difference::EveryTokenHasAPart);
        }
        let is_found = |place: &Place| {
            let mut found = found.iter();
            found.any(|(known, found)| *known == place && !matches!(found, Found::Nothing))
        };
        // Whether a member of a requires_all meets what another part of the rule looks at too: the
        // same token, or the same header.
        let occurrences = requires.occurrences(self.configuration.providers.len());
        let interferes = |members: &[Requirement]| {
            let providers = &self.configuration.providers;
            let of = members
                .iter()
                .flat_map(|member| member.occurrences(providers.len()));
            of.into_iter().any(|one| {
                let one = &providers[one];
                let shares = |other: &&usize| {
                    let other = &providers[**other];
                    let mut places = one.read_places().iter();
                    places.any(|place| other.read_places().contains(place) && is_found(place))
                        || one.sets.iter().any(|header| other.sets.contains(header))
                };
                occurrences.iter().filter(shares).count() > 1
            })
        };
        // A header with a token that a shorter prefix fits too.
        let has_several_prefixes = found.iter().any(|(place, found)| match (place, found) {
            (Place::Header { name, prefix }, Found::One(..)) => self.places.iter().any(|other| {
                matches!(other, Place::Header { name: known, prefix: shorter }
                    if known == name && shorter.len() < prefix.len())
            }),
            _ => false,
        });
        if has_several_prefixes {
            why.push(Difference::LongestPrefix);
        }
        if requires.any_all(&interferes) {
            why.push(Difference::AllWithoutSideEffects);
        }
        let may_be_of = |provider: &Provider, token: &Token| {
            let claims: Value = serde_json::from_str(&token.claims).unwrap_or_default();
            provider.issuer.is_none() || claims["iss"].as_str() == provider.issuer.as_deref()
        };
        let is_of_several = found.iter().any(|(place, found)| match found {
            Found::One(_, Some(token)) => {
                let judges = self.configuration.providers.iter();
                let judges = judges.filter(|provider| may_be_of(provider, token));
                let (here, all) = judges.fold((0, 0), |(here, all), provider| {
                    let is_here = provider.read_places().contains(place);
                    (here + usize::from(is_here), all + 1)
                });
                here > 0 && all > 1
            }
            _ => false,
        });
        if is_of_several && requires.asks_every() {
            why.push(Difference::EveryProviderOfAnIssuer);
        }
        why
    }
}
