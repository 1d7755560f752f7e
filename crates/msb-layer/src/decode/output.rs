use std::ops::ControlFlow;

use super::chunk::{Buffer, Pool};
use super::stop::{Out, Stop};

/// Collects uncompressed bytes in a buffer, and passes it on when it is full.
pub(super) struct Output {
    pool: Pool,
    buffer: Option<Buffer>,
    /// Number of filled bytes of `buffer`; less than its length between calls.
    filled: usize,
    /// Uncompressed bytes so far, including those in the buffer.
    total: u64,
}

impl Output {
    pub(super) fn new(pool: Pool) -> Self {
        Self {
            pool,
            buffer: None,
            filled: 0,
            total: 0,
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Returns the free part of the buffer, which is never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let buffer = self.buffer.get_or_insert_with(|| self.pool.take());
        &mut buffer.bytes_mut()[self.filled..]
    }

    /// Adds the first `len` bytes of [`space`](Self::space), which have been filled.
    pub(super) fn advance(&mut self, len: usize, out: Out<'_>) -> Result<(), Stop> {
        self.filled += len;
        self.total += len as u64;
        if self.filled == self.pool.chunk_bytes() {
            self.flush(out)?;
        }
        Ok(())
    }

    /// Passes on the filled part of the buffer.
    pub(super) fn flush(&mut self, out: Out<'_>) -> Result<(), Stop> {
        let len = std::mem::take(&mut self.filled);
        match self.buffer.take() {
            Some(buffer) if len > 0 => match out(buffer.freeze(len)) {
                ControlFlow::Continue(()) => Ok(()),
                ControlFlow::Break(()) => Err(Stop::Output),
            },
            _ => Ok(()),
        }
    }
}

impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Output")
            .field("filled", &self.filled)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}
