//! Target `layer`: a compressed or plain tar archive, from its bytes to a proved disk.
//!
//! Asserted, for every input:
//! - decoding gives the same, whole or in pieces; so does parsing the archive;
//! - what the parser delivers is in order, within the entry's size, and complete;
//! - ingesting the blob as it is, and ingesting the plain archive in other pieces or resumed behind an earlier part, gives the same image and the same sidecar to
//!   the byte, or the same error;
//! - nothing comes of a blob with another length or digest than was promised;
//! - a stream that cannot be decoded is never a layer; an error of the decoder or the parser is final;
//! - whatever is accepted is a sound image: its length and sum are those of the sidecar, `erofs_reader::check` passes, it can be
//!   dumped, and each file of it has bytes that the archive has under that name;
//! - its sidecar plays back, and unless the layer links below itself, it merges into an fsmeta of which the proof holds;
//! - no more than a fixed amount of memory is held.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::mem::discriminant;

use bytes::Bytes;
use erofs_format::Crc32c;
use erofs_reader::{CheckOptions, FileType, Image, check, dump};
use msb_layer::decode::{Chunk, DecodeError, Decoder, Pool, PushError, WindowBudget};
use msb_layer::tar::path::normalize;
use msb_layer::tar::{Entry, Kind, TarEnd, TarError, TarParser, TarSink, Timestamp};
use msb_layer::{BlobPart, IngestedLayer, LayerError, LayerJob, LayerLimits, tar};
use msb_oci::Digest;
use msb_sidecar::{Note, Sidecar};
use msb_stitch::{Disk, DiskExtent, Merge, Slot, StitchError, prove};

use crate::chop::chop;
use crate::heap;
use crate::memory_file::{contents, memory_file, path_of};
use crate::told::told;

/// No input may hold more: the stages' buffers, the reader's cache, an image of up to [`IMAGE_BYTES`], and room.
const HEAP_BYTES: usize = 64 << 20;
const PLAIN_BYTES: u64 = 1 << 20;
const IMAGE_BYTES: u64 = 1 << 20;
/// What all windows of a stream may take: less than what one may claim.
const WINDOWS_BYTES: u64 = 512 << 10;

/// Runs the target.
///
/// # Panics
/// When something that is asserted does not hold.
pub fn run(blob: &[u8]) {
    heap::bounded(HEAP_BYTES, || {
        let seed = u64::from(Crc32c::of(blob).get());
        let plain = decoded(blob, [blob]);
        match (&plain, decoded(blob, chop(blob, seed))) {
            (Ok(plain), Ok(other)) => assert!(*plain == other, "pieces change what is decoded"),
            (Err(Refused::Decode(a)), Err(Refused::Decode(b))) => {
                told(a);
                assert_eq!(discriminant(a), discriminant(&b), "{a} and {b}");
            }
            (Err(Refused::TooLong), Err(Refused::TooLong)) => return,
            (a, b) => panic!("whole it is {a:?}, in pieces {b:?}"),
        }
        match plain {
            Ok(plain) => archive(blob, &plain, seed),
            Err(_) => {
                let made = ingest(blob, blob, [blob]);
                assert!(made.is_err(), "what cannot be decoded became a layer");
            }
        }
    });
}

#[derive(Debug)]
enum Refused {
    Decode(DecodeError),
    TooLong,
}

fn decoded<'a>(
    blob: &[u8],
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Vec<u8>, Refused> {
    let mut plain = Vec::new();
    let mut out = |chunk: Chunk| {
        assert!(!chunk.is_empty(), "an empty chunk");
        plain.extend_from_slice(&chunk);
        if plain.len() as u64 > PLAIN_BYTES {
            Err(())
        } else {
            Ok(())
        }
    };
    let refused = |error| match error {
        PushError::Decode(error) => Refused::Decode(error),
        PushError::Output(()) => Refused::TooLong,
    };
    let chunk_bytes = if blob.len().is_multiple_of(2) {
        4096
    } else {
        1000
    };
    let mut decoder = Decoder::new(Pool::new(chunk_bytes, 2), limits().decode)
        .with_windows(WindowBudget::new(WINDOWS_BYTES), std::sync::Arc::default());
    for piece in pieces {
        if let Err(error) = decoder.push(piece, &mut out) {
            let again = decoder.push(b"x", &mut out);
            assert!(
                matches!(again, Err(PushError::Decode(DecodeError::Failed))),
                "an error is final"
            );
            let end = decoder.finish(&mut out);
            assert!(
                matches!(end, Err(PushError::Decode(DecodeError::Failed))),
                "an error is final"
            );
            return Err(refused(error));
        }
    }
    let expected = decoder.plain_bytes();
    decoder.finish(&mut out).map_err(refused)?;
    assert!(expected <= plain.len() as u64);
    Ok(plain)
}

