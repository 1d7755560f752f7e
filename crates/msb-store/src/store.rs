//! Opening a cache directory.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{At as _, Error, Result};
use crate::step::Step;
use crate::{dirs, platform};

/// A handle on one cache directory; cheap to clone, free to share between threads, tasks and processes.
///
/// All calls block for as long as the file system takes, except the `async` ones, which wait without a thread.
#[derive(Debug, Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    /// Absolute; not resolved through links, so that a cache behind a link shows the paths that the user gave.
    pub(crate) root: PathBuf,
}

/// The layout that this version writes, and the newest that it reads.
pub const LAYOUT_VERSION: u32 = 1;

const MARKER: &str = "layout";
const MARKER_PREFIX: &str = "msb-store layout ";
/// Far more than a marker has; a longer file is not one.
const MARKER_LIMIT_BYTES: u64 = 256;

impl Store {
    /// Opens the cache directory at `root`, making it if it is not there.
    ///
    /// On a directory that is in use already this reads one small file and nothing else; every other directory is
    /// made when something is first put into it.
    ///
    /// # Errors
    /// [`Error::NewerLayout`] when a later version laid it out, [`Error::BadMarker`] when the marker is unreadable,
    /// [`Error::Io`] and [`Error::Full`] from the file system.
    pub fn open(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref();
        let root = std::path::absolute(root).at(Step::Resolve, root)?;
        let store = Self {
            inner: Arc::new(Inner { root }),
        };
        let marker = store.root().join(MARKER);
        match read_marker(&marker)? {
            Some(LAYOUT_VERSION) => {}
            Some(found) if found > LAYOUT_VERSION => {
                return Err(Error::NewerLayout {
                    path: marker,
                    found,
                    supported: LAYOUT_VERSION,
                });
            }
            // Layout 0 never was.
            Some(_) => return Err(Error::BadMarker { path: marker }),
            None => store.write_marker(&marker)?,
        }
        Ok(store)
    }

    /// Refuses with [`Error::Full`] when the file system has fewer than `needed_bytes` left for this user.
    ///
    /// Only a hint, since others write too: it tells early, and in numbers, what writing would tell late.
    pub fn check_space(&self, needed_bytes: u64) -> Result<()> {
        let available_bytes = fs4::available_space(self.root()).at(Step::Stat, self.root())?;
        if available_bytes >= needed_bytes {
            return Ok(());
        }
        Err(Error::Full {
            step: Step::Write,
            path: self.root().to_owned(),
            needed_bytes: Some(needed_bytes),
            available_bytes: Some(available_bytes),
            source: None,
        })
    }

    /// Several processes may do this at once: each publishes the same bytes.
    fn write_marker(&self, marker: &Path) -> Result<()> {
        let staged = self.stage(marker)?;
        writeln!(staged.file(), "{MARKER_PREFIX}{LAYOUT_VERSION}")
            .at(Step::Write, staged.path())?;
        staged.publish()
    }
}

/// The layout that the marker names; `None` when there is no marker.
fn read_marker(path: &Path) -> Result<Option<u32>> {
    let file = match platform::open_no_follow(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::from_io(Step::Open, path, e)),
    };
    let mut bytes = Vec::new();
    file.take(MARKER_LIMIT_BYTES)
        .read_to_end(&mut bytes)
        .at(Step::Read, path)?;
    std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| text.strip_prefix(MARKER_PREFIX))
        .and_then(|rest| rest.lines().next())
        .and_then(|number| number.parse().ok())
        .map(Some)
        .ok_or_else(|| Error::BadMarker {
            path: path.to_owned(),
        })
}

impl Store {
    /// Syncs the directories that hold `paths`, and those that hold them, up to and with the root.
    ///
    /// Whoever made them may have died before syncing them, so a record that depends on them does it again.
    pub(crate) fn sync_ancestors<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a Path>,
    ) -> Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        for path in paths {
            for dir in path.ancestors().skip(1) {
                if !seen.insert(dir.to_owned()) || dir == self.root() {
                    break;
                }
            }
        }
        seen.insert(self.root().to_owned());
        // Deepest first: a name is durable before the name of its directory is.
        for dir in seen.iter().rev() {
            dirs::sync(dir)?;
        }
        Ok(())
    }
}
