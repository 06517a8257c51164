//! What services and code of others may make of a request, which no file says.

use super::kinds::{DYNAMIC_MODULE, EXT_AUTHZ, EXT_PROC, GOLANG, LUA, TRANSCODER};
use super::lua;
use super::rewrites::may_matter;
use crate::document::Node;
use crate::finding::Note;
use crate::plugin::WASM;
use crate::view::{Chain, HttpFilter, View};

/// Services that may write `:path`: the filter, its name, and where it says what they may write.
const SERVICES: [(&str, &str, &str); 2] = [
    (EXT_PROC, "ext_proc", "mutation_rules"),
    (EXT_AUTHZ, "ext_authz", "decoder_header_mutation_rules"),
];

/// Code of others, by the filter that runs it.
const CODE: [(&str, &str); 3] = [
    (WASM, "another plugin"),
    (GOLANG, "Go"),
    (DYNAMIC_MODULE, "a dynamic module"),
];

pub(super) fn notes(view: &View<'_>, notes: &mut Vec<Note>) {
    for chain in view.groups.iter().flat_map(|group| &group.chains) {
        look_at_code_before(chain, notes);
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
        if let Some(name) = code(filter).or_else(|| writer(filter)) {
            notes.push(Note {
                spot: filter.entry.spot(),
                text: format!("{name} may write another path behind the filter, whose rules have looked at the one that came: what it does is not seen"),
            });
        }
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

/// Code that a request comes to before the filter.
fn look_at_code_before(chain: &Chain<'_>, notes: &mut Vec<Note>) {
    if !chain.is_guarded() {
        return;
    }
    let is_earlier = |filter: &&HttpFilter<'_>| filter.plugin.is_none();
    for filter in chain.filters.iter().take_while(is_earlier) {
        if let Some(name) = code(filter) {
            notes.push(Note {
                spot: filter.entry.spot(),
                text: format!("{name} stands before the filter, and may answer requests, send them elsewhere, or give them a token: what it does is not seen"),
            });
        }
    }
}

fn code(filter: &HttpFilter<'_>) -> Option<&'static str> {
    let mut code = CODE.iter().filter(|_| filter.plugin.is_none());
    let (_, name) = code.find(|(kind, _)| filter.message(kind).is_some())?;
    Some(name)
}

/// What writes a path by what is in another file.
fn writer(filter: &HttpFilter<'_>) -> Option<&'static str> {
    let of_file = filter.message(LUA).is_some_and(lua::is_elsewhere);
    let transcodes = filter.message(TRANSCODER).is_some();
    match (of_file, transcodes) {
        (true, _) => Some("Lua from a file"),
        (_, true) => Some("grpc_json_transcoder"),
        _ => None,
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