fn limits() -> LayerLimits {
    let mut limits = LayerLimits::default();
    limits.entries = 60;
    limits.metadata_bytes = 12 << 10;
    limits.sparse_bytes = 64 << 10;
    limits.plain_bytes = PLAIN_BYTES;
    limits.image_bytes = IMAGE_BYTES;
    // Far below the defaults, so that short inputs meet them.
    limits.tar.pax_bytes = 16 << 10;
    limits.tar.long_name_bytes = 8 << 10;
    limits.tar.xattr_bytes = 8 << 10;
    limits.tar.sparse_extents = 40;
    limits.path.path_bytes = 4096;
    limits.decode.zstd_window_bytes = 1 << 20;
    limits
}

/// All that is asserted of an archive that can be decoded.
fn archive(blob: &[u8], plain: &[u8], seed: u64) {
    let parsed = parse([plain]);
    let again = parse(chop(plain, seed ^ 0x5555));
    assert_eq!(parsed, again, "pieces change what is parsed");

    let whole = ingest(blob, plain, [blob]);
    // The rest of the plain archive in other pieces, behind what an earlier attempt has left.
    let earlier = usize::try_from(seed >> 8).unwrap_or(0) % (plain.len() + 1);
    let earlier = if seed.is_multiple_of(2) { earlier } else { 0 };
    let pieces = resume(
        Promise::of(plain, plain),
        plain,
        earlier,
        chop(&plain[earlier..], seed ^ 0xaaaa),
    );
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => {
            let (image, sidecar) = (contents(&whole.image), contents(&whole.sidecar));
            assert!(image == contents(&pieces.image), "pieces change the image");
            assert!(
                sidecar == contents(&pieces.sidecar),
                "pieces change the sidecar"
            );
            assert_eq!(whole.made.notes, pieces.made.notes);
            assert_eq!(whole.made.entries, pieces.made.entries);
            let (seen, _) = parsed.expect("what is ingested can be parsed");
            assert_eq!(whole.made.entries, seen.len() as u64);
            if seed % 16 == 3 {
                lies(plain);
            }
            accepted(&whole, &image, &seen);
        }
        (Err(whole), Err(pieces)) => {
            assert_eq!(whole.to_string(), pieces.to_string());
            told(&whole);
            if let LayerError::Tar { source } = &whole {
                assert_eq!(parsed.as_ref().err(), Some(source));
            }
        }
        (whole, pieces) => panic!(
            "whole it is {:?}, in pieces {:?}",
            whole.map(|layer| layer.made),
            pieces.map(|layer| layer.made)
        ),
    }
}

/// No layer comes of promises that are not kept.
fn lies(plain: &[u8]) {
    let other = Digest::sha256_of(b"something else");
    let honest = || Promise {
        blob: Digest::sha256_of(plain),
        blob_bytes: plain.len() as u64,
        diff_id: Digest::sha256_of(plain),
    };
    let promises = [
        Promise {
            blob: other.clone(),
            ..honest()
        },
        Promise {
            diff_id: other.clone(),
            ..honest()
        },
        Promise {
            blob_bytes: plain.len() as u64 + 1,
            ..honest()
        },
        Promise {
            blob_bytes: (plain.len() as u64).saturating_sub(1),
            ..honest()
        },
    ];
    for promise in promises.into_iter().skip(usize::from(plain.is_empty()) * 3) {
        let error = resume(promise, plain, 0, [plain]).err();
        let error = error.expect("the promise was not kept");
        assert!(error.is_mismatch(), "{error}");
        told(&error);
    }
}

/// An entry as the sink saw it, and its bytes with where they lie.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    path: Vec<u8>,
    kind: String,
    regular: bool,
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

fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(Vec<Seen>, TarEnd), TarError> {
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

/// A layer that was made, in memory.
struct Layer {
    made: IngestedLayer,
    image: File,
    sidecar: File,
}

/// What a manifest and a config say of a blob.
struct Promise {
    blob: Digest,
    blob_bytes: u64,
    diff_id: Digest,
}

impl Promise {
    fn of(blob: &[u8], plain: &[u8]) -> Self {
        Self {
            blob: Digest::sha256_of(blob),
            blob_bytes: blob.len() as u64,
            diff_id: Digest::sha256_of(plain),
        }
    }
}

fn ingest<'a>(
    blob: &[u8],
    plain: &[u8],
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Layer, LayerError> {
    resume(Promise::of(blob, plain), blob, 0, pieces)
}

/// An ingest of which the blob's first `earlier` bytes are there already.
fn resume<'a>(
    promise: Promise,
    blob: &[u8],
    earlier: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Layer, LayerError> {
    thread_local! {
        static RUNTIME: RefCell<tokio::runtime::Runtime> = RefCell::new(
            tokio::runtime::Builder::new_current_thread().build().expect("a runtime needs nothing"),
        );
    }
    let (image, sidecar, part) = (memory_file(), memory_file(), memory_file());
    let job = LayerJob {
        blob: promise.blob,
        blob_bytes: promise.blob_bytes,
        diff_id: promise.diff_id,
        image: image.try_clone().expect("a file can be shared"),
        sidecar: sidecar.try_clone().expect("a file can be shared"),
        part: (earlier > 0).then(|| BlobPart {
            earlier: Box::new(Cursor::new(blob[..earlier].to_vec())),
            bytes: earlier as u64,
            more: Box::new(part.try_clone().expect("a file can be shared")),
        }),
        limits: limits(),
        windows: WindowBudget::new(WINDOWS_BYTES),
    };
    let made = RUNTIME.with_borrow_mut(|runtime| {
        runtime.block_on(async {
            let (feed, task) = job.start()?;
            for piece in pieces {
                if !feed.send(Bytes::copy_from_slice(piece)).await {
                    return task.wait().await;
                }
            }
            feed.finish().await;
            task.wait().await
        })
    })?;
    if earlier > 0 {
        assert!(
            contents(&part) == blob[earlier..],
            "the part file has the rest"
        );
    }
    Ok(Layer {
        made,
        image,
        sidecar,
    })
}

/// All that is asserted of a layer that was made.
fn accepted(layer: &Layer, bytes: &[u8], seen: &[Seen]) {
    let summary = layer.made.image;
    assert_eq!(summary.bytes, bytes.len() as u64);
    assert_eq!(summary.crc32c, Crc32c::of(bytes).get());
    assert!(bytes.len().is_multiple_of(4096));

    let image = Image::open(bytes).expect("the image opens");
    check(&image, &CheckOptions::default()).expect("the image is sound");
    dump(&image, &mut std::io::sink()).expect("the image can be dumped");
    same_contents(&image, seen);

    let sidecar = layer.sidecar.try_clone().expect("a file can be shared");
    let sidecar = Sidecar::open(sidecar).expect("the sidecar opens");
    for note in &layer.made.notes {
        let text = note.to_string();
        assert!(!text.contains(char::is_control), "{text:?}");
    }
    assert_eq!(sidecar.image(), summary);
    assert_eq!(
        sidecar.notes().expect("the notes are read"),
        layer.made.notes
    );
    let links_below = layer
        .made
        .notes
        .iter()
        .any(|note| matches!(note, Note::LinksBelow { .. }));
    let slots = [Slot {
        tag: "sha256:0".to_owned(),
        image_bytes: summary.bytes,
    }];
    match merged(&sidecar) {
        Ok(merge) => prove_disk(
            merge,
            &merged(&sidecar).expect("as before"),
            &layer.image,
            &slots,
        ),
        Err(error @ StitchError::Merge { .. }) if links_below => told(&error),
        Err(error) => panic!("the layer cannot be merged: {error:?}"),
    }
}

/// Each file of the image has bytes that the archive has under its name.
fn same_contents(image: &Image<&[u8]>, seen: &[Seen]) {
    let mut by_path: HashMap<Vec<u8>, Vec<&Seen>> = HashMap::new();
    for entry in seen.iter().filter(|entry| entry.regular) {
        if let Ok(path) = normalize(&entry.path, &limits().path) {
            by_path.entry(path.into_owned()).or_default().push(entry);
        }
    }
    let mut walk = image
        .walk(&erofs_reader::Limits::default())
        .expect("there is a root");
    while let Some(found) = walk.next_entry() {
        let found = found.expect("the image is sound");
        let inode = found.inode;
        // Behind a symbolic link, or under a further name: not found by the archive's name.
        let Some(candidates) = by_path.get(found.path.strip_prefix(b"/").unwrap_or(found.path))
        else {
            continue;
        };
        if inode.file_type != FileType::Regular || inode.nlink > 1 || inode.size > PLAIN_BYTES {
            continue;
        }
        let mut bytes = Vec::new();
        let mut file = image.open_file(&inode).expect("it is a file");
        file.read_to_end(&mut bytes).expect("the file can be read");
        assert!(
            candidates.iter().any(|entry| expanded(entry) == bytes),
            "{}: its bytes are not the archive's",
            found.path.escape_ascii()
        );
    }
}

/// An entry's bytes with its holes as zeros.
fn expanded(entry: &Seen) -> Vec<u8> {
    let Some(map) = &entry.sparse else {
        return entry.data.clone();
    };
    if entry.size > PLAIN_BYTES {
        return Vec::new();
    }
    let mut bytes = vec![0; entry.size as usize];
    let mut rest = &entry.data[..];
    for extent in map {
        let (piece, others) = rest.split_at(extent.len as usize);
        bytes[extent.offset as usize..][..piece.len()].copy_from_slice(piece);
        rest = others;
    }
    bytes
}

fn merged(sidecar: &Sidecar<File>) -> Result<Merge, StitchError> {
    let mut merge = Merge::new();
    merge.add(1, sidecar)?;
    Ok(merge)
}

fn prove_disk(merge: Merge, expected: &Merge, image: &File, slots: &[Slot]) {
    let output = memory_file();
    let (fsmeta, output) = merge
        .write_fsmeta(output, slots, [7; 16])
        .expect("the tree is written");
    let extent = |file: &File, bytes| DiskExtent {
        file: path_of(file).display().to_string(),
        bytes,
    };
    let extents = vec![
        extent(&output, fsmeta.bytes),
        extent(image, slots[0].image_bytes),
    ];
    let disk = Disk::new(&fsmeta, slots, extents).expect("the files are those of the slots");
    let vmdk = memory_file();
    let text = disk.descriptor().expect("the names can be written");
    std::os::unix::fs::FileExt::write_all_at(&vmdk, text.as_bytes(), 0).expect("memory takes it");
    prove(&path_of(&vmdk), Some(expected.tree())).expect("the proof holds");
}

/// The image of an archive, for seeds.
///
/// # Panics
/// When the archive is refused.
#[must_use]
pub fn image_of(archive: &[u8]) -> Vec<u8> {
    contents(&made_of(archive).image)
}

/// The sidecar of an archive, for seeds.
///
/// # Panics
/// When the archive is refused.
#[must_use]
pub fn sidecar_of(archive: &[u8]) -> Vec<u8> {
    contents(&made_of(archive).sidecar)
}

/// The whole disk of some layers, for seeds: fsmeta and the images behind it.
///
/// # Panics
/// When the archives are refused.
#[must_use]
pub fn disk_of(archives: &[Vec<u8>]) -> Vec<u8> {
    let layers: Vec<Layer> = archives.iter().map(|archive| made_of(archive)).collect();
    let mut merge = Merge::new();
    let mut slots = Vec::new();
    for (device, layer) in (1..).zip(&layers) {
        let sidecar = layer.sidecar.try_clone().expect("a file can be shared");
        let sidecar = Sidecar::open(sidecar).expect("the sidecar opens");
        merge.add(device, &sidecar).expect("the seeds' layers fit");
        slots.push(Slot {
            tag: format!("sha256:{device}"),
            image_bytes: sidecar.image().bytes,
        });
    }
    let (_, output) = merge
        .write_fsmeta(memory_file(), &slots, [7; 16])
        .expect("the tree is written");
    let mut disk = contents(&output);
    layers
        .iter()
        .for_each(|layer| disk.extend_from_slice(&contents(&layer.image)));
    disk
}

fn made_of(archive: &[u8]) -> Layer {
    ingest(archive, archive, [archive])
        .unwrap_or_else(|error| panic!("a seed's archive is refused: {error}"))
}
