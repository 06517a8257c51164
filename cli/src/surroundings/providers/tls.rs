//! TLS of a cluster that a provider is called by: whose certificate it takes.

use bearer_gate::http::uri::Scheme;
use bearer_gate::text::Pattern;

use super::super::beside::endpoints;
use super::{Calls, host_and_port, is_loopback};
use crate::document::Node;
use crate::finding::{Finding, Kind};
use crate::plugin::message;
use crate::view::Part;

const CONTEXT: &str = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
const PLAIN: &str = "envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer";
const HTTP: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

pub(super) fn look_at(cluster: Part<'_>, call: &Calls<'_>, findings: &mut Vec<Finding>) {
    for socket in sockets(cluster) {
        match socket.context() {
            Some(context) if is_http(call) => {
                findings.push(with_tls(context, call));
                // whose certificate is not the question, unless it is anybody's
                let mut found = Vec::new();
                look_at_context(context, cluster, call, &mut found);
                findings.extend(found.into_iter().filter(Finding::is_error));
            }
            Some(context) => look_at_context(context, cluster, call, findings),
            None if call.needs_tls && socket.is_plain() => {
                findings.push(without_tls(socket.of, cluster, call));
            }
            None => {}
        }
    }
}

fn look_at_context(
    context: Part<'_>,
    cluster: Part<'_>,
    call: &Calls<'_>,
    findings: &mut Vec<Finding>,
) {
    let (name, at_risk) = (call.cluster, call.at_risk());
    let host = call.uri.as_ref().map(|uri| host_and_port(uri).0);
    let shown = host.as_deref().unwrap_or("the provider's host");
    match certificate(context, cluster) {
        Certificate::Anybodys(part) => findings.push(
            Finding::error(
                Kind::CertificateUnverified,
                part.spot(),
                &call.path,
                format!("cluster {name} takes any certificate: who is in between brings keys of their own, and {at_risk} are anybody's"),
            )
            .write("validation_context: {trusted_ca: {filename: /etc/ssl/certs/ca-certificates.crt}, ...}, and no trust_chain_verification"),
        ),
        Certificate::OfAnyHost => findings.push(
            Finding::warning(
                Kind::CertificateName,
                context.spot(),
                &call.path,
                format!("cluster {name} takes a certificate of every host that its CA knows, and {at_risk} go there: add match_typed_subject_alt_names to validation_context"),
            )
            .write(format!("match_typed_subject_alt_names: [{{san_type: DNS, matcher: {{exact: {shown}}}}}]")),
        ),
        Certificate::Of(names) => {
            let other = host.as_deref().filter(|host| !names.iter().any(|name| takes(name.node, host)));
            if let (Some(host), Some(first)) = (other, names.first()) {
                findings.push(
                    Finding::warning(
                        Kind::CertificateName,
                        first.spot(),
                        &call.path,
                        format!("cluster {name} does not take the certificate of {host}, where the address is: that host is refused, and another one is believed"),
                    )
                    .write(format!("{{san_type: DNS, matcher: {{exact: {host}}}}}")),
                );
            } else if let Some(host) = &host
                && let Some((loose, stranger)) = names
                    .iter()
                    .find_map(|name| Some((*name, stranger(name.node, host)?)))
            {
                findings.push(
                    Finding::warning(
                        Kind::CertificateName,
                        loose.spot(),
                        &call.path,
                        format!("cluster {name} takes the certificate of {stranger} for {host}'s: whoever has such a name brings keys of their own"),
                    )
                    .write(format!("{{san_type: DNS, matcher: {{exact: {host}}}}}")),
                );
            }
        }
        Certificate::Compared => {}
    }
    let is_name = |host: &str| host.parse::<std::net::IpAddr>().is_err();
    if host.as_deref().is_none_or(is_name) && !has_server_name(context, cluster) {
        findings.push(
            Finding::warning(
                Kind::ServerName,
                context.spot(),
                &call.path,
                format!("cluster {name} has no sni: a server of several hosts shows the certificate of another one, or none"),
            )
            .write(format!("sni: {shown}")),
        );
    }
}

