//! The keys that a provider publishes, as a document to be fetched: first the provider's metadata,
//! from the places where they may be (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3),
//! then the JWK Set (RFC 7517 section 5) that they name.
//!
//! Invariants: the filter and the command-line tool ask in the same order; and each place is asked
//! once, so that a fetch comes to its end.

use std::rc::Rc;
use std::time::Duration;

use super::discovery::{self, DiscoveryError, Found};
use super::metadata::{Metadata, Reading};
use crate::config::{Endpoint, Remote};
use crate::document::MAX_DOCUMENT;
use crate::document::fetch::{Document, FetchError};
use crate::document::source::{Content, Fetched, Next, Source};
use crate::document::times::Times;
use crate::host::{Call, Reply};
use crate::http::uri::Uri;
use crate::jose::jwks::{JwksError, KeySet};
use crate::time::millis;

/// How far a fetch is: what its last call is for.
#[derive(Debug)]
pub enum Stage {
    /// The metadata, from this one of their places.
    Metadata(usize),
    /// The keys, with the metadata that named their place; empty where no metadata did.
    Jwks(Box<Reading>),
}

/// What a provider publishes.
#[derive(Debug)]
pub struct Published {
    /// Its keys.
    pub keys: Rc<KeySet>,
    /// What it says about itself; nothing where no metadata led to the keys.
    pub metadata: Rc<Metadata>,
}

/// One source of keys.
#[derive(Debug)]
pub struct RemoteKeys {
    remote: Rc<Remote>,
    /// The issuer, where its metadata lead to the keys.
    home: Option<Uri>,
    /// Where the issuer's metadata may be; empty where they do not lead to the keys.
    metadata_paths: Vec<String>,
}

impl Source for RemoteKeys {
    const KIND: &'static str = "keys";
    type Stage = Stage;
    type Value = Published;

    fn name(&self) -> String {
        name_of(&self.remote.endpoint)
    }

    fn times(&self) -> &Times {
        &self.remote.times
    }

    fn timeout(&self) -> Duration {
        match &self.remote.endpoint {
            Endpoint::Jwks(uri) => uri.timeout,
            Endpoint::Discovery { timeout, .. } => *timeout,
        }
    }

