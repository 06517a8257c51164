//! Where `explain` gets keys: from the configuration, from files, or from where the filter would
//! fetch them.
//!
//! Invariant: what the filter would not take for keys is not taken here: the same parser, the same
//! bound on a document, no redirects, the metadata's issuer to the letter.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bearer_gate::authn::KeyRing;
use bearer_gate::config::{Config, Endpoint, KeySource, PerProvider, ProviderId};
use bearer_gate::http::uri::Uri;
use bearer_gate::jose::jwks::{KeySet, MAX_DOCUMENT_LEN};
use bearer_gate::jwks::discovery;
use bearer_gate::jwks::fetch::{Answer, Document, FetchError};
use bearer_gate::jwks::lifecycle::{Keys, UnknownKid};

use crate::failure::Failure;

/// What is known of each provider's keys.
pub struct Ring(pub PerProvider<Known>);

pub enum Known {
    Set {
        keys: Rc<KeySet>,
        origin: String,
    },
    /// Nobody has asked for them.
    NotFetched,
    Failed(String),
}

impl Ring {
    /// `files` are written `FILE`, for every provider whose keys are fetched, or `PROVIDER=FILE`.
    pub fn load(config: &Config, files: &[String], fetch: bool) -> Result<Ring, Failure> {
        let mut known = config.providers.map(|provider| match &provider.keys {
            KeySource::Local(keys) => Known::Set {
                keys: Rc::clone(keys),
                origin: "local_jwks".to_owned(),
            },
            KeySource::Remote(remote) if fetch => match fetched(&remote.endpoint) {
                Ok((keys, origin)) => Known::Set { keys, origin },
                Err(problem) => Known::Failed(problem),
            },
            KeySource::Remote(_) => Known::NotFetched,
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
                    known[id] = Known::Set {
                        keys: Rc::clone(&keys),
                        origin: path.to_owned(),
                    };
                }
            }
        }
        Ok(Ring(known))
    }
}

impl KeyRing for Ring {
    fn keys(&self, provider: ProviderId) -> Keys {
        match &self.0[provider] {
            Known::Set { keys, .. } => Keys::Ready(Rc::clone(keys)),
            Known::NotFetched => Keys::Pending,
            Known::Failed(_) => Keys::Unavailable {
                retry_after: Duration::from_secs(1),
            },
        }
    }

    fn unknown_kid(&self, _: ProviderId) -> UnknownKid {
        // the set is as new as can be
        UnknownKid::NoSuchKey
    }
}

fn from_file(path: &Path) -> Result<KeySet, Failure> {
    let name = path.display();
    let body = std::fs::read(path).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let document = Document {
        body,
        max_age: None,
        content_type: None,
    };
    let keys = document.key_set();
    keys.map_err(|error| Failure::usage(format!("{name}: {error}")))
}

fn fetched(endpoint: &Endpoint) -> Result<(Rc<KeySet>, String), String> {
    let (address, timeout) = match endpoint {
        Endpoint::Jwks(uri) => {
            let address = format!("{}://{}{}", uri.scheme.name(), uri.authority, uri.path);
            (address, uri.timeout)
        }
        Endpoint::Discovery {
            issuer,
            cluster,
            jwks_cluster,
            timeout,
        } => {
            let metadata = metadata(issuer, *timeout)?;
            let (uri, _) = metadata
                .jwks_location(issuer, cluster, jwks_cluster.as_deref())
                .map_err(|error| format!("metadata of {issuer}: {error}"))?;
            (uri.to_string(), *timeout)
        }
    };
    let document = get(&address, timeout)?.document();
    let keys = document.and_then(|document| document.key_set());
    let keys = keys.map_err(|error| format!("{address}: {error}"))?;
    Ok((Rc::new(keys), address))
}

/// The metadata from the first place that has them, asked in the filter's order.
fn metadata(issuer: &str, timeout: Duration) -> Result<Document, String> {
    let home = Uri::parse(issuer).map_err(|error| format!("{issuer}: {error}"))?;
    let mut asked = Vec::new();
    for path in discovery::metadata_paths(&home) {
        let address = format!("{}://{}{path}", home.scheme.name(), home.authority);
        let answer = get(&address, timeout)?.document();
        match answer {
            Ok(document) => return Ok(document),
            Err(FetchError::Status(status)) if discovery::is_elsewhere(status) => {
                asked.push(format!("{address}: {status}"));
            }
            Err(error) => return Err(format!("{address}: {error}")),
        }
    }
    Err(format!(
        "{issuer}: no metadata where they should be ({})",
        asked.join(", ")
    ))
}

fn get(address: &str, timeout: Duration) -> Result<Answer, String> {
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .build()
        .new_agent();
    let problem = |error: ureq::Error| format!("{address}: {error}");
    let mut response = agent.get(address).call().map_err(problem)?;
    let header = |name| {
        let value = response.headers().get(name);
        value.map(|value| value.as_bytes().to_vec())
    };
    let (location, content_type) = (header("location"), header("content-type"));
    let status = response.status().as_u16();
    let body = if status == 200 {
        let most = u64::try_from(MAX_DOCUMENT_LEN).unwrap_or(u64::MAX);
        let body = response.body_mut().with_config().limit(most + 1);
        body.read_to_vec().map_err(problem)?
    } else {
        Vec::new()
    };
    Ok(Answer::Response {
        status,
        max_age: None,
        retry_after: None,
        location,
        content_type,
        body,
    })
}
