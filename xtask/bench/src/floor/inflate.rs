use std::fmt;

use zlib_rs::{Inflate, InflateFlush, Status};
use zstd::stream::raw::{Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

use super::Isal;
use crate::BenchError;

/// Plain bytes handed on at a time.
const PLAIN_BYTES: usize = 256 << 10;

/// The library that inflates gzip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// ISA-L, the fastest there is.
    Isal,
    /// zlib-rs, the one that our tool uses.
    ZlibRs,
}

impl Codec {
    /// The name on a command line and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Isal => "isal",
            Codec::ZlibRs => "zlib-rs",
        }
    }
}

/// A full buffer and how many of its bytes count.
#[derive(Debug)]
pub struct Plain {
    /// As long as every other buffer.
    pub buffer: Vec<u8>,
    /// How many bytes count.
    pub len: usize,
}

/// A blob on its way to plain bytes: gzip of any number of members, zstd of any number of frames, or nothing.
pub struct Unpack {
    format: Format,
    codec: Codec,
    buffer: Vec<u8>,
    len: usize,
}

enum Format {
    Unknown,
    Gzip(Box<Gzip>),
    Zstd(ZstdDecoder<'static>),
    None,
}

/// One step of a raw deflate stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    /// Bytes behind the end of the stream that are among `consumed`, or were among those of earlier steps; at most 8.
    pub(super) ahead: usize,
    pub(super) done: bool,
}

/// A raw deflate decoder.
pub(super) trait RawInflate {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, BenchError>;
    fn reset(&mut self);
}

impl Unpack {
    /// Before the first byte.
    #[must_use]
    pub fn new(codec: Codec) -> Unpack {
        Unpack {
            format: Format::Unknown,
            codec,
            buffer: vec![0; PLAIN_BYTES],
            len: 0,
        }
    }

    /// Takes the next compressed bytes and hands out each full buffer; `out` gives another for it.
    ///
    /// # Errors
    /// [`BenchError::Inflate`], [`BenchError::Isal`], and those of `out`.
    pub fn push(
        &mut self,
        mut input: &[u8],
        out: &mut dyn FnMut(Plain) -> Result<Vec<u8>, BenchError>,
    ) -> Result<(), BenchError> {
        if matches!(self.format, Format::Unknown) {
            self.format = match input {
                [0x1f, 0x8b, ..] => Format::Gzip(Box::new(Gzip::new(self.codec)?)),
                [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
                    Format::Zstd(ZstdDecoder::new().map_err(|_| BenchError::Inflate)?)
                }
                _ => Format::None,
            };
        }
        loop {
            let space = &mut self.buffer[self.len..];
            let (consumed, produced) = match &mut self.format {
                Format::Gzip(gzip) => gzip.step(input, space)?,
                Format::Zstd(zstd) => {
                    let mut from = InBuffer::around(input);
                    let mut to = OutBuffer::around(space);
                    zstd.run(&mut from, &mut to)
                        .map_err(|_| BenchError::Inflate)?;
                    (from.pos(), to.pos())
                }
                Format::None | Format::Unknown => {
                    let len = input.len().min(space.len());
                    space[..len].copy_from_slice(&input[..len]);
                    (len, len)
                }
            };
            input = &input[consumed..];
            self.len += produced;
            if self.len == self.buffer.len() {
                self.flush(out)?;
            } else if input.is_empty() || (consumed == 0 && produced == 0) {
                return if input.is_empty() {
                    Ok(())
                } else {
                    Err(BenchError::Inflate)
                };
            }
        }
    }

    /// Hands out what is left.
    ///
    /// # Errors
    /// [`BenchError::Inflate`] where the stream ends within a member, and those of `out`.
    pub fn finish(
        mut self,
        out: &mut dyn FnMut(Plain) -> Result<Vec<u8>, BenchError>,
    ) -> Result<(), BenchError> {
        if let Format::Gzip(gzip) = &self.format
            && !gzip.is_between_members()
        {
            return Err(BenchError::Inflate);
        }
        self.flush(out)
    }

    fn flush(
        &mut self,
        out: &mut dyn FnMut(Plain) -> Result<Vec<u8>, BenchError>,
    ) -> Result<(), BenchError> {
        if self.len > 0 {
            let buffer = std::mem::take(&mut self.buffer);
            self.buffer = out(Plain {
                buffer,
                len: std::mem::take(&mut self.len),
            })?;
            self.buffer.resize(PLAIN_BYTES, 0);
        }
        Ok(())
    }
}

impl fmt::Debug for Unpack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpack").finish_non_exhaustive()
    }
}

/// Members of a gzip stream, RFC 1952. Their CRC-32 is not checked: the plain bytes have a digest, so the least that must be
/// done does without.
struct Gzip {
    inflate: Box<dyn RawInflate>,
    /// A member's head or trailer so far.
    frame: Vec<u8>,
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Body,
    Trailer,
}

