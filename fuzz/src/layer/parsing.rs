//! Parses an archive and checks the invariants of the parser.

use msb_layer::tar::{self, Entry, Kind, TarEnd, TarError, TarParser, TarSink, Timestamp};

use super::{PLAIN_BYTES, limits};

/// Returns all entries of an archive that arrives in these pieces.
pub(super) fn parse<'a>(
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<Seen>, TarEnd), TarError> {
    let tar_error = |error| match error {
        tar::PushError::Tar(error) => error,
        tar::PushError::Sink(()) => unreachable!("the recorder refuses nothing"),
    };
    let mut parser = TarParser::new(limits().tar);
    let mut recorder = Recorder::default();
    let mut pushed = 0;
    for piece in pieces {
        if let Err(error) = parser.push(piece, &mut recorder) {
            let again = parser.push(b"x", &mut recorder).map_err(tar_error);
            assert_eq!(again, Err(TarError::Failed), "an error is final");
            let end = parser.finish().map_err(tar_error);
            assert_eq!(end, Err(TarError::Failed), "an error is final");
            return Err(tar_error(error));
        }
        pushed += piece.len() as u64;
        assert_eq!(parser.position(), pushed);
    }
    let end = parser.finish().map_err(tar_error)?;
    assert_eq!(end.entries, recorder.seen.len() as u64);
    assert!(recorder.seen.iter().all(|seen| seen.ended));
    Ok((recorder.seen, end))
}

/// An entry as the sink received it, with its data and their offsets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) path: Vec<u8>,
    kind: String,
    pub(super) regular: bool,
    mode: u32,
    owner: (u32, u32),
    mtime: Timestamp,
    size: u64,
    sparse: Option<Vec<tar::SparseExtent>>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    header_offset: u64,
    data: Vec<u8>,
    ended: bool,
}

impl Seen {
    /// Returns the bytes of the entry, with holes as zeros.
    pub(super) fn expanded(&self) -> Vec<u8> {
        let Some(map) = &self.sparse else {
            return self.data.clone();
        };
        if self.size > PLAIN_BYTES {
            return Vec::new();
        }
        let mut bytes = vec![0; self.size as usize];
        let mut rest = &self.data[..];
        for extent in map {
            let (piece, others) = rest.split_at(extent.len as usize);
            bytes[extent.offset as usize..][..piece.len()].copy_from_slice(piece);
            rest = others;
        }
        bytes
    }
}

/// Records everything that the parser delivers.
#[derive(Default)]
struct Recorder {
    seen: Vec<Seen>,
    next: u64,
}

impl TarSink for Recorder {
    type Error = ();

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), ()> {
        assert!(self.seen.last().is_none_or(|last| last.ended));
        assert!(entry.mode <= 0o7777 && entry.mtime.nanos < 1_000_000_000);
        let xattrs: Vec<_> = entry
            .xattrs
            .iter()
            .map(|(n, v)| (n.to_vec(), v.to_vec()))
            .collect();
        assert!(
            xattrs.is_sorted_by(|a, b| a.0 < b.0),
            "xattrs are sorted, each name once"
        );
        if let Some(map) = entry.sparse {
            assert!(
                map.iter()
                    .all(|e| e.len > 0 && e.offset + e.len <= entry.size)
            );
            assert!(map.is_sorted_by(|a, b| a.offset + a.len <= b.offset));
        }
        self.next = 0;
        self.seen.push(Seen {
            path: entry.path.to_vec(),
            kind: format!("{:?}", entry.kind),
            regular: entry.kind == Kind::Regular,
            mode: entry.mode,
            owner: (entry.uid, entry.gid),
            mtime: entry.mtime,
            size: entry.size,
            sparse: entry.sparse.map(<[_]>::to_vec),
            xattrs,
            header_offset: entry.header_offset,
            data: Vec::new(),
            ended: false,
        });
        Ok(())
    }

    fn data(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ()> {
        let seen = self.seen.last_mut().expect("data follows an entry");
        assert!(!seen.ended && !bytes.is_empty());
        assert!(offset >= self.next, "data in rising order");
        assert!(
            seen.sparse.is_some() || offset == self.next,
            "no hole where none was said"
        );
        self.next = offset + bytes.len() as u64;
        assert!(self.next <= seen.size, "data within the size");
        seen.data.extend_from_slice(bytes);
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), ()> {
        let seen = self.seen.last_mut().expect("an end follows an entry");
        assert!(!std::mem::replace(&mut seen.ended, true));
        let expected = match &seen.sparse {
            Some(map) => map.iter().map(|extent| extent.len).sum(),
            None => seen.size,
        };
        if seen.regular {
            assert_eq!(seen.data.len() as u64, expected, "all bytes were delivered");
        }
        Ok(())
    }
}
