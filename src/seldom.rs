//! Texts for the log that are said again and again.
//!
//! Invariant: whoever makes the filter say something, as often as they like, makes each place of the
//! program write at most [`MOST`] lines in each [`AGAIN_AFTER`], and remember as many. What one place
//! says, however often and however different, hides nothing that another says.

use std::borrow::Cow;
use std::time::Duration;

use crate::time::Millis;

/// The same text is written again after this time.
pub const AGAIN_AFTER: Duration = Duration::from_secs(60);
/// The most texts that one place writes in that time.
pub const MOST: usize = 32;

/// A place of the program that says something: a module, and a line in its file. There are as many
/// as the program has, whatever comes from outside.
pub type Place = (Option<&'static str>, Option<u32>);

/// What was written lately.
#[derive(Debug, Default)]
pub struct Seldom(Vec<(Place, Lately)>);

/// What one place has written lately.
#[derive(Debug, Default)]
struct Lately {
    said: Vec<Said>,
    /// How many other texts were left out.
    others: u64,
}

#[derive(Debug)]
struct Said {
    text: String,
    at: Millis,
    /// How often it was left out since.
    more: u64,
}

impl Said {
    /// A clock that was set back makes nothing wait.
    fn is_recent(&self, now: Millis) -> bool {
        now >= self.at && now.since(self.at) < AGAIN_AFTER
    }
}

impl Seldom {
    /// Nothing was written.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// What is written where this text is said in a place at `now`; `None` where the place wrote it a
    /// short while ago, or wrote too much. A line says how many were left out before.
    pub fn say<'t>(&mut self, place: Place, text: &'t str, now: Millis) -> Option<Cow<'t, str>> {
        if let Some((_, lately)) = self.0.iter_mut().find(|(of, _)| *of == place) {
            return lately.say(text, now);
        }
        let mut lately = Lately::default();
        let written = lately.say(text, now);
        self.0.push((place, lately));
        written
    }

    /// Forgets what was written.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Lately {
    fn say<'t>(&mut self, text: &'t str, now: Millis) -> Option<Cow<'t, str>> {
        let known = self.said.iter().position(|said| said.text == text);
        let at = match known {
            Some(at) => Some(at),
            None if self.said.len() < MOST => None,
            None => match self.said.iter().position(|said| !said.is_recent(now)) {
                Some(at) => Some(at),
                None => {
                    self.others = self.others.saturating_add(1);
                    return None;
                }
            },
        };
        let written = Said {
            text: text.to_owned(),
            at: now,
            more: 0,
        };
        let before = match at.and_then(|at| self.said.get_mut(at)) {
            Some(said) if known.is_some() && said.is_recent(now) => {
                said.more = said.more.saturating_add(1);
                return None;
            }
            Some(said) => std::mem::replace(said, written),
            None => {
                self.said.push(written);
                return Some(Cow::Borrowed(text));
            }
        };
        if known.is_none() {
            self.others = self.others.saturating_add(before.more);
            let others = std::mem::take(&mut self.others);
            return Some(with_count(text, others, "lines of other texts"));
        }
        Some(with_count(text, before.more, "such lines"))
    }
}

fn with_count<'t>(text: &'t str, count: u64, of: &str) -> Cow<'t, str> {
    match count {
        0 => Cow::Borrowed(text),
        count => format!("{text} (before, {count} {of} were left out)").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = (Some("here"), Some(1));
    const START: Millis = Millis(1_000_000);

    fn after(seconds: u64) -> Millis {
        START.after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_text_is_written_once_in_a_while() {
        let mut seldom = Seldom::new();
        for (seconds, text, expected) in [
            (0, "a", Some("a")),
            (0, "a", None),
            (1, "b", Some("b")),
            (59, "a", None),
            (59, "b", None),
            (60, "a", Some("a (before, 2 such lines were left out)")),
            (60, "a", None),
            (61, "b", Some("b (before, 1 such lines were left out)")),
            (200, "b", Some("b")),
            // The clock was set back.
            (10, "b", Some("b")),
            (10, "b", None),
        ] {
            let written = seldom.say(PLACE, text, after(seconds));
            assert_eq!(written.as_deref(), expected, "{text} after {seconds}");
        }
        seldom.clear();
        assert_eq!(seldom.say(PLACE, "a", after(10)).as_deref(), Some("a"));
    }

    #[test]
    fn how_much_is_written_and_remembered_is_bounded() {
        let mut seldom = Seldom::new();
        let mut write = |number: usize, seconds| {
            let text = format!("text {number}");
            seldom
                .say(PLACE, &text, after(seconds))
                .map(Cow::into_owned)
        };
        let written = (0..10_000).filter(|number| write(*number, 0).is_some());
        assert_eq!(written.count(), MOST);
        assert_eq!(write(0, 1), None);
        let first = write(MOST, 60).unwrap();
        assert!(first.ends_with("other texts were left out)"), "{first}");
        let count = 10_000 - MOST + 1;
        assert!(first.contains(&count.to_string()), "{first}");
        let written = (0..10_000).filter(|number| write(*number, 60).is_some());
        assert_eq!(written.count(), MOST - 1);
        let [(_, lately)] = &*seldom.0 else {
            panic!("one place")
        };
        assert_eq!(lately.said.len(), MOST);
    }

    /// Whoever sends a different text with each request hides no fault from the operator.
    #[test]
    fn what_one_place_says_hides_nothing_of_another() {
        let mut seldom = Seldom::new();
        for number in 0..10_000 {
            seldom.say(PLACE, &format!("text {number}"), START);
        }
        for other in [(Some("here"), Some(2)), (Some("there"), Some(1))] {
            let written = seldom.say(other, "text 9999", START);
            assert_eq!(written.as_deref(), Some("text 9999"), "{other:?}");
        }
    }
}
