//! What is passed on of a provider's tokens: raw to valid.
//!
//! Invariant: no two outputs of a provider can be taken for each other, whether they are headers
//! (`-` and `_` count as the same) or filter state.

use super::error::{ConfigError, join};
use super::header;
use super::provider::{not_empty, refuse_empty_items};
use super::raw::{RawClaimHeader, RawProvider};
use super::value::Given;
use super::{ClaimFormat, ClaimHeader, Fact, Outputs, PayloadHeader};

/// The longest name of a filter state, in bytes: its length fits into one byte of protobuf.
const LONGEST_STATE: usize = 127;

/// Takes these fields out of `raw`.
pub(super) fn convert(
    path: &str,
    raw: &mut RawProvider,
    facts: &[Fact],
) -> Result<Outputs, ConfigError> {
    let mut headers = Names::default();
    let padded = raw.pad_forward_payload_header.0.unwrap_or(false);
    let payload_header = raw
        .forward_payload_header
        .0
        .take()
        .map(|name| headers.header(&join(path, "forward_payload_header"), &name))
        .transpose()?
        .map(|name| PayloadHeader { name, padded });
    let mut claim_headers = Vec::new();
    for (index, raw) in raw
        .claim_to_headers
        .0
        .take()
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let path = format!("{path}.claim_to_headers[{index}]");
        claim_headers.push(claim_header(&path, raw, &mut headers)?);
    }

    let mut states = Names::default();
    let mut state = |field: &str, name: &mut Given<String>| {
        let path = join(path, field);
        name.0
            .take()
            .map(|name| states.state(&path, name))
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
    refuse_empty_items(
        &join(path, "normalize_payload_in_metadata.space_delimited_claims"),
        &space_delimited_claims,
    )?;
    Ok(Outputs {
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
    let mut facts = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let problem = |text: &str| ConfigError::new(format!("filter_state[{index}]"), text);
        let fact = match name.as_str() {
            "reason" => Fact::Reason,
            "provider" => Fact::Provider,
            "issuer" => Fact::Issuer,
            "subject" => Fact::Subject,
            _ => return Err(problem("must be reason, provider, issuer or subject")),
        };
        if facts.contains(&fact) {
            return Err(problem("given twice"));
        }
        facts.push(fact);
    }
    Ok(facts)
}

fn claim_header(
    path: &str,
    raw: RawClaimHeader,
    names: &mut Names,
) -> Result<ClaimHeader, ConfigError> {
    let header_path = join(path, "header_name");
    let header = names.header(&header_path, &not_empty(&header_path, raw.header_name.0)?)?;
    let claim = match (raw.claim_name.0, raw.claim_path.0) {
        (Some(_), Some(_)) => {
            return Err(ConfigError::new(path, "has both claim_name and claim_path"));
        }
        (name, None) => {
            let path = join(path, "claim_name");
            let name = not_empty(&path, name)?;
            if name.split('.').any(str::is_empty) {
                return Err(ConfigError::new(path, "has an empty name between its dots"));
            }
            name.split('.').map(str::to_owned).collect()
        }
        (None, Some(names)) => {
            let path = join(path, "claim_path");
            if names.is_empty() {
                return Err(ConfigError::new(path, "must not be empty"));
            }
            refuse_empty_items(&path, &names)?;
            names
        }
    };
    let problem = |field: &str, text: &str| ConfigError::new(join(path, field), text);
    let format = match raw.format.0.as_deref() {
        None => ClaimFormat::JwtAuthn,
        Some("csv") => ClaimFormat::Csv,
        Some("json") => ClaimFormat::Json,
        Some("repeat") => ClaimFormat::Repeat,
        Some(_) => return Err(problem("format", "must be csv, json or repeat")),
    };
    let base64 = match raw.encode.0.as_deref() {
        None => false,
        Some("base64") => true,
        Some(_) => return Err(problem("encode", "must be base64")),
    };
    Ok(ClaimHeader {
        header,
        claim,
        format,
        base64,
    })
}

/// The names that a provider has taken.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    /// Names that an upstream could take for one another are one name.
    fn header(&mut self, path: &str, name: &str) -> Result<String, ConfigError> {
        let name = header::parse(name).map_err(|problem| ConfigError::new(path, problem))?;
        self.take(path, header::same_to_cgi(&name))?;
        Ok(name)
    }

    fn state(&mut self, path: &str, name: String) -> Result<String, ConfigError> {
        if name.is_empty() || name.len() > LONGEST_STATE || name.chars().any(char::is_control) {
            return Err(ConfigError::new(
                path,
                format!("must be 1 to {LONGEST_STATE} bytes without control characters"),
            ));
        }
        if name.starts_with(Fact::PREFIX) {
            return Err(ConfigError::new(
                path,
                format!("must not begin with {}", Fact::PREFIX),
            ));
        }
        self.take(path, name.clone())?;
        Ok(name)
    }

    fn take(&mut self, path: &str, name: String) -> Result<(), ConfigError> {
        if self.0.contains(&name) {
            return Err(ConfigError::new(path, "is set by this provider already"));
        }
        self.0.push(name);
        Ok(())
    }
}
