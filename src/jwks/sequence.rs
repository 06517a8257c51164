//! Which calls bring a source's keys, and in which order: the provider's metadata from the places
//! where it may be (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3), then the JWK Set
//! (RFC 7517 section 5) that it names.
//!
//! Invariants: the filter and the tool ask in this order; and each place is asked once, so that a
//! fetch has an end.

use std::rc::Rc;
use std::time::Duration;

use super::MAX_DOCUMENT;
use super::discovery::{self, DiscoveryError};
use super::fetch::{Document, FetchError};
use super::metadata::{Metadata, Reading};
use crate::config::{Endpoint, Remote};
use crate::host::{Call, Reply};
use crate::http::uri::Uri;
use crate::time::millis;

/// How far a fetch is: what its last call is for.
#[derive(Debug)]
pub enum Stage {
    /// The metadata, from this one of its places.
    Metadata(usize),
    /// The keys, with the metadata that named their place, empty where none did.
    Jwks(Box<Reading>),
}

/// What an answer leads to.
#[derive(Debug)]
pub enum Next {
    /// The fetch goes on with this call.
    Call(Stage, Call),
    /// The fetch is over. The document should be a JWK Set; with it the metadata that named its
    /// place, empty where none did.
    Jwks(Document, Box<Reading>),
    /// The fetch is over and brought nothing.
    Failed(FetchError),
}

/// The calls for one source of keys.
#[derive(Debug)]
pub struct Sequence {
    remote: Rc<Remote>,
    /// The issuer, of a source that needs its metadata.
    home: Option<Uri>,
    /// Where the issuer's metadata may be; none of a source that needs none.
    metadata_paths: Vec<String>,
}

impl Sequence {
    /// The calls for this source.
    #[must_use]
    pub fn new(remote: Rc<Remote>) -> Self {
        let home = match &remote.endpoint {
            Endpoint::Jwks(_) => None,
            Endpoint::Discovery { issuer, .. } => Uri::parse(issuer).ok(),
        };
        let metadata_paths = home.as_ref().map(discovery::metadata_paths);
        Self {
            metadata_paths: metadata_paths.unwrap_or_default(),
            home,
            remote,
        }
    }

    /// The call that a fetch begins with; `None` where the issuer is no URI.
    #[must_use]
    pub fn first(&self) -> Option<(Stage, Call)> {
        match &self.remote.endpoint {
            Endpoint::Jwks(uri) => {
                let address = Uri {
                    scheme: uri.scheme,
                    authority: uri.authority.clone(),
                    path: uri.path.clone(),
                };
                Some((
                    Stage::Jwks(Box::default()),
                    self.call(address, &uri.cluster),
                ))
            }
            Endpoint::Discovery { .. } => self.place(0),
        }
    }

    /// What comes after a call of this stage, by its answer.
    #[must_use]
    pub fn next(&self, stage: Stage, answer: Reply) -> Next {
        let next = match (stage, answer.document()) {
            (Stage::Jwks(metadata), Ok(document)) => return Next::Jwks(document, metadata),
            (Stage::Metadata(_), Ok(metadata)) => self.named_by(&metadata),
            (Stage::Metadata(at), Err(error)) => match error {
                FetchError::Status(status) if discovery::is_elsewhere(status) => {
                    self.place(at.saturating_add(1)).ok_or(error)
                }
                error => Err(error),
            },
            (Stage::Jwks(_), Err(error)) => Err(error),
        };
        next.map_or_else(Next::Failed, |(stage, call)| Next::Call(stage, call))
    }

    /// Reads again what was kept of the metadata. A source that needs none has none.
    #[must_use]
    pub fn metadata(&self, kept: &str) -> Metadata {
        let home = self.home.as_ref();
        home.map_or_else(Metadata::default, |home| Reading::again(kept, home.scheme))
    }

    /// What tells this source from others, in shared data.
    #[must_use]
    pub fn source(&self) -> String {
        source_of(&self.remote.endpoint)
    }

    /// How long one call may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        match &self.remote.endpoint {
            Endpoint::Jwks(uri) => uri.timeout,
            Endpoint::Discovery { timeout, .. } => *timeout,
        }
    }

    /// How long all of them may take.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let calls = self.metadata_paths.len().saturating_add(1);
        self.timeout()
            .saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX))
    }

    /// The call for the metadata in one of its places.
    fn place(&self, at: usize) -> Option<(Stage, Call)> {
        let Endpoint::Discovery { cluster, .. } = &self.remote.endpoint else {
            return None;
        };
        let path = self.metadata_paths.get(at)?.clone();
        let home = self.home.clone()?;
        Some((
            Stage::Metadata(at),
            self.call(Uri { path, ..home }, cluster),
        ))
    }

    /// The call for the keys that the metadata names.
    fn named_by(&self, metadata: &Document) -> Result<(Stage, Call), FetchError> {
        match &self.remote.endpoint {
            Endpoint::Discovery {
                issuer,
                cluster,
                jwks_cluster,
                ..
            } => {
                let found = metadata.metadata(issuer, cluster, jwks_cluster.as_deref())?;
                let (uri, cluster) = found.jwks_location;
                let stage = Stage::Jwks(Box::new(found.reading));
                Ok((stage, self.call(uri, cluster)))
            }
            Endpoint::Jwks(_) => Err(FetchError::Metadata(DiscoveryError::NotMetadata)),
        }
    }

    fn call(&self, uri: Uri, cluster: &str) -> Call {
        Call::get(uri, cluster, self.timeout(), MAX_DOCUMENT)
    }
}

