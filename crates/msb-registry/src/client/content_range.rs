//! The `Content-Range` header (RFC 9110, section 14.4).

/// `bytes 10-19/20`. A `*` in place of the total is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ContentRange {
    pub(super) start: u64,
    /// The last byte; `start <= end < total`.
    pub(super) end: u64,
    pub(super) total: u64,
}

impl ContentRange {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (unit, range) = text.trim().split_once(' ')?;
        let (span, total) = range.trim().split_once('/')?;
        let (start, end) = span.split_once('-')?;
        let number = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| text.parse().ok())?
        };
        let range = Self {
            start: number(start)?,
            end: number(end)?,
            total: number(total)?,
        };
        (unit.eq_ignore_ascii_case("bytes") && range.start <= range.end && range.end < range.total)
            .then_some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let range = ContentRange {
            start: 10,
            end: 19,
            total: 20,
        };
        assert_eq!(ContentRange::parse("bytes 10-19/20"), Some(range));
        for odd in [
            "",
            "bytes",
            "bytes */20",
            "bytes 10-19/*",
            "bytes 19-10/20",
            "bytes 10-20/20",
            "items 10-19/20",
            "bytes +1-2/3",
            "bytes 1-2",
        ] {
            assert_eq!(ContentRange::parse(odd), None, "{odd}");
        }
    }
}
