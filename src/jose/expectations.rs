//! What a provider expects of its tokens, RFC 7519 section 4.1 and RFC 8725 section 3.
//!
//! Invariant: values are compared exactly. If the clock is not a number, every comparison of times
//! fails.

use std::time::Duration;

use super::claims::Claims;
use super::error::JwtError;
use super::event::{Check, Event, Time};
use super::issuer::Issuer;
use super::jwa::Algorithm;
use super::jws::JoseHeader;
use super::token_type::TokenType;
use crate::text::TextMatcher;
use crate::trace::{Checks, Trace};

/// What a provider expects of its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectations {
    /// Whose tokens pass.
    pub issuer: Issuer,
    /// `aud` must name one of these; with an empty list, any `aud` passes, and a missing one too.
    pub audiences: Vec<String>,
    /// The only `signer` of a header that passes; with `None`, it is not looked at.
    pub signer: Option<String>,
    /// The `client` of a header must be one of these; with an empty list, it is not looked at.
    pub clients: Vec<String>,
    /// The algorithms that a token may have; an empty list allows none.
    pub algorithms: Vec<Algorithm>,
    /// How far the issuer's clock may be from ours, in seconds.
    pub clock_skew_seconds: u64,
    /// Whether a token without `exp` is refused.
    pub require_expiration: bool,
    /// Whether a token with `cnf` passes, although the filter does not check that the client has
    /// the key.
    pub allow_sender_constrained: bool,
    /// The test that `sub` must pass; a missing `sub` is tested as an empty text.
    pub subjects: Option<TextMatcher>,
    /// `exp` must be there and less than this far away.
    pub max_lifetime: Option<Duration>,
    /// The type that the token must have; `None` does not look at `typ`.
    pub token_type: Option<TokenType>,
}

impl Expectations {
    /// Compares a token's header and claims with them at `now`, in seconds since the epoch.
    pub(super) fn check<T: for<'e> Trace<Event<'e>>>(
        &self,
        header: &JoseHeader,
        claims: &Claims,
        now: f64,
        trace: &T,
    ) -> Result<(), JwtError> {
        let mut checks = Checks::new(trace);
        let allowed = &self.algorithms;
        let found = header.algorithm;
        let is_allowed = allowed.contains(&found);
        checks.that(is_allowed, JwtError::AlgorithmNotAllowed, || {
            checked(is_allowed, Check::Algorithm { found, allowed })
        })?;
        if let Some(expected) = self.signer.as_deref() {
            let found = header.signer.as_deref();
            let is_expected = found == Some(expected);
            checks.that(is_expected, JwtError::Signer, || {
                checked(is_expected, Check::Signer { found, expected })
            })?;
        }
        let expected = self.clients.as_slice();
        if !expected.is_empty() {
            let found = header.client.as_deref();
            let is_expected = expected.iter().any(|one| found == Some(one));
            checks.that(is_expected, JwtError::Client, || {
                checked(is_expected, Check::Client { found, expected })
            })?;
        }
        let expected = &self.issuer;
        if !matches!(expected, Issuer::Any) {
            let outcome = expected.check(claims);
            let reason = outcome.err().map_or(JwtError::Issuer, JwtError::from);
            checks.that(outcome.is_ok(), reason, || {
                let check = Check::Issuer {
                    claims,
                    expected,
                    outcome,
                };
                checked(outcome.is_ok(), check)
            })?;
        }
        self.check_times(claims, now, &mut checks)?;
        self.check_audience(claims, &mut checks)?;
        if let Some(subjects) = &self.subjects {
            let found = claims.subject();
            let matches = subjects.matches(found.unwrap_or_default().as_bytes());
            checks.that(matches, JwtError::Subject, || {
                checked(matches, Check::Subject(found))
            })?;
        }
        if claims.confirmation {
            let passes = self.allow_sender_constrained;
            checks.that(passes, JwtError::SenderConstrained, || {
                checked(passes, Check::Confirmation)
            })?;
        }
        if let Some(expected) = self.token_type {
            let found = header.typ.as_deref();
            let outcome = expected.check(found, claims);
            let reason = outcome.err().unwrap_or(JwtError::TokenType);
            checks.that(outcome.is_ok(), reason, || {
                checked(outcome.is_ok(), Check::Type { found, expected })
            })?;
        }
        checks.outcome()
    }