/// What tells one source of keys from another: configurations with the same
/// source share its keys, and no others'. Each part with its length before it, so
/// that no two lists of parts make one name.
fn source_of(endpoint: &Endpoint) -> String {
    let timeout;
    let parts = match endpoint {
        Endpoint::Jwks(uri) => {
            timeout = uri.timeout;
            vec![
                "jwks",
                &uri.cluster,
                uri.scheme.name(),
                &uri.authority,
                &uri.path,
            ]
        }
        Endpoint::Discovery {
            issuer,
            cluster,
            jwks_cluster,
            timeout: of_call,
        } => {
            timeout = *of_call;
            let mut parts = vec!["discovery", cluster, issuer];
            parts.extend(jwks_cluster.as_deref());
            parts
        }
    };
    let mut source = format!("{}ms", millis(timeout));
    for part in parts {
        source.push_str(&format!(" {}:{part}", part.len()));
    }
    source
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::HttpUri;
    use crate::http::uri::Scheme;

    fn sequence(issuer: &str) -> Sequence {
        Sequence::new(Rc::new(Remote {
            endpoint: Endpoint::Discovery {
                issuer: issuer.to_owned(),
                cluster: "home".to_owned(),
                jwks_cluster: Some("keys".to_owned()),
                timeout: Duration::from_secs(5),
            },
            cache_duration: Duration::ZERO,
            max_stale: Duration::ZERO,
            unknown_kid_cooldown: Duration::ZERO,
            respect_cache_control: false,
            back_off_base: Duration::ZERO,
            back_off_max: Duration::ZERO,
            retries: 0,
            first_fetch_within: Duration::ZERO,
        }))
    }

    fn answer(status: u16, body: &str) -> Reply {
        Reply::Response {
            status,
            max_age: None,
            retry_after: None,
            location: None,
            content_type: None,
            body: body.into(),
        }
    }

    #[test]
    fn each_place_is_asked_once_and_then_the_keys() {
        let metadata = r#"{"issuer":"https://t.example/a","jwks_uri":"https://k.example/jwks"}"#;
        let sequence = sequence("https://t.example/a");
        assert_eq!(sequence.longest(), Duration::from_secs(25));
        // How many places have no metadata -> how many calls there are, and how it ends.
        for (without, calls, end) in [
            (0, 2, "keys"),
            (1, 3, "keys"),
            (3, 5, "keys"),
            (4, 4, "status 404"),
        ] {
            let (mut stage, mut call) = sequence.first().unwrap();
            let mut asked = vec![(call.cluster, call.path)];
            let ended = loop {
                let answer = match stage {
                    Stage::Metadata(at) if at < without => answer(404, metadata),
                    Stage::Metadata(_) => answer(200, metadata),
                    Stage::Jwks(_) => answer(200, "{}"),
                };
                match sequence.next(stage, answer) {
                    Next::Call(next, to) => (stage, call) = (next, to),
                    Next::Jwks(..) => break "keys".to_owned(),
                    Next::Failed(error) => break error.to_string(),
                }
                asked.push((call.cluster, call.path));
            };
            assert_eq!((asked.len(), ended.as_str()), (calls, end));
            let distinct = |at: usize| !asked[..at].contains(&asked[at]);
            assert!((0..calls).all(distinct), "{asked:?}");
            if end == "keys" {
                let last = ("keys".to_owned(), "/jwks".to_owned());
                assert_eq!(asked.last(), Some(&last));
            }
        }
    }

    #[test]
    fn what_is_no_answer_about_the_place_ends_the_fetch() {
        let sequence = sequence("https://t.example/a");
        for answer in [
            answer(429, ""),
            answer(503, ""),
            answer(302, ""),
            answer(200, "{}"),
            Reply::None,
            Reply::NotSent,
            Reply::TooLarge(1),
        ] {
            let (stage, _) = sequence.first().unwrap();
            let next = sequence.next(stage, answer);
            assert!(matches!(next, Next::Failed(_)), "{next:?}");
        }
    }

    /// Clusters and issuers have spaces if somebody wants them to, and shared data knows its
    /// entries by their names alone.
    #[test]
    fn no_two_sources_have_one_name() {
        let texts = ["a", "a b", "b", "-", "", "1:a", "a 1:b", "b 1:-", "a - b"];
        let mut sources = Vec::new();
        for cluster in texts {
            for other in texts {
                for timeout in [1, 11] {
                    let timeout = Duration::from_millis(timeout);
                    sources.push(Endpoint::Jwks(HttpUri {
                        scheme: Scheme::Https,
                        authority: "h".to_owned(),
                        path: format!("/{other}"),
                        cluster: cluster.to_owned(),
                        timeout,
                    }));
                    let jwks_clusters = texts.map(Some).into_iter().chain([None]);
                    sources.extend(jwks_clusters.map(|jwks_cluster| Endpoint::Discovery {
                        issuer: other.to_owned(),
                        cluster: cluster.to_owned(),
                        jwks_cluster: jwks_cluster.map(str::to_owned),
                        timeout,
                    }));
                }
            }
        }
        let mut names: Vec<String> = sources.iter().map(source_of).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
