//! The clusters of providers in Envoy Gateway: those that an `EnvoyProxy` adds to the bootstrap, and
//! those that Envoy Gateway makes of the backends of routes.

use bearer_gate::config::Config;

use super::super::kubernetes::{has_text, name, namespace, of_kind, spec};
use super::super::patches::{brings_chains, way_in};
use super::super::providers::{self, Calls, calls, host_and_port};
use crate::finding::{Finding, Kind};
use crate::plugin::Plugin;
use crate::view::{Group, Part, View};

/// Where a bootstrap has its clusters.
const CLUSTERS: &str = "/static_resources/clusters";

pub(super) fn look_at(
    view: &View<'_>,
    plugin: &Plugin<'_>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    let mut added = Vec::new();
    for proxy in of_kind(view, "EnvoyProxy") {
        let clusters: Vec<Part<'_>> = patches(proxy).flat_map(clusters_of).collect();
        let mut found = Vec::new();
        let group = Group::of_clusters(proxy, clusters.clone());
        providers::look_at(&group, plugin, config, &mut found);
        // A cluster may be in another place.
        found.retain(|finding| finding.kind != Kind::ClusterMissing);
        findings.extend(found);
        added.extend(clusters);
    }
    for call in calls(config) {
        let is_it = |cluster: &Part<'_>| cluster.node.text_at(&["name"]) == Some(call.cluster);
        if added.iter().any(is_it) {
            continue;
        }
        let parts: Vec<&str> = call.cluster.split('/').collect();
        match parts.as_slice() {
            [kind @ ("httproute" | "grpcroute"), rest @ ..] => {
                look_at_route(view, plugin, &call, kind, rest, findings);
            }
            // of another kind of Envoy Gateway's, which the files do not tell
            [_, _, ..] => {}
            _ => look_at_missing(view, plugin, &call, &added, findings),
        }
    }
}

