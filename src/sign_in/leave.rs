//! Somebody signs out (OpenID Connect RP-Initiated Logout 1.0 section 2).
//!
//! Invariants: nobody signs out by a page of another site without being asked; and the cookies are
//! deleted whatever the provider's metadata say, and where they are not to be had.

use super::sign_out;
use super::visit::{Obstacle, Visit};
use super::{Answer, Outcome, add_cookies, page, see_other};
use crate::config::{OwnPath, SchemeId};
use crate::http::response::Response;
use crate::session::browser;

pub(super) fn leave(visit: &Visit<'_>, id: SchemeId) -> Result<Answer, Obstacle> {
    let scheme = visit.scheme(id);
    let session = visit.session(id);
    let page = |response: Response| {
        let mut response = response;
        add_cookies(&mut response, visit.deletions());
        Ok(Answer {
            what: "a page about a sign-out",
            outcome: Outcome::Other,
            response,
        })
    };
    if browser::is_navigation(visit.request) && session.is_none() {
        return page(page::signed_out(scheme.path(OwnPath::SignIn)));
    }
    if let Err(cross_site) = browser::vet_sign_out(visit.request, &visit.sign_in.sites) {
        return match scheme.path(OwnPath::SignOut) {
            Some(path) if browser::is_navigation(visit.request) => {
                page(page::confirm_sign_out(path))
            }
            _ => Err(cross_site.into()),
        };
    }
    let configured = scheme.endpoints.end_session.as_ref();
    let endpoint = visit.endpoint(scheme, configured, |metadata| {
        metadata.end_session_endpoint.as_ref()
    });
    let endpoint = match endpoint {
        Err(wait @ Obstacle::Await(_)) => return Err(wait),
        // It is not to be had now, and the cookies are deleted all the same.
        Err(_) => None,
        Ok(endpoint) => endpoint,
    };
    let landing = &scheme.post_logout_redirect_path;
    let url = match (&endpoint, visit.site()) {
        (Some(endpoint), Ok(site)) => {
            let landing = format!("{}{landing}", site.origin());
            let tokens = session
                .as_ref()
                .and_then(|open| open.session().tokens.as_ref());
            let id_token = tokens.and_then(|tokens| tokens.id.as_deref());
            sign_out::url(endpoint, scheme, id_token, &landing, None)
        }
        _ => landing.clone(),
    };
    let set = scheme.session_cookie.delete(visit.request);
    Ok(Answer {
        what: "a sign-out",
        outcome: Outcome::SignedOut,
        response: see_other(url, set),
    })
}
