//! Numbers in tar headers and PAX records.
//!
//! Replaces the accessors of `tokio_tar::Header`, which read a base-256 field as unsigned and silently drop its high bytes,
//! reject an all-NUL field, and return `mtime` as `u64`.

/// Reads a numeric header field: octal text, or base-256 if the top bit of the first byte is set (GNU and star).
///
/// Octal text may be padded with spaces or NULs on either side; a field of padding alone is 0. Base-256 is two's complement
/// and may be negative. Returns `None` for anything else and for numbers out of range.
pub(super) fn field(bytes: &[u8]) -> Option<i64> {
    match bytes.first() {
        Some(first) if first & 0x80 != 0 => base256(bytes),
        _ => octal(bytes),
    }
}

fn octal(bytes: &[u8]) -> Option<i64> {
    let padding = |byte: &u8| matches!(byte, b' ' | 0);
    let start = bytes.iter().position(|byte| !padding(byte));
    let digits = &bytes[start.unwrap_or(bytes.len())..];
    let mut value = 0_i64;
    for byte in digits.iter().take_while(|byte| !padding(byte)) {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 8)?;
        value = value.checked_mul(8)?.checked_add(digit.into())?;
    }
    Some(value)
}

fn base256(bytes: &[u8]) -> Option<i64> {
    let (first, rest) = bytes.split_first()?;
    // The top bit marks the encoding, the next one is the sign.
    let negative = first & 0x40 != 0;
    let mut value = i64::from(first & 0x3f) - if negative { 0x40 } else { 0 };
    for byte in rest {
        value = value.checked_mul(256)?.checked_add((*byte).into())?;
    }
    Some(value)
}

/// Reads decimal digits without a sign, up to `i64::MAX`, as POSIX pax writes sizes and ids.
pub(super) fn decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    for byte in bytes {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value.checked_mul(10)?.checked_add(digit.into())?;
    }
    u64::try_from(value).ok()
}

/// Reads a PAX time: decimal seconds with an optional sign and an optional fraction, of which nine digits count.
///
/// Returns whole seconds, rounded down, and the nanoseconds after them.
pub(super) fn time(bytes: &[u8]) -> Option<(i64, u32)> {
    let (negative, digits) = match bytes.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, bytes),
    };
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(dot) => (&digits[..dot], &digits[dot + 1..]),
        None => (digits, &[][..]),
    };
    let secs = i64::try_from(decimal(whole)?).ok()?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut nanos = 0_u32;
    for place in 0..9 {
        nanos = nanos * 10 + fraction.get(place).map_or(0, |byte| u32::from(byte - b'0'));
    }
    // OK because `secs` is at most i64::MAX, so its negation minus one fits.
    Some(match (negative, nanos) {
        (false, _) => (secs, nanos),
        (true, 0) => (-secs, 0),
        (true, _) => (-secs - 1, 1_000_000_000 - nanos),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_padding_on_either_side() {
        assert_eq!(field(b"0000644\0"), Some(0o644));
        assert_eq!(field(b"   644 \0"), Some(0o644));
        assert_eq!(field(&[0, 0, 0, b'6', b'4', b'4', b' ']), Some(0o644));
        assert_eq!(field(b"77777777777"), Some(0o77_777_777_777));
        assert_eq!(field(&[0; 8]), Some(0));
        assert_eq!(field(b"        "), Some(0));
        assert_eq!(field(b"0000648\0"), None);
        assert_eq!(field(b"-000001\0"), None);
        assert_eq!(field(b"+000001\0"), None);
    }

    #[test]
    fn base256_negative_and_too_large() {
        assert_eq!(field(&[0x80, 0, 0, 0, 0, 0, 1, 0]), Some(256));
        assert_eq!(field(&[0xff; 12]), Some(-1));
        assert_eq!(field(&[0xff; 8]), Some(-1));
        let mut min = [0xff_u8; 12];
        min[4..].copy_from_slice(&i64::MIN.to_be_bytes());
        assert_eq!(field(&min), Some(i64::MIN));
        let mut max = [0_u8; 12];
        max[0] = 0x80;
        max[4..].copy_from_slice(&i64::MAX.to_be_bytes());
        assert_eq!(field(&max), Some(i64::MAX));
        max[3] = 1;
        assert_eq!(field(&max), None);
        min[3] = 0xfe;
        assert_eq!(field(&min), None);
    }

    #[test]
    fn decimal_takes_digits_alone() {
        assert_eq!(decimal(b"0123456789"), Some(123_456_789));
        assert_eq!(
            decimal(b"9223372036854775807"),
            Some(i64::MAX.unsigned_abs())
        );
        // The slash and the colon are the neighbours of the digits in ASCII.
        for bad in [
            &b""[..],
            b"1/",
            b"1:",
            b" 1",
            b"1 ",
            b"-1",
            b"9223372036854775808",
        ] {
            assert_eq!(decimal(bad), None, "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn pax_time_negative_and_fractions() {
        assert_eq!(time(b"-1.5"), Some((-2, 500_000_000)));
        assert_eq!(time(b"123.5"), Some((123, 500_000_000)));
        assert_eq!(time(b"123."), Some((123, 0)));
        assert_eq!(time(b"-0.000000001"), Some((-1, 999_999_999)));
        assert_eq!(time(b"1.0000000019"), Some((1, 1)));
        assert_eq!(time(b"-7"), Some((-7, 0)));
        assert_eq!(time(b"4294967296.25"), Some((1 << 32, 250_000_000)));
        assert_eq!(time(b"9223372036854775807"), Some((i64::MAX, 0)));
        for bad in [
            &b""[..],
            b"-",
            b".5",
            b"1e9",
            b"+1",
            b"1.5x",
            b"9223372036854775808",
        ] {
            assert_eq!(time(bad), None, "{}", bad.escape_ascii());
        }
    }
}
