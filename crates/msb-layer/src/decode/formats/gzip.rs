//! gzip: the loop over members. [`Inflate`] decodes the deflate data in them.

use std::fmt;

use super::gzip_header::HeaderReader;
use super::inflate::{Inflate, ZlibRs};
use crate::decode::compression::Compression;
use crate::decode::error::{Corruption, DecodeError};
use crate::decode::format::Format;
use crate::decode::output::Output;
use crate::decode::stop::{Out, Stop};
use crate::decode::stream::StreamDecoder;

/// The row of the table.
pub(super) const FORMAT: Format = Format {
    compression: Compression::Gzip,
    name: "gzip",
    begins: |start| start.starts_with(&[0x1f, 0x8b]),
    media_types: &["+gzip", ".gzip"],
    decoder: |_| Box::new(Gzip::new()),
};

/// Decodes gzip members, one after the other.
#[derive(Debug)]
pub(super) struct Gzip<I = ZlibRs> {
    state: State,
    inflate: I,
    /// Position in the stream of the next byte to be pushed.
    position: u64,
    /// CRC-32 of the current member's uncompressed bytes.
    crc: crc32fast::Hasher,
    /// Length of the current member's uncompressed bytes, modulo 2^32.
    len: u32,
}

#[derive(Debug)]
enum State {
    /// After a member. Only the next bytes show what follows: this many bytes of another magic have been read.
    Between {
        magic: u8,
    },
    Header(HeaderReader),
    Body,
    Trailer {
        bytes: [u8; 8],
        filled: usize,
    },
    /// In the zeros after the last member.
    Zeros,
}

impl Gzip {
    pub(super) fn new() -> Self {
        Self {
            state: State::Header(HeaderReader::new()),
            inflate: ZlibRs::new(),
            position: 0,
            crc: crc32fast::Hasher::new(),
            len: 0,
        }
    }
}

impl<I: Inflate + fmt::Debug + Send> StreamDecoder for Gzip<I> {
    fn push(&mut self, mut input: &[u8], output: &mut Output, out: Out<'_>) -> Result<(), Stop> {
        while !input.is_empty() {
            let consumed = match &mut self.state {
                State::Body => self.on_body(input, output, out)?,
                _ => self.on_frame(input)?,
            };
            self.position += consumed as u64;
            input = &input[consumed..];
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), DecodeError> {
        match self.state {
            State::Between { magic: 0 } | State::Zeros => Ok(()),
            State::Between { .. } => Err(self.trailing_data(self.position - 1)),
            State::Header(_) | State::Body | State::Trailer { .. } => Err(DecodeError::Truncated {
                compression: Compression::Gzip,
                offset: self.position,
            }),
        }
    }
}

impl<I: Inflate> Gzip<I> {
    /// Reads bytes of headers and trailers, and returns how many.
    fn on_frame(&mut self, input: &[u8]) -> Result<usize, DecodeError> {
        let position = self.position;
        match &mut self.state {
            State::Header(reader) => {
                let (consumed, done) = match reader.push(input) {
                    Ok(progress) => progress,
                    Err(fault) => return Err(self.corrupt(fault)),
                };
                if done {
                    self.inflate.reset();
                    self.crc = crc32fast::Hasher::new();
                    self.len = 0;
                    self.state = State::Body;
                }
                Ok(consumed)
            }
            State::Trailer { bytes, filled } => {
                let taken = input.len().min(bytes.len() - *filled);
                bytes[*filled..][..taken].copy_from_slice(&input[..taken]);
                *filled += taken;
                if *filled == bytes.len() {
                    let bytes = *bytes;
                    self.check_trailer(bytes, position + taken as u64)?;
                    self.state = State::Between { magic: 0 };
                }
                Ok(taken)
            }
            State::Between { magic } => match (*magic, input[0]) {
                (0, 0) => {
                    self.state = State::Zeros;
                    Ok(1)
                }
                (0, 0x1f) => {
                    *magic = 1;
                    Ok(1)
                }
                (1, 0x8b) => {
                    let mut reader = HeaderReader::new();
                    // OK to ignore: the magic alone neither completes a header nor makes it malformed.
                    let _ = reader.push(&[0x1f, 0x8b]);
                    self.state = State::Header(reader);
                    Ok(1)
                }
                (known, _) => Err(self.trailing_data(position - u64::from(known))),
            },
            State::Zeros => match input.iter().position(|byte| *byte != 0) {
                Some(index) => Err(self.trailing_data(position + index as u64)),
                None => Ok(input.len()),
            },
            State::Body => Ok(0),
        }
    }

    /// Inflates until the input is used up or the member's body ends. Returns the number of bytes read.
    fn on_body(&mut self, input: &[u8], output: &mut Output, out: Out<'_>) -> Result<usize, Stop> {
        let mut consumed = 0;
        loop {
            let space = output.space();
            let room = space.len();
            let Ok(progress) = self.inflate.inflate(&input[consumed..], space) else {
                self.position += consumed as u64;
                return Err(self.corrupt(Corruption::Deflate).into());
            };
            let inflated = &space[..progress.produced];
            self.crc.update(inflated);
            // The trailer's length is modulo 2^32, and a buffer is far smaller.
            let produced = u32::try_from(inflated.len()).unwrap_or(u32::MAX);
            self.len = self.len.wrapping_add(produced);
            consumed += progress.consumed;
            let is_full = progress.produced == room;
            output.advance(progress.produced, out)?;
            if progress.done {
                self.state = State::Trailer {
                    bytes: [0; 8],
                    filled: 0,
                };
                return Ok(consumed);
            }
            if is_full {
                continue;
            }
            if consumed == input.len() {
                return Ok(consumed);
            }
            if progress.consumed == 0 && progress.produced == 0 {
                // Input and output space are left, and no progress was made: no valid stream does this.
                self.position += consumed as u64;
                return Err(self.corrupt(Corruption::Deflate).into());
            }
        }
    }

    fn check_trailer(&mut self, trailer: [u8; 8], offset: u64) -> Result<(), DecodeError> {
        let [a, b, c, d, e, f, g, h] = trailer;
        let expected = u32::from_le_bytes([a, b, c, d]);
        let actual = self.crc.clone().finalize();
        if expected != actual {
            return Err(DecodeError::Checksum {
                offset,
                expected,
                actual,
            });
        }
        let expected = u32::from_le_bytes([e, f, g, h]);
        if expected != self.len {
            return Err(DecodeError::Length {
                offset,
                expected,
                actual: self.len,
            });
        }
        Ok(())
    }

    fn corrupt(&self, fault: Corruption) -> DecodeError {
        DecodeError::Corrupt {
            compression: Compression::Gzip,
            offset: self.position,
            fault,
            source: None,
        }
    }

    fn trailing_data(&self, offset: u64) -> DecodeError {
        DecodeError::TrailingData {
            compression: Compression::Gzip,
            offset,
        }
    }
}
