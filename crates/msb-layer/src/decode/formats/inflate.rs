//! Raw deflate, behind one small trait, so that the codec can be replaced by a faster one.
//!
//! `cargo bench -p msb-layer` compares it with fdeflate and miniz_oxide, and with ISA-L as the reference: zlib-rs is the fastest
//! of the three and level with ISA-L. It also reports exactly where a member ends. fdeflate supports only the zlib format, reads
//! up to seven bytes past the end and does not report how many.

use std::fmt;
use zlib_rs::{InflateFlush, Status};

/// Decodes one raw deflate stream at a time, in pieces.
pub(super) trait Inflate {
    /// Begins a new stream.
    fn reset(&mut self);

    /// Decodes from `input` into `output`. Unless the stream ends, uses up one of the two.
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, Malformed>;
}

/// The result of one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    /// The stream ends after the consumed bytes.
    pub(super) done: bool,
}

/// The stream is malformed.
#[derive(Debug)]
pub(super) struct Malformed;

/// Wraps [`zlib_rs`], a port of zlib-ng.
pub(super) struct ZlibRs(zlib_rs::Inflate);

impl ZlibRs {
    pub(super) fn new() -> Self {
        Self(zlib_rs::Inflate::new(false, 15))
    }
}

impl Inflate for ZlibRs {
    fn reset(&mut self) {
        self.0.reset(false);
    }

    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<Progress, Malformed> {
        let (total_in, total_out) = (self.0.total_in(), self.0.total_out());
        let status = self.0.decompress(input, output, InflateFlush::NoFlush);
        let done = match status {
            Ok(Status::StreamEnd) => true,
            Ok(Status::Ok | Status::BufError) => false,
            Err(_) => return Err(Malformed),
        };
        let delta = |now: u64, before: u64| usize::try_from(now - before).map_err(|_| Malformed);
        Ok(Progress {
            consumed: delta(self.0.total_in(), total_in)?,
            produced: delta(self.0.total_out(), total_out)?,
            done,
        })
    }
}

impl fmt::Debug for ZlibRs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ZlibRs")
    }
}
