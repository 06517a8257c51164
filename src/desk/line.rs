//! The requests that wait for a fact, in order; bounded in number, in memory and in time.
//!
//! Invariant: every request that enters leaves exactly once. It is taken because its fact is
//! settled or its time is up, or it is removed because its client left.

use std::rc::Rc;
use std::time::Duration;

use super::book::Number;
use super::question::Subject;
use crate::config::ProviderId;
use crate::document::lifecycle::Seen;
use crate::time::Millis;

/// The most memory that the requests of a line take, in bytes. A VM has 1 GiB in all.
pub const MOST_BYTES: usize = 16 << 20;

/// The most requests that leave the line in one call of the host.
///
/// The host acts on a call's wishes when the call is over, with another call for each. When 300
/// requests were answered at once, the calls for their responses were nested in each other and took
/// more stack than a VM has.
pub const MOST_AT_ONCE: usize = 32;

/// The most requests of a line that wait for their own bodies; in a line with fewer than twice as
/// many places, half of them. Strangers who never send theirs take no more places than that from
/// requests that wait for a provider, and half as many while they are sent away.
pub const MOST_BODIES: usize = 64;

/// The longest time that a request waits, whatever it waits for.
pub const MOST_WAIT: Duration = Duration::from_secs(60);

/// A body is waited for so long at most: who sends one has it at hand.
pub const BODY_WAIT: Duration = Duration::from_secs(5);

/// Names a waiting request. Tickets are given out in the order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What a request waits for.
#[derive(Debug)]
pub enum Awaited {
    /// This provider's keys, which were last seen so.
    Keys(ProviderId, Seen),
    /// The answer to a question.
    Answer(Rc<Subject>, Number),
    /// The request's own body.
    Body,
    /// What has ended in other Envoys.
    SignOuts,
}

/// A request that waits.
#[derive(Debug)]
pub struct Waiter<R> {
    /// What it waits for.
    pub awaited: Awaited,
    /// What it saw of the keys that it waited for last, when it began to wait for them.
    pub came: Option<(ProviderId, Seen)>,
    /// When it began to wait.
    pub entered: Millis,
    /// When it is decided with the facts that are there.
    pub deadline: Millis,
    /// How much memory the request takes.
    pub bytes: usize,
    /// The request itself.
    pub request: R,
}

/// The line of one worker.
#[derive(Debug)]
pub struct Line<R> {
    /// In the order of the tickets.
    line: Vec<(Ticket, Waiter<R>)>,
    next: u64,
    most: usize,
    /// The memory of all that are in the line.
    bytes: usize,
}

impl<R> Line<R> {
    /// A line that holds at most `most` requests.
    pub fn new(most: usize) -> Self {
        Self {
            line: Vec::new(),
            next: 0,
            most,
            bytes: 0,
        }
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.line.len()
    }

    /// Whether no request waits.
    pub fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    /// Whether a request waits for the answer to this question.
    pub fn awaits(&self, number: Number) -> bool {
        let mut waiters = self.line.iter().map(|(_, waiter)| &waiter.awaited);
        waiters.any(|awaited| matches!(awaited, Awaited::Answer(_, awaited) if *awaited == number))
    }

    /// Whether there is no room for one more request of so many bytes.
    pub fn is_full(&self, bytes: usize) -> bool {
        self.line.len() >= self.most || self.bytes.saturating_add(bytes) > MOST_BYTES
    }

    /// Makes room for one more request that waits for its own body. False where there is none.
    ///
    /// Where all places are taken, the time is up of the one that has waited for the longest. Whoever
    /// sends a body has it at hand, so strangers who hold theirs back do not keep out what a provider
    /// has to tell. Half as many as there are places can be on their way out.
    fn makes_room_for_a_body(&mut self, now: Millis) -> bool {
        let most = MOST_BODIES.min(self.most.div_ceil(2));
        let (mut all, mut awaited, mut oldest) = (0_usize, 0_usize, None);
        for (_, waiter) in &mut self.line {
            if !matches!(waiter.awaited, Awaited::Body) {
                continue;
            }
            all = all.saturating_add(1);
            if waiter.deadline > now {
                awaited = awaited.saturating_add(1);
                oldest.get_or_insert(&mut waiter.deadline);
            }
        }
        if all >= most.saturating_add(most.div_ceil(2)) {
            return false;
        }
        if let Some(deadline) = oldest.filter(|_| awaited >= most) {
            *deadline = now;
        }
        true
    }

