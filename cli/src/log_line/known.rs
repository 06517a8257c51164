//! Lines that are no rejection by the filter, and stop whoever sets it up: of Envoy at its start, of Envoy to a
//! client, of the filter about keys, and on the pages of sign-in.
//!
//! Invariant: `docs/troubleshooting.md` shows the same rows, and each has a section to read.

use anstream::println;
use serde_json::{Value, json};

use crate::output::{DIM, HEAD, styled};

/// What is known of lines that have a text in them. All but the text is Markdown without links.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Known {
    text: &'static str,
    means: &'static str,
    cure: &'static str,
    /// Where more is said, below `docs/`.
    page: &'static str,
}

const HOST_OF_THE_PAGE: &str = "compare the address in the browser with `allowed_redirect_domains`: `127.0.0.1` is not `localhost`; `curl -s 'http://127.0.0.1:9901/stats?filter=sign_in.failed'` has the reason";
const SIGN_IN: &str = "observability.md#sign-in";
const FETCH: &str = "keys.md#when-a-fetch-fails";
const WEBSOCKETS: &str = "rules.md#websockets";
const START: &str = "your-api.md#in-ten-minutes";

/// The first row whose text is in a line counts.
const KNOWN: [Known; 31] = [
    // what a client gets of Envoy itself
    Known {
        text: "upstream connect error or disconnect/reset before headers",
        means: "the filter let the request through, and your API cannot be reached: nothing listens there, or it closes the connection",
        cure: "start the API; compare its address and port with those of the route's cluster",
        page: START,
    },
    Known {
        text: "no healthy upstream",
        means: "the filter let the request through, and the cluster of your API has no host: its name has no address here",
        cure: "write an address that this machine knows: the `api` of `envoy/my-api.yaml` is one in Docker alone",
        page: START,
    },
    Known {
        text: "upstream request timeout",
        means: "the filter let the request through, and your API did not answer in time: 15 s unless the route has a `timeout`",
        cure: "look at the API; set the route's `timeout` if it may take longer",
        page: START,
    },
    Known {
        text: "{\"detail\":",
        means: "a FastAPI application gave this answer: the filter let the request through",
        cure: "of a 401, ask `explain --token -` whether `x-user` is set; compare the path with those of the application",
        page: "your-api.md#what-the-api-has-to-do",
    },
    // what a browser says
    Known {
        text: "blocked by CORS policy",
        means: "the origin of the page, its method or one of its headers is not in Envoy's policy of CORS, or Envoy has none",
        cure: "list the origin as the line has it in `allow_origin_string_match`, and a header that it names in `allow_headers`; the filter `cors` stands before bearer-gate",
        page: "rules.md#browsers-and-cors",
    },
    Known {
        text: "Sent non-empty 'Sec-WebSocket-Protocol' header",
        means: "the API chose none of the subprotocols that the page offered, and the browser ends the WebSocket",
        cure: "offer another one beside the token, and have the API choose that",
        page: WEBSOCKETS,
    },
    Known {
        text: "Error during WebSocket handshake: Unexpected response code: 403",
        means: "Envoy takes no WebSocket, or a rule refuses it",
        cure: "give the HttpConnectionManager `upgrade_configs: [{upgrade_type: websocket}]`; ask `explain --path PATH`",
        page: WEBSOCKETS,
    },
    Known {
        text: "HTTP Authentication failed; no valid credentials available",
        means: "the WebSocket got 401: a page sends no Authorization with it",
        cure: "have the page send the token as a subprotocol, and give the provider `from_subprotocols`",
        page: WEBSOCKETS,
    },
    // Envoy's start
    Known {
        text: "Address already in use",
        means: "another program has this port, often the demo or an Envoy that was not stopped; or the file has it twice",
        cure: "`ss -ltnp` says which: stop it, or write another port",
        page: START,
    },
    Known {
        text: "unable to bind domain socket with base_id=",
        means: "another Envoy runs on this machine",
        cure: "stop it; for two at once give them ports of their own, and the second `--base-id 1`",
        page: START,
    },
    Known {
        text: "Invalid path: ",
        means: "the file is not there, as seen from the directory in which Envoy was started: mostly the module",
        cure: "run `make build`, and start Envoy from the root of the repository, or write the whole path",
        page: "checks.md#module-missing",
    },
    Known {
        text: "unknown cluster",
        means: "a route leads to a cluster that is not in the file",
        cure: "`bearer-gate check FILE` has the line, and the name that was meant",
        page: "checks.md#cluster-missing",
    },
    Known {
        text: "no such field",
        means: "Envoy does not know a field of the file: mostly it is misspelt, or indented too far or not far enough",
        cure: "look for the field that Envoy names; the filter's own fields belong below `configuration.value`",
        page: START,
    },
    Known {
        text: "yaml-cpp: error at line",
        means: "the file is no YAML: mostly a line is indented too far or not far enough",
        cure: "compare the line's indentation with that of its neighbours; `bearer-gate check FILE` says it too",
        page: START,
    },
    Known {
        text: "must be @type  or value",
        means: "a field stands beside `value` of the filter's configuration, where Envoy takes none",
        cure: "indent it further: the filter's own fields belong below `configuration.value`",
        page: START,
    },
    Known {
        text: "Proto constraint validation failed",
        means: "Envoy does not take a value of the file: the line names the field at its end, as a port above 65535",
        cure: "correct that value",
        page: START,
    },
    Known {
        text: "could not find @type",
        means: "a `@type` is misspelt, or this Envoy was built without that part, such as Wasm",
        cure: "copy the `@type` from `envoy/my-api.yaml`; use an Envoy that has the part, as `make validate` fetches",
        page: "compatibility.md",
    },
    Known {
        text: "Didn't find a registered implementation for",
        means: "this Envoy was built without a part that the file names, such as Wasm",
        cure: "use an Envoy that has it, as `make validate` fetches",
        page: "compatibility.md",
    },
    // the filter's configuration
    Known {
        text: "configuration refused: ",
        means: "the filter does not take its configuration: the field and the reason stand behind",
        cure: "correct it; `bearer-gate check FILE` has the line, and with `--environment` the variables that are not set",
        page: "checks.md#configuration",
    },
    Known {
        text: "Unable to create Wasm plugin",
        means: "the filter does not take its configuration, or the module is broken: a line before this one says why",
        cure: "look for `configuration refused` in the log; ask `bearer-gate check FILE`",
        page: "checks.md#configuration",
    },
    Known {
        text: "Plugin configured to fail closed failed to load",
        means: "the filter does not take its configuration, or the module is broken: a line before this one says why",
        cure: "look for `configuration refused` in the log; ask `bearer-gate check FILE`",
        page: "checks.md#configuration",
    },
    Known {
        text: "failed: Uncaught RuntimeError",
        means: "the VM of a Wasm filter has crashed in the call that the line names: the request got 503, and so does what waited in that VM",
        cure: "keep the log, and report it if the filter is bearer-gate: no request should do that; `explain --admin URL` counts the VMs that were started anew",
        page: "operating.md#what-a-crash-does",
    },
    // what it is given by a provider
    Known {
        text: "the call was refused: is the cluster defined and has it hosts?",
        means: "Envoy has no cluster of this name, or the cluster has no host",
        cure: "`bearer-gate check FILE` says whether the name is there; `explain --admin URL` has its hosts",
        page: FETCH,
    },
    Known {
        text: "status 503 (also an unreachable host)",
        means: "the provider answers 503, or Envoy does not reach it: another port, no network, or a TLS handshake that fails",
        cure: "compare the cluster's `address`, `port_value` and `sni` with the address in the line; ask `explain --fetch --admin URL`",
        page: FETCH,
    },
    Known {
        text: "fetching keys failed",
        means: "the provider's keys did not come: the line has the address, the cluster, and what came instead",
        cure: "open that address; compare with `explain --fetch --admin URL`",
        page: FETCH,
    },
    Known {
        text: "invalid_client",
        means: "the provider does not take the client's id or secret",
        cure: "compare the client's secret with the variable of Envoy's process; some providers want `auth_type: URL_ENCODED_BODY`",
        page: "sign-in.md#ten-minutes-to-a-signed-in-person",
    },
    // the pages of sign-in
    Known {
        text: "This sign-in took too long",
        means: "the page was left open, the browser keeps no cookies, or the address in it is not the site's",
        cure: HOST_OF_THE_PAGE,
        page: SIGN_IN,
    },
    Known {
        text: "The sign-in service gave an answer that cannot be used",
        means: "the answer of the provider, its tokens or its issuer are not what the filter asked for",
        cure: "Envoy's log says what is wrong with it, such as `invalid_client`",
        page: SIGN_IN,
    },
    Known {
        text: "The sign-in service cannot be reached",
        means: "the provider's metadata, keys or token endpoint are not to be had",
        cure: "Envoy's log has the address and the cluster; ask `explain --admin URL`",
        page: SIGN_IN,
    },
    Known {
        text: "Access was not granted",
        means: "the provider refused to sign this person in, or the person cancelled",
        cure: "look at the person's rights, and at the client's scopes, at the provider",
        page: SIGN_IN,
    },
    Known {
        text: "Your account has more information than a session can keep",
        means: "the session is larger than `cookie.max_bytes`",
        cure: "keep fewer claims (`session.claims`), or the session in the shared store",
        page: "shared-store.md#sessions-in-the-store",
    },
];

