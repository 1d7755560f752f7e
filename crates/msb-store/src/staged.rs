//! A file that is written beside its target and becomes it whole, or not at all.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use msb_oci::Digest;

use crate::artifact::{
    DISK, DISK_FSMETA, DISK_TREE, DISK_VERITY_VMDK, DISK_VMDK, LAYER, LAYER_IMAGE, LAYER_LEAVES,
    LAYER_SIDECAR, Place,
};
use crate::crash;
use crate::error::{At as _, Error, Result};
use crate::permissions::Modes;
use crate::step::Step;
use crate::temporary::create_locked;
use crate::{DiskKey, LayerKey, Session, Store, immutable, sys};

/// A file being written under a temporary name in its target's own directory.
///
/// ```text
///   stage ──▶ Staged ──sync──▶ Synced ──publish──▶ the target, whole
///                │                │
///                └── drop ────────┴── drop ──▶ nothing remains
/// ```
///
/// While it lives it holds an exclusive lock on the temporary file, by which a sweep distinguishes it from the files of a process that
/// died. The handle is open for reading and writing.
#[derive(Debug)]
pub struct Staged {
    temporary: Temporary,
}

/// A staged file whose bytes are on stable storage, and which only lacks its name.
#[derive(Debug)]
#[must_use = "an unpublished file is removed"]
pub struct Synced {
    temporary: Temporary,
}

/// Removes the file on drop unless it was renamed.
#[derive(Debug)]
struct Temporary {
    store: Store,
    modes: Modes,
    file: File,
    /// In the target's directory.
    name: String,
    target: Place,
    /// The absolute path, for callers and error messages.
    path: PathBuf,
    target_path: PathBuf,
    is_published: bool,
}

impl Store {
    /// Creates a temporary file that becomes the layer image of `key` when it is published.
    pub fn stage_layer_image(&self, key: &LayerKey) -> Result<Staged> {
        Staged::create(self, LAYER.place(key, LAYER_IMAGE))
    }

    /// Creates a temporary file that becomes the sidecar of `key` when it is published.
    pub fn stage_layer_sidecar(&self, key: &LayerKey) -> Result<Staged> {
        Staged::create(self, LAYER.place(key, LAYER_SIDECAR))
    }

    /// Creates a temporary file that becomes the metadata image of the disk `key` when it is published.
    pub fn stage_fsmeta(&self, key: &DiskKey) -> Result<Staged> {
        Staged::create(self, DISK.place(key, DISK_FSMETA))
    }

    /// Creates a temporary file that becomes the VMDK descriptor of the disk `key` when it is published.
    pub fn stage_vmdk(&self, key: &DiskKey) -> Result<Staged> {
        Staged::create(self, DISK.place(key, DISK_VMDK))
    }

    /// Creates a temporary file that becomes the leaf hashes of the layer image of `key` when it is published.
    pub fn stage_layer_leaves(&self, key: &LayerKey) -> Result<Staged> {
        Staged::create(self, LAYER.place(key, LAYER_LEAVES))
    }

    /// Creates a temporary file that becomes the hash tree of the disk `key` when it is published.
    pub fn stage_tree(&self, key: &DiskKey) -> Result<Staged> {
        Staged::create(self, DISK.place(key, DISK_TREE))
    }

    /// Creates a temporary file that becomes the VMDK descriptor of the disk `key` with its hash tree when it is published.
    pub fn stage_verity_vmdk(&self, key: &DiskKey) -> Result<Staged> {
        Staged::create(self, DISK.place(key, DISK_VERITY_VMDK))
    }

    /// Publishes a file with these bytes.
    pub(crate) fn publish_bytes(&self, target: Place, bytes: &[u8]) -> Result<()> {
        self.stage_bytes(target, bytes)?.sync()?.publish_in(self)
    }

    /// Publishes a file with these bytes without syncing it: after a crash it may be empty or damaged.
    pub(crate) fn publish_hint(&self, target: Place, bytes: &[u8]) -> Result<()> {
        self.stage_bytes(target, bytes)?
            .without_sync()?
            .publish_in(self)
    }

    /// Publishes a layer: its image, the digest of the blob that was verified to unpack to it, and its sidecar, which marks it complete.
    ///
    /// The same as [`publish_all`] and [`Self::record_verified_blob`], in one session.
    ///
    /// # Errors
    /// [`Error::Io`]; then the layer is incomplete.
    pub fn publish_layer(
        &self,
        key: &LayerKey,
        blob: &Digest,
        image: Synced,
        sidecar: Synced,
    ) -> Result<()> {
        let session = self.session();
        let mode = image.temporary.modes.artifact;
        image.publish_in(&session)?;
        // Before the sidecar, so that no other pull finds a layer whose blob it has to verify again.
        session.record_new_blob(key, blob, mode)?;
        sidecar.publish_in(&session)
    }

    fn stage_bytes(&self, target: Place, bytes: &[u8]) -> Result<Staged> {
        let staged = Staged::create(self, target)?;
        let written = crash::around("write", staged.path(), &[], || {
            staged.file().write_all(bytes)
        });
        written.map_err(|source| staged.write_error(source, bytes.len().try_into().ok()))?;
        Ok(staged)
    }
}

