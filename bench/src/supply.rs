//! What the requests of a case bring, one after another.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use anyhow::{Result, bail};
use hyper::header::{HeaderName, HeaderValue};

/// What one request brings of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ask {
    /// Where it asks for another path than its case does.
    pub path: Option<String>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Ask {
    /// A request with this header.
    ///
    /// # Errors
    /// When no header can have this value.
    pub(crate) fn with(name: HeaderName, value: &str) -> Result<Self> {
        Self::default().and(name, value)
    }

    /// The same with one more header.
    ///
    /// # Errors
    /// When no header can have this value.
    pub(crate) fn and(mut self, name: HeaderName, value: &str) -> Result<Self> {
        self.headers.push((name, HeaderValue::try_from(value)?));
        Ok(self)
    }

    /// The same for another path.
    pub(crate) fn at(self, path: String) -> Self {
        Self {
            path: Some(path),
            ..self
        }
    }
}

type Make = Box<dyn Fn(usize) -> Result<Vec<Ask>>>;

/// The requests of a case, one after another.
pub(crate) struct Supply {
    asks: RefCell<Rc<[Ask]>>,
    next: Cell<usize>,
    kind: Kind,
}

enum Kind {
    /// Round and round.
    InTurn,
    /// Each once, then there are no more.
    Once,
    /// Each once, made for each round, since they do not keep.
    Fresh(Make),
}

impl fmt::Debug for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Supply of {}", self.asks.borrow().len())
    }
}

impl Supply {
    /// These in turn, without end; requests that bring nothing if there are none.
    pub(crate) fn in_turn(asks: Rc<[Ask]>) -> Self {
        Self::new(asks, Kind::InTurn)
    }

    /// Each of these once.
    pub(crate) fn once(asks: Rc<[Ask]>) -> Self {
        Self::new(asks, Kind::Once)
    }

    /// Each once, of those that [`Supply::prepare`] makes.
    pub(crate) fn fresh(make: impl Fn(usize) -> Result<Vec<Ask>> + 'static) -> Self {
        Self::new(Rc::from([]), Kind::Fresh(Box::new(make)))
    }

    /// Requests that bring nothing.
    pub(crate) fn none() -> Self {
        Self::in_turn(Rc::from([]))
    }

    fn new(asks: Rc<[Ask]>, kind: Kind) -> Self {
        Self {
            asks: RefCell::new(asks),
            next: Cell::new(0),
            kind,
        }
    }

    /// Makes so many requests, where they are made for each round.
    ///
    /// # Errors
    /// When one cannot be made.
    pub(crate) fn prepare(&self, count: usize) -> Result<()> {
        if let Kind::Fresh(make) = &self.kind {
            self.asks.replace(Rc::from(make(count)?));
            self.next.set(0);
        }
        Ok(())
    }

    /// What the next request brings.
    ///
    /// # Errors
    /// When those that may be sent once are used up.
    pub(crate) fn next(&self) -> Result<Ask> {
        let index = self.next.get();
        self.next.set(index.wrapping_add(1));
        let asks = self.asks.borrow();
        match (&self.kind, asks.len()) {
            (Kind::InTurn, 0) => Ok(Ask::default()),
            (Kind::InTurn, length) => Ok(asks.get(index % length).cloned().unwrap_or_default()),
            (Kind::Once | Kind::Fresh(_), length) => match asks.get(index) {
                Some(ask) => Ok(ask.clone()),
                None => bail!("{length} new requests were not enough"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[&str]) -> Vec<Ask> {
        let named = |name: &&str| Ask::default().at((*name).to_owned());
        names.iter().map(named).collect()
    }

    fn taken(supply: &Supply, count: usize) -> Vec<String> {
        let path = |_| supply.next().unwrap().path.unwrap();
        (0..count).map(path).collect()
    }

    #[test]
    fn a_supply_ends_only_where_requests_may_be_sent_once() {
        let asks: Rc<[Ask]> = Rc::from(named(&["a", "b"]));
        assert_eq!(
            taken(&Supply::in_turn(Rc::clone(&asks)), 3),
            ["a", "b", "a"]
        );
        let once = Supply::once(asks);
        assert_eq!(taken(&once, 2), ["a", "b"]);
        assert!(once.next().is_err());
        assert!(Supply::none().next().unwrap().headers.is_empty());
    }

    #[test]
    fn what_does_not_keep_is_made_for_each_round() {
        let fresh = Supply::fresh(|count| Ok(named(&["a", "b", "c"][..count])));
        assert!(fresh.next().is_err());
        for count in [2, 3] {
            fresh.prepare(count).unwrap();
            assert_eq!(taken(&fresh, count), ["a", "b", "c"][..count]);
            assert!(fresh.next().is_err());
        }
    }
}
