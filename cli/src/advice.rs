//! What each reason of a rejection means, and what to do about it.
//!
//! Invariant: every reason has one row, and `docs/troubleshooting.md` shows the same rows.

use anstream::println;
use serde_json::{Value, json};

use crate::output::{DIM, styled};

/// What there is to say of some reasons. Texts are Markdown without links.
pub(crate) struct Advice {
    /// As metrics, logs and responses name them.
    pub reasons: &'static [&'static str],
    pub means: &'static str,
    /// What whoever sent the request can do.
    pub client: &'static str,
    /// What whoever runs the gateway can do.
    pub operator: &'static str,
    /// Where more is said, below `docs/`.
    pub page: &'static str,
}

impl Advice {
    /// Prints it on lines of their own, below a reason.
    pub(crate) fn print(&self) {
        for (name, text) in [
            ("means", self.means),
            ("the client", self.client),
            ("the operator", self.operator),
        ] {
            println!("    {}: {text}", styled(DIM, name));
        }
        println!("    {}: docs/{}", styled(DIM, "more"), self.page);
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({
            "means": self.means,
            "client": self.client,
            "operator": self.operator,
            "page": format!("docs/{}", self.page),
        })
    }
}

/// The row of a reason.
pub(crate) fn of(reason: &str) -> Option<&'static Advice> {
    let mut rows = ADVICE.iter();
    rows.find(|row| row.reasons.contains(&reason))
}

const NEW_TOKEN: &str = "get a new token as the provider issues it, and send it unchanged";
const ASK_PROVIDER: &str = "have the provider issue tokens in the form of RFC 7519";
const SEND_CLAIM: &str = "ask the provider for a token of the kind that this API takes";

