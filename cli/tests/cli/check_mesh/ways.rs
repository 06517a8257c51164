//! `check` of ways that lead past the gateways of Istio and Envoy Gateway that have the filter.

use super::{ERROR, Row, WARNING, compare, istio};

/// A `Gateway` of these workloads, and a `VirtualService` of these gateways.
macro_rules! gateway {
    ($name:literal, $selector:literal, $gateways:literal) => {
        (
            "",
            concat!(
                "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: ",
                $name,
                ", namespace: edge}\nspec:\n  selector: {istio: ",
                $selector,
                "}\n  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*']}]\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ",
                $name,
                ", namespace: edge}\nspec:\n  hosts: [api.example.com]\n  gateways: ",
                $gateways,
                "\n  http: [{route: [{destination: {host: orders}}]}]\n"
            ),
        )
    };
}

/// A way past the gateways that have the plugin.
#[test]
fn gateways_without_the_plugin() {
    compare(
        istio::GOOD,
        &[
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: &[
                    gateway!("web", "ingressgateway", "[web]"),
                    gateway!("partners", "partnergateway", "[partners]"),
                ],
                at: "[partners]",
                says: "Gateway partners, whose workloads do not have the filter, to orders",
                good: &[
                    gateway!("web", "ingressgateway", "[web]"),
                    gateway!("partners", "ingressgateway", "[partners]"),
                ],
            },
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: &[
                    gateway!("web", "ingressgateway", "[web, partners]"),
                    gateway!("partners", "partnergateway", "[mesh]"),
                ],
                at: "[web, partners]",
                says: "needs no token",
                good: &[
                    gateway!("web", "ingressgateway", "[web]"),
                    gateway!("partners", "partnergateway", "[mesh]"),
                ],
            },
            Row {
                kind: "other-chain",
                level: WARNING,
                bad: &[(
                    "",
                    "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: east, namespace: edge}\nspec:\n  selector: {istio: ingressgateway}\n  servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.local']}]\n",
                )],
                at: "AUTO_PASSTHROUGH",
                says: "the service that the client names",
                good: &[
                    gateway!("web", "ingressgateway", "[web]"),
                    (
                        "",
                        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: east, namespace: edge}\nspec:\n  selector: {istio: eastwestgateway}\n  servers: [{port: {number: 15443, name: tls, protocol: TLS}, tls: {mode: AUTO_PASSTHROUGH}, hosts: ['*.local']}]\n",
                    ),
                ],
            },
            Row {
                kind: "requests-left-out",
                level: WARNING,
                bad: &[gateway!("web", "ingress", "[web]")],
                at: "istio: ingressgateway",
                says: "no Gateway in the files",
                good: &[gateway!("web", "ingressgateway", "[web]")],
            },
        ],
    );
}