    /// Compares again the values that time can change, and those that differ between rules.
    pub(super) fn check_again<T: for<'e> Trace<Event<'e>>>(
        &self,
        claims: &Claims,
        now: f64,
        trace: &T,
    ) -> Result<(), JwtError> {
        let mut checks = Checks::new(trace);
        self.check_times(claims, now, &mut checks)?;
        self.check_audience(claims, &mut checks)?;
        checks.outcome()
    }

    /// The last time at which a token with these claims has not expired, in seconds since the epoch.
    /// Once a token is good, nothing else of it becomes untrue as time passes.
    #[must_use]
    pub fn until(&self, claims: &Claims) -> f64 {
        let skew = self.clock_skew_seconds as f64;
        let expires_at = claims.expires_at.map(|at| at.seconds() + skew);
        expires_at.unwrap_or(f64::INFINITY)
    }

    /// `exp`, `nbf` and `iat`.
    fn check_times<T: for<'e> Trace<Event<'e>>>(
        &self,
        claims: &Claims,
        now: f64,
        checks: &mut Checks<'_, T, JwtError>,
    ) -> Result<(), JwtError> {
        let leeway_seconds = self.clock_skew_seconds;
        // The conversion is exact up to 2^53 seconds. Any longer skew admits every time.
        let skew = leeway_seconds as f64;
        let time = |date| Time {
            date,
            now,
            leeway_seconds,
        };
        if let Some(not_before) = claims.not_before {
            let is_past = at_most(not_before.seconds(), now + skew);
            checks.that(is_past, JwtError::NotYetValid, || {
                checked(is_past, Check::NotBefore(time(not_before)))
            })?;
        }
        if let Some(expires_at) = claims.expires_at {
            let is_ahead = at_most(now, expires_at.seconds() + skew);
            checks.that(is_ahead, JwtError::Expired, || {
                checked(is_ahead, Check::Expiration(time(expires_at)))
            })?;
        } else {
            let is_optional = !self.require_expiration && self.max_lifetime.is_none();
            checks.that(is_optional, JwtError::NoExpiration, || {
                checked(is_optional, Check::NoExpiration)
            })?;
        }
        if let (Some(expires_at), Some(most)) = (claims.expires_at, self.max_lifetime) {
            let left = expires_at.seconds() - now;
            // as jwt_authn has it: strictly less, and without the skew
            let is_short = left < most.as_secs_f64();
            checks.that(is_short, JwtError::Lifetime, || {
                checked(is_short, Check::Lifetime(most))
            })?;
        }
        if let Some(issued_at) = claims.issued_at {
            let is_past = at_most(issued_at.seconds(), now + skew);
            checks.that(is_past, JwtError::IssuedInFuture, || {
                checked(is_past, Check::IssuedAt(time(issued_at)))
            })?;
        }
        Ok(())
    }

    /// With an empty list, any audience passes, and a missing one too.
    fn check_audience<T: for<'e> Trace<Event<'e>>>(
        &self,
        claims: &Claims,
        checks: &mut Checks<'_, T, JwtError>,
    ) -> Result<(), JwtError> {
        let expected = self.audiences.as_slice();
        if expected.is_empty() {
            return Ok(());
        }
        let is_expected = |one: &str| expected.iter().any(|known| known == one);
        let is_named = claims.audiences().any(is_expected);
        checks.that(is_named, JwtError::Audience, || {
            let found = claims.get("aud");
            checked(is_named, Check::Audience { found, expected })
        })
    }
}

