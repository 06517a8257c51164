//! What the store is asked, and how its answers are read: commands of Redis, sent over HTTP to webdis.
//!
//! A command is the body of a POST, its words separated by slashes. `.raw` at its end asks for the answer
//! as Redis gives it (RESP2): webdis 0.1.9 leaves out of JSON whatever is not UTF-8, so that places in a
//! list could not be counted. It leaves lists in lists out of both, so the store has lists and no streams.
//!
//! Invariants: no word of a command needs an escape, for keys are made of plain characters, and values
//! are base64url; and an answer that is not what the command asks for is none, whatever else it is.

use crate::config::{FleetStore, HttpUri};
use crate::host::{Call, Method, Reply};
use crate::jose::base64url;

/// The longest answer that is read, in octets. A longer one is asked for in smaller parts.
pub const MOST_ANSWER: usize = 512 * 1024;

/// A command of the store. Every key is below the configuration's prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'c> {
    /// Puts a value at the end of a list (`RPUSH`). The answer is the list's length.
    Append(&'c str, &'c [u8]),
    /// The values of a list from the first place to the second, both included (`LRANGE`).
    Range(&'c str, u64, u64),
    /// Keeps only so many values at the end of a list (`LTRIM`).
    KeepLast(&'c str, u64),
    /// Puts a value in place of the one at this place of a list (`LSET`).
    Overwrite(&'c str, u64, &'c [u8]),
    /// Puts a value for so many seconds where there is none (`SET` with `NX` and `EX`).
    PutNew(&'c str, &'c [u8], u64),
    /// Puts a value for so many seconds (`SET` with `EX`).
    Put(&'c str, &'c [u8], u64),
    /// The value of a key (`GET`).
    Get(&'c str),
    /// Takes a key away (`DEL`). The answer is how many there were.
    Delete(&'c str),
    /// Takes a key away after so many seconds (`EXPIRE`). The answer is how many there are.
    Expire(&'c str, u64),
}

/// What the store answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<'r> {
    /// A number.
    Number(u64),
    /// The values of a list, as they are. [`value`] reads one.
    Values(Vec<&'r [u8]>),
    /// It is done.
    Done,
    /// Nothing was done, for there is a value.
    NotNew,
    /// The value of a key, as it is. [`value`] reads it.
    Value(&'r [u8]),
    /// There is no such key.
    Nothing,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// The answer is longer than [`MOST_ANSWER`].
    TooLong,
    /// The store cannot be asked, or refuses the command.
    Failed,
}

impl Command<'_> {
    /// The call that asks it.
    #[must_use]
    #[inline(never)] // for many callers
    pub fn call(&self, store: &FleetStore) -> Call {
        let HttpUri {
            cluster, timeout, ..
        } = &store.uri;
        let decimal = |number: u64| number.to_string();
        let encode = |value: &[u8]| base64url::encode(value);
        let none = String::new;
        let (name, key, more) = match *self {
            Self::Append(key, value) => ("RPUSH", key, [encode(value), none()]),
            Self::Range(key, from, to) => ("LRANGE", key, [decimal(from), decimal(to)]),
            Self::KeepLast(key, most) => ("LTRIM", key, [format!("-{most}"), "-1".to_owned()]),
            Self::Overwrite(key, at, value) => ("LSET", key, [decimal(at), encode(value)]),
            Self::PutNew(key, value, seconds) => {
                ("SET", key, [encode(value), format!("NX/EX/{seconds}")])
            }
            Self::Put(key, value, seconds) => {
                ("SET", key, [encode(value), format!("EX/{seconds}")])
            }
            Self::Get(key) => ("GET", key, [none(), none()]),
            Self::Delete(key) => ("DEL", key, [none(), none()]),
            Self::Expire(key, seconds) => ("EXPIRE", key, [decimal(seconds), none()]),
        };
        let mut body = format!("{name}/{}:{key}", store.key_prefix);
        for word in more.iter().filter(|word| !word.is_empty()) {
            body.push('/');
            body.push_str(word);
        }
        body.push_str(".raw");
        Call {
            method: Method::Post,
            headers: vec![("content-type", "text/plain".to_owned())],
            body: body.into_bytes(),
            ..Call::get(store.uri.address(""), cluster, *timeout, MOST_ANSWER)
        }
    }

    /// Reads the answer to this command.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub fn read<'r>(&self, reply: &'r Reply) -> Result<Answer<'r>, NoAnswer> {
        let body = match reply {
            Reply::TooLarge(_) => return Err(NoAnswer::TooLong),
            Reply::Response {
                status: 200, body, ..
            } => body,
            _ => return Err(NoAnswer::Failed),
        };
        self.answer(body).ok_or(NoAnswer::Failed)
    }

    /// Reads the body of a response whose status is 200; `None` where it is no answer to this command.
    #[must_use]
    #[inline(never)] // for many callers
    pub fn answer<'r>(&self, body: &'r [u8]) -> Option<Answer<'r>> {
        const NOTHING: &[u8] = b"$-1\r\n";
        match self {
            Self::Append(..) | Self::Delete(_) | Self::Expire(..) => match number(body, b':')? {
                (number, []) => Some(Answer::Number(number)),
                _ => None,
            },
            Self::Range(..) => values(body).map(Answer::Values),
            Self::Get(_) if body == NOTHING => Some(Answer::Nothing),
            Self::Get(_) => match text(body)? {
                (value, []) => Some(Answer::Value(value)),
                _ => None,
            },
            Self::PutNew(..) if body == NOTHING => Some(Answer::NotNew),
            Self::KeepLast(..) | Self::Overwrite(..) | Self::PutNew(..) | Self::Put(..) => {
                (body == b"+OK\r\n").then_some(Answer::Done)
            }
        }
    }
}

/// The octets of a value; `None` where it is not one of ours.
#[must_use]
pub fn value(text: &[u8]) -> Option<Vec<u8>> {
    base64url::decode(text)
}

/// A number on a line of its own, in its shortest form, after the octet that says of what it is; and the rest.
fn number(answer: &[u8], of: u8) -> Option<(u64, &[u8])> {
    let (first, rest) = answer.split_first()?;
    let end = rest.iter().position(|octet| *octet == b'\r')?;
    let (line, rest) = rest.split_at_checked(end)?;
    let rest = rest.strip_prefix(b"\r\n")?;
    let number: u64 = str::from_utf8(line).ok()?.parse().ok()?;
    let is_shortest = number.to_string().as_bytes() == line;
    (*first == of && is_shortest).then_some((number, rest))
}

/// A text with its length before it, and the rest.
fn text(answer: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, from) = number(answer, b'$')?;
    let (value, rest) = from.split_at_checked(usize::try_from(length).ok()?)?;
    Some((value, rest.strip_prefix(b"\r\n")?))
}

