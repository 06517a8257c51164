//! Strict JSON, RFC 8259, as RFC 7515 section 4 and RFC 7519 section 4 require it.
//!
//! A document takes two pieces of memory, however many members it has: one for its text as it was
//! spelt, one for all of its values. Claims are read and dropped with every new token, and in Wasm an
//! allocation costs more than reading.
//!
//! Invariant: a document has one meaning. Duplicate member names at any level, a byte order
//! mark, trailing bytes, bad UTF-8 and lone surrogates are refused; nesting is bounded, as
//! `serde_json` does it.

mod node;
mod reader;

use serde_json::{Map, Number, Value};

use node::Node;

/// Why a document was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Not JSON, nested too deeply, or with bytes after its end.
    Malformed,
    /// A member name occurs twice in one object.
    DuplicateMember,
    /// JSON, but not an object.
    NotAnObject,
}

/// A JSON value, all of whose text and values are kept together. The values stand in the order of
/// the document, each member's name before its value.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// As it was spelt, and after that each text that has escapes, without them.
    text: String,
    nodes: Vec<Node>,
}

/// A value of a [`Document`].
#[derive(Clone, Copy)]
pub struct Element<'d> {
    document: &'d Document,
    at: usize,
}

/// Whether they say the same, however they are spelt.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.root().to_value() == other.root().to_value()
    }
}

impl Document {
    /// Reads one JSON object, and nothing before or after it but white space.
    ///
    /// # Errors
    /// [`JsonError`] says which rule of the invariant above was broken.
    pub fn parse(octets: impl Into<Vec<u8>>) -> Result<Self, JsonError> {
        Self::strict(octets.into())
    }

    #[inline(never)]
    fn strict(octets: Vec<u8>) -> Result<Self, JsonError> {
        let document = Self::lenient(octets).ok_or(JsonError::Malformed)?;
        let root = document.root();
        if root.has_duplicate_within() {
            Err(JsonError::DuplicateMember)
        } else if root.is_object() {
            Ok(document)
        } else {
            Err(JsonError::NotAnObject)
        }
    }

    /// Reads one JSON value, in which names may occur twice. `None` where it is none.
    #[inline(never)]
    pub(super) fn lenient(octets: Vec<u8>) -> Option<Self> {
        let mut text = String::from_utf8(octets).ok()?;
        let (nodes, unescaped) = reader::read(&text)?;
        text.push_str(&unescaped);
        Some(Self { text, nodes })
    }

    /// All of it.
    #[must_use]
    pub fn root(&self) -> Element<'_> {
        Element {
            document: self,
            at: 0,
        }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn size(&self) -> usize {
        let nodes = self.nodes.capacity().saturating_mul(size_of::<Node>());
        self.text.capacity().saturating_add(nodes)
    }
}

