mod compare;
mod disk;
mod error;

pub use error::ProofError;

use std::fs::File;
use std::path::Path;

use erofs_reader::{CheckOptions, FlatDisk, Image, check};
use fs_tree::Tree;

use disk::Part;

/// What a proof went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Files of the disk.
    pub extents: usize,
    /// Paths of the tree.
    pub paths: u64,
    /// Bytes of file data that were compared with their sums.
    pub verified_bytes: u64,
}

/// Goes through a disk by its descriptor, as a guest would see it, with a reader that shares nothing with the writer: every
/// file of the disk has the length that the descriptor says, the device table says the same, every inode, directory and
/// extent is sound.
///
/// With `expected`, the merged tree of the layers, every path is also compared with it: metadata, xattrs, hard links, and each
/// file's bytes with the sum that was taken when they were ingested.
///
/// # Errors
/// The first [`ProofError`].
pub fn prove(descriptor: &Path, expected: Option<&Tree>) -> Result<Proof, ProofError> {
    let text = disk::read_text(descriptor)?;
    let (image, mut proof) = prove_structure(descriptor, &text, None)?;
    if let Some(tree) = expected {
        proof.verified_bytes = compare::compare(&image, tree)?;
    }
    Ok(proof)
}

/// As [`prove`] without a tree, of a disk that is not there yet: the descriptor's `text` is to be written to `descriptor`, and
/// `fsmeta` is the file that is to have the name of its first extent. Of the layers, the text says all that is needed;
/// [`prove_layers`] tells whether it is right.
///
/// # Errors
/// The first [`ProofError`].
pub fn prove_unpublished(descriptor: &Path, text: &str, fsmeta: File) -> Result<Proof, ProofError> {
    prove_structure(descriptor, text, Some(fsmeta)).map(|(_, proof)| proof)
}

/// The other half of [`prove_unpublished`]: the layers lie where the text says, each as long as it says.
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
