//! `Retry-After`, RFC 9110 section 10.2.3, and the dates of section 5.6.7 in their three forms.

use std::time::Duration;

use crate::time::millis;

const DAY: i64 = 24 * 60 * 60;
const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// How long to wait, counted from `now`, which is in seconds since the Unix epoch. `None` where the
/// value is neither seconds nor a date.
pub fn retry_after(value: &[u8], now: i64) -> Option<Duration> {
    let value = value.trim_ascii();
    let seconds = match number(value) {
        Some(seconds) => seconds,
        None => date(value)?.saturating_sub(now),
    };
    Some(Duration::from_secs(seconds.try_into().unwrap_or(0)))
}

/// A date in seconds since the Unix epoch.
#[inline(never)]
pub fn date(value: &[u8]) -> Option<i64> {
    // Seven parts, or eight.
    let mut parts: [&[u8]; 8] = [b""; 8];
    let found = value
        .split(|byte| !byte.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty());
    for (at, part) in found.enumerate() {
        *parts.get_mut(at)? = part;
    }
    let (year, month, day, time) = match parts {
        // Sun, 06 Nov 1994 08:49:37 GMT, and Sunday, 06-Nov-94 08:49:37 GMT
        [_, day, month, year, hours, minutes, seconds, b"GMT"] => {
            (year, month, day, [hours, minutes, seconds])
        }
        // Sun Nov  6 08:49:37 1994
        [_, month, day, hours, minutes, seconds, year, b""] => {
            (year, month, day, [hours, minutes, seconds])
        }
        _ => return None,
    };
    let year = match number(year)? {
        // Of two digits: the century that is nearer.
        short @ 0..70 => short + 2000,
        short @ 70..100 => short + 1900,
        year @ 1970..10_000 => year,
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| *name == month)?;
    let mut of_day = 0;
    for (part, most) in time.into_iter().zip([23, 59, 60]) {
        let part = number(part).filter(|part| *part <= most)?;
        of_day = of_day * 60 + part;
    }
    let day = number(day).filter(|day| (1..=31).contains(day))?;
    Some(days(year, i64::try_from(month).ok()? + 1, day) * DAY + of_day)
}

/// Days from 1 January 1970 to a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day last.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469
}

/// A number with digits only. One that is too large counts as the largest.
#[inline(never)]
fn number(digits: &[u8]) -> Option<i64> {
    let mut number: i64 = 0;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number
            .saturating_mul(10)
            .saturating_add((byte - b'0').into());
    }
    (!digits.is_empty()).then_some(number)
}

/// The value of `Retry-After` for a wait: seconds, rounded up, and at least one, so that no client
/// comes back too soon.
#[must_use]
pub fn whole_seconds(wait: Duration) -> u32 {
    let seconds = millis(wait).div_ceil(1000).max(1);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_seconds_and_never_too_short() {
        for (millis, seconds) in [
            (0, 1),
            (1, 1),
            (1000, 1),
            (1001, 2),
            (59_999, 60),
            (u64::MAX, u32::MAX),
        ] {
            let wait = Duration::from_millis(millis);
            assert_eq!(whole_seconds(wait), seconds, "{millis}");
        }
    }

    #[test]
    fn dates_in_three_forms() {
        for (date_, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Wed, 01 Mar 2000 00:00:00 GMT", Some(951_868_800)),
            ("Fri, 31 Dec 9999 23:59:60 GMT", Some(253_402_300_800)),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, 06 Foo 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(date(date_.as_bytes()), seconds, "{date_}");
        }
    }

    #[test]
    fn seconds_or_a_date() {
        let now = 784_111_777 - 90;
        for (value, seconds) in [
            (&b"120"[..], Some(120)),
            (b" 7\t", Some(7)),
            (b"0", Some(0)),
            (b"99999999999999999999999", Some(i64::MAX as u64)),
            (b"Sun, 06 Nov 1994 08:49:37 GMT", Some(90)),
            (b"Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            (b"-1", None),
            (b"1.5", None),
            (b"1e3", None),
            (b"soon", None),
            (b"", None),
            (b"\xff", None),
        ] {
            assert_eq!(
                retry_after(value, now),
                seconds.map(Duration::from_secs),
                "{value:?}"
            );
        }
    }
}
