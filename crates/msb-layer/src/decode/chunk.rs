use std::{
    fmt,
    ops::Deref,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// Recycles buffers of one length.
///
/// The pool bounds the unused buffers that it keeps. The caller bounds those in use by the length of its queues.
#[derive(Clone, Debug)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    chunk_bytes: usize,
    keep: usize,
    /// Unused buffers of `chunk_bytes` bytes, at most `keep` of them.
    free: Mutex<Vec<Vec<u8>>>,
}

impl Pool {
    /// Creates a pool of buffers of `chunk_bytes` bytes each (at least 1), which keeps up to `keep` unused ones.
    #[must_use]
    pub fn new(chunk_bytes: usize, keep: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                chunk_bytes: chunk_bytes.max(1),
                keep,
                free: Mutex::new(Vec::new()),
            }),
        }
    }

    /// Returns the length of each buffer in bytes.
    #[must_use]
    pub fn chunk_bytes(&self) -> usize {
        self.shared.chunk_bytes
    }

    /// Returns a buffer to fill. It contains zeros or earlier data.
    pub(super) fn take(&self) -> Buffer {
        let free = self
            .shared
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        Buffer {
            bytes: free.unwrap_or_else(|| vec![0; self.shared.chunk_bytes]),
            home: Arc::downgrade(&self.shared),
        }
    }

    /// Copies uncompressed bytes into chunks.
    pub fn chunks<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = Chunk> + 'a {
        bytes.chunks(self.chunk_bytes()).map(|piece| {
            let mut buffer = self.take();
            buffer.bytes_mut()[..piece.len()].copy_from_slice(piece);
            buffer.freeze(piece.len())
        })
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("chunk_bytes", &self.chunk_bytes)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}

/// A pool's buffer, which returns to the pool when dropped.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    home: Weak<Shared>,
}

impl Buffer {
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Turns the first `len` bytes into a shareable chunk.
    pub(super) fn freeze(self, len: usize) -> Chunk {
        Chunk {
            len: len.min(self.bytes.len()),
            buffer: Arc::new(self),
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            let mut free = home.free.lock().unwrap_or_else(PoisonError::into_inner);
            if free.len() < home.keep {
                free.push(std::mem::take(&mut self.bytes));
            }
        }
    }
}

/// Bytes that clones share without a copy.
#[derive(Clone)]
pub struct Chunk {
    buffer: Arc<Buffer>,
    len: usize,
}

impl Deref for Chunk {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.buffer.bytes[..self.len]
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({} bytes)", self.len)
    }
}
