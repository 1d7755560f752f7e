use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::termios::tcgetwinsize;

/// The lines of progress at the bottom of the terminal, which other writers to stderr must not break. One pull at a time has some.
static LINES: Mutex<Lines> = Mutex::new(Lines {
    lengths: Vec::new(),
});

#[derive(Debug)]
struct Lines {
    /// The number of characters of each line on the screen.
    lengths: Vec<usize>,
}

/// The size of the terminal, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) rows: usize,
}

impl Size {
    /// Returns the size of the terminal of stderr; the usual one if it has none.
    pub(super) fn of_terminal() -> Self {
        let given = tcgetwinsize(io::stderr()).ok();
        let given = given.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        given.map_or(
            Self {
                columns: 80,
                rows: 24,
            },
            |size| Self {
                columns: size.ws_col.into(),
                rows: size.ws_row.into(),
            },
        )
    }
}

/// Runs `write`, which writes to stderr, with the lines of progress off the screen. They appear again when they change.
pub(crate) fn without_bars<T>(write: impl FnOnce() -> T) -> T {
    let mut lines = lock();
    lines.replace(&[], Size::of_terminal());
    write()
}

/// Replaces the lines of progress. They are cut to the width of the terminal. Printable characters of one column each alone.
pub(super) fn draw(text: &[String], size: Size) {
    lock().replace(text, size);
}

fn lock() -> MutexGuard<'static, Lines> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lines {
    fn replace(&mut self, text: &[String], size: Size) {
        let output = self.update(text, size);
        if !output.is_empty() {
            // Fails if the terminal is gone.
            let _ = io::stderr().lock().write_all(output.as_bytes());
        }
    }

    /// Returns what replaces the lines on the screen by others (ECMA-48: CUU, EL, ED).
    fn update(&mut self, text: &[String], size: Size) -> String {
        // A terminal that became narrower shows a line in several rows.
        let rows = |length: &usize| length.div_ceil(size.columns.max(1)).max(1);
        let up: usize = self.lengths.iter().map(rows).sum();
        let mut output = String::new();
        if up > 0 {
            output.push_str(&format!("\x1b[{up}A\r"));
        }
        self.lengths.clear();
        for line in text {
            // A character in the last column would wrap on some terminals.
            let line: String = line.chars().take(size.columns.saturating_sub(1)).collect();
            output.push_str(&line);
            output.push_str("\x1b[K\n");
            self.lengths.push(line.chars().count());
        }
        if up > text.len() {
            output.push_str("\x1b[J");
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_replaced_whatever_the_width_became() {
        let mut lines = Lines {
            lengths: Vec::new(),
        };
        let size = |columns| Size { columns, rows: 24 };
        let text = |lines: &[&str]| {
            lines
                .iter()
                .map(|&line| line.to_owned())
                .collect::<Vec<_>>()
        };
        let first = lines.update(&text(&["0123456789", "a"]), size(8));
        assert_eq!(first, "0123456\x1b[K\na\x1b[K\n");
        assert_eq!(
            lines.update(&text(&["b", "c"]), size(8)),
            "\x1b[2A\rb\x1b[K\nc\x1b[K\n"
        );
        lines.update(&text(&["0123456"]), size(8));
        // The seven characters have three rows of three columns.
        assert_eq!(
            lines.update(&text(&["x"]), size(3)),
            "\x1b[3A\rx\x1b[K\n\x1b[J"
        );
        assert_eq!(lines.update(&[], size(3)), "\x1b[1A\r\x1b[J");
        assert_eq!(lines.update(&[], size(3)), "");
    }
}
