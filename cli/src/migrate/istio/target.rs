//! Which workloads a policy of Istio is for.

use crate::document::{Node, Yaml};

/// The namespace whose policies are for all namespaces, unless the mesh has another one.
pub(super) const ROOT: &str = "istio-system";

/// The workloads of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub namespace: String,
    pub workloads: Workloads,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Workloads {
    All,
    /// Those with all of these labels, sorted.
    Labels(Vec<(String, String)>),
    /// Those of gateways or services: group, kind and name of each, sorted.
    Refs(Vec<[String; 3]>),
}

/// Whether a policy is for all workloads of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Covers {
    All,
    None,
    /// For some, or nobody can say.
    Unclear,
}

impl Target {
    /// From the policy's `spec`; `None` where a label is no text.
    pub(super) fn new(namespace: &str, spec: &Node) -> Option<Self> {
        let mut refs: Vec<[String; 3]> = Vec::new();
        let one = spec.get("target_ref").into_iter();
        for target in one.chain(spec.items_of("target_refs")) {
            let text = |name| target.text_at(&[name]).unwrap_or_default().to_owned();
            refs.push([text("group"), text("kind"), text("name")]);
        }
        refs.sort();
        refs.dedup();
        let mut labels = Vec::new();
        for label in spec
            .at(&["selector", "match_labels"])
            .map_or(&[][..], Node::entries)
        {
            let Yaml::Text(value) = &label.node.yaml else {
                return None;
            };
            labels.push((label.name.clone(), value.clone()));
        }
        labels.sort();
        let workloads = match (refs.is_empty(), labels.is_empty()) {
            (true, true) => Workloads::All,
            (true, false) => Workloads::Labels(labels),
            (false, true) => Workloads::Refs(refs),
            (false, false) => return None,
        };
        Some(Self {
            namespace: namespace.to_owned(),
            workloads,
        })
    }

    /// Whether a policy of this target is for the workloads of another one.
    pub(super) fn covers(&self, other: &Self) -> Covers {
        if self == other {
            return Covers::All;
        }
        if self.namespace != other.namespace && self.namespace != ROOT {
            // What is for the whole mesh is for the workloads of this namespace too. Labels in the root
            // namespace are taken to be those of a gateway there.
            return match other.namespace == ROOT && other.workloads == Workloads::All {
                true => Covers::Unclear,
                false => Covers::None,
            };
        }
        match (&self.workloads, &other.workloads) {
            (Workloads::All, Workloads::All | Workloads::Labels(_)) => Covers::All,
            (Workloads::Labels(ours), Workloads::Labels(theirs))
                if ours.iter().all(|label| theirs.contains(label)) =>
            {
                Covers::All
            }
            (Workloads::Refs(ours), Workloads::Refs(theirs))
                if self.namespace == other.namespace
                    && theirs.iter().all(|target| ours.contains(target)) =>
            {
                Covers::All
            }
            (ours, theirs) if ours.may_meet(theirs) => Covers::Unclear,
            _ => Covers::None,
        }
    }
}

impl Workloads {
    /// Whether some workload may be of both.
    fn may_meet(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Labels(ours), Self::Labels(theirs)) => !ours.iter().any(|(name, value)| {
                let same = theirs.iter().find(|(other, _)| other == name);
                same.is_some_and(|(_, other)| other != value)
            }),
            // A gateway may be the one before a service.
            (Self::Refs(ours), Self::Refs(theirs)) => {
                let kinds = |refs: &[[String; 3]]| {
                    let kind = |[_, kind, _]: &[String; 3]| kind.clone();
                    refs.iter().map(kind).collect::<Vec<_>>()
                };
                ours.iter().any(|target| theirs.contains(target)) || kinds(ours) != kinds(theirs)
            }
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Scalars, parse};

    fn target(namespace: &str, spec: &str) -> Target {
        let node = &parse(spec, Some(Scalars::Json)).unwrap()[0];
        Target::new(namespace, node).unwrap()
    }

    #[test]
    fn which_workloads_a_policy_is_for() {
        let a = "{selector: {match_labels: {app: a}}}";
        let a1 = "{selector: {match_labels: {app: a, version: v1}}}";
        let b = "{selector: {match_labels: {app: b}}}";
        let v1 = "{selector: {match_labels: {version: v1}}}";
        let gateway = "{target_refs: [{group: g, kind: Gateway, name: x}]}";
        let both = "{target_refs: [{group: g, kind: Gateway, name: y}, {group: g, kind: Gateway, name: x}]}";
        let other = "{target_ref: {group: g, kind: Gateway, name: z}}";
        let service = "{target_ref: {group: '', kind: Service, name: z}}";
        let table = [
            (("n", "{}"), ("n", a), Covers::All),
            (("n", "{selector: {}}"), ("n", "{}"), Covers::All),
            (("n", a), ("n", "{}"), Covers::Unclear),
            (("n", a), ("n", a1), Covers::All),
            (("n", a1), ("n", a), Covers::Unclear),
            (("n", a), ("n", b), Covers::None),
            (("n", a), ("n", v1), Covers::Unclear),
            (("m", "{}"), ("n", a), Covers::None),
            ((ROOT, "{}"), ("n", a), Covers::All),
            ((ROOT, a), ("n", a1), Covers::All),
            ((ROOT, b), ("n", a1), Covers::None),
            (("n", a), (ROOT, "{}"), Covers::Unclear),
            (("n", "{}"), (ROOT, "{}"), Covers::Unclear),
            (("n", "{}"), (ROOT, a), Covers::None),
            (("n", "{}"), ("n", gateway), Covers::Unclear),
            (("n", both), ("n", gateway), Covers::All),
            (("n", gateway), ("n", both), Covers::Unclear),
            (("n", gateway), ("n", other), Covers::None),
            (("n", gateway), ("n", service), Covers::Unclear),
            (("n", a), ("n", gateway), Covers::Unclear),
        ];
        for ((namespace, spec), (of, other), expected) in table {
            let covers = target(namespace, spec).covers(&target(of, other));
            assert_eq!(covers, expected, "{namespace} {spec} {of} {other}");
        }
    }
}