    fn longest(&self) -> Duration {
        let calls = self.metadata_paths.len().saturating_add(1);
        self.timeout()
            .saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX))
    }

    /// `None` where the issuer is not a URI.
    fn first(&self) -> Option<(Stage, Call)> {
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

    fn next(&self, stage: Stage, answer: Reply) -> Next<Stage> {
        let next = match (stage, answer.document()) {
            (Stage::Jwks(metadata), Ok(document)) => {
                return fetched(document, *metadata).map_or_else(Next::Failed, Next::Done);
            }
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

    /// Keys that did not change stay in place: tokens that they verified stay verified.
    fn read(&self, content: &Content, before: Option<(&Content, &Published)>) -> Option<Published> {
        let keys = match before.filter(|(before, _)| before.document == content.document) {
            Some((_, same)) => Rc::clone(&same.keys),
            None => Rc::new(KeySet::parse(content.document.as_bytes()).ok()?),
        };
        let metadata = match before.filter(|(before, _)| before.notes == content.notes) {
            Some((_, same)) => Rc::clone(&same.metadata),
            None => Rc::new(self.metadata(&content.notes)),
        };
        Some(Published { keys, metadata })
    }
}

impl RemoteKeys {
    /// The source that the configuration describes.
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

    /// Whether the provider's metadata lead to the keys.
    #[must_use]
    pub fn is_discovered(&self) -> bool {
        self.remote.is_discovered()
    }

    /// Reads again what was kept of the metadata. They are empty where they do not lead to the
    /// keys.
    fn metadata(&self, kept: &str) -> Metadata {
        let home = self.home.as_ref();
        home.map_or_else(Metadata::default, |home| Reading::again(kept, home.scheme))
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

    /// The call for the keys that the metadata name.
    fn named_by(&self, metadata: &Document) -> Result<(Stage, Call), FetchError> {
        match &self.remote.endpoint {
            Endpoint::Discovery {
                issuer,
                cluster,
                jwks_cluster,
                ..
            } => {
                let found = found_in(metadata, issuer, cluster, jwks_cluster.as_deref())?;
                let (uri, cluster) = found.jwks_location;
                let stage = Stage::Jwks(Box::new(found.reading));
                Ok((stage, self.call(uri, cluster)))
            }
            Endpoint::Jwks(_) => Err(metadata.not_read(DiscoveryError::NotMetadata.description())),
        }
    }

    fn call(&self, uri: Uri, cluster: &str) -> Call {
        Call::get(uri, cluster, self.timeout(), MAX_DOCUMENT)
    }
}

/// The keys of a JWK Set.
///
/// # Errors
/// Why the document is not one.
pub fn key_set(document: &Document) -> Result<KeySet, FetchError> {
    KeySet::parse(&document.body).map_err(|error| match error {
        JwksError::Malformed => document.not_read(error.description()),
        error => FetchError::Unusable {
            reason: error.description(),
            told: error.to_string(),
        },
    })
}

/// What is said by provider metadata; see [`discovery::read`].
fn found_in<'c>(
    metadata: &Document,
    issuer: &str,
    cluster: &'c str,
    jwks_cluster: Option<&'c str>,
) -> Result<Found<'c>, FetchError> {
    let found = discovery::read(&metadata.body, issuer, cluster, jwks_cluster);
    found.map_err(|error| match error {
        DiscoveryError::NotMetadata => metadata.not_read(error.description()),
        error => FetchError::Unusable {
            reason: error.description(),
            told: error.to_string(),
        },
    })
}

/// A JWK Set, with the metadata that named its place.
fn fetched(document: Document, metadata: Reading) -> Result<Fetched, FetchError> {
    let keys = key_set(&document)?;
    let mut skipped = metadata.faults;
    skipped.extend(keys.skipped().iter().map(ToString::to_string));
    Ok(Fetched {
        max_age: document.max_age,
        content: Content {
            document: document.into_text()?,
            notes: metadata.kept,
        },
        found: format!("{} usable keys", keys.keys().len()),
        skipped,
    })
}

/// What tells one source of keys from another: configurations with the same
/// source share its keys, and no others'. Each part with its length before it, so
/// that no two lists of parts make one name.
fn name_of(endpoint: &Endpoint) -> String {
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

    const KEYS: &str = concat!(
        r#"{"keys":["#,
        include_str!("../../tests/fixtures/set-a.jwk.json"),
        "]}"
    );

    fn keys_of(issuer: &str) -> RemoteKeys {
        RemoteKeys::new(Rc::new(Remote {
            endpoint: Endpoint::Discovery {
                issuer: issuer.to_owned(),
                cluster: "home".to_owned(),
                jwks_cluster: Some("keys".to_owned()),
                timeout: Duration::from_secs(5),
            },
            times: Times {
                cache_duration: Duration::ZERO,
                max_stale: Duration::ZERO,
                early_cooldown: Duration::ZERO,
                respect_cache_control: false,
                back_off_base: Duration::ZERO,
                back_off_max: Duration::ZERO,
                retries: 0,
                first_fetch_within: Duration::ZERO,
            },
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
        let source = keys_of("https://t.example/a");
        assert_eq!(source.longest(), Duration::from_secs(25));
        // How many places have no metadata -> how many calls there are, and how it ends.
        for (without, calls, end) in [
            (0, 2, "keys"),
            (1, 3, "keys"),
            (3, 5, "keys"),
            (4, 4, "status 404"),
        ] {
            let (mut stage, mut call) = source.first().unwrap();
            let mut asked = vec![(call.cluster, call.path)];
            let ended = loop {
                let answer = match stage {
                    Stage::Metadata(at) if at < without => answer(404, metadata),
                    Stage::Metadata(_) => answer(200, metadata),
                    Stage::Jwks(_) => answer(200, KEYS),
                };
                match source.next(stage, answer) {
                    Next::Call(next, to) => (stage, call) = (next, to),
                    Next::Done(_) => break "keys".to_owned(),
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
    fn an_answer_that_is_not_about_the_place_ends_the_fetch() {
        let source = keys_of("https://t.example/a");
        for answer in [
            answer(429, ""),
            answer(503, ""),
            answer(302, ""),
            answer(200, "{}"),
            Reply::None,
            Reply::NotSent,
            Reply::TooLarge(1),
        ] {
            let (stage, _) = source.first().unwrap();
            let next = source.next(stage, answer);
            assert!(matches!(next, Next::Failed(_)), "{next:?}");
        }
    }

    /// Clusters and issuers may have spaces, and shared data tells its entries apart by their names
    /// alone.
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
        let mut names: Vec<String> = sources.iter().map(name_of).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
