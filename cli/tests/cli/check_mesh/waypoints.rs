//! `check` of the filter in a waypoint, to which the mesh sends only what is said to go there.

use super::{ERROR, Row, WARNING, compare, istio};
use crate::{Files, run};

const SELECTOR: &str = "  selector: {matchLabels: {istio: ingressgateway}}\n";

/// The filter in a waypoint that a namespace uses.
fn good() -> String {
    let plugin = istio::GOOD.replace(
        SELECTOR,
        "  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}]\n",
    );
    format!(
        "{plugin}---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: waypoint, namespace: edge, labels: {{istio.io/waypoint-for: service}}}}
spec: {{gatewayClassName: istio-waypoint, listeners: [{{name: mesh, port: 15008, protocol: HBONE}}]}}
---
apiVersion: v1
kind: Namespace
metadata: {{name: edge, labels: {{istio.io/use-waypoint: waypoint}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: orders, namespace: edge}}
spec: {{ports: [{{port: 80}}]}}
"
    )
}

const USE: &str = "istio.io/use-waypoint: waypoint";
const REF: &str = "{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}";
const BOTH: &str = "{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}, {group: gateway.networking.k8s.io, kind: Gateway, name: front}";

/// A Gateway of another class, and a route from there to the service.
macro_rules! route {
    ($service:literal) => {
        route!($service, "front")
    };
    ($service:literal, $parent:literal) => {
        (
            "",
            concat!(
                "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: front, namespace: edge}\nspec: {gatewayClassName: istio}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: all, namespace: edge}\nspec:\n  parentRefs: [{name: ",
                $parent,
                "}]\n  rules: [{backendRefs: [{name: ",
                $service,
                ", port: 80}]}]\n"
            ),
        )
    };
}

#[test]
fn what_does_not_come_to_a_waypoint() {
    compare(
        &good(),
        &[
            Row {
                kind: "requests-left-out",
                level: ERROR,
                bad: &[(
                    "  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: waypoint}]",
                    "  selector: {matchLabels: {gateway.networking.k8s.io/gateway-name: waypoint}}",
                )],
                at: "selector",
                says: "Istio takes targetRefs alone",
                good: &[],
            },
            Row {
                kind: "requests-left-out",
                level: WARNING,
                bad: &[("waypoint-for: service", "waypoint-for: workload")],
                at: "targetRefs",
                says: "requests to services do not come",
                good: &[("waypoint-for: service", "waypoint-for: all")],
            },
            Row {
                kind: "requests-left-out",
                level: WARNING,
                bad: &[(USE, "istio.io/dataplane-mode: ambient")],
                at: "targetRefs",
                says: "no request goes to that waypoint",
                good: &[
                    (USE, "istio.io/dataplane-mode: ambient"),
                    (
                        "{name: orders, namespace: edge}",
                        "{name: orders, namespace: edge, labels: {istio.io/use-waypoint: waypoint}}",
                    ),
                ],
            },
            Row {
                kind: "requests-left-out",
                level: WARNING,
                bad: &[
                    (REF, "{group: '', kind: Service, name: orders}"),
                    (USE, "istio.io/dataplane-mode: ambient"),
                ],
                at: "targetRefs",
                says: "neither Service orders nor its namespace",
                good: &[(REF, "{group: '', kind: Service, name: orders}")],
            },
            Row {
                kind: "requests-left-out",
                level: WARNING,
                bad: &[
                    (REF, "{group: '', kind: Service, name: orders}"),
                    (
                        "{name: orders, namespace: edge}",
                        "{name: orders, namespace: edge, labels: {istio.io/use-waypoint: none}}",
                    ),
                ],
                at: "targetRefs",
                says: "the filter is nowhere",
                good: &[],
            },
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: &[route!("orders")],
                at: "parentRefs",
                says: "past its waypoint",
                good: &[
                    route!("orders"),
                    (
                        "{name: orders, namespace: edge}",
                        "{name: orders, namespace: edge, labels: {istio.io/ingress-use-waypoint: 'true'}}",
                    ),
                ],
            },
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: &[
                    (REF, "{group: '', kind: Service, name: orders}"),
                    route!("orders"),
                ],
                at: "parentRefs",
                says: "ingress-use-waypoint",
                good: &[
                    (REF, "{group: '', kind: Service, name: orders}"),
                    route!("users"),
                ],
            },
            // that Gateway has the filter too
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: &[route!("orders")],
                at: "parentRefs",
                says: "from Gateway front",
                good: &[(REF, BOTH), route!("orders")],
            },
            Row {
                kind: "unguarded-chain",
                level: ERROR,
                bad: &[
                    (REF, "{group: '', kind: Service, name: orders}"),
                    route!("orders", "another"),
                ],
                at: "parentRefs",
                says: "from Gateway another",
                good: &[
                    (REF, "{group: '', kind: Service, name: orders}"),
                    route!("orders", "waypoint"),
                ],
            },
        ],
    );
}

/// What no file can say is a note.
#[test]
fn what_a_waypoint_does_not_see_is_noted() {
    let noted = |text: &str| {
        let files = Files::in_a_directory();
        let ran = run(&["check", &files.with("mesh.yaml", text)]);
        assert_eq!(ran.code, 0, "{}", ran.out);
        ran.out.contains("the filter is in a waypoint")
    };
    assert!(noted(&good()));
    assert!(!noted(istio::GOOD));
}
