//! Istio's RequestAuthentication and AuthorizationPolicy.
//!
//! istiod makes a jwt_authn filter of the first and RBAC filters of the second. What these two come to
//! for one target becomes one configuration.
//!
//! Invariant: a policy that may be for a workload of a target counts for it, or the target is open.

mod authentication;
mod message;
mod policy;
mod target;

use super::access::{self, Access, Provider, Words};
use super::kubernetes::{Converted, Resource, Resources};
use super::{Change, ChangeKind, read, tree};
use crate::command_error::CommandError;
use crate::document::{Node, Yaml};
use authentication::Rule;
use policy::Reader;
use target::{Covers, ROOT, Target, Workloads};

/// What differs, whatever the policies.
const ALWAYS: [&str; 6] = [
    "a request without a token that a rule asks for is 401, not 403",
    "hosts are compared without port and final dot: a.example:8080 is a.example",
    "a method in lower case, and a header in several lines, are 400 where a rule looks at them",
    "a CORS preflight with a bad token is 401",
    "what reads claims of jwt_authn elsewhere (VirtualServices by @request.auth.claims, EnvoyFilters, telemetry) finds none",
    "policies that are not in the files stay as they are, but see no claims where RequestAuthentication is taken away: a DENY by claims no longer denies",
];

/// A resource as it was read.
struct Policy<'r> {
    resource: &'r Resource,
    spec: Node,
    target: Target,
    /// Whether all of it was read.
    is_certain: bool,
}

impl Policy<'_> {
    fn is_authentication(&self) -> bool {
        self.resource.kind == "RequestAuthentication"
    }

    /// How it is called in a message.
    fn title(&self) -> String {
        format!("{} {}", self.resource.kind, self.resource.name)
    }

    fn has_rules(&self) -> bool {
        !self.spec.items_of("jwt_rules").is_empty()
    }

    /// Whether nothing of it is enforced.
    fn is_dry_run(&self) -> bool {
        let annotations = ["metadata", "annotations"];
        let annotations = self
            .resource
            .node
            .at(&annotations)
            .map_or(&[][..], Node::entries);
        let dry_run = annotations
            .iter()
            .find(|entry| entry.name == "istio.io/dry-run");
        // As Go's `ParseBool` reads it.
        let is_true = |text: &str| ["1", "t", "T", "true", "TRUE", "True"].contains(&text);
        dry_run.is_some_and(|entry| entry.node.text().is_some_and(is_true))
    }
}

fn change(kind: ChangeKind, node: &Node, path: &str, text: impl Into<String>) -> Change {
    Change {
        line: node.line,
        path: path.to_owned(),
        text: text.into(),
        kind,
    }
}

