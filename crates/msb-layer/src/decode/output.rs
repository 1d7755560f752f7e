use super::chunk::{Buffer, Chunk, Pool};

/// Where plain bytes go: a buffer that is handed out when it is full.
pub(super) struct Output {
    pool: Pool,
    buffer: Option<Buffer>,
    /// Bytes of `buffer` that are filled; less than its length between calls.
    filled: usize,
    /// Plain bytes so far, handed out or not.
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

    /// The free part of the buffer, never empty.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let buffer = self.buffer.get_or_insert_with(|| self.pool.take());
        &mut buffer.bytes_mut()[self.filled..]
    }

    /// Says that the first `len` bytes of [`space`](Self::space) have been filled.
    pub(super) fn advance<E>(
        &mut self,
        len: usize,
        out: &mut dyn FnMut(Chunk) -> Result<(), E>,
    ) -> Result<(), E> {
        self.filled += len;
        self.total += len as u64;
        if self.filled == self.pool.chunk_bytes() {
            self.flush(out)?;
        }
        Ok(())
    }

    /// Hands out what is filled.
    pub(super) fn flush<E>(
        &mut self,
        out: &mut dyn FnMut(Chunk) -> Result<(), E>,
    ) -> Result<(), E> {
        let len = std::mem::take(&mut self.filled);
        match self.buffer.take() {
            Some(buffer) if len > 0 => out(buffer.freeze(len)),
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
