//! What `check` reports: where, about what, why, and what to write.
//!
//! Invariant: every kind has a section in docs/checks.md, which its name leads to.

/// A report about a line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub spot: Spot,
    pub level: Level,
    pub kind: Kind,
    /// The field, from the top of the plugin's configuration or of the document.
    pub path: String,
    /// The reason in a sentence.
    pub text: String,
    /// What to write in its place; empty where `text` says it.
    pub instead: String,
}

/// What is not looked at, which is no finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub spot: Spot,
    pub text: String,
}

/// A place in one of the files that were given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    /// Which of the files.
    pub file: usize,
    /// Counted from 1, as the column.
    pub line: usize,
    pub column: usize,
}

/// How bad it is; the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// A request may get past the filter, or a good one is turned away.
    Warning,
    /// A request gets past the filter, or nothing works.
    Error,
}

impl Level {
    /// As JSON and SARIF have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Finding {
    pub(crate) fn error(kind: Kind, spot: Spot, path: &str, text: impl Into<String>) -> Self {
        Self {
            spot,
            level: Level::Error,
            kind,
            path: path.to_owned(),
            text: text.into(),
            instead: String::new(),
        }
    }

    pub(crate) fn warning(kind: Kind, spot: Spot, path: &str, text: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            ..Self::error(kind, spot, path, text)
        }
    }

    /// With what to write, one line or several.
    pub(crate) fn write(self, instead: impl Into<String>) -> Self {
        Self {
            instead: instead.into(),
            ..self
        }
    }

    pub(crate) fn is_error(&self) -> bool {
        self.level == Level::Error
    }
}

/// Each kind of finding once: its name, and what it is about.
macro_rules! kinds {
    ($($kind:ident $name:literal $about:literal)*) => {
        /// What a finding is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Kind {
            $(#[doc = $about] $kind,)*
        }

        impl Kind {
            pub(crate) const ALL: &[Self] = &[$(Self::$kind,)*];

            /// Its name, which stays as it is: pipelines know it.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }

            /// A few words on it.
            pub(crate) fn about(self) -> &'static str {
                match self {
                    $(Self::$kind => $about,)*
                }
            }
        }
    };
}

