//! Verification of a disk through its descriptor, as a guest would see it.

mod compare;
mod disk;
mod error;

pub use error::VerifyError;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use erofs_reader::{CheckOptions, FlatDisk, Image, check};
use fs_tree::Tree;

use crate::pooled::FilePool;
use disk::Part;

/// What a verification covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifiedDisk {
    /// The number of files of the disk.
    pub extents: usize,
    /// The number of paths of the tree.
    pub paths: u64,
    /// Bytes of file data that were compared with their checksums.
    pub verified_bytes: u64,
}

/// Verifies a disk by its descriptor, with `erofs-reader`, which shares only `erofs-format` with the writer: the length of every file
/// against the descriptor, the device table, and every inode, directory and extent.
///
/// All files, the descriptor included, are opened by one function of the caller.
#[derive(Clone)]
pub struct DiskVerifier {
    descriptor: PathBuf,
    open: Arc<OpenFile>,
}

/// Opens a file for reading.
type OpenFile = dyn Fn(&Path) -> io::Result<File> + Send + Sync;

impl DiskVerifier {
    /// Creates a verifier of the disk with this descriptor.
    ///
    /// `open` opens a file for reading, by its path below the descriptor's directory. It must fail for anything but a regular file,
    /// with [`io::ErrorKind::NotFound`] for a missing one, and must not wait.
    #[must_use]
    pub fn new(
        descriptor: impl Into<PathBuf>,
        open: impl Fn(&Path) -> io::Result<File> + Send + Sync + 'static,
    ) -> Self {
        Self {
            descriptor: descriptor.into(),
            open: Arc::new(open),
        }
    }

    /// Verifies the structure of the disk. File data is not read.
    ///
    /// # Errors
    /// The first [`VerifyError`].
    pub fn verify_structure(&self) -> Result<VerifiedDisk, VerifyError> {
        let text = self.read_descriptor()?;
        self.structure(&text, None).map(|(_, verified)| verified)
    }

    /// Verifies the structure, and compares every path with the merged tree of the layers: metadata, xattrs, hard links, and the
    /// bytes of each file with the checksum that was computed when they were converted. Returns the first 100 files whose bytes are damaged too,
    /// each as a [`VerifyError::Contents`].
    ///
    /// # Errors
    /// The first [`VerifyError`] of another kind.
    pub fn find_damaged_files(
        &self,
        expected: &Tree,
    ) -> Result<(VerifiedDisk, Vec<VerifyError>), VerifyError> {
        let text = self.read_descriptor()?;
        let (image, mut verified) = self.structure(&text, None)?;
        let compared = compare::compare(&image, expected)?;
        verified.verified_bytes = compared.verified_bytes;
        Ok((verified, compared.damaged))
    }

    /// Verifies the disk as [`find_damaged_files`](Self::find_damaged_files) does, and returns the first damage as an error.
    ///
    /// # Errors
    /// The first [`VerifyError`].
    pub fn verify_contents(&self, expected: &Tree) -> Result<VerifiedDisk, VerifyError> {
        let (verified, damaged) = self.find_damaged_files(expected)?;
        damaged.into_iter().next().map_or(Ok(verified), Err)
    }

    /// Verifies the structure of a disk before it is published. The descriptor will have this `text`, and `fsmeta` will have the name
    /// of its first extent. The lengths of the layers are taken from the text; [`verify_layers`](Self::verify_layers) verifies them.
    ///
    /// # Errors
    /// The first [`VerifyError`].
    pub fn verify_unpublished(
        &self,
        text: &str,
        fsmeta: File,
    ) -> Result<VerifiedDisk, VerifyError> {
        self.structure(text, Some(fsmeta))
            .map(|(_, verified)| verified)
    }

    /// Verifies the other half of [`verify_unpublished`](Self::verify_unpublished): each layer image exists under the name in the
    /// text, with the length that it states.
    ///
    /// # Errors
    /// [`VerifyError::Read`], [`VerifyError::Length`], [`VerifyError::Blocks`], [`VerifyError::Vmdk`].
    pub fn verify_layers(&self, text: &str) -> Result<(), VerifyError> {
        disk::check_layers(&self.descriptor, text, &*self.open)
    }

    fn read_descriptor(&self) -> Result<String, VerifyError> {
        disk::read_text(&self.descriptor, &*self.open)
    }

    fn structure(
        &self,
        text: &str,
        fsmeta: Option<File>,
    ) -> Result<(Image<FlatDisk<Part>>, VerifiedDisk), VerifyError> {
        let open = Arc::clone(&self.open);
        let pool = FilePool::new(move |path| open(path));
        let (image, extents) = disk::open(&self.descriptor, text, fsmeta, &pool)?;
        let summary = check(&image, &CheckOptions::default())?;
        let verified = VerifiedDisk {
            extents,
            paths: summary.paths,
            verified_bytes: 0,
        };
        Ok((image, verified))
    }
}

impl fmt::Debug for DiskVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskVerifier")
            .field("descriptor", &self.descriptor)
            .finish_non_exhaustive()
    }
}

/// Verifies a disk that is in no cache, with its contents if `expected` is the merged tree of its layers. Files are opened by their
/// path; a symbolic link as the last component of one counts as a missing file.
///
/// # Errors
/// The first [`VerifyError`].
pub fn verify_disk(
    descriptor: &Path,
    expected: Option<&Tree>,
) -> Result<VerifiedDisk, VerifyError> {
    let verifier = DiskVerifier::new(descriptor, disk::open_file);
    match expected {
        Some(tree) => verifier.verify_contents(tree),
        None => verifier.verify_structure(),
    }
}
