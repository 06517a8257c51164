//! Resources of Kubernetes: their names, and which of them may be for the same traffic.

use bearer_gate::config::nearest;

use crate::document::Node;
use crate::finding::{Finding, Kind, Note};
use crate::plugin::{Container, Plugin};
use crate::view::{Part, View};

/// Istio's own namespace: what is in it may be for workloads of every namespace.
pub(super) const ROOT: &str = "istio-system";

/// Since Istio 1.30, in the place of a `WasmPlugin`.
pub(super) const EXTENSION: &str = "TrafficExtension";
/// Resources of Istio that run plugins.
pub(super) const PLUGIN_KINDS: [&str; 2] = ["WasmPlugin", EXTENSION];

/// Whether a resource of Istio runs plugins.
pub(super) fn runs_plugins(resource: Part<'_>) -> bool {
    let kind = resource.node.text_at(&["kind"]);
    PLUGIN_KINDS.iter().any(|known| kind == Some(known))
}

pub(super) fn of_kind<'a, 'd>(
    view: &'a View<'d>,
    kind: &'static str,
) -> impl Iterator<Item = Part<'d>> + use<'a, 'd> {
    let resources = view.kubernetes.iter().copied();
    resources.filter(move |resource| resource.node.text_at(&["kind"]) == Some(kind))
}

pub(super) fn name(resource: Part<'_>) -> &str {
    let name = resource.node.text_at(&["metadata", "name"]);
    name.unwrap_or_default()
}

/// The namespace; `None` where the file does not say it, as with kustomize.
pub(super) fn namespace(resource: Part<'_>) -> Option<&str> {
    resource.node.text_at(&["metadata", "namespace"])
}

/// Its kind and name.
pub(super) fn title(resource: Part<'_>) -> String {
    let kind = resource.node.text_at(&["kind"]).unwrap_or_default();
    format!("{kind} {}", name(resource))
}

pub(super) fn spec(resource: Part<'_>) -> Part<'_> {
    resource.get("spec").unwrap_or(resource)
}

/// Whether two resources may be in one namespace.
pub(super) fn may_be_neighbours(one: Part<'_>, other: Part<'_>) -> bool {
    may_be_at(namespace(one), namespace(other))
}

/// Whether two namespaces may be the same; `None` where a file does not say it.
pub(super) fn may_be_at(one: Option<&str>, other: Option<&str>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// Routes of the Gateway API for requests.
pub(super) fn routes<'a, 'd>(view: &'a View<'d>) -> impl Iterator<Item = Part<'d>> + use<'a, 'd> {
    of_kind(view, "HTTPRoute").chain(of_kind(view, "GRPCRoute"))
}

/// Whether two resources of Istio may be for one workload.
pub(super) fn may_meet(one: Part<'_>, other: Part<'_>) -> bool {
    let is_of_all = |resource| namespace(resource) == Some(ROOT);
    if !may_be_neighbours(one, other) && !is_of_all(one) && !is_of_all(other) {
        return false;
    }
    let others = labels(other, SELECTED);
    let differs = |(name, value): &(&str, &str)| {
        let mut others = others.iter();
        others.any(|(other, another)| other == name && another != value)
    };
    if labels(one, SELECTED).iter().any(differs) {
        return false;
    }
    let (one, other) = (targets(one), targets(other));
    let is_same = |target: &Target<'_>| other.iter().any(|other| other.is(target));
    one.is_empty() || other.is_empty() || one.iter().any(is_same)
}

/// Where a resource of Istio has the labels of its workloads.
pub(super) const SELECTED: &[&str] = &["spec", "selector", "match_labels"];

/// The labels at these names.
pub(super) fn labels<'d>(resource: Part<'d>, names: &[&str]) -> Vec<(&'d str, &'d str)> {
    let members = resource.node.at(names).map_or(&[][..], Node::entries);
    members
        .iter()
        .filter_map(|entry| Some((entry.name.as_str(), entry.node.text()?)))
        .collect()
}

/// What a policy is attached to.
#[derive(Clone, Copy)]
pub(super) struct Target<'d> {
    pub part: Part<'d>,
    pub kind: &'d str,
    pub name: &'d str,
    /// A listener of a Gateway, or a rule of a route.
    pub section: Option<&'d str>,
}

impl Target<'_> {
    /// Whether they name the same resource.
    pub(super) fn is(&self, other: &Target<'_>) -> bool {
        self.kind == other.kind && self.name == other.name
    }

    pub(super) fn is_route(&self) -> bool {
        self.kind.ends_with("Route")
    }
}