impl Gzip {
    fn new(codec: Codec) -> Result<Gzip, BenchError> {
        let inflate: Box<dyn RawInflate> = match codec {
            Codec::Isal => Box::new(Isal::load()?),
            Codec::ZlibRs => Box::new(ZlibRs(Inflate::new(false, 15))),
        };
        Ok(Gzip {
            inflate,
            frame: Vec::new(),
            part: Part::Head,
        })
    }

    fn is_between_members(&self) -> bool {
        self.part == Part::Head && self.frame.is_empty()
    }

    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<(usize, usize), BenchError> {
        match self.part {
            Part::Head => {
                // Heads are rare and short: byte by byte will do.
                for (at, byte) in input.iter().enumerate() {
                    self.frame.push(*byte);
                    if is_whole_head(&self.frame)? {
                        self.frame.clear();
                        self.part = Part::Body;
                        return Ok((at + 1, 0));
                    }
                }
                Ok((input.len(), 0))
            }
            Part::Body => {
                let step = self.inflate.step(input, output)?;
                if step.done {
                    self.part = Part::Trailer;
                    // The trailer has 8 bytes, and nobody looks at them.
                    self.frame.resize(step.ahead.min(8), 0);
                    self.end_of_trailer();
                }
                Ok((step.consumed, step.produced))
            }
            Part::Trailer => {
                let len = input.len().min(8 - self.frame.len());
                self.frame.extend_from_slice(&input[..len]);
                self.end_of_trailer();
                Ok((len, 0))
            }
        }
    }

    /// Goes on to the next member where the trailer is whole.
    fn end_of_trailer(&mut self) {
        if self.frame.len() == 8 {
            self.frame.clear();
            self.inflate.reset();
            self.part = Part::Head;
        }
    }
}

/// Whether these bytes are a whole head of a member.
fn is_whole_head(head: &[u8]) -> Result<bool, BenchError> {
    if head.len() < 10 {
        return Ok(false);
    }
    if head[..3] != [0x1f, 0x8b, 8] {
        return Err(BenchError::Inflate);
    }
    let (flags, mut at) = (head[3], 10);
    if flags & 4 != 0 {
        let Some(len) = head.get(at..at + 2) else {
            return Ok(false);
        };
        at += 2 + usize::from(u16::from_le_bytes([len[0], len[1]]));
    }
    for text in [8, 16] {
        if flags & text != 0 {
            let Some(end) = head
                .get(at..)
                .and_then(|rest| rest.iter().position(|byte| *byte == 0))
            else {
                return Ok(false);
            };
            at += end + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    Ok(head.len() >= at)
}

struct ZlibRs(Inflate);

impl RawInflate for ZlibRs {
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, BenchError> {
        let (total_in, total_out) = (self.0.total_in(), self.0.total_out());
        let status = self
            .0
            .decompress(input, output, InflateFlush::NoFlush)
            .map_err(|_| BenchError::Inflate)?;
        let since = |now: u64, before| usize::try_from(now - before).unwrap_or(usize::MAX);
        Ok(Step {
            consumed: since(self.0.total_in(), total_in),
            produced: since(self.0.total_out(), total_out),
            ahead: 0,
            done: status == Status::StreamEnd,
        })
    }

    fn reset(&mut self) {
        self.0.reset(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpack(codec: Codec, blob: &[u8], piece: usize) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut out = |chunk: Plain| {
            plain.extend_from_slice(&chunk.buffer[..chunk.len]);
            Ok(chunk.buffer)
        };
        let mut unpack = Unpack::new(codec);
        for piece in blob.chunks(piece) {
            unpack.push(piece, &mut out).unwrap();
        }
        unpack.finish(&mut out).unwrap();
        plain
    }

    #[test]
    fn every_codec_gives_back_members_frames_and_plain_bytes_however_they_are_cut() {
        // What compresses and what does not.
        let tar =
            msb_testkit::tar::recipe("file a size=700000 fill=mixed\nfile b size=70000 fill=text");
        let layer = |tar: &[u8]| msb_testkit::image::Layer::tar(tar);
        let blobs = [
            layer(&tar).gzip(),
            layer(&tar).gzip_members(3),
            layer(&tar).zstd_frames(2, true),
            layer(&tar),
        ];
        let isal = Isal::load().is_ok().then_some(Codec::Isal);
        for codec in isal.into_iter().chain([Codec::ZlibRs]) {
            for blob in &blobs {
                for piece in [4_099, usize::MAX] {
                    assert!(
                        unpack(codec, blob.blob_bytes().unwrap(), piece) == tar,
                        "{codec:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_cut_stream_is_an_error() {
        let layer = msb_testkit::image::Layer::tar(&b"plain"[..]).gzip();
        let blob = layer.blob_bytes().unwrap();
        let mut out = |chunk: Plain| Ok(chunk.buffer);
        let mut cut = Unpack::new(Codec::ZlibRs);
        cut.push(&blob[..blob.len() - 1], &mut out).unwrap();
        assert!(cut.finish(&mut out).is_err());
    }
}
