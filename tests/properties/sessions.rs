//! Properties of what is sealed, and of the cookies that carry it.

use bearer_gate::jose::base64url;
use bearer_gate::session::cookie::without_ours;
use bearer_gate::session::life::Session;
use bearer_gate::session::seal::{Context, Keyring, Purpose, Unsealed};
use proptest::prelude::*;

use crate::check::session::{
    HOST, NOW, a_session, cookie, keyring, plaintexts, request_with, the_session, the_state,
};
use crate::{cases, check, names};

fn context() -> impl Strategy<Value = (Purpose, String, String)> {
    let purpose = prop::sample::select(Purpose::ALL.to_vec());
    let scheme = names(&["staff", "guests", "staf", ""]);
    (purpose, scheme, names(&["a.example", "fa.example", ""]))
}

/// Pairs of an application's.
fn theirs() -> impl Strategy<Value = Vec<String>> {
    let pair = names(&[
        "a=1",
        " b = \"x\"",
        "=c",
        "d",
        "",
        "bg_session_staff=x",
        "e=__Host-Http-bg_session_staff",
        "\u{e4}=1",
        "f==",
    ]);
    prop::collection::vec(pair, 0..5)
}

proptest! {
    #![proptest_config(cases(400))]

    /// Whatever is sealed opens under each ring that has its key, in its own context alone.
    #[test]
    fn what_is_sealed_opens_where_it_should(
        secrets in prop::collection::hash_set(prop::collection::vec(any::<u8>(), 32..40), 2..5),
        plaintext in prop::collection::vec(any::<u8>(), 0..200),
        nonce in any::<[u8; 24]>(),
        (own, other) in (context(), context()),
    ) {
        let of = |(purpose, scheme, host): &(Purpose, String, String), ring: &Keyring, sealed: &[u8]| {
            let opened = ring.open(Context { purpose: *purpose, scheme, host }, sealed);
            opened.map(|opened| opened.plaintext)
        };
        let mut secrets: Vec<Vec<u8>> = secrets.into_iter().collect();
        let (purpose, scheme, host) = &own;
        let own_context = Context { purpose: *purpose, scheme, host };
        let sealed = Keyring::new(&secrets).unwrap().seal(own_context, &plaintext, nonce);
        for _ in 0..secrets.len() {
            secrets.rotate_left(1);
            let ring = Keyring::new(&secrets).unwrap();
            prop_assert_eq!(of(&own, &ring, &sealed), Ok(plaintext.clone()));
            if other != own {
                prop_assert_eq!(of(&other, &ring, &sealed), Err(Unsealed::Broken));
            }
        }
        let without = Keyring::new(&secrets[1..]).unwrap();
        prop_assert_eq!(of(&own, &without, &sealed), Err(Unsealed::UnknownKey));
    }

    /// A session comes back from any lines of cookies, and never once they were changed. The
    /// cookies of applications stay.
    #[test]
    fn cookies_of_a_session_and_of_others(
        octets in 0_usize..8500,
        theirs in prop::collection::vec(theirs(), 3),
        order in any::<prop::sample::Index>(),
        (at, way) in (any::<prop::sample::Index>(), 0_u8..6),
    ) {
        let session = a_session(octets);
        let set = cookie().set(&session.seal(&keyring(), HOST, [9; 24]), None, &request_with(&[])).unwrap();
        let mut ours: Vec<String> = set.iter().map(|line| line.split(';').next().unwrap().to_owned()).collect();
        let first = order.index(ours.len());
        ours.rotate_left(first);
        let lines = |ours: &[String]| -> Vec<Vec<u8>> {
            let mut lines = theirs.clone();
            for (at, own) in ours.iter().enumerate() {
                let line = &mut lines[at % 3];
                line.insert(at % (line.len() + 1), format!(" {own}"));
            }
            lines.into_iter().map(|line| line.join(";").into_bytes()).collect()
        };
        let read = |lines: &[Vec<u8>]| {
            let request = request_with(lines);
            let value = cookie().read(&request).ok()??;
            Session::open(&keyring(), "staff", HOST, &value, NOW).ok()
        };
        let request = request_with(&lines(&ours));
        prop_assert!(read(&lines(&ours)).is_some_and(|alive| *alive.session() == session));
        let rest = without_ours(&request, &[&cookie()]).unwrap().concat();
        let whole: Vec<u8> = theirs.iter().map(|line| line.join(";").trim_matches(' ').to_owned()).collect::<String>().into();
        let letters = |text: &[u8]| text.iter().copied().filter(|byte| *byte != b' ').collect::<Vec<u8>>();
        prop_assert_eq!(letters(&rest), letters(&whole));

        let which = at.index(ours.len());
        let mut changed = ours.clone();
        let value = ours[which].find('=').unwrap() + 1;
        let place = value + at.index(ours[which].len() - value);
        match way {
            0 => {
                let other = if ours[which].as_bytes()[place] == b'A' { "B" } else { "A" };
                changed[which].replace_range(place..=place, other);
            }
            1 => changed[which].truncate(place),
            2 => drop(changed.remove(which)),
            3 => changed.push(ours[which].clone()),
            4 => changed.push(format!("{}.9=AAAA", cookie().name())),
            _ if ours.len() > 1 => {
                // two chunks change their values
                let other = (which + 1) % ours.len();
                let (name, own) = ours[which].split_once('=').unwrap();
                let (other_name, others) = ours[other].split_once('=').unwrap();
                changed[which] = format!("{name}={others}");
                changed[other] = format!("{other_name}={own}");
            }
            _ => changed[which].push_str("AAAA"),
        }
        prop_assert!(read(&lines(&changed)).is_none(), "{way}");
    }

    /// Octets of good plaintexts changed, cut and put in.
    #[test]
    fn what_was_sealed_and_is_no_record(
        (which, cut) in (0_usize..3, any::<prop::sample::Index>()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..4), 0..4),
    ) {
        let mut octets = plaintexts()[which].clone();
        for (at, byte, how) in changes {
            let at = at.index(octets.len());
            match how {
                0 => octets[at] = byte,
                1 => octets[at] ^= 1 << (byte % 8),
                2 => octets.insert(at, byte),
                _ => drop(octets.remove(at)),
            }
        }
        check::sealed(&octets);
        octets.truncate(cut.index(octets.len() + 1));
        check::sealed(&octets);
    }

    /// Octets of the good cookies and of the good state changed.
    #[test]
    fn cookies_and_states_that_were_changed(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0_u8..3), 0..3),
        pieces in prop::collection::vec(names(&[
            "__Host-Http-bg_session_staff", "__Host-Http-bg_session_staff.0", ".1", "=", "2.", "; ", "\n", "x", "__host",
            "/", "//", "\\", "https://app.example", "@evil.example", ":443", "/sign-in", "?", " ", "",
        ]), 0..8),
    ) {
        check::session(pieces.concat().as_bytes());
        let value = base64url::encode(&the_session());
        let name = cookie().name().to_owned();
        let halves = value.split_at(value.len() / 2);
        for good in [
            the_state(),
            format!("{name}={value}"),
            format!("{name}.0=2.{}; {}\n{name}.1={}", halves.0, pieces.concat(), halves.1),
        ] {
            let mut octets = good.into_bytes();
            for (at, byte, how) in &changes {
                let at = at.index(octets.len());
                match how {
                    0 => octets[at] = *byte,
                    1 => octets[at] ^= 1 << (byte % 8),
                    _ => octets.insert(at, *byte),
                }
            }
            check::session(&octets);
        }
    }
}

/// The properties would hold if nothing ever opened.
#[test]
fn the_good_ones_open() {
    let value = base64url::encode(&the_session());
    let lines = [format!("a=1; {}={value}", cookie().name()).into_bytes()];
    let request = request_with(&lines);
    let read = cookie().read(&request).unwrap().unwrap();
    assert!(Session::open(&keyring(), "staff", HOST, &read, NOW).is_ok());
    let seeds = crate::seeds("session");
    assert!(
        seeds.iter().any(|seed| seed.starts_with(&lines[0])),
        "seed-whole is stale"
    );
    assert!(
        seeds.contains(&the_state().into_bytes()),
        "seed-state is stale"
    );
    let seeds = crate::seeds("sealed");
    for plaintext in plaintexts() {
        check::sealed(&plaintext);
        assert!(seeds.contains(&plaintext), "a seed of `sealed` is stale");
    }
}
