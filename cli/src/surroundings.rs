//! Warnings about Envoy's own settings around the plugin's configuration, on which the protection by
//! the filter depends (the checklist in docs/operating.md).

pub(crate) mod sign_in;

use bearer_gate::config::{Config, Endpoint, KeySource, Scheme as SignInScheme};
use bearer_gate::http::uri::{Scheme, Uri};
use bearer_gate::matcher::Condition;

use crate::document::Node;
use crate::finding::Finding;
use crate::plugin::message;

const TLS: &str = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";

fn warning(node: &Node, path: &str, text: impl Into<String>) -> Finding {
    Finding {
        line: node.line,
        column: node.column,
        is_error: false,
        path: path.to_owned(),
        text: text.into(),
    }
}

pub(crate) fn envoy(
    document: &Node,
    manager: Option<&Node>,
    plugin: &Node,
    config: Option<&Config>,
    locate: &dyn Fn(&str) -> (usize, usize),
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(manager) = manager {
        look_at_manager(manager, config, &mut findings);
        if let Some(config) = config {
            look_at_hosts(manager, config, &mut findings);
            sign_in::look_at_manager(manager, plugin, config, &mut findings);
        }
    }
    look_at_plugin(plugin, &mut findings);
    if let (Some(config), Some(_)) = (config, document.get("static_resources")) {
        look_at_clusters(document, config, locate, &mut findings);
    }
    findings
}

fn look_at_manager(manager: &Node, config: Option<&Config>, findings: &mut Vec<Finding>) {
    let mut warn = |name: &str, text: &str| {
        let node = manager.get(name).unwrap_or(manager);
        findings.push(warning(node, name, text));
    };
    for name in ["normalize_path", "merge_slashes"] {
        if !manager.get(name).is_some_and(Node::is_true) {
            warn(
                name,
                "is not true: the upstream may read a path in another way than the rules do",
            );
        }
    }
    let action = manager.text_at(&["path_with_escaped_slashes_action"]);
    let keeps = !matches!(
        action,
        Some("REJECT_REQUEST" | "UNESCAPE_AND_REDIRECT" | "UNESCAPE_AND_FORWARD")
    );
    let mut rules = config.into_iter().flat_map(|config| config.rules.all());
    if rules.any(|rule| rule.escaped_slashes) {
        if !keeps {
            warn(
                "path_with_escaped_slashes_action",
                "is not KEEP_UNCHANGED: a rule has escaped_slashes, and no escaped slash reaches it",
            );
        }
    } else if keeps {
        warn(
            "path_with_escaped_slashes_action",
            "is not REJECT_REQUEST: escaped slashes reach the filter, which answers 400",
        );
    }
    let underscores = manager.text_at(&[
        "common_http_protocol_options",
        "headers_with_underscores_action",
    ]);
    if !matches!(underscores, Some("REJECT_REQUEST" | "DROP_HEADER")) {
        warn(
            "common_http_protocol_options",
            "headers_with_underscores_action is not REJECT_REQUEST: many upstreams read X_User as X-User",
        );
    }
    if manager.get("request_timeout").is_none() {
        warn(
            "request_timeout",
            "is missing: a request that waits in a VM that crashes never ends",
        );
    }
}

/// If hosts decide, Envoy's routes and the upstream must read them as the rules do.
fn look_at_hosts(manager: &Node, config: &Config, findings: &mut Vec<Finding>) {
    let mut warn = |name: &str, text: &str| {
        let node = manager.get(name).unwrap_or(manager);
        findings.push(warning(node, name, text));
    };
    let looks_at_host = |condition: &Condition| match condition {
        Condition::Hosts(_) => true,
        Condition::Header(header) => header.name == ":authority",
        Condition::Methods(_) | Condition::Parameter(_) => false,
    };
    let mut rules = config.rules.all().iter();
    let of_rules = rules.any(|rule| rule.matcher.conditions.iter().any(looks_at_host));
    let of_routes = config.of_routes.is_some();
    let is_true = |name: &str| manager.get(name).is_some_and(Node::is_true);
    if (of_rules || of_routes) && !is_true("strip_trailing_host_dot") {
        warn(
            "strip_trailing_host_dot",
            "is not true, and hosts decide: a.example. is a.example to the rules, and may be another host to Envoy's routes and to the upstream",
        );
    }
    if of_routes && !is_true("strip_matching_host_port") && !is_true("strip_any_host_port") {
        warn(
            "strip_any_host_port",
            "is not true, and routes decide by their metadata: a host with a port may get another route's requirement, or none",
        );
    }
    if of_routes {
        look_at_header_routes(manager, findings);
    }
}

