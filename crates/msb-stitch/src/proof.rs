mod compare;
mod disk;
mod error;

pub use error::ProofError;

use std::fs::File;
use std::path::Path;

use erofs_reader::{CheckOptions, FlatDisk, Image, check};
use fs_tree::Tree;

use disk::Part;

/// What a verification covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Files of the disk.
    pub extents: usize,
    /// Paths of the tree.
    pub paths: u64,
    /// Bytes of file data that were compared with their checksums.
    pub verified_bytes: u64,
}

/// Verifies a disk by its descriptor, as a guest would see it, with a reader that shares nothing with the writer: every
/// file of the disk has the length that the descriptor states, the device table agrees, every inode, directory and
/// extent is sound.
///
/// With `expected`, the merged tree of the layers, every path is also compared with it: metadata, xattrs, hard links, and each
/// file's bytes with the checksum that was taken when they were ingested.
///
/// # Errors
/// The first [`ProofError`].
pub fn prove(descriptor: &Path, expected: Option<&Tree>) -> Result<Proof, ProofError> {
    match expected {
        Some(tree) => {
            let (proof, damaged) = find_damaged_files(descriptor, tree)?;
            damaged.into_iter().next().map_or(Ok(proof), Err)
        }
        None => {
            let text = disk::read_text(descriptor)?;
            prove_structure(descriptor, &text, None).map(|(_, proof)| proof)
        }
    }
}

/// Verifies a disk as [`prove`] does with a tree, and returns the first 100 files whose bytes are damaged, each as a
/// [`ProofError::Contents`].
///
/// # Errors
/// The first [`ProofError`] of another kind.
pub fn find_damaged_files(
    descriptor: &Path,
    expected: &Tree,
) -> Result<(Proof, Vec<ProofError>), ProofError> {
    let text = disk::read_text(descriptor)?;
    let (image, mut proof) = prove_structure(descriptor, &text, None)?;
    let compared = compare::compare(&image, expected)?;
    proof.verified_bytes = compared.verified_bytes;
    Ok((proof, compared.damaged))
}

/// Verifies a disk as [`prove`] does without a tree, before it is published: the descriptor's `text` will be written to
/// `descriptor`, and `fsmeta` will have the name of its first extent. The lengths of the layers are taken from the text;
/// [`prove_layers`] verifies them.
///
/// # Errors
/// The first [`ProofError`].
pub fn prove_unpublished(descriptor: &Path, text: &str, fsmeta: File) -> Result<Proof, ProofError> {
    prove_structure(descriptor, text, Some(fsmeta)).map(|(_, proof)| proof)
}

/// Verifies the other half of [`prove_unpublished`]: the layers are where the text names them, each with the length that it states.
///
/// # Errors
/// [`ProofError::Read`], [`ProofError::Length`], [`ProofError::Blocks`], [`ProofError::Vmdk`].
pub fn prove_layers(descriptor: &Path, text: &str) -> Result<(), ProofError> {
    disk::check_layers(descriptor, text)
}

fn prove_structure(
    descriptor: &Path,
    text: &str,
    fsmeta: Option<File>,
) -> Result<(Image<FlatDisk<Part>>, Proof), ProofError> {
    let (image, extents) = disk::open(descriptor, text, fsmeta)?;
    let summary = check(&image, &CheckOptions::default())?;
    let proof = Proof {
        extents,
        paths: summary.paths,
        verified_bytes: 0,
    };
    Ok((image, proof))
}
