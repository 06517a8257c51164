//! What services of others may make of a path behind the filter, which no file says.

use super::kinds::{EXT_AUTHZ, EXT_PROC};
use super::rewrites::may_matter;
use crate::document::Node;
use crate::finding::Note;
use crate::view::{Chain, HttpFilter, View};

/// Services that may write `:path`: the filter, its name, and where it says what they may write.
const SERVICES: [(&str, &str, &str); 2] = [
    (EXT_PROC, "ext_proc", "mutation_rules"),
    (EXT_AUTHZ, "ext_authz", "decoder_header_mutation_rules"),
];

pub(super) fn notes(view: &View<'_>, notes: &mut Vec<Note>) {
    for chain in view.groups.iter().flat_map(|group| &group.chains) {
        let own = chain.filters.iter().find_map(|filter| filter.plugin);
        let plugin = own.and_then(|at| view.plugins.get(at));
        let config = plugin.and_then(|plugin| plugin.parse().ok());
        if config.as_ref().is_some_and(may_matter) {
            look_at(chain, notes);
        }
    }
}

fn look_at(chain: &Chain<'_>, notes: &mut Vec<Note>) {
    let is_earlier = |filter: &&HttpFilter<'_>| filter.plugin.is_none();
    for filter in chain.filters.iter().skip_while(is_earlier) {
        for (kind, name, rules) in SERVICES {
            let Some(settings) = filter.message(kind) else {
                continue;
            };
            if is_kept(settings.node, rules) {
                continue;
            }
            notes.push(Note {
                spot: filter.entry.spot(),
                text: format!("the service of {name} may write another path behind the filter, whose rules have looked at the one that came: what it does is not seen. {rules}: {{disallow_system: true}} keeps the path as it is"),
            });
        }
    }
}

/// Whether the service sees no headers of requests, or may not write what begins with a colon.
fn is_kept(settings: &Node, rules: &str) -> bool {
    let mode = settings.text_at(&["processing_mode", "request_header_mode"]);
    let rules = settings.get(rules);
    let forbids = |name: &str| {
        let rule = rules.and_then(|rules| rules.get(name));
        let wrapped = rule.and_then(|rule| rule.get("value")).or(rule);
        wrapped.is_some_and(Node::is_true)
    };
    mode == Some("SKIP") || forbids("disallow_system") || forbids("disallow_all")
}