/// If routes decide by their metadata, Envoy must not choose a route by the value of a header.
fn look_at_header_routes(manager: &Node, findings: &mut Vec<Finding>) {
    let hosts = manager
        .at(&["route_config", "virtual_hosts"])
        .map_or(&[][..], Node::items);
    let routes = hosts.iter().flat_map(|host| host.items_of("routes"));
    for route in routes {
        let matched = route.get("match").unwrap_or(route);
        let by_value = matched.items_of("headers").iter().find(|header| {
            // White space does not change whether a header is there.
            header.get("present_match").is_none()
        });
        if let Some(header) = by_value {
            findings.push(warning(
                header,
                "route_config",
                "a header's value chooses the route, and routes decide by their metadata: Envoy compares it with the white space around it, which upstreams take off, so a client can get another route's requirement, or none",
            ));
        }
    }
}

fn look_at_plugin(plugin: &Node, findings: &mut Vec<Finding>) {
    let mut warn = |name: &str, text: &str| {
        let node = plugin.get(name).unwrap_or(plugin);
        findings.push(warning(node, name, text));
    };
    let policy = plugin.text_at(&["failure_policy"]);
    if policy == Some("FAIL_OPEN") || plugin.get("fail_open").is_some_and(Node::is_true) {
        warn(
            "failure_policy",
            "is FAIL_OPEN: when the VM has crashed, everybody gets in",
        );
    } else if policy != Some("FAIL_RELOAD") {
        warn(
            "failure_policy",
            "is not FAIL_RELOAD: a worker whose VM has crashed answers 503 until Envoy restarts",
        );
    }
    let vm_id = plugin.text_at(&["vm_config", "vm_id"]).unwrap_or_default();
    if vm_id.is_empty() {
        warn(
            "vm_config",
            "vm_id is empty: all filters without one can write each other's shared data, keys included",
        );
    }
}

/// Calls to a cluster.
struct Calls<'c> {
    cluster: &'c str,
    /// The field that names it.
    path: String,
    /// Whether the address is https.
    needs_tls: bool,
    /// Whether a client's secret and tokens are in them, or keys only.
    has_secrets: bool,
}

impl<'c> Calls<'c> {
    fn for_keys(cluster: &'c str, path: String, needs_tls: bool) -> Self {
        Self {
            cluster,
            path,
            needs_tls,
            has_secrets: false,
        }
    }

    /// `home`: where the provider's metadata are, or its issuer.
    fn for_tokens(scheme: &'c SignInScheme, home: Option<&str>) -> Self {
        let token = &scheme.endpoints.token;
        let by_home = || Uri::parse(home?).ok().map(|uri| uri.scheme);
        let kind = token.uri.as_ref().map(|uri| uri.scheme).or_else(by_home);
        Self {
            cluster: &token.cluster,
            path: format!("sign_in.schemes.{}.token_endpoint.cluster", scheme.name),
            needs_tls: kind == Some(Scheme::Https),
            has_secrets: true,
        }
    }
}

/// All calls to providers.
fn calls(config: &Config) -> Vec<Calls<'_>> {
    let mut calls = Vec::new();
    for provider in &config.providers {
        let KeySource::Remote(remote) = &provider.keys else {
            continue;
        };
        let path = |field: &str| format!("providers.{}.{field}", provider.name);
        match &remote.endpoint {
            endpoint @ (Endpoint::Jwks(uri) | Endpoint::ByKid(uri)) => {
                let field = match endpoint {
                    Endpoint::ByKid(_) => "aws_alb.http_uri.cluster",
                    _ => "remote_jwks.http_uri.cluster",
                };
                calls.push(Calls::for_keys(
                    uri.cluster.as_str(),
                    path(field),
                    uri.scheme == Scheme::Https,
                ));
            }
            Endpoint::Discovery {
                issuer,
                uri,
                cluster,
                jwks_cluster,
                ..
            } => {
                let home = uri.as_ref().unwrap_or(issuer);
                let tls = Uri::parse(home).is_ok_and(|uri| uri.scheme == Scheme::Https);
                calls.push(Calls::for_keys(
                    cluster,
                    path("openid_discovery.cluster"),
                    tls,
                ));
                if let Some(cluster) = jwks_cluster {
                    calls.push(Calls::for_keys(
                        cluster,
                        path("openid_discovery.jwks_cluster"),
                        tls,
                    ));
                }
            }
        }
    }
    for scheme in config.sign_in.iter().flat_map(|sign_in| &sign_in.schemes) {
        let provider = &config.providers[scheme.provider];
        let issuer = provider.expectations.issuer.written();
        let home = match &provider.keys {
            KeySource::Remote(remote) => match &remote.endpoint {
                Endpoint::Discovery { uri, .. } => uri.as_deref().or(issuer),
                Endpoint::Jwks(_) | Endpoint::ByKid(_) => issuer,
            },
            KeySource::Local(_) => issuer,
        };
        calls.push(Calls::for_tokens(scheme, home));
    }
    calls
}

