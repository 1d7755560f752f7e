use crate::TreeError;

/// Where some bytes lie in a [`ByteStore`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    len: u32,
}

/// One growing pool of bytes, addressed by 32 bits, so that a million names are one allocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByteStore {
    bytes: Vec<u8>,
}

impl ByteStore {
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Span, TreeError> {
        let start = u32::try_from(self.bytes.len()).map_err(|_| TreeError::Full)?;
        let len = u32::try_from(bytes.len()).map_err(|_| TreeError::Full)?;
        start.checked_add(len).ok_or(TreeError::Full)?;
        self.bytes.extend_from_slice(bytes);
        Ok(Span { start, len })
    }

    pub(crate) fn get(&self, span: Span) -> &[u8] {
        &self.bytes[span.start as usize..][..span.len as usize]
    }
}
