use super::EntryName;
use std::fmt;

/// Why a push failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError<E> {
    /// The archive is malformed or exceeds a limit.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The sink failed.
    #[error(transparent)]
    Sink(E),
}

/// Why an archive cannot be read. `offset` is where the header block concerned starts in the stream, in bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TarError {
    /// The header's checksum does not match: the archive is damaged, or not a tar archive.
    #[error("tar header at byte {offset}: checksum mismatch: expected {expected}, found {actual}")]
    Checksum {
        /// Where the header starts.
        offset: u64,
        /// The checksum in the header.
        expected: u32,
        /// The checksum of the header's bytes.
        actual: u32,
    },
    /// A numeric field is malformed or out of range.
    #[error("tar entry {entry} at byte {offset}: field {field} is not a number in range")]
    Number {
        /// Where the header starts.
        offset: u64,
        /// The entry, by the name in its header block.
        entry: EntryName,
        /// The field, by its POSIX name.
        field: &'static str,
    },
    /// A PAX header is malformed.
    #[error("PAX header at byte {offset}: record at byte {position}: {fault}")]
    Pax {
        /// Where the header block of the PAX header starts.
        offset: u64,
        /// Where the record starts in the PAX header's body.
        position: u64,
        /// The kind of fault.
        fault: PaxFault,
    },
    /// A sparse file's map is malformed.
    #[error("tar entry {entry} at byte {offset}: sparse map: {fault}")]
    Sparse {
        /// Where the entry's header starts.
        offset: u64,
        /// The entry.
        entry: EntryName,
        /// The kind of fault.
        fault: SparseFault,
    },
    /// An entry exceeds a limit.
    #[error(
        "tar entry {entry} at byte {offset}: {limit} is {actual}, more than the allowed {allowed}"
    )]
    TooLarge {
        /// Where the header starts.
        offset: u64,
        /// The entry, or the name in the extension's header block.
        entry: EntryName,
        /// The exceeded limit.
        limit: Limit,
        /// The limit's value.
        allowed: u64,
        /// The entry's value.
        actual: u64,
    },
    /// The stream ends inside a header or an entry.
    #[error("tar entry {entry} at byte {offset}: archive ends inside its {part}")]
    Truncated {
        /// Where the header starts.
        offset: u64,
        /// The entry; empty if its name is not yet known.
        entry: EntryName,
        /// The part that is cut off.
        part: Part,
    },
    /// A single zero block that neither ends the stream nor is followed by a second one.
    #[error("tar archive has a lone zero block at byte {offset}")]
    LoneZeroBlock {
        /// Where the zero block starts.
        offset: u64,
    },
    /// The archive ends after an extension header, before the entry that it belongs to.
    #[error("tar extension header at byte {offset} is followed by no entry")]
    DanglingExtension {
        /// Where the last extension's header starts.
        offset: u64,
    },
    /// The parser was used again after an error.
    #[error("tar parser was used again after an error")]
    Failed,
}

/// A limit of [`Limits`](super::Limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// `pax_bytes`, of one header.
    PaxBytes,
    /// `pax_bytes`, of all global headers.
    GlobalPaxBytes,
    /// `long_name_bytes`.
    LongNameBytes,
    /// `xattr_bytes`.
    XattrBytes,
    /// `xattr_name_bytes`.
    XattrNameBytes,
    /// `symlink_bytes`.
    SymlinkBytes,
    /// `sparse_extents`.
    SparseExtents,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PaxBytes => "PAX header size in bytes",
            Self::GlobalPaxBytes => "size of all global PAX headers in bytes",
            Self::LongNameBytes => "GNU long name size in bytes",
            Self::XattrBytes => "size of all xattrs in bytes",
            Self::XattrNameBytes => "size of all xattr names in bytes",
            Self::SymlinkBytes => "symlink target size in bytes",
            Self::SparseExtents => "number of sparse extents",
        })
    }
}

/// A part of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Part {
    /// A header block.
    Header,
    /// The body of an extension header.
    Extension,
    /// A sparse file's map.
    SparseMap,
    /// The entry's data.
    Data,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Extension => "extension header",
            Self::SparseMap => "sparse map",
            Self::Data => "data",
        })
    }
}

/// Why a PAX record is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PaxFault {
    /// The length is no decimal number followed by a space.
    Length,
    /// The length reaches past the header's end.
    PastEnd,
    /// The record does not end in a line feed.
    LineFeed,
    /// The record has no `=`, or no keyword before it.
    Keyword,
    /// A NUL in a keyword, path or link target.
    Nul,
    /// A value is not a number in the field's range.
    Number,
    /// A value is not a time.
    Time,
    /// An xattr's name or value is wrongly encoded.
    Encoding,
    /// A record of a sparse map is misplaced: out of order, or in a global header.
    Sparse,
}

impl fmt::Display for PaxFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "length is malformed",
            Self::PastEnd => "length reaches past the end",
            Self::LineFeed => "no line feed at the end",
            Self::Keyword => "keyword is missing",
            Self::Nul => "NUL in a name",
            Self::Number => "value is not a number in range",
            Self::Time => "value is not a time",
            Self::Encoding => "xattr is wrongly encoded",
            Self::Sparse => "sparse map record is out of place",
        })
    }
}

/// Why a sparse map is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SparseFault {
    /// A number is malformed or out of range.
    Number,
    /// An old GNU sparse type in a header of another dialect.
    NotGnu,
    /// A version other than 0.0, 0.1 and 1.0.
    Version,
    /// The entry is of a type that has no data.
    NoData,
    /// The file's full size is missing.
    NoSize,
    /// An extent starts before the previous one ends.
    Order,
    /// An extent ends past the file's size.
    PastEnd,
    /// The lengths of the extents do not add up to the stored bytes.
    StoredSize,
}

impl fmt::Display for SparseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number => "a number is malformed or out of range",
            Self::NotGnu => "old GNU sparse type in a header of another dialect",
            Self::Version => "unknown version",
            Self::NoData => "entry is of a type without data",
            Self::NoSize => "full size is missing",
            Self::Order => "extents overlap or are out of order",
            Self::PastEnd => "an extent ends past the end of the file",
            Self::StoredSize => "lengths of the extents do not add up to the stored bytes",
        })
    }
}