impl<'d> Element<'d> {
    fn node(self) -> Option<&'d Node> {
        self.document.nodes.get(self.at)
    }

    /// The place of the first node after it.
    fn end(self) -> usize {
        match self.node() {
            Some(Node::Array { end } | Node::Object { end }) => *end,
            _ => self.at.saturating_add(1),
        }
    }

    /// What is below it, names of members too.
    fn children(self) -> Children<'d> {
        Children {
            document: self.document,
            at: self.at.saturating_add(1),
            end: self.end(),
        }
    }

    /// Of a string.
    #[must_use]
    pub fn as_str(self) -> Option<&'d str> {
        match self.node()? {
            Node::String { start, end } => self.document.text.get(*start..*end),
            _ => None,
        }
    }

    /// The value of `true` or `false`; `None` of any other type.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self.node()? {
            Node::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The value of a number; `None` of any other type.
    #[must_use]
    pub fn as_number(self) -> Option<&'d Number> {
        match self.node()? {
            Node::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Whether it is `null`, which differs from a member that is missing.
    #[must_use]
    pub fn is_null(self) -> bool {
        matches!(self.node(), Some(Node::Null))
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        matches!(self.node(), Some(Node::Object { .. }))
    }

    /// Of an array.
    #[must_use]
    pub fn items(self) -> Option<Children<'d>> {
        matches!(self.node(), Some(Node::Array { .. })).then(|| self.children())
    }

    /// Of an array, or the one value that anything else is.
    #[must_use]
    pub fn each(self) -> Children<'d> {
        self.items().unwrap_or(Children {
            document: self.document,
            at: self.at,
            end: self.end(),
        })
    }

    /// Names and values of an object's members; none of anything else.
    #[must_use]
    pub fn members(self) -> Members<'d> {
        match self.node() {
            Some(Node::Object { .. }) => Members(self.children()),
            _ => Members(Children {
                end: 0,
                ..self.children()
            }),
        }
    }

    /// The member of an object by this name.
    #[must_use]
    #[inline(never)] // smaller, and no slower
    pub fn get(self, name: &str) -> Option<Self> {
        self.members()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// The same as a tree.
    #[must_use]
    pub fn to_value(self) -> Value {
        // Recursion is bounded by the parser.
        match self.node() {
            None | Some(Node::Null) => Value::Null,
            Some(Node::Bool(value)) => Value::Bool(*value),
            Some(Node::Number(number)) => Value::Number(number.clone()),
            Some(Node::String { .. }) => Value::from(self.as_str()),
            Some(Node::Array { .. }) => self.children().map(Element::to_value).collect(),
            Some(Node::Object { .. }) => {
                let mut object = Map::new();
                for (name, value) in self.members() {
                    object.insert(name.to_owned(), value.to_value());
                }
                Value::Object(object)
            }
        }
    }

    /// Whether two members of an object in it have one name.
    pub(super) fn has_duplicate_within(self) -> bool {
        (self.at..self.end()).any(|at| {
            let document = self.document;
            Element { document, at }.has_duplicate()
        })
    }

    /// Whether two members have one name.
    fn has_duplicate(self) -> bool {
        /// Up to here comparing with each is faster.
        const FEW: usize = 16;
        if self.children().count() > 2 * FEW {
            let mut seen = Map::new();
            let mut names = self.members().map(|(name, _)| name.to_owned());
            return names.any(|name| seen.insert(name, Value::Null).is_some());
        }
        // Names with different sums are different names.
        let mut sums = 0u64;
        self.members().enumerate().any(|(count, (name, _))| {
            let sum = name.bytes().fold(0, u8::wrapping_add);
            let bit = 1u64.wrapping_shl(sum.into());
            let maybe = sums & bit != 0;
            sums |= bit;
            let mut earlier = self.members().take(count);
            maybe && earlier.any(|(other, _)| other == name)
        })
    }
}

/// The values in an array.
#[derive(Clone)]
pub struct Children<'d> {
    document: &'d Document,
    at: usize,
    end: usize,
}

impl<'d> Iterator for Children<'d> {
    type Item = Element<'d>;

    fn next(&mut self) -> Option<Element<'d>> {
        let child = Element {
            document: self.document,
            at: self.at,
        };
        (self.at < self.end).then(|| {
            self.at = child.end();
            child
        })
    }
}

/// The members of an object.
#[derive(Clone)]
pub struct Members<'d>(Children<'d>);

impl<'d> Iterator for Members<'d> {
    type Item = (&'d str, Element<'d>);