/// The rows, in the order of `docs/responses.md`.
pub(crate) const ADVICE: [Advice; 39] = [
    Advice {
        reasons: &["token_missing"],
        means: "there is no token where this rule looks for one",
        client: "send `Authorization: Bearer TOKEN`; a raw token, another scheme and a query parameter are not looked at unless they are configured",
        operator: "add `from_headers`, `from_params` or another place if clients send tokens elsewhere; look whether a proxy in front removes the header",
        page: "rules.md#where-tokens-are-looked-for",
    },
    Advice {
        reasons: &["session_missing"],
        means: "there is no session that is good here and now",
        client: "open a page of the application in the browser and sign in; then repeat the request",
        operator: "ask `explain --cookie` why the session is not good; look whether all gateways have the same `cookie_keys`",
        page: "sign-in.md#who-is-redirected",
    },
    Advice {
        reasons: &["cross_site"],
        means: "the request counts on a session, and a page of another site may have made the browser send it",
        client: "send the request from the application's own pages",
        operator: "list the other site in `allowed_redirect_domains` if it is yours",
        page: "sign-in.md#requests-of-other-sites",
    },
    Advice {
        reasons: &["several_tokens"],
        means: "the request has more than one credential",
        client: "send one token, once",
        operator: "look whether a proxy in front adds a header or joins two",
        page: "rules.md#where-tokens-are-looked-for",
    },
    Advice {
        reasons: &["unsafe_path"],
        means: "the path has several readings, or none",
        client: "send the path in its plain form, without `//`, dot segments and escaped slashes",
        operator: "set `normalize_path` and `merge_slashes`; `escaped_slashes` takes `%2F` where an API needs it",
        page: "requests.md#paths",
    },
    Advice {
        reasons: &[
            "unsafe_method",
            "unsafe_host",
            "unsafe_header",
            "unsafe_query",
        ],
        means: "a part of the request that a rule or a place looks at has several readings, or none",
        client: "send that part once, in its usual spelling",
        operator: "ask `explain` which rule looks at it; set `headers_with_underscores_action: REJECT_REQUEST`",
        page: "requests.md",
    },
    Advice {
        reasons: &["token_list"],
        means: "a header that should hold one token holds a list",
        client: "send one token in it, without a comma",
        operator: "look whether a proxy in front joins headers",
        page: "requests.md",
    },
    Advice {
        reasons: &["insufficient_scope"],
        means: "the token is good, and lacks a scope that the rule asks for",
        client: "ask the provider for the scopes that the challenge names in `scope`, and get a new token",
        operator: "grant the client the scope; look whether it is in a claim that `scope_claims` names",
        page: "rules.md#scopes-and-claims",
    },
    Advice {
        reasons: &["claim_rule"],
        means: "the token is good, and a test of a claim does not hold",
        client: "ask whoever runs the API for the role or group; then get a new token",
        operator: "ask `explain` which test it is and what the claim holds; a value must have the same JSON type",
        page: "rules.md#scopes-and-claims",
    },
    Advice {
        reasons: &["no_rule"],
        means: "no rule matches, and what no rule matches is denied",
        client: "compare method, host and the case of the path with the API's description",
        operator: "add a rule; a rule for some `methods` leaves the others to the next rule",
        page: "rules.md#which-rule-decides",
    },
    Advice {
        reasons: &["keys_unavailable"],
        means: "the gateway has no keys to verify tokens with",
        client: "keep the token, and repeat the request after `Retry-After`",
        operator: "read Envoy's log for the address, the cluster and what came instead; compare with `explain --fetch --admin`",
        page: "keys.md#when-a-fetch-fails",
    },
    Advice {
        reasons: &["provider_unavailable"],
        means: "the identity provider must be asked, and does not answer",
        client: "keep the session, and repeat the request after `Retry-After`",
        operator: "look at the provider and at its cluster in Envoy's `/clusters`",
        page: "operating.md#bearergatesigninsfail",
    },
    Advice {
        reasons: &["too_many_waiting"],
        means: "too many requests wait for keys already",
        client: "keep the token, and repeat the request after `Retry-After`",
        operator: "find out why keys are not there; limit the rate of strangers",
        page: "keys.md#requests-that-wait",
    },
    Advice {
        reasons: &["not_configured"],
        means: "the filter has no valid configuration",
        client: "report it to whoever runs the gateway",
        operator: "run `bearer-gate check` on the configuration; Envoy's log has the field",
        page: "observability.md#monitoring",
    },
    Advice {
        reasons: &["host_refused"],
        means: "Envoy did not take a part of what the filter sets",
        client: "report it to whoever runs the gateway",
        operator: "look which other filter sets a filter state of the same name; look at limits on headers",
        page: "observability.md#access-logs-traces-and-other-filters",
    },
    Advice {
        reasons: &["not_ended"],
        means: "the session cannot be ended now",
        client: "sign out again after `Retry-After`",
        operator: "look at the list of ended sessions; limit the rate at `frontchannel_logout_path`",
        page: "operating.md#bearergatesignoutsfail",
    },
    Advice {
        reasons: &["sign_outs_unknown"],
        means: "nobody knows whether the session has ended in another Envoy",
        client: "stay signed in, and repeat the request after `Retry-After`",
        operator: "find out why the shared store cannot be read; Envoy's log says what came",
        page: "shared-store.md#what-needs-it",
    },
    Advice {
        reasons: &["session_store_unavailable"],
        means: "the shared store has the session, and does not answer",
        client: "stay signed in, and repeat the request after `Retry-After`",
        operator: "look at webdis and Redis, and whether webdis allows `GET`; Envoy's log says what came",
        page: "shared-store.md#sessions-in-the-store",
    },
    Advice {
        reasons: &["body_missing"],
        means: "the body of a back-channel logout did not come",
        client: "send the logout token in the body",
        operator: "set `allow_on_headers_stop_iteration: true` beside `vm_config`",
        page: "operating.md#bearergatelogoutsunread",
    },
    Advice {
        reasons: &["too_long"],
        means: "the token has more than 16 KiB",
        client: "ask for fewer scopes, or for a token with fewer groups",
        operator: "have the provider leave out claims that the API does not need",
        page: "operating.md#limits",
    },
    Advice {
        reasons: &["not_three_parts"],
        means: "the token is no signed JWT: mostly it is opaque, encrypted, or a part of one",
        client: "send an access token for this API; some providers need an `audience` or `resource` to issue a JWT",
        operator: "have the provider issue signed JWTs; ask `explain --token -` what it is",
        page: "command-line.md#why-was-my-token-refused",
    },
    Advice {
        reasons: &[
            "header_encoding",
            "header_json",
            "payload_encoding",
            "signature_encoding",
            "payload_json",
        ],
        means: "a part of the token is damaged: cut, escaped, padded, or copied with something else",
        client: NEW_TOKEN,
        operator: "ask `explain --token -` what is wrong; tokens of AWS load balancers need `aws_alb`",
        page: "command-line.md#why-was-my-token-refused",
    },
    Advice {
        reasons: &["algorithm_missing", "kid", "type"],
        means: "the token's header lacks `alg`, or a field of it is no string",
        client: NEW_TOKEN,
        operator: ASK_PROVIDER,
        page: "signatures.md",
    },
    Advice {
        reasons: &["algorithm_unsupported", "critical", "unencoded_payload"],
        means: "the token is signed in a way that the filter does not know, or not signed at all (`none`)",
        client: "send a token that the provider signed; nobody may use `none`",
        operator: "have the provider sign with an algorithm of the list",
        page: "signatures.md",
    },
    Advice {
        reasons: &[
            "issuer_type",
            "subject_type",
            "audience_type",
            "id_type",
            "expiration_type",
            "not_before_type",
            "issued_at_type",
        ],
        means: "a claim of the token has another type than RFC 7519 gives it",
        client: NEW_TOKEN,
        operator: ASK_PROVIDER,
        page: "jwt_authn.md#differences-from-jwt_authn",
    },
    Advice {
        reasons: &["algorithm_not_allowed"],
        means: "the token's `alg` is not one of the provider's `algorithms`",
        client: NEW_TOKEN,
        operator: "add the algorithm to `algorithms` if the provider has changed it on purpose",
        page: "signatures.md",
    },
    Advice {
        reasons: &["signer"],
        means: "another load balancer made the token",
        client: "send the request through the load balancer of this API",
        operator: "compare `signer` with the ARN of your load balancer",
        page: "keys.md#aws-load-balancers",
    },
    Advice {
        reasons: &["client"],
        means: "the load balancer signed somebody in for another client of the provider",
        client: "send the request to the host of this API",
        operator: "add the client of this listener rule to `clients`",
        page: "keys.md#aws-load-balancers",
    },
    Advice {
        reasons: &["issuer"],
        means: "`iss` is not the provider's `issuer`: often a slash at the end, another tenant, or another environment",
        client: "get the token from the provider of this environment",
        operator: "copy `iss` from the output of `explain`, which says what differs",
        page: "configuration.md#provider",
    },
    Advice {
        reasons: &["not_yet_valid", "issued_in_future"],
        means: "the token is for later: mostly a clock is wrong",
        client: "set the clock of the machine that makes the token",
        operator: "set the gateway's clock; `clock_skew_seconds` is the leeway",
        page: "keys.md#clocks",
    },
    Advice {
        reasons: &["expired"],
        means: "`exp` has passed by more than the leeway",
        client: "get a new token, and repeat the request once",
        operator: "if tokens are new, set the gateway's clock; `clock_skew_seconds` is the leeway",
        page: "keys.md#clocks",
    },
    Advice {
        reasons: &["no_expiration", "lifetime"],
        means: "the token has no `exp`, or lives longer than `max_lifetime` allows",
        client: "get a token that expires sooner",
        operator: "shorten the lifetime at the provider, or raise `max_lifetime`",
        page: "configuration.md#provider",
    },
    Advice {
        reasons: &["audience"],
        means: "the token is for another API: no entry of `audiences` is in `aud`, compared exactly",
        client: "ask the provider for a token for this API (`audience`, `resource` or scope)",
        operator: "compare `aud` in the output of `explain` with `audiences`; a slash at the end counts",
        page: "configuration.md#provider",
    },
    Advice {
        reasons: &["subject"],
        means: "`sub` is not one that `subjects` or the trust domain allows",
        client: "use the account or workload that may call this API",
        operator: "compare `sub` in the output of `explain` with `subjects`",
        page: "configuration.md#provider",
    },
    Advice {
        reasons: &["sender_constrained"],
        means: "the token is bound to a key of its holder (`cnf`), and nothing here proves that the client has it",
        client: "ask for a plain Bearer token, without DPoP or a client certificate",
        operator: "`allow_sender_constrained` takes such tokens as plain ones, where another place verifies the proof",
        page: "configuration.md#provider",
    },
    Advice {
        reasons: &["token_type"],
        means: "`typ` says another kind of token: often an ID token in place of an access token",
        client: "send the access token, not the ID token",
        operator: "compare `typ` in the output of `explain` with `token_type`",
        page: "configuration.md#provider",
    },
    Advice {
        reasons: &[
            "no_issuer",
            "no_audience",
            "no_subject",
            "no_client_id",
            "no_issued_at",
            "no_id",
        ],
        means: "a claim is missing that `token_type` or the provider's settings ask for",
        client: SEND_CLAIM,
        operator: "have the provider issue access tokens of RFC 9068, or leave `token_type` out",
        page: "configuration.md#provider",
    },
    Advice {
        reasons: &["no_key"],
        means: "no key of the provider has the token's `kid` and `alg`: another tenant or environment, a key that is gone, or one that is new",
        client: "get a new token from the provider of this environment",
        operator: "compare the `kid` with the keys in the output of `explain --fetch`; if they have it, the gateway's keys are older: see their age with `--admin`",
        page: "keys.md#rotation-an-unknown-kid",
    },
    Advice {
        reasons: &["signature"],
        means: "no key verifies the signature: the token was altered or forged, or the keys are another provider's",
        client: NEW_TOKEN,
        operator: "look whether the address of the keys is that of `issuer`; Microsoft Graph's tokens are for Graph alone",
        page: "signatures.md",
    },
];

