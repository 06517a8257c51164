//! The keys that a provider publishes, as a document to be fetched: first the provider's metadata,
//! from the places where they may be (OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3),
//! then the JWK Set (RFC 7517 section 5) that they name.
//!
//! Invariants: the filter and the command-line tool ask in the same order; and each place is asked
//! once, so that a fetch comes to its end.

use std::rc::Rc;
use std::time::Duration;

use super::by_kid::{self, ByKid, Round, Step};
use super::discovery::{self, DiscoveryError};
use super::metadata::{Metadata, Reading};
use crate::config::{Endpoint, Remote};
use crate::document::MAX_DOCUMENT;
use crate::document::fetch::{Document, FetchError};
use crate::document::source::{Content, Fetched, Next, Source};
use crate::document::times::Times;
use crate::host::{Call, Reply};
use crate::http::uri::Uri;
use crate::jose::jwks::{JwksError, KeySet};
use crate::text::is_uuid;
use crate::time::{Millis, millis};

/// How far a fetch is: what its last call is for.
#[derive(Debug)]
pub enum Stage {
    /// The metadata, from this one of their places.
    Metadata(usize),
    /// The keys, with the metadata that named their place; empty where no metadata did.
    Jwks(Box<Reading>),
    /// The key of one kid.
    Key(Box<Round>),
}

/// What a provider publishes.
#[derive(Debug)]
pub struct Published {
    /// Its keys.
    pub keys: Rc<KeySet>,
    /// Where each key is asked for by its kid, kids that have no key, and what else was noted of kids.
    pub(super) notes: String,
    /// What it says about itself; nothing where no metadata led to the keys.
    pub metadata: Rc<Metadata>,
}

/// One source of keys.
#[derive(Debug)]
pub struct RemoteKeys {
    remote: Rc<Remote>,
    /// The host of the metadata, where they lead to the keys.
    home: Option<Uri>,
    /// Where the issuer's metadata may be; empty where they do not lead to the keys.
    metadata_paths: Vec<String>,
    /// Which keys are wanted, where each is asked for by its kid.
    by_kid: Option<ByKid>,
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
            Endpoint::Jwks(uri) | Endpoint::ByKid(uri) => uri.timeout,
            Endpoint::Discovery { timeout, .. } => *timeout,
        }
    }

    fn longest(&self) -> Duration {
        let calls = match self.by_kid {
            Some(_) => by_kid::MOST_KEYS.saturating_add(by_kid::MOST_WANTED),
            None => self.metadata_paths.len().saturating_add(1),
        };
        self.timeout()
            .saturating_mul(u32::try_from(calls).unwrap_or(u32::MAX))
    }

    /// `None` where the issuer is not a URI, or where no kid is known or wanted.
    fn first(&self, before: Option<&Published>) -> Option<(Stage, Call)> {
        match (&self.remote.endpoint, &self.by_kid) {
            (Endpoint::Discovery { .. }, _) => self.place(0),
            (_, Some(by_kid)) => {
                let (round, call) = by_kid.begin(
                    before.map(|published| &*published.keys),
                    before.map_or("", |published| &published.notes),
                )?;
                Some((Stage::Key(round), call))
            }
            (Endpoint::Jwks(uri) | Endpoint::ByKid(uri), None) => {
                let call = self.call(uri.address(""), &uri.cluster);
                Some((Stage::Jwks(Box::default()), call))
            }
        }
    }

    fn is_idle(&self, before: Option<&Published>) -> bool {
        let keys = before.map(|published| &*published.keys);
        let by_kid = self.by_kid.as_ref();
        by_kid.is_some_and(|by_kid| by_kid.is_idle(keys))
    }

    fn next(&mut self, stage: Stage, answer: Reply) -> Next<Stage> {
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
            (Stage::Key(round), answer) => {
                let by_kid = self.by_kid.as_mut();
                let step = by_kid.map(|by_kid| by_kid.take(*round, answer));
                match step.unwrap_or(Err(FetchError::NotSent)) {
                    Ok(Step::Done(fetched)) => return Next::Done(fetched),
                    Ok(Step::Ask(round, call)) => Ok((Stage::Key(round), call)),
                    Err(error) => Err(error),
                }
            }
        };
        next.map_or_else(Next::Failed, |(stage, call)| Next::Call(stage, call))
    }

    /// Keys that did not change stay in place: tokens that they verified stay verified.
    fn read(&self, content: &Content, before: Option<(&Content, &Published)>) -> Option<Published> {
        let keys = match before.filter(|(before, _)| before.document == content.document) {
            Some((_, same)) => Rc::clone(&same.keys),
            None => match self
                .by_kid()
                .and_then(|it| it.without_keys(&content.document))
            {
                Some(none) => none,
                None => Rc::new(KeySet::parse(content.document.as_bytes()).ok()?),
            },
        };
        let metadata = match before.filter(|(before, _)| before.notes == content.notes) {
            Some((_, same)) => Rc::clone(&same.metadata),
            None => Rc::new(self.metadata(&content.notes)),
        };
        Some(Published {
            keys,
            notes: match self.by_kid {
                Some(_) => content.notes.clone(),
                None => String::new(),
            },
            metadata,
        })
    }
}