/// What is known of a line.
pub(super) fn find(line: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|known| line.contains(known.text))
}

impl Known {
    pub(super) fn print(&self, lines: &str) {
        println!("{}{lines}", styled(HEAD, self.text.trim()));
        println!("    {}: {}", styled(DIM, "means"), self.means);
        println!("    {}: {}", styled(DIM, "what to do"), self.cure);
        println!("    {}: docs/{}", styled(DIM, "more"), self.page);
    }

    pub(super) fn to_json(&self, lines: usize) -> Value {
        json!({
            "reason": null,
            "lines": lines,
            "told": self.means,
            "text": self.text.trim(),
            "cure": self.cure,
            "page": format!("docs/{}", self.page),
        })
    }
}

#[cfg(test)]
mod tests {
    use bearer_gate::sign_in::page::{FailedSignIn, Trouble, failure};

    use super::*;

    #[test]
    fn the_documents_have_the_same_rows() {
        let mut table =
            String::from("| the line has | what it means | what to do |\n|---|---|---|\n");
        for row in &KNOWN {
            let text = row.text.trim();
            table.push_str(&format!("| `{text}` | {} | {} |\n", row.means, row.cure));
        }
        let document = include_str!("../../../docs/troubleshooting.md");
        assert!(
            document.contains(&table),
            "docs/troubleshooting.md:\n{table}"
        );
    }

    #[test]
    fn every_page_of_a_failed_sign_in_is_known() {
        for trouble in [
            Trouble::Denied,
            Trouble::Unavailable,
            Trouble::Unusable,
            Trouble::Lost,
            Trouble::TooLarge,
        ] {
            let page = failure(&FailedSignIn {
                trouble,
                told: None,
                again: None,
            });
            let known = find(&page.body).map(|known| known.page);
            assert!(known.is_some(), "{trouble:?}");
        }
    }

    #[test]
    fn what_is_more_is_told_first() {
        let line = "provider p: fetching keys failed (1 in a row): \"https://i.example/keys\" by cluster c: ";
        let refused =
            format!("{line}the call was refused: is the cluster defined and has it hosts?");
        let other = format!("{line}status 404");
        let means = |line: &str| find(line).map(|known| known.means);
        assert_ne!(means(&refused), means(&other));
        assert!(means(&other).is_some_and(|means| means.contains("what came instead")));
    }
}