fn checked(holds: bool, check: Check<'_>) -> Event<'_> {
    Event::Checked { check, holds }
}

fn at_most(earlier: f64, later: f64) -> bool {
    earlier <= later
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::jose::base64url;
    use crate::jose::fixtures::{HEADER, NOW, claims, expectations};
    use crate::jose::jwt::parse;
    use crate::text::TextTest;

    /// Good claims changed so, in a token without a signature.
    fn unsigned(members: Value) -> String {
        format!(
            "{}.{}.",
            base64url::encode(HEADER.as_bytes()),
            base64url::encode(claims(members).as_bytes())
        )
    }

    /// Validation alone, of good claims changed so.
    fn check(expectations: &Expectations, table: &[(Value, Option<JwtError>)]) {
        for (members, expected) in table {
            let token = unsigned(members.clone());
            let result = parse(token.as_bytes()).and_then(|p| p.validate(expectations, NOW));
            assert_eq!(result.err(), *expected, "{members}");
        }
    }

    #[test]
    fn a22_times() {
        let expired = Some(JwtError::Expired);
        let early = Some(JwtError::NotYetValid);
        check(
            &expectations(),
            &[
                (json!({}), None),
                (json!({"exp": null}), Some(JwtError::NoExpiration)),
                (json!({"exp": 0}), expired),
                (json!({"exp": NOW - 3600.0}), expired),
                (json!({"exp": NOW - 61.0}), expired), // exactly now - skew - 1
                (json!({"exp": NOW - 60.5}), expired),
                (json!({"exp": NOW - 60.0}), None),
                (json!({"exp": NOW - 59.5}), None),
                (json!({"nbf": NOW + 60.0}), None),
                (json!({"nbf": NOW + 60.5}), early),
                (json!({"nbf": NOW + 61.0}), early),
                (json!({"nbf": 9_007_199_254_740_991u64}), early),
                (json!({"nbf": null, "iat": null}), None),
                (json!({"iat": NOW + 60.0}), None),
                (json!({"iat": NOW + 60.5}), Some(JwtError::IssuedInFuture)),
            ],
        );
        let exact = Expectations {
            clock_skew_seconds: 0,
            require_expiration: false,
            ..expectations()
        };
        check(
            &exact,
            &[
                (json!({"exp": null}), None),
                (json!({"exp": NOW}), None),
                (json!({"exp": NOW - 1.0}), expired),
                (json!({"nbf": NOW + 1.0}), early),
            ],
        );
        let endless = Expectations {
            clock_skew_seconds: u64::MAX,
            ..expectations()
        };
        check(&endless, &[(json!({"exp": 0, "nbf": NOW * 2.0}), None)]);
    }

    #[test]
    fn a22_a_clock_that_is_no_number_admits_nobody() {
        for now in [f64::NAN, f64::NEG_INFINITY, f64::INFINITY] {
            let token = unsigned(json!({}));
            let result = parse(token.as_bytes())
                .unwrap()
                .validate(&expectations(), now);
            assert!(result.is_err(), "{now}");
        }
    }

    #[test]
    fn a23_issuer_and_audience_are_compared_exactly() {
        let issuer = Some(JwtError::Issuer);
        let audience = Some(JwtError::Audience);
        check(
            &expectations(),
            &[
                (json!({"iss": "https://issuer.example"}), issuer),
                (json!({"iss": "https://issuer.example//"}), issuer),
                (json!({"iss": "https://Issuer.example/"}), issuer),
                (json!({"iss": "http://issuer.example/"}), issuer),
                (json!({"iss": ""}), issuer),
                (json!({"iss": null}), issuer),
                (json!({"aud": "other"}), None),
                (json!({"aud": ["x", "other"]}), None),
                (json!({"aud": null}), audience),
                (json!({"aud": []}), audience),
                (json!({"aud": ""}), audience),
                (json!({"aud": "x"}), audience),
                (json!({"aud": ["x", "y"]}), audience),
                (json!({"aud": "https://api.exampl"}), audience), // a part
                (json!({"aud": "https://api.example/"}), audience),
                (json!({"aud": "https://api.example other"}), audience),
                (json!({"aud": "HTTPS://API.EXAMPLE"}), audience),
                (json!({"aud": 1}), Some(JwtError::AudienceType)),
            ],
        );
        let any = Expectations {
            issuer: Issuer::Any,
            audiences: vec![],
            ..expectations()
        };
        check(&any, &[(json!({"iss": null, "aud": null}), None)]);
    }

    #[test]
    fn a36_what_a_jwt_svid_must_be() {
        let of = |change: Value| {
            let mut svid = json!({"iss": null, "sub": "spiffe://example.org/ns/a/sa/b"});
            let members = svid.as_object_mut().unwrap();
            members.extend(change.as_object().unwrap().clone());
            svid
        };
        let subject = Some(JwtError::Subject);
        let svids = Expectations {
            issuer: Issuer::TrustDomain("example.org".to_owned()),
            token_type: Some(TokenType::Svid),
            ..expectations()
        };
        check(
            &svids,
            &[
                (of(json!({})), None),
                (of(json!({"iss": "https://issuer.example/"})), None),
                (of(json!({"iss": "spiffe://example.org.evil"})), None),
                (of(json!({"sub": null})), subject),
                (of(json!({"sub": ""})), subject),
                (of(json!({"sub": "spiffe://example.org.evil/a"})), subject),
                (of(json!({"sub": "spiffe://other.org/a"})), subject),
                (of(json!({"sub": "spiffe://example.org"})), subject),
                (of(json!({"sub": "spiffe://example.org/a/../b"})), subject),
                // No other claim names the workload.
                (
                    of(json!({"sub": "u", "iss": "spiffe://example.org/a"})),
                    subject,
                ),
                (of(json!({"sub": 1})), Some(JwtError::SubjectType)),
                (of(json!({"exp": null})), Some(JwtError::NoExpiration)),
                (of(json!({"aud": null})), Some(JwtError::Audience)),
                (of(json!({"aud": []})), Some(JwtError::Audience)),
            ],
        );
        let further = Expectations {
            subjects: Some(TextMatcher::new(
                TextTest::Prefix("spiffe://example.org/ns/c/".to_owned()),
                false,
            )),
            ..svids
        };
        check(&further, &[(of(json!({})), subject)]);
    }

    #[test]
    fn the_signer_is_compared_exactly() {
        let of = Expectations {
            signer: Some("arn:a".to_owned()),
            ..expectations()
        };
        let refused = Some(JwtError::Signer);
        for (signer, expected) in [
            (r#","signer":"arn:a""#, None),
            (r#","signer":"arn:A""#, refused),
            (r#","signer":"arn:a ""#, refused),
            (r#","signer":"arn:a/x""#, refused),
            (r#","signer":"""#, refused),
            (r#","signer":["arn:a"]"#, refused),
            (r#","signer":null"#, refused),
            ("", refused),
        ] {
            let header = HEADER.replacen('}', &format!("{signer}}}"), 1);
            let claims = base64url::encode(claims(json!({"signer": "arn:a"})).as_bytes());
            let token = format!("{}.{claims}.", base64url::encode(header.as_bytes()));
            let result = parse(token.as_bytes()).and_then(|p| p.validate(&of, NOW));
            assert_eq!(result.err(), expected, "{signer}");
            let result = parse(token.as_bytes()).and_then(|p| p.validate(&expectations(), NOW));
            assert_eq!(result.err(), None, "{signer}");
        }
    }

    #[test]
    fn the_client_is_one_of_the_load_balancers() {
        let of = Expectations {
            clients: vec!["web".to_owned(), "app".to_owned()],
            ..expectations()
        };
        let refused = Some(JwtError::Client);
        for (client, expected) in [
            (r#","client":"web""#, None),
            (r#","client":"app""#, None),
            (r#","client":"Web""#, refused),
            (r#","client":"web app""#, refused),
            (r#","client":"we""#, refused),
            (r#","client":"""#, refused),
            (r#","client":["web"]"#, refused),
            (r#","client":null"#, refused),
            ("", refused),
        ] {
            let header = HEADER.replacen('}', &format!("{client}}}"), 1);
            let claims = base64url::encode(claims(json!({"client": "web"})).as_bytes());
            let token = format!("{}.{claims}.", base64url::encode(header.as_bytes()));
            let result = parse(token.as_bytes()).and_then(|p| p.validate(&of, NOW));
            assert_eq!(result.err(), expected, "{client}");
            let result = parse(token.as_bytes()).and_then(|p| p.validate(&expectations(), NOW));
            assert_eq!(result.err(), None, "{client}");
        }
    }

    #[test]
    fn a24_the_type_that_is_asked_for() {
        // The header says JWT, and the claims lack some of an access token's.
        let asked = [None, Some(TokenType::Jwt), Some(TokenType::AccessToken)];
        let expected = [None, None, Some(JwtError::TokenType)];
        for (token_type, expected) in asked.into_iter().zip(expected) {
            let typed = Expectations {
                token_type,
                ..expectations()
            };
            check(&typed, &[(json!({}), expected)]);
        }
    }

    #[test]
    fn a25_a_sender_constrained_token_is_no_bearer_token() {
        let bound = json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}});
        check(
            &expectations(),
            &[(bound.clone(), Some(JwtError::SenderConstrained))],
        );
        let allowed = Expectations {
            allow_sender_constrained: true,
            ..expectations()
        };
        check(&allowed, &[(bound, None)]);
    }
}
