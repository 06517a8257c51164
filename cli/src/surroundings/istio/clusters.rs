//! The clusters that Istio makes for a provider's host, of a `ServiceEntry` and a `DestinationRule`.
//!
//! A missing one is told where the files have others of its kind: by itself a plugin says nothing of
//! what is in the mesh.

use bearer_gate::config::Config;

use super::super::kubernetes::{has_text, may_be_neighbours, of_kind, spec, title};
use super::super::providers::{Calls, calls, host_and_port};
use crate::document::Node;
use crate::finding::{Finding, Kind};
use crate::plugin::Plugin;
use crate::view::{Part, View};

pub(super) fn look_at(
    view: &View<'_>,
    resource: Part<'_>,
    plugin: &Plugin<'_>,
    config: &Config,
    findings: &mut Vec<Finding>,
) {
    for call in calls(config) {
        let mut found = Vec::new();
        match Name::parse(call.cluster) {
            Some(name) => Mesh {
                view,
                resource,
                plugin,
                call: &call,
                name,
            }
            .look_at(&mut found),
            None => look_at_other_name(view, plugin, &call, &mut found),
        }
        // once for all calls to a cluster
        found.retain(|new| {
            let mut known = findings.iter();
            !known.any(|known| (known.kind, known.spot) == (new.kind, new.spot))
        });
        findings.extend(found);
    }
}

/// The name of a cluster that Istio makes: `outbound|PORT|SUBSET|HOST`.
struct Name<'n> {
    port: &'n str,
    subset: &'n str,
    host: &'n str,
}

impl<'n> Name<'n> {
    fn parse(cluster: &'n str) -> Option<Self> {
        let parts: Vec<&str> = cluster.split('|').collect();
        match parts.as_slice() {
            ["outbound", port, subset, host]
                if port.parse::<u16>().is_ok() && !host.is_empty() && !host.contains(' ') =>
            {
                Some(Self { port, subset, host })
            }
            _ => None,
        }
    }

    /// Whether it is a service of the cluster's.
    fn is_internal(&self) -> bool {
        self.host.contains(".svc.")
    }
}

/// As Istio would call the cluster of a call.
fn name_for(call: &Calls<'_>) -> String {
    match call.uri.as_ref().map(host_and_port) {
        Some((host, port)) => format!("outbound|{port}||{host}"),
        None => "outbound|443||HOST".to_owned(),
    }
}

fn look_at_other_name(
    view: &View<'_>,
    plugin: &Plugin<'_>,
    call: &Calls<'_>,
    findings: &mut Vec<Finding>,
) {
    let (name, path) = (call.cluster, &call.path);
    let is_istios = name.contains('|') || name.starts_with("outbound");
    let spot = plugin.spot(path);
    if is_istios {
        findings.push(
            Finding::error(
                Kind::ClusterMissing,
                spot,
                path,
                format!(
                    "{name} is not of the form outbound|PORT|SUBSET|HOST, so there is no such cluster: {}",
                    call.lost()
                ),
            )
            .write(name_for(call)),
        );
    } else if !of_kind(view, "EnvoyFilter").any(|filter| has_text(filter, "name", name)) {
        findings.push(
            Finding::warning(
                Kind::ClusterMissing,
                spot,
                path,
                format!(
                    "Istio gives no cluster the name {name}, and no EnvoyFilter in the files does: {}",
                    call.lost()
                ),
            )
            .write(name_for(call)),
        );
    }
}

/// A call to a cluster of Istio's, and all that is known of the mesh.
struct Mesh<'a, 'd> {
    view: &'a View<'d>,
    resource: Part<'d>,
    plugin: &'a Plugin<'d>,
    call: &'a Calls<'a>,
    name: Name<'a>,
}