/// What is said of a cluster whose calls are in the clear. Nobody is in between where they stay on this
/// host, as with a proxy that adds TLS.
fn without_tls(spot: Part<'_>, cluster: Part<'_>, call: &Calls<'_>) -> Finding {
    let (name, at_risk) = (call.cluster, call.at_risk());
    let new = match stays_here(cluster) {
        true => Finding::warning,
        false => Finding::error,
    };
    let text = format!(
        "the address is https and cluster {name} has no TLS: {at_risk} come in the clear, or not at all"
    );
    new(Kind::ClusterWithoutTls, spot.spot(), &call.path, text)
        .write("transport_socket with an UpstreamTlsContext: sni, trusted_ca and match_typed_subject_alt_names")
}

/// Whether the address is known, and http.
fn is_http(call: &Calls<'_>) -> bool {
    call.uri
        .as_ref()
        .is_some_and(|uri| uri.scheme == Scheme::Http)
}

/// What is said of a cluster that speaks TLS to a server that mostly has none.
fn with_tls(context: Part<'_>, call: &Calls<'_>) -> Finding {
    let (name, lost) = (call.cluster, call.lost());
    let text = format!(
        "the address is http and cluster {name} speaks TLS, which a server without TLS does not answer: {lost}"
    );
    Finding::warning(Kind::ClusterWithTls, context.spot(), &call.path, text)
        .write("https:// in the address, or the cluster without transport_socket")
}

/// A transport socket that calls may take.
struct Socket<'d> {
    /// The cluster, or the entry of `transport_socket_matches`, that has it, or has none.
    of: Part<'d>,
}

impl<'d> Socket<'d> {
    /// Whether it is said that there is no TLS. Of other transport sockets it is not known.
    fn is_plain(&self) -> bool {
        match self.of.at(&["transport_socket", "typed_config"]) {
            Some(config) => message(config.node, PLAIN).is_some(),
            None => self.of.get("transport_socket").is_none(),
        }
    }

    fn context(&self) -> Option<Part<'d>> {
        let config = self.of.at(&["transport_socket", "typed_config"])?;
        message(config.node, CONTEXT).map(|node| config.with(node))
    }
}

/// Each transport socket of a cluster. Envoy takes the first entry of `transport_socket_matches` that an
/// endpoint's metadata match, and the cluster's own where none does. What `transport_socket_matcher`
/// chooses is one of these too.
fn sockets(cluster: Part<'_>) -> Vec<Socket<'_>> {
    let takes_all = |of: &Part<'_>| {
        let wanted = of.get("match");
        wanted.is_none_or(|wanted| wanted.node.entries().is_empty())
    };
    let mut found = Vec::new();
    let is_chosen = cluster.get("transport_socket_matcher").is_some();
    for of in cluster.items_of("transport_socket_matches") {
        found.push(Socket { of });
        if takes_all(&of) && !is_chosen {
            return found;
        }
    }
    found.push(Socket { of: cluster });
    found
}

/// Whether each endpoint of a cluster is on this host.
fn stays_here(cluster: Part<'_>) -> bool {
    let is_here = |place: &Part<'_>| {
        let host = place.node.text_at(&["socket_address", "address"]);
        host.is_none_or(is_loopback)
    };
    let places = endpoints(cluster);
    !places.is_empty() && places.iter().all(is_here)
}

/// Whether a cluster takes no certificate but those of this host.
pub(super) fn names(cluster: Part<'_>, host: &str) -> bool {
    let mut sockets = sockets(cluster).into_iter();
    sockets.all(|socket| {
        let certificate = socket
            .context()
            .map(|context| certificate(context, cluster));
        match certificate {
            Some(Certificate::Of(names)) => names.iter().all(|name| is_one(name.node, host)),
            // of the SNI, or of the address
            Some(Certificate::Compared) => true,
            _ => false,
        }
    })
}

