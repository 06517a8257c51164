//! What holds of an answer of the shared store.

use bearer_gate::fleet::command::{self, Answer, Command};
use bearer_gate::host::Reply;
use bearer_gate::jose::base64url;

/// The first octet chooses the command, the others are the body. What is read is written by Redis in this one way, and
/// nothing is read of a failure; a value of ours has one spelling.
pub(crate) fn store_answer(bytes: &[u8]) {
    let (chosen, body) = bytes.split_first().unwrap_or((&b'0', b""));
    let command = match chosen {
        b'1' => Command::Range("l", 0, 255),
        b'2' => Command::KeepLast("l", 9),
        b'3' => Command::Overwrite("l", 7, b"x"),
        b'4' => Command::PutNew("k", b"x", 60),
        b'5' => Command::Get("k"),
        _ => Command::Append("l", b"x"),
    };
    let reply = |status| Reply::Response {
        status,
        max_age: None,
        retry_after: None,
        location: None,
        content_type: None,
        body: body.to_vec(),
    };
    for status in [0, 201, 403, 503] {
        assert!(command.read(&reply(status)).is_err(), "{status}");
    }
    let reply = reply(200);
    let Ok(answer) = command.read(&reply) else {
        return;
    };
    let written = match &answer {
        Answer::Number(number) => format!(":{number}\r\n").into_bytes(),
        Answer::Values(values) => list(values),
        Answer::Done => b"+OK\r\n".to_vec(),
        Answer::Value(value) => text(value),
        Answer::NotNew | Answer::Nothing => b"$-1\r\n".to_vec(),
    };
    assert_eq!(written, body, "{command:?}: {answer:?}");
    if let Answer::Values(values) = answer {
        for text in values {
            let value = command::value(text);
            assert!(value.is_none_or(|value| base64url::encode(&value).as_bytes() == text));
        }
    }
}

/// A list as Redis writes it.
pub(crate) fn list(values: &[&[u8]]) -> Vec<u8> {
    let mut written = format!("*{}\r\n", values.len()).into_bytes();
    for value in values {
        written.extend(text(value));
    }
    written
}

/// A text as Redis writes it.
fn text(value: &[u8]) -> Vec<u8> {
    let length = format!("${}\r\n", value.len());
    [length.as_bytes(), value, b"\r\n"].concat()
}
