//! Envoy Gateway's SecurityPolicy: its `oidc`, its `jwt` and its `authorization`.
//!
//! Envoy Gateway makes an oauth2, a jwt_authn and an RBAC filter of them, for the routes of the policy's targets. An
//! EnvoyExtensionPolicy has the same targets, and as with a SecurityPolicy that of a route replaces that
//! of its Gateway.
//!
//! Invariant: an entry that is not carried over makes what is allowed less and what is denied more.

mod message;
mod policy;
mod provider;

use super::access::{Access, Provider, Words};
use super::kubernetes::{Converted, Resource, Resources};
use super::oidc::Oidc;
use super::{Change, ChangeKind, read, tree};
use crate::document::{Node, Yaml};
use policy::Reader;

/// What differs, whatever the policy.
const ALWAYS: [&str; 4] = [
    "a request without a token that a rule asks for is 401, not 403",
    "a header in several lines is 400 where a rule looks at it",
    "what reads claims of jwt_authn elsewhere (EnvoyPatchPolicies, Lua, access logs) finds none",
    "Lua and external processors run before this filter, where they ran after jwt and oidc: see filterOrder of the EnvoyProxy",
];
/// What a SecurityPolicy has besides, and what becomes of it.
const OTHERS: [(&str, &str); 6] = [
    (
        "target_selectors",
        "an EnvoyExtensionPolicy with these targets is for whatever they select: name each of them in targetRefs",
    ),
    (
        "merge_type",
        "the policy is joined with that of the Gateway: write both into one",
    ),
    (
        "api_key_auth",
        "keys of an API are no tokens: keep a SecurityPolicy for them",
    ),
    (
        "csrf",
        "is not looked at here: keep a SecurityPolicy for it",
    ),
    (
        "basic_auth",
        "passwords are no tokens: keep a SecurityPolicy for them",
    ),
    (
        "ext_auth",
        "asks somebody else, whom this filter does not know: keep a SecurityPolicy for it",
    ),
];
/// Claims that Envoy Gateway has split into words.
const SCOPES: [&str; 2] = ["scope", "scp"];
/// Kinds that a filter can be for.
const KINDS: [&str; 3] = ["Gateway", "HTTPRoute", "GRPCRoute"];

/// One configuration for each policy with a `jwt`.
pub(super) fn convert(resources: &Resources) -> Vec<Converted> {
    let policies = resources.read.iter();
    let policies: Vec<&Resource> = policies
        .filter(|resource| resource.kind == "SecurityPolicy")
        .collect();
    let mut converted: Vec<Converted> = Vec::new();
    let mut left = Vec::new();
    for resource in &policies {
        let has = |field: &str| resource.node.at(&["spec", field]).is_some();
        if !has("jwt") && !has("oidc") {
            left.push(Change {
                line: resource.node.line,
                path: "spec".to_owned(),
                text: format!("SecurityPolicy {} has nothing of tokens and stays; where it is for a route, the plugin of its Gateway is for that route too", resource.name),
                kind: ChangeKind::Differs,
            });
            continue;
        }
        converted.push(policy(resource, converted.len() + 1, policies.len() > 1));
    }
    let mut signing_in = converted.iter_mut().filter(|one| one.oidc.is_some());
    let _first = signing_in.next();
    for other in signing_in {
        other.changes.push(Change {
            line: other.node.line,
            path: "spec.oidc".to_owned(),
            text: "has the scheme `web`, as another policy has: where both are for one host, each deletes the sessions of the other. Give it another name, in its rules too".to_owned(),
            kind: ChangeKind::Differs,
        });
    }
    if let Some(last) = converted.last_mut() {
        last.changes.append(&mut left);
    }
    converted
}

fn policy(resource: &Resource, number: usize, several: bool) -> Converted {
    let at = tree::object(&resource.node, []);
    let written = resource.node.get("spec").unwrap_or(&at);
    let (spec, problems) = read::read(written, &message::SECURITY_POLICY);
    let is_certain = problems.is_empty();
    let mut changes: Vec<Change> = problems
        .into_iter()
        .map(|problem| Change {
            path: format!("spec.{}", problem.path),
            ..Change::from(problem)
        })
        .collect();
    let mut say = |kind, node: &Node, path: &str, text: &str| {
        changes.push(Change {
            line: node.line,
            path: format!("spec.{path}"),
            text: text.to_owned(),
            kind,
        });
    };
    for (field, text) in OTHERS {
        if let Some(node) = spec.get(field) {
            say(ChangeKind::Open, node, field, text);
        }
    }
    if let Some(cors) = written.get("cors") {
        let text = "stays in the SecurityPolicy: it decides nothing about access";
        say(ChangeKind::LeftOut, cors, "cors", text);
    }
    let targets: Vec<&Node> = spec
        .get("target_ref")
        .into_iter()
        .chain(spec.items_of("target_refs"))
        .collect();
    for target in &targets {
        let kind = target.text_at(&["kind"]).unwrap_or_default();
        if !KINDS.contains(&kind) {
            let text =
                "is no target that is certain: a Gateway, an HTTPRoute or a GRPCRoute is one";
            say(ChangeKind::Open, target, "targetRefs", text);
        }
    }
    if targets.is_empty() && spec.get("target_selectors").is_none() {
        say(ChangeKind::Open, &resource.node, "targetRefs", "is missing");
    }
    if let Some(fails) = spec.at(&["jwt", "fail_open"]).filter(|node| node.is_true()) {
        let text = "lets requests with bad tokens pass: where that has to be, say allow_missing_or_failed in the rules";
        say(ChangeKind::Open, fails, "jwt.failOpen", text);
    }
    let mut whole = Conversion {
        spec: &spec,
        is_certain,
        changes,
    };
    let node = whole.whole(&at);
    let oidc = Oidc::of(&spec, &mut whole.changes);
    let name = match several {
        true => format!("bearer-gate-{number}"),
        false => "bearer-gate".to_owned(),
    };
    Converted {
        resource: extension(resource, &name, &targets, &at),
        node,
        oidc,
        changes: whole.changes,
        always: ALWAYS.to_vec(),
        from: "Envoy Gateway's SecurityPolicy",
    }
}

