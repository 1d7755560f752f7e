//! The faults that the registry produces.

use std::time::Duration;

/// A fault in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// This status, with the body of a typical registry.
    Status(u16),
    /// This status with this body and content type.
    Response {
        /// The status.
        status: u16,
        /// `Content-Type`.
        content_type: &'static str,
        /// The body.
        body: Vec<u8>,
    },
    /// 401 with this challenge.
    Challenge(String),
    /// This body in place of the right one.
    Body(Vec<u8>),
    /// Closes the connection after this many bytes of the body; the header has the full length.
    CutAfter(usize),
    /// Sends nothing for this long after this many bytes of the body, and keeps the connection open.
    StallAfter(usize, Duration),
    /// Sends nothing more after this many bytes of the body until the faults are removed, and then the rest.
    HoldAfter(usize),
    /// Sends the body in pieces of this many bytes with a pause before each.
    Slow(usize, Duration),
    /// Ignores `Range`: 200 and everything from the start.
    NoRange,
}