/// One configuration for each target that has a RequestAuthentication.
///
/// # Errors
/// There is none with rules.
pub(super) fn convert(resources: &Resources) -> Result<Vec<Converted>, CommandError> {
    let mut policies: Vec<Policy<'_>> = Vec::new();
    let mut problems = Vec::new();
    let of_istio = |resource: &&Resource| resource.kind != "SecurityPolicy";
    for resource in resources.read.iter().filter(of_istio) {
        let empty = tree::object(&resource.node, []);
        let written = resource.node.get("spec").unwrap_or(&empty);
        let message = match resource.kind {
            "RequestAuthentication" => &message::REQUEST_AUTHENTICATION,
            _ => &message::AUTHORIZATION_POLICY,
        };
        let (spec, found) = read::read(written, message);
        let is_certain = found.is_empty();
        problems.extend(found.into_iter().map(|problem| Change {
            path: format!("spec.{}", problem.path),
            ..Change::from(problem)
        }));
        // A name such as `n` or `on` is no text without quotes.
        let namespace = resource.node.at(&["metadata", "namespace"]);
        let is_named = namespace.is_none_or(|node| node.text().is_some());
        match Target::new(&resource.namespace, &spec).filter(|_| is_named) {
            Some(target) => policies.push(Policy {
                resource,
                spec,
                target,
                is_certain,
            }),
            None => {
                let text = "is for workloads that nobody can tell: by labels and by targetRefs, or by a label or a namespace that is no text";
                problems.push(change(
                    ChangeKind::Open,
                    &resource.node,
                    "spec.selector",
                    text,
                ));
            }
        }
    }
    let mut targets: Vec<&Target> = Vec::new();
    for policy in &policies {
        let is_authenticated = policies
            .iter()
            .any(|other| other.has_rules() && other.target.covers(&policy.target) == Covers::All);
        if is_authenticated && !targets.contains(&&policy.target) {
            targets.push(&policy.target);
        }
    }
    if targets.is_empty() {
        return Err(CommandError::usage(
            "no RequestAuthentication with jwtRules is in the files: an AuthorizationPolicy by itself has no tokens to look at, and stays with Istio",
        ));
    }
    let several = targets.len() > 1;
    let mut converted: Vec<Converted> = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        let mut conversion = Conversion {
            policies: &policies,
            target,
            changes: Vec::new(),
        };
        let node = conversion.whole();
        let name = match several {
            true => format!("bearer-gate-{}", index + 1),
            false => "bearer-gate".to_owned(),
        };
        converted.push(Converted {
            resource: resource(target, &name, &node, &policies),
            node,
            oidc: None,
            changes: conversion.changes,
            always: ALWAYS.to_vec(),
            from: "Istio's RequestAuthentication and AuthorizationPolicy",
        });
    }
    if let Some(last) = converted.last_mut() {
        for policy in &policies {
            let is_used = targets
                .iter()
                .any(|target| policy.target.covers(target) != Covers::None);
            if !is_used {
                let text = format!(
                    "{} is for workloads without a RequestAuthentication here, and stays with Istio",
                    policy.title()
                );
                last.changes.push(change(
                    ChangeKind::LeftOut,
                    &policy.resource.node,
                    "spec",
                    text,
                ));
            }
        }
        last.changes.extend(problems);
    }
    Ok(converted)
}

struct Conversion<'c> {
    policies: &'c [Policy<'c>],
    target: &'c Target,
    changes: Vec<Change>,
}

impl<'c> Conversion<'c> {
    fn whole(&mut self) -> Node {
        let policies = self.those_that_count();
        let rules = jwt_rules(&policies);
        let at = policies.first().map_or_else(
            || {
                tree::value(
                    &Node {
                        line: 1,
                        column: 1,
                        yaml: Yaml::Null,
                    },
                    Yaml::Null,
                )
            },
            |policy| tree::object(&policy.resource.node, []),
        );
        let mut providers = tree::object(&at, []);
        for rule in &rules {
            let provider = rule.provider(&mut self.changes);
            tree::set(&mut providers, &rule.name, provider);
        }
        let access = self.access(&policies, &rules);
        let delimited = self.delimited(&access, &rules);
        let claims: Vec<&str> = delimited.as_deref().into_iter().collect();
        let words = delimited.as_ref().map(|tested| Words {
            tested,
            claims: &claims,
        });
        let path = "spec.rules";
        access.configuration(providers, words.as_ref(), &at, path, &mut self.changes)
    }

