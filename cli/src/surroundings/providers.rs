//! The calls to providers and to the shared store: the clusters that they go to, and how long they may take.

pub(super) mod tls;

use std::time::Duration;

use bearer_gate::config::{Config, Endpoint, KeySource, Scheme as SignInScheme, Upstream, nearest};
use bearer_gate::desk::book::MARGIN;
use bearer_gate::desk::line;
use bearer_gate::document::lifecycle::fetch_time;
use bearer_gate::http::uri::{Scheme, Uri};
use bearer_gate::jwks::remote_keys::RemoteKeys;

use super::beside::{endpoints, is_localhost};
use crate::document::Node;
use crate::finding::{Finding, Kind};
use crate::plugin::Plugin;
use crate::view::{Group, Part};

/// A longer timeout is a mistake: a request may wait for it, and nobody waits for so long.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Calls to a cluster.
pub(super) struct Calls<'c> {
    pub cluster: &'c str,
    /// The field that names it.
    pub path: String,
    /// Where they go, where that is known before the provider's metadata are.
    pub uri: Option<Uri>,
    /// Whether the address is https.
    pub needs_tls: bool,
    cargo: Cargo,
    timeout: Duration,
}

/// What goes over calls.
#[derive(Clone, Copy)]
enum Cargo {
    Keys,
    /// A client's secret, and tokens.
    Secrets,
    /// What ended in other Envoys.
    SignOuts,
}

impl<'c> Calls<'c> {
    /// `uri`: the address; where it is not known, `home` tells its scheme.
    fn new(
        cluster: &'c str,
        path: String,
        uri: Option<Uri>,
        home: Option<&str>,
        timeout: Duration,
    ) -> Self {
        let by_home = || Uri::parse(home?).ok().map(|uri| uri.scheme);
        let scheme = uri.as_ref().map(|uri| uri.scheme).or_else(by_home);
        Self {
            cluster,
            path,
            uri,
            needs_tls: scheme == Some(Scheme::Https),
            cargo: Cargo::Keys,
            timeout,
        }
    }

    fn of_scheme(
        scheme: &'c SignInScheme,
        field: &str,
        upstream: &'c Upstream,
        home: Option<&str>,
    ) -> Self {
        let path = format!("sign_in.schemes.{}.{field}.cluster", scheme.name);
        let calls = Self::new(
            &upstream.cluster,
            path,
            upstream.uri.clone(),
            home,
            upstream.timeout,
        );
        Self {
            cargo: Cargo::Secrets,
            ..calls
        }
    }

    /// What is lost without them.
    pub(super) fn lost(&self) -> &'static str {
        match self.cargo {
            Cargo::Secrets => "nobody can sign in",
            Cargo::Keys => "keys cannot be fetched",
            Cargo::SignOuts => "no session counts, or sign-outs stay in this Envoy",
        }
    }

    /// What goes over them.
    pub(super) fn at_risk(&self) -> &'static str {
        match self.cargo {
            Cargo::Secrets => "the client's secret and tokens",
            Cargo::Keys => "keys",
            Cargo::SignOuts => "sign-outs",
        }
    }
}

/// All calls to providers, those with secrets first, and to the shared store.
pub(super) fn calls(config: &Config) -> Vec<Calls<'_>> {
    let mut calls = Vec::new();
    for scheme in config.sign_in.iter().flat_map(|sign_in| &sign_in.schemes) {
        let provider = &config.providers[scheme.provider];
        let issuer = provider.expectations.issuer.written();
        let home = match &provider.keys {
            KeySource::Remote(remote) => remote.endpoint.home().or(issuer),
            KeySource::Local(_) => issuer,
        };
        let endpoints = &scheme.endpoints;
        for (field, upstream) in [
            ("token_endpoint", Some(&endpoints.token)),
            ("revocation_endpoint", endpoints.revocation.as_ref()),
            (
                "pushed_authorization_request_endpoint",
                endpoints.pushed_authorization.as_ref(),
            ),
        ] {
            calls.extend(upstream.map(|upstream| Calls::of_scheme(scheme, field, upstream, home)));
        }
    }
    for provider in &config.providers {
        let KeySource::Remote(remote) = &provider.keys else {
            continue;
        };
        let path = |field: &str| format!("providers.{}.{field}", provider.name);
        match &remote.endpoint {
            endpoint @ (Endpoint::Jwks(uri) | Endpoint::ByKid(uri)) => {
                let own = path(match endpoint {
                    Endpoint::ByKid(_) => "aws_alb.http_uri.cluster",
                    _ => "remote_jwks.http_uri.cluster",
                });
                let address = Some(uri.address(""));
                calls.push(Calls::new(&uri.cluster, own, address, None, uri.timeout));
            }
            endpoint @ Endpoint::Discovery {
                cluster,
                jwks_cluster,
                timeout,
                ..
            } => {
                let home = endpoint.home();
                let address = home.and_then(|home| Uri::parse(home).ok());
                let own = path("openid_discovery.cluster");
                calls.push(Calls::new(cluster, own, address, None, *timeout));
                if let Some(cluster) = jwks_cluster {
                    let own = path("openid_discovery.jwks_cluster");
                    calls.push(Calls::new(cluster, own, None, home, *timeout));
                }
            }
        }
    }
    calls.extend(config.fleet_store.iter().map(|store| {
        let uri = &store.uri;
        let path = "shared_store.http_uri.cluster".to_owned();
        let address = Some(uri.address(""));
        Calls {
            cargo: Cargo::SignOuts,
            ..Calls::new(&uri.cluster, path, address, None, uri.timeout)
        }
    }));
    calls
}