fn look_at_clusters(
    document: &Node,
    config: &Config,
    locate: &dyn Fn(&str) -> (usize, usize),
    findings: &mut Vec<Finding>,
) {
    let clusters = document
        .at(&["static_resources", "clusters"])
        .map_or(&[][..], Node::items);
    let from_elsewhere = document.at(&["dynamic_resources", "cds_config"]).is_some();
    for call in calls(config) {
        let (name, path) = (call.cluster, call.path);
        let (lost, at_risk) = match call.has_secrets {
            true => ("nobody can sign in", "the client's secret and tokens"),
            false => ("keys cannot be fetched", "keys"),
        };
        let Some(cluster) = clusters
            .iter()
            .find(|cluster| cluster.text_at(&["name"]) == Some(name))
        else {
            if !from_elsewhere {
                let (line, column) = locate(&path);
                findings.push(Finding {
                    line,
                    column,
                    is_error: false,
                    path,
                    text: format!("there is no cluster {name}: {lost}"),
                });
            }
            continue;
        };
        let context = cluster
            .at(&["transport_socket", "typed_config"])
            .and_then(|config| message(config, TLS));
        match context {
            None if call.needs_tls && cluster.get("transport_socket").is_none() => findings.push(warning(
                cluster,
                &path,
                format!(
                    "the address is https and cluster {name} has no TLS: {at_risk} come in the clear"
                ),
            )),
            Some(context) => {
                let common = context.get("common_tls_context");
                let validates = [
                    "validation_context",
                    "validation_context_sds_secret_config",
                    "combined_validation_context",
                ]
                .iter()
                .any(|name| common.is_some_and(|common| common.get(name).is_some()));
                if !validates {
                    findings.push(warning(
                        context,
                        &path,
                        format!("cluster {name} has no validation_context: Envoy accepts any certificate, and {at_risk} are anybody's"),
                    ));
                } else if call.has_secrets && !compares_names(context, cluster) {
                    findings.push(warning(
                        context,
                        &path,
                        format!("cluster {name} takes a certificate of every host that its CA knows, and {at_risk} go there: add match_typed_subject_alt_names to validation_context"),
                    ));
                }
            }
            None => {}
        }
    }
}

/// Whether the certificate must be for a certain name. What comes by SDS is not in the file.
fn compares_names(context: &Node, cluster: &Node) -> bool {
    let by_sni = context.get("auto_sni_san_validation");
    let http = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    let options = cluster.at(&["typed_extension_protocol_options", http]);
    let options = options.and_then(|node| node.get("upstream_http_protocol_options"));
    let by_host = options.and_then(|node| node.get("auto_san_validation"));
    if [by_sni, by_host].into_iter().flatten().any(Node::is_true) {
        return true;
    }
    let common = context.get("common_tls_context");
    let of = |names: &[&str]| common.and_then(|common| common.at(names));
    let combined = "combined_validation_context";
    let shown = [
        of(&["validation_context"]),
        of(&[combined, "default_validation_context"]),
    ];
    let names = ["match_typed_subject_alt_names", "match_subject_alt_names"];
    let mut shown = shown.into_iter().flatten();
    let is_elsewhere = of(&["validation_context_sds_secret_config"]).is_some();
    is_elsewhere || shown.any(|shown| names.iter().any(|name| !shown.items_of(name).is_empty()))
}

pub(crate) fn istio(resource: &Node) -> Vec<Finding> {
    let spec = resource.get("spec").unwrap_or(resource);
    let mut findings = Vec::new();
    let strategy = spec.get("fail_strategy");
    if let Some(node) = strategy.filter(|node| node.text() == Some("FAIL_OPEN")) {
        findings.push(warning(
            node,
            "spec.failStrategy",
            "is FAIL_OPEN: when the VM has crashed, everybody gets in",
        ));
    }
    if spec
        .text_at(&["phase"])
        .is_none_or(|phase| phase != "AUTHN")
    {
        findings.push(warning(
            spec.get("phase").unwrap_or(spec),
            "spec.phase",
            "is not AUTHN: filters that act on who the client is may come before this one",
        ));
    }
    findings
}

pub(crate) fn gateway(wasm: &Node) -> Vec<Finding> {
    let open = wasm.get("fail_open").filter(|node| node.is_true());
    open.map(|node| {
        warning(
            node,
            "spec.wasm.failOpen",
            "is true: when the VM has crashed, everybody gets in",
        )
    })
    .into_iter()
    .collect()
}
