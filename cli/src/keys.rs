//! Where `explain` gets keys: from the configuration, from files, or from where the filter would
//! fetch them.
//!
//! Invariant: keys that the filter would refuse are refused here. The parser, the bound on a document
//! and the order of the calls are the filter's; redirects are not followed.

use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bearer_gate::config::{Config, Endpoint, KeySource, PerProvider, ProviderId, Remote};
use bearer_gate::desk::question::{Answered, Question, Unclear};
use bearer_gate::desk::{Facts, Metadata};
use bearer_gate::document::fetch::Document;
use bearer_gate::document::finding::Finding;
use bearer_gate::document::source::{Next, Source};
use bearer_gate::ended::{Known, Mark};
use bearer_gate::host::{Call, Reply};
use bearer_gate::jose::jwks::KeySet;
use bearer_gate::jwks::keys::{Keys, UnknownKid};
use bearer_gate::jwks::remote_keys::{self, Published, RemoteKeys, Stage};

use crate::command_error::CommandError;
use crate::http::{self, Proxies};

/// The `kid` of the token, if it has one: some keys are found by it alone.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'k>(pub Option<&'k str>);

/// The keys of each provider, as far as they are known.
pub(crate) struct KeysAtHand(pub PerProvider<ProviderKeys>);

pub(crate) enum ProviderKeys {
    Set {
        keys: Rc<KeySet>,
        /// What the provider says of itself, if that was fetched.
        metadata: Rc<Metadata>,
        origin: Origin,
    },
    /// They were not asked for.
    NotFetched,
    Failed(String),
}

/// Where keys come from.
pub(crate) enum Origin {
    Configuration,
    File(String),
    /// The address that was asked just now.
    Fetched(String),
    /// The token names no key that could be asked for.
    Nowhere,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => f.write_str("local_jwks"),
            Self::File(name) | Self::Fetched(name) => f.write_str(name),
            Self::Nowhere => {
                f.write_str("nowhere: the token has no kid of the form that keys have here")
            }
        }
    }
}

/// The clusters that Envoy asks for a provider's keys.
pub(crate) fn clusters(remote: &Remote) -> Vec<&str> {
    match &remote.endpoint {
        Endpoint::Jwks(uri) | Endpoint::ByKid(uri) => vec![uri.cluster.as_str()],
        Endpoint::Discovery {
            cluster,
            jwks_cluster,
            ..
        } => {
            let of_keys = jwks_cluster.as_deref().filter(|other| other != cluster);
            std::iter::once(cluster.as_str()).chain(of_keys).collect()
        }
    }
}

impl ProviderKeys {
    fn find<T>(&self, part: impl FnOnce(&Rc<KeySet>, &Rc<Metadata>) -> T) -> Finding<T> {
        match self {
            Self::Set { keys, metadata, .. } => Finding::Ready(part(keys, metadata)),
            Self::NotFetched => Finding::Pending,
            Self::Failed(_) => Finding::Unavailable {
                retry_after: Duration::from_secs(1),
            },
        }
    }
}

impl KeysAtHand {
    /// Each of `files` is `FILE`, for every provider that fetches its keys, or `PROVIDER=FILE`.
    /// Without `fetch` nothing is fetched.
    pub(crate) fn load(
        config: &Config,
        files: &[String],
        fetch: Option<Wanted<'_>>,
    ) -> Result<Self, CommandError> {
        let mut known = config.providers.map(|provider| match &provider.keys {
            KeySource::Local(keys) => ProviderKeys::Set {
                keys: Rc::clone(keys),
                metadata: Rc::default(),
                origin: Origin::Configuration,
            },
            KeySource::Remote(remote) => match fetch {
                Some(Wanted(kid)) => fetched(remote, kid).unwrap_or_else(ProviderKeys::Failed),
                None => ProviderKeys::NotFetched,
            },
        });
        for file in files {
            let named = file.split_once('=').and_then(|(name, path)| {
                let mut entries = config.providers.entries();
                let (id, _) = entries.find(|(_, provider)| provider.name == name)?;
                Some((id, path))
            });
            let path = named.map_or(file.as_str(), |(_, path)| path);
            let keys = Rc::new(from_file(Path::new(path))?);
            for (id, provider) in config.providers.entries() {
                let meant = named.map_or(
                    matches!(provider.keys, KeySource::Remote(_)),
                    |(named, _)| named == id,
                );
                if meant {
                    known[id] = ProviderKeys::Set {
                        keys: Rc::clone(&keys),
                        metadata: Rc::default(),
                        origin: Origin::File(path.to_owned()),
                    };
                }
            }
        }
        Ok(Self(known))
    }
}

impl Facts for KeysAtHand {
    fn answer(&self, _: &Question) -> Finding<Result<Rc<Answered>, Unclear>> {
        Finding::Pending
    }

    fn keys(&self, provider: ProviderId) -> Keys {
        self.0[provider].find(|keys, _| Rc::clone(keys))
    }

    fn metadata(&self, provider: ProviderId) -> Finding<Rc<Metadata>> {
        self.0[provider].find(|_, metadata| Rc::clone(metadata))
    }

    fn unknown_kid(&self, _: ProviderId, _: Option<&str>) -> UnknownKid {
        // the set is as new as can be
        UnknownKid::NoSuchKey
    }

    fn is_over(&self, _: &Known) -> bool {
        false
    }

    fn knows_token(&self, _: &Mark) -> bool {
        false
    }
}

fn from_file(path: &Path) -> Result<KeySet, CommandError> {
    let name = path.display();
    let body =
        std::fs::read(path).map_err(|error| CommandError::usage(format!("{name}: {error}")))?;
    let document = Document {
        body,
        max_age: None,
        content_type: None,
    };
    let keys = remote_keys::key_set(&document);
    keys.map_err(|error| CommandError::usage(format!("{name}: {error}")))
}

/// Calls the addresses that the filter would call for a token of this `kid`, in the same order.
fn fetched(remote: &Rc<Remote>, kid: Option<&str>) -> Result<ProviderKeys, String> {
    let mut source = RemoteKeys::new(Rc::clone(remote));
    source.want(kid, 0);
    if source.is_idle(None) {
        return Ok(ProviderKeys::Set {
            keys: Rc::default(),
            metadata: Rc::default(),
            origin: Origin::Nowhere,
        });
    }
    let (mut stage, mut call) = source.first(None).ok_or("the issuer is no URI")?;
    let mut asked = String::new();
    loop {
        let address = call.address();
        let (status, answer) = get(&call)?;
        match source.next(stage, answer) {
            Next::Call(next, to) => {
                if let Stage::Metadata(_) = next {
                    asked.push_str(&format!("{address}: status {status}; "));
                }
                (stage, call) = (next, to);
            }
            Next::Done(fetched) => {
                let published = source.read(&fetched.content, None);
                let Published { keys, metadata, .. } =
                    published.ok_or_else(|| format!("{address}: no keys"))?;
                return Ok(ProviderKeys::Set {
                    keys,
                    metadata,
                    origin: Origin::Fetched(address),
                });
            }
            Next::Failed(error) => return Err(format!("{asked}{address}: {error}")),
        }
    }
}

/// The status, and all of the answer.
fn get(call: &Call) -> Result<(u16, Reply), String> {
    let answer = http::get(
        &call.address(),
        call.timeout,
        call.most,
        Proxies::OfEnvironment,
    )?;
    let status = answer.status;
    let reply = Reply::Response {
        status,
        max_age: None,
        retry_after: None,
        location: answer.location,
        content_type: answer.content_type,
        body: answer.body,
    };
    Ok((status, reply))
}
