//! The clusters that calls to providers go to.

use bearer_gate::config::{Config, Endpoint, KeySource, Scheme as SignInScheme};
use bearer_gate::http::uri::{Scheme, Uri};

use crate::document::Node;
use crate::finding::{Finding, Kind};
use crate::plugin::{Plugin, message};
use crate::view::Group;

const TLS: &str = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";

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

pub(super) fn look_at(
    group: &Group<'_>,
    plugin: &Plugin<'_>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    if group.bootstrap.is_none() {
        return;
    }
    for call in calls(config) {
        let (name, path) = (call.cluster, call.path);
        let (lost, at_risk) = match call.has_secrets {
            true => ("nobody can sign in", "the client's secret and tokens"),
            false => ("keys cannot be fetched", "keys"),
        };
        let Some(cluster) = group.cluster(name) else {
            if group.has_all_clusters() {
                findings.push(Finding::warning(
                    Kind::ClusterMissing,
                    plugin.spot(&path),
                    &path,
                    format!("there is no cluster {name}: {lost}"),
                ));
            }
            continue;
        };
        let context = cluster
            .at(&["transport_socket", "typed_config"])
            .and_then(|config| message(config.node, TLS).map(|node| config.with(node)));
        match context {
            None if call.needs_tls && cluster.get("transport_socket").is_none() => {
                findings.push(Finding::warning(
                    Kind::ClusterWithoutTls,
                    cluster.spot(),
                    &path,
                    format!("the address is https and cluster {name} has no TLS: {at_risk} come in the clear"),
                ));
            }
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
                    findings.push(Finding::warning(
                        Kind::CertificateUnverified,
                        context.spot(),
                        &path,
                        format!("cluster {name} has no validation_context: Envoy accepts any certificate, and {at_risk} are anybody's"),
                    ));
                } else if call.has_secrets && !compares_names(context.node, cluster.node) {
                    findings.push(Finding::warning(
                        Kind::CertificateName,
                        context.spot(),
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