/// The rows as a table in Markdown.
#[cfg(test)]
fn table() -> String {
    let mut table = String::from(
        "| reason | what it means | the client | the operator | more |\n|---|---|---|---|---|\n",
    );
    for row in &ADVICE {
        let reasons: Vec<String> = row.reasons.iter().map(|one| format!("`{one}`")).collect();
        let (page, name) = (row.page, row.page.split('.').next().unwrap_or_default());
        table.push_str(&format!(
            "| {} | {} | {} | {} | [{name}]({page}) |\n",
            reasons.join(" "),
            row.means,
            row.client,
            row.operator,
        ));
    }
    table
}

#[cfg(test)]
mod tests {
    use bearer_gate::http::response::Rejection;

    use super::*;

    #[test]
    fn every_reason_has_one_row() {
        let mut seen: Vec<&str> = Vec::new();
        for row in &ADVICE {
            seen.extend(row.reasons.iter().copied());
            for text in [row.means, row.client, row.operator] {
                assert!(!text.contains(['|', '\n']), "{text}");
            }
        }
        let mut known: Vec<&str> = Rejection::texts().map(|(reason, _)| reason).collect();
        seen.sort_unstable();
        known.sort_unstable();
        assert_eq!(seen, known);
    }

    #[test]
    fn the_documents_have_the_same_rows() {
        let document = include_str!("../../docs/troubleshooting.md");
        let table = table();
        assert!(
            document.contains(&table),
            "docs/troubleshooting.md:\n{table}"
        );
    }
}
