//! Whether rules say whose token counts where the provider takes tokens for every audience.

use bearer_gate::config::{
    Access, ClaimTest, Config, Demand, Permissions, Provider, ProviderDemand, Requirement,
};

/// The claims that name for whom a token was issued: the client, as each provider calls it, or the API.
const CLIENT: [&str; 5] = ["aud", "azp", "client_id", "cid", "appid"];

/// Whether each rule that takes tokens of a provider asks for whom they were issued. What routes ask for is
/// in files that are not looked at here.
pub(super) fn is_asked_by_rules(config: &Config, provider: &Provider) -> bool {
    let demanded: Vec<bool> = config
        .rules
        .all()
        .iter()
        .filter_map(|rule| match &rule.access {
            Access::Token(access) => Some(asked(
                config,
                provider,
                &access.demand,
                names_the_client(&access.authorize),
            )),
            Access::Public => None,
        })
        .flatten()
        .collect();
    config.of_routes.is_none() && !demanded.is_empty() && demanded.iter().all(|asked| *asked)
}

/// For each place of the provider in a requirement, whether it is asked there.
fn asked(config: &Config, provider: &Provider, demand: &Demand, by_rule: bool) -> Vec<bool> {
    fn add(
        requirement: &Requirement,
        by_rule: bool,
        is_it: &dyn Fn(&ProviderDemand) -> bool,
        found: &mut Vec<bool>,
    ) {
        match requirement {
            Requirement::Provider(demand) if is_it(demand) => {
                let own = demand.expectations.as_ref();
                found.push(
                    by_rule
                        // the ID token of a session is for its client
                        || demand.session.is_some()
                        || own.is_some_and(|own| !own.audiences.is_empty()),
                );
            }
            Requirement::Provider(_) => {}
            Requirement::Any { members, .. } => {
                for member in members {
                    add(member, by_rule, is_it, found);
                }
            }
            // one of several tokens satisfies the rule's tests, and it may be another's
            Requirement::All(members) => {
                for member in members {
                    add(member, false, is_it, found);
                }
            }
        }
    }
    let mut found = Vec::new();
    let is_it = |demand: &ProviderDemand| config.providers[demand.provider].name == provider.name;
    add(&demand.requirement, by_rule, &is_it, &mut found);
    found
}

fn names_the_client(authorize: &Permissions) -> bool {
    authorize.claims.iter().any(|claim| {
        matches!(claim.path.as_slice(), [name] if CLIENT.contains(&name.as_str()))
            && matches!(claim.test, ClaimTest::Equals(_) | ClaimTest::Any(_))
    })
}
