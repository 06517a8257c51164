//! A filter that comes by ECDS: whether what Envoy shows of it is what runs.
//!
//! Envoy shows the newest configuration that it was sent, also where it refused that one. What it
//! took last is told by the statistics of the extension alone: `version_text`, and `update_time`.

use std::collections::BTreeMap;

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{number, text};

/// Before the name of an extension in its statistics.
const PREFIX: &str = "extension_config_discovery.http_filter.";

/// What became of the newest configuration of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extension {
    pub name: String,
    /// Whether the one that is shown was refused.
    pub is_refused: bool,
    /// What runs in its place: its version, which may be empty. `None` where nothing was ever taken.
    pub before: Option<String>,
}

impl Extension {
    /// An entry of `ecds_filters`, beside all statistics and those that are texts.
    pub(super) fn new(
        entry: &Value,
        stats: &BTreeMap<String, u64>,
        texts: &BTreeMap<String, String>,
    ) -> Option<Self> {
        let name = text(entry.get("ecds_filter")?, "name").to_owned();
        let of = |stat: &str| format!("{PREFIX}{name}.{stat}");
        let count = |stat: &str| stats.get(&of(stat)).copied().unwrap_or_default();
        let taken = count("update_time");
        let before = texts.get(&of("version_text")).cloned();
        let shown = text(entry, "version_info");
        let is_other = before.as_deref().is_some_and(|version| version != shown);
        let sent = milliseconds(text(entry, "last_updated"));
        let is_newer = sent.is_some_and(|sent| sent > taken);
        let is_refused = entry.get("error_state").is_some()
            || (count("update_rejected") > 0 && (is_other || is_newer));
        Some(Self {
            is_refused,
            before: before.filter(|_| taken > 0),
            name,
        })
    }

    /// What requests get in place of what is shown.
    pub(super) fn in_place(&self) -> String {
        match self.before.as_deref() {
            None => "nothing ran before, and every request gets 500".to_owned(),
            Some("") => "the one before it runs on, which Envoy does not show".to_owned(),
            Some(version) => {
                format!("version {version} before it runs on, which Envoy does not show")
            }
        }
    }
}

/// The value of a statistic that is a text.
pub(super) fn texts(page: &Value) -> BTreeMap<String, String> {
    let named = super::items(page, "stats").filter_map(|stat| {
        let name = stat.get("name")?.as_str()?;
        let value = stat.get("value")?;
        // a count of 64 bits is a text too
        let is_text = name.ends_with(".version_text") || number(value).is_none();
        is_text.then(|| Some((name.to_owned(), value.as_str()?.to_owned())))?
    });
    named.collect()
}

/// A time of RFC 3339 in UTC, such as `2026-11-26T20:13:17.518Z`, in milliseconds since 1970.
fn milliseconds(time: &str) -> Option<u64> {
    let in_utc = time.ends_with('Z').then_some(time)?;
    let time = OffsetDateTime::parse(in_utc, &Rfc3339).ok()?;
    u64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2026-11-26T20:13:17.518Z", Some(1_795_723_997_518)),
            ("2028-02-29T23:59:59.999Z", Some(1_835_481_599_999)),
            ("2026-11-26T20:13:17+01:00", None),
            ("2026-13-26T20:13:17Z", None),
            ("9999999999999999-01-01T00:00:00Z", None),
            ("2026-11-26T20:13:infZ", None),
            ("2026-11-26T20:13:nanZ", None),
            ("", None),
        ] {
            assert_eq!(milliseconds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_shown_and_what_runs() {
        let entry = |version: &str| {
            json!({
                "version_info": version,
                "last_updated": "2026-11-26T20:13:17.518Z",
                "ecds_filter": {"name": "gate"},
            })
        };
        let look = |version: &str, text: &str, time: u64, rejected: u64| {
            let stat = |name: &str| format!("{PREFIX}gate.{name}");
            let stats = [
                (stat("update_time"), time),
                (stat("update_rejected"), rejected),
            ];
            let texts = [(stat("version_text"), text.to_owned())];
            let stats = BTreeMap::from(stats);
            Extension::new(&entry(version), &stats, &BTreeMap::from(texts)).unwrap()
        };
        // taken after it was sent
        let taken = 1_795_723_997_600;
        assert!(!look("two", "two", taken, 0).is_refused);
        // one of before was refused, and this one taken
        assert!(!look("three", "three", taken, 1).is_refused);
        let refused = look("two", "one", 1_795_723_989_846, 1);
        assert!(refused.is_refused);
        assert!(refused.in_place().contains("version one"));
        // a file says no version
        let refused = look("", "", 1_795_723_989_846, 1);
        assert!(refused.is_refused);
        assert!(refused.in_place().contains("runs on"));
        let first = look("one", "", 0, 1);
        assert!(first.is_refused);
        assert!(first.in_place().contains("500"));
    }
}
