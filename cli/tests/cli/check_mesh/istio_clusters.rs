//! `check` of the clusters of a provider in Istio: a `ServiceEntry` and its `DestinationRule`.

use super::istio::{CLUSTER, GOOD};
use super::{ERROR, Row, WARNING, compare};

const TLS: &str = "tls: {mode: SIMPLE, sni: idp.example, subjectAltNames: [idp.example]}";
const HOSTS: &str = "hosts: [idp.example]";
const HOST: &str = "host: idp.example\n";

#[test]
fn clusters_of_a_provider() {
    compare(
        GOOD,
        &[
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[(CLUSTER, "outbound|443|idp.example")],
                at: "http_uri",
                says: CLUSTER,
                good: &[],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[(CLUSTER, "inbound|443||idp.example")],
                at: "http_uri",
                says: CLUSTER,
                good: &[],
            },
            Row {
                kind: "cluster-missing",
                level: WARNING,
                bad: &[(CLUSTER, "idp")],
                at: "http_uri",
                says: CLUSTER,
                good: &[
                    (CLUSTER, "idp"),
                    (
                        "",
                        "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nspec: {configPatches: [{applyTo: CLUSTER, patch: {operation: ADD, value: {name: idp, transport_socket: {name: other, typed_config: {'@type': other}}}}}]}\n",
                    ),
                ],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[(HOSTS, "hosts: [idp.exmaple]")],
                at: "http_uri",
                says: "hosts: [idp.example]",
                good: &[(HOSTS, "hosts: [other.example, idp.example]")],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[("number: 443", "number: 8443")],
                at: "http_uri",
                says: "number: 443",
                good: &[],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[(CLUSTER, "outbound|443|blue|idp.example")],
                at: "http_uri",
                says: "the subset blue",
                good: &[
                    (CLUSTER, "outbound|443|blue|idp.example"),
                    (HOST, "host: idp.example\n  subsets: [{name: blue}]\n"),
                ],
            },
            Row {
                kind: "cluster-missing",
                level: ERROR,
                bad: &[
                    ("https://idp.example/jwks", "https://keycloak/jwks"),
                    (HOST, "host: '*'\n"),
                    (TLS, "tls: {mode: SIMPLE}"),
                    (CLUSTER, "outbound|443||keycloak"),
                ],
                at: "http_uri",
                says: "keycloak.NAMESPACE.svc.cluster.local",
                good: &[
                    ("https://idp.example/jwks", "https://keycloak/jwks"),
                    (HOST, "host: '*'\n"),
                    (TLS, "tls: {mode: SIMPLE}"),
                    (CLUSTER, "outbound|443||keycloak.auth.svc.cluster.local"),
                ],
            },
            Row {
                kind: "cluster-host",
                level: WARNING,
                bad: &[
                    ("https://idp.example/jwks", "https://idp2.example/jwks"),
                    (
                        "subjectAltNames: [idp.example]",
                        "subjectAltNames: [idp2.example]",
                    ),
                    ("sni: idp.example", "sni: idp2.example"),
                ],
                at: "http_uri",
                says: "outbound|443||idp2.example",
                good: &[],
            },
            Row {
                kind: "cluster-host",
                level: ERROR,
                bad: &[("resolution: DNS", "resolution: NONE")],
                at: "NONE",
                says: "resolution: DNS",
                good: &[("resolution: DNS", "resolution: STATIC")],
            },
            Row {
                kind: "cluster-port",
                level: WARNING,
                bad: &[
                    (CLUSTER, "outbound|80||idp.example"),
                    ("number: 443", "number: 80"),
                ],
                at: "http_uri",
                says: "another port than 443",
                good: &[
                    (CLUSTER, "outbound|80||idp.example"),
                    ("number: 443", "number: 80, targetPort: 443"),
                ],
            },
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[(HOST, "host: other.example\n")],
                at: "networking.istio.io",
                says: "mode: SIMPLE",
                good: &[(HOST, "host: '*.example'\n")],
            },
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[(TLS, "tls: {mode: DISABLE}")],
                at: "DISABLE",
                says: "in the clear",
                good: &[(TLS, "tls: {mode: SIMPLE}")],
            },
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[(TLS, "tls: {sni: idp.example}")],
                at: "tls:",
                says: "mode is DISABLE",
                good: &[],
            },
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[(TLS, "tls: {mode: ISTIO_MUTUAL}")],
                at: "ISTIO_MUTUAL",
                says: "mode: SIMPLE",
                good: &[(
                    TLS,
                    "tls: {mode: MUTUAL, clientCertificate: /c, privateKey: /k, sni: idp.example, subjectAltNames: [idp.example]}",
                )],
            },
            // the settings of a port are in the place of the others
            Row {
                kind: "cluster-without-tls",
                level: ERROR,
                bad: &[(
                    TLS,
                    "tls: {mode: SIMPLE}\n    portLevelSettings: [{port: {number: 443}}]",
                )],
                at: "networking.istio.io",
                says: "in the clear",
                good: &[(
                    TLS,
                    "portLevelSettings: [{port: {number: 443}, tls: {mode: SIMPLE}}]",
                )],
            },
            Row {
                kind: "certificate-unverified",
                level: ERROR,
                bad: &[(TLS, "tls: {mode: SIMPLE, insecureSkipVerify: true}")],
                at: "insecureSkipVerify",
                says: "anybody's",
                good: &[(TLS, "tls: {mode: SIMPLE, insecureSkipVerify: false}")],
            },
            Row {
                kind: "certificate-name",
                level: WARNING,
                bad: &[(TLS, "tls: {mode: SIMPLE, sni: idp.example}")],
                at: "tls:",
                says: "no subjectAltNames",
                good: &[
                    (TLS, "tls: {mode: SIMPLE, sni: idp.example}"),
                    (
                        HOSTS,
                        "hosts: [idp.example]\n  subjectAltNames: [idp.example]",
                    ),
                ],
            },
            Row {
                kind: "certificate-name",
                level: WARNING,
                bad: &[(TLS, "tls: {mode: SIMPLE, subjectAltNames: [idp2.example]}")],
                at: "tls:",
                says: "another one is believed",
                good: &[(
                    TLS,
                    "tls: {mode: SIMPLE, subjectAltNames: [idp2.example, idp.example]}",
                )],
            },
            Row {
                kind: "certificate-name",
                level: WARNING,
                bad: &[(
                    TLS,
                    "tls: {mode: SIMPLE, sni: idp2.example, subjectAltNames: [idp.example]}",
                )],
                at: "tls:",
                says: "sni is idp2.example",
                good: &[],
            },
        ],
    );
}