pub(super) fn targets(resource: Part<'_>) -> Vec<Target<'_>> {
    let spec = spec(resource);
    let one = spec.get("target_ref").into_iter();
    one.chain(spec.items_of("target_refs"))
        .filter_map(|part| {
            Some(Target {
                part,
                kind: part.node.text_at(&["kind"])?,
                name: part.node.text_at(&["name"])?,
                section: part.node.text_at(&["section_name"]),
            })
        })
        .collect()
}

/// What a policy of Envoy Gateway is attached to: by names, and by labels of what is in the files.
pub(super) fn all_targets<'d>(view: &View<'d>, policy: Part<'d>) -> Vec<Target<'d>> {
    let selectors = spec(policy).items_of("target_selectors");
    let selected = selectors.flat_map(|selector| {
        let kind = selector.node.text_at(&["kind"]);
        let resources = view.kubernetes.iter().filter(move |resource| {
            resource.node.text_at(&["kind"]) == kind
                && may_be_neighbours(**resource, policy)
                && selects(selector, **resource)
        });
        resources.filter_map(move |resource| {
            Some(Target {
                part: selector,
                kind: kind?,
                name: name(*resource),
                section: None,
            })
        })
    });
    targets(policy).into_iter().chain(selected).collect()
}

/// Whether a selector is for a resource, by its labels.
fn selects(selector: Part<'_>, resource: Part<'_>) -> bool {
    let own = labels(resource, &["metadata", "labels"]);
    let wanted = labels(selector, &["match_labels"]);
    let holds = |expression: Part<'_>| {
        let text = |name: &str| expression.node.text_at(&[name]).unwrap_or_default();
        let value = own.iter().find(|(name, _)| *name == text("key"));
        let values = expression.node.items_of("values");
        let is_one = value.is_some_and(|(_, value)| {
            let mut values = values.iter();
            values.any(|wanted| wanted.text() == Some(value))
        });
        match text("operator") {
            "In" => is_one,
            "NotIn" => !is_one,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => false,
        }
    };
    wanted.iter().all(|label| own.contains(label))
        && selector.items_of("match_expressions").all(holds)
}

/// The configuration of ours that a resource, or an entry of its, has.
pub(super) fn plugin_of<'a, 'd>(
    view: &'a View<'d>,
    node: &Node,
) -> Option<(usize, &'a Plugin<'d>)> {
    let mut plugins = view.plugins.iter().enumerate();
    plugins.find(|(_, plugin)| match plugin.container {
        Container::Istio(own) | Container::Gateway(own) => std::ptr::eq(own, node),
        Container::Alone | Container::Envoy { .. } => false,
    })
}

/// Whether a member of this name, at any depth, is this text.
pub(super) fn has_text(part: Part<'_>, name: &str, text: &str) -> bool {
    let mut found = part.node.text_at(&[name]) == Some(text);
    part.each_below(&mut |below| found = found || has_text(below, name, text));
    found
}

/// What of a `Kustomization` changes resources that are in other files.
const CHANGES: [&str; 7] = [
    "patches",
    "patchesStrategicMerge",
    "patchesJson6902",
    "replacements",
    "components",
    "transformers",
    "helmCharts",
];

/// What of the files is not looked at.
pub(super) fn notes(view: &View<'_>, notes: &mut Vec<Note>) {
    for kustomization in of_kind(view, "Kustomization") {
        for field in CHANGES {
            if let Some(part) = kustomization.get(field) {
                notes.push(Note {
                    spot: part.spot(),
                    text: format!("{field} are not looked at, and may change what is: give what `kubectl kustomize` prints"),
                });
            }
        }
    }
}

/// What a policy is attached to, where the files have others of that kind and not this one.
pub(super) fn look_at_targets(view: &View<'_>, policy: Part<'_>, findings: &mut Vec<Finding>) {
    for selector in spec(policy).items_of("target_selectors") {
        let kind = selector.node.text_at(&["kind"]).unwrap_or_default();
        let known = view.kubernetes.iter().filter(|resource| {
            resource.node.text_at(&["kind"]) == Some(kind) && may_be_neighbours(**resource, policy)
        });
        let mut known = known.peekable();
        if known.peek().is_some() && !known.any(|resource| selects(selector, *resource)) {
            findings.push(
                Finding::warning(
                    Kind::RequestsLeftOut,
                    selector.spot(),
                    "spec.targetSelectors",
                    format!("no {kind} in the files has these labels, and there are others: if that is all, the filter is nowhere"),
                )
                .write(format!("the labels in metadata of the {kind}, or targetRefs with its name")),
            );
        }
    }
    for target in targets(policy) {
        let is_one = |resource: &&Part<'_>| resource.node.text_at(&["kind"]) == Some(target.kind);
        let known: Vec<&str> = view
            .kubernetes
            .iter()
            .filter(is_one)
            .map(|resource| name(*resource))
            .collect();
        if known.is_empty() || known.contains(&target.name) {
            continue;
        }
        let instead = match nearest(target.name, &mut known.iter().copied()) {
            Some(near) => format!("name: {near}"),
            None => format!("one of {}", known.join(", ")),
        };
        let text = format!(
            "there is no {} {} in the files, which have others: if that is all, the filter is nowhere",
            target.kind, target.name
        );
        findings.push(at_target(target, text).write(instead));
    }
}

/// That what is attached to a target may be nowhere.
pub(super) fn at_target(target: Target<'_>, text: String) -> Finding {
    let name = target.part.spot_of("name");
    Finding::warning(Kind::RequestsLeftOut, name, "spec.targetRefs", text)
}
