//! zstd: the loop over frames. async-compression's codec decodes each frame, driven synchronously.
//!
//! A frame's header is withheld from the codec until its window is known, so that a window beyond the limit is refused before
//! memory is allocated for it, with an error that contains its size.

use super::zstd_header::{self, Start};
use crate::decode::compression::Compression;
use crate::decode::error::{Corruption, DecodeError};
use crate::decode::format::Format;
use crate::decode::output::Output;
use crate::decode::stop::{Out, Stop};
use crate::decode::stream::StreamDecoder;
use crate::decode::window::{Window, WindowBudget};
use async_compression::codecs::{
    DecodeV2, ZstdDecoder,
    core::util::{PartialBuffer, WriteBuffer},
    zstd::params::DParameter,
};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::{fmt, io};

/// The row of the table. A stream may begin with a skippable frame.
pub(super) const FORMAT: Format = Format {
    compression: Compression::Zstd,
    name: "zstd",
    begins: |start| {
        matches!(
            start,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]
        )
    },
    media_types: &["+zstd", ".zstd"],
    decoder: |setup| {
        Box::new(Zstd::new(
            setup.limits.zstd_window_bytes,
            setup.windows.clone(),
            Arc::clone(&setup.cancelled),
        ))
    },
};

/// Window limits that libzstd accepts, as powers of two.
const WINDOW_LOG: std::ops::RangeInclusive<u32> = 10..=31;

/// Decodes zstd frames, one after the other.
pub(super) struct Zstd {
    state: State,
    decoder: ZstdDecoder,
    params: [DParameter; 1],
    allowed: u64,
    budget: WindowBudget,
    cancelled: Arc<AtomicBool>,
    /// The decoder's possible allocation: the largest window since its creation.
    window: Option<Window>,
    /// Position in the stream of the next byte to be pushed.
    position: u64,
}

#[derive(Debug)]
enum State {
    /// At the beginning of a frame; its first `len` bytes are known.
    Start {
        bytes: [u8; zstd_header::MAX_BYTES],
        len: usize,
    },
    Frame,
    /// In the zeros after the last frame.
    Zeros,
}

impl State {
    const START: Self = Self::Start {
        bytes: [0; zstd_header::MAX_BYTES],
        len: 0,
    };
}

impl StreamDecoder for Zstd {
    fn push(&mut self, mut input: &[u8], output: &mut Output, out: Out<'_>) -> Result<(), Stop> {
        while !input.is_empty() {
            let consumed = match &self.state {
                State::Start { .. } => {
                    let (consumed, held) = self.on_start(input)?;
                    self.position += consumed as u64;
                    if let Some((bytes, len)) = held {
                        // OK to ignore the length: no frame ends within its own header.
                        self.on_frame(&bytes[..len], output, out)?;
                    }
                    consumed
                }
                State::Frame => {
                    let consumed = self.on_frame(input, output, out)?;
                    self.position += consumed as u64;
                    consumed
                }
                State::Zeros => match input.iter().position(|byte| *byte != 0) {
                    Some(index) => {
                        return Err(self.trailing_data(self.position + index as u64).into());
                    }
                    None => {
                        self.position += input.len() as u64;
                        input.len()
                    }
                },
            };
            input = &input[consumed..];
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), DecodeError> {
        match self.state {
            State::Start { len: 0, .. } | State::Zeros => Ok(()),
            State::Start { .. } | State::Frame => Err(DecodeError::Truncated {
                compression: Compression::Zstd,
                offset: self.position,
            }),
        }
    }
}

impl Zstd {
    pub(super) fn new(allowed: u64, budget: WindowBudget, cancelled: Arc<AtomicBool>) -> Self {
        // Each frame is checked against the limit itself; libzstd gets the next power of two.
        let log = allowed
            .checked_next_power_of_two()
            .map_or(u32::MAX, u64::ilog2);
        let log = log.clamp(*WINDOW_LOG.start(), *WINDOW_LOG.end());
        let params = [DParameter::window_log_max(log)];
        Self {
            state: State::START,
            decoder: ZstdDecoder::new_with_params(&params),
            params,
            allowed,
            budget,
            cancelled,
            window: None,
            position: 0,
        }
    }