    /// The policies of this target's workloads.
    fn those_that_count(&mut self) -> Vec<&'c Policy<'c>> {
        let mut counting = Vec::new();
        for policy in self.policies {
            let node = &policy.resource.node;
            match policy.target.covers(self.target) {
                Covers::None => continue,
                Covers::Unclear => {
                    let is_own = self.policies.iter().any(|other| {
                        other.has_rules() && other.target.covers(&policy.target) == Covers::All
                    });
                    let text = match is_own {
                        true => format!(
                            "{} is for some of the workloads of this configuration, which are of another one too: WasmPlugins add up, so give each of them workloads of its own",
                            policy.title()
                        ),
                        false => format!(
                            "{} may be for workloads of this configuration: nobody can tell",
                            policy.title()
                        ),
                    };
                    self.changes
                        .push(change(ChangeKind::Open, node, "spec.selector", text));
                    continue;
                }
                Covers::All => {}
            }
            if policy.target.namespace == ROOT && self.target.namespace != ROOT {
                let text = format!(
                    "{} is taken to be for all namespaces, since {ROOT} is the root namespace of most meshes",
                    policy.title()
                );
                self.changes.push(change(
                    ChangeKind::Differs,
                    node,
                    "metadata.namespace",
                    text,
                ));
            }
            if policy.target != *self.target && !policy.is_authentication() {
                let text = format!(
                    "{} is for other workloads too, and counts here: where it stays and allows, put an AuthorizationPolicy with `rules: [{{}}]` for these workloads in place of theirs",
                    policy.title()
                );
                self.changes
                    .push(change(ChangeKind::Added, node, "spec.selector", text));
            }
            counting.push(policy);
        }
        counting
    }

