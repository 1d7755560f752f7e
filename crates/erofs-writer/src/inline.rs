use std::io;

/// The store of the bytes of [`Content::Inline`](fs_tree::Content::Inline) files until the image is finished.
pub trait InlineData {
    /// Fills `buffer` with the bytes under `key`. Its length is the size of the file.
    ///
    /// # Errors
    ///
    /// Any error of the store.
    fn read(&mut self, key: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// A store for trees without inline data.
#[derive(Clone, Copy, Debug)]
pub struct NoInline;

impl InlineData for NoInline {
    fn read(&mut self, _key: u64, _buffer: &mut [u8]) -> io::Result<()> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// A store in one buffer. Keys are offsets into it.
#[derive(Clone, Debug, Default)]
pub struct MemoryInline {
    bytes: Vec<u8>,
}

impl MemoryInline {
    /// Adds bytes to the store. Returns their key.
    pub fn push(&mut self, bytes: &[u8]) -> u64 {
        let key = self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        key
    }
}

impl InlineData for MemoryInline {
    fn read(&mut self, key: u64, buffer: &mut [u8]) -> io::Result<()> {
        let kept = usize::try_from(key)
            .ok()
            .and_then(|start| self.bytes.get(start..)?.get(..buffer.len()));
        buffer.copy_from_slice(kept.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
