//! Listeners that Envoy does not have beside each other.

use std::net::IpAddr;

use crate::finding::{Finding, Kind};
use crate::view::{Group, Part};

pub(super) fn look_at(group: &Group<'_>, findings: &mut Vec<Finding>) {
    for (at, listener) in group.listeners.iter().enumerate() {
        for earlier in group.listeners.iter().take(at) {
            // files of resources without their bootstrap may be of several Envoys
            if group.bootstrap.is_none() && earlier.file != listener.file {
                continue;
            }
            if let Some(finding) = same_address(*earlier, *listener) {
                findings.push(finding);
                break;
            }
            if let Some(finding) = same_name(*earlier, *listener) {
                findings.push(finding);
                break;
            }
        }
    }
}

fn name(listener: Part<'_>) -> &str {
    listener.node.text_at(&["name"]).unwrap_or_default()
}

/// `enable_reuse_port` and `bind_to_port` change nothing about it.
fn same_address(earlier: Part<'_>, listener: Part<'_>) -> Option<Finding> {
    let known = addresses(earlier);
    let (part, address) = addresses(listener)
        .into_iter()
        .find(|(_, address)| known.iter().any(|(_, known)| known == address))?;
    let text = format!(
        "is {address}, which listener {} has already: Envoy refuses the second one, and does not start or keeps what it had",
        name(earlier)
    );
    Some(
        Finding::error(Kind::ListenerTwice, part.spot(), "address", text)
            .write("another port, or one listener with a filter chain for each"),
    )
}

fn same_name(earlier: Part<'_>, listener: Part<'_>) -> Option<Finding> {
    let is_same = !name(listener).is_empty() && name(earlier) == name(listener);
    is_same.then(|| {
        Finding::warning(
            Kind::ListenerTwice,
            listener.spot_of("name"),
            "name",
            format!("is {}, as of a listener before it: Envoy takes the first one, and does not have this one", name(listener)),
        )
        .write("another name")
    })
}

/// The addresses at which a listener is, each with its protocol. A port 0 is a free one.
fn addresses(listener: Part<'_>) -> Vec<(Part<'_>, String)> {
    let more = listener.items_of("additional_addresses");
    let all = [listener].into_iter().chain(more);
    let all = all.filter_map(|part| part.get("address"));
    all.filter_map(|part| Some((part, address(part)?)))
        .collect()
}

fn address(part: Part<'_>) -> Option<String> {
    if let Some(path) = part.node.text_at(&["pipe", "path"]) {
        return Some(format!("pipe {path}"));
    }
    let socket = part.node.get("socket_address")?;
    let port = socket.get("port_value")?.to_json();
    let host = socket.text_at(&["address"])?;
    // of several spellings of one address
    let host = host
        .parse()
        .map_or_else(|_| host.to_owned(), |ip: IpAddr| ip.to_string());
    let is_udp = socket
        .text_at(&["protocol"])
        .is_some_and(|protocol| protocol.eq_ignore_ascii_case("UDP"));
    let protocol = if is_udp { "UDP " } else { "" };
    (port != "0").then(|| format!("{protocol}{host}:{port}"))
}
