//! Escapes untrusted text for one line of a terminal or a log.
//!
//! File names, server messages, image configs and record contents are untrusted. Printed raw, they can clear the screen, forge
//! a second log line, reverse the direction of text or hide characters. Every crate of the workspace escapes such text with
//! this crate.
//!
//! ```text
//!   bytes or str ──▶ escape(text)        escapes the whole text while it is printed; allocates nothing
//!               └──▶ Excerpt::new(text)  an owned prefix of at most 160 characters, for errors
//! ```
//!
//! A character is printed as it is if [`is_printable`] returns `true`. Any other becomes `\n`, `\r`, `\t` or `\u{...}`, and
//! a byte that is not UTF-8 becomes `\xNN`. A backslash is not escaped, so the output is for people, not for parsing.
//!
//! ```
//! use escape_text::escape;
//!
//! assert_eq!(escape("a\x1b[31m\nb").to_string(), r"a\u{1b}[31m\nb");
//! assert_eq!(escape(b"gpj.\xff\xe2\x80\xae").to_string(), r"gpj.\xff\u{202e}");
//! ```
//!
//! # Invariants
//! - The output of [`escape()`] and of an [`Excerpt`] contains only printable characters, so it never spans two lines, and
//!   escaping it again changes nothing.
//! - Creating an [`Excerpt`] reads a bounded prefix of its input, however long the input is.
//!
//! # Specification
//! Unicode 16.0: the general categories Cc, Cf, Zl, Zp and Zs, and the property Default_Ignorable_Code_Point.

mod escape;
mod excerpt;
mod printable;

pub use escape::{Escaped, escape, escape_path};
pub use excerpt::Excerpt;
pub use printable::is_printable;
