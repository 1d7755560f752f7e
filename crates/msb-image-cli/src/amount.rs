//! Amounts on the command line: sizes and ages.

use std::time::Duration;

use microsandbox_image::parse_bytes;

/// Parses a size: bytes, or K, M, G, T (also KiB, MiB, ...) as powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, &'static str> {
    parse_bytes(text).ok_or("a size is a number with an optional suffix K, M, G or T")
}

/// Parses an age, such as `90s`, `10m`, `12h` or `7d`.
pub(crate) fn age(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "an age is a number with a suffix s, m, h or d";
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, suffix) = text.split_at(digits);
    let seconds = match suffix {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(EXPECTED),
    };
    let number: u64 = number.parse().map_err(|_| EXPECTED)?;
    let seconds = number.checked_mul(seconds).ok_or(EXPECTED)?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_a_unit_and_do_not_overflow() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(age(text), Ok(Duration::from_secs(seconds)));
        }
        let long = format!("{}d", u64::MAX);
        for text in ["", "7", "d", "-1d", "1w", "1 d", "1d2", &long] {
            assert!(age(text).is_err(), "{text}");
        }
    }
}
