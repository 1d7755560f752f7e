//! The texts of errors, which reach terminals and logs.

use std::error::Error;

/// Asserts that an error and its causes print in one line each, without control characters from outside.
///
/// # Panics
/// When a text has a line break or another control character.
pub fn check_message(error: &dyn Error) {
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        assert!(
            !text.is_empty() && !text.contains(char::is_control),
            "{text:?}"
        );
        next = error.source();
    }
}
