use super::pax::XattrSpan;

/// One entry: its header with all extensions applied. Borrowed from the parser and the pushed bytes.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The path as the archive has it, not normalized: see [`path::normalize`](super::path::normalize).
    pub path: &'a [u8],
    /// What the entry is.
    pub kind: Kind<'a>,
    /// Permission bits with setuid, setgid and sticky: at most `0o7777`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Time of the last modification.
    pub mtime: Timestamp,
    /// Logical size in bytes: with holes, for a sparse file; 0 for what has no data.
    pub size: u64,
    /// Where a sparse file has data: rising, without overlap, none empty, all within `size`. `None` for a file that is
    /// not sparse; `Some` of an empty slice for one that is a single hole.
    pub sparse: Option<&'a [SparseExtent]>,
    /// Extended attributes, sorted by name, each name once.
    pub xattrs: Xattrs<'a>,
    /// What the archive says of this entry and the fields above do not hold.
    pub lost: Lost,
    /// Where the entry's own header block starts in the stream.
    pub header_offset: u64,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A file; its data follows.
    Regular,
    /// Another name of an earlier entry, or of one in a layer below.
    HardLink {
        /// The path that is linked to, as the archive has it.
        target: &'a [u8],
    },
    /// A symbolic link.
    Symlink {
        /// What the link contains.
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
    /// A type that this parser does not know, by its byte. Its payload is delivered as data.
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

/// A stretch of data in a sparse file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparseExtent {
    /// Where it starts in the file.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
}

/// Attributes that an archive states in a form that is not decoded here, so that a caller can note what is lost.
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
    /// Pairs of name and value, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let bytes = self.bytes;
        self.spans
            .iter()
            .map(move |span| (span.name.of(bytes), span.value.of(bytes)))
    }
}
