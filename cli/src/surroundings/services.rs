//! `Service`s and `Ingress`es of Kubernetes that lead to what the filter guards, past the gateway.

use super::beside::{all_endpoints, destinations};
use super::kubernetes::{labels, may_be_at, name, namespace, of_kind, spec, title};
use crate::finding::{Finding, Kind, Level};
use crate::view::{Group, Part, View};

/// Where a `Service` has the labels of its pods.
const PODS: &[&str] = &["spec", "selector"];

/// A `Service` that the filter guards.
pub(super) struct Guarded<'d> {
    pub name: &'d str,
    /// `None` where the file does not say it.
    pub place: Option<&'d str>,
}

impl<'d> Guarded<'d> {
    /// The one that a host names, as `orders`, or `orders.shop.svc.cluster.local`.
    pub(super) fn of_host(host: &'d str, place: Option<&'d str>) -> Option<Self> {
        let mut labels = host.split('.');
        let name = labels.next().filter(|name| !name.is_empty())?;
        match (labels.next(), labels.next()) {
            (None, _) => Some(Self { name, place }),
            (place, None | Some("svc")) => Some(Self { name, place }),
            _ => None,
        }
    }

    fn is(&self, named: &str, place: Option<&str>) -> bool {
        self.name == named && may_be_at(self.place, place)
    }
}

/// The services that an Envoy of the files leads to by the filter.
pub(super) fn look_at_envoy(view: &View<'_>, group: &Group<'_>, findings: &mut Vec<Finding>) {
    let chains = group.chains.iter().filter(|chain| chain.is_guarded());
    let clusters = chains.flat_map(destinations).flatten();
    let clusters = clusters.filter_map(|name| group.cluster(name));
    let guarded: Vec<Guarded<'_>> = clusters
        .flat_map(|cluster| all_endpoints(group, cluster))
        .filter_map(|address| address.node.text_at(&["socket_address", "address"]))
        .filter_map(|host| Guarded::of_host(host, None))
        .collect();
    look_at(view, &guarded, None, findings);
}

/// Looks for other ways to these services. `own` is the class of an `Ingress` that the guarded gateway
/// itself serves.
pub(super) fn look_at(
    view: &View<'_>,
    guarded: &[Guarded<'_>],
    own: Option<&str>,
    findings: &mut Vec<Finding>,
) {
    if guarded.is_empty() {
        return;
    }
    for service in of_kind(view, "Service") {
        if leads_to(view, name(service), namespace(service), guarded) {
            findings.extend(opened(service));
        }
    }
    for ingress in of_kind(view, "Ingress").filter(|it| own.is_none() || class(*it) != own) {
        for part in backends(ingress) {
            let named = part.node.text().unwrap_or_default();
            if leads_to(view, named, namespace(ingress), guarded) {
                findings.push(
                    Finding::error(
                        Kind::UnguardedChain,
                        part.spot(),
                        "spec.rules",
                        format!("{} leads to Service {named}, which the filter guards elsewhere: whoever reaches its controller needs no token", title(ingress)),
                    )
                    .write("the gateway's own Service as its backend, or no such Ingress"),
                );
            }
        }
    }
}

/// Whether a service is a guarded one, or has the pods of one.
fn leads_to(view: &View<'_>, named: &str, place: Option<&str>, guarded: &[Guarded<'_>]) -> bool {
    if guarded.iter().any(|guarded| guarded.is(named, place)) {
        return true;
    }
    let pods = |is_it: &dyn Fn(Part<'_>) -> bool| {
        let found = of_kind(view, "Service").find(|service| is_it(*service));
        let mut pods = found.map_or_else(Vec::new, |service| labels(service, PODS));
        pods.sort_unstable();
        pods
    };
    let own = pods(&|service| name(service) == named && may_be_at(namespace(service), place));
    let has_same = |guarded: &Guarded<'_>| {
        may_be_at(guarded.place, place)
            && pods(&|service| guarded.is(name(service), namespace(service))) == own
    };
    !own.is_empty() && guarded.iter().any(has_same)
}

/// What makes a service one that others than the cluster's own pods reach.
fn opened(service: Part<'_>) -> Option<Finding> {
    let spec = spec(service);
    let kind = spec.get("type");
    let (part, level, how) = match kind.and_then(|kind| kind.node.text()) {
        Some("LoadBalancer") => (kind?, Level::Error, "a load balancer of its own leads to"),
        Some("NodePort") => (kind?, Level::Warning, "a port of every node leads to"),
        _ => {
            let addresses = spec.get("externalIPs")?;
            if addresses.node.items().is_empty() {
                return None;
            }
            (addresses, Level::Error, "addresses from outside lead to")
        }
    };
    let finding = Finding::error(
        Kind::UnguardedChain,
        part.spot(),
        "spec.type",
        format!(
            "{how} {}, which the filter guards elsewhere: whoever gets there needs no token",
            title(service)
        ),
    );
    Some(
        Finding { level, ..finding }.write(
            "type: ClusterIP, and a NetworkPolicy by which only the gateway reaches its pods",
        ),
    )
}

fn class(ingress: Part<'_>) -> Option<&str> {
    let written = ingress.node.text_at(&["spec", "ingress_class_name"]);
    let annotations = ingress.node.at(&["metadata", "annotations"]);
    written.or_else(|| annotations?.text_at(&["kubernetes.io/ingress.class"]))
}

/// The names of the services that an `Ingress` leads to.
fn backends(ingress: Part<'_>) -> Vec<Part<'_>> {
    let spec = spec(ingress);
    let rules = spec.items_of("rules").filter_map(|rule| rule.get("http"));
    let paths = rules.flat_map(|http| http.items_of("paths"));
    let of_paths = paths.filter_map(|path| path.get("backend"));
    let default = spec.get("default_backend").into_iter();
    let all = of_paths.chain(default);
    all.filter_map(|backend| backend.at(&["service", "name"]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Guarded;

    #[test]
    fn the_service_of_a_host() {
        let table = [
            ("orders", Some(("orders", Some("edge")))),
            ("orders.shop", Some(("orders", Some("shop")))),
            ("orders.shop.svc", Some(("orders", Some("shop")))),
            (
                "orders.shop.svc.cluster.local",
                Some(("orders", Some("shop"))),
            ),
            ("api.example.com", None),
            ("127.0.0.1", None),
            ("", None),
        ];
        for (host, expected) in table {
            let found = Guarded::of_host(host, Some("edge"));
            let found = found.map(|found| (found.name, found.place));
            assert_eq!(found, expected, "{host}");
        }
    }
}
