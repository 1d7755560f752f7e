//! The table of artifact kinds: where the files of each lie, and what marks it complete.
//!
//! Staging, publishing, listing, measuring and removing are the same code for all kinds, and read this table. A new kind is a new
//! row; a new file of a kind is a new entry in its row.

use msb_oci::{Algorithm, Digest};

use crate::key::{DiskKey, FormatVersion, LayerKey};

/// One kind of artifact.
#[derive(Debug)]
pub(crate) struct ArtifactKind {
    /// The directory below the root; below it lies one for each digest algorithm.
    pub(crate) folder: &'static str,
    /// Whether names carry the format version.
    pub(crate) is_versioned: bool,
    /// In the order in which they are published; the last one marks the artifact complete, and is removed first.
    pub(crate) files: &'static [ArtifactFile],
}

/// One file of a kind.
#[derive(Debug)]
pub(crate) struct ArtifactFile {
    /// What follows the key and a dot; empty for the bare key.
    pub(crate) name: &'static str,
    pub(crate) folder: Folder,
    /// Whether the artifact is incomplete without it.
    pub(crate) is_required: bool,
    /// Whether it is what a guest reads, and gets the immutable flag where that is asked for.
    pub(crate) is_disk_data: bool,
}

/// Where a file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folder {
    /// In the directory of the algorithm in the directory of the kind: `layers/sha256/<hex>.v1.erofs`.
    OfKind,
    /// In the root, above all other files of the cache: `sha256-<hex>.v1.vmdk`.
    Root,
}

const fn required(name: &'static str) -> ArtifactFile {
    ArtifactFile {
        name,
        folder: Folder::OfKind,
        is_required: true,
        is_disk_data: false,
    }
}

const fn disk_data(name: &'static str) -> ArtifactFile {
    ArtifactFile {
        is_disk_data: true,
        ..required(name)
    }
}

/// Returns a file in the root that a guest reads.
const fn descriptor(name: &'static str) -> ArtifactFile {
    ArtifactFile {
        folder: Folder::Root,
        ..disk_data(name)
    }
}

const fn optional(name: &'static str) -> ArtifactFile {
    ArtifactFile {
        is_required: false,
        ..required(name)
    }
}

/// A layer: its image, the blobs that were verified to be it, the leaf hashes of its image, and its sidecar.
pub(crate) static LAYER: ArtifactKind = ArtifactKind {
    folder: "layers",
    is_versioned: true,
    files: &[
        disk_data("erofs"),
        optional("blobs"),
        optional("leaves"),
        disk_data("layer"),
    ],
};
pub(crate) const LAYER_IMAGE: usize = 0;
pub(crate) const LAYER_BLOBS: usize = 1;
pub(crate) const LAYER_LEAVES: usize = 2;
pub(crate) const LAYER_SIDECAR: usize = 3;

/// A disk: its merged metadata, the checksum of that, and its descriptor above all files that it names. With dm-verity also a hash tree,
/// and a descriptor that names it as the last file.
pub(crate) static DISK: ArtifactKind = ArtifactKind {
    folder: "disks",
    is_versioned: true,
    files: &[
        disk_data("erofs"),
        optional("crc32c"),
        ArtifactFile {
            is_required: false,
            ..disk_data("tree")
        },
        ArtifactFile {
            is_required: false,
            ..descriptor("verity.vmdk")
        },
        descriptor("vmdk"),
    ],
};
pub(crate) const DISK_FSMETA: usize = 0;
pub(crate) const DISK_CHECKSUM: usize = 1;
pub(crate) const DISK_TREE: usize = 2;
pub(crate) const DISK_VERITY_VMDK: usize = 3;
pub(crate) const DISK_VMDK: usize = 4;

/// A raw manifest, index or config.
pub(crate) static BLOB: ArtifactKind = ArtifactKind {
    folder: "blobs",
    is_versioned: false,
    files: &[required("")],
};

/// The bytes of a compressed blob that have arrived so far. The folder's name is part of the layout on disk.
pub(crate) static PARTIAL_BLOB: ArtifactKind = ArtifactKind {
    folder: "parts",
    is_versioned: false,
    files: &[required("part")],
};

