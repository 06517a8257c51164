//! Durations as programs in Go write them, and Kubernetes after them (GEP-2257).

/// A duration in seconds, below 1e10: `168h0m0s`, `15m`, `1.5s`, `300ms`, `0`.
pub(crate) fn seconds_of_go(text: &str) -> Option<f64> {
    if text == "0" {
        return Some(0.0);
    }
    let mut left = text;
    let mut seconds = 0_f64;
    while !left.is_empty() {
        let end = left.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = left.split_at_checked(end)?;
        let number: f64 = number.parse().ok()?;
        let (unit, rest) = ["ms", "h", "m", "s"]
            .into_iter()
            .find_map(|unit| Some((unit, rest.strip_prefix(unit)?)))?;
        seconds += number
            * match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                _ => 0.001,
            };
        left = rest;
    }
    let is_bounded = (0.0..1e10).contains(&seconds) && !text.is_empty();
    is_bounded.then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::seconds_of_go;

    #[test]
    fn durations_of_go() {
        for (text, expected) in [
            ("0", Some(0.0)),
            ("0s", Some(0.0)),
            ("168h0m0s", Some(604_800.0)),
            ("15m", Some(900.0)),
            ("1.5s", Some(1.5)),
            ("300ms", Some(0.3)),
            ("", None),
            ("15", None),
            ("s", None),
            ("1d", None),
            ("-1s", None),
            ("99999999h", None),
        ] {
            assert_eq!(seconds_of_go(text), expected, "{text}");
        }
    }
}