struct Conversion<'c> {
    spec: &'c Node,
    /// Whether all of it was read.
    is_certain: bool,
    changes: Vec<Change>,
}

impl Conversion<'_> {
    fn whole(&mut self, at: &Node) -> Node {
        let items = self
            .spec
            .at(&["jwt", "providers"])
            .map_or(&[][..], Node::items);
        let mut providers = tree::object(at, []);
        let mut known: Vec<Provider> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let path = format!("spec.jwt.providers[{index}]");
            let text = |field: &str| item.text_at(&[field]).unwrap_or_default().to_owned();
            let provider = provider::provider(item, &path, &mut self.changes);
            tree::set(&mut providers, &text("name"), provider);
            known.push(Provider {
                name: text("name"),
                issuer: text("issuer"),
            });
        }
        let access = self.access(known);
        let words = Words {
            tested: "scope",
            claims: &SCOPES,
        };
        let words = access.tests(words.tested).then_some(words);
        access.configuration(
            providers,
            words.as_ref(),
            at,
            "spec.authorization",
            &mut self.changes,
        )
    }

    fn access(&mut self, providers: Vec<Provider>) -> Access {
        let optional = self.spec.at(&["jwt", "optional"]);
        let mut access = Access {
            entries: Vec::new(),
            otherwise: true,
            providers,
            token_may_be_missing: self.spec.get("jwt").is_none()
                || optional.is_some_and(Node::is_true),
        };
        let Some(authorization) = self.spec.get("authorization") else {
            return access;
        };
        // Rules tell providers apart, and deny, by their issuers.
        let issuers = || access.providers.iter().map(|provider| &provider.issuer);
        let is_twice = |issuer: &String| issuers().filter(|other| *other == issuer).count() > 1;
        if issuers().any(|issuer| issuer.is_empty() || is_twice(issuer)) {
            self.changes.push(Change {
                line: authorization.line,
                path: "spec.authorization".to_owned(),
                text: "needs an issuer of each provider, and another one of each: rules tell tokens apart by it".to_owned(),
                kind: ChangeKind::Open,
            });
            access.otherwise = false;
            return access;
        }
        access.otherwise = authorization.text_at(&["default_action"]) == Some("Allow");
        let mut reader = Reader {
            providers: &access.providers,
            own_headers: provider::own_headers(self.spec),
            entries: Vec::new(),
            changes: Vec::new(),
        };
        for (index, rule) in authorization.items_of("rules").iter().enumerate() {
            reader.rule(rule, &format!("spec.authorization.rules[{index}]"));
        }
        self.changes.append(&mut reader.changes);
        // What was not read allows nothing.
        match self.is_certain {
            true => access.entries = reader.entries,
            false => access.otherwise = false,
        }
        access
    }
}

/// The EnvoyExtensionPolicy, without its configuration.
fn extension(resource: &Resource, name: &str, targets: &[&Node], at: &Node) -> Node {
    let text = |text: &str| tree::text(at, text);
    let mut metadata = tree::object(at, [("name", text(name))]);
    if !resource.namespace.is_empty() {
        tree::set(&mut metadata, "namespace", text(&resource.namespace));
    }
    let targets = targets.iter().map(|target| {
        let mut written = tree::object(target, []);
        for (theirs, field) in [
            ("group", "group"),
            ("kind", "kind"),
            ("name", "name"),
            ("section_name", "sectionName"),
        ] {
            if let Some(node) = target.get(theirs) {
                tree::set(&mut written, field, node.clone());
            }
        }
        written
    });
    let image = tree::object(
        at,
        [("url", text("registry.example.com/bearer-gate:0.1.0"))],
    );
    let code = [("type", text("Image")), ("image", image)];
    let no = tree::value(at, Yaml::Bool(false));
    let mut wasm = tree::object(
        at,
        [
            ("name", text("bearer-gate")),
            ("failOpen", no),
            ("code", tree::object(at, code)),
        ],
    );
    tree::note(&mut wasm, "code", "Change the image.");
    let spec = [
        ("targetRefs", tree::list(at, targets.collect())),
        ("wasm", tree::list(at, vec![wasm])),
    ];
    tree::object(
        at,
        [
            ("apiVersion", text("gateway.envoyproxy.io/v1alpha1")),
            ("kind", text("EnvoyExtensionPolicy")),
            ("metadata", metadata),
            ("spec", tree::object(at, spec)),
        ],
    )
}
