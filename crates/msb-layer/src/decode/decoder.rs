use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::chunk::{Chunk, Pool};
use super::compression::Compression;
use super::error::{DecodeError, PushError};
use super::format::Setup;
use super::limits::Limits;
use super::output::Output;
use super::stop::{Out, Stop};
use super::stream::StreamDecoder;
use super::window::WindowBudget;

/// Decodes a stream that is pushed in pieces. See the [module](super) for its invariants.
pub struct Decoder {
    state: State,
    output: Output,
    setup: Setup,
}

enum State {
    /// Not enough bytes to detect the compression; the first `len` of `start` are filled.
    Unknown {
        start: [u8; Compression::MAGIC_BYTES],
        len: usize,
    },
    Known {
        compression: Compression,
        decoder: Box<dyn StreamDecoder>,
    },
    Failed(Option<Compression>),
}

impl Decoder {
    /// Creates a decoder at the beginning of a stream. It fills buffers of the pool.
    #[must_use]
    pub fn new(pool: Pool, limits: Limits) -> Self {
        Self {
            state: State::Unknown {
                start: [0; Compression::MAGIC_BYTES],
                len: 0,
            },
            output: Output::new(pool),
            setup: Setup {
                limits,
                windows: WindowBudget::new(limits.zstd_window_bytes),
                cancelled: Arc::default(),
            },
        }
    }

    /// Shares a budget for the windows of zstd frames with other streams. A frame waits until its window fits, or until
    /// `cancelled` is set, which results in [`DecodeError::Cancelled`].
    #[must_use]
    pub fn with_windows(mut self, windows: WindowBudget, cancelled: Arc<AtomicBool>) -> Self {
        (self.setup.windows, self.setup.cancelled) = (windows, cancelled);
        self
    }

    /// Returns the compression of the stream, once enough of it has been pushed.
    #[must_use]
    pub fn compression(&self) -> Option<Compression> {
        match &self.state {
            State::Unknown { .. } => None,
            State::Known { compression, .. } => Some(*compression),
            State::Failed(compression) => *compression,
        }
    }

    /// Returns the number of uncompressed bytes so far, including those in a buffer that is not full yet.
    #[must_use]
    pub fn uncompressed_bytes(&self) -> u64 {
        self.output.total()
    }

    /// Decodes the next compressed bytes, of any length, and passes every full buffer of uncompressed bytes to `out`.
    ///
    /// # Errors
    ///
    /// [`PushError::Decode`] if the stream is malformed or exceeds a limit, [`PushError::Output`] if `out` fails.
    /// Both are final.
    pub fn push<E>(
        &mut self,
        input: &[u8],
        out: &mut dyn FnMut(Chunk) -> Result<(), E>,
    ) -> Result<(), PushError<E>> {
        let result = with_error(out, |out| self.push_any(input, out));
        if result.is_err() {
            self.state = State::Failed(self.compression());
        }
        result
    }

    /// Ends the stream and passes on the last buffer.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] if the stream ends inside a member or frame; otherwise those of [`push`](Self::push).
    pub fn finish<E>(
        mut self,
        out: &mut dyn FnMut(Chunk) -> Result<(), E>,
    ) -> Result<(), PushError<E>> {
        with_error(out, |out| {
            if let State::Unknown { start, len } = self.state {
                self.start(&start[..len], out)?;
            }
            match &self.state {
                State::Known { decoder, .. } => decoder.finish()?,
                State::Unknown { .. } => {}
                State::Failed(_) => return Err(DecodeError::Failed.into()),
            }
            self.output.flush(out)
        })
    }

    fn push_any(&mut self, mut input: &[u8], out: Out<'_>) -> Result<(), Stop> {
        if let State::Unknown { start, len } = &mut self.state {
            let taken = input.len().min(start.len() - *len);
            start[*len..][..taken].copy_from_slice(&input[..taken]);
            *len += taken;
            input = &input[taken..];
            if *len < start.len() {
                return Ok(());
            }
            let start = *start;
            self.start(&start, out)?;
        }
        self.decode(input, out)
    }

    /// Chooses the decoder by the first bytes, and decodes them.
    fn start(&mut self, start: &[u8], out: Out<'_>) -> Result<(), Stop> {
        let compression = Compression::detect(start);
        self.state = State::Known {
            compression,
            decoder: compression.decoder(&self.setup),
        };
        self.decode(start, out)
    }

    fn decode(&mut self, input: &[u8], out: Out<'_>) -> Result<(), Stop> {
        match &mut self.state {
            State::Known { decoder, .. } => decoder.push(input, &mut self.output, out),
            State::Unknown { .. } => Ok(()),
            State::Failed(_) => Err(DecodeError::Failed.into()),
        }
    }
}

/// Runs `decode` with an output that keeps the error of `out`.
fn with_error<E>(
    out: &mut dyn FnMut(Chunk) -> Result<(), E>,
    decode: impl FnOnce(Out<'_>) -> Result<(), Stop>,
) -> Result<(), PushError<E>> {
    let mut refused = None;
    let decoded = decode(&mut |chunk| match out(chunk) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            refused = Some(error);
            ControlFlow::Break(())
        }
    });
    match (decoded, refused) {
        (_, Some(error)) => Err(PushError::Output(error)),
        (Ok(()), None) => Ok(()),
        (Err(Stop::Decode(error)), None) => Err(error.into()),
        (Err(Stop::Output), None) => Err(DecodeError::Failed.into()),
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("compression", &self.compression())
            .field("output", &self.output)
            .field("limits", &self.setup.limits)
            .finish_non_exhaustive()
    }
}
