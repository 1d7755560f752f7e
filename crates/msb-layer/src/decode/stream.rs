use std::fmt;
use std::ops::ControlFlow;

use super::chunk::Chunk;
use super::error::DecodeError;
use super::output::Output;

/// Decodes one compression. A [`Decoder`](super::Decoder) chooses it by the first bytes of a stream.
pub(super) trait StreamDecoder: fmt::Debug + Send {
    /// Decodes the next bytes of the stream, of any length, into `output`, and passes each full buffer to `out`.
    fn push(&mut self, input: &[u8], output: &mut Output, out: Out<'_>) -> Result<(), Stop>;

    /// Checks that the stream may end here.
    fn finish(&self) -> Result<(), DecodeError>;
}

/// Takes a chunk of uncompressed bytes; breaks where no more are accepted.
pub(super) type Out<'a> = &'a mut dyn FnMut(Chunk) -> ControlFlow<()>;

/// Reports why decoding stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The compressed bytes are malformed or exceed a limit.
    Decode(DecodeError),
    /// The output accepted no more.
    Output,
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}
