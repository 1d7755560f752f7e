use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Reads inline data from a sidecar by key.
///
/// An image requests them in the order of its tree, which mostly is the order of the archive and so of the sidecar: reading
/// ahead saves a system call for nearly every file. In any other order nothing is read ahead.
#[derive(Debug)]
pub struct InlineReader {
    file: File,
    /// The bytes of the file from `start` on.
    window: Vec<u8>,
    start: u64,
    /// The length of the next read that continues where the last one ended.
    ahead: usize,
    most: usize,
}

impl InlineReader {
    /// Creates a reader of this sidecar that reads and keeps up to `window_bytes` ahead.
    #[must_use]
    pub fn new(sidecar: File, window_bytes: usize) -> Self {
        Self {
            file: sidecar,
            window: Vec::new(),
            start: 0,
            ahead: 0,
            most: window_bytes,
        }
    }

    /// Fills `buffer` with the bytes of `key`.
    ///
    /// # Errors
    /// The error of the read; [`io::ErrorKind::UnexpectedEof`] if the file ends before.
    pub fn read(&mut self, key: u64, buffer: &mut [u8]) -> io::Result<()> {
        if self.window_from(key, buffer.len()).is_none() {
            self.refill(key, buffer.len())?;
        }
        let bytes = self.window_from(key, buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn window_from(&self, key: u64, len: usize) -> Option<&[u8]> {
        let at = usize::try_from(key.checked_sub(self.start)?).ok()?;
        self.window.get(at..)?.get(..len)
    }

    fn refill(&mut self, key: u64, len: usize) -> io::Result<()> {
        let end = self.start.saturating_add(self.window.len() as u64);
        // A record's head lies between two files' bytes, and larger files between small ones have records only.
        let goes_on = (self.start..end.saturating_add(self.most as u64)).contains(&key);
        self.ahead = if goes_on {
            (2 * self.ahead).max(4 << 10).min(self.most)
        } else {
            0
        };
        self.window.resize(self.ahead.max(len), 0);
        self.start = key;
        let mut filled = 0;
        while filled < self.window.len() {
            match self.file.read_at(
                &mut self.window[filled..],
                key.saturating_add(filled as u64),
            ) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.window.clear();
                    return Err(error);
                }
            }
        }
        self.window.truncate(filled);
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
    fn what_the_file_does_not_have_is_an_error_and_spoils_nothing() {
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