    /// Reads the beginning of a frame. Returns the number of bytes read, and the beginning once its window is known.
    #[expect(clippy::type_complexity, reason = "private, and said in words above")]
    fn on_start(
        &mut self,
        input: &[u8],
    ) -> Result<(usize, Option<([u8; zstd_header::MAX_BYTES], usize)>), DecodeError> {
        let State::Start { bytes, len } = &mut self.state else {
            return Ok((0, None));
        };
        let offset = self.position - *len as u64;
        for (index, byte) in input.iter().enumerate() {
            if *len == 0 && *byte == 0 {
                self.state = State::Zeros;
                return Ok((index, None));
            }
            bytes[*len] = *byte;
            *len += 1;
            let window = match zstd_header::start(&bytes[..*len]) {
                Start::Short => continue,
                Start::NoFrame if offset == 0 => {
                    return Err(self.corrupt(Corruption::FrameHeader, None));
                }
                Start::NoFrame => return Err(self.trailing_data(offset)),
                Start::Skippable => 0,
                Start::Frame { window } => window,
            };
            let held = (*bytes, *len);
            self.take_window(window, offset)?;
            self.state = State::Frame;
            if let Err(error) = self.decoder.reinit() {
                return Err(self.corrupt(Corruption::Frame, Some(error)));
            }
            return Ok((index + 1, Some(held)));
        }
        Ok((input.len(), None))
    }

    fn take_window(&mut self, required: u64, offset: u64) -> Result<(), DecodeError> {
        let refused = |allowed| DecodeError::WindowTooLarge {
            offset,
            required,
            allowed,
        };
        if required > self.allowed {
            return Err(refused(self.allowed));
        }
        let held = self.window.as_ref().map_or(0, Window::bytes);
        if required > held {
            // A new decoder has no window yet, so this stream holds no budget while it waits for others.
            self.decoder = ZstdDecoder::new_with_params(&self.params);
            self.window = None;
            self.window = self.budget.take(required, &self.cancelled);
            if self.window.is_none() {
                return Err(if required > self.budget.total() {
                    refused(self.budget.total())
                } else {
                    DecodeError::Cancelled
                });
            }
        }
        Ok(())
    }

    /// Decodes until the input is used up or the frame ends. Returns the number of bytes read.
    fn on_frame(&mut self, input: &[u8], output: &mut Output, out: Out<'_>) -> Result<usize, Stop> {
        let mut input = PartialBuffer::new(input);
        loop {
            let space = output.space();
            let room = space.len();
            let before = input.written_len();
            let mut decoded = WriteBuffer::new_initialized(space);
            let result = self.decoder.decode(&mut input, &mut decoded);
            let produced = decoded.written_len();
            let done = match result {
                Ok(done) => done,
                Err(error) => return Err(self.corrupt(Corruption::Frame, Some(error)).into()),
            };
            output.advance(produced, out)?;
            if done {
                self.state = State::START;
                return Ok(input.written_len());
            }
            if produced == room {
                continue;
            }
            if input.unwritten().is_empty() {
                return Ok(input.written_len());
            }
            if produced == 0 && input.written_len() == before {
                return Err(self.corrupt(Corruption::Frame, None).into());
            }
        }
    }

    fn corrupt(&self, fault: Corruption, source: Option<io::Error>) -> DecodeError {
        DecodeError::Corrupt {
            compression: Compression::Zstd,
            offset: self.position,
            fault,
            source,
        }
    }

    fn trailing_data(&self, offset: u64) -> DecodeError {
        DecodeError::TrailingData {
            compression: Compression::Zstd,
            offset,
        }
    }
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zstd")
            .field("state", &self.state)
            .field("allowed", &self.allowed)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
