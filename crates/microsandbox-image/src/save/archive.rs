use super::SaveError;
use crate::export::{BLOCK_BYTES, Member, Sink};

/// A tar archive whose members have no owner and no time, so that equal images give equal bytes.
pub(super) struct Archive<'a, 'b> {
    sink: &'a mut Sink<'b>,
}

impl<'a, 'b> Archive<'a, 'b> {
    pub(super) fn new(sink: &'a mut Sink<'b>) -> Self {
        Self { sink }
    }

    pub(super) fn directory(&mut self, name: &str) -> Result<(), SaveError> {
        let header = Member {
            typeflag: b'5',
            mode: 0o755,
            ..member(name, 0)
        };
        Ok(self.sink.write(&header.headers())?)
    }

    pub(super) fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), SaveError> {
        self.file_with(name, bytes.len() as u64, |sink| Ok(sink.write(bytes)?))
    }

    /// Adds a file whose `bytes` bytes are written by `write`.
    pub(super) fn file_with(
        &mut self,
        name: &str,
        bytes: u64,
        write: impl FnOnce(&mut Sink<'b>) -> Result<(), SaveError>,
    ) -> Result<(), SaveError> {
        self.sink.write(&member(name, bytes).headers())?;
        write(self.sink)?;
        Ok(self
            .sink
            .skip(bytes.next_multiple_of(BLOCK_BYTES) - bytes)?)
    }

    /// Writes the two blocks of zeros that end an archive.
    pub(super) fn finish(self) -> Result<(), SaveError> {
        Ok(self.sink.skip(2 * BLOCK_BYTES)?)
    }
}

fn member(name: &str, bytes: u64) -> Member<'_> {
    Member {
        path: name.as_bytes(),
        typeflag: b'0',
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: bytes,
        mtime_secs: 0,
        mtime_nanos: 0,
        link: b"",
        device: (0, 0),
        xattrs: &[],
    }
}
