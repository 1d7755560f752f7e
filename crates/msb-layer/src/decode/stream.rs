use std::fmt;

use super::error::DecodeError;
use super::output::Output;
use super::stop::{Out, Stop};

/// Decodes one compression. A [`Decoder`](super::Decoder) chooses the implementation by the first bytes of a stream.
pub(super) trait StreamDecoder: fmt::Debug + Send {
    /// Decodes the next bytes of the stream, of any length, into `output`, and passes each full buffer to `out`.
    fn push(&mut self, input: &[u8], output: &mut Output, out: Out<'_>) -> Result<(), Stop>;

    /// Checks that the stream may end here.
    fn finish(&self) -> Result<(), DecodeError>;
}
