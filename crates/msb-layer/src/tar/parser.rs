//! The state machine: blocks in, sink calls out.

mod entry_header;
mod extension;
mod sink;
mod sparse_map;
mod state;

use super::{
    Entry, EntryName, Limits, Part, PushError, SparseExtent, SparseFault, TarError,
    header::{BLOCK, Block, RawHeader},
    pax::Scope,
    sparse::{self, MapError},
};
pub use sink::TarSink;
use state::{Extension, Extensions, Meta, Skipped, State};
use tokio_tar::EntryType;

/// The end of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TarEnd {
    /// Number of entries delivered.
    pub entries: u64,
    /// Whether zero blocks mark the end.
    pub marked: bool,
    /// Number of bytes after the two zero blocks.
    pub trailing_bytes: u64,
}

/// Parses a tar archive that is pushed in pieces. See the [module](super) for its invariants.
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

impl TarParser {
    /// Creates a parser at the beginning of an archive.
    #[must_use]
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

    /// Returns the number of bytes read so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Parses the next bytes of the archive, of any length, and calls `sink` for everything that they complete.
    ///
    /// # Errors
    ///
    /// [`PushError::Tar`] if the archive is malformed or exceeds a limit, [`PushError::Sink`] if the sink fails. Both are
    /// final.
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
    /// `E` is the error type of the sink; no such error occurs here.
    ///
    /// # Errors
    ///
    /// [`TarError::Truncated`] if the stream ends inside a header or a payload, [`TarError::DanglingExtension`], and
    /// [`TarError::Failed`] after an earlier error.
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
            State::SparseBlock { .. } | State::SparseMap(_) => {
                return truncated(Part::SparseMap, self.meta.offset, &self.path);
            }
            _ if self.filled > 0 => return truncated(Part::Header, block_start, b""),
            State::Extension { offset, .. }
            | State::Skip {
                of: Skipped::Extension { offset },
                ..
            } => return truncated(Part::Extension, offset, b""),
            State::Data { .. }
            | State::Skip {
                of: Skipped::Payload,
                ..
            } => return truncated(Part::Data, self.meta.offset, &self.path),
            State::Header
            | State::Skip {
                of: Skipped::Padding,
                ..
            } => (false, 0),
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

    /// Completes a block from the pushed bytes: borrows it if it lies within them, copies it if it straddles two pushes.
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
            _ if block.iter().all(|byte| *byte == 0) => {
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

    /// Delivers the entry, which is completely known.
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
            lost: local.lost(),
            header_offset: meta.offset,
        };
        sink.entry(&entry).map_err(PushError::Sink)?;
        self.entries += 1;
        self.extensions.end_entry();
        if meta.skip || meta.stored == 0 {
            sink.end_entry().map_err(PushError::Sink)?;
            self.state = State::Skip {
                left: meta.stored,
                of: Skipped::Payload,
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
                // OK because the extents' sum is the payload's length, so every byte belongs to one.
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
                of: Skipped::Padding,
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

    /// Continues after skipped bytes: after a payload with its padding, which an archive may lack at its end, else with a header.
    fn after_skip(&mut self) {
        self.state = match self.state {
            State::Skip {
                of: Skipped::Payload,
                ..
            } => State::Skip {
                left: padding(self.meta.stored),
                of: Skipped::Padding,
            },
            _ => State::Header,
        };
    }
}

/// Returns the bytes of padding after a payload of `size` bytes.
fn padding(size: u64) -> u64 {
    let rest = size % BLOCK as u64;
    if rest == 0 { 0 } else { BLOCK as u64 - rest }
}

/// Splits `bytes` after at most `left` of them.
fn split_at_most(bytes: &[u8], left: u64) -> (&[u8], &[u8]) {
    let len = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
    bytes.split_at(len)
}
