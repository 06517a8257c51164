//! What of the protobuf encoding is needed: messages of small field numbers are written field by
//! field, for the host's functions and filter state, and any message is read field by field.

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

/// The rest of a message: its fields with their numbers, and `None` once it is not a message.
pub struct Message<'b>(pub &'b [u8]);

/// A field's value, as its wire type has it.
pub enum Field<'b> {
    /// A varint: wire type 0.
    Number(u64),
    /// 64 bits, taken for a double: wire type 1.
    Double(f64),
    /// Bytes with their length before them, such as a text or a message: wire type 2.
    Bytes(&'b [u8]),
}

impl<'b> Iterator for Message<'b> {
    type Item = Option<(u64, Field<'b>)>;

    fn next(&mut self) -> Option<Self::Item> {
        (!self.0.is_empty()).then(|| {
            let field = self.field();
            if field.is_none() {
                self.0 = &[];
            }
            field
        })
    }
}

impl<'b> Message<'b> {
    fn field(&mut self) -> Option<(u64, Field<'b>)> {
        let tag = self.varint()?;
        let field = match tag & 7 {
            0 => Field::Number(self.varint()?),
            1 => {
                let (double, rest) = self.0.split_first_chunk()?;
                self.0 = rest;
                Field::Double(f64::from_le_bytes(*double))
            }
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(len)?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, field))
    }

    /// Seven bits in each byte, the lowest first.
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
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
