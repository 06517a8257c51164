//! Reads the text of a document in one pass.
//!
//! What nearly every token has is read here: names, texts without escapes, whole numbers, and what
//! holds them together. `serde_json` reads the texts that have escapes, and all other numbers. Less code
//! runs for a token so, and the same documents are read, see the tests.

use std::fmt;

use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

use super::node::Node;
use crate::bytes;

/// How deep values may be nested.
const MOST_DEPTH: usize = 127;
/// The most digits of a number that is read here; it has fewer than [`u64::MAX`].
const MOST_DIGITS: usize = 18;

/// The nodes of a value and nothing else; and the texts that are not spelt as they are, which follow
/// the document's text. `None` where it is not JSON.
pub(super) fn read(text: &str) -> Option<(Vec<Node>, String)> {
    let mut reader = Reader {
        text: text.as_bytes(),
        at: 0,
        nodes: Vec::with_capacity(text.len() / 12),
        unescaped: String::new(),
    };
    reader.document()?;
    Some((reader.nodes, reader.unescaped))
}

struct Reader<'t> {
    text: &'t [u8],
    /// The place of the byte that is read next.
    at: usize,
    nodes: Vec<Node>,
    unescaped: String,
}

impl Reader<'_> {
    fn document(&mut self) -> Option<()> {
        // The array or object that is read. While it is, its node has the node of what it is in.
        let mut innermost: Option<usize> = None;
        let mut depth = 0_usize;
        loop {
            let first = self.next()?;
            match first {
                b'"' => self.string()?,
                b'{' | b'[' => {
                    depth = depth.checked_add(1).filter(|depth| *depth <= MOST_DEPTH)?;
                    let outer = innermost.unwrap_or_default();
                    innermost = Some(self.nodes.len());
                    let (node, last) = if first == b'{' {
                        (Node::Object { end: outer }, b'}')
                    } else {
                        (Node::Array { end: outer }, b']')
                    };
                    self.nodes.push(node);
                    if self.peek()? != last {
                        if first == b'{' {
                            self.name()?;
                        }
                        continue;
                    }
                }
                b't' => self.literal(b"rue", Node::Bool(true))?,
                b'f' => self.literal(b"alse", Node::Bool(false))?,
                b'n' => self.literal(b"ull", Node::Null)?,
                _ => self.number()?,
            }
            // A value has ended, and with it perhaps what it is in.
            loop {
                let Some(at) = innermost else {
                    return self.peek().is_none().then_some(());
                };
                let byte = self.next()?;
                let after = self.nodes.len();
                let (end, is_object) = match self.nodes.get_mut(at)? {
                    Node::Object { end } => (end, true),
                    Node::Array { end } => (end, false),
                    _ => return None,
                };
                match (byte, is_object) {
                    (b',', true) => {
                        self.name()?;
                        break;
                    }
                    (b',', false) => break,
                    (b'}', true) | (b']', false) => {
                        let outer = std::mem::replace(end, after);
                        innermost = (at > 0).then_some(outer);
                        depth = depth.saturating_sub(1);
                    }
                    _ => return None,
                }
            }
        }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            let byte = *self.text.get(self.at)?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at = self.at.saturating_add(1);
        }
    }

    /// The same, and steps over it.
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at = self.at.saturating_add(1);
        Some(byte)
    }

    /// A member's name and the colon.
    fn name(&mut self) -> Option<()> {
        if self.next()? != b'"' {
            return None;
        }
        self.string()?;
        (self.next()? == b':').then_some(())
    }

    fn literal(&mut self, rest: &[u8], node: Node) -> Option<()> {
        if !self.text.get(self.at..)?.starts_with(rest) {
            return None;
        }
        self.at = self.at.saturating_add(rest.len());
        self.nodes.push(node);
        Some(())
    }

    /// A text, after its first quote.
    fn string(&mut self) -> Option<()> {
        let start = self.at;
        let length = bytes::find_end_of_text(self.text.get(start..)?)?;
        let end = start.checked_add(length)?;
        match self.text.get(end)? {
            b'"' => {
                self.at = end.saturating_add(1);
                self.nodes.push(Node::String { start, end });
                Some(())
            }
            b'\\' => self.escaped(),
            _ => None,
        }
    }

    /// The same, of a text with escapes.
    #[cold]
    #[inline(never)]
    fn escaped(&mut self) -> Option<()> {
        let quote = self.at.checked_sub(1)?;
        loop {
            match self.text.get(self.at)? {
                b'"' => break,
                b'\\' => self.at = self.at.saturating_add(2),
                _ => self.at = self.at.saturating_add(1),
            }
        }
        self.at = self.at.saturating_add(1);
        self.by_serde_json(quote)
    }

    /// What is spelt from `start` on, as `serde_json` reads it.
    fn by_serde_json(&mut self, start: usize) -> Option<()> {
        let spelt = self.text.get(start..self.at)?;
        let mut deserializer = serde_json::Deserializer::from_slice(spelt);
        let node = match deserializer.deserialize_any(One).ok()? {
            Scalar::Number(number) => Node::Number(number),
            Scalar::Text(text) => {
                let start = self.text.len().checked_add(self.unescaped.len())?;
                let end = start.checked_add(text.len())?;
                self.unescaped.push_str(&text);
                Node::String { start, end }
            }
            Scalar::Other => return None,
        };
        deserializer.end().ok()?;
        self.nodes.push(node);
        Some(())
    }

    /// A number, of which one byte is read already.
    fn number(&mut self) -> Option<()> {
        let start = self.at.checked_sub(1)?;
        let rest = self.text.get(start..)?;
        let mut value = 0_u64;
        let mut digits = 0_usize;
        for byte in rest {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 || digits > MOST_DIGITS {
                break;
            }
            value = value.wrapping_mul(10).wrapping_add(digit.into());
            digits = digits.saturating_add(1);
        }
        let is_plain = (1..=MOST_DIGITS).contains(&digits)
            && !matches!(rest.get(digits), Some(b'.' | b'e' | b'E'))
            && (digits == 1 || rest.first() != Some(&b'0'));
        if !is_plain {
            return self.other_number(start);
        }
        self.at = start.saturating_add(digits);
        self.nodes.push(Node::Number(value.into()));
        Some(())
    }

    /// A number that is not a plain one, which begins at `start`.
    #[cold]
    #[inline(never)]
    fn other_number(&mut self, start: usize) -> Option<()> {
        let rest = self.text.get(start..)?;
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        self.at = start.saturating_add(length);
        self.by_serde_json(start)
    }
}

/// What `serde_json` is given to read.
enum Scalar {
    Number(Number),
    Text(String),
    Other,
}

struct One;

impl<'de> Visitor<'de> for One {
    type Value = Scalar;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text or a number")
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Number::from_f64(value).map_or(Scalar::Other, Scalar::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Scalar, A::Error> {
        Ok(Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Scalar, A::Error> {
        Ok(Scalar::Other)
    }
}
