use std::collections::HashMap;
use std::collections::hash_map::Entry as MapEntry;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use msb_layer::tar::path::{PathLimits, normalize};
use msb_layer::tar::{Entry, EntryName, Kind, Limits, PushError, TarParser, TarSink};

use super::Extent;
use crate::source::error::ArchiveError;

/// The most members that an archive may have.
const MAX_MEMBERS: usize = 1 << 16;

/// The longest name of a member; those of layouts and of `docker save` have some 80 bytes.
const MAX_NAME_BYTES: usize = 512;

/// The most links in a row that lead to a file.
const MAX_LINKS: usize = 4;

const BLOCK_BYTES: usize = 512;

/// The members of an uncompressed tar archive, by name. Data is not read before it is needed.
#[derive(Debug)]
pub(super) struct TarIndex {
    file: Arc<File>,
    members: HashMap<Box<[u8]>, Member>,
}

#[derive(Debug)]
enum Member {
    File {
        offset: u64,
        bytes: u64,
    },
    /// The normalized name that a symbolic or hard link leads to; `None` if it leads out of the archive.
    Link(Option<Box<[u8]>>),
    /// A directory or a device.
    Other,
}

impl TarIndex {
    /// Reads the headers of the archive, from its first byte on, and skips the data between them.
    pub(super) fn read(archive: &str, file: File) -> Result<Self, ArchiveError> {
        let read_error = |source| ArchiveError::Read {
            archive: archive.to_owned(),
            source,
        };
        let mut reader = BufReader::with_capacity(64 << 10, file);
        let length = reader.seek(SeekFrom::End(0)).map_err(read_error)?;
        reader.rewind().map_err(read_error)?;
        let mut indexer = Indexer::new(archive, length);
        let zeros = vec![0; 256 << 10];
        let mut block = [0; BLOCK_BYTES];
        loop {
            // The parser counts the bytes of a member and looks at none of them.
            let skip = std::mem::take(&mut indexer.sink.skip);
            let mut left = skip;
            while left > 0 {
                let step = left.min(zeros.len() as u64);
                // OK because the step is at most the length of the slice.
                indexer.push(&zeros[..usize::try_from(step).unwrap_or(0)])?;
                left -= step;
            }
            // OK because no member ends behind the end of the file.
            let skip = i64::try_from(skip).unwrap_or(i64::MAX);
            reader.seek_relative(skip).map_err(read_error)?;
            let mut filled = 0;
            while filled < BLOCK_BYTES {
                match reader.read(&mut block[filled..]).map_err(read_error)? {
                    0 => break,
                    read => filled += read,
                }
            }
            if filled == 0 {
                break;
            }
            indexer.push(&block[..filled])?;
        }
        indexer.finish(reader.into_inner())
    }

    /// Returns the file of this name, through links within the archive.
    pub(super) fn find(&self, archive: &str, name: &[u8]) -> Result<Option<Extent>, ArchiveError> {
        let member = || EntryName::new(name);
        let mut at = normal(archive, name)?;
        for _ in 0..=MAX_LINKS {
            match self.members.get(&at) {
                None => return Ok(None),
                Some(Member::File { offset, bytes }) => {
                    return Ok(Some(Extent {
                        file: Arc::clone(&self.file),
                        offset: *offset,
                        bytes: *bytes,
                    }));
                }
                Some(Member::Link(Some(target))) => at = target.clone(),
                Some(Member::Link(None)) => break,
                Some(Member::Other) => {
                    return Err(ArchiveError::NotAFile {
                        archive: archive.to_owned(),
                        member: member(),
                    });
                }
            }
        }
        Err(ArchiveError::Link {
            archive: archive.to_owned(),
            member: member(),
        })
    }
}

/// Builds the index of an archive that is pushed in pieces of any length.
pub(super) struct Indexer<'a> {
    parser: TarParser,
    sink: Sink<'a>,
}

impl<'a> Indexer<'a> {
    /// Creates an empty index of `archive`, which has at most `length` bytes.
    pub(super) fn new(archive: &'a str, length: u64) -> Self {
        Self {
            parser: TarParser::new(Limits::default()),
            sink: Sink {
                archive,
                length,
                members: HashMap::new(),
                skip: 0,
            },
        }
    }

