//! Properties of sessions in the shared store, and of the lists of what has ended.

use bearer_gate::ended::shard::{Shard, WhenFull};
use bearer_gate::ended::{Ending, Mark};
use proptest::prelude::*;

use crate::{cases, check};

/// Octets changed, put in and taken out.
type Changes = Vec<(prop::sample::Index, u8, u8)>;

fn changes(most: usize) -> impl Strategy<Value = Changes> {
    prop::collection::vec(
        (any::<prop::sample::Index>(), any::<u8>(), 0_u8..4),
        0..most,
    )
}

fn changed(octets: &[u8], changes: &Changes) -> Vec<u8> {
    let mut octets = octets.to_vec();
    for (at, byte, how) in changes {
        let at = at.index(octets.len());
        match how {
            0 => octets[at] = *byte,
            1 => octets[at] ^= 1 << (byte % 8),
            2 => octets.insert(at, *byte),
            _ if octets.len() > 1 => drop(octets.remove(at)),
            _ => {}
        }
    }
    octets
}

fn mark(number: u8) -> Mark {
    Mark::of_sid("https://idp.example/", &number.to_string())
}

/// A value of the store's list, and what workers share.
fn lists() -> [Vec<u8>; 2] {
    let ending = Ending::proven(vec![(mark(1), 5), (mark(2), 7)])
        .because_of(mark(3), 8)
        .and_claimed(mark(4), 9, 0);
    let mut shard = Shard::default();
    for number in 0..4 {
        shard.put(mark(number), 5, WhenFull::Floor).unwrap();
    }
    [ending.encode(), shard.encode()]
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn tickets_and_entries_that_were_changed(
        which in any::<prop::sample::Index>(),
        other in 0_u8..4,
        changes in changes(4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let good = check::good_tickets();
        let (chosen, octets) = good[which.index(good.len())].split_first().unwrap();
        let mut octets = changed(octets, &changes);
        if let Some(cut) = cut {
            octets.truncate(cut.index(octets.len() + 1));
        }
        // What is sealed, and what is not, taken for each other, too.
        for taken_for in [*chosen, b'0' + other] {
            check::ticket(&[&[taken_for], octets.as_slice()].concat());
        }
    }

    #[test]
    fn lists_of_what_has_ended_that_were_changed(which in 0_usize..2, changes in changes(4)) {
        check::ended(&changed(&lists()[which], &changes));
    }
}

/// The properties would hold if nothing ever opened.
#[test]
fn the_good_ones_are_among_the_seeds() {
    for (target, good) in [
        ("ticket", check::good_tickets()),
        ("ended", lists().to_vec()),
    ] {
        let seeds = crate::seeds(target);
        for (at, good) in good.iter().enumerate() {
            assert!(seeds.contains(good), "a seed of `{target}` is stale: {at}");
        }
    }
    assert!(Ending::decode(&lists()[0]).is_some() && Shard::decode(&lists()[1]).is_some());
}