impl RemoteKeys {
    /// The source that the configuration describes.
    #[must_use]
    pub fn new(remote: Rc<Remote>) -> Self {
        let home = remote.endpoint.home();
        let home = home.and_then(|home| Uri::parse(home).ok());
        let paths = home.as_ref().map(|home| match &remote.endpoint {
            Endpoint::Discovery { uri: Some(_), .. } => vec![home.path.clone()],
            _ => discovery::metadata_paths(home),
        });
        let metadata_paths = paths.unwrap_or_default();
        let by_kid = match &remote.endpoint {
            Endpoint::ByKid(uri) => Some(ByKid::new(uri.clone())),
            _ => None,
        };
        Self {
            remote,
            home,
            metadata_paths,
            by_kid,
        }
    }

    /// The keys that are wanted, where each is asked for by its kid.
    pub(super) fn by_kid(&self) -> Option<&ByKid> {
        self.by_kid.as_ref()
    }

    /// Has the next fetch ask for the key of this kid too. False where nobody can ask for it: the
    /// kid has not the form of one, or keys are not asked for by their kids.
    pub fn want(&mut self, kid: Option<&str>, random: u64) -> bool {
        let kid = kid.filter(|kid| is_uuid(kid));
        match (&mut self.by_kid, kid) {
            (Some(by_kid), Some(kid)) => {
                by_kid.want(kid, random);
                true
            }
            _ => false,
        }
    }

