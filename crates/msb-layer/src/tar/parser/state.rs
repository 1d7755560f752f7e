//! The state of a parser between two pushes.

use super::super::{
    EntryName, Kind, TarError, Timestamp,
    header::{BadField, RawHeader},
    pax::{PaxAttributes, Scope},
    sparse::MapReader,
};

#[derive(Debug)]
pub(super) enum State {
    /// At a block boundary, or inside a header block.
    Header,
    /// In the body of an extension; `left` bytes remain.
    Extension {
        kind: Extension,
        offset: u64,
        left: u64,
        size: u64,
    },
    /// In a continuation of an old GNU sparse map, after this many slots.
    SparseBlock {
        slots: u64,
    },
    /// In a PAX 1.0 sparse map.
    SparseMap(MapReader),
    /// In an entry's payload. `at` is the logical offset; `extent` counts the finished extents of a sparse file.
    Data {
        left: u64,
        at: u64,
        extent: usize,
    },
    /// In bytes that belong to no entry's data.
    Skip {
        left: u64,
        of: Skipped,
    },
    /// After a zero block at `offset`.
    Zero {
        offset: u64,
    },
    /// After two zero blocks.
    End {
        trailing: u64,
    },
    Failed,
}

/// The kind of skipped bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    /// The padding of an extension whose header is at `offset`.
    Extension { offset: u64 },
    /// A payload that is not file data.
    Payload,
    /// The padding of a payload, which an archive may lack at its end.
    Padding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    Pax(Scope),
    LongName,
    LongLink,
}

/// Extensions that wait for their entry's header, and those that apply to all headers.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pub(super) global: PaxAttributes,
    pub(super) global_bytes: u64,
    /// Whether there is any global record.
    pub(super) has_global: bool,
    pub(super) local: PaxAttributes,
    /// GNU long names; empty if there is none.
    pub(super) long_name: Vec<u8>,
    pub(super) long_link: Vec<u8>,
    /// The body of the extension that is being read, if it straddles pushes.
    pub(super) body: Vec<u8>,
    /// Where the last extension's header is, until its entry arrives.
    pub(super) pending: Option<u64>,
}

impl Extensions {
    /// Discards the extensions of the delivered entry.
    pub(super) fn end_entry(&mut self) {
        if self.pending.take().is_some() || self.has_global {
            self.local.clear();
            self.long_name.clear();
            self.long_link.clear();
        }
    }
}

/// A decoded header, without the values that lie in buffers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meta {
    pub(super) offset: u64,
    pub(super) kind: MetaKind,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Timestamp,
    /// Logical size.
    pub(super) size: u64,
    /// Bytes of payload in the archive, before padding.
    pub(super) stored: u64,
    pub(super) is_sparse: bool,
    /// The payload is not file data.
    pub(super) skip: bool,
}

impl Meta {
    pub(super) const EMPTY: Self = Self {
        offset: 0,
        kind: MetaKind::Regular,
        mode: 0,
        uid: 0,
        gid: 0,
        mtime: Timestamp { secs: 0, nanos: 0 },
        size: 0,
        stored: 0,
        is_sparse: false,
        skip: false,
    };
}

#[derive(Clone, Copy, Debug)]
pub(super) enum MetaKind {
    Regular,
    HardLink,
    Symlink,
    CharDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
    Directory,
    Fifo,
    Other(u8),
}

impl MetaKind {
    pub(super) fn with_target(self, target: &[u8]) -> Kind<'_> {
        match self {
            Self::Regular => Kind::Regular,
            Self::HardLink => Kind::HardLink { target },
            Self::Symlink => Kind::Symlink { target },
            Self::CharDevice { major, minor } => Kind::CharDevice { major, minor },
            Self::BlockDevice { major, minor } => Kind::BlockDevice { major, minor },
            Self::Directory => Kind::Directory,
            Self::Fifo => Kind::Fifo,
            Self::Other(byte) => Kind::Other(byte),
        }
    }
}

impl BadField {
    pub(super) fn at(self, header: &RawHeader<'_>, offset: u64) -> TarError {
        TarError::Number {
            offset,
            entry: EntryName::new(header.short_name()),
            field: self.0,
        }
    }
}
