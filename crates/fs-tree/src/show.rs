use std::fmt;

/// Shows a path from outside on one line: what is not UTF-8, and control characters, as `\xNN`; the root as `/`.
#[must_use]
pub fn show_path(path: &[u8]) -> impl fmt::Display + use<'_> {
    struct Show<'a>(&'a [u8]);

    impl fmt::Display for Show<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            if self.0.is_empty() {
                return f.write_str("/");
            }
            for chunk in self.0.utf8_chunks() {
                for c in chunk.valid().chars() {
                    if c.is_control() {
                        write!(f, "{}", c.escape_default())?
                    } else {
                        write!(f, "{c}")?
                    }
                }
                for byte in chunk.invalid() {
                    write!(f, "\\x{byte:02x}")?;
                }
            }
            Ok(())
        }
    }
    Show(path)
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
        assert_eq!(show_path("é".as_bytes()).to_string(), "é");
        assert_eq!(show_path(b"").to_string(), "/");
    }
}