    /// Lets a request in; `Err` with it if the line is full.
    pub fn enter(&mut self, waiter: Waiter<R>) -> Result<Ticket, Waiter<R>> {
        let is_body = matches!(waiter.awaited, Awaited::Body);
        if self.is_full(waiter.bytes) || is_body && !self.makes_room_for_a_body(waiter.entered) {
            return Err(waiter);
        }
        let ticket = Ticket(self.next);
        self.next = self.next.wrapping_add(1);
        self.bytes = self.bytes.saturating_add(waiter.bytes);
        self.line.push((ticket, waiter));
        Ok(ticket)
    }

    /// Removes a request whose client left. False if it had left the line already.
    pub fn leave(&mut self, ticket: Ticket) -> bool {
        self.take(ticket).is_some()
    }

    /// Takes a request out before its time.
    pub fn take(&mut self, ticket: Ticket) -> Option<Waiter<R>> {
        let place = self
            .line
            .binary_search_by_key(&ticket, |(ticket, _)| *ticket);
        let (_, waiter) = self.line.remove(place.ok()?);
        self.bytes = self.bytes.saturating_sub(waiter.bytes);
        Some(waiter)
    }

    /// Puts a request back into its old place.
    pub fn put_back(&mut self, ticket: Ticket, waiter: Waiter<R>) {
        self.bytes = self.bytes.saturating_add(waiter.bytes);
        let at = self.line.partition_point(|(other, _)| *other < ticket);
        self.line.insert(at, (ticket, waiter));
    }

    /// Takes requests out, in order, that are `settled` or whose deadline has passed. It takes
    /// [`MOST_AT_ONCE`] at most, and leaves the others for the next time.
    pub fn take_settled(
        &mut self,
        now: Millis,
        settled: impl Fn(&Awaited) -> bool,
    ) -> Vec<(Ticket, Waiter<R>)> {
        let is_due = |(_, waiter): &mut (Ticket, Waiter<R>)| {
            now >= waiter.deadline || settled(&waiter.awaited)
        };
        let due = self.line.extract_if(.., is_due);
        let taken: Vec<_> = due.take(MOST_AT_ONCE).collect();
        let bytes = taken.iter().map(|(_, waiter)| waiter.bytes).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
        taken
    }
}

