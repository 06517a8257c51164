//! What a configuration names and nothing uses, and what it writes in two ways.

use bearer_gate::config::{Access, Config, Requirement, SessionStore, TokenAccess, Unmatched};
use bearer_gate::jose::issuer::Issuer;

use super::Risk;
use crate::document::Node;
use crate::plugin::{Container, Plugin};

/// Warns of providers, requirements and policies that nothing uses: without them the configuration is
/// as valid as with them.
pub(crate) fn look_at(plugin: &Plugin, config: &Config) -> Vec<Risk> {
    let Some(tree) = plugin.tree() else {
        return Vec::new();
    };
    let demanded = demanded(tree, config);
    let is_demanded = |field: &str, name: &str| field == "providers" && demanded.contains(&name);
    let mut risks = Vec::new();
    let mut look = |field: &str, text: &str| {
        for entry in tree.get(field).map_or(&[][..], Node::entries) {
            let mut without = tree.clone();
            if let Some(entries) = without.get_mut(field) {
                entries.remove(&entry.name);
            }
            if plugin.parse_another(&without).is_ok() && !is_demanded(field, &entry.name) {
                risks.push(Risk {
                    path: format!("{field}.{}", entry.name),
                    text: text.to_owned(),
                });
            }
        }
    };
    // Without a rule there is nothing yet that could use them.
    if !config.rules.all().is_empty() {
        look(
            "providers",
            "is not used: no rule and no scheme asks for its tokens",
        );
        look("policies", "is not used: no rule names it");
    }
    // Routes name them where Envoy alone knows it.
    if config.of_routes.is_none() {
        look("requirement_map", "is not used: no rule names it");
    }
    // A configuration that stands alone may be a piece; the one that Envoy gets is not.
    if tree.get("rules").is_none()
        && !matches!(plugin.container, Container::Alone)
        && config.unmatched == Unmatched::Deny
        && config.of_routes.is_none()
    {
        risks.push(Risk {
            path: "rules".to_owned(),
            text: "is not there, and what no rule matches is denied: every request gets 403. Is it in another place?".to_owned(),
        });
    }
    risks.extend(slashes(tree, config));
    risks.extend(sizes(tree, config));
    risks
}

/// The names of the providers whose tokens rules and routes take, also where these name none, as with an
/// optional token of any provider.
fn demanded<'c>(tree: &Node, config: &'c Config) -> Vec<&'c str> {
    fn add<'c>(requirement: &Requirement, config: &'c Config, names: &mut Vec<&'c str>) {
        match requirement {
            Requirement::Provider(demand) => names.push(&config.providers[demand.provider].name),
            Requirement::Any { members, .. } | Requirement::All(members) => {
                for member in members {
                    add(member, config, names);
                }
            }
        }
    }
    let of_rules = config
        .rules
        .all()
        .iter()
        .filter_map(|rule| match &rule.access {
            Access::Token(access) => Some(access),
            Access::Public => None,
        });
    let map = tree.get("requirement_map").map_or(&[][..], Node::entries);
    let of_routes = map.iter().filter_map(|entry| {
        let routes = config.of_routes.as_ref()?;
        routes.named(entry.name.as_bytes())
    });
    let accesses: Vec<&TokenAccess> = of_rules.chain(of_routes).collect();
    let mut names = Vec::new();
    for access in accesses {
        add(&access.demand.requirement, config, &mut names);
    }
    names
}

/// Sizes of cookies that have a ticket.
fn sizes(tree: &Node, config: &Config) -> Vec<Risk> {
    let schemes = config.sign_in.iter().flat_map(|sign_in| &sign_in.schemes);
    let in_store = schemes.filter(|scheme| scheme.session.store == SessionStore::Shared);
    let written = in_store.filter(|scheme| {
        let path = ["sign_in", "schemes", &scheme.name, "cookie", "max_bytes"];
        tree.at(&path).is_some()
    });
    written
        .map(|scheme| Risk {
            path: format!("sign_in.schemes.{}.cookie.max_bytes", scheme.name),
            text: "hardly matters: with session.store: SHARED_STORE a cookie has a ticket of some hundred bytes, and how large a session may be is the store's. Leave it out"
                .to_owned(),
        })
        .collect()
}

/// Authorization servers that are named otherwise than their issuer is: clients compare both exactly.
fn slashes(tree: &Node, config: &Config) -> Vec<Risk> {
    let issuers: Vec<&str> = config
        .providers
        .iter()
        .flat_map(|provider| match &provider.expectations.issuer {
            Issuer::One(one) => std::slice::from_ref(one),
            Issuer::Several(several) => several.as_slice(),
            _ => &[],
        })
        .map(String::as_str)
        .collect();
    let servers = tree.at(&["protected_resource", "authorization_servers"]);
    let servers = servers.map_or(&[][..], Node::items).iter().enumerate();
    let named = servers.filter_map(|(at, server)| Some((at, server.text()?)));
    let mut risks = Vec::new();
    for (at, server) in named.filter(|(_, server)| !issuers.contains(server)) {
        let bare = server.trim_end_matches('/');
        let twin = issuers.iter().find(|one| one.trim_end_matches('/') == bare);
        if let Some(issuer) = twin {
            risks.push(Risk {
                path: format!("protected_resource.authorization_servers[{at}]"),
                text: format!(
                    "is not the issuer {issuer}, from which it differs by its last slash: clients compare it exactly"
                ),
            });
        }
    }
    risks
}
