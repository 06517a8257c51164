//! The store in miniature: the commands that are asked of it, and no others.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use bearer_gate::host::{Call, Reply};

use crate::sim::response;

/// How the store is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Well,
    /// webdis answers that Redis is away.
    Down,
    /// Nobody answers.
    Silent,
    /// Each answer takes so many steps.
    Slow(u32),
    /// It takes what it is told, and has forgotten it before anybody reads it.
    Forgetful,
}

#[derive(Default)]
pub(crate) struct Redis {
    pub(crate) list: RefCell<Vec<Vec<u8>>>,
    /// The sessions: by the names of their keys, each with the time of its end, in milliseconds.
    pub(crate) sessions: RefCell<BTreeMap<String, (String, u64)>>,
    pub(crate) mode: Cell<Mode>,
    pub(crate) now: Cell<u64>,
    /// When it forgets who was chosen, in milliseconds.
    pub(crate) restoring_until: Cell<u64>,
    waited: Cell<u32>,
    /// How often it was asked.
    pub(crate) calls: Cell<u32>,
}

impl Redis {
    pub(crate) fn flush(&self) {
        self.list.borrow_mut().clear();
        self.sessions.borrow_mut().clear();
        self.restoring_until.set(0);
    }

    /// Loses the sessions, or has each under the name of another one.
    pub(crate) fn lose_sessions(&self, are_mixed: bool) {
        let mut sessions = self.sessions.borrow_mut();
        if !are_mixed || sessions.len() < 2 {
            sessions.clear();
            return;
        }
        let mut entries: Vec<_> = sessions.values().cloned().collect();
        entries.rotate_left(1);
        for (known, entry) in sessions.values_mut().zip(entries) {
            *known = entry;
        }
    }

    pub(crate) fn answer(&self, call: &Call) -> Option<Reply> {
        match self.mode.get() {
            Mode::Down => return Some(response(503, "")),
            Mode::Silent => return None,
            Mode::Slow(steps) if self.waited.get() < steps => {
                self.waited.set(self.waited.get() + 1);
                return None;
            }
            Mode::Well | Mode::Slow(_) | Mode::Forgetful => self.waited.set(0),
        }
        self.calls.set(self.calls.get() + 1);
        let body = str::from_utf8(&call.body).unwrap();
        let body = body.strip_suffix(".raw").unwrap();
        let words: Vec<&str> = body.split('/').collect();
        let answer = self.run(&words);
        Some(if answer.len() > call.most {
            Reply::TooLarge(answer.len())
        } else {
            response(200, answer)
        })
    }

    fn run(&self, words: &[&str]) -> Vec<u8> {
        let mut list = self.list.borrow_mut();
        let number = |text: &str| -> usize { text.parse().unwrap() };
        let answer = match *words {
            ["RPUSH", "bearer-gate:ended", value] => {
                let length = list.len() + 1;
                if self.mode.get() != Mode::Forgetful {
                    list.push(value.as_bytes().to_vec());
                }
                format!(":{length}\r\n")
            }
            ["LRANGE", "bearer-gate:ended", from, to] => {
                let to = (number(to) + 1).min(list.len());
                let values = list.get(number(from)..to).unwrap_or_default();
                let mut answer = format!("*{}\r\n", values.len()).into_bytes();
                for value in values {
                    answer.extend(format!("${}\r\n", value.len()).bytes());
                    answer.extend([value, &b"\r\n"[..]].concat());
                }
                return answer;
            }
            ["LTRIM", "bearer-gate:ended", from, "-1"] => {
                let keep = number(from.strip_prefix('-').unwrap());
                let gone = list.len().saturating_sub(keep);
                list.drain(..gone);
                "+OK\r\n".to_owned()
            }
            ["LSET", "bearer-gate:ended", at, value] => match list.get_mut(number(at)) {
                Some(known) => {
                    *known = value.as_bytes().to_vec();
                    "+OK\r\n".to_owned()
                }
                None => "-ERR index out of range\r\n".to_owned(),
            },
            ["SET", "bearer-gate:restoring", _, "NX", "EX", seconds] => {
                if self.now.get() < self.restoring_until.get() {
                    "$-1\r\n".to_owned()
                } else {
                    let until = self.now.get() + number(seconds) as u64 * 1000;
                    self.restoring_until.set(until);
                    "+OK\r\n".to_owned()
                }
            }
            ["DEL", "bearer-gate:restoring"] => {
                let known = self.restoring_until.replace(0);
                format!(":{}\r\n", u8::from(self.now.get() < known))
            }
            [command, key, ref more @ ..] if key.starts_with("bearer-gate:session:") => {
                self.run_for_session(command, key, more)
            }
            _ => panic!("{words:?}"),
        };
        answer.into_bytes()
    }

    fn run_for_session(&self, command: &str, key: &str, more: &[&str]) -> String {
        let (mut sessions, now) = (self.sessions.borrow_mut(), self.now.get());
        sessions.retain(|_, (_, until)| now < *until);
        let after = |seconds: &str| now + seconds.parse::<u64>().unwrap() * 1000;
        match (command, more) {
            ("SET", [value, "EX", seconds]) => {
                let entry = ((*value).to_owned(), after(seconds));
                sessions.insert(key.to_owned(), entry);
                "+OK\r\n".to_owned()
            }
            ("GET", []) => match sessions.get(key) {
                Some((value, _)) => format!("${}\r\n{value}\r\n", value.len()),
                None => "$-1\r\n".to_owned(),
            },
            ("DEL", []) => format!(":{}\r\n", u8::from(sessions.remove(key).is_some())),
            ("EXPIRE", [seconds]) => match sessions.get_mut(key) {
                Some((_, until)) => {
                    *until = after(seconds);
                    ":1\r\n".to_owned()
                }
                None => ":0\r\n".to_owned(),
            },
            _ => panic!("{command} {more:?}"),
        }
    }
}
