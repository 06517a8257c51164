//! What tokens of an Application Load Balancer must say: raw to valid. Where their keys are is in
//! [`keys`](super::keys).

use super::vet::{listed_or_any, required_text};
use crate::config::read::error::{At, ConfigError};
use crate::config::read::raw::RawAwsAlb;
use crate::config::read::value::Given;
use crate::http::credentials::Place;
use crate::text::Pattern;

/// Where a load balancer puts its token.
const HEADER: &str = "x-amzn-oidc-data";
/// The form of its ARN.
const LOAD_BALANCER: &str = "arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:[0-9]{12}:\
                             loadbalancer/app/[A-Za-z0-9-]+/[A-Za-z0-9]+";

/// The ARN of the load balancer.
pub(super) fn signer(raw: &mut RawAwsAlb) -> Result<String, ConfigError> {
    let arn = required_text(std::mem::take(&mut raw.signer)).at("signer")?;
    let form = Pattern::parse(LOAD_BALANCER);
    if form.is_ok_and(|form| form.matches(arn.as_bytes())) {
        return Ok(arn);
    }
    let problem = "must be the ARN of an Application Load Balancer: \
         arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID";
    Err(ConfigError::new("signer", problem))
}

/// The clients whose tokens pass; none where each does.
pub(super) fn clients(raw: &mut RawAwsAlb) -> Result<Vec<String>, ConfigError> {
    let given = (std::mem::take(&mut raw.clients), &raw.any_client);
    listed_or_any(["clients", "any_client"], given)
}

/// A load balancer's tokens have no `aud`: `signer` and `client` of the header say whose they are.
pub(super) fn without_audiences(given: &Given<Vec<String>>) -> Result<Vec<String>, ConfigError> {
    match given.0 {
        Some(_) => Err(ConfigError::new(
            "audiences",
            "is not for aws_alb: its tokens have no aud",
        )),
        None => Ok(Vec::new()),
    }
}

/// Where its tokens are, if the configuration does not say it.
pub(super) fn place() -> Place {
    Place::Header {
        name: HEADER.to_owned(),
        prefix: String::new(),
    }
}
