//! `check` of `Service`s and `Ingress`es that lead to what the filter guards.

use super::{Change, ERROR, Row, WARNING, compare, gateway, istio, root};
use crate::{Files, run};

/// A `Service` in the namespace of the filter, and what it says.
macro_rules! service {
    ($name:literal, $spec:literal) => {
        (
            "",
            concat!(
                "apiVersion: v1\nkind: Service\nmetadata: {name: ",
                $name,
                ", namespace: edge}\nspec: {",
                $spec,
                "}\n"
            ),
        )
    };
}

/// An `Ingress` to a service.
macro_rules! ingress {
    ($class:literal, $service:literal) => {
        (
            "",
            concat!(
                "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web, namespace: edge}\nspec:\n  ingressClassName: ",
                $class,
                "\n  rules:\n  - http: {paths: [{path: /, backend: {service: {name: ",
                $service,
                ", port: {number: 80}}}}]}\n"
            ),
        )
    };
}

fn row(
    level: &'static str,
    bad: Change,
    at: &'static str,
    says: &'static str,
    good: Change,
) -> Row {
    Row {
        kind: "unguarded-chain",
        level,
        bad,
        at,
        says,
        good,
    }
}

#[test]
fn services_beside_a_gateway_of_the_gateway_api() {
    compare(
        gateway::GOOD,
        &[
            row(
                ERROR,
                &[service!("api", "type: LoadBalancer, selector: {app: api}")],
                "LoadBalancer",
                "a load balancer of its own leads to Service api",
                &[service!("api", "selector: {app: api}")],
            ),
            row(
                WARNING,
                &[service!("api", "type: NodePort")],
                "NodePort",
                "a port of every node",
                &[service!("other", "type: NodePort")],
            ),
            row(
                ERROR,
                &[service!("api", "externalIPs: [192.0.2.1]")],
                "externalIPs",
                "addresses from outside",
                &[service!("api", "externalIPs: []")],
            ),
            // the same pods by another name
            row(
                ERROR,
                &[
                    service!("api", "selector: {app: api, tier: web}"),
                    service!(
                        "direct",
                        "type: LoadBalancer, selector: {tier: web, app: api}"
                    ),
                ],
                "LoadBalancer",
                "Service direct",
                &[
                    service!("api", "selector: {app: api, tier: web}"),
                    service!("direct", "type: LoadBalancer, selector: {app: other}"),
                ],
            ),
            row(
                ERROR,
                &[ingress!("nginx", "api")],
                "name: api",
                "Ingress web leads to Service api",
                &[ingress!("nginx", "envoy")],
            ),
        ],
    );
}

/// A `Gateway` of the plugin's workloads, and a `VirtualService` to a service.
const TO_ORDERS: (&str, &str) = (
    "",
    "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: web, namespace: edge}\nspec:\n  selector: {istio: ingressgateway}\n  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*']}]\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: web, namespace: edge}\nspec:\n  hosts: [api.example.com]\n  gateways: [web]\n  http: [{route: [{destination: {host: orders.edge.svc.cluster.local}}]}]\n",
);

#[test]
fn services_beside_a_gateway_of_istio() {
    compare(
        istio::GOOD,
        &[
            row(
                ERROR,
                &[TO_ORDERS, service!("orders", "type: LoadBalancer")],
                "LoadBalancer",
                "Service orders",
                &[TO_ORDERS, service!("orders", "type: ClusterIP")],
            ),
            row(
                ERROR,
                &[TO_ORDERS, ingress!("nginx", "orders")],
                "name: orders",
                "Ingress web",
                &[TO_ORDERS, ingress!("istio", "orders")],
            ),
        ],
    );
}

#[test]
fn services_beside_an_envoy() {
    let shipped = ["envoy.yaml", "bearer-gate.yaml", "service.yaml"];
    let shipped = shipped.map(|name| root().join("deploy/envoy").join(name));
    let shipped = shipped.map(|path| path.display().to_string());
    let service = |place: &str, kind: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: api, namespace: {place}}}\nspec: {{type: {kind}}}\n"
        )
    };
    let files = Files::in_a_directory();
    for (place, kind, code) in [
        ("default", "LoadBalancer", 1),
        ("default", "ClusterIP", 0),
        ("other", "LoadBalancer", 0),
    ] {
        let service = files.with("service.yaml", &service(place, kind));
        let mut arguments = vec!["check", "--strict", &service];
        arguments.extend(shipped.iter().map(String::as_str));
        let ran = run(&arguments);
        assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
        assert_eq!(
            ran.out
                .contains("a load balancer of its own leads to Service api"),
            code == 1,
            "{}",
            ran.out
        );
    }
}
