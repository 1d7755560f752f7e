use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Length of a hole: a block of the image, and of most file systems.
const BLOCK: usize = 4096;
const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Bytes written before the disk starts to sync: a fraction of a second of its time, and far less than the kernel lets
/// accumulate.
const STEP_BYTES: u64 = 32 << 20;

/// A file that is synced while it is written, and in which blocks of zeros become holes.
///
/// The kernel holds dirty pages back for seconds or gigabytes, so that a sync at the end of a large layer waits for all of
/// them. Here a thread syncs the file repeatedly while the stages produce more, and the caller's final sync has little left to
/// do.
///
/// Invariants: `at <= end` unless the position was moved behind the end; no byte at or behind `end` was ever written.
#[derive(Debug)]
pub(crate) struct Writeback {
    file: File,
    /// Position of the next byte.
    at: u64,
    /// Length of the file, including holes.
    end: u64,
    /// Whether the block before `at` was left as a hole.
    is_in_hole: bool,
    /// Bytes written to the file, without holes.
    written_bytes: Arc<AtomicU64>,
    /// Set when the file is no longer needed.
    cancelled: Arc<AtomicBool>,
    /// Bytes since the last message to the thread.
    waiting_bytes: u64,
    /// `None` before the first step is full: small files need no thread.
    syncing: Option<Syncing>,
}

/// The error of a write after the work was cancelled.
#[derive(Debug, thiserror::Error)]
#[error("the work was cancelled")]
struct Cancelled;

/// Returns whether a write failed only because the work was cancelled.
pub(crate) fn is_cancelled(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<Cancelled>())
}

#[derive(Debug)]
struct Syncing {
    steps: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Writeback {
    /// Creates a writer to an empty file, which fails once `cancelled` is set.
    pub(crate) fn new(file: File, cancelled: Arc<AtomicBool>) -> Self {
        Self {
            file,
            at: 0,
            end: 0,
            is_in_hole: false,
            written_bytes: Arc::default(),
            cancelled,
            waiting_bytes: 0,
            syncing: None,
        }
    }

    /// Returns the counter of the bytes that take space on disk.
    pub(crate) fn written_bytes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.written_bytes)
    }

    /// Stops the thread, and sets the length of a file that ends in a hole. Returns the error of a sync, since no later sync would
    /// report it again.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.stop()?;
        if self.file.metadata()?.len() < self.end {
            self.file.set_len(self.end)?;
        }
        Ok(())
    }

    /// Writes bytes that are not part of a hole.
    fn write_data(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, self.at)?;
        self.is_in_hole = false;
        self.written_bytes
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.waiting_bytes += bytes.len() as u64;
        self.advance(bytes.len());
        // Elsewhere a sync also flushes the drive's cache, which costs more than it gains.
        if cfg!(target_os = "linux") && self.waiting_bytes >= STEP_BYTES {
            self.step()?;
        }
        Ok(())
    }

    fn advance(&mut self, len: usize) {
        self.at += len as u64;
        self.end = self.end.max(self.at);
    }

    /// Returns the number of leading bytes that can become a hole: whole blocks of zeros where nothing was written before. The last
    /// block may continue with the next bytes.
    fn zeros(&self, bytes: &[u8]) -> usize {
        let is_block_start = self.at.is_multiple_of(BLOCK as u64);
        if self.at < self.end || !(is_block_start || self.is_in_hole) {
            return 0;
        }
        let rest_of_block = (BLOCK - self.offset_in_block()).min(bytes.len());
        let (first, others) = bytes.split_at(rest_of_block);
        if *first != ZEROS[..first.len()] {
            return 0;
        }
        let blocks = others.chunks(BLOCK);
        let zeros = blocks.take_while(|block| **block == ZEROS[..block.len()]);
        first.len() + zeros.map(<[u8]>::len).sum::<usize>()
    }

    fn offset_in_block(&self) -> usize {
        usize::try_from(self.at % BLOCK as u64).unwrap_or(0)
    }

    /// Returns the number of bytes to write before the next block of zeros. At least 1, if there are any.
    fn data(&self, bytes: &[u8]) -> usize {
        let rest_of_block = (BLOCK - self.offset_in_block()).min(bytes.len());
        let (first, others) = bytes.split_at(rest_of_block);
        let blocks = others.chunks(BLOCK);
        let data = blocks.take_while(|block| **block != ZEROS[..block.len()]);
        first.len() + data.map(<[u8]>::len).sum::<usize>()
    }

    fn step(&mut self) -> io::Result<()> {
        self.waiting_bytes = 0;
        let syncing = match &self.syncing {
            Some(syncing) => syncing,
            None => {
                let file = self.file.try_clone()?;
                // One step may wait while another is in progress; further steps are merged into it.
                let (steps, requests) = sync_channel(1);
                let thread = Builder::new()
                    .name("layer-sync".into())
                    .spawn(move || requests.iter().try_for_each(|()| file.sync_data()))?;
                self.syncing.insert(Syncing { steps, thread })
            }
        };
        match syncing.steps.try_send(()) {
            Ok(()) | Err(TrySendError::Full(())) => Ok(()),
            Err(TrySendError::Disconnected(())) => self.stop(),
        }
    }

    fn stop(&mut self) -> io::Result<()> {
        let Some(Syncing { steps, thread }) = self.syncing.take() else {
            return Ok(());
        };
        drop(steps);
        thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that syncs the file panicked")))
    }
}

