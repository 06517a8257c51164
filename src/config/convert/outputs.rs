//! What is passed on of a provider's tokens: raw to valid.
//!
//! Invariant: no two outputs of a provider can be taken for each other, whether they are headers
//! (`-` and `_` count as the same) or filter state.

use super::header;
use super::vet::{refuse_empty_items, required_text};
use crate::config::read::error::{At, ConfigError};
use crate::config::read::raw::{RawClaimHeader, RawProvider};
use crate::config::read::value::{Given, each, each_once, filled};
use crate::config::valid::{ClaimFormat, ClaimHeader, Fact, OutputRules, PayloadHeader};

/// The longest name of a filter state, in bytes: its length fits into one byte of protobuf.
const LONGEST_STATE: usize = 127;

/// Takes these fields out of `raw`.
pub(super) fn convert(raw: &mut RawProvider, facts: &[Fact]) -> Result<OutputRules, ConfigError> {
    let mut headers = Names::default();
    let padded = raw.pad_forward_payload_header.0.unwrap_or(false);
    let payload_header = raw
        .forward_payload_header
        .0
        .take()
        .map(|name| headers.header(&name).at("forward_payload_header"))
        .transpose()?
        .map(|name| PayloadHeader { name, padded });
    let claim_headers = each(
        raw.claim_to_headers.0.take().unwrap_or_default(),
        &mut |raw| claim_header(raw, &mut headers),
    )
    .at("claim_to_headers")?;

    let mut states = Names::default();
    let mut state = |field: &str, name: &mut Given<String>| {
        name.0
            .take()
            .map(|name| states.state(name).at(field))
            .transpose()
    };
    let payload_state = state("payload_in_metadata", &mut raw.payload_in_metadata)?;
    let header_state = state("header_in_metadata", &mut raw.header_in_metadata)?;
    let failure_state = state(
        "failed_status_in_metadata",
        &mut raw.failed_status_in_metadata,
    )?;
    let space_delimited_claims = raw
        .normalize_payload_in_metadata
        .0
        .take()
        .and_then(|normalize| normalize.space_delimited_claims.0)
        .unwrap_or_default();
    refuse_empty_items(&space_delimited_claims)
        .at("space_delimited_claims")
        .at("normalize_payload_in_metadata")?;
    Ok(OutputRules {
        payload_header,
        claim_headers,
        payload_state,
        space_delimited_claims,
        header_state,
        failure_state,
        facts: facts.to_vec(),
    })
}

/// What is told of every request; each fact once.
pub(super) fn facts(names: &[String]) -> Result<Vec<Fact>, ConfigError> {
    each_once(names, &fact)
}

fn fact(name: &str) -> Result<Fact, ConfigError> {
    let is_it = |fact: &Fact| fact.state().strip_prefix(Fact::PREFIX) == Some(name);
    let problem = "must be reason, provider, issuer, subject, unverified_issuer, unverified_subject or unverified_kid";
    let mut all = Fact::ALL.into_iter();
    all.find(is_it).ok_or_else(|| ConfigError::here(problem))
}

fn claim_header(raw: RawClaimHeader, names: &mut Names) -> Result<ClaimHeader, ConfigError> {
    let header = required_text(raw.header_name)
        .and_then(|name| names.header(&name))
        .at("header_name")?;
    let claim = match (raw.claim_name.0, raw.claim_path.0) {
        (Some(_), Some(_)) => {
            return Err(ConfigError::here("has both claim_name and claim_path"));
        }
        (name, None) => claim_name(Given(name)).at("claim_name")?,
        (None, Some(names)) => {
            let names = filled(names).at("claim_path")?;
            refuse_empty_items(&names).at("claim_path")?;
            names
        }
    };
    let format = match raw.format.0.as_deref() {
        None => ClaimFormat::JwtAuthn,
        Some("csv") => ClaimFormat::Csv,
        Some("json") => ClaimFormat::Json,
        Some("repeat") => ClaimFormat::Repeat,
        Some(_) => return Err(ConfigError::new("format", "must be csv, json or repeat")),
    };
    let base64 = match raw.encode.0.as_deref() {
        None => false,
        Some("base64") => true,
        Some(_) => return Err(ConfigError::new("encode", "must be base64")),
    };
    Ok(ClaimHeader {
        header,
        claim,
        format,
        base64,
    })
}

/// The names on the way to a claim.
fn claim_name(name: Given<String>) -> Result<Vec<String>, ConfigError> {
    let name = required_text(name)?;
    if name.split('.').any(str::is_empty) {
        return Err(ConfigError::here("has an empty name between its dots"));
    }
    Ok(name.split('.').map(str::to_owned).collect())
}

impl OutputRules {
    /// A header that this one and the other one set, be it in two spellings that an upstream can
    /// take for one another.
    pub(super) fn shared_header<'o>(&'o self, other: &Self) -> Option<&'o str> {
        let mut own = self.headers_set();
        own.find(|name| {
            let name = header::same_to_cgi(name);
            let mut theirs = other.headers_set().map(header::same_to_cgi);
            theirs.any(|their| their == name)
        })
    }
}

/// The names that a provider has taken.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    /// Names that an upstream could take for one another are one name.
    fn header(&mut self, name: &str) -> Result<String, ConfigError> {
        let name = header::parse(name)?;
        self.take(header::same_to_cgi(&name))?;
        Ok(name)
    }

    fn state(&mut self, name: String) -> Result<String, ConfigError> {
        if name.is_empty() || name.len() > LONGEST_STATE || name.chars().any(char::is_control) {
            return Err(ConfigError::here(&format!(
                "must be 1 to {LONGEST_STATE} bytes without control characters"
            )));
        }
        if name.starts_with(Fact::PREFIX) {
            let problem = format!("must not begin with {}", Fact::PREFIX);
            return Err(ConfigError::here(&problem));
        }
        self.take(name.clone())?;
        Ok(name)
    }

    fn take(&mut self, name: String) -> Result<(), ConfigError> {
        if self.0.contains(&name) {
            return Err(ConfigError::here("is set by this provider already"));
        }
        self.0.push(name);
        Ok(())
    }
}
