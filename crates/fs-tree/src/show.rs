use std::fmt;

use escape_text::escape;

/// Returns a value that prints an untrusted path on one line, escaped as [`escape_text::escape`] does; the root is `/`.
#[must_use]
pub fn show_path(path: &[u8]) -> impl fmt::Display + use<'_> {
    if path.is_empty() {
        return escape("/");
    }
    escape(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_reaches_the_terminal_raw() {
        assert_eq!(
            show_path(b"a/\x1b[31m\xffz\n").to_string(),
            "a/\\u{1b}[31m\\xffz\\n"
        );
        assert_eq!(show_path("é\u{202e}".as_bytes()).to_string(), "é\\u{202e}");
        assert_eq!(show_path(b"").to_string(), "/");
    }
}
