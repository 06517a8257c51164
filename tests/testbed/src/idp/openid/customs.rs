//! What real providers do in their own ways, for tests against one that does likewise.

use serde_json::{Map, Value, json};

use super::Endpoint;

/// The ways of a provider. By default this one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customs {
    /// The paths of endpoints, where they are others.
    pub paths: Vec<(Endpoint, &'static str)>,
    /// A merge patch (RFC 7396) for the metadata.
    pub metadata: Value,
    /// A merge patch for the claims of ID tokens.
    pub id_token: Value,
    /// A merge patch for token responses.
    pub token_response: Value,
    /// The parameter that says where a browser comes back to after signing out.
    pub back_parameter: &'static str,
    /// Whether who signs out without proof is asked first.
    pub asks_before_sign_out: bool,
}

impl Default for Customs {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            metadata: json!({}),
            id_token: json!({}),
            token_response: json!({}),
            back_parameter: "post_logout_redirect_uri",
            asks_before_sign_out: true,
        }
    }
}

impl Customs {
    /// The path of an endpoint.
    pub(in crate::idp) fn path(&self, endpoint: Endpoint) -> &'static str {
        let mut paths = self.paths.iter();
        let own = paths.find(|(known, _)| *known == endpoint);
        own.map_or(endpoint.path(), |(_, path)| path)
    }
}

/// Applies a merge patch: members that are null are removed (RFC 7396 section 2).
pub(crate) fn patch(document: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *document = patch.clone();
        return;
    };
    if !document.is_object() {
        *document = Value::Object(Map::new());
    }
    let members = document.as_object_mut().expect("an object");
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            self::patch(members.entry(name).or_insert(Value::Null), change);
        }
    }
}