/// The whole blob of a layer as its source has it, kept on request.
pub(crate) static LAYER_BLOB: ArtifactKind = ArtifactKind {
    folder: "layer-blobs",
    is_versioned: false,
    files: &[required("")],
};

/// The lease on a disk: what it keeps, and the file that its holders lock.
pub(crate) static LEASE: ArtifactKind = ArtifactKind {
    folder: "leases",
    is_versioned: true,
    files: &[required("layers"), required("lease")],
};
pub(crate) const LEASE_REFERENCES: usize = 0;
pub(crate) const LEASE_LOCK: usize = 1;

pub(crate) static KINDS: [&ArtifactKind; 6] =
    [&LAYER, &DISK, &BLOB, &LAYER_BLOB, &PARTIAL_BLOB, &LEASE];

/// The directory of the image records.
pub(crate) const IMAGES: &str = "images";
/// The directory of the pins.
pub(crate) const PINS: &str = "pins";
/// The directory of the lock files.
pub(crate) const LOCKS: &str = "locks";

pub(crate) const ALGORITHMS: [Algorithm; 3] =
    [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512];

/// What an artifact is named by.
pub(crate) trait ArtifactKey: Clone + Ord {
    fn digest(&self) -> &Digest;
    fn version(&self) -> Option<FormatVersion>;
    fn new(digest: Digest, version: Option<FormatVersion>) -> Option<Self>;
}

impl ArtifactKey for LayerKey {
    fn digest(&self) -> &Digest {
        &self.diff_id
    }

    fn version(&self) -> Option<FormatVersion> {
        Some(self.version)
    }

    fn new(digest: Digest, version: Option<FormatVersion>) -> Option<Self> {
        Some(Self::new(digest, version?))
    }
}

impl ArtifactKey for DiskKey {
    fn digest(&self) -> &Digest {
        &self.chain
    }

    fn version(&self) -> Option<FormatVersion> {
        Some(self.version)
    }

    fn new(digest: Digest, version: Option<FormatVersion>) -> Option<Self> {
        Some(Self::new(digest, version?))
    }
}

impl ArtifactKey for Digest {
    fn digest(&self) -> &Digest {
        self
    }

    fn version(&self) -> Option<FormatVersion> {
        None
    }

    fn new(digest: Digest, version: Option<FormatVersion>) -> Option<Self> {
        version.is_none().then_some(digest)
    }
}

/// A file of the store: its directory below the root, empty for the root itself, and its name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) dir: String,
    pub(crate) name: String,
    /// See [`ArtifactFile::is_disk_data`].
    pub(crate) is_disk_data: bool,
}

impl Place {
    pub(crate) fn new(dir: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            dir: dir.into(),
            name: name.into(),
            is_disk_data: false,
        }
    }

    /// Returns the path below the root.
    pub(crate) fn below_root(&self) -> String {
        if self.dir.is_empty() {
            self.name.clone()
        } else {
            format!("{}/{}", self.dir, self.name)
        }
    }
}

impl ArtifactKind {
    /// Returns the directory of an algorithm: `layers/sha256`.
    pub(crate) fn algorithm_dir(&self, algorithm: Algorithm) -> String {
        format!("{}/{algorithm}", self.folder)
    }

    /// Returns what the names of an artifact begin with: `<hex>.v1`, or `<hex>`.
    pub(crate) fn stem(&self, key: &impl ArtifactKey) -> String {
        match key.version().filter(|_| self.is_versioned) {
            Some(version) => format!("{}.{version}", key.digest().hex()),
            None => key.digest().hex().to_string(),
        }
    }

    /// Returns the directory of one of an artifact's files. A digest is parsed, so it holds no separator.
    pub(crate) fn dir(&self, key: &impl ArtifactKey, file: usize) -> String {
        match self.files[file].folder {
            Folder::OfKind => self.algorithm_dir(key.digest().algorithm()),
            Folder::Root => String::new(),
        }
    }

    /// Returns the name of one of an artifact's files within [`Self::dir`].
    pub(crate) fn file_name(&self, key: &impl ArtifactKey, file: usize) -> String {
        let ArtifactFile { name, folder, .. } = &self.files[file];
        let stem = self.stem(key);
        match (folder, *name) {
            (Folder::OfKind, "") => stem,
            (Folder::OfKind, name) => format!("{stem}.{name}"),
            (Folder::Root, name) => format!("{}-{stem}.{name}", key.digest().algorithm()),
        }
    }

