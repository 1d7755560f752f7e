//! The state machine: blocks in, sink calls out.

use super::{
    Entry, EntryName, Kind, Limit, Limits, Part, PushError, SparseExtent, SparseFault, TarError,
    Timestamp,
    header::{self, BLOCK, BadField, Block, RawHeader, Resolved},
    pax::{BadRecord, Field, PaxAttributes, Scope},
    sparse::{self, MapError, MapReader, PaxMap},
};
use tokio_tar::EntryType;

/// What a parser tells of an archive.
///
/// After an error from any of these the parser refuses to go on.
pub trait TarSink {
    /// Why the sink refuses.
    type Error;

    /// A header has been read completely, with all its extensions.
    ///
    /// # Errors
    ///
    /// Whatever the sink will not take.
    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Self::Error>;

    /// Bytes of the current entry, in order, never empty. `offset` is where they lie in the file: holes are not delivered.
    ///
    /// # Errors
    ///
    /// Whatever the sink will not take.
    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Self::Error>;

    /// All bytes of the current entry have been delivered.
    ///
    /// # Errors
    ///
    /// Whatever the sink will not take.
    fn end_entry(&mut self) -> Result<(), Self::Error>;
}

/// How an archive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TarEnd {
    /// Entries that were delivered.
    pub entries: u64,
    /// Whether zero blocks marked the end.
    pub marked: bool,
    /// Bytes that followed the two zero blocks.
    pub trailing_bytes: u64,
}

/// Parses a tar archive that is pushed in pieces. See the [module](super) for what it holds to.
#[derive(Debug)]
pub struct TarParser {
    limits: Limits,
    state: State,
    /// Position in the stream of the next byte to be pushed.
    position: u64,
    entries: u64,
    /// The beginning of a block that straddles two pushes; `filled < BLOCK` between pushes.
    block: Block,
    filled: usize,
    extensions: Extensions,
    meta: Meta,
    path: Vec<u8>,
    link: Vec<u8>,
    extents: Vec<SparseExtent>,
}

/// What waits for the header that it belongs to, and what holds for all headers.
#[derive(Debug, Default)]
struct Extensions {
    global: PaxAttributes,
    global_bytes: u64,
    /// Whether there is any global record.
    has_global: bool,
    local: PaxAttributes,
    /// GNU long names; empty is none.
    long_name: Vec<u8>,
    long_link: Vec<u8>,
    /// The body of the extension that is being read, where it straddles pushes.
    body: Vec<u8>,
    /// Where the last extension's header is, while its entry has not come.
    pending: Option<u64>,
}

/// An entry's header, decoded, without what lies in buffers.
#[derive(Clone, Copy, Debug)]
struct Meta {
    offset: u64,
    kind: MetaKind,
    mode: u32,
    uid: u32,
    gid: u32,
    mtime: Timestamp,
    /// Logical size.
    size: u64,
    /// Bytes of payload in the archive, before padding.
    stored: u64,
    is_sparse: bool,
    /// The payload is no file data.
    skip: bool,
}

