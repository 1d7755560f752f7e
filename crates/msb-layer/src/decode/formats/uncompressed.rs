//! No compression: the bytes are copied into chunks.

use crate::decode::compression::Compression;
use crate::decode::error::DecodeError;
use crate::decode::format::Format;
use crate::decode::output::Output;
use crate::decode::stop::{Out, Stop};
use crate::decode::stream::StreamDecoder;

/// The row of the table for every stream that begins with no other format's magic.
pub(super) const FORMAT: Format = Format {
    compression: Compression::None,
    name: "uncompressed",
    begins: |_| true,
    media_types: &[".tar"],
    decoder: |_| Box::new(Uncompressed),
};

#[derive(Debug)]
struct Uncompressed;

impl StreamDecoder for Uncompressed {
    fn push(&mut self, mut input: &[u8], output: &mut Output, out: Out<'_>) -> Result<(), Stop> {
        while !input.is_empty() {
            let space = output.space();
            let len = input.len().min(space.len());
            space[..len].copy_from_slice(&input[..len]);
            output.advance(len, out)?;
            input = &input[len..];
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), DecodeError> {
        Ok(())
    }
}
