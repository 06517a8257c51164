//! `check` of pods and `Sidecar`s beside a plugin of Istio, and of hosts that a request chooses.

use super::{ERROR, Row, WARNING, compare, istio};

const POD: (&str, &str) = ("{istio: ingressgateway}", "{app: orders}");

/// A workload, with these labels and annotations of its pods.
macro_rules! deployment {
    ($labels:literal, $annotations:literal) => {
        (
            "",
            concat!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: orders, namespace: edge}\nspec:\n  template:\n    metadata:\n      labels: {",
                $labels,
                "}\n      annotations: {",
                $annotations,
                "}\n"
            ),
        )
    };
}

/// A `Sidecar` with a port of this protocol.
macro_rules! sidecar {
    ($labels:literal, $protocol:literal) => {
        (
            "",
            concat!(
                "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: orders, namespace: edge}\nspec:\n  workloadSelector: {labels: {",
                $labels,
                "}}\n  ingress: [{port: {number: 9080, name: in, protocol: ",
                $protocol,
                "}, defaultEndpoint: '127.0.0.1:8080'}]\n"
            ),
        )
    };
}

/// A route to whatever host of this name is asked for.
macro_rules! wildcard {
    ($resolution:literal) => {
        (
            "",
            concat!(
                "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: any, namespace: edge}\nspec: {hosts: ['*'], gateways: [web], http: [{route: [{destination: {host: '*.example.org'}}]}]}\n---\n",
                "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: any, namespace: edge}\nspec: {hosts: ['*.example.org'], ports: [{number: 80, name: http, protocol: HTTP}], resolution: ",
                $resolution,
                "}\n"
            ),
        )
    };
}

#[test]
fn pods_whose_requests_do_not_come_to_the_plugin() {
    compare(
        istio::GOOD,
        &[
            Row {
                kind: "requests-left-out",
                level: ERROR,
                bad: &[
                    POD,
                    deployment!("app: orders", "sidecar.istio.io/inject: 'false'"),
                ],
                at: "inject",
                says: "have no proxy",
                good: &[
                    POD,
                    deployment!("app: orders", "sidecar.istio.io/inject: 'true'"),
                ],
            },
            Row {
                kind: "requests-left-out",
                level: ERROR,
                bad: &[
                    POD,
                    deployment!("app: orders, sidecar.istio.io/inject: false", ""),
                ],
                at: "inject",
                says: "Deployment orders",
                good: &[
                    POD,
                    deployment!("app: users, sidecar.istio.io/inject: false", ""),
                ],
            },
            Row {
                kind: "requests-left-out",
                level: WARNING,
                bad: &[
                    POD,
                    deployment!(
                        "app: orders",
                        "traffic.sidecar.istio.io/excludeInboundPorts: '8080'"
                    ),
                ],
                at: "8080",
                says: "come to the pod, and not to the filter",
                good: &[
                    POD,
                    deployment!(
                        "app: orders",
                        "traffic.sidecar.istio.io/excludeOutboundPorts: '8080'"
                    ),
                ],
            },
            Row {
                kind: "requests-left-out",
                level: WARNING,
                bad: &[
                    POD,
                    deployment!(
                        "app: orders",
                        "traffic.sidecar.istio.io/includeInboundPorts: '80,443'"
                    ),
                ],
                at: "80,443",
                says: "every other port",
                good: &[
                    POD,
                    deployment!(
                        "app: orders",
                        "traffic.sidecar.istio.io/includeInboundPorts: '*'"
                    ),
                ],
            },
            Row {
                kind: "requests-left-out",
                level: WARNING,
                bad: &[POD, sidecar!("app: orders", "TCP")],
                at: "protocol: TCP",
                says: "forwarded unread",
                good: &[POD, sidecar!("app: orders", "HTTP")],
            },
            Row {
                kind: "upstream-chosen",
                level: WARNING,
                bad: &[wildcard!("DYNAMIC_DNS")],
                at: "*.example.org",
                says: "without a wildcard",
                good: &[wildcard!("NONE")],
            },
        ],
    );
}