/// The patches of a bootstrap.
fn patches(proxy: Part<'_>) -> impl Iterator<Item = Part<'_>> {
    let bootstrap = spec(proxy).get("bootstrap");
    bootstrap
        .into_iter()
        .flat_map(|bootstrap| bootstrap.items_of("json_patches"))
}

/// Listeners that are added to the bootstrap.
pub(super) fn look_at_listeners(view: &View<'_>, findings: &mut Vec<Finding>) {
    let proxies = of_kind(view, "EnvoyProxy");
    let patches = proxies.flat_map(patches);
    let added = patches.filter_map(|patch| patch.get("value"));
    findings.extend(
        added
            .filter(|value| brings_chains(*value))
            .map(|value| way_in(value, "spec.bootstrap.jsonPatches")),
    );
}

/// What a patch adds to the clusters.
fn clusters_of(patch: Part<'_>) -> Vec<Part<'_>> {
    let path = patch.node.text_at(&["path"]);
    let Some(rest) = path.and_then(|path| path.strip_prefix(CLUSTERS)) else {
        return Vec::new();
    };
    match (rest, patch.get("value")) {
        ("", Some(value)) => value
            .node
            .items()
            .iter()
            .map(|node| value.with(node))
            .chain([value])
            .collect(),
        (_, Some(value)) => vec![value],
        (_, None) => Vec::new(),
    }
}

fn look_at_missing(
    view: &View<'_>,
    plugin: &Plugin<'_>,
    call: &Calls<'_>,
    added: &[Part<'_>],
    findings: &mut Vec<Finding>,
) {
    let proxies: Vec<Part<'_>> = of_kind(view, "EnvoyProxy").collect();
    // A bootstrap as a text is not read.
    let is_text = |proxy: &Part<'_>| spec(*proxy).at(&["bootstrap", "value"]).is_some();
    let mut patches = of_kind(view, "EnvoyPatchPolicy");
    let is_elsewhere =
        proxies.iter().any(is_text) || patches.any(|policy| has_text(policy, "name", call.cluster));
    if proxies.is_empty() || is_elsewhere {
        return;
    }
    let names = added.iter();
    let mut names = names.filter_map(|cluster| cluster.node.text_at(&["name"]));
    let instead = match bearer_gate::config::nearest(call.cluster, &mut names) {
        Some(near) => format!("cluster: {near}"),
        None => format!(
            "a cluster {} in spec.bootstrap of the EnvoyProxy",
            call.cluster
        ),
    };
    findings.push(
        Finding::error(
            Kind::ClusterMissing,
            plugin.spot(&call.path),
            &call.path,
            format!(
                "no EnvoyProxy adds a cluster {}: {}",
                call.cluster,
                call.lost()
            ),
        )
        .write(instead),
    );
}

/// A cluster that Envoy Gateway makes of the backends of a route's rule:
/// `httproute/NAMESPACE/NAME/rule/NUMBER`.
fn look_at_route(
    view: &View<'_>,
    plugin: &Plugin<'_>,
    call: &Calls<'_>,
    kind: &str,
    rest: &[&str],
    findings: &mut Vec<Finding>,
) {
    let missing = |text: String| {
        let spot = plugin.spot(&call.path);
        let text = format!("{text}: {}", call.lost());
        Finding::error(Kind::ClusterMissing, spot, &call.path, text)
            .write(format!("{kind}/NAMESPACE/NAME/rule/0"))
    };
    let [of_namespace, route, "rule", number] = rest else {
        let cluster = call.cluster;
        findings.push(missing(format!(
            "Envoy Gateway gives no cluster the name {cluster}"
        )));
        return;
    };
    let routes = match kind {
        "grpcroute" => "GRPCRoute",
        _ => "HTTPRoute",
    };
    let is_it = |resource: &Part<'_>| {
        name(*resource) == *route && namespace(*resource).is_none_or(|it| it == *of_namespace)
    };
    if of_kind(view, routes).next().is_none() {
        return;
    }
    let Some(resource) = of_kind(view, routes).find(is_it) else {
        findings.push(missing(format!(
            "there is no {routes} {route} in {of_namespace}"
        )));
        return;
    };
    let rule = number.parse().ok();
    let rule = rule.and_then(|number: usize| spec(resource).items_of("rules").nth(number));
    let Some(rule) = rule else {
        findings.push(missing(format!("{routes} {route} has no rule {number}")));
        return;
    };
    if call.needs_tls {
        for backend in rule.items_of("backend_refs") {
            look_at_backend(view, call, backend, findings);
        }
    }
}

/// The TLS of a backend, where the address is https.
fn look_at_backend(
    view: &View<'_>,
    call: &Calls<'_>,
    backend: Part<'_>,
    findings: &mut Vec<Finding>,
) {
    let kind = backend.node.text_at(&["kind"]).unwrap_or("Service");
    let own_name = backend.node.text_at(&["name"]).unwrap_or_default();
    let host = call.uri.as_ref().map(|uri| host_and_port(uri).0);
    let shown = host.as_deref().unwrap_or("HOST");
    let is_for_it = |policy: &Part<'_>| {
        let targets = super::super::kubernetes::targets(*policy);
        let mut targets = targets.iter();
        targets.any(|target| target.kind == kind && target.name == own_name)
    };
    let policy = of_kind(view, "BackendTLSPolicy").find(is_for_it);
    let mut backends = of_kind(view, "Backend").filter(|it| name(*it) == own_name);
    let tls = match kind {
        "Backend" => backends.next().and_then(|it| spec(it).get("tls")),
        _ => None,
    };
    if let Some(skips) = tls
        .and_then(|tls| tls.get("insecure_skip_verify"))
        .filter(|skips| skips.node.is_true())
    {
        findings.push(
            Finding::error(
                Kind::CertificateUnverified,
                skips.spot(),
                "spec.tls.insecureSkipVerify",
                format!(
                    "is true: who is in between brings keys of their own, and {} are anybody's",
                    call.at_risk()
                ),
            )
            .write(format!("a BackendTLSPolicy with hostname: {shown}")),
        );
        return;
    }
    match (policy, tls) {
        (Some(policy), _) => {
            let hostname = spec(policy).at(&["validation", "hostname"]);
            let other = hostname.filter(|name| name.node.text() != host.as_deref());
            if let (Some(hostname), Some(host)) = (other, &host) {
                findings.push(
                    Finding::warning(
                        Kind::CertificateName,
                        hostname.spot(),
                        "spec.validation.hostname",
                        format!("is not {host}, where the address is: that host's certificate is refused, and another one's is believed"),
                    )
                    .write(format!("hostname: {host}")),
                );
            }
        }
        (None, Some(_)) => {}
        (None, None) => findings.push(
            Finding::error(
                Kind::ClusterWithoutTls,
                backend.spot(),
                "BackendTLSPolicy",
                format!(
                    "there is none for {kind} {own_name}, and the address is https: {} come in the clear, or not at all",
                    call.at_risk()
                ),
            )
            .write(format!(
                "spec: {{targetRefs: [{{kind: {kind}, name: {own_name}}}], validation: {{hostname: {shown}, wellKnownCACertificates: System}}}}"
            )),
        ),
    }
}
