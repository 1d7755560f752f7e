use std::ops::ControlFlow;

use super::chunk::Chunk;
use super::error::DecodeError;

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
