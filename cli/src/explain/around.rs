//! What Envoy itself does with a request of a browser, where the file of the filter shows it: a preflight of CORS,
//! and a WebSocket.
//!
//! Invariant: a note beside the decision, which it does not change.

use crate::document::Node;
use crate::explanation::{Mark, Step};
use crate::plugin::{File, message};
use crate::surroundings::kinds::CORS;

const ANSWERED: &str = "a preflight has no token: Envoy's cors answers it before the filter, where the origin is one of its policy's, else the filter decides as above";
const UNANSWERED: &str = "a preflight has no token, and the file has no cors filter that would answer it: a browser shows a CORS error, see docs/rules.md#browsers-and-cors";
const NO_WEBSOCKET: &str = "the file has no upgrade_configs with upgrade_type: websocket, and Envoy answers 403 to a WebSocket, see docs/rules.md#websockets";

/// A step about a request with this method and these headers, if there is something to tell.
pub(super) fn step(file: &File, method: &str, headers: &[String]) -> Option<Step> {
    let has = |any: &dyn Fn(&Node) -> bool| file.documents.iter().any(|node| is_there(node, any));
    // the filter's configuration alone says nothing of Envoy
    if !has(&|node| node.get("http_filters").is_some()) {
        return None;
    }
    let value = |wanted: &str| {
        let mut lines = headers.iter().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?;
        Some(value.trim())
    };
    let is_websocket =
        |text: Option<&str>| text.is_some_and(|it| it.eq_ignore_ascii_case("websocket"));
    if method == "OPTIONS" && value("origin").is_some() {
        let text = match has(&|node| message(node, CORS).is_some()) {
            true => ANSWERED,
            false => UNANSWERED,
        };
        return Some(Step::new("cors", Mark::Note, text));
    }
    let takes_it = |node: &Node| is_websocket(node.text_at(&["upgrade_type"]));
    let is_refused = is_websocket(value("upgrade")) && !has(&takes_it);
    is_refused.then(|| Step::new("websocket", Mark::Bad, NO_WEBSOCKET))
}

/// Whether it holds of a part of a document.
fn is_there(node: &Node, holds: &dyn Fn(&Node) -> bool) -> bool {
    let members = node.entries().iter().map(|entry| &entry.node);
    holds(node)
        || members
            .chain(node.items())
            .any(|below| is_there(below, holds))
}
