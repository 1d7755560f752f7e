//! Durations as Go writes them.

use std::time::Duration;

/// Parses a sequence of decimal numbers, each with a unit: `3s`, `1m30s`, `1.5h`, `250ms`; also a bare `0`.
///
/// `None` for everything else, negative durations and those beyond 64 bits of nanoseconds.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let is_number = |c: char| c.is_ascii_digit() || c == '.';
        let (unit, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        let unit = unit_nanos(unit)?;
        let whole = match whole {
            "" => 0,
            digits => digits.parse::<u64>().ok()?,
        };
        total = total
            .checked_add(whole.checked_mul(unit)?)?
            .checked_add(part_of(unit, fraction))?;
        rest = after;
    }
    Some(Duration::from_nanos(total))
}

fn split_digits(text: &str) -> (&str, &str) {
    let is_other = |c: char| !c.is_ascii_digit();
    text.split_at(text.find(is_other).unwrap_or(text.len()))
}

/// Digits of a fraction that count: a nanosecond is the 13th digit of an hour.
const FRACTION_DIGITS: usize = 18;

/// Returns the nanoseconds of a decimal fraction of a unit, rounded down.
fn part_of(unit: u64, digits: &str) -> u64 {
    let (mut value, mut scale) = (0_u128, 1_u128);
    for digit in digits.bytes().take(FRACTION_DIGITS) {
        value = value * 10 + u128::from(digit - b'0');
        scale *= 10;
    }
    // Less than one unit.
    u64::try_from(value * u128::from(unit) / scale).unwrap_or(unit)
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        // Both signs for micro are in use.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        let cases = [
            ("3s", Some(3_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("1.5h", Some(5_400_000_000_000)),
            (".5s", Some(500_000_000)),
            ("1.s", Some(1_000_000_000)),
            ("250ms", Some(250_000_000)),
            ("2us3\u{b5}s4\u{3bc}s5ns", Some(9_005)),
            ("0", Some(0)),
            ("+0s", Some(0)),
            ("0.3333333333333333333h", Some(1_199_999_999_999)),
            ("", None),
            ("3", None),
            ("s", None),
            (".s", None),
            ("-1s", None),
            ("1d", None),
            ("1s ", None),
            ("1e3s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615s", None),
            ("\u{663}s", None),
        ];
        for (text, nanos) in cases {
            assert_eq!(parse(text), nanos.map(Duration::from_nanos), "{text}");
        }
    }
}
