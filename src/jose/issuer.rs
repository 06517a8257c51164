//! Whose tokens pass: `iss`, RFC 7519 section 4.1.1; for SPIFFE's JWT-SVIDs `sub`, which names the
//! trust domain (JWT-SVID section 3.1).
//!
//! Invariant: here alone an issuer is compared with what a token or a message says, byte for byte.
//! Where an issuer is one of many tenants, the token's own `tid` is that tenant, so that a tenant
//! that passes is the one that the upstream reads.

use super::claims::Claims;
use super::error::JwtError;
use super::spiffe;
use crate::text::is_uuid;

/// What stands for a tenant's id in an issuer, as Microsoft Entra ID writes it in its metadata for
/// all tenants and in its key documents.
pub const TENANT_ID: &str = "{tenantid}";

/// The issuers whose tokens pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// Any, and a token without `iss` too.
    Any,
    /// This one alone.
    One(String),
    /// Each of these.
    Several(Vec<String>),
    /// That of each tenant.
    OfTenants(Tenants),
    /// This trust domain of SPIFFE. `iss` is not looked at: a JWT-SVID need not have it.
    TrustDomain(String),
}

/// One issuer for each tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenants {
    /// The issuer, with [`TENANT_ID`] once.
    pub template: String,
    /// The ids of the tenants; `None` for every tenant.
    pub ids: Option<Vec<String>>,
}

/// Why a token is of none of the issuers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// `iss` is missing, or is none of them.
    Issuer,
    /// `iss` is that of a tenant that does not pass.
    Tenant,
    /// `iss` is that of a tenant, and `tid` is missing or not that tenant's id.
    TenantId,
    /// `sub` is missing, or is not the SPIFFE ID of a workload in the trust domain.
    Workload,
}

impl From<NotOurs> for JwtError {
    fn from(not_ours: NotOurs) -> Self {
        match not_ours {
            NotOurs::Issuer | NotOurs::Tenant | NotOurs::TenantId => Self::Issuer,
            NotOurs::Workload => Self::Subject,
        }
    }
}

impl Issuer {
    /// Whether a token with these claims is of one of them.
    ///
    /// # Errors
    /// [`NotOurs`].
    pub fn check(&self, claims: &Claims) -> Result<(), NotOurs> {
        let tenant = match (self, claims.issuer()) {
            (Self::Any, _) => None,
            (Self::TrustDomain(own), _) => {
                let is_ours = claims.subject().is_some_and(|id| spiffe::is_in(own, id));
                return is_ours.then_some(()).ok_or(NotOurs::Workload);
            }
            (_, None) => return Err(NotOurs::Issuer),
            (_, Some(issuer)) => self.tenant_of(issuer)?,
        };
        if tenant.is_some() && tenant != text(claims, "tid") {
            return Err(NotOurs::TenantId);
        }
        Ok(())
    }

    /// Whether a message that nobody signed may come from this issuer.
    #[must_use]
    pub fn allows(&self, issuer: &str) -> bool {
        self.tenant_of(issuer).is_ok()
    }

    /// The tenant whose issuer this is; none where issuers are not those of tenants.
    fn tenant_of<'i>(&self, issuer: &'i str) -> Result<Option<&'i str>, NotOurs> {
        let is_ours = match self {
            Self::Any => true,
            Self::TrustDomain(_) => false,
            Self::One(own) => own == issuer,
            Self::Several(own) => own.iter().any(|own| own == issuer),
            Self::OfTenants(own) => return own.of(issuer).map(Some),
        };
        if is_ours {
            Ok(None)
        } else {
            Err(NotOurs::Issuer)
        }
    }

    /// What the issuers are known by, as the configuration writes it: the only one, or the text
    /// for those of all tenants.
    #[must_use]
    pub fn written(&self) -> Option<&str> {
        match self {
            Self::Any | Self::TrustDomain(_) => None,
            Self::One(own) => Some(own),
            Self::Several(own) => own.first().map(String::as_str),
            Self::OfTenants(own) => Some(&own.template),
        }
    }

    /// The issuer, where there is one alone.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        match self {
            Self::One(own) => Some(own),
            _ => None,
        }
    }

    /// Whether there is one for each tenant.
    #[must_use]
    pub fn is_of_tenants(&self) -> bool {
        matches!(self, Self::OfTenants(_))
    }
}