    /// Reads the next bytes of the archive.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        let pushed = self.parser.push(bytes, &mut self.sink);
        pushed.map_err(|error| parse_error(self.sink.archive, error))
    }

    /// Returns the index, now that all bytes were pushed. `file` holds them.
    pub(super) fn finish(self, file: File) -> Result<TarIndex, ArchiveError> {
        let finished = self.parser.finish::<ArchiveError>();
        finished.map_err(|error| parse_error(self.sink.archive, error))?;
        Ok(TarIndex {
            file: Arc::new(file),
            members: self.sink.members,
        })
    }
}

fn parse_error(archive: &str, error: PushError<ArchiveError>) -> ArchiveError {
    match error {
        PushError::Sink(error) => error,
        PushError::Tar(source) => ArchiveError::Tar {
            archive: archive.to_owned(),
            source,
        },
    }
}

struct Sink<'a> {
    archive: &'a str,
    /// The length of the archive in bytes.
    length: u64,
    members: HashMap<Box<[u8]>, Member>,
    /// The bytes that follow the header of the current member and need not be read.
    skip: u64,
}

impl TarSink for Sink<'_> {
    type Error = ArchiveError;

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), ArchiveError> {
        let name = normal(self.archive, entry.path)?;
        let member = match entry.kind {
            // A sparse file has no single place in the archive, and no tool writes images so.
            Kind::Regular if entry.sparse.is_none() => {
                let offset = entry.header_offset.saturating_add(BLOCK_BYTES as u64);
                let rest = self.length.saturating_sub(offset);
                if entry.size > rest {
                    return Err(ArchiveError::Truncated {
                        archive: self.archive.to_owned(),
                        member: EntryName::new(entry.path),
                    });
                }
                // With the padding up to a whole block, which the last member may lack.
                let padded = entry.size.next_multiple_of(BLOCK_BYTES as u64);
                self.skip = padded.min(rest);
                Member::File {
                    offset,
                    bytes: entry.size,
                }
            }
            Kind::Symlink { target } => Member::Link(symlink_target(&name, target)),
            Kind::HardLink { target } => Member::Link(normal(self.archive, target).ok()),
            _ => Member::Other,
        };
        let is_directory = matches!(entry.kind, Kind::Directory);
        let is_full = self.members.len() == MAX_MEMBERS;
        match self.members.entry(name) {
            // Tools repeat directories, which mean nothing here.
            MapEntry::Occupied(known) if is_directory && matches!(known.get(), Member::Other) => {}
            MapEntry::Occupied(_) => {
                return Err(ArchiveError::DuplicateMember {
                    archive: self.archive.to_owned(),
                    member: EntryName::new(entry.path),
                });
            }
            MapEntry::Vacant(_) if is_full => {
                return Err(ArchiveError::TooManyMembers {
                    archive: self.archive.to_owned(),
                    limit: MAX_MEMBERS,
                });
            }
            MapEntry::Vacant(free) => {
                free.insert(member);
            }
        }
        Ok(())
    }

    fn data(&mut self, _: u64, _: &[u8]) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), ArchiveError> {
        Ok(())
    }
}

/// Returns a name without `.` and repeated `/`.
fn normal(archive: &str, name: &[u8]) -> Result<Box<[u8]>, ArchiveError> {
    let member = || EntryName::new(name);
    if name.first() == Some(&b'/') {
        return Err(ArchiveError::AbsoluteName {
            archive: archive.to_owned(),
            member: member(),
        });
    }
    match normalize(name, &limits()) {
        Ok(name) => Ok((*name).into()),
        Err(source) => Err(ArchiveError::MemberName {
            archive: archive.to_owned(),
            member: member(),
            source,
        }),
    }
}

fn limits() -> PathLimits {
    PathLimits {
        path_bytes: MAX_NAME_BYTES,
        ..PathLimits::default()
    }
}

/// Returns the name that a symbolic link leads to: `docker save` writes a layer that several images share once, and links to it
/// with `../ID/layer.tar`.
fn symlink_target(name: &[u8], target: &[u8]) -> Option<Box<[u8]>> {
    if target.first() == Some(&b'/') {
        return None;
    }
    let mut components: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
    components.pop();
    for component in target.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                components.pop()?;
            }
            other => components.push(other),
        }
    }
    let path = components.join(&b'/');
    (path.len() <= MAX_NAME_BYTES).then(|| path.into())
}
