//! Entra ID with several tenants.

use super::Conversion;
use crate::document::Node;
use crate::migrate::ChangeKind;
use crate::migrate::tree;

const OPTION: &str = "entra_id_allowed_tenants";

/// What is written for the issuer of one tenant or of all, and where the metadata of all are.
pub(super) fn set_issuer(
    conversion: &mut Conversion<'_>,
    provider: &mut Node,
    issuer: &str,
) -> Option<String> {
    let at = conversion.at("client_id");
    let ids = conversion.texts(OPTION);
    let all = ["common", "organizations"].into_iter().find(|all| {
        issuer.trim_end_matches('/') == format!("https://login.microsoftonline.com/{all}/v2.0")
    });
    let Some(all) = all else {
        tree::set(provider, "issuer", tree::text(&at, issuer));
        if !ids.is_empty() {
            let text = "the issuer is one tenant's, and no other tenant passes";
            conversion.say(ChangeKind::LeftOut, OPTION, text);
        }
        return None;
    };
    let template = "https://login.microsoftonline.com/{tenantid}/v2.0";
    tree::set(provider, "issuer", tree::text(&at, template));
    if ids.is_empty() {
        conversion.say(
            ChangeKind::Open,
            "oidc_issuer_url",
            "is that of every tenant: list in tenants those whose people may sign in, or say any_tenant: true",
        );
    } else {
        let at = conversion.at(OPTION);
        let ids = ids.iter().map(|id| tree::text(&at, id)).collect();
        tree::set(provider, "tenants", tree::list(&at, ids));
    }
    Some(format!(
        "https://login.microsoftonline.com/{all}/v2.0/.well-known/openid-configuration"
    ))
}
