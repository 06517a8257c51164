//! Choices that a seed decides, the same on every machine.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub(crate) struct Dice(StdRng);

impl Dice {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    pub(crate) fn chance(&mut self, percent: u32) -> bool {
        self.0.random_range(0..100) < percent
    }

    pub(crate) fn between(&mut self, least: usize, most: usize) -> usize {
        self.0.random_range(least..=most)
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.0.random_range(0..items.len())]
    }

    /// One to three of these.
    pub(crate) fn some(&mut self, items: &[&str]) -> Vec<String> {
        let count = if self.chance(60) {
            1
        } else {
            self.between(1, 3)
        };
        (0..count).map(|_| (*self.pick(items)).to_owned()).collect()
    }
}
