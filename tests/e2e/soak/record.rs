//! What came of the requests.

use std::collections::BTreeMap;
use std::sync::Mutex;

/// How many wrong outcomes are told.
const TOLD: usize = 20;

/// What came of the requests, by their kind and status, and what was wrong.
#[derive(Default)]
pub(super) struct Record {
    counts: Mutex<BTreeMap<(&'static str, u16), u64>>,
    wrong: Mutex<Vec<String>>,
}

impl Record {
    /// Counts a response. It is wrong where its status is none of these.
    pub(super) fn expect(&self, kind: &'static str, status: u16, of: &[u16], about: &str) {
        *self
            .counts
            .lock()
            .unwrap()
            .entry((kind, status))
            .or_default() += 1;
        if !of.contains(&status) {
            self.wrong(kind, &format!("{status}: {about}"));
        }
    }

    /// Notes what must not be.
    pub(super) fn wrong(&self, kind: &str, what: &str) {
        self.wrong.lock().unwrap().push(format!("{kind}: {what}"));
    }

    pub(super) fn has_failed(&self) -> bool {
        self.wrong.lock().unwrap().len() > TOLD
    }

    pub(super) fn requests(&self) -> u64 {
        self.counts.lock().unwrap().values().sum()
    }

    pub(super) fn count(&self, kind: &str, status: u16) -> u64 {
        let counts = self.counts.lock().unwrap();
        let of = counts
            .iter()
            .filter(|((known, code), _)| *known == kind && *code == status);
        of.map(|(_, count)| count).sum()
    }

    pub(super) fn print(&self) {
        for ((kind, status), count) in self.counts.lock().unwrap().iter() {
            println!("figure: {kind}, {status}: {count}");
        }
    }

    /// Every kind has been there, and nothing was wrong.
    pub(super) fn assert_right(&self) {
        let wrong = self.wrong.lock().unwrap();
        let told = wrong.iter().take(TOLD).cloned().collect::<Vec<_>>();
        assert!(wrong.is_empty(), "{}", told.join("\n"));
        drop(wrong);
        for (kind, status) in [
            ("known", 200),
            ("new", 200),
            ("hostile", 401),
            ("unknown kid", 401),
            ("page", 200),
            ("signed in", 303),
            ("copy of an ended session", 303),
        ] {
            assert!(self.count(kind, status) > 0, "{kind}, {status}");
        }
    }
}

/// By how much the second number grows with the first, by least squares.
pub(super) fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let both = points.iter().map(|point| (point.0 - x) * (point.1 - y));
    let square = points.iter().map(|point| (point.0 - x).powi(2));
    let (both, square): (f64, f64) = (both.sum(), square.sum());
    if square > 0.0 { both / square } else { 0.0 }
}

#[test]
fn the_slope_of_a_line_is_its_own() {
    let line: Vec<(f64, f64)> = (0..9)
        .map(|x| (f64::from(x), 3.0 - 2.0 * f64::from(x)))
        .collect();
    assert!((slope(&line) + 2.0).abs() < 1e-9);
    assert!(slope(&[]).abs() < 1e-9);
}
