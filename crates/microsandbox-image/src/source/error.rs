use std::io;
use std::path::PathBuf;

use msb_layer::decode::DecodeError;
use msb_layer::tar::path::PathError;
use msb_layer::tar::{EntryName, TarError};
use msb_oci::{Digest, Excerpt, Reference};

/// Reports why an OCI layout or an image archive cannot be used. `archive` is its path, escaped, or `standard input`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// It cannot be opened.
    #[error("{archive}: opening it")]
    Open {
        /// The archive.
        archive: String,
        /// The cause.
        source: io::Error,
    },
    /// It cannot be read.
    #[error("{archive}: reading it")]
    Read {
        /// The archive.
        archive: String,
        /// The cause.
        source: io::Error,
    },
    /// A file in it cannot be read.
    #[error("{archive}: reading {member}")]
    ReadMember {
        /// The archive.
        archive: String,
        /// The name of the file.
        member: EntryName,
        /// The cause.
        source: io::Error,
    },
    /// The temporary copy of a stream or of a compressed archive cannot be written.
    #[error("{archive}: writing a temporary copy to {}", directory.display())]
    Copy {
        /// The archive.
        archive: String,
        /// The directory of the copy.
        directory: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The temporary copy would be longer than allowed.
    #[error("{archive}: more than {limit} uncompressed bytes")]
    TooLong {
        /// The archive.
        archive: String,
        /// The largest number of uncompressed bytes.
        limit: u64,
    },
    /// Its compression is malformed.
    #[error("{archive}: decompressing it")]
    Decode {
        /// The archive.
        archive: String,
        /// The cause.
        source: DecodeError,
    },
    /// It is not a valid tar archive.
    #[error("{archive}: reading it as a tar archive")]
    Tar {
        /// The archive.
        archive: String,
        /// The cause.
        source: TarError,
    },
    /// A member has a name that leads out of the archive, or that is too long.
    #[error("{archive}: the name of {member}")]
    MemberName {
        /// The archive.
        archive: String,
        /// The name.
        member: EntryName,
        /// The cause.
        source: PathError,
    },
    /// A member has an absolute name.
    #[error("{archive}: {member} is an absolute name")]
    AbsoluteName {
        /// The archive.
        archive: String,
        /// The name.
        member: EntryName,
    },
    /// Two members have the same name.
    #[error("{archive}: {member} comes twice")]
    DuplicateMember {
        /// The archive.
        archive: String,
        /// The name.
        member: EntryName,
    },
    /// A member is longer than the rest of the archive.
    #[error("{archive}: {member} ends behind the end of the archive")]
    Truncated {
        /// The archive.
        archive: String,
        /// The name.
        member: EntryName,
    },
    /// It has more members than are read.
    #[error("{archive}: more than {limit} members")]
    TooManyMembers {
        /// The archive.
        archive: String,
        /// The largest number of members.
        limit: usize,
    },
    /// It is neither an OCI layout nor an archive of `docker save`.
    #[error(
        "{archive}: neither an OCI layout (index.json) nor an archive of docker save (manifest.json)"
    )]
    UnknownFormat {
        /// The archive.
        archive: String,
    },
    /// It has a version of the OCI layout that is not known.
    #[error("{archive}: OCI layout of version {version}; only 1.0.0 is known")]
    LayoutVersion {
        /// The archive.
        archive: String,
        /// The version.
        version: Excerpt,
    },
    /// A document is longer than allowed.
    #[error("{archive}: {member} has {actual} bytes; the limit is {limit}")]
    DocumentTooLong {
        /// The archive.
        archive: String,
        /// The name of the document.
        member: EntryName,
        /// Its length in bytes.
        actual: u64,
        /// The largest length in bytes.
        limit: u64,
    },
    /// A document cannot be parsed.
    #[error("{archive}: parsing {member}")]
    Document {
        /// The archive.
        archive: String,
        /// The name of the document.
        member: EntryName,
        /// The cause.
        source: serde_json::Error,
    },
    /// The index of a layout cannot be used.
    #[error("{archive}: parsing index.json")]
    Index {
        /// The archive.
        archive: String,
        /// The cause.
        source: msb_platform::Error,
    },
    /// A blob is neither an image manifest nor an index.
    #[error("{archive}: {digest} is neither a manifest nor an index")]
    NotAManifest {
        /// The archive.
        archive: String,
        /// The digest of the blob.
        digest: Digest,
    },
    /// A file that the archive names is missing.
    #[error("{archive}: {member} is missing")]
    Missing {
        /// The archive.
        archive: String,
        /// The name of the file.
        member: EntryName,
    },
    /// A name stands for something other than a file.
    #[error("{archive}: {member} is not a file")]
    NotAFile {
        /// The archive.
        archive: String,
        /// The name.
        member: EntryName,
    },
    /// A link leads out of the archive, or through too many links.
    #[error("{archive}: the link {member} leads to no file of the archive")]
    Link {
        /// The archive.
        archive: String,
        /// The name of the link.
        member: EntryName,
    },
    /// A file has another length than its descriptor states.
    #[error(
        "{archive}: size mismatch of {member}: its descriptor states {expected} bytes, it has {actual}"
    )]
    Size {
        /// The archive.
        archive: String,
        /// The name of the file.
        member: EntryName,
        /// The length in the descriptor, in bytes.
        expected: u64,
        /// The length of the file, in bytes.
        actual: u64,
    },
    /// A document has another digest than its name states.
    #[error("{archive}: digest mismatch of {member}: expected {expected}, found {actual}")]
    Digest {
        /// The archive.
        archive: String,
        /// The name of the document.
        member: EntryName,
        /// The digest in the name.
        expected: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// An image lists more or fewer layers than its config has diff_ids.
    #[error("{archive}: {member} has {diff_ids} diff_ids, and manifest.json lists {layers} layers")]
    LayerCount {
        /// The archive.
        archive: String,
        /// The name of the config.
        member: EntryName,
        /// The number of layers.
        layers: usize,
        /// The number of diff_ids.
        diff_ids: usize,
    },
    /// A name of an image is not a reference.
    #[error("{archive}: the image name {name}")]
    ImageName {
        /// The archive.
        archive: String,
        /// The name.
        name: Excerpt,
        /// The cause.
        source: msb_oci::Error,
    },
    /// It has more images than are read.
    #[error("{archive}: more than {limit} images")]
    TooManyImages {
        /// The archive.
        archive: String,
        /// The largest number of images.
        limit: usize,
    },
    /// It has no image.
    #[error("{archive}: no image in it")]
    NoImages {
        /// The archive.
        archive: String,
    },
    /// It has no image of this name.
    #[error("{archive}: no image {reference} in it{}", listed(names))]
    NoSuchImage {
        /// The archive.
        archive: String,
        /// The name that was asked for.
        reference: Box<Reference>,
        /// The names in the archive.
        names: Vec<Reference>,
    },
    /// None of its images has a name that is a reference.
    #[error("{archive}: no image in it has a full name ({images} without one)")]
    Unnamed {
        /// The archive.
        archive: String,
        /// The number of images.
        images: usize,
    },
}

impl ArchiveError {
    /// Returns whether a file or an image is missing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::NoSuchImage { .. } | Self::NoImages { .. } => true,
            Self::Open { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Returns whether bytes contradict a size, a digest or a format.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        matches!(
            self,
            Self::Decode { .. }
                | Self::Tar { .. }
                | Self::Truncated { .. }
                | Self::Size { .. }
                | Self::Digest { .. }
        )
    }
}

/// Lists the first few names.
fn listed(names: &[Reference]) -> String {
    const SHOWN: usize = 4;
    if names.is_empty() {
        return String::new();
    }
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(Reference::to_string).collect();
    if names.len() > SHOWN {
        shown.push("...".into());
    }
    format!("; it has {}", shown.join(", "))
}
