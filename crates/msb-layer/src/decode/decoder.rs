use super::{
    chunk::{Chunk, Pool},
    error::{DecodeError, PushError},
    gzip::Gzip,
    output::Output,
    window::WindowBudget,
    zstd::Zstd,
};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How a stream is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compression {
    /// gzip, RFC 1952.
    Gzip,
    /// zstd, RFC 8878.
    Zstd,
    /// Not at all.
    None,
}

impl Compression {
    /// How many bytes [`detect`](Self::detect) looks at.
    pub const MAGIC_BYTES: usize = 4;

    /// Tells the compression by a stream's first bytes: all of them, where there are fewer than
    /// [`MAGIC_BYTES`](Self::MAGIC_BYTES). A zstd stream may begin with a skippable frame.
    pub fn detect(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::None => "uncompressed",
        })
    }
}

/// How much a stream may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a zstd frame's window, which is memory that the decoder holds until a frame needs a larger one.
    pub zstd_window_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            zstd_window_bytes: 128 << 20,
        }
    }
}

/// Decodes a stream that is pushed in pieces. See the [module](super) for what it holds to.
pub struct Decoder {
    codec: Codec,
    output: Output,
    limits: Limits,
    windows: WindowBudget,
    given_up: Arc<AtomicBool>,
}

enum Codec {
    /// Fewer bytes than are needed to tell; the first `len` of `start` are known.
    Unknown {
        start: [u8; Compression::MAGIC_BYTES],
        len: usize,
    },
    Gzip(Box<Gzip>),
    Zstd(Box<Zstd>),
    Plain,
    Failed(Option<Compression>),
}

impl Decoder {
    /// A decoder at the beginning of a stream, which fills the pool's buffers.
    pub fn new(pool: Pool, limits: Limits) -> Self {
        Self {
            codec: Codec::Unknown {
                start: [0; Compression::MAGIC_BYTES],
                len: 0,
            },
            output: Output::new(pool),
            limits,
            windows: WindowBudget::new(limits.zstd_window_bytes),
            given_up: Arc::default(),
        }
    }

    /// Shares a budget for the windows of zstd frames with other streams: a frame waits until its window fits, or until
    /// `given_up` is set, which is [`DecodeError::GivenUp`].
    #[must_use]
    pub fn with_windows(mut self, windows: WindowBudget, given_up: Arc<AtomicBool>) -> Self {
        (self.windows, self.given_up) = (windows, given_up);
        self
    }

    /// How the stream is compressed, once enough of it has been pushed.
    pub fn compression(&self) -> Option<Compression> {
        match &self.codec {
            Codec::Unknown { .. } => None,
            Codec::Gzip(_) => Some(Compression::Gzip),
            Codec::Zstd(_) => Some(Compression::Zstd),
            Codec::Plain => Some(Compression::None),
            Codec::Failed(compression) => *compression,
        }
    }

    /// Plain bytes so far, including those that wait for their buffer to be full.
    pub fn plain_bytes(&self) -> u64 {
        self.output.total()
    }

    /// Takes the next compressed bytes, of any length, and hands every full buffer of plain bytes to `out`.
    ///
    /// # Errors
    ///
    /// [`PushError::Decode`] where the stream is malformed or beyond a limit, [`PushError::Output`] where `out` fails.
    /// Either is final.
    pub fn push<E>(
        &mut self,
        input: &[u8],
        out: &mut dyn FnMut(Chunk) -> Result<(), E>,
    ) -> Result<(), PushError<E>> {
        let result = self.push_any(input, out);
        if result.is_err() {
            self.codec = Codec::Failed(self.compression());
        }
        result
    }

    /// Ends the stream and hands out the last buffer.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Truncated`] where the stream ends inside a member or frame; as for [`push`](Self::push) else.
    pub fn finish<E>(
        mut self,
        out: &mut dyn FnMut(Chunk) -> Result<(), E>,
    ) -> Result<(), PushError<E>> {
        if let Codec::Unknown { start, len } = self.codec {
            self.start(start, len, out)?;
        }
        match &self.codec {
            Codec::Gzip(gzip) => gzip.finish()?,
            Codec::Zstd(zstd) => zstd.finish()?,
            Codec::Plain | Codec::Unknown { .. } => {}
            Codec::Failed(_) => return Err(DecodeError::Failed.into()),
        }
        self.output.flush(out).map_err(PushError::Output)
    }

    fn push_any<E>(
        &mut self,
        mut input: &[u8],
        out: &mut dyn FnMut(Chunk) -> Result<(), E>,
    ) -> Result<(), PushError<E>> {
        if let Codec::Unknown { start, len } = &mut self.codec {
            let taken = input.len().min(start.len() - *len);
            start[*len..][..taken].copy_from_slice(&input[..taken]);
            *len += taken;
            input = &input[taken..];
            if *len < start.len() {
                return Ok(());
            }
            let (start, len) = (*start, *len);
            self.start(start, len, out)?;
        }
        self.decode(input, out)
    }

    /// Chooses the codec by the first bytes and decodes those.
    fn start<E>(
        &mut self,
        start: [u8; Compression::MAGIC_BYTES],
        len: usize,
        out: &mut dyn FnMut(Chunk) -> Result<(), E>,
    ) -> Result<(), PushError<E>> {
        let start = &start[..len];
        self.codec = match Compression::detect(start) {
            Compression::Gzip => Codec::Gzip(Box::new(Gzip::new())),
            Compression::Zstd => {
                let zstd = Zstd::new(
                    self.limits.zstd_window_bytes,
                    self.windows.clone(),
                    Arc::clone(&self.given_up),
                );
                Codec::Zstd(Box::new(zstd))
            }
            Compression::None => Codec::Plain,
        };
        self.decode(start, out)
    }

    fn decode<E>(
        &mut self,
        mut input: &[u8],
        out: &mut dyn FnMut(Chunk) -> Result<(), E>,
    ) -> Result<(), PushError<E>> {
        match &mut self.codec {
            Codec::Gzip(gzip) => gzip.push(input, &mut self.output, out),
            Codec::Zstd(zstd) => zstd.push(input, &mut self.output, out),
            Codec::Plain => {
                while !input.is_empty() {
                    let space = self.output.space();
                    let len = input.len().min(space.len());
                    space[..len].copy_from_slice(&input[..len]);
                    self.output.advance(len, out).map_err(PushError::Output)?;
                    input = &input[len..];
                }
                Ok(())
            }
            Codec::Unknown { .. } => Ok(()),
            Codec::Failed(_) => Err(DecodeError::Failed.into()),
        }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("compression", &self.compression())
            .field("output", &self.output)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