    /// Notes that a key has verified a token, by its kid. It matters where keys are asked for by their
    /// kids.
    pub fn used(&mut self, kid: Option<&str>, now: impl FnOnce() -> Millis) {
        if let (Some(by_kid), Some(kid)) = (&mut self.by_kid, kid) {
            by_kid.used(kid, now());
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
        match (&self.remote.endpoint, &self.home) {
            (
                Endpoint::Discovery {
                    issuer,
                    cluster,
                    jwks_cluster,
                    ..
                },
                Some(home),
            ) => {
                let found = discovery::read(
                    &metadata.body,
                    issuer,
                    home,
                    cluster,
                    jwks_cluster.as_deref(),
                );
                let found = found.map_err(|error| not_found(metadata, &error))?;
                let (uri, cluster) = found.jwks_location;
                let stage = Stage::Jwks(Box::new(found.reading));
                Ok((stage, self.call(uri, cluster)))
            }
            _ => Err(metadata.not_read(DiscoveryError::NotMetadata.description())),
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

/// Why provider metadata lead to no keys.
fn not_found(metadata: &Document, error: &DiscoveryError) -> FetchError {
    match error {
        DiscoveryError::NotMetadata => metadata.not_read(error.description()),
        error => FetchError::Unusable {
            reason: error.description(),
            told: error.to_string(),
        },
    }
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
        Endpoint::Jwks(uri) | Endpoint::ByKid(uri) => {
            timeout = uri.timeout;
            let kind = match endpoint {
                Endpoint::ByKid(_) => "by kid",
                _ => "jwks",
            };
            vec![
                kind,
                &uri.cluster,
                uri.scheme.name(),
                &uri.authority,
                &uri.path,
            ]
        }
        Endpoint::Discovery {
            issuer,
            uri,
            cluster,
            jwks_cluster,
            timeout: of_call,
        } => {
            timeout = *of_call;
            let mut parts = match uri {
                None => vec!["discovery", cluster, issuer],
                Some(uri) => vec!["metadata", cluster, issuer, uri],
            };
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
                uri: None,
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

    #[test]
    fn each_place_is_asked_once_and_then_the_keys() {
        let metadata = r#"{"issuer":"https://t.example/a","jwks_uri":"https://k.example/jwks"}"#;
        let mut source = keys_of("https://t.example/a");
        assert_eq!(source.longest(), Duration::from_secs(25));
        // How many places have no metadata -> how many calls there are, and how it ends.
        for (without, calls, end) in [
            (0, 2, "keys"),
            (1, 3, "keys"),
            (3, 5, "keys"),
            (4, 4, "status 404"),
        ] {
            let (mut stage, mut call) = source.first(None).unwrap();
            let mut asked = vec![(call.cluster, call.path)];
            let ended = loop {
                let answer = match stage {
                    Stage::Metadata(at) if at < without => Reply::of_test(404, metadata),
                    Stage::Metadata(_) => Reply::of_test(200, metadata),
                    Stage::Jwks(_) => Reply::of_test(200, KEYS),
                    Stage::Key(_) => panic!("there is one document"),
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

    /// As Azure AD B2C has it: the metadata's address does not follow from the issuer.
    #[test]
    fn metadata_at_an_address_of_their_own() {
        let of = |jwks_cluster: Option<&str>| {
            let mut source = keys_of("https://t.example/tenant/v2.0/");
            let mut remote = Remote::clone(&source.remote);
            if let Endpoint::Discovery {
                uri,
                jwks_cluster: of_keys,
                ..
            } = &mut remote.endpoint
            {
                *uri = Some("https://login.example:443/policy/metadata?p=x".to_owned());
                *of_keys = jwks_cluster.map(str::to_owned);
            }
            source = RemoteKeys::new(Rc::new(remote));
            source
        };
        let mut source = of(None);
        let (stage, call) = source.first(None).unwrap();
        let asked = (call.authority.as_str(), call.path.as_str());
        assert_eq!(asked, ("login.example", "/policy/metadata?p=x"));
        // It is the only place.
        let next = source.next(stage, Reply::of_test(404, ""));
        assert!(matches!(next, Next::Failed(_)), "{next:?}");
        for (issuer, keys, jwks_cluster, cluster) in [
            (
                "https://t.example/tenant/v2.0/",
                "https://login.example/k",
                None,
                Some("home"),
            ),
            (
                "https://t.example/tenant/v2.0/",
                "https://t.example/k",
                None,
                None,
            ),
            (
                "https://t.example/tenant/v2.0/",
                "https://t.example/k",
                Some("keys"),
                Some("keys"),
            ),
            (
                "https://login.example/",
                "https://login.example/k",
                None,
                None,
            ),
            (
                "https://t.example/tenant/v2.0/",
                "http://login.example/k",
                None,
                None,
            ),
        ] {
            let mut source = of(jwks_cluster);
            let (stage, _) = source.first(None).unwrap();
            let metadata = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}"}}"#);
            let next = source.next(stage, Reply::of_test(200, metadata.as_str()));
            let called = match &next {
                Next::Call(_, call) => Some(call.cluster.as_str()),
                _ => None,
            };
            assert_eq!(called, cluster, "{issuer} {keys}: {next:?}");
        }
    }

    #[test]
    fn an_answer_that_is_not_about_the_place_ends_the_fetch() {
        let mut source = keys_of("https://t.example/a");
        for answer in [
            Reply::of_test(429, ""),
            Reply::of_test(503, ""),
            Reply::of_test(302, ""),
            Reply::of_test(200, "{}"),
            Reply::None,
            Reply::NotSent,
            Reply::TooLarge(1),
        ] {
            let (stage, _) = source.first(None).unwrap();
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
                    let uri = HttpUri {
                        scheme: Scheme::Https,
                        authority: "h".to_owned(),
                        path: format!("/{other}"),
                        cluster: cluster.to_owned(),
                        timeout,
                    };
                    sources.push(Endpoint::Jwks(uri.clone()));
                    sources.push(Endpoint::ByKid(uri));
                    let jwks_clusters = texts.map(Some).into_iter().chain([None]);
                    for jwks_cluster in jwks_clusters {
                        let uris = texts.map(Some).into_iter().chain([None]);
                        sources.extend(uris.map(|uri| Endpoint::Discovery {
                            issuer: other.to_owned(),
                            uri: uri.map(str::to_owned),
                            cluster: cluster.to_owned(),
                            jwks_cluster: jwks_cluster.map(str::to_owned),
                            timeout,
                        }));
                    }
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