    #[inline(never)] // smaller, and no slower
    fn next(&mut self) -> Option<Self::Item> {
        let name = self.0.next()?.as_str()?;
        Some((name, self.0.next()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(value: &Value) -> Document {
        Document::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn values_by_their_kind() {
        let document = parse(&json!({
            "n": null, "b": true, "i": 5, "s": "\u{e9}\n", "a": ["x", [], {"y": 1}], "o": {"i": 6, "": {}}
        }));
        let root = document.root();
        let get = |name| root.get(name).unwrap();
        assert!(get("n").is_null());
        assert_eq!(get("b").as_bool(), Some(true));
        assert_eq!(get("i").as_number(), Some(&5.into()));
        assert_eq!(get("s").as_str(), Some("\u{e9}\n"));
        for name in ["n", "b", "i", "a", "o"] {
            assert_eq!(get(name).as_str(), None, "{name}");
        }
        assert!(!get("b").is_null());
        assert!(get("s").as_bool().is_none() && get("s").as_number().is_none());

        let values = |children: Children<'_>| children.map(Element::to_value).collect::<Vec<_>>();
        let items = [json!("x"), json!([]), json!({"y": 1})];
        assert_eq!(values(get("a").items().unwrap()), items);
        assert_eq!(values(get("a").each()), items);
        for name in ["n", "b", "i", "s", "o"] {
            assert!(get(name).items().is_none(), "{name}");
            assert_eq!(values(get(name).each()), [get(name).to_value()], "{name}");
        }

        assert_eq!(get("o").get("i").unwrap().to_value(), json!(6));
        assert_eq!(get("o").get("").unwrap().to_value(), json!({}));
        // neither below what is asked, nor beside it, nor in an array
        for (of, name) in [
            (root, "y"),
            (get("o"), "b"),
            (get("a"), "x"),
            (get("s"), ""),
        ] {
            assert!(of.get(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a11_a_name_that_is_twice_is_found_among_few_and_many() {
        for count in 1..40 {
            // All names have one sum, as "ac" and "bb" have.
            let names: Vec<String> = (0..count)
                .map(|n| format!("a{}c{}", "b".repeat(n), "b".repeat(count - n)))
                .collect();
            let member = |name: &String| format!(r#""{name}":[]"#);
            let mut members: Vec<String> = names.iter().map(member).collect();
            let text = |members: &[String]| format!("{{{}}}", members.join(","));
            assert!(Document::parse(text(&members).as_bytes()).is_ok());
            for twice in [0, count / 2, count - 1] {
                members.push(member(&names[twice]));
                let duplicate = Some(JsonError::DuplicateMember);
                let below = format!(r#"{{"x":[0,{}],"y":0}}"#, text(&members));
                for text in [text(&members), below] {
                    assert_eq!(Document::parse(text.as_bytes()).err(), duplicate, "{text}");
                }
                members.pop();
            }
        }
    }

    #[test]
    fn its_size_is_in_proportion_to_what_it_was_read_from() {
        for (text, most) in [(r#""name":"a text of usual length","#, 4), ("[],", 20)] {
            let bytes = format!(r#"{{"x":[{}0]}}"#, text.replace(':', ",").repeat(1000));
            let size = Document::parse(bytes.as_bytes()).unwrap().size();
            assert!(
                size >= bytes.len() && size <= most * bytes.len(),
                "{size} {}",
                bytes.len()
            );
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 20, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..20)
                    .prop_map(|members| members.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn it_is_what_serde_json_reads(value in any_value()) {
            let text = json!({"x": value, "y": 1}).to_string();
            is_as_by_serde_json(text.as_bytes());
        }

        /// What is spelt otherwise, too, and what is not JSON any more.
        #[test]
        fn it_refuses_what_serde_json_refuses(
            value in any_value(),
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any_piece()), 0..4),
        ) {
            let mut text = serde_json::to_vec_pretty(&value).unwrap();
            for (at, piece) in changes {
                let at = at.index(text.len());
                text.splice(at..(at + piece.len() / 2).min(text.len()), piece);
            }
            is_as_by_serde_json(&text);
        }
    }

    /// What stands in JSON, and beside it.
    fn any_piece() -> impl Strategy<Value = Vec<u8>> {
        let pieces = [
            "",
            "\"",
            "\\",
            "\\u00e9",
            "\\ud83d\\ude00",
            "\\ud800",
            "\\u12",
            "\\n",
            "\\x",
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            " ",
            "\t",
            "\u{b}",
            "\u{a0}",
            "0",
            "-",
            "-0",
            "1.5",
            "1e3",
            "1e999",
            "e",
            ".",
            "00",
            "999999999999999999",
            "1000000000000000000",
            "18446744073709551615",
            "18446744073709551616",
            "true",
            "nul",
            "null",
            "\u{e9}",
            "\u{0}",
            "\u{1f}",
            "\"a\":1,",
            "[[]]",
            "{}",
            "//",
        ];
        let bytes = any::<u8>().prop_map(|byte| vec![byte]);
        prop_oneof![
            proptest::sample::select(pieces.to_vec()).prop_map(|text| text.into()),
            bytes
        ]
    }

    fn is_as_by_serde_json(text: &[u8]) {
        let shown = String::from_utf8_lossy(text);
        let expected: Option<Value> = serde_json::from_slice(text).ok();
        let document = Document::lenient(text.to_vec());
        assert_eq!(document.is_some(), expected.is_some(), "{shown}");
        // Of members with one name serde_json keeps the last.
        let value = document.map(|document| document.root().to_value());
        assert_eq!(value, expected, "{shown}");
    }

    fn check(text: &[u8], expected: Result<(), JsonError>) {
        let shown = String::from_utf8_lossy(text.get(..60).unwrap_or(text)).into_owned();
        assert_eq!(Document::parse(text).map(drop), expected, "{shown}");
    }

    #[test]
    fn a10_one_object_and_nothing_else() {
        let malformed = Err(JsonError::Malformed);
        check(b"{}", Ok(()));
        check(b" \r\n\t{} ", Ok(()));
        check(br#"{"a":[1,-1,1.5,true,false,null,"x",{}]}"#, Ok(()));
        check("{\"a\":\"\\ud83d\\ude00\"}".as_bytes(), Ok(())); // a surrogate pair
        for other in ["[]", "null", "1", "\"{}\"", "true"] {
            check(other.as_bytes(), Err(JsonError::NotAnObject));
        }
        for bad in [
            &b""[..],
            b" ",
            b"{",
            b"{}x",
            b"{}{}",
            b"{}\0",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"{\"a\":01}",
            b"{\"a\":NaN}",
            b"{\"a\":Infinity}",
            b"{\"a\":1e999}",
            b"\xef\xbb\xbf{}",           // BOM
            b"\xff\xfe{\0}\0",           // UTF-16
            b"{\"a\":\"\xff\"}",         // bad UTF-8
            b"{\"a\xff\":1}",            // bad UTF-8 in a name
            b"{\"a\":\"\xed\xa0\x80\"}", // a surrogate as UTF-8
            b"{\"a\":\"\\ud800\"}",      // lone surrogate
            b"{\"a\":\"\\udc00x\"}",     // lone surrogate
            b"{\"\\ud800\":1}",          // lone surrogate in a name
            b"{\"a\":\"\x01\"}",         // control character
        ] {
            check(bad, malformed);
        }
    }

    #[test]
    fn a10_nesting_is_bounded() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for depth in 120..135 {
                let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                is_as_by_serde_json(text.as_bytes());
            }
            for depth in [1_000, 100_000] {
                let text = format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth));
                check(text.as_bytes(), Err(JsonError::Malformed));
                check(
                    format!("{{\"a\":{}", open.repeat(depth)).as_bytes(),
                    Err(JsonError::Malformed),
                );
            }
        }
        let text = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100));
        check(text.as_bytes(), Ok(()));
    }

    #[test]
    fn a11_duplicate_members_at_any_level() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#, // the same name, spelt differently
            r#"{"b":{"a":1,"a":2}}"#,
            r#"{"b":[0,{"a":1,"a":2}]}"#,
            r#"{"b":[[[{"c":{"a":1,"x":0,"a":null}}]]]}"#,
            r#"{"":1,"":2}"#,
        ] {
            check(text.as_bytes(), Err(JsonError::DuplicateMember));
        }
        check(br#"{"a":{"a":{"a":1}},"A":1}"#, Ok(()));
    }
}
