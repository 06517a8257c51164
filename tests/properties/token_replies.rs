//! Properties of the answers of a token endpoint.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{cases, check, json_value, names};

/// Values that a good answer has, and some that none has.
fn value() -> impl Strategy<Value = Value> {
    let text = names(&[
        "Bearer",
        "DPoP",
        "a.b.c",
        "300",
        "-1",
        "",
        "a b",
        "\u{202e}<b>",
        "invalid_grant",
    ]);
    let number = prop::sample::select(vec![json!(0), json!(300), json!(-1), json!(1e300)]);
    prop_oneof![text.prop_map(Value::from), number, json_value()]
}

fn name() -> impl Strategy<Value = String> {
    names(&[
        "access_token",
        "token_type",
        "expires_in",
        "refresh_token",
        "id_token",
        "error",
        "error_description",
    ])
}

proptest! {
    #![proptest_config(cases(2000))]

    /// A good answer with members changed, as text with an octet changed or cut off.
    #[test]
    fn an_answer_is_read_whole_or_not_at_all(
        status in prop::sample::select(b"0001234".to_vec()),
        changed in prop::collection::vec((name(), value()), 0..3),
        removed in prop::option::weighted(0.3, name()),
        octet in prop::option::weighted(0.3, any::<(prop::sample::Index, u8)>()),
        length in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let mut answer: Map<String, Value> = Map::new();
        for (name, value) in [
            ("access_token", json!("a.b.c")),
            ("token_type", json!("Bearer")),
            ("expires_in", json!(300)),
            ("refresh_token", json!("r-1")),
            ("id_token", json!("h.p.s")),
        ] {
            answer.insert(name.to_owned(), value);
        }
        answer.extend(changed);
        if let Some(removed) = removed {
            answer.remove(&removed);
        }
        let mut bytes = [&[status][..], Value::Object(answer).to_string().as_bytes()].concat();
        if let Some((at, octet)) = octet {
            let at = at.index(bytes.len());
            bytes[at] = octet;
        }
        if let Some(length) = length {
            bytes.truncate(length.index(bytes.len()));
        }
        check::token_reply(&bytes);
    }
}
