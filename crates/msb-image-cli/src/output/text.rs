use std::fmt;
use std::time::Duration;

use escape_text::is_printable;
use microsandbox_image::Digest;

/// Returns a value that prints JSON with the unprintable characters of its strings as `\uXXXX`.
pub(crate) fn ascii_json(json: &str) -> impl fmt::Display + use<'_> {
    struct Show<'a>(&'a str);

    impl fmt::Display for Show<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let mut rest = self.0;
            // Outside of strings JSON has no such characters.
            while let Some((at, c)) = rest.char_indices().find(|(_, c)| !is_printable(*c)) {
                f.write_str(&rest[..at])?;
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(f, "\\u{unit:04x}")?;
                }
                rest = &rest[at + c.len_utf8()..];
            }
            f.write_str(rest)
        }
    }
    Show(json)
}

/// Returns the short form of a digest: `sha256:0123456789ab`.
pub(crate) fn short(digest: &Digest) -> String {
    digest
        .to_string()
        .chars()
        .take("sha256:".len() + 12)
        .collect()
}

/// Returns a number with its noun: `1 layer`, `2 layers`.
pub(crate) fn count(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}

/// Prints a number of bytes in a fitting unit: `0 B`, `3.5 MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [
            (1_u64 << 40, "TiB"),
            (1 << 30, "GiB"),
            (1 << 20, "MiB"),
            (1 << 10, "KiB"),
        ];
        let text = match units.iter().find(|(unit, _)| self.0 >= *unit) {
            Some((unit, name)) => {
                let tenths = (self.0 % unit) * 10 / unit;
                format!("{}.{tenths} {name}", self.0 / unit)
            }
            None => format!("{} B", self.0),
        };
        f.pad(&text)
    }
}

/// Prints an age in its largest unit, as options take ages: `45s`, `10m`, `12h`, `7d`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Age(pub(crate) Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm')];
        let (unit, name) = units
            .into_iter()
            .find(|(unit, _)| seconds >= *unit)
            .unwrap_or((1, 's'));
        write!(f, "{}{name}", seconds / unit)
    }
}

/// Returns a time that is left, in its largest unit: `8 s`, `12 min`, `3 h`.
pub(crate) fn time_left(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// Prints a point in time, in UTC: `2026-11-23 08:09:10`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    /// Seconds since 1970, without bounds.
    pub(crate) seconds: i64,
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (
            self.seconds.div_euclid(86_400),
            self.seconds.rem_euclid(86_400),
        );
        // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days: years begin in March, so that the
        // leap day is the last one; 400 years have 146,097 days. No overflow: days are below 2^47.
        let days = days + 719_468;
        let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (hour, minute) = (second / 3_600, second / 60 % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02}",
            second % 60
        )
    }
}

/// Returns type and permissions as `ls -l` prints them: `drwxr-xr-x`.
pub(crate) fn mode(mode: u16) -> String {
    let file_type = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o100_000 => '-',
        0o120_000 => 'l',
        0o060_000 => 'b',
        0o020_000 => 'c',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '?',
    };
    let mut text = String::from(file_type);
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    for (place, (special, with_x, without_x)) in special.into_iter().enumerate() {
        let bits = mode >> (6 - 3 * place);
        text.push(if bits & 4 == 0 { '-' } else { 'r' });
        text.push(if bits & 2 == 0 { '-' } else { 'w' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => with_x,
            (true, false) => without_x,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_after_2106_and_beyond_reason_are_shown() {
        let show = |seconds| Time { seconds }.to_string();
        assert_eq!(show(0), "1970-01-01 00:00:00");
        assert_eq!(show(-1), "1969-12-31 23:59:59");
        assert_eq!(show(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(show(4_294_967_296), "2106-02-07 06:28:16");
        assert_eq!(show(-62_167_219_200), "0000-01-01 00:00:00");
        assert!(show(i64::MAX).starts_with("292277026596-"));
        assert!(show(i64::MIN).starts_with("-292277022657-"));
    }

    #[test]
    fn setuid_setgid_and_sticky_are_shown() {
        assert_eq!(mode(0o104_755), "-rwsr-xr-x");
        assert_eq!(mode(0o102_644), "-rw-r-Sr--");
        assert_eq!(mode(0o041_777), "drwxrwxrwt");
        assert_eq!(mode(0o041_776), "drwxrwxrwT");
        assert_eq!(mode(0o120_777), "lrwxrwxrwx");
    }

    #[test]
    fn ages_have_their_largest_unit() {
        let show = |seconds| Age(Duration::from_secs(seconds)).to_string();
        assert_eq!(show(0), "0s");
        assert_eq!(show(59), "59s");
        assert_eq!(show(119), "1m");
        assert_eq!(show(86_399), "23h");
        assert_eq!(show(30 * 86_400), "30d");
    }

    #[test]
    fn bytes_have_a_unit() {
        let show = |bytes| Bytes(bytes).to_string();
        assert_eq!(show(0), "0 B");
        assert_eq!(show(1023), "1023 B");
        assert_eq!(show(1024), "1.0 KiB");
        assert_eq!(show(3 * (1 << 20) + (1 << 19)), "3.5 MiB");
        assert_eq!(show(u64::MAX), "16777215.9 TiB");
    }

    #[test]
    fn json_is_printable_and_keeps_its_data() {
        let value = "a\u{7f}\u{9b}\u{202e}\u{e0041} é";
        let text = ascii_json(&serde_json::to_string(value).expect("it is a string")).to_string();
        assert_eq!(text, r#""a\u007f\u009b\u202e\udb40\udc41 é""#);
        assert_eq!(serde_json::from_str::<String>(&text).expect("JSON"), value);
    }
}
