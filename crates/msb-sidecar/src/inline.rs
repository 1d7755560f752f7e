use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Reads inline data from a sidecar by key.
///
/// An image reads them in the order of its tree, which is mostly the order of the archive and so of the sidecar. Reading ahead saves
/// a system call for nearly every file. In any other order nothing is read ahead.
#[derive(Debug)]
pub struct InlineReader {
    file: File,
    window: InlineWindow,
}

/// The bytes of a sidecar that an [`InlineReader`] holds in memory, apart from the file.
///
/// A reader of hundreds of sidecars keeps one window for each, and opens a sidecar again only to refill its window.
#[derive(Debug)]
pub struct InlineWindow {
    /// The bytes of the file from `start` on.
    bytes: Vec<u8>,
    start: u64,
    /// The length of the next read that continues where the last one ended.
    ahead_bytes: usize,
    max_bytes: usize,
}

impl InlineReader {
    /// Creates a reader of this sidecar that holds up to `window_bytes` in memory.
    #[must_use]
    pub fn new(sidecar: File, window_bytes: usize) -> Self {
        Self {
            file: sidecar,
            window: InlineWindow::new(window_bytes),
        }
    }

    /// Fills `buffer` with the bytes of `key`.
    ///
    /// # Errors
    /// Any error of reading the file; [`io::ErrorKind::UnexpectedEof`] if it ends before.
    pub fn read(&mut self, key: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.window.read(key, buffer) {
            return Ok(());
        }
        self.window.refill(&self.file, key, buffer)
    }
}

impl InlineWindow {
    /// Creates an empty window of up to `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            ahead_bytes: 0,
            max_bytes,
        }
    }

    /// Fills `buffer` with the bytes of `key`. Returns `false` if the window does not hold them.
    pub fn read(&self, key: u64, buffer: &mut [u8]) -> bool {
        let bytes = self.bytes_at(key, buffer.len());
        if let Some(bytes) = bytes {
            buffer.copy_from_slice(bytes);
        }
        bytes.is_some()
    }

    /// Moves the window to `key` and fills `buffer` with the bytes there.
    ///
    /// # Errors
    /// As [`InlineReader::read`].
    pub fn refill(&mut self, sidecar: &File, key: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.fill(sidecar, key, buffer.len())?;
        if self.read(key, buffer) {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn bytes_at(&self, key: u64, len: usize) -> Option<&[u8]> {
        let at = usize::try_from(key.checked_sub(self.start)?).ok()?;
        self.bytes.get(at..)?.get(..len)
    }

    fn fill(&mut self, sidecar: &File, key: u64, len: usize) -> io::Result<()> {
        let end = self.start.saturating_add(self.bytes.len() as u64);
        // A record's head lies between two files' bytes, and larger files between small ones have records only.
        let continues = (self.start..end.saturating_add(self.max_bytes as u64)).contains(&key);
        self.ahead_bytes = if continues {
            (2 * self.ahead_bytes).max(4 << 10).min(self.max_bytes)
        } else {
            0
        };
        self.bytes.resize(self.ahead_bytes.max(len), 0);
        self.start = key;
        let mut filled = 0;
        while filled < self.bytes.len() {
            match sidecar.read_at(&mut self.bytes[filled..], key.saturating_add(filled as u64)) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.bytes.clear();
                    return Err(error);
                }
            }
        }
        self.bytes.truncate(filled);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn reader(len: usize) -> (Vec<u8>, InlineReader) {
        let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        (bytes, InlineReader::new(file, 128 << 10))
    }

    #[test]
    fn every_order_and_length_gives_the_same_bytes() {
        let (bytes, mut reader) = reader(400_000);
        let forward = (0..400_000 - 3000).step_by(1500);
        let backward = (0..400_000 - 3000).rev().step_by(977);
        for (key, len) in forward
            .chain(backward)
            .zip([0, 1, 700, 2048].into_iter().cycle())
        {
            let mut buffer = vec![0; len];
            reader.read(key as u64, &mut buffer).unwrap();
            assert_eq!(buffer, bytes[key..key + len], "{key}");
        }
    }

    #[test]
    fn a_read_past_the_end_fails_and_later_reads_succeed() {
        let (bytes, mut reader) = reader(10_000);
        let mut buffer = [0; 100];
        reader.read(9_900, &mut buffer).unwrap();
        for key in [9_901, 20_000, 1 << 40, 1 << 62, 9_901] {
            let error = reader.read(key, &mut buffer).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
        reader.read(9_900, &mut buffer).unwrap();
        assert_eq!(buffer, bytes[9_900..]);
    }
}