impl Tenants {
    /// The tenant whose issuer this is.
    fn of<'i>(&self, issuer: &'i str) -> Result<&'i str, NotOurs> {
        let tenant = tenant_in(&self.template, issuer).filter(|id| is_uuid(id));
        let tenant = tenant.ok_or(NotOurs::Issuer)?;
        match &self.ids {
            Some(ids) if !ids.iter().any(|id| id == tenant) => Err(NotOurs::Tenant),
            _ => Ok(tenant),
        }
    }
}

/// Whether a key with this `issuer` signs for the issuer of these claims. Entra has keys that are
/// for one tenant alone beside those for all, which have [`TENANT_ID`].
pub(super) fn signs_for(issuer_of_key: &str, claims: &Claims) -> bool {
    let Some(issuer) = claims.issuer() else {
        return false;
    };
    let tenant = tenant_in(issuer_of_key, issuer);
    issuer_of_key == issuer || tenant.is_some() && tenant == text(claims, "tid")
}

/// What is in the place of [`TENANT_ID`] in an issuer.
fn tenant_in<'i>(template: &str, issuer: &'i str) -> Option<&'i str> {
    let (before, after) = template.split_once(TENANT_ID)?;
    let rest = issuer.strip_prefix(before)?;
    rest.strip_suffix(after)
}

