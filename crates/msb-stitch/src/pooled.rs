use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use erofs_reader::ReadAt;

/// The number of files of a pool that stay open. Each run of reads of another file opens it.
const OPEN_FILES: usize = 8;

/// Opens files when they are read, so that a disk of many layers needs few open files.
pub struct FilePool {
    open: Box<OpenFile>,
    /// The files that were opened last, the latest at the end.
    recent: Mutex<Vec<(PathBuf, Arc<File>)>>,
}

/// Opens a file for reading.
type OpenFile = dyn Fn(&Path) -> io::Result<File> + Send + Sync;

/// A file of a [`FilePool`].
#[derive(Debug)]
pub struct PooledFile {
    pool: Arc<FilePool>,
    path: PathBuf,
    bytes: u64,
}

impl FilePool {
    /// Creates a pool whose files are opened by `open`.
    #[must_use]
    pub fn new(open: impl Fn(&Path) -> io::Result<File> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            open: Box::new(open),
            recent: Mutex::default(),
        })
    }

    /// Opens a file once, for its length.
    ///
    /// # Errors
    /// Those of opening the file and of reading its metadata.
    pub fn file(self: &Arc<Self>, path: impl Into<PathBuf>) -> io::Result<PooledFile> {
        let path = path.into();
        let bytes = self.get(&path)?.metadata()?.len();
        Ok(PooledFile {
            pool: Arc::clone(self),
            path,
            bytes,
        })
    }

    fn get(&self, path: &Path) -> io::Result<Arc<File>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, file)) = recent.iter().rev().find(|(known, _)| known == path) {
            return Ok(Arc::clone(file));
        }
        if recent.len() >= OPEN_FILES {
            recent.remove(0);
        }
        let file = Arc::new((self.open)(path)?);
        recent.push((path.to_path_buf(), Arc::clone(&file)));
        Ok(file)
    }
}

impl ReadAt for PooledFile {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        ReadAt::read_exact_at(&*self.pool.get(&self.path)?, buffer, offset)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes)
    }
}

impl fmt::Debug for FilePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilePool").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_hundred_files_are_read_with_few_of_them_open() {
        let folder = tempfile::tempdir().unwrap();
        let opened = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&opened);
        let pool = FilePool::new(move |path| {
            count.fetch_add(1, Ordering::Relaxed);
            File::open(path)
        });
        let files: Vec<PooledFile> = (0..100u8)
            .map(|number| {
                let path = folder.path().join(number.to_string());
                fs::write(&path, [number; 3]).unwrap();
                pool.file(path).unwrap()
            })
            .collect();
        for (number, file) in (0..100u8).zip(&files) {
            let mut bytes = [0; 3];
            file.read_exact_at(&mut bytes, 0).unwrap();
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert_eq!((bytes, file.size().unwrap()), ([number; 3], 3));
        }
        assert_eq!(pool.recent.lock().unwrap().len(), OPEN_FILES);
        // Once for the length and once for both reads.
        assert_eq!(opened.load(Ordering::Relaxed), 200);
        assert!(files[0].read_exact_at(&mut [0; 4], 0).is_err());
    }
}
