//! One value of a document, or the name of a member.

use serde_json::Number;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Number(Number),
    /// Between these bytes of the text.
    String {
        start: usize,
        end: usize,
    },
    /// Its items follow, up to the node at `end`.
    Array {
        end: usize,
    },
    /// Its members follow, up to the node at `end`.
    Object {
        end: usize,
    },
}
