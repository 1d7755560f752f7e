use super::pax::XattrSpan;

/// One entry: its header with all extensions applied. Borrows from the parser and the pushed bytes.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The path as stored, not normalized: see [`path::normalize`](super::path::normalize).
    pub path: &'a [u8],
    /// The type of the entry.
    pub kind: Kind<'a>,
    /// Permission bits with setuid, setgid and sticky: at most `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last modification.
    pub mtime: Timestamp,
    /// Logical size in bytes, including holes; 0 for entries without data.
    pub size: u64,
    /// Data extents of a sparse file: ascending, disjoint, none empty, all within `size`. `None` for a file that is not
    /// sparse; an empty slice for one that is a single hole.
    pub sparse: Option<&'a [SparseExtent]>,
    /// Extended attributes, sorted by name, each name once.
    pub xattrs: Xattrs<'a>,
    /// Attributes of the entry that the other fields do not contain.
    pub lost: Lost,
    /// Where the entry's own header block starts in the stream.
    pub header_offset: u64,
}

/// The type of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A file; its data follows.
    Regular,
    /// Another name of an earlier entry, or of a file in a lower layer.
    HardLink {
        /// The path of the existing file, as stored.
        target: &'a [u8],
    },
    /// A symbolic link.
    Symlink {
        /// The target, as stored.
        target: &'a [u8],
    },
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// An unknown type, by its byte. Its payload is delivered as data.
    Other(u8),
}

/// Seconds since 1970 and nanoseconds after that second, also before 1970: -1.5 is second -2 and half a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub secs: i64,
    /// `0..1_000_000_000`.
    pub nanos: u32,
}

/// A data extent of a sparse file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseExtent {
    /// Where it starts in the file.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// Attributes in forms that are not decoded, so that a caller can note their loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// An ACL as text (`SCHILY.acl.*`); ACLs as xattrs are not lost.
    pub text_acl: bool,
    /// BSD file flags (`SCHILY.fflags`).
    pub file_flags: bool,
    /// An SELinux context outside the xattrs (`RHT.security.selinux`).
    pub selinux: bool,
}

/// The extended attributes of one entry, as pairs of name (`security.capability`) and value.
#[derive(Clone, Copy, Debug, Default)]
pub struct Xattrs<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) spans: &'a [XattrSpan],
}

impl<'a> Xattrs<'a> {
    /// Returns pairs of name and value, sorted by name.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        self.spans
            .iter()
            .map(move |span| (span.name.of(bytes), span.value.of(bytes)))
    }
}
