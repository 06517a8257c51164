//! The last good document of a source, as all workers of the process share it.
//!
//! Invariant: only what this version of the format wrote for this very source is read back. Shared
//! data outlives configurations, and every filter with the same `vm_id` can write it.

use std::time::Duration;

use super::source::Content;
use crate::record::{Reader, Writer};
use crate::time::{Millis, millis};

/// Increased whenever the meaning of a field changes.
const FORMAT: u64 = 5;

/// A document as it is shared, with what is known of its fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    format: u64,
    /// Where the document came from.
    source: String,
    /// Tells this snapshot from all others of its source; never 0.
    pub generation: u64,
    /// When it was fetched.
    pub fetched_at: Millis,
    /// The number of the fetch that brought it.
    pub fetch: u64,
    /// What the response said of its freshness, in milliseconds. What follows from that is for each
    /// reader's own configuration to say, not for the writer's.
    max_age_ms: Option<u64>,
    /// The document, and what is kept beside it.
    pub content: Content,
}

impl Snapshot {
    /// A document that was fetched at `fetched_at`.
    pub fn new(
        source: &str,
        generation: u64,
        fetched_at: Millis,
        fetch: u64,
        max_age: Option<Duration>,
        content: Content,
    ) -> Self {
        Self {
            format: FORMAT,
            source: source.to_owned(),
            generation,
            fetched_at,
            fetch,
            max_age_ms: max_age.map(millis),
            content,
        }
    }

    /// How long the provider lets it be used; see [`Reply`](crate::host::Reply).
    pub fn max_age(&self) -> Option<Duration> {
        self.max_age_ms.map(Duration::from_millis)
    }

    /// The bytes to share.
    pub fn encode(&self) -> Vec<u8> {
        Writer::default()
            .number(self.format)
            .text(&self.source)
            .number(self.generation)
            .number(self.fetched_at.0)
            .number(self.fetch)
            .optional(self.max_age_ms)
            .text(&self.content.document)
            .text(&self.content.notes)
            .finish()
    }

    /// What was shared for `source`, if that is what the bytes are.
    pub fn decode(bytes: &[u8], source: &str) -> Option<Self> {
        let mut record = Reader(bytes);
        if record.number()? != FORMAT || record.text()? != source {
            return None;
        }
        let snapshot = Self {
            format: FORMAT,
            source: source.to_owned(),
            generation: record.number()?,
            fetched_at: Millis(record.number()?),
            fetch: record.number()?,
            max_age_ms: record.optional()?,
            content: Content {
                document: record.text()?.to_owned(),
                notes: record.text()?.to_owned(),
            },
        };
        record.finish()?;
        Some(snapshot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_source_and_format_are_read_back() {
        let written = Snapshot::new(
            "a",
            7,
            Millis(5),
            9,
            Some(Duration::from_secs(1)),
            Content {
                document: "{}".into(),
                notes: r#"{"a":1}"#.into(),
            },
        );
        let bytes = written.encode();
        assert_eq!(Snapshot::decode(&bytes, "a"), Some(written.clone()));
        assert_eq!(Snapshot::decode(&bytes, "b"), None);
        let other_format = Snapshot {
            format: FORMAT + 1,
            ..written
        };
        assert_eq!(Snapshot::decode(&other_format.encode(), "a"), None);
        for garbage in [&b""[..], b"{}", b"\xff", b"[1]", &bytes[..bytes.len() - 1]] {
            assert_eq!(Snapshot::decode(garbage, "a"), None);
        }
    }
}
