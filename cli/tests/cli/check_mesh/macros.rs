//! Patches of Envoy's configuration, as texts.

/// An `EnvoyFilter` with a patch: to what, what it matches, and what it does.
macro_rules! filter {
    ($to:literal, $match:literal, $($patch:tt)+) => {
        &[(
            "",
            concat!(
                "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: patch, namespace: edge}\nspec:\n  workloadSelector: {labels: {istio: ingressgateway}}\n  configPatches:\n  - applyTo: ",
                $to,
                "\n    match: ",
                $match,
                "\n    patch: ",
                $($patch)+,
                "\n"
            ),
        )]
    };
}

/// An `EnvoyPatchPolicy` with one operation.
macro_rules! policy {
    ($target:literal, $kind:literal, $operation:literal) => {
        &[(
            "",
            concat!(
                "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyPatchPolicy\nmetadata: {name: patch, namespace: edge}\nspec:\n  targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: ",
                $target,
                "}\n  type: JSONPatch\n  jsonPatches:\n  - type: type.googleapis.com/envoy.config.",
                $kind,
                "\n    name: edge/eg/http\n    operation: ",
                $operation,
                "\n"
            ),
        )]
    };
}
