//! Properties of the answers of the shared store.

use proptest::prelude::*;

use crate::{cases, check, names};

proptest! {
    #![proptest_config(cases(2000))]

    /// The pieces of answers in any order.
    #[test]
    fn an_answer_of_the_store_is_read_whole_or_not_at_all(
        command in prop::sample::select(b"01234".to_vec()),
        pieces in prop::collection::vec(names(&[
            "*", "$", ":", "+", "-", "0", "1", "2", "-1", "+1", "01", "18446744073709551615", "\r\n", "\r\n", "\r",
            "\n", "OK", "AA", "A", " ",
        ]), 0..9),
    ) {
        check::store_answer(&[&[command][..], pieces.concat().as_bytes()].concat());
    }

    /// A good list with an octet changed or cut off.
    #[test]
    fn a_list_of_the_store_is_read_whole_or_not_at_all(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5),
        octet in prop::option::weighted(0.5, any::<(prop::sample::Index, u8)>()),
        length in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let mut bytes = [b"1", check::list(&values).as_slice()].concat();
        if let Some((at, octet)) = octet {
            let at = at.index(bytes.len());
            bytes[at] = octet;
        }
        if let Some(length) = length {
            bytes.truncate(length.index(bytes.len()));
        }
        check::store_answer(&bytes);
    }
}