kinds! {
    // the filter's own configuration
    Configuration "configuration" "The filter refuses its configuration."
    RiskyChoice "risky-choice" "The filter's configuration allows what its author may not have meant."
    Variable "variable" "An environment variable does not reach the filter."
    SecretInFile "secret-in-file" "The value of a secret stands in the file."
    // ways past the filter
    UpgradeWithoutFilter "upgrade-without-filter" "An upgrade has filters of its own, without the filter."
    FilterDisabled "filter-disabled" "The filter is off where no route turns it on."
    CapabilityMissing "capability-missing" "Envoy hands the filter no requests."
    RouteWithoutFilter "route-without-filter" "A route turns the filter off."
    FilterMatched "filter-matched" "Another filter chooses the requests that the filter sees."
    FilterOptional "filter-optional" "Envoy may leave the filter out."
    FilterDefault "filter-default" "Something else stands for the filter until it has come."
    FilterUnused "filter-unused" "No chain has the filter."
    ConfigurationTwice "configuration-twice" "Two filters by ECDS have one name."
    FieldTwice "field-twice" "A field is given twice."
    DocumentUnread "document-unread" "Envoy does not read the document."
    FileNotGiven "file-not-given" "Envoy reads a file that was not given."
    NodeMissing "node-missing" "Envoy does not say who it is, and takes nothing from elsewhere."
    FilterAfterRouter "filter-after-router" "The filter is behind the router and never runs."
    UnguardedChain "unguarded-chain" "Another listener or chain leads to a guarded upstream."
    OtherChain "other-chain" "A listener or chain does not have the filter."
    ListenerTwice "listener-twice" "Two listeners have one address, or one name."
    PortInvalid "port-invalid" "An address has a port that there is not."
    UpstreamChosen "upstream-chosen" "Clients choose where their requests go."
    RequestsTunnelled "requests-tunnelled" "A route hands on, unread, what has requests in it."
    RequirementUnread "requirement-unread" "Nobody asks for what a route requires."
    RequirementUnknown "requirement-unknown" "A route requires what there is not."
    MetadataUnset "metadata-unset" "Something looks at metadata that nobody sets."
    StateUnset "state-unset" "Something looks at filter state that the filter does not write."
    ClaimHeaderSet "claim-header-set" "A route sets a header that only the filter may set."
    // the filters beside it
    FilterOrder "filter-order" "A filter that acts on who the client is comes too early."
    FilterTwice "filter-twice" "A request comes to the filter twice."
    JwtAuthnBeside "jwt-authn-beside" "Envoy's jwt_authn is beside the filter."
    CorsOrigin "cors-origin" "An origin of CORS as no browser sends it."
    // settings on which the protection depends
    PathNormalization "path-normalization" "The upstream may read another path than the rules."
    EscapedSlashes "escaped-slashes" "Escaped slashes are not treated as the rules expect it."
    Underscores "underscores" "Headers with underscores reach the upstream."
    RequestTimeout "request-timeout" "A request that waits may never end."
    HostForm "host-form" "Envoy and the rules may read another host."
    HeaderRoute "header-route" "The value of a header chooses a route that has a requirement."
    PathRewritten "path-rewritten" "A route makes a path of another one, which a stricter rule guards."
    FailurePolicy "failure-policy" "What happens after a crash of the VM."
    VmId "vm-id" "The filter has no shared data of its own."
    VmIdShared "vm-id-shared" "Another plugin has the filter's shared data."
    ModuleUnverified "module-unverified" "The module is fetched and not verified."
    ModuleMissing "module-missing" "The module's file is not there."
    Phase "phase" "The filter may run after those that act on who the client is."
    // the provider
    ClusterMissing "cluster-missing" "There is no cluster of that name."
    ClusterWithoutTls "cluster-without-tls" "Calls to an https address have no TLS."
    ClusterWithTls "cluster-with-tls" "Calls to an http address have TLS."
    CertificateUnverified "certificate-unverified" "Certificates of the provider are not verified."
    CertificateName "certificate-name" "The certificate may be another host's."
    ServerName "server-name" "TLS to the provider without a server name."
    ClusterHost "cluster-host" "The cluster leads to another host than the address."
    ClusterPort "cluster-port" "The cluster leads to another port than the address."
    FetchTimeout "fetch-timeout" "A call to a provider may take too long."
    // what others can read
    CredentialLogged "credential-logged" "Tokens or cookies are kept in a log."
    AdminOpen "admin-open" "Envoy's admin interface is open."
    // people who sign in
    BodyNotHanded "body-not-handed" "The filter never gets the body that it needs."
    HeaderRoom "header-room" "Envoy has no room for the cookies of a session."
    SitePort "site-port" "A site with a port that no request has."
    OtherAuthentication "other-authentication" "Another filter asks for tokens or signs people in."
    SetCookieRemoved "set-cookie-removed" "Something takes Set-Cookie out of responses."
    OwnPathOff "own-path-off" "A route turns the filter off for a path that the filter answers."
    // Istio and Envoy Gateway
    UnknownField "unknown-field" "A resource has a field that its API does not know."
    PluginType "plugin-type" "The filter runs where no HTTP is read."
    RequestsLeftOut "requests-left-out" "Some requests do not come to the filter."
    EveryWorkload "every-workload" "The filter is in every workload of a namespace, or of the mesh."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_section_in_the_documents() {
        let document = include_str!("../../docs/checks.md");
        let sections: Vec<&str> = document
            .lines()
            .filter_map(|line| line.strip_prefix("### "))
            .collect();
        let names: Vec<&str> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(sections, names, "in one order");
    }
}
