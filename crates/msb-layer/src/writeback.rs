use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};

/// How much is written before the disk is asked to begin: a fraction of a second of its time, and far less than the kernel
/// lets pile up by itself.
const STEP_BYTES: u64 = 32 << 20;

/// A file that is brought to stable storage while it is still being written.
///
/// The kernel holds dirty pages back for seconds or gigabytes; a sync at the end of a large layer would then wait for all of
/// them while nothing else is left to do. Here a thread syncs what there is, again and again, beside the stages that make
/// more. The caller's own sync in the end finds little left.
#[derive(Debug)]
pub(crate) struct Writeback {
    file: File,
    /// Bytes since the thread was last told.
    waiting_bytes: u64,
    /// None before the first step is full: small files need no thread.
    syncing: Option<Syncing>,
}

#[derive(Debug)]
struct Syncing {
    steps: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Writeback {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            waiting_bytes: 0,
            syncing: None,
        }
    }

    /// Ends the thread, and tells how it went: an error that it met would be told to no later sync.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.stop()
    }

    fn step(&mut self) -> io::Result<()> {
        self.waiting_bytes = 0;
        let syncing = match &self.syncing {
            Some(syncing) => syncing,
            None => {
                let file = self.file.try_clone()?;
                // One step may wait while one is worked on; more of them are one.
                let (steps, told) = sync_channel(1);
                let thread = Builder::new()
                    .name("layer-sync".into())
                    .spawn(move || told.iter().try_for_each(|()| file.sync_data()))?;
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
        let written = self.file.write(bytes)?;
        self.waiting_bytes += written as u64;
        // Elsewhere a sync empties the drive's own cache each time, which costs more than it gains.
        if cfg!(target_os = "linux") && self.waiting_bytes >= STEP_BYTES {
            self.step()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Writeback {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_there_whatever_was_synced_between() {
        let mut file = Writeback::new(tempfile::tempfile().unwrap());
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
        let mut file = Writeback::new(tempfile::tempfile().unwrap());
        file.write_all(&vec![0; 1 << 20]).unwrap();
        assert!(file.syncing.is_none());
        file.finish().unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_sync_that_fails_is_not_forgotten() {
        // A sink that takes everything and cannot be synced.
        let null = File::options().write(true).open("/dev/null").unwrap();
        let mut file = Writeback::new(null);
        let piece = vec![0; 16 << 20];
        let mut results: Vec<io::Result<()>> = (0..4).map(|_| file.write_all(&piece)).collect();
        results.push(file.finish());
        assert!(results.iter().any(Result::is_err));
    }
}
