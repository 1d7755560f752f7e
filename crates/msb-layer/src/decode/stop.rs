use std::ops::ControlFlow;

use super::chunk::Chunk;
use super::error::DecodeError;

/// Receives chunks of uncompressed bytes; breaks to stop the decoder.
pub(super) type Out<'a> = &'a mut dyn FnMut(Chunk) -> ControlFlow<()>;

/// Why decoding stopped.
#[derive(Debug)]
pub(super) enum Stop {
    /// The compressed bytes are malformed or exceed a limit.
    Decode(DecodeError),
    /// The output stopped it.
    Output,
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}