    /// Returns where one of an artifact's files lies, or would lie.
    pub(crate) fn place(&self, key: &impl ArtifactKey, file: usize) -> Place {
        Place {
            dir: self.dir(key, file),
            name: self.file_name(key, file),
            is_disk_data: self.files[file].is_disk_data,
        }
    }

    /// Returns the artifact that a name in the algorithm's directory belongs to; `None` for names that are not the store's.
    pub(crate) fn key_of<K: ArtifactKey>(&self, algorithm: Algorithm, name: &str) -> Option<K> {
        self.key_in(Folder::OfKind, algorithm, name)
    }

    /// Returns the artifact that a name in the root belongs to; `None` for names that are not of this kind.
    pub(crate) fn key_in_root<K: ArtifactKey>(&self, name: &str) -> Option<K> {
        let (algorithm, name) = name.split_once('-')?;
        let algorithm = ALGORITHMS
            .into_iter()
            .find(|known| known.to_string() == algorithm)?;
        self.key_in(Folder::Root, algorithm, name)
    }

    fn key_in<K: ArtifactKey>(
        &self,
        folder: Folder,
        algorithm: Algorithm,
        name: &str,
    ) -> Option<K> {
        let mut files = self.files.iter().filter(|file| file.folder == folder);
        files.find_map(|file| {
            let stem = match file.name {
                "" => name,
                end => name.strip_suffix(end)?.strip_suffix('.')?,
            };
            self.key_of_stem(algorithm, stem)
        })
    }

    /// Returns the artifact whose names begin like this.
    pub(crate) fn key_of_stem<K: ArtifactKey>(
        &self,
        algorithm: Algorithm,
        stem: &str,
    ) -> Option<K> {
        let (hex, version) = if self.is_versioned {
            let (hex, version) = stem.rsplit_once('.')?;
            (hex, Some(FormatVersion::from_name(version)?))
        } else {
            (stem, None)
        };
        K::new(format!("{algorithm}:{hex}").parse().ok()?, version)
    }
}

/// Returns whether a name in the root is that of an artifact's file.
pub(crate) fn is_root_name(name: &str) -> bool {
    DISK.key_in_root::<DiskKey>(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_key() {
        let digest = Digest::sha256_of(b"a");
        let layer = LayerKey::new(digest, FormatVersion(7));
        for file in 0..LAYER.files.len() {
            let name = LAYER.file_name(&layer, file);
            assert_eq!(LAYER.key_of(Algorithm::Sha256, &name), Some(layer.clone()));
        }
        let disk = DiskKey::new(digest, FormatVersion(7));
        for file in [DISK_FSMETA, DISK_CHECKSUM, DISK_TREE] {
            let name = DISK.file_name(&disk, file);
            assert_eq!(DISK.key_of(Algorithm::Sha256, &name), Some(disk.clone()));
        }
        let name = DISK.file_name(&disk, DISK_VMDK);
        assert_eq!(name, format!("sha256-{}.v7.vmdk", digest.hex()));
        assert_eq!(DISK.key_in_root(&name), Some(disk.clone()));
        assert_eq!(DISK.key_of::<DiskKey>(Algorithm::Sha256, &name), None);
        assert!(is_root_name(&name) && !is_root_name(&name[7..]));
        let name = DISK.file_name(&disk, DISK_VERITY_VMDK);
        assert_eq!(DISK.key_in_root(&name), Some(disk));
        for kind in [&BLOB, &LAYER_BLOB, &PARTIAL_BLOB] {
            let name = kind.file_name(&digest, 0);
            assert_eq!(kind.key_of(Algorithm::Sha256, &name), Some(digest));
        }
        for strange in [
            "",
            "x",
            "notes.txt",
            ".erofs",
            "ab.v1.erofs",
            "..",
            ".tmp-1-2.x",
        ] {
            assert_eq!(LAYER.key_of::<LayerKey>(Algorithm::Sha256, strange), None);
            assert_eq!(BLOB.key_of::<Digest>(Algorithm::Sha256, strange), None);
        }
    }
}
