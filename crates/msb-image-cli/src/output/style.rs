use std::io::{self, IsTerminal as _};

/// A word at the beginning of a line on stderr.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Label {
    Error,
    Hint,
}

impl Label {
    /// Returns the word and its colon, in colour where stderr is a terminal that shows it.
    pub(crate) fn text(self) -> &'static str {
        match (self, is_colored()) {
            (Self::Error, false) => "error:",
            (Self::Error, true) => "\x1b[1;31merror:\x1b[0m",
            (Self::Hint, false) => "hint:",
            (Self::Hint, true) => "\x1b[1;36mhint:\x1b[0m",
        }
    }
}

/// Returns whether stderr may have colours: `NO_COLOR` is unset (no-color.org), and the terminal is capable of them.
fn is_colored() -> bool {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    io::stderr().is_terminal()
        && variable("NO_COLOR").is_none()
        && variable("TERM").is_some_and(|term| term != "dumb")
}
