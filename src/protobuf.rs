//! What of the protobuf encoding the host's functions and filter state need: messages of small
//! field numbers, written field by field.

/// The most bytes that a field of this module takes besides its value.
pub const FIELD_OVERHEAD: usize = 11;

/// Adds a length-delimited field: a text, bytes or a message. Numbers above 15 take more than one
/// byte and are for others.
pub fn push_field(message: &mut Vec<u8>, number: u8, value: &[u8]) {
    message.push(number << 3 | 2);
    let mut length = value.len();
    while length >= 0x80 {
        // The low seven bits, and the mark that more follow.
        message.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend_from_slice(value);
}

/// Adds a bool or an enum whose value is below 128.
pub fn push_small(message: &mut Vec<u8>, number: u8, value: u8) {
    message.extend_from_slice(&[number << 3, value]);
}

/// Adds a double.
pub fn push_double(message: &mut Vec<u8>, number: u8, value: f64) {
    message.push(number << 3 | 1);
    message.extend_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_varints() {
        for (length, expected) in [
            (0, &[0][..]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (16_383, &[0xff, 0x7f]),
            (16_384, &[0x80, 0x80, 1]),
        ] {
            let mut message = Vec::new();
            push_field(&mut message, 2, &vec![b'x'; length]);
            let value = message.len() - length;
            assert_eq!(message[0], 2 << 3 | 2);
            assert_eq!(&message[1..value], expected);
            assert!(value <= FIELD_OVERHEAD);
            assert!(message[value..].iter().all(|byte| *byte == b'x'));
        }
    }
}