fn values(answer: &[u8]) -> Option<Vec<&[u8]>> {
    let (count, mut rest) = number(answer, b'*')?;
    let mut values = Vec::new();
    // Each takes octets of the answer, so there are no more than it has.
    for _ in 0..count {
        let (value, from) = text(rest)?;
        rest = from;
        values.push(value);
    }
    rest.is_empty().then_some(values)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::uri::Scheme;

    fn store() -> FleetStore {
        FleetStore {
            uri: HttpUri {
                scheme: Scheme::Http,
                authority: "redis.internal:7379".to_owned(),
                path: "/".to_owned(),
                cluster: "redis".to_owned(),
                timeout: Duration::from_secs(1),
            },
            key_prefix: "bg".to_owned(),
            interval: Duration::from_secs(1),
            max_stale: Duration::from_secs(9),
            allow_stale: false,
        }
    }

    #[test]
    fn commands_are_bodies_without_escapes() {
        for (command, body) in [
            (Command::Append("l", &[0xff, 0xfe]), "RPUSH/bg:l/__4.raw"),
            (Command::Range("l", 0, 200), "LRANGE/bg:l/0/200.raw"),
            (Command::KeepLast("l", 9), "LTRIM/bg:l/-9/-1.raw"),
            (Command::Overwrite("l", 7, b"x"), "LSET/bg:l/7/eA.raw"),
            (Command::PutNew("k", b"1", 60), "SET/bg:k/MQ/NX/EX/60.raw"),
            (Command::Put("k", b"1", 60), "SET/bg:k/MQ/EX/60.raw"),
            (Command::Get("k"), "GET/bg:k.raw"),
            (Command::Delete("k"), "DEL/bg:k.raw"),
            (Command::Expire("k", 60), "EXPIRE/bg:k/60.raw"),
        ] {
            let call = command.call(&store());
            assert_eq!(str::from_utf8(&call.body), Ok(body));
            assert_eq!(format!("{call:?}"), "POST http://redis.internal:7379/");
            assert_eq!((call.cluster.as_str(), call.most), ("redis", MOST_ANSWER));
        }
    }

    /// As webdis 0.1.9 sends them.
    #[test]
    fn answers_are_read_or_are_none() {
        let (append, range) = (Command::Append("l", b"x"), Command::Range("l", 0, 9));
        let (keep, put) = (Command::KeepLast("l", 9), Command::PutNew("k", b"1", 6));
        let overwrite = Command::Overwrite("l", 1, b"x");
        let (get, set) = (Command::Get("k"), Command::Put("k", b"1", 6));
        let (delete, expire) = (Command::Delete("k"), Command::Expire("k", 6));
        let failed = || Err(NoAnswer::Failed);
        let values = |values: &[&'static [u8]]| Ok(Answer::Values(values.to_vec()));
        let wrong = b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
        let table: [(&Command<'_>, &[u8], Result<Answer<'_>, NoAnswer>); 40] = [
            (&append, b":3\r\n", Ok(Answer::Number(3))),
            (&append, b":-3\r\n", failed()),
            (&append, b":3", failed()),
            (&append, b":3\r\n:4\r\n", failed()),
            (&append, b":+3\r\n", failed()),
            (&append, b":03\r\n", failed()),
            (&append, b"-OOM\r\n", failed()),
            (&append, b"+OK\r\n", failed()),
            (&range, b"*0\r\n", values(&[])),
            (&range, b"*2\r\n$1\r\na\r\n$0\r\n\r\n", values(&[b"a", b""])),
            (
                &range,
                b"*1\r\n$4\r\n\xff\0\r\n\r\n",
                values(&[b"\xff\0\r\n"]),
            ),
            (&range, b"*1\r\n$-1\r\n", failed()),
            (&range, b"*1\r\n$1\r\nab\r\n", failed()),
            (&range, b"*1\r\n$9\r\na\r\n", failed()),
            (&range, b"*1\r\n$1\r\na\r\n$1\r\na\r\n", failed()),
            (&range, b"*2\r\n$1\r\na\r\n", failed()),
            (&range, b"*18446744073709551615\r\n", failed()),
            (&range, b"*-1\r\n", failed()),
            (&range, wrong, failed()),
            (&range, b"", failed()),
            (&keep, b"+OK\r\n", Ok(Answer::Done)),
            (&keep, wrong, failed()),
            (&overwrite, b"+OK\r\n", Ok(Answer::Done)),
            (&overwrite, b"-ERR index out of range\r\n", failed()),
            (&put, b"+OK\r\n", Ok(Answer::Done)),
            (&put, b"$-1\r\n", Ok(Answer::NotNew)),
            (&put, b"<html>", failed()),
            (&set, b"+OK\r\n", Ok(Answer::Done)),
            (&set, b"$-1\r\n", failed()),
            (&set, b"-OOM\r\n", failed()),
            (&get, b"$2\r\nab\r\n", Ok(Answer::Value(b"ab"))),
            (&get, b"$0\r\n\r\n", Ok(Answer::Value(b""))),
            (&get, b"$-1\r\n", Ok(Answer::Nothing)),
            (&get, b"$2\r\nab\r\n$", failed()),
            (&get, b"$3\r\nab\r\n", failed()),
            (&get, b"+OK\r\n", failed()),
            (&get, wrong, failed()),
            (&delete, b":0\r\n", Ok(Answer::Number(0))),
            (&delete, wrong, failed()),
            (&expire, b":1\r\n", Ok(Answer::Number(1))),
        ];
        for (command, body, expected) in table {
            let shown = String::from_utf8_lossy(body);
            assert_eq!(
                command.read(&Reply::of_test(200, body)),
                expected,
                "{shown}"
            );
            // A dead Redis is 503, a command that webdis does not allow 403.
            for status in [0, 403, 404, 503] {
                assert_eq!(
                    command.read(&Reply::of_test(status, body)),
                    failed(),
                    "{status}"
                );
            }
        }
        assert_eq!(append.read(&Reply::None), failed());
        assert_eq!(append.read(&Reply::NotSent), failed());
        let long = Reply::TooLarge(MOST_ANSWER + 1);
        assert_eq!(range.read(&long), Err(NoAnswer::TooLong));
    }
}