#[derive(Clone, Copy, Debug)]
enum MetaKind {
    Regular,
    HardLink,
    Symlink,
    CharDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
    Directory,
    Fifo,
    Other(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    Pax(Scope),
    LongName,
    LongLink,
}

#[derive(Debug)]
enum State {
    /// At a block boundary, or inside a header block.
    Header,
    /// In an extension's body of which `left` bytes are to come.
    Extension {
        kind: Extension,
        offset: u64,
        left: u64,
        size: u64,
    },
    /// In a continuation of an old GNU sparse map, after so many slots.
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
    /// In bytes that belong to the archive and to no entry.
    Skip {
        left: u64,
        part: Option<Part>,
    },
    /// After a zero block at `offset`.
    Zero {
        offset: u64,
    },
    /// After two.
    End {
        trailing: u64,
    },
    Failed,
}

/// Bytes of padding after a payload of `size` bytes.
fn padding(size: u64) -> u64 {
    let rest = size % BLOCK as u64;
    if rest == 0 { 0 } else { BLOCK as u64 - rest }
}

/// `bytes` split after at most `left` of them.
fn split_at_most(bytes: &[u8], left: u64) -> (&[u8], &[u8]) {
    let len = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    bytes.split_at(len)
}

impl TarParser {
    /// A parser at the beginning of an archive.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Header,
            position: 0,
            entries: 0,
            block: [0; BLOCK],
            filled: 0,
            extensions: Extensions::default(),
            meta: Meta::EMPTY,
            path: Vec::new(),
            link: Vec::new(),
            extents: Vec::new(),
        }
    }

    /// Bytes pushed and read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Entries delivered so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Takes the next bytes of the archive, of any length, and calls `sink` for all that they complete.
    ///
    /// # Errors
    ///
    /// [`PushError::Tar`] where the archive is malformed or beyond a limit, [`PushError::Sink`] where the sink refuses.
    /// Either is final.
    pub fn push<S: TarSink>(
        &mut self,
        bytes: &[u8],
        sink: &mut S,
    ) -> Result<(), PushError<S::Error>> {
        let result = self.push_all(bytes, sink);
        if result.is_err() {
            self.state = State::Failed;
        }
        result
    }

    /// Ends the archive.
    ///
    /// The error type parameter is that of the sink's errors, none of which arise here.
    ///
    /// # Errors
    ///
    /// [`TarError::Truncated`] where the stream ended inside a header or a payload, [`TarError::DanglingExtension`],
    /// and [`TarError::Failed`] after an earlier error.
    pub fn finish<E>(self) -> Result<TarEnd, PushError<E>> {
        let truncated = |part, offset, name: &[u8]| {
            Err(PushError::Tar(TarError::Truncated {
                offset,
                entry: EntryName::new(name),
                part,
            }))
        };
        let block_start = self.position - self.filled as u64;
        let (marked, trailing_bytes) = match self.state {
            State::Failed => return Err(TarError::Failed.into()),
            _ if self.filled > 0 => {
                let part = match self.state {
                    State::SparseBlock { .. } | State::SparseMap(_) => Part::SparseMap,
                    _ => Part::Header,
                };
                return truncated(part, block_start, b"");
            }
            State::Extension { offset, .. } => return truncated(Part::Extension, offset, b""),
            State::SparseBlock { .. } | State::SparseMap(_) => {
                return truncated(Part::SparseMap, self.meta.offset, &self.path);
            }
            State::Data { .. } => return truncated(Part::Data, self.meta.offset, &self.path),
            State::Skip {
                part: Some(Part::Extension),
                ..
            } => {
                let offset = self.extensions.pending.unwrap_or(block_start);
                return truncated(Part::Extension, offset, b"");
            }
            State::Skip {
                part: Some(part), ..
            } => return truncated(part, self.meta.offset, &self.path),
            State::Header | State::Skip { part: None, .. } => (false, 0),
            State::Zero { .. } => (true, 0),
            State::End { trailing } => (true, trailing),
        };
        if let Some(offset) = self.extensions.pending {
            return Err(TarError::DanglingExtension { offset }.into());
        }
        Ok(TarEnd {
            entries: self.entries,
            marked,
            trailing_bytes,
        })
    }

    fn push_all<S: TarSink>(
        &mut self,
        mut bytes: &[u8],
        sink: &mut S,
    ) -> Result<(), PushError<S::Error>> {
        while !bytes.is_empty() {
            let before = bytes.len();
            bytes = match &mut self.state {
                State::Data { .. } => self.on_data(bytes, sink)?,
                State::Header
                | State::Zero { .. }
                | State::SparseBlock { .. }
                | State::SparseMap(_) => self.on_block_bytes(bytes, sink)?,
                State::Extension { .. } => self.on_extension(bytes)?,
                State::Skip { left, .. } => {
                    let (skipped, rest) = split_at_most(bytes, *left);
                    *left -= skipped.len() as u64;
                    if *left == 0 {
                        self.after_skip();
                    }
                    rest
                }
                State::End { trailing } => {
                    *trailing += bytes.len() as u64;
                    &[]
                }
                State::Failed => return Err(TarError::Failed.into()),
            };
            self.position += (before - bytes.len()) as u64;
        }
        Ok(())
    }

    /// Completes a block from the pushed bytes: in place where it lies within them, copied where it straddles.
    fn on_block_bytes<'b, S: TarSink>(
        &mut self,
        bytes: &'b [u8],
        sink: &mut S,
    ) -> Result<&'b [u8], PushError<S::Error>> {
        let start = self.position - self.filled as u64;
        if self.filled == 0
            && let Some((block, rest)) = bytes.split_first_chunk::<BLOCK>()
        {
            self.on_block(block, start, sink)?;
            return Ok(rest);
        }
        let taken = bytes.len().min(BLOCK - self.filled);
        self.block[self.filled..][..taken].copy_from_slice(&bytes[..taken]);
        self.filled += taken;
        if self.filled == BLOCK {
            self.filled = 0;
            let block = self.block;
            self.on_block(&block, start, sink)?;
        }
        Ok(&bytes[taken..])
    }

    fn on_block<S: TarSink>(
        &mut self,
        block: &Block,
        offset: u64,
        sink: &mut S,
    ) -> Result<(), PushError<S::Error>> {
        match &mut self.state {
            State::SparseBlock { slots } => {
                let slots = *slots;
                self.on_sparse_block(block, slots, sink)
            }
            State::SparseMap(reader) => {
                let done = reader.push(block, &mut self.extents, self.limits.sparse_extents);
                // The map's blocks are part of the payload.
                self.meta.stored = match self.meta.stored.checked_sub(BLOCK as u64) {
                    Some(stored) => stored,
                    None => return Err(self.sparse_error(SparseFault::StoredSize).into()),
                };
                match done {
                    Ok(true) => self.start_entry(sink),
                    Ok(false) if self.meta.stored == 0 => {
                        Err(self.sparse_error(SparseFault::StoredSize).into())
                    }
                    Ok(false) => Ok(()),
                    Err(MapError::Fault(fault)) => Err(self.sparse_error(fault).into()),
                    Err(MapError::TooMany(count)) => Err(self.too_many_extents(count).into()),
                }
            }
            State::Zero { offset: first } => {
                if block.iter().any(|byte| *byte != 0) {
                    return Err(TarError::LoneZeroBlock { offset: *first }.into());
                }
                self.state = State::End { trailing: 0 };
                Ok(())
            }
            _ if block[0] == 0 && block.iter().all(|byte| *byte == 0) => {
                self.state = State::Zero { offset };
                Ok(())
            }
            _ => self.on_header(block, offset, sink),
        }
    }

    fn on_header<S: TarSink>(
        &mut self,
        block: &Block,
        offset: u64,
        sink: &mut S,
    ) -> Result<(), PushError<S::Error>> {
        let header = RawHeader::parse(block).map_err(|bad| TarError::Checksum {
            offset,
            expected: bad.expected,
            actual: bad.actual,
        })?;
        let extension = match header.entry_type() {
            EntryType::XHeader | EntryType::SolarisXHeader => Extension::Pax(Scope::Local),
            EntryType::XGlobalHeader => Extension::Pax(Scope::Global),
            EntryType::GNULongName => Extension::LongName,
            EntryType::GNULongLink => Extension::LongLink,
            _ => return self.on_entry_header(&header, offset, sink),
        };
        self.start_extension(extension, &header, offset)
            .map_err(Into::into)
    }

    fn start_extension(
        &mut self,
        kind: Extension,
        header: &RawHeader<'_>,
        offset: u64,
    ) -> Result<(), TarError> {
        let size = header.size().map_err(|bad| bad.at(header, offset))?;
        let (limit, allowed, actual) = match kind {
            Extension::Pax(Scope::Local) => (Limit::PaxBytes, self.limits.pax_bytes, size),
            Extension::Pax(Scope::Global) => {
                let total = self.extensions.global_bytes.saturating_add(size);
                (Limit::GlobalPaxBytes, self.limits.pax_bytes, total)
            }
            Extension::LongName | Extension::LongLink => {
                (Limit::LongNameBytes, self.limits.long_name_bytes, size)
            }
        };
        if actual > allowed {
            return Err(TarError::TooLarge {
                offset,
                entry: EntryName::new(header.short_name()),
                limit,
                allowed,
                actual,
            });
        }
        if kind == Extension::Pax(Scope::Global) {
            self.extensions.global_bytes = actual;
        } else {
            self.extensions.pending = Some(offset);
        }
        self.extensions.body.clear();
        self.state = State::Extension {
            kind,
            offset,
            left: size,
            size,
        };
        if size == 0 {
            self.end_extension(kind, offset, 0, None)?;
        }
        Ok(())
    }

    fn on_extension<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], TarError> {
        let State::Extension {
            kind,
            offset,
            left,
            size,
        } = &mut self.state
        else {
            return Ok(bytes);
        };
        let (kind, offset, size) = (*kind, *offset, *size);
        let (body, rest) = split_at_most(bytes, *left);
        let is_whole = body.len() as u64 == size;
        *left -= body.len() as u64;
        let is_complete = *left == 0;
        if !is_whole {
            self.extensions.body.extend_from_slice(body);
        }
        if is_complete {
            self.end_extension(kind, offset, size, is_whole.then_some(body))?;
        }
        Ok(rest)
    }

    /// Reads a complete extension: `body`, or where that straddled pushes, what has been gathered.
    fn end_extension(
        &mut self,
        kind: Extension,
        offset: u64,
        size: u64,
        body: Option<&[u8]>,
    ) -> Result<(), TarError> {
        let extensions = &mut self.extensions;
        let body = body.unwrap_or(&extensions.body);
        let bad_record = |bad: BadRecord| TarError::Pax {
            offset,
            position: bad.position as u64,
            fault: bad.fault,
        };
        let name_end = || {
            body.iter()
                .position(|byte| *byte == 0)
                .unwrap_or(body.len())
        };
        match kind {
            Extension::Pax(Scope::Local) => {
                extensions.local.clear();
                extensions
                    .local
                    .read(body, Scope::Local)
                    .map_err(bad_record)?;
            }
            Extension::Pax(Scope::Global) => {
                extensions.has_global = true;
                extensions
                    .global
                    .read(body, Scope::Global)
                    .map_err(bad_record)?;
            }
            Extension::LongName => {
                extensions.long_name.clear();
                extensions.long_name.extend_from_slice(&body[..name_end()]);
            }
            Extension::LongLink => {
                extensions.long_link.clear();
                extensions.long_link.extend_from_slice(&body[..name_end()]);
            }
        }
        self.state = State::Skip {
            left: padding(size),
            part: Some(Part::Extension),
        };
        self.after_empty_skip();
        Ok(())
    }

    fn on_entry_header<S: TarSink>(
        &mut self,
        header: &RawHeader<'_>,
        offset: u64,
        sink: &mut S,
    ) -> Result<(), PushError<S::Error>> {
        self.set_names(header);
        let bad = |bad: BadField| bad.at(header, offset);
        let extensions = &self.extensions;
        let resolved = Resolved::new(header, &extensions.local, &extensions.global).map_err(bad)?;
        let ends_in_slash = self.path.ends_with(b"/");
        let (kind, has_payload) = match header.entry_type() {
            // V7 has no type for directories; see the module's documentation.
            EntryType::Regular | EntryType::Continuous if ends_in_slash && resolved.size == 0 => {
                (MetaKind::Directory, false)
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                (MetaKind::Regular, true)
            }
            EntryType::Link => (MetaKind::HardLink, false),
            EntryType::Symlink => (MetaKind::Symlink, false),
            EntryType::Char => {
                let (major, minor) = header.device().map_err(bad)?;
                (MetaKind::CharDevice { major, minor }, false)
            }
            EntryType::Block => {
                let (major, minor) = header.device().map_err(bad)?;
                (MetaKind::BlockDevice { major, minor }, false)
            }
            EntryType::Directory => (MetaKind::Directory, false),
            EntryType::Fifo => (MetaKind::Fifo, false),
            // A GNU dump directory, followed by a list of names.
            EntryType::Other(b'D') => (MetaKind::Directory, true),
            _ => (MetaKind::Other(header.type_byte()), true),
        };
        let stored = if has_payload { resolved.size } else { 0 };
        let skip = has_payload && matches!(kind, MetaKind::Directory);
        self.meta = Meta {
            offset,
            kind,
            mode: header.mode().map_err(bad)?,
            uid: resolved.uid,
            gid: resolved.gid,
            mtime: resolved.mtime,
            size: if skip { 0 } else { stored },
            stored,
            is_sparse: false,
            skip,
        };
        self.check_limits()?;
        self.start_sparse(header, has_payload && !skip, sink)
    }

    /// Puts the entry's path and link target into their buffers. What a header leaves in there costs no allocation.
    fn set_names(&mut self, header: &RawHeader<'_>) {
        let Extensions {
            local,
            global,
            long_name,
            long_link,
            has_global,
            ..
        } = &mut self.extensions;
        if *has_global {
            local.inherit(global);
        }
        let record = |local_span: Field<_>, global_span: Field<_>| match (local_span, global_span) {
            (Field::Set(span), _) => Some((&*local, span)),
            (Field::Unset, Field::Set(span)) => Some((&*global, span)),
            _ => None,
        };
        self.path.clear();
        if let Field::Set(span) = local.sparse_name {
            self.path.extend_from_slice(span.of(local.bytes()));
        } else if !long_name.is_empty() {
            self.path.extend_from_slice(long_name);
        } else if let Some((pax, span)) = record(local.path, global.path) {
            self.path.extend_from_slice(span.of(pax.bytes()));
        } else {
            header.path_into(&mut self.path);
        }
        self.link.clear();
        if !long_link.is_empty() {
            self.link.extend_from_slice(long_link);
        } else if let Some((pax, span)) = record(local.link_path, global.link_path) {
            self.link.extend_from_slice(span.of(pax.bytes()));
        } else {
            self.link.extend_from_slice(header.link_name());
        }
    }

    fn check_limits(&self) -> Result<(), TarError> {
        let xattrs = self.extensions.local.xattr_bytes();
        if xattrs > self.limits.xattr_bytes {
            return Err(self.too_large(Limit::XattrBytes, self.limits.xattr_bytes, xattrs));
        }
        let target = self.link.len() as u64;
        if matches!(self.meta.kind, MetaKind::Symlink) && target > self.limits.symlink_bytes {
            return Err(self.too_large(Limit::SymlinkBytes, self.limits.symlink_bytes, target));
        }
        Ok(())
    }

    /// Finds out whether the entry is sparse and reads what is at hand of its map.
    fn start_sparse<S: TarSink>(
        &mut self,
        header: &RawHeader<'_>,
        has_data: bool,
        sink: &mut S,
    ) -> Result<(), PushError<S::Error>> {
        if header.entry_type() == EntryType::GNUSparse {
            let Some(gnu) = header.gnu_sparse() else {
                return Err(self.sparse_error(SparseFault::NotGnu).into());
            };
            self.meta.is_sparse = true;
            self.meta.size = gnu.real_size().map_err(|fault| self.sparse_error(fault))?;
            self.extents.clear();
            sparse::read_slots(gnu.slots, &mut self.extents)
                .map_err(|fault| self.sparse_error(fault))?;
            if gnu.is_extended {
                let slots = gnu.slots.len() as u64;
                self.state = State::SparseBlock { slots };
                return Ok(());
            }
            return self.start_entry(sink);
        }
        let sparse = &self.extensions.local.sparse;
        let map = sparse.map().map_err(|fault| self.sparse_error(fault))?;
        if map == PaxMap::None {
            return self.start_entry(sink);
        }
        if !has_data {
            return Err(self.sparse_error(SparseFault::NoData).into());
        }
        let Some(size) = sparse.full_size() else {
            return Err(self.sparse_error(SparseFault::NoSize).into());
        };
        self.meta.size = size;
        self.meta.is_sparse = true;
        self.extensions.local.take_extents(&mut self.extents);
        if map == PaxMap::Payload {
            self.extents.clear();
            self.state = State::SparseMap(MapReader::default());
            return Ok(());
        }
        let count = self.extents.len() as u64;
        if count > self.limits.sparse_extents {
            return Err(self.too_many_extents(count).into());
        }
        self.start_entry(sink)
    }

    fn on_sparse_block<S: TarSink>(
        &mut self,
        block: &Block,
        slots: u64,
        sink: &mut S,
    ) -> Result<(), PushError<S::Error>> {
        let map = header::extended_sparse(block);
        let slots = slots + map.sparse.len() as u64;
        if slots > self.limits.sparse_extents {
            return Err(self.too_many_extents(slots).into());
        }
        sparse::read_slots(&map.sparse, &mut self.extents)
            .map_err(|fault| self.sparse_error(fault))?;
        if map.isextended[0] != 0 {
            self.state = State::SparseBlock { slots };
            return Ok(());
        }
        self.start_entry(sink)
    }

    /// Hands out the entry, everything being known of it.
    fn start_entry<S: TarSink>(&mut self, sink: &mut S) -> Result<(), PushError<S::Error>> {
        let meta = self.meta;
        if meta.is_sparse {
            sparse::validate(&mut self.extents, meta.stored, meta.size)
                .map_err(|fault| self.sparse_error(fault))?;
        }
        let local = &self.extensions.local;
        let entry = Entry {
            path: &self.path,
            kind: meta.kind.with_target(&self.link),
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            mtime: meta.mtime,
            size: meta.size,
            sparse: meta.is_sparse.then_some(&*self.extents),
            xattrs: local.xattrs(),
            lost: local.lost,
            header_offset: meta.offset,
        };
        sink.entry(&entry).map_err(PushError::Sink)?;
        self.entries += 1;
        self.extensions.end_entry();
        if meta.skip || meta.stored == 0 {
            sink.end_entry().map_err(PushError::Sink)?;
            self.state = State::Skip {
                left: meta.stored,
                part: Some(Part::Data),
            };
            self.after_empty_skip();
        } else {
            self.state = State::Data {
                left: meta.stored,
                at: 0,
                extent: 0,
            };
        }
        Ok(())
    }

    fn on_data<'b, S: TarSink>(
        &mut self,
        bytes: &'b [u8],
        sink: &mut S,
    ) -> Result<&'b [u8], PushError<S::Error>> {
        let State::Data { left, at, extent } = &mut self.state else {
            return Ok(bytes);
        };
        let (mut data, rest) = split_at_most(bytes, *left);
        *left -= data.len() as u64;
        let is_last = *left == 0;
        if self.meta.is_sparse {
            while !data.is_empty() {
                // OK because the extents' sum is the payload's length, so that there is one for every byte.
                let current = self.extents[*extent];
                let offset = (*at).max(current.offset);
                let (piece, others) = split_at_most(data, current.offset + current.len - offset);
                sink.data(offset, piece).map_err(PushError::Sink)?;
                *at = offset + piece.len() as u64;
                if *at == current.offset + current.len {
                    *extent += 1;
                }
                data = others;
            }
        } else {
            sink.data(*at, data).map_err(PushError::Sink)?;
            *at += data.len() as u64;
        }
        if is_last {
            sink.end_entry().map_err(PushError::Sink)?;
            self.state = State::Skip {
                left: padding(self.meta.stored),
                part: None,
            };
            self.after_empty_skip();
        }
        Ok(rest)
    }

    fn after_empty_skip(&mut self) {
        if matches!(self.state, State::Skip { left: 0, .. }) {
            self.after_skip();
        }
    }

    /// Goes on after skipped bytes: after a payload with its padding, which an archive may lack at its end, else with a header.
    fn after_skip(&mut self) {
        self.state = match self.state {
            State::Skip {
                part: Some(Part::Data),
                ..
            } if padding(self.meta.stored) > 0 => State::Skip {
                left: padding(self.meta.stored),
                part: None,
            },
            _ => State::Header,
        };
    }

    fn sparse_error(&self, fault: SparseFault) -> TarError {
        TarError::Sparse {
            offset: self.meta.offset,
            entry: EntryName::new(&self.path),
            fault,
        }
    }

    fn too_many_extents(&self, actual: u64) -> TarError {
        self.too_large(Limit::SparseExtents, self.limits.sparse_extents, actual)
    }

    fn too_large(&self, limit: Limit, allowed: u64, actual: u64) -> TarError {
        TarError::TooLarge {
            offset: self.meta.offset,
            entry: EntryName::new(&self.path),
            limit,
            allowed,
            actual,
        }
    }
}

impl Extensions {
    /// Forgets what was for the entry that has been handed out.
    fn end_entry(&mut self) {
        if self.pending.take().is_some() || self.has_global {
            self.local.clear();
            self.long_name.clear();
            self.long_link.clear();
        }
    }
}

impl Meta {
    const EMPTY: Self = Self {
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

impl MetaKind {
    fn with_target(self, target: &[u8]) -> Kind<'_> {
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
    fn at(self, header: &RawHeader<'_>, offset: u64) -> TarError {
        TarError::Number {
            offset,
            entry: EntryName::new(header.short_name()),
            field: self.0,
        }
    }
}