/// How long requests may wait, by the configuration alone.
pub(super) fn look_at_times(plugin: &Plugin<'_>, config: &Config, findings: &mut Vec<Finding>) {
    for call in calls(config) {
        if call.timeout <= LONGEST_TIMEOUT {
            continue;
        }
        let above = call.path.rsplit_once('.').map_or("", |(above, _)| above);
        let path = format!("{above}.timeout");
        findings.push(
            Finding::warning(
                Kind::FetchTimeout,
                plugin.spot(&path),
                &path,
                format!(
                    "is {} s: while the provider does not answer, requests wait for so long, and nobody else asks",
                    call.timeout.as_secs()
                ),
            )
            .write("timeout: 5s, and 30s at most"),
        );
    }
}

/// The longest time that a request waits for a provider (docs/keys.md, "Requests that wait").
pub(super) fn longest_wait(config: &Config) -> Duration {
    let keys = config
        .providers
        .iter()
        .filter_map(|provider| match &provider.keys {
            KeySource::Remote(remote) => Some(fetch_time(&RemoteKeys::new(remote.clone()))),
            KeySource::Local(_) => None,
        });
    let schemes = config.sign_in.iter().flat_map(|sign_in| &sign_in.schemes);
    let tokens = schemes.map(|scheme| scheme.endpoints.token.timeout.saturating_add(MARGIN));
    keys.chain(tokens)
        .map(line::longest_wait)
        .max()
        .unwrap_or_default()
}

pub(super) fn look_at(
    group: &Group<'_>,
    plugin: &Plugin<'_>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    for call in calls(config) {
        match group.cluster(call.cluster) {
            Some(cluster) => {
                let mut found = Vec::new();
                tls::look_at(cluster, &call, &mut found);
                look_at_address(cluster, &call, plugin, &mut found);
                // once for all calls to a cluster
                let is_known = |new: &Finding| {
                    let mut known = findings.iter();
                    known.any(|known| (known.kind, known.spot) == (new.kind, new.spot))
                };
                found.retain(|new| !is_known(new));
                findings.extend(found);
            }
            None if group.has_all_clusters() => {
                let known = group.clusters.iter();
                let mut known = known.filter_map(|cluster| cluster.node.text_at(&["name"]));
                let instead = match nearest(call.cluster, &mut known) {
                    Some(near) => near.to_owned(),
                    None => format!("the name of a cluster, or one with name: {}", call.cluster),
                };
                let text = format!("there is no cluster {}: {}", call.cluster, call.lost());
                let spot = plugin.spot(&call.path);
                let missing = Finding::error(Kind::ClusterMissing, spot, &call.path, text);
                findings.push(missing.write(instead));
            }
            None => {}
        }
    }
}

/// The cluster says where a call goes, whatever the address in the configuration is.
fn look_at_address(
    cluster: Part<'_>,
    call: &Calls<'_>,
    plugin: &Plugin<'_>,
    findings: &mut Vec<Finding>,
) {
    let Some((host, port)) = call.uri.as_ref().map(host_and_port) else {
        return;
    };
    let places: Vec<(&str, String, Part<'_>)> = endpoints(cluster)
        .into_iter()
        .filter_map(|part| {
            let socket = part.get("socket_address")?;
            let port = socket.node.get("port_value").map(Node::to_json);
            Some((
                socket.node.text_at(&["address"])?,
                port.unwrap_or_default(),
                socket,
            ))
        })
        .collect();
    // an address says nothing of a name, and what is on this host may be forwarded
    let is_it = |address: &str| {
        address.trim_end_matches('.').eq_ignore_ascii_case(&host)
            || (is_loopback(address) && is_loopback(&host))
    };
    let is_name = |host: &str| host.parse::<std::net::IpAddr>().is_err() && !is_loopback(host);
    // but no address of another host is this one
    let is_known = |address: &str| is_it(address) || is_name(address) || is_loopback(&host);
    if places.is_empty() || !places.iter().all(|(address, ..)| is_known(address)) {
        return;
    }
    let is_there = places.iter().any(|(address, ..)| is_it(address));
    if !is_there && !tls::names(cluster, &host) {
        let others: Vec<&str> = places.iter().map(|(address, ..)| *address).collect();
        findings.push(
            Finding::warning(
                Kind::ClusterHost,
                plugin.spot(&call.path),
                &call.path,
                format!(
                    "the address is at {host}, and cluster {} leads to {}: whatever is there says what {} are",
                    call.cluster,
                    others.join(", "),
                    call.at_risk()
                ),
            )
            .write(format!("the cluster of {host}, or match_typed_subject_alt_names with {host} there")),
        );
    }
    for (_, other, socket) in places.iter().filter(|(_, other, _)| *other != port) {
        findings.push(
            Finding::warning(
                Kind::ClusterPort,
                socket.spot_of("port_value"),
                &call.path,
                format!(
                    "the address is at port {port}, and cluster {} leads to port {other}",
                    call.cluster
                ),
            )
            .write(format!("port_value: {port}")),
        );
    }
}

/// Whether a host is this one.
fn is_loopback(host: &str) -> bool {
    let address = host.parse::<std::net::IpAddr>();
    is_localhost(host) || address.is_ok_and(|address| address.is_loopback())
}

/// The host, without the brackets of a literal, and the port as a text.
pub(super) fn host_and_port(uri: &Uri) -> (String, String) {
    let default = match uri.scheme {
        Scheme::Http => "80",
        Scheme::Https => "443",
    };
    let authority = uri.authority.as_str();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
        _ => (authority, default),
    };
    (host.trim_matches(['[', ']']).to_owned(), port.to_owned())
}
