//! `Gateway` and `VirtualService` of Istio: connections that a gateway forwards without reading
//! requests, headers that its routes set, and paths that they rewrite.

use bearer_gate::config::Config;

use super::super::kubernetes::{
    SELECTED, labels, may_be_at, name, namespace, of_kind, spec, targets, title,
};
use super::super::rewrites::{Form, Matched, Rewrite};
use super::super::{cors, headers};
use super::{Workload, workload};
use crate::finding::{Finding, Kind};
use crate::view::{Part, View};

/// Looks at what the gateways of a plugin's workloads do.
pub(super) fn look_at(
    view: &View<'_>,
    resource: Part<'_>,
    config: Option<&Config>,
    findings: &mut Vec<Finding>,
) {
    if workload(view, resource) == Workload::Pod || !targets(resource).is_empty() {
        return;
    }
    for service in of_kind(view, "VirtualService") {
        let gateways = gateways(view, service);
        // one that is in no file may be of the plugin's workloads
        let mut known = gateways.iter();
        let is_of_one =
            known.any(|gateway| gateway.is_none_or(|gateway| may_be_of(gateway, resource)));
        // one without either is what others delegate to
        let is_part = gateways.is_empty() && spec(service).get("hosts").is_none();
        let is_here = is_of_one || is_part;
        if let Some(config) = config.filter(|_| is_here) {
            look_at_headers(service, config, findings);
            look_at_paths(service, config, findings);
            look_at_hosts(view, service, findings);
            cors::look_below(spec(service), findings);
        }
        let known = gateways.iter().flatten();
        if let Some(server) = known
            .filter(|gateway| may_be_of(**gateway, resource))
            .flat_map(|gateway| spec(*gateway).items_of("servers"))
            .find(|server| forwards_connections(*server))
        {
            look_at_connections(view, service, server, findings);
        }
    }
}

/// The gateways that have the routes of a service; `None` for one that is in no file. Without any, only
/// clients in the mesh have them.
pub(super) fn gateways<'d>(view: &View<'d>, service: Part<'d>) -> Vec<Option<Part<'d>>> {
    let named = spec(service).items_of("gateways");
    let named = named.filter_map(|gateway| gateway.node.text());
    named
        .filter(|named| *named != "mesh")
        .map(|named| {
            let (place, own) = match named.split_once('/') {
                Some((place, own)) => (Some(place), own),
                None => (namespace(service), named),
            };
            of_kind(view, "Gateway")
                .find(|gateway| may_be_at(namespace(*gateway), place) && name(*gateway) == own)
        })
        .collect()
}

/// Whether a gateway may be one of the plugin's workloads.
pub(super) fn may_be_of(gateway: Part<'_>, resource: Part<'_>) -> bool {
    let own = labels(resource, SELECTED);
    let wanted = labels(gateway, &["spec", "selector"]);
    let differs = |(name, value): &(&str, &str)| {
        let mut own = own.iter();
        own.any(|(other, another)| other == name && another != value)
    };
    !wanted.iter().any(differs)
}

/// Whether a server reads no requests.
fn forwards_connections(server: Part<'_>) -> bool {
    let protocol = server.node.text_at(&["port", "protocol"]);
    let protocol = protocol.unwrap_or_default().to_ascii_uppercase();
    let mode = server.node.text_at(&["tls", "mode"]);
    let passes = matches!(mode, Some("PASSTHROUGH" | "AUTO_PASSTHROUGH"));
    passes || !(protocol.starts_with("HTTP") || protocol.starts_with("GRPC"))
}

fn look_at_connections(
    view: &View<'_>,
    service: Part<'_>,
    server: Part<'_>,
    findings: &mut Vec<Finding>,
) {
    let services = of_kind(view, "VirtualService");
    let guarded: Vec<&str> = services
        .flat_map(|service| hosts(service, "http"))
        .map(|(_, host)| host)
        .collect();
    let port = server.at(&["port", "number"]);
    let port = port.map_or_else(String::new, |port| port.node.to_json());
    for (part, host) in ["tcp", "tls"].iter().flat_map(|list| hosts(service, list)) {
        let text = format!(
            "{} forwards connections to {host} at port {port} of a gateway that has the filter: no request there comes to the filter",
            title(service)
        );
        let (new, kind): (fn(Kind, _, &str, String) -> Finding, _) = match guarded.contains(&host) {
            true => (Finding::error, Kind::UnguardedChain),
            false => (Finding::warning, Kind::OtherChain),
        };
        findings.push(
            new(kind, part.spot(), "VirtualService", text)
                .write("protocol: HTTPS with a certificate in the Gateway, and http in the VirtualService; or a gateway of its own"),
        );
    }
}