/// Where a part of a cluster, such as a patch, says that any certificate is taken.
pub(in crate::surroundings) fn accepts_untrusted(part: Part<'_>) -> Option<Part<'_>> {
    let own = part.get("trust_chain_verification");
    let mut found = own.filter(|it| it.node.text() == Some("ACCEPT_UNTRUSTED"));
    part.each_below(&mut |below| found = found.or_else(|| accepts_untrusted(below)));
    found
}

/// Whether a part of a cluster says that there is no TLS.
pub(in crate::surroundings) fn takes_tls_away(part: Part<'_>) -> bool {
    part.get("transport_socket").is_some() && Socket { of: part }.is_plain()
}

/// Whose certificate is taken.
enum Certificate<'d> {
    /// Everybody's, as is said here.
    Anybodys(Part<'d>),
    /// Of every host that a CA knows.
    OfAnyHost,
    /// Of these matchers of names.
    Of(Vec<Part<'d>>),
    /// Of a host, a key or a certificate that is compared in another way, or elsewhere.
    Compared,
}

fn certificate<'d>(context: Part<'d>, cluster: Part<'d>) -> Certificate<'d> {
    let Some(common) = context.get("common_tls_context") else {
        return Certificate::Anybodys(context);
    };
    if common.get("validation_context_sds_secret_config").is_some() {
        return Certificate::Compared;
    }
    let combined = common.get("combined_validation_context");
    let by_default = combined.and_then(|combined| combined.get("default_validation_context"));
    let is_elsewhere =
        combined.is_some_and(|it| it.get("validation_context_sds_secret_config").is_some());
    let Some(shown) = common.get("validation_context").or(by_default) else {
        return match is_elsewhere {
            true => Certificate::Compared,
            false => Certificate::Anybodys(context),
        };
    };
    let verification = shown.get("trust_chain_verification");
    if let Some(verification) = verification.filter(|it| it.node.text() == Some("ACCEPT_UNTRUSTED"))
    {
        return Certificate::Anybodys(verification);
    }
    let has = |names: &[&str]| names.iter().any(|name| shown.get(name).is_some());
    let pins = [
        "verify_certificate_hash",
        "verify_certificate_spki",
        "custom_validator_config",
    ];
    if has(&pins) {
        return Certificate::Compared;
    }
    let has_ca = has(&[
        "trusted_ca",
        "ca_certificate_provider_instance",
        "system_root_certs",
    ]);
    if !has_ca && !is_elsewhere {
        return Certificate::Anybodys(shown);
    }
    let names: Vec<Part<'_>> = ["match_typed_subject_alt_names", "match_subject_alt_names"]
        .iter()
        .flat_map(|name| shown.items_of(name))
        .collect();
    if !names.is_empty() {
        return Certificate::Of(names);
    }
    let by_sni = context.node.get("auto_sni_san_validation");
    let by_host = http_options(cluster).and_then(|options| options.get("auto_san_validation"));
    if [by_sni, by_host].into_iter().flatten().any(Node::is_true) || is_elsewhere {
        return Certificate::Compared;
    }
    Certificate::OfAnyHost
}

fn has_server_name(context: Part<'_>, cluster: Part<'_>) -> bool {
    let of_host = context.node.get("auto_host_sni");
    let of_request = http_options(cluster).and_then(|options| options.get("auto_sni"));
    context
        .node
        .text_at(&["sni"])
        .is_some_and(|sni| !sni.is_empty())
        || [of_host, of_request]
            .into_iter()
            .flatten()
            .any(Node::is_true)
}

fn http_options(cluster: Part<'_>) -> Option<&Node> {
    cluster.node.at(&[
        "typed_extension_protocol_options",
        HTTP,
        "upstream_http_protocol_options",
    ])
}

/// Whether a matcher takes the certificate of this host, or of one workload, and no other.
fn is_one(matcher: &Node, host: &str) -> bool {
    let is_workload = matcher.text_at(&["san_type"]) == Some("URI");
    let exact = matcher
        .get("matcher")
        .unwrap_or(matcher)
        .text_at(&["exact"]);
    exact.is_some_and(|exact| is_workload || exact.eq_ignore_ascii_case(host))
}

/// Whether a matcher of names takes this host's certificate; true where that is not sure.
fn takes(matcher: &Node, host: &str) -> bool {
    if !is_of_hosts(matcher) {
        return true;
    }
    let matcher = matcher.get("matcher").unwrap_or(matcher);
    let host = host.to_ascii_lowercase();
    let text = |kind: &str| matcher.text_at(&[kind]).map(str::to_ascii_lowercase);
    if let Some(exact) = text("exact") {
        return exact == host;
    }
    if let Some(prefix) = text("prefix") {
        return host.starts_with(&prefix);
    }
    if let Some(suffix) = text("suffix") {
        return host.ends_with(&suffix);
    }
    if let Some(regex) = matcher.text_at(&["safe_regex", "regex"]) {
        return Pattern::parse(regex).map_or(true, |regex| regex.matches(host.as_bytes()));
    }
    text("contains").is_none_or(|part| host.contains(&part))
}

fn is_of_hosts(matcher: &Node) -> bool {
    let kind = matcher.text_at(&["san_type"]);
    kind.is_none_or(|kind| kind == "DNS" || kind == "IP_ADDRESS")
}

/// A host that anybody can have, and whose certificate a matcher takes for this host's.
fn stranger(matcher: &Node, host: &str) -> Option<String> {
    if !is_of_hosts(matcher) || host.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let (rest, last) = host.rsplit_once('.').unwrap_or(("", host));
    let domain = rest.rsplit('.').next().unwrap_or_default();
    let strangers = [
        "attacker.example".to_owned(),
        format!("{host}.attacker.example"),
        format!("attacker.{last}"),
        // the end of a name without the dot before it
        format!("attacker{domain}.{last}"),
        // the dots of an expression that are any character
        format!("{}.{last}", rest.replace('.', "x")),
    ];
    let is_other = |name: &String| !name.eq_ignore_ascii_case(host);
    let mut strangers = strangers.into_iter().filter(is_other);
    strangers.find(|name| takes(matcher, name))
}

#[cfg(test)]
mod tests {
    use super::{stranger, takes};
    use crate::document::{Scalars, parse};

    #[test]
    fn names_that_a_certificate_may_have() {
        let table = [
            ("{san_type: DNS, matcher: {exact: idp.example.com}}", true),
            ("{san_type: DNS, matcher: {exact: IDP.example.com}}", true),
            ("{san_type: DNS, matcher: {exact: '*.example.com'}}", false),
            ("{san_type: DNS, matcher: {exact: example.com}}", false),
            ("{san_type: DNS, matcher: {suffix: .example.com}}", true),
            ("{san_type: DNS, matcher: {suffix: .example.org}}", false),
            ("{san_type: DNS, matcher: {prefix: idp.}}", true),
            ("{san_type: DNS, matcher: {contains: example}}", true),
            ("{san_type: DNS, matcher: {contains: other}}", false),
            ("{san_type: DNS, matcher: {safe_regex: {regex: x}}}", false),
            (
                "{san_type: DNS, matcher: {safe_regex: {regex: 'i.*m'}}}",
                true,
            ),
            (
                "{san_type: URI, matcher: {exact: 'spiffe://example.org/idp'}}",
                true,
            ),
            ("{exact: idp.example.com}", true),
            ("{exact: other.example.com}", false),
        ];
        for (text, expected) in table {
            let matcher = &parse(text, Some(Scalars::Envoy)).unwrap()[0];
            assert_eq!(takes(matcher, "idp.example.com"), expected, "{text}");
        }
    }

    #[test]
    fn names_that_strangers_may_have() {
        let table = [
            ("exact: idp.example.com", None),
            ("suffix: .example.com", None),
            ("suffix: example.com", Some("attackerexample.com")),
            ("suffix: .com", Some("attacker.com")),
            ("prefix: idp.", Some("idp.example.com.attacker.example")),
            (
                "contains: example.com",
                Some("idp.example.com.attacker.example"),
            ),
            ("safe_regex: {regex: 'idp\\.example\\.com'}", None),
            ("safe_regex: {regex: '[a-z]+\\.example\\.com'}", None),
            (
                "safe_regex: {regex: idp.example.com}",
                Some("idpxexample.com"),
            ),
            ("safe_regex: {regex: '.*'}", Some("attacker.example")),
            (
                "safe_regex: {regex: '.*example\\.com'}",
                Some("attackerexample.com"),
            ),
        ];
        for (text, expected) in table {
            let text = format!("{{san_type: DNS, matcher: {{{text}}}}}");
            let matcher = &parse(&text, Some(Scalars::Envoy)).unwrap()[0];
            let found = stranger(matcher, "idp.example.com");
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        let matcher = &parse("{exact: example.com}", Some(Scalars::Envoy)).unwrap()[0];
        assert_eq!(stranger(matcher, "example.com"), None);
        let matcher = &parse("{suffix: idp}", Some(Scalars::Envoy)).unwrap()[0];
        assert!(stranger(matcher, "idp").is_some());
    }
}