    /// The rules of AuthorizationPolicies: those that deny first.
    fn access(&mut self, policies: &[&'c Policy<'c>], rules: &[Rule<'_>]) -> Access {
        let mut own_headers: Vec<String> = rules.iter().flat_map(Rule::own_headers).collect();
        own_headers.sort();
        let (mut denying, mut allowing) = (Vec::new(), Vec::new());
        let mut is_allowing = false;
        for policy in policies.iter().filter(|policy| !policy.is_authentication()) {
            let node = policy.spec.get("action").unwrap_or(&policy.resource.node);
            let action = policy.spec.text_at(&["action"]).unwrap_or("ALLOW");
            let admits = match action {
                _ if policy.is_dry_run() => {
                    let text = "is a dry run, which Istio does not enforce";
                    self.changes.push(change(
                        ChangeKind::LeftOut,
                        node,
                        "metadata.annotations",
                        text,
                    ));
                    continue;
                }
                "ALLOW" => true,
                "DENY" => false,
                "AUDIT" => {
                    let text = "AUDIT decides nothing";
                    self.changes
                        .push(change(ChangeKind::LeftOut, node, "spec.action", text));
                    continue;
                }
                other => {
                    let text = format!(
                        "{other} asks somebody else, whom this filter does not know: keep it in an AuthorizationPolicy, and see that nothing in it is about tokens"
                    );
                    self.changes
                        .push(change(ChangeKind::Open, node, "spec.action", text));
                    continue;
                }
            };
            is_allowing |= admits;
            let mut reader = Reader {
                admits,
                own_headers: &own_headers,
                entries: Vec::new(),
                changes: Vec::new(),
                looks_at_hosts: None,
            };
            reader.policy(&policy.spec, "spec");
            self.changes.append(&mut reader.changes);
            if let Some((line, path)) = reader.looks_at_hosts {
                self.changes.push(Change {
                    line,
                    path,
                    text: "are compared without port and final dot: Istio compares what the client sent, so a host with a port was another one".to_owned(),
                    kind: ChangeKind::Differs,
                });
            }
            // What was not read allows nothing, and denies everything.
            if !policy.is_certain {
                reader.entries.clear();
                reader.entries.extend((!admits).then(|| access::Entry {
                    request: Vec::new(),
                    token: Vec::new(),
                    admits,
                    line: node.line,
                    path: "spec".to_owned(),
                }));
            }
            match admits {
                true => allowing.append(&mut reader.entries),
                false => denying.append(&mut reader.entries),
            }
        }
        denying.append(&mut allowing);
        let providers = rules.iter().map(|rule| Provider {
            name: rule.name.clone(),
            issuer: rule.issuer().to_owned(),
        });
        Access {
            entries: denying,
            otherwise: !is_allowing,
            providers: providers.collect(),
            token_may_be_missing: true,
        }
    }

    /// The one claim whose text is a list of words, if rules test one.
    fn delimited(&mut self, access: &Access, rules: &[Rule<'_>]) -> Option<String> {
        let mut found: Option<String> = None;
        for entry in &access.entries {
            for test in &entry.token {
                let [claim] = test.path.as_slice() else {
                    continue;
                };
                let is_one = |rule: &Rule<'_>| rule.is_delimited(claim);
                if !rules.iter().any(is_one) || found.as_ref() == Some(claim) {
                    continue;
                }
                if found.is_none() && rules.iter().all(is_one) {
                    found = Some(claim.clone());
                    continue;
                }
                self.changes.push(Change {
                    line: entry.line,
                    path: entry.path.clone(),
                    text: format!("tests the words of {claim}, beside those of another claim or of some issuers only: one claim has the scopes here"),
                    kind: ChangeKind::Open,
                });
            }
        }
        found
    }
}

/// All rules of RequestAuthentications, each with a name for its provider.
fn jwt_rules<'p>(policies: &[&'p Policy<'p>]) -> Vec<Rule<'p>> {
    let mut rules: Vec<Rule<'p>> = Vec::new();
    for policy in policies.iter().filter(|policy| policy.is_authentication()) {
        for (index, node) in policy.spec.items_of("jwt_rules").iter().enumerate() {
            let base = match policy.resource.name.as_str() {
                "" => "idp",
                name => name,
            };
            let mut name = base.to_owned();
            let mut number = 2;
            while rules.iter().any(|rule| rule.name == name) {
                name = format!("{base}-{number}");
                number += 1;
            }
            rules.push(Rule {
                node,
                path: format!("spec.jwtRules[{index}]"),
                name,
            });
        }
    }
    rules
}

/// The WasmPlugin, without its configuration.
fn resource(target: &Target, name: &str, at: &Node, policies: &[Policy<'_>]) -> Node {
    let at = tree::object(at, []);
    let text = |text: &str| tree::text(&at, text);
    let mut metadata = tree::object(&at, [("name", text(name))]);
    if !target.namespace.is_empty() {
        tree::set(&mut metadata, "namespace", text(&target.namespace));
    }
    let mut spec = tree::object(&at, []);
    let of_target = policies.iter().find(|policy| policy.target == *target);
    match &target.workloads {
        Workloads::All => {}
        Workloads::Labels(labels) => {
            let labels = labels
                .iter()
                .map(|(name, value)| (name.as_str(), text(value)));
            let labels = tree::object(&at, labels);
            let selector = tree::object(&at, [("matchLabels", labels)]);
            tree::set(&mut spec, "selector", selector);
        }
        Workloads::Refs(_) => {
            let written = of_target.map(|policy| &policy.spec);
            let one = written.and_then(|spec| spec.get("target_ref")).into_iter();
            let many = written.map_or(&[][..], |spec| spec.items_of("target_refs"));
            let refs = one.chain(many).cloned().collect();
            tree::set(&mut spec, "targetRefs", tree::list(&at, refs));
        }
    }
    for (field, value) in [
        ("url", "oci://registry.example.com/bearer-gate:0.1.0"),
        ("pluginName", "bearer-gate"),
        ("phase", "AUTHN"),
        ("failStrategy", "FAIL_RELOAD"),
    ] {
        tree::set(&mut spec, field, text(value));
    }
    tree::note(
        &mut spec,
        "url",
        "Change the image. On a sidecar add `match: [{mode: SERVER}]`, or what its workload asks of others needs a token too; not on a gateway, where nothing would be protected then.",
    );
    tree::object(
        &at,
        [
            ("apiVersion", text("extensions.istio.io/v1alpha1")),
            ("kind", text("WasmPlugin")),
            ("metadata", metadata),
            ("spec", spec),
        ],
    )
}
