//! Removing what dead writers left behind.

use std::path::{Path, PathBuf};

use fs4::{FileExt, TryLockError};

use crate::error::{At as _, Error, Result};
use crate::key::{BLOBS, DISKS, IMAGES, LAYERS, LEASES};
use crate::step::Step;
use crate::{Store, dirs, platform, staged};

/// How many files were removed, and how many bytes they had.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Number of files.
    pub files: u64,
    /// Sum of their lengths.
    pub bytes: u64,
}

impl Store {
    /// Removes the temporary files whose writers are dead, in any process.
    ///
    /// Whether a writer lives is told by the lock that it holds on its file, never by age: a slow pull is not dead,
    /// and a crash a second ago is.
    pub fn sweep_stale_temporaries(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        for dir in self.dirs_with_temporaries()? {
            for path in dirs::list(&dir)? {
                if staged::is_temporary(&path)
                    && let Some(bytes) = remove_if_dead(&path)?
                {
                    swept.add(bytes);
                }
            }
        }
        Ok(swept)
    }

    /// Every directory in which something is staged: the root, and the leaves of the layout.
    fn dirs_with_temporaries(&self) -> Result<Vec<PathBuf>> {
        let root = self.root();
        let mut found = vec![root.to_owned(), root.join(IMAGES)];
        for kind in [LAYERS, BLOBS, LEASES] {
            found.extend(dirs::list(&root.join(kind))?);
        }
        for algorithm in dirs::list(&root.join(DISKS))? {
            found.extend(dirs::list(&algorithm)?);
        }
        Ok(found)
    }
}

impl Swept {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }
}

/// The file's length, if it was locked by nobody and is now removed.
fn remove_if_dead(path: &Path) -> Result<Option<u64>> {
    let file = match platform::open_rw_no_follow(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::from_io(Step::Open, path, e)),
    };
    match FileExt::try_lock(&file) {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(e)) => return Err(Error::from_io(Step::Lock, path, e)),
    }
    // It may have been published or dropped between the listing and the lock; then the name is gone for good.
    if !platform::names_same_file(path, &file).at(Step::Stat, path)? {
        return Ok(None);
    }
    let bytes = file.metadata().at(Step::Stat, path)?.len();
    Ok(dirs::remove_file(path)?.then_some(bytes))
}
