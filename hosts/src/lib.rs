//! Proxy-Wasm hosts that are not Envoy, for the module as it is shipped.
//!
//! [`library`] is a host of somebody else's, the crate proxy-wasm-host. [`deviant`] is one of our own, which
//! keeps to the ABI except where a test tells it not to.

pub mod deviant;
pub mod library;
pub mod lie;
pub mod token;

use std::fs;
use std::path::PathBuf;

/// The module's octets. `make build` makes it; `BEARER_GATE_MODULE` names the file of another build.
#[must_use]
pub fn module() -> Vec<u8> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let built = root.join("target/wasm32-wasip1/release/bearer_gate.wasm");
    let file = std::env::var_os("BEARER_GATE_MODULE").map_or(built, PathBuf::from);
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}: run `make build`", file.display()))
}

/// Names and values of headers.
pub type Headers = Vec<(String, String)>;

/// What has become of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It waits.
    Waits,
    /// It goes to the upstream with these headers.
    Passes(Headers),
    /// The module has answered it.
    Answered(Answer),
}

/// An answer of the module's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u32,
    /// What an access log tells of it.
    pub details: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub body: String,
}

/// An HTTP request that the module has the host make.
#[derive(Clone, Debug)]
pub struct Call {
    /// The host's number of it.
    pub id: u32,
    /// Where it goes.
    pub cluster: String,
    /// Its headers, with the pseudo-headers.
    pub headers: Headers,
    /// Its body.
    pub body: String,
}

impl Outcome {
    /// The status of an answer, 200 where the request passes, and 0 where it waits.
    #[must_use]
    pub fn status(&self) -> u32 {
        match self {
            Self::Waits => 0,
            Self::Passes(_) => 200,
            Self::Answered(answer) => answer.status,
        }
    }

    /// The answer. It panics where there is none.
    #[must_use]
    pub fn answer(&self) -> &Answer {
        match self {
            Self::Answered(answer) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    /// A header of what the upstream gets; `None` where it gets nothing too.
    #[must_use]
    pub fn at_upstream(&self, name: &str) -> Option<&str> {
        match self {
            Self::Passes(headers) => find(headers, name),
            _ => None,
        }
    }
}

impl Answer {
    /// A header of it.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

impl Call {
    /// The path that is asked for.
    #[must_use]
    pub fn path(&self) -> &str {
        find(&self.headers, ":path").unwrap_or_default()
    }
}

/// The first value under a name.
#[must_use]
pub fn find<'h>(headers: &'h Headers, name: &str) -> Option<&'h str> {
    let mut headers = headers.iter();
    headers
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.as_str())
}

/// A GET of this path with these headers besides.
#[must_use]
pub fn get(path: &str, more: &[(&str, &str)]) -> Headers {
    let own = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "app.example"),
        (":path", path),
    ];
    let all = own.iter().chain(more);
    all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}
