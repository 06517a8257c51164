//! A cluster of a running Envoy: whether there are hosts, and whether they answer.

use serde_json::Value;

use super::{items, number, text};
use crate::explanation::Mark;

/// More addresses are left out.
const MOST_SHOWN: usize = 3;

pub(super) struct Cluster {
    pub name: String,
    pub hosts: usize,
    pub healthy: usize,
    /// Where the first hosts are, as `127.0.0.1:8080`.
    addresses: Vec<String>,
    answered: u64,
    /// Connections that failed, and requests that failed or came too late, over all hosts.
    pub failed_connections: u64,
    pub failed_requests: u64,
}

pub(super) fn clusters(page: &Value) -> Vec<Cluster> {
    items(page, "cluster_statuses").map(Cluster::new).collect()
}

impl Cluster {
    fn new(cluster: &Value) -> Self {
        let hosts = || items(cluster, "host_statuses");
        let sum = |names: &[&str]| {
            let stats = hosts().flat_map(|host| items(host, "stats"));
            let counted = stats.filter(|stat| names.contains(&text(stat, "name")));
            let counts = counted.filter_map(|stat| stat.get("value").and_then(number));
            counts.fold(0, u64::saturating_add)
        };
        Self {
            name: text(cluster, "name").to_owned(),
            hosts: hosts().count(),
            healthy: hosts().filter(|host| is_healthy(host)).count(),
            addresses: hosts().filter_map(address).take(MOST_SHOWN).collect(),
            answered: sum(&["rq_success"]),
            failed_connections: sum(&["cx_connect_fail"]),
            failed_requests: sum(&["rq_error", "rq_timeout"]),
        }
    }

    pub(super) fn has_no_host(&self) -> bool {
        self.hosts == 0
    }

    /// Whether no connection to it was ever of use, though it was tried.
    pub(super) fn has_never_answered(&self) -> bool {
        self.failed_connections > 0 && self.answered == 0
    }

    fn failures(&self) -> u64 {
        self.failed_connections.saturating_add(self.failed_requests)
    }

    pub(super) fn in_words(&self) -> (Mark, String) {
        let Self {
            name,
            hosts,
            healthy,
            ..
        } = self;
        let at = match self.addresses.as_slice() {
            [] => String::new(),
            some => format!(" at {}", some.join(", ")),
        };
        let failed = format!(
            "failed: {} connections, {} requests",
            self.failed_connections, self.failed_requests
        );
        match hosts {
            0 => (
                Mark::Bad,
                format!(
                    "cluster {name}: no host: its name was not resolved, or it has no endpoint"
                ),
            ),
            _ if *healthy == 0 => (
                Mark::Bad,
                format!("cluster {name}: none of {hosts} hosts{at} is healthy; {failed}"),
            ),
            _ if self.has_never_answered() => (
                Mark::Bad,
                format!(
                    "cluster {name}: nothing{at} has ever answered: another address or port, or TLS that fails; {failed}"
                ),
            ),
            // what failed is no plus, and may be long over
            _ => {
                let mark = if self.failures() > 0 {
                    Mark::Note
                } else {
                    Mark::Good
                };
                let text =
                    format!("cluster {name}: {healthy} of {hosts} hosts are healthy; {failed}");
                (mark, text)
            }
        }
    }
}

fn address(host: &Value) -> Option<String> {
    let address = host.get("address")?.get("socket_address")?;
    let port = address.get("port_value").and_then(number)?;
    Some(format!("{}:{port}", text(address, "address")))
}

fn is_healthy(host: &Value) -> bool {
    let Some(health) = host.get("health_status") else {
        return true;
    };
    let by_discovery = text(health, "eds_health_status");
    let failed = ["failed_active_health_check", "failed_outlier_check"];
    let has_failed = |name: &&str| health.get(name).is_some_and(|it| it == &Value::Bool(true));
    !matches!(by_discovery, "UNHEALTHY" | "TIMEOUT" | "DRAINING") && !failed.iter().any(has_failed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_never_answered_is_told_with_its_address() {
        let stat = |name: &str, value: &str| json!({"name": name, "value": value});
        let cluster = |stats: Value| {
            let host = json!({
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": 9}},
                "stats": stats,
            });
            Cluster::new(&json!({"name": "api", "host_statuses": [host]}))
        };
        let never = cluster(json!([stat("cx_connect_fail", "2"), stat("rq_error", "2")]));
        let (mark, text) = never.in_words();
        assert_eq!(mark, Mark::Bad);
        assert!(
            text.contains("nothing at 127.0.0.1:9 has ever answered"),
            "{text}"
        );
        let once = cluster(json!([
            stat("cx_connect_fail", "2"),
            stat("rq_success", "1")
        ]));
        assert_eq!(once.in_words().0, Mark::Note);
        let good = cluster(json!([stat("rq_success", "1")]));
        assert_eq!(good.in_words().0, Mark::Good);
        // nobody has asked it yet
        assert_eq!(cluster(json!([])).in_words().0, Mark::Good);
    }

    #[test]
    fn hosts_that_are_not_healthy_are_told_with_the_first_addresses() {
        let cluster = |health: &Value| {
            let host = |port: u16| {
                let address = json!({"socket_address": {"address": "h", "port_value": port}});
                json!({"address": address, "health_status": health})
            };
            let hosts: Vec<Value> = (1..=4).map(host).collect();
            Cluster::new(&json!({"name": "api", "host_statuses": hosts}))
        };
        for health in [
            json!({"eds_health_status": "UNHEALTHY"}),
            json!({"eds_health_status": "TIMEOUT"}),
            json!({"eds_health_status": "DRAINING"}),
            json!({"failed_active_health_check": true}),
            json!({"failed_outlier_check": true}),
        ] {
            let (mark, text) = cluster(&health).in_words();
            assert_eq!(mark, Mark::Bad, "{health}");
            let told = "none of 4 hosts at h:1, h:2, h:3 is healthy";
            assert!(text.contains(told), "{health} {text}");
        }
        for health in [
            json!({"eds_health_status": "DEGRADED"}),
            json!({"failed_outlier_check": false}),
        ] {
            assert_eq!(cluster(&health).in_words().0, Mark::Good, "{health}");
        }
    }
}
