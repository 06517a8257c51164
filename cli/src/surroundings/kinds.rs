//! The types of Envoy's own filters that are looked for.

/// A cluster that is made of others, by their names.
pub(super) const AGGREGATE: &str = "envoy.extensions.clusters.aggregate.v3.ClusterConfig";
pub(super) const CACHE: &str = "envoy.extensions.filters.http.cache.v3.CacheConfig";
pub(super) const CACHE_V2: &str = "envoy.extensions.filters.http.cache_v2.v3.CacheV2Config";
/// As [`AGGREGATE`], with another cluster for each attempt of a request.
pub(super) const COMPOSITE: &str = "envoy.extensions.clusters.composite.v3.ClusterConfig";
pub(super) const CREDENTIAL_INJECTOR: &str =
    "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector";
/// A cluster whose host is chosen for each request.
pub(super) const DYNAMIC_CLUSTER: &str =
    "envoy.extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig";
pub(super) const DYNAMIC_HOST_OF_ROUTE: &str =
    "envoy.extensions.filters.http.dynamic_forward_proxy.v3.PerRouteConfig";
pub(super) const DYNAMIC_MODULE: &str =
    "envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";
pub(super) const EARLY_HEADER_MUTATION: &str =
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation";
pub(super) const EXT_AUTHZ: &str = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz";
pub(super) const EXT_PROC: &str = "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor";
pub(super) const GOLANG: &str = "envoy.extensions.filters.http.golang.v3alpha.Config";
pub(super) const HEADER_MUTATION: &str =
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation";
pub(super) const HEADER_MUTATION_OF_ROUTE: &str =
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute";
pub(super) const HEADER_TO_METADATA: &str =
    "envoy.extensions.filters.http.header_to_metadata.v3.Config";
pub(super) const JWT_AUTHN: &str = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication";
pub(crate) const CORS: &str = "envoy.extensions.filters.http.cors.v3.Cors";
pub(super) const LUA: &str = "envoy.extensions.filters.http.lua.v3.Lua";
pub(super) const LUA_OF_ROUTE: &str = "envoy.extensions.filters.http.lua.v3.LuaPerRoute";
pub(super) const OAUTH2: &str = "envoy.extensions.filters.http.oauth2.v3.OAuth2";
pub(super) const RATE_LIMIT: &str = "envoy.extensions.filters.http.ratelimit.v3.RateLimit";
pub(super) const RBAC: &str = "envoy.extensions.filters.http.rbac.v3.RBAC";
pub(super) const RBAC_OF_ROUTE: &str = "envoy.extensions.filters.http.rbac.v3.RBACPerRoute";
pub(super) const SET_FILTER_STATE: &str =
    "envoy.extensions.filters.network.set_filter_state.v3.Config";
pub(super) const TRANSCODER: &str =
    "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder";
pub(super) const SNI_FORWARD_PROXY: &str =
    "envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig";
pub(super) const SNI_CLUSTER: &str = "envoy.extensions.filters.network.sni_cluster.v3.SniCluster";
pub(super) const TAP: &str = "envoy.extensions.filters.http.tap.v3.Tap";
pub(super) const TAP_OF_CONNECTIONS: &str = "envoy.extensions.transport_sockets.tap.v3.Tap";