/// Where the routes of a list lead to.
pub(super) fn hosts<'d>(service: Part<'d>, list: &'static str) -> Vec<(Part<'d>, &'d str)> {
    let routes = spec(service).items_of(list);
    let routes = routes.flat_map(|route| route.items_of("route"));
    let destinations = routes.filter_map(|route| route.at(&["destination", "host"]));
    destinations
        .filter_map(|host| Some((host, host.node.text()?)))
        .collect()
}

/// Headers that routes set, behind all plugins.
fn look_at_headers(service: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    for route in spec(service).items_of("http") {
        for level in [route].into_iter().chain(route.items_of("route")) {
            for how in ["set", "add"] {
                let Some(headers) = level.at(&["headers", "request", how]) else {
                    continue;
                };
                for entry in headers.node.entries() {
                    let key = headers.with(&entry.node);
                    let path = format!("http.headers.request.{how}");
                    findings.extend(headers::set_at(key, &entry.name, &path, config));
                }
            }
        }
    }
}

/// Routes to a `ServiceEntry` of which the request's host says where it leads.
fn look_at_hosts(view: &View<'_>, service: Part<'_>, findings: &mut Vec<Finding>) {
    let is_dynamic = |host: &str| {
        let mut entries = of_kind(view, "ServiceEntry");
        host.starts_with('*')
            && entries.any(|entry| {
                let mut hosts = spec(entry).items_of("hosts");
                spec(entry).node.text_at(&["resolution"]) == Some("DYNAMIC_DNS")
                    && hosts.any(|known| known.node.text() == Some(host))
            })
    };
    for (part, host) in hosts(service, "http") {
        if is_dynamic(host) {
            findings.push(
                Finding::warning(
                    Kind::UpstreamChosen,
                    part.spot(),
                    "http.route.destination.host",
                    format!("is {host}, with resolution DYNAMIC_DNS: the client chooses among all hosts of that name, whatever stands there"),
                )
                .write("a host without a wildcard, of a ServiceEntry with resolution: DNS"),
            );
        }
    }
}

/// Paths that routes rewrite, behind all plugins.
fn look_at_paths(service: Part<'_>, config: &Config, findings: &mut Vec<Finding>) {
    for route in spec(service).items_of("http") {
        let mut matched: Vec<Matched<'_>> = route.items_of("match").map(matched_by).collect();
        if matched.is_empty() {
            matched.push(Matched::Prefix("/"));
        }
        let Some(rewrite) = route.get("rewrite").and_then(rewrite_of) else {
            continue;
        };
        for matched in &matched {
            rewrite.look_at(matched, config, findings);
        }
    }
}

fn matched_by(matched: Part<'_>) -> Matched<'_> {
    let text = |how: &str| matched.node.text_at(&["uri", how]);
    let exact = text("exact").map(Matched::Exact);
    let regex = || text("regex").map(Matched::regex);
    let prefix = || Matched::Prefix(text("prefix").unwrap_or("/"));
    exact.or_else(regex).unwrap_or_else(prefix)
}

fn rewrite_of(part: Part<'_>) -> Option<Rewrite<'_>> {
    let text = |names: &[&str]| part.node.text_at(names);
    let regex = || {
        let pattern = text(&["uri_regex_rewrite", "match"])?;
        let by = text(&["uri_regex_rewrite", "rewrite"]);
        Some(Form::each(pattern, by.unwrap_or_default()))
    };
    let form = text(&["uri"]).map(Form::Prefix).or_else(regex)?;
    Some(Rewrite {
        part,
        path: "http.rewrite",
        form,
    })
}