impl<'d> Mesh<'_, 'd> {
    fn look_at(&self, findings: &mut Vec<Finding>) {
        self.look_at_host(findings);
        let entry = self.look_at_entry(findings);
        let rule = self.rule();
        if !self.name.subset.is_empty() {
            self.look_at_subset(rule, findings);
        }
        if !self.call.needs_tls {
            return;
        }
        match rule {
            Some(rule) => self.look_at_tls(rule, entry, findings),
            None if self.knows("ServiceEntry") || self.knows("DestinationRule") => {
                let spot = entry.map_or(self.plugin.spot(&self.call.path), Part::spot);
                // the mesh encrypts to its own services by itself
                let new = match self.name.is_internal() {
                    true => Finding::warning,
                    false => Finding::error,
                };
                findings.push(
                    new(
                        Kind::ClusterWithoutTls,
                        spot,
                        "DestinationRule",
                        format!(
                            "there is none for {}, and the address is https: {} come in the clear, or not at all",
                            self.name.host,
                            self.call.at_risk()
                        ),
                    )
                    .write(self.good_rule()),
                );
            }
            None => {}
        }
    }

    fn knows(&self, kind: &'static str) -> bool {
        of_kind(self.view, kind).next().is_some()
    }

    fn missing(&self, text: String, instead: String) -> Finding {
        let path = &self.call.path;
        let text = format!("{text}: {}", self.call.lost());
        Finding::error(Kind::ClusterMissing, self.plugin.spot(path), path, text).write(instead)
    }

    /// A `DestinationRule` as it should be.
    fn good_rule(&self) -> String {
        let host = self.address().map_or(self.name.host.to_owned(), |it| it.0);
        format!(
            "spec: {{host: {}, trafficPolicy: {{tls: {{mode: SIMPLE, sni: {host}, subjectAltNames: [{host}]}}}}}}",
            self.name.host
        )
    }

    /// Host and port of the address.
    fn address(&self) -> Option<(String, String)> {
        self.call.uri.as_ref().map(host_and_port)
    }

    /// The cluster's name beside the address.
    fn look_at_host(&self, findings: &mut Vec<Finding>) {
        let (cluster, path) = (self.call.cluster, &self.call.path);
        let Some((host, _)) = self.address() else {
            return;
        };
        let is_short = host != self.name.host && self.name.host.starts_with(&format!("{host}."));
        if host == self.name.host || is_short || self.name.is_internal() {
            return;
        }
        findings.push(
            Finding::warning(
                Kind::ClusterHost,
                self.plugin.spot(path),
                path,
                format!("{cluster} leads to another host than {host}, where the address is"),
            )
            .write(name_for(self.call)),
        );
    }

    /// The `ServiceEntry` of the host.
    fn look_at_entry(&self, findings: &mut Vec<Finding>) -> Option<Part<'d>> {
        let host = self.name.host;
        if self.name.is_internal() {
            return None;
        }
        if !host.contains('.') {
            let instead = format!(
                "outbound|{}||{host}.NAMESPACE.svc.cluster.local",
                self.name.port
            );
            findings.push(self.missing(
                format!("{host} is not the full name of a service, which Istio's clusters have"),
                instead,
            ));
            return None;
        }
        let has_host = |entry: &Part<'_>| {
            let mut hosts = spec(*entry).items_of("hosts");
            hosts.any(|written| written.node.text() == Some(host))
        };
        let Some(entry) = of_kind(self.view, "ServiceEntry").find(has_host) else {
            if self.knows("ServiceEntry") {
                findings.push(self.missing(
                    format!("no ServiceEntry has the host {host}, so Istio makes no such cluster"),
                    format!("hosts: [{host}] in a ServiceEntry"),
                ));
            }
            return None;
        };
        let number = |port: &Part<'_>, name: &str| port.node.get(name).map(Node::to_json);
        let mut ports = spec(entry).items_of("ports");
        let port = ports.find(|port| number(port, "number").as_deref() == Some(self.name.port));
        match (port, self.address()) {
            (None, _) => findings.push(self.missing(
                format!(
                    "{} has no port {}, so Istio makes no such cluster",
                    title(entry),
                    self.name.port
                ),
                format!(
                    "ports: [{{number: {}, name: http, protocol: HTTP}}]",
                    self.name.port
                ),
            )),
            (Some(port), Some((uri_host, uri_port))) if uri_host == host => {
                let target = number(&port, "target_port");
                if target.as_deref().unwrap_or(self.name.port) != uri_port {
                    findings.push(
                        Finding::warning(
                            Kind::ClusterPort,
                            self.plugin.spot(&self.call.path),
                            &self.call.path,
                            format!(
                                "{} leads to another port than {uri_port}, where the address is",
                                self.call.cluster
                            ),
                        )
                        .write(name_for(self.call)),
                    );
                }
            }
            _ => {}
        }
        let resolution = spec(entry).node.text_at(&["resolution"]);
        if resolution.is_none_or(|resolution| resolution == "NONE") {
            findings.push(
                Finding::error(
                    Kind::ClusterHost,
                    spec(entry).spot_of("resolution"),
                    "spec.resolution",
                    format!(
                        "is NONE: the cluster leads to where a client's connection went, and the filter's calls have none: {}",
                        self.call.lost()
                    ),
                )
                .write("resolution: DNS"),
            );
        }
        Some(entry)
    }

    /// The `DestinationRule` of the host: by its name, or by the longest end of it.
    fn rule(&self) -> Option<Part<'d>> {
        let host = self.name.host;
        let fits = |rule: &Part<'_>| {
            let written = spec(*rule).node.text_at(&["host"])?;
            let is_end = written
                .strip_prefix('*')
                .is_some_and(|end| host.ends_with(end));
            let is_short = self.name.is_internal()
                && host.starts_with(&format!("{written}."))
                && may_be_neighbours(self.resource, *rule);
            (written == host || is_end || is_short).then_some((written == host, written.len()))
        };
        let rules = of_kind(self.view, "DestinationRule");
        let ranked = rules.filter_map(|rule| Some((fits(&rule)?, rule)));
        let best = ranked.max_by_key(|(rank, _)| *rank);
        best.map(|(_, rule)| rule)
    }

    fn subset(&self, rule: Part<'d>) -> Option<Part<'d>> {
        let mut subsets = spec(rule).items_of("subsets");
        subsets.find(|subset| subset.node.text_at(&["name"]) == Some(self.name.subset))
    }

    fn look_at_subset(&self, rule: Option<Part<'d>>, findings: &mut Vec<Finding>) {
        let is_there = rule.is_some_and(|rule| self.subset(rule).is_some());
        if !is_there && self.knows("DestinationRule") {
            findings.push(self.missing(
                format!(
                    "no DestinationRule of {} has the subset {}, so Istio makes no such cluster",
                    self.name.host, self.name.subset
                ),
                format!("outbound|{}||{}", self.name.port, self.name.host),
            ));
        }
    }

    /// The TLS that a rule sets for the port: of the subset, of the port, or of the host.
    fn tls(&self, rule: Part<'d>) -> Option<Part<'d>> {
        let of_policy = |policy: Part<'d>| {
            let is_port = |settings: &Part<'_>| {
                let number = settings.node.at(&["port", "number"]).map(Node::to_json);
                number.as_deref() == Some(self.name.port)
            };
            match policy.items_of("port_level_settings").find(is_port) {
                Some(settings) => settings.get("tls"),
                None => policy.get("tls"),
            }
        };
        let subset = self.subset(rule);
        let of_subset = subset.and_then(|subset| subset.get("traffic_policy"));
        let of_host = spec(rule).get("traffic_policy");
        of_subset
            .and_then(of_policy)
            .or_else(|| of_host.and_then(of_policy))
    }

    fn look_at_tls(&self, rule: Part<'d>, entry: Option<Part<'d>>, findings: &mut Vec<Finding>) {
        const PATH: &str = "spec.trafficPolicy.tls";
        let (host, at_risk) = (self.name.host, self.call.at_risk());
        let tls = self.tls(rule);
        let mode = tls.and_then(|tls| tls.node.text_at(&["mode"]));
        let is_internal = self.name.is_internal();
        let Some(tls) = tls.filter(|_| match mode {
            Some("SIMPLE" | "MUTUAL") => true,
            // the mesh's own certificates, which nobody outside has
            Some("ISTIO_MUTUAL") => is_internal,
            _ => false,
        }) else {
            let spot = tls.map_or(rule.spot(), |tls| tls.spot_of("mode"));
            findings.push(
                Finding::error(
                    Kind::ClusterWithoutTls,
                    spot,
                    PATH,
                    format!(
                        "mode is {}, and the address is https: {at_risk} come in the clear, or not at all",
                        mode.unwrap_or("DISABLE")
                    ),
                )
                .write(self.good_rule()),
            );
            return;
        };
        if mode == Some("ISTIO_MUTUAL") {
            return;
        }
        if let Some(skips) = tls
            .get("insecure_skip_verify")
            .filter(|skips| skips.node.is_true())
        {
            findings.push(
                Finding::error(
                    Kind::CertificateUnverified,
                    skips.spot(),
                    PATH,
                    format!("insecureSkipVerify is true: who is in between brings keys of their own, and {at_risk} are anybody's"),
                )
                .write(self.good_rule()),
            );
            return;
        }
        let address = self.address();
        let wanted = address.as_ref().map_or(host, |(host, _)| host.as_str());
        let sni = tls.node.text_at(&["sni"]).filter(|sni| !sni.is_empty());
        let own: Vec<Part<'_>> = tls.items_of("subject_alt_names").collect();
        let of_entry = entry.map_or_else(Vec::new, |entry| {
            spec(entry).items_of("subject_alt_names").collect()
        });
        let names = if own.is_empty() { of_entry } else { own };
        // Without both Istio compares the certificate with the host that is called.
        let text = if names.is_empty() && sni.is_some() {
            format!(
                "has sni and no subjectAltNames: a certificate of every host that the CAs know is taken for {wanted}'s, and {at_risk} go there"
            )
        } else if !names.is_empty() && !names.iter().any(|name| name.node.text() == Some(wanted)) {
            format!(
                "subjectAltNames does not have {wanted}, where the address is: that host is refused, and another one is believed"
            )
        } else if let Some(sni) = sni.filter(|sni| *sni != wanted) {
            format!(
                "sni is {sni}: the server is asked for another host's certificate than {wanted}'s"
            )
        } else {
            return;
        };
        findings.push(
            Finding::warning(Kind::CertificateName, tls.spot(), PATH, text).write(self.good_rule()),
        );
    }
}
