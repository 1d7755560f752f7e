//! A sink that records, and headers written by hand.

use crate::tar::{
    Entry, Kind, Limits, Lost, PushError, TarEnd, TarError, TarParser, TarSink, Timestamp,
};
use std::convert::Infallible;

/// An entry as the sink saw it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) path: Vec<u8>,
    pub(super) kind: SeenKind,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Timestamp,
    pub(super) size: u64,
    pub(super) sparse: Option<Vec<(u64, u64)>>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) lost: Lost,
    pub(super) header_offset: u64,
    /// Data with neighbours joined.
    pub(super) data: Vec<(u64, Vec<u8>)>,
    pub(super) ended: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum SeenKind {
    Regular,
    HardLink(Vec<u8>),
    Symlink(Vec<u8>),
    Char(u32, u32),
    Block(u32, u32),
    Directory,
    Fifo,
    Other(u8),
}

impl Seen {
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.data
            .iter()
            .flat_map(|(_, bytes)| bytes.clone())
            .collect()
    }
}

#[derive(Default)]
struct Recorder(Vec<Seen>);

impl TarSink for Recorder {
    type Error = Infallible;

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Infallible> {
        assert!(self.0.last().is_none_or(|last| last.ended));
        self.0.push(Seen {
            path: entry.path.to_vec(),
            kind: match entry.kind {
                Kind::Regular => SeenKind::Regular,
                Kind::HardLink { target } => SeenKind::HardLink(target.to_vec()),
                Kind::Symlink { target } => SeenKind::Symlink(target.to_vec()),
                Kind::CharDevice { major, minor } => SeenKind::Char(major, minor),
                Kind::BlockDevice { major, minor } => SeenKind::Block(major, minor),
                Kind::Directory => SeenKind::Directory,
                Kind::Fifo => SeenKind::Fifo,
                Kind::Other(byte) => SeenKind::Other(byte),
            },
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            mtime: entry.mtime,
            size: entry.size,
            sparse: entry.sparse.map(|map| {
                map.iter()
                    .map(|extent| (extent.offset, extent.len))
                    .collect()
            }),
            xattrs: entry
                .xattrs
                .iter()
                .map(|(name, value)| (name.to_vec(), value.to_vec()))
                .collect(),
            lost: entry.lost,
            header_offset: entry.header_offset,
            data: Vec::new(),
            ended: false,
        });
        Ok(())
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Infallible> {
        assert!(!bytes.is_empty());
        let seen = self.0.last_mut().expect("data follows an entry");
        assert!(!seen.ended);
        match seen.data.last_mut() {
            Some((start, last)) if *start + last.len() as u64 == offset => {
                last.extend_from_slice(bytes)
            }
            _ => seen.data.push((offset, bytes.to_vec())),
        }
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), Infallible> {
        let seen = self.0.last_mut().expect("an end follows an entry");
        assert!(!std::mem::replace(&mut seen.ended, true));
        Ok(())
    }
}

pub(super) type Parsed = Result<(Vec<Seen>, TarEnd), TarError>;

fn in_pieces(archive: &[u8], limits: Limits, mut next: impl FnMut() -> usize) -> Parsed {
    let mut parser = TarParser::new(limits);
    let mut recorder = Recorder::default();
    let mut rest = archive;
    let tar_error = |error: PushError<Infallible>| match error {
        PushError::Tar(error) => error,
        PushError::Sink(never) => match never {},
    };
    while !rest.is_empty() {
        let (piece, others) = rest.split_at(next().clamp(1, rest.len()));
        parser.push(piece, &mut recorder).map_err(tar_error)?;
        rest = others;
    }
    assert_eq!(parser.position(), archive.len() as u64);
    let end = parser.finish().map_err(tar_error)?;
    assert!(recorder.0.iter().all(|seen| seen.ended));
    Ok((recorder.0, end))
}

/// Parses in pieces of several lengths, which must not matter.
pub(super) fn parse_with(archive: &[u8], limits: Limits) -> Parsed {
    let whole = in_pieces(archive, limits, || archive.len());
    assert_eq!(in_pieces(archive, limits, || 1), whole);
    let mut seed = 0x9e37_79b9_u32;
    let random = in_pieces(archive, limits, || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(seed >> 16).expect("16 bits fit") % 1500
    });
    assert_eq!(random, whole);
    whole
}

pub(super) fn parse(archive: &[u8]) -> Parsed {
    parse_with(archive, Limits::default())
}

/// Parses an archive that is right.
pub(super) fn entries(archive: &[u8]) -> Vec<Seen> {
    parse(archive).expect("the archive is right").0
}

/// Parses an archive that has one entry.
pub(super) fn only(archive: &[u8]) -> Seen {
    let entries = entries(archive);
    assert_eq!(entries.len(), 1);
    entries.into_iter().next().expect("there is one")
}

/// A header block, field by field.
#[derive(Clone)]
pub(super) struct Head(pub(super) [u8; 512]);

impl Head {
    /// Returns a ustar header.
    pub(super) fn new(name: &[u8], kind: u8, size: u64) -> Self {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name);
        block[100..108].copy_from_slice(b"0000644\0");
        block[108..116].copy_from_slice(b"0000000\0");
        block[116..124].copy_from_slice(b"0000000\0");
        block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        block[136..148].copy_from_slice(b"00000000000\0");
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        Self(block)
    }

    pub(super) fn v7(name: &[u8], kind: u8, size: u64) -> Self {
        Self::new(name, kind, size).set(257, &[0; 8])
    }

    pub(super) fn gnu(name: &[u8], kind: u8, size: u64) -> Self {
        Self::new(name, kind, size).set(257, b"ustar  \0")
    }

    pub(super) fn set(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(super) fn link(self, target: &[u8]) -> Self {
        self.set(157, target)
    }

    /// Returns the block with its checksum, and a payload padded to blocks.
    pub(super) fn with(mut self, payload: &[u8]) -> Vec<u8> {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.0[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut bytes = self.0.to_vec();
        bytes.extend_from_slice(payload);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    pub(super) fn alone(self) -> Vec<u8> {
        self.with(b"")
    }
}

/// Returns one PAX record with its length.
pub(super) fn record(keyword: &str, value: &[u8]) -> Vec<u8> {
    let rest = [b" ", keyword.as_bytes(), b"=", value, b"\n"].concat();
    let mut len = rest.len();
    while len != rest.len() + len.to_string().len() {
        len = rest.len() + len.to_string().len();
    }
    [len.to_string().into_bytes(), rest].concat()
}

/// Returns a PAX header of type `x` or `g` with these records.
pub(super) fn pax(kind: u8, records: &[(&str, &[u8])]) -> Vec<u8> {
    let body: Vec<u8> = records
        .iter()
        .flat_map(|(keyword, value)| record(keyword, value))
        .collect();
    Head::new(b"PaxHeaders/x", kind, body.len() as u64).with(&body)
}
