//! libarchive's encoding of xattr names and values.

/// Decodes `%xx` escapes, as in libarchive's xattr names.
pub(super) fn url_decode(text: &[u8], into: &mut Vec<u8>) -> Option<()> {
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            let digit = |byte: u8| char::from(byte).to_digit(16);
            into.push(u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()?);
            rest = tail;
        } else {
            into.push(*byte);
        }
    }
    Some(())
}

/// Decodes Base64 with or without padding; libarchive writes it without.
pub(super) fn base64_decode(text: &[u8], into: &mut Vec<u8>) -> Option<()> {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 {
        return None;
    }
    let (mut bits, mut pending) = (0_u32, 0_u32);
    let digits = &text[..text.len() - padding];
    if digits.len() % 4 == 1 {
        return None;
    }
    for byte in digits {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(digit)) & 0xffff;
        pending += 6;
        if pending >= 8 {
            pending -= 8;
            into.push(u8::try_from(bits >> pending & 0xff).ok()?);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_with_and_without_padding() {
        let decode = |text: &[u8]| {
            let mut out = Vec::new();
            base64_decode(text, &mut out).map(|()| out)
        };
        assert_eq!(decode(b""), Some(vec![]));
        assert_eq!(decode(b"YQ"), Some(b"a".to_vec()));
        assert_eq!(decode(b"YQ=="), Some(b"a".to_vec()));
        assert_eq!(decode(b"/+8"), Some(vec![0xff, 0xef]));
        assert_eq!(decode(b"Y"), None);
        assert_eq!(decode(b"Y!=="), None);
    }
}
