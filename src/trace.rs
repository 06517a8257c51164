//! Events that a decision reports while it is made.
//!
//! Invariant: no event changes a decision. The module has no listener: an event is a closure that
//! is never called there, and the compiler removes it.
//!
//! What listens is generic, and compiled where it is used. A function that nothing else calls says
//! `#[inline]`, so that the compiler sees that there is one call, as it does where nothing is
//! generic: without it the module is 700 bytes larger.

/// A listener to a decision. `()` hears nothing.
pub trait Listen {
    /// Whether events are wanted.
    const LISTENS: bool;
}

/// A listener that takes note of events of one kind.
pub trait Trace<E>: Listen {
    /// Takes note of an event, which is made only for a listener.
    fn note(&self, event: impl FnOnce() -> E);
}

impl Listen for () {
    const LISTENS: bool = false;
}

impl<E> Trace<E> for () {
    #[inline(always)]
    fn note(&self, _: impl FnOnce() -> E) {}
}

/// Checks that must all hold. The first that fails is the outcome; the checks after it are made
/// only for a listener.
pub struct Checks<'t, T, X> {
    trace: &'t T,
    failed: Option<X>,
}

impl<'t, T: Listen, X> Checks<'t, T, X> {
    /// No checks as yet.
    #[inline(always)]
    pub fn new(trace: &'t T) -> Self {
        Checks {
            trace,
            failed: None,
        }
    }

    /// One more check, which fails for this reason if it does not hold.
    ///
    /// # Errors
    /// The reason, where no listener wants the other checks.
    #[inline(always)]
    pub fn that<E>(&mut self, holds: bool, reason: X, event: impl FnOnce() -> E) -> Result<(), X>
    where
        T: Trace<E>,
    {
        self.trace.note(event);
        if holds { Ok(()) } else { self.fails(reason) }
    }

    /// A check does not hold.
    ///
    /// # Errors
    /// As [`Checks::that`].
    #[inline(always)]
    pub fn fails(&mut self, reason: X) -> Result<(), X> {
        if !T::LISTENS {
            return Err(reason);
        }
        self.failed.get_or_insert(reason);
        Ok(())
    }

    /// The outcome of all of them.
    ///
    /// # Errors
    /// The reason of the first that does not hold.
    #[inline(always)]
    pub fn outcome(self) -> Result<(), X> {
        self.failed.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    struct All(RefCell<Vec<u8>>);

    impl Listen for All {
        const LISTENS: bool = true;
    }

    impl Trace<u8> for All {
        fn note(&self, event: impl FnOnce() -> u8) {
            self.0.borrow_mut().push(event());
        }
    }

    /// Four checks, of which the second and the third fail.
    fn four<T: Trace<u8>>(trace: &T) -> Result<(), u8> {
        let mut checks = Checks::new(trace);
        for (number, holds) in [(1, true), (2, false), (3, false), (4, true)] {
            checks.that(holds, number, || number)?;
        }
        checks.outcome()
    }

    #[test]
    fn who_listens_hears_of_all_and_changes_nothing() {
        let all = All(RefCell::default());
        assert_eq!(four(&all), Err(2));
        assert_eq!(four(&()), Err(2));
        assert_eq!(all.0.into_inner(), [1, 2, 3, 4]);
        assert_eq!(Checks::<'_, (), u8>::new(&()).outcome(), Ok(()));
    }
}