/// The longest time that a request waits: enough for a fetch to fail at one worker and to succeed
/// at the next, but at most [`MOST_WAIT`]. `fetch`: how long one fetch takes at most.
pub fn longest_wait(fetch: Duration) -> Duration {
    fetch
        .saturating_mul(2)
        .saturating_add(Duration::from_secs(1))
        .min(MOST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PerProvider;

    const SEEN: Seen = Seen {
        generation: 0,
        rounds: 0,
        begun: 0,
    };

    fn id(at: usize) -> ProviderId {
        PerProvider::of_test(vec![(); 4]).ids().nth(at).unwrap()
    }

    fn waiter(provider: usize, deadline: u64, request: u32) -> Waiter<u32> {
        Waiter {
            awaited: Awaited::Keys(id(provider), SEEN),
            came: None,
            entered: Millis(0),
            deadline: Millis(deadline),
            bytes: 1,
            request,
        }
    }

    fn is_of(awaited: &Awaited, provider: usize) -> bool {
        matches!(awaited, Awaited::Keys(of, _) if *of == id(provider))
    }

    fn body(request: u32) -> Waiter<u32> {
        Waiter {
            awaited: Awaited::Body,
            ..waiter(0, 100, request)
        }
    }

    fn taken(waiters: Vec<(Ticket, Waiter<u32>)>) -> Vec<u32> {
        waiters
            .into_iter()
            .map(|(_, waiter)| waiter.request)
            .collect()
    }

    #[test]
    fn the_line_is_bounded_and_answered_in_order() {
        let mut line = Line::new(3);
        let tickets: Vec<_> = (0..5)
            .map(|n| line.enter(waiter(n % 2, 100, n as u32)))
            .collect();
        assert_eq!(tickets.iter().flatten().count(), 3);
        assert_eq!(taken(line.take_settled(Millis(0), |_| false)), [0_u32; 0]);
        assert_eq!(
            taken(line.take_settled(Millis(0), |awaited| is_of(awaited, 0))),
            [0, 2]
        );
        assert_eq!(taken(line.take_settled(Millis(99), |_| false)), [0_u32; 0]);
        assert_eq!(taken(line.take_settled(Millis(100), |_| false)), [1]);
        assert!(line.is_empty());
    }

    #[test]
    fn how_many_leave_at_once_is_bounded() {
        let count = u32::try_from(MOST_AT_ONCE).unwrap() + 1;
        let mut line = Line::new(MOST_AT_ONCE * 2);
        for n in 0..count {
            line.enter(waiter(0, 100, n)).unwrap();
        }
        let first: Vec<u32> = (0..count - 1).collect();
        assert_eq!(taken(line.take_settled(Millis(0), |_| true)), first);
        assert_eq!((line.len(), line.bytes), (1, 1));
        let last = taken(line.take_settled(Millis(100), |_| false));
        assert_eq!(last, [count - 1]);
    }

    #[test]
    fn a_request_that_comes_back_has_its_old_place() {
        let mut line = Line::new(4);
        for n in 0..4 {
            line.enter(waiter(n, 100, n as u32)).unwrap();
        }
        let mut out = line.take_settled(Millis(0), |awaited| !is_of(awaited, 3));
        while let Some((ticket, waiter)) = out.pop() {
            line.put_back(ticket, waiter);
        }
        assert_eq!(
            taken(line.take_settled(Millis(100), |_| false)),
            [0, 1, 2, 3]
        );
    }

    #[test]
    fn the_line_is_bounded_in_bytes() {
        let mut line = Line::new(100);
        let large = |n| Waiter {
            bytes: MOST_BYTES / 3,
            ..waiter(0, 100, n)
        };
        let first = line.enter(large(0)).unwrap();
        for n in 1..3 {
            line.enter(large(n)).unwrap();
        }
        assert!(line.enter(large(3)).is_err());
        assert!(line.enter(waiter(0, 100, 4)).is_ok(), "a small one fits");
        // A request makes room when it leaves, in every way and only once.
        assert!(line.leave(first));
        assert!(!line.leave(first));
        let (ticket, back) = line.take_settled(Millis(0), |_| true).remove(0);
        line.put_back(ticket, back);
        line.enter(large(5)).unwrap();
        line.enter(large(6)).unwrap();
        assert!(line.enter(large(7)).is_err());
        line.take_settled(Millis(100), |_| false);
        assert_eq!(line.bytes, 0);
        let whole = Waiter {
            bytes: MOST_BYTES + 1,
            ..waiter(0, 100, 8)
        };
        assert!(line.enter(whole).is_err());
    }

    #[test]
    fn bodies_leave_room_for_those_who_wait_for_a_provider() {
        for (places, bodies) in [(1024, 96), (128, 96), (64, 48), (8, 6), (3, 3), (1, 1)] {
            let mut line = Line::new(places);
            let entered = (0..1000).filter(|n| line.enter(body(*n)).is_ok());
            assert_eq!(
                (entered.count(), line.len()),
                (bodies, bodies),
                "of {places}"
            );
            for n in bodies..places {
                line.enter(waiter(0, 100, n as u32)).unwrap();
            }
            assert!(line.enter(waiter(0, 100, 0)).is_err());
        }
    }

    #[test]
    fn a_body_takes_the_place_of_the_one_that_was_waited_for_the_longest() {
        let mut line = Line::new(8);
        line.enter(waiter(0, 100, 100)).unwrap();
        let tickets: Vec<_> = (0..4).map(|n| line.enter(body(n)).unwrap()).collect();
        line.enter(waiter(1, 100, 101)).unwrap();
        let out = |line: &mut Line<u32>| taken(line.take_settled(Millis(1), |_| false));
        assert_eq!(out(&mut line), [0_u32; 0]);
        for n in 4..6 {
            line.enter(body(n)).unwrap();
        }
        assert_eq!(line.len(), 8);
        assert!(line.enter(body(6)).is_err(), "the line is full");
        assert_eq!(out(&mut line), [0, 1]);
        assert!(!line.leave(tickets[0]), "it has left");
        // One whose body has come made room.
        assert!(line.take(tickets[3]).is_some());
        line.enter(body(7)).unwrap();
        assert_eq!(out(&mut line), [0_u32; 0]);
        // A body that comes at the last moment is not lost.
        line.enter(body(8)).unwrap();
        assert!(line.take(tickets[2]).is_some());
        assert_eq!(out(&mut line), [0_u32; 0]);
        assert_eq!((line.len(), line.bytes), (6, 6));
        let all = taken(line.take_settled(Millis(100), |_| false));
        assert_eq!(all, [100, 101, 4, 5, 7, 8]);
    }

    #[test]
    fn a_client_that_leaves_frees_its_place_once() {
        let mut line = Line::new(1);
        let ticket = line.enter(waiter(0, 100, 1)).unwrap();
        assert!(line.leave(ticket));
        assert!(!line.leave(ticket));
        let again = line.enter(waiter(0, 100, 2)).unwrap();
        assert!(!line.leave(ticket), "a ticket is never given out twice");
        assert!(line.leave(again));
    }
}