impl Write for Writeback {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(io::Error::other(Cancelled));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let zeros = self.zeros(rest);
            self.advance(zeros);
            self.is_in_hole |= zeros > 0;
            rest = &rest[zeros..];
            let data = self.data(rest);
            if data > 0 {
                self.write_data(&rest[..data])?;
                rest = &rest[data..];
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Writeback {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let to = match position {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.end.checked_add_signed(by),
        };
        self.at = to.ok_or(io::ErrorKind::InvalidInput)?;
        self.is_in_hole = false;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(file: File) -> Writeback {
        Writeback::new(file, Arc::default())
    }

    #[test]
    fn written_bytes_are_kept_whatever_was_synced_in_between() {
        let mut file = new(tempfile::tempfile().unwrap());
        let check = file.file.try_clone().unwrap();
        let piece = vec![7; 5 << 20];
        for _ in 0..15 {
            file.write_all(&piece).unwrap();
        }
        assert_eq!(file.syncing.is_some(), cfg!(target_os = "linux"));
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(b"head").unwrap();
        file.finish().unwrap();
        assert_eq!(check.metadata().unwrap().len(), 75 << 20);
    }

    #[test]
    fn a_short_file_starts_no_thread() {
        let mut file = new(tempfile::tempfile().unwrap());
        file.write_all(&vec![1; 1 << 20]).unwrap();
        assert!(file.syncing.is_none());
        file.finish().unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_sync_that_fails_is_not_forgotten() {
        // A sink that takes everything and cannot be synced.
        let null = File::options().write(true).open("/dev/null").unwrap();
        let mut file = new(null);
        let piece = vec![1; 16 << 20];
        let mut results: Vec<io::Result<()>> = (0..4).map(|_| file.write_all(&piece)).collect();
        results.push(file.finish());
        assert!(results.iter().any(Result::is_err));
    }

    /// Writes pieces into an empty file. Returns the file's bytes, and how many of them were written.
    fn written(pieces: &[&[u8]]) -> (Vec<u8>, u64) {
        let mut file = new(tempfile::tempfile().unwrap());
        let check = file.file.try_clone().unwrap();
        for piece in pieces {
            file.write_all(piece).unwrap();
        }
        let written = file.written_bytes().load(Ordering::Relaxed);
        file.finish().unwrap();
        let mut bytes = vec![0; usize::try_from(check.metadata().unwrap().len()).unwrap()];
        check.read_exact_at(&mut bytes, 0).unwrap();
        (bytes, written)
    }

    #[test]
    fn blocks_of_zeros_are_holes_and_the_bytes_are_the_same() {
        let mut bytes = vec![0; 100 * BLOCK + 77];
        for at in [
            0,
            5 * BLOCK,
            5 * BLOCK + 4095,
            7 * BLOCK + 1,
            60 * BLOCK,
            61 * BLOCK,
        ] {
            bytes[at] = 1;
        }
        for piece in [1, 77, 512, BLOCK, BLOCK + 1, 3 * BLOCK, bytes.len()] {
            let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
            let (found, written) = written(&pieces);
            assert!(found == bytes, "{piece}");
            // Five blocks have something in them.
            assert!(written <= 5 * BLOCK as u64, "{piece}: {written}");
        }
    }

    #[test]
    fn a_file_that_ends_in_zeros_is_as_long() {
        for len in [BLOCK, 20 * BLOCK] {
            let (found, written) = written(&[&vec![0; len]]);
            assert_eq!((found, written), (vec![0; len], 0));
        }
    }

    #[test]
    fn zeros_over_written_bytes_are_written() {
        let mut file = new(tempfile::tempfile().unwrap());
        let check = file.file.try_clone().unwrap();
        file.write_all(&[7; 2 * BLOCK]).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(&ZEROS).unwrap();
        file.finish().unwrap();
        let mut bytes = [1; 2 * BLOCK];
        check.read_exact_at(&mut bytes, 0).unwrap();
        assert!(bytes[..BLOCK] == ZEROS && bytes[BLOCK..] == [7; BLOCK]);
    }

    #[test]
    fn nothing_is_written_after_the_work_was_cancelled() {
        let cancelled = Arc::new(AtomicBool::new(false));
        let mut file = Writeback::new(tempfile::tempfile().unwrap(), Arc::clone(&cancelled));
        file.write_all(b"a").unwrap();
        cancelled.store(true, Ordering::Relaxed);
        assert!(is_cancelled(&file.write_all(b"b").unwrap_err()));
    }
}