impl Staged {
    pub(crate) fn create(store: &Store, target: Place) -> Result<Self> {
        // A prune may remove the directory while it is empty.
        for _ in 0..16 {
            let (dir, modes) = store.make_dir(&target.dir)?;
            let created = create_locked(&dir, &target.name, modes.private_file)?;
            if let Some((name, file)) = created {
                let temporary = Temporary {
                    store: store.clone(),
                    modes,
                    file,
                    path: dir.path_of(&name),
                    target_path: dir.path_of(&target.name),
                    name,
                    target,
                    is_published: false,
                };
                return Ok(Self { temporary });
            }
            store.close_dirs();
        }
        let path = store.path_of(&target);
        Err(Error::from_io(
            Step::Create,
            &path,
            io::ErrorKind::NotFound.into(),
        ))
    }

    /// Returns the file, open for reading and writing, at first empty.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.temporary.file
    }

    /// Returns a second handle on the same open file, sharing its position; for a writer that owns its output.
    ///
    /// The file counts as live for as long as either exists.
    pub fn try_clone_file(&self) -> Result<File> {
        self.file().try_clone().at(Step::Open, self.path())
    }

    /// Returns the temporary path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.temporary.path
    }

    /// Returns the path that the file gets.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.temporary.target_path
    }

    /// Wraps the error of a write to [`Self::file`] with the number of bytes that the whole file needs.
    #[must_use]
    pub fn write_error(&self, source: io::Error, needed_bytes: Option<u64>) -> Error {
        let error = Error::from_io(Step::Write, self.path(), source);
        match needed_bytes {
            Some(bytes) => error.with_needed_bytes(bytes),
            None => error,
        }
    }

    /// Writes the bytes to stable storage and makes the file read-only. This is the slow half of publishing, and needs no lock but
    /// the file's own.
    pub fn sync(self) -> Result<Synced> {
        #[cfg(test)]
        crate::order::note("sync", self.path());
        self.set_mode()?;
        // Also where a full disk shows itself on file systems that allocate late.
        crash::around("sync", self.path(), &[], || {
            sys::sync_file(self.file()).at(Step::Sync, self.path())
        })?;
        Ok(Synced {
            temporary: self.temporary,
        })
    }

    /// Publishes the file under its name without syncing it: after a crash it may be empty or damaged, which its reader must notice.
    pub fn publish_unsynced(self) -> Result<()> {
        self.without_sync()?.publish()
    }

    fn without_sync(self) -> Result<Synced> {
        self.set_mode()?;
        Ok(Synced {
            temporary: self.temporary,
        })
    }

    /// Syncs the file and publishes it under its name.
    pub fn publish(self) -> Result<()> {
        self.sync()?.publish()
    }

    fn set_mode(&self) -> Result<()> {
        rustix::fs::fchmod(self.file(), self.temporary.modes.artifact)
            .map_err(io::Error::from)
            .at(Step::SetPermissions, self.path())
    }
}

impl Synced {
    /// Returns the path that the file gets.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.temporary.target_path
    }

    /// Publishes the file under its name. The name is durable when an image record that depends on it is published.
    pub fn publish(self) -> Result<()> {
        publish_all([self])
    }

    /// Publishes the file under its name, below the directories that `store` may have open.
    fn publish_in(mut self, store: &Store) -> Result<()> {
        let temporary = &mut self.temporary;
        let dir = store.dir(&temporary.target.dir)?.ok_or_else(|| {
            let source = io::ErrorKind::NotFound.into();
            Error::from_io(Step::Rename, &temporary.target_path, source)
        })?;
        dir.rename(&temporary.name, &temporary.target.name)?;
        temporary.is_published = true;
        if temporary.target.is_disk_data && store.inner.options.immutable {
            immutable::set(&temporary.file, &temporary.target_path);
        }
        Ok(())
    }
}

/// Publishes the files under their names in this order.
///
/// The file that marks an artifact complete goes last (a layer's sidecar, a disk's descriptor). A crash halfway may leave any
/// of the names, each with all of its bytes; a failure halfway leaves the first of them, in order.
///
/// The directories are not synced: [`Store::write_image`] does that, once for all that it names.
pub fn publish_all(files: impl IntoIterator<Item = Synced>) -> Result<()> {
    let mut session: Option<Session> = None;
    for synced in files {
        let store = &synced.temporary.store;
        let session = match session.take() {
            Some(current) if current.is_of(store) => session.insert(current),
            _ => session.insert(store.session()),
        };
        synced.publish_in(session)?;
    }
    Ok(())
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if self.is_published {
            return;
        }
        // The lock goes with the handle, after this, so no sweep meets the file in between.
        let removed = self.store.dir(&self.target.dir);
        let removed = removed.and_then(|dir| dir.map_or(Ok(false), |d| d.remove_file(&self.name)));
        if let Err(error) = removed {
            tracing::warn!(%error, "a temporary file remains until the next sweep");
        }
    }
}
