//! A header that a file adds to requests.

use std::fmt;

use crate::error::ValueFault;

/// A header field. The value may be a secret: `Debug` does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    name: String,
    value: String,
}

impl Header {
    pub(crate) fn new(name: &str, value: &str) -> Result<Self, ValueFault> {
        Self::check_name(name)?;
        // A tab may stand within a value.
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(ValueFault::HeaderValue);
        }
        Ok(Self {
            name: name.to_owned(),
            value: value.to_owned(),
        })
    }

    /// Checks that a name is a token of RFC 9110.
    pub(crate) fn check_name(name: &str) -> Result<(), ValueFault> {
        let is_token_char = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(is_token_char) {
            return Err(ValueFault::HeaderName);
        }
        Ok(())
    }

    /// Returns the name as it is written in the file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the value.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({}: ..)", self.name)
    }
}