fn text<'c>(claims: &'c Claims, name: &str) -> Option<&'c str> {
    claims.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::jose::error::JwtError;

    const ENTRA: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
    const OURS: &str = "8eaef023-2b34-4da1-9baa-8bc8c9d6a490";
    const OTHER: &str = "82229342-1101-4ab6-817b-70c0747630f3";

    fn entra(ids: Option<&[&str]>) -> Issuer {
        Issuer::OfTenants(Tenants {
            template: ENTRA.to_owned(),
            ids: ids.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect()),
        })
    }

    fn claims(claims: &Value) -> Result<Claims, JwtError> {
        Claims::parse(claims.to_string().as_bytes())
    }

    fn of(tenant: &str) -> String {
        ENTRA.replace(TENANT_ID, tenant)
    }

    #[test]
    fn a23_one_of_several_issuers_is_compared_exactly() {
        let several = ["https://a.example/", "accounts.example"].map(str::to_owned);
        let several = Issuer::Several(several.to_vec());
        for (iss, passes) in [
            (json!("https://a.example/"), true),
            (json!("accounts.example"), true),
            (json!("https://a.example"), false),
            (json!("https://accounts.example"), false),
            (json!("Accounts.example"), false),
            (json!("https://a.example/ accounts.example"), false),
            (json!(""), false),
        ] {
            let claims = claims(&json!({"iss": iss, "tid": OURS})).unwrap();
            assert_eq!(several.check(&claims).is_ok(), passes, "{iss}");
            assert_eq!(several.allows(iss.as_str().unwrap()), passes, "{iss}");
        }
        let missing = claims(&json!({})).unwrap();
        assert_eq!(several.check(&missing), Err(NotOurs::Issuer));
        assert_eq!(Issuer::Any.check(&missing), Ok(()));
    }

    #[test]
    fn a35_a_tenant_is_the_one_of_iss_and_tid() {
        let upper = OURS.to_uppercase();
        let slash = format!("{OURS}/x");
        let id = NotOurs::TenantId;
        let issuer = NotOurs::Issuer;
        // iss, tid -> with the tenant in the list, and with any tenant
        let table = [
            (json!(of(OURS)), json!(OURS), Ok(()), Ok(())),
            (json!(of(OTHER)), json!(OTHER), Err(NotOurs::Tenant), Ok(())),
            // The tenant is in the list, and tid is of another, or the other way round.
            (json!(of(OURS)), json!(OTHER), Err(id), Err(id)),
            (json!(of(OTHER)), json!(OURS), Err(NotOurs::Tenant), Err(id)),
            // No tid, or no text.
            (json!(of(OURS)), Value::Null, Err(id), Err(id)),
            (json!(of(OURS)), json!(""), Err(id), Err(id)),
            (json!(of(OURS)), json!(1), Err(id), Err(id)),
            (json!(of(OURS)), json!([OURS]), Err(id), Err(id)),
            (json!(of(OURS)), json!({"id": OURS}), Err(id), Err(id)),
            // In upper case, here, there and in both.
            (json!(of(&upper)), json!(upper), Err(issuer), Err(issuer)),
            (json!(of(&upper)), json!(OURS), Err(issuer), Err(issuer)),
            (json!(of(OURS)), json!(upper), Err(id), Err(id)),
            // The text for all tenants itself, with any tid.
            (json!(ENTRA), json!(OURS), Err(issuer), Err(issuer)),
            (json!(ENTRA), json!(TENANT_ID), Err(issuer), Err(issuer)),
            (json!(of(OURS)), json!(TENANT_ID), Err(id), Err(id)),
            // No tenant's id, though both are the same.
            (json!(of(&slash)), json!(slash), Err(issuer), Err(issuer)),
            (json!(of("../x")), json!("../x"), Err(issuer), Err(issuer)),
            (json!(of("")), json!(""), Err(issuer), Err(issuer)),
            (
                json!(of("common")),
                json!("common"),
                Err(issuer),
                Err(issuer),
            ),
            (
                json!(of(&OURS.replace('-', ""))),
                json!(OURS.replace('-', "")),
                Err(issuer),
                Err(issuer),
            ),
            // Another host, another end, more of both.
            (
                json!(format!("https://login.microsoftonline.us/{OURS}/v2.0")),
                json!(OURS),
                Err(issuer),
                Err(issuer),
            ),
            (json!(of(OURS) + "/"), json!(OURS), Err(issuer), Err(issuer)),
            (
                json!(of(OURS).replace("/v2.0", "")),
                json!(OURS),
                Err(issuer),
                Err(issuer),
            ),
            (
                json!(format!("https://evil.example/{}", of(OURS))),
                json!(OURS),
                Err(issuer),
                Err(issuer),
            ),
            (
                json!(of(&format!("{OURS}/v2.0/{OURS}"))),
                json!(OURS),
                Err(issuer),
                Err(issuer),
            ),
            (Value::Null, json!(OURS), Err(issuer), Err(issuer)),
        ];
        for (iss, tid, listed, any) in table {
            let mut members = json!({"iss": iss, "tid": tid});
            members
                .as_object_mut()
                .unwrap()
                .retain(|_, value| !value.is_null());
            let claims = claims(&members).unwrap();
            assert_eq!(entra(Some(&[OURS])).check(&claims), listed, "{members}");
            assert_eq!(entra(None).check(&claims), any, "{members}");
        }
        // Readers would differ in which of two tenants it is.
        let twice = format!(r#"{{"iss":"{}","tid":"{OTHER}","tid":"{OURS}"}}"#, of(OURS));
        assert_eq!(
            Claims::parse(twice.as_bytes()).err(),
            Some(JwtError::PayloadJson)
        );
    }

    #[test]
    fn a35_messages_that_nobody_signed_are_of_an_issuer_too() {
        let listed = entra(Some(&[OURS]));
        assert!(listed.allows(&of(OURS)));
        for other in [&of(OTHER), ENTRA, &of("common"), &of(""), ""] {
            assert!(!listed.allows(other), "{other}");
        }
        assert!(entra(None).allows(&of(OTHER)));
        assert!(!entra(None).allows(ENTRA));
    }

    #[test]
    fn a35_a_key_of_one_tenant_signs_for_no_other() {
        let claims = claims(&json!({"iss": of(OURS), "tid": OURS})).unwrap();
        for (key, signs) in [
            (ENTRA, true),
            (&of(OURS), true),
            (&of(OTHER), false),
            ("https://login.microsoftonline.us/{tenantid}/v2.0", false),
            (
                "https://login.microsoftonline.com/{tenantid}/{tenantid}",
                false,
            ),
            ("https://login.microsoftonline.com/{tenantid}", false),
            ("{tenantid}", false),
            ("", false),
        ] {
            assert_eq!(signs_for(key, &claims), signs, "{key}");
        }
    }

    #[test]
    fn the_form_of_a_tenants_id() {
        for good in [OURS, OTHER, "00000000-0000-0000-0000-000000000000"] {
            assert!(is_uuid(good), "{good}");
        }
        for bad in [
            "",
            "contoso.onmicrosoft.com",
            &OURS.to_uppercase(),
            &OURS.replace('-', "_"),
            &OURS.replace('8', "g"),
            &format!("{OURS}0"),
            &format!("{{{OURS}}}"),
            "8eaef0232-b34-4da1-9baa-8bc8c9d6a490",
            "é8eaef02-2b34-4da1-9baa-8bc8c9d6a490",
        ] {
            assert!(!is_uuid(bad), "{bad}");
        }
    }
}
