//! One GET, bounded in time and in size. Redirects are not followed.

use std::time::Duration;

/// What came back.
pub(crate) struct Answer {
    pub status: u16,
    pub location: Option<Vec<u8>>,
    pub content_type: Option<Vec<u8>>,
    /// Of a status of 200 only.
    pub body: Vec<u8>,
}

/// Whether proxies of the environment may be used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxies {
    OfEnvironment,
    None,
}

/// Gets a document of `most` octets, and one more at most.
pub(crate) fn get(
    address: &str,
    timeout: Duration,
    most: usize,
    proxies: Proxies,
) -> Result<Answer, String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false);
    let agent = match proxies {
        Proxies::OfEnvironment => config.build(),
        Proxies::None => config.proxy(None).build(),
    }
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
        let most = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let body = response.body_mut().with_config().limit(most);
        body.read_to_vec().map_err(problem)?
    } else {
        Vec::new()
    };
    Ok(Answer {
        status,
        location,
        content_type,
        body,
    })
}
