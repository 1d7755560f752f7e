//! Fixed work for the parts whose speed depends on our code alone, to be counted in instructions.
//!
//! Each workload creates its input first. One call of a function of this module whose name begins with `counted_` is
//! counted (`valgrind --toggle-collect`). Nothing here hashes or inflates: that is code of other projects, with
//! instructions that an emulated processor may lack. For the same reason there is no file data, and the only checksums
//! are those of the metadata.

mod archive;
mod layers;

use std::{
    fs::File,
    hint::black_box,
    io::{self, Cursor},
    path::Path,
};

use erofs_writer::{ImageWriter, NoInline, Options, Written};
use fs_tree::Tree;
use msb_layer::tar::{Entry, Limits, TarParser, TarSink};
use msb_sidecar::Sidecar;
use msb_stitch::{DeviceId, DiskLayout, LayerNames, Merge};

/// The number of files in the writer's tree.
const WRITER_FILES: u32 = 20_000;
const MERGE_LAYERS: u16 = 10;
const MERGE_FILES: u32 = 2_000;
/// The number of entries in the archive.
const TAR_FILES: u32 = 20_000;

/// A workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Plans and emits the metadata of a tree.
    Writer,
    /// Replays layers on each other.
    Merge,
    /// Writes the merged metadata of the same layers.
    Fsmeta,
    /// Parses an archive.
    Tar,
}

impl Workload {
    /// Every workload.
    pub const ALL: [Workload; 4] = [
        Workload::Writer,
        Workload::Merge,
        Workload::Fsmeta,
        Workload::Tar,
    ];

    /// Returns the name on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Workload::Writer => "writer",
            Workload::Merge => "merge",
            Workload::Fsmeta => "fsmeta",
            Workload::Tar => "tar",
        }
    }

    /// Creates the input, with files in `folder`, and does the work once. Returns a number that depends on the whole
    /// result.
    ///
    /// # Errors
    ///
    /// Those of the work, which are not expected, and of the disk.
    pub fn run(self, folder: &Path) -> io::Result<u64> {
        match self {
            Workload::Writer => {
                let tree = layers::tree(WRITER_FILES).map_err(io::Error::other)?;
                counted_writer(&tree).map(|written| written.bytes() + written.inodes)
            }
            Workload::Merge => {
                let sidecars = layers::sidecars(folder, MERGE_LAYERS, MERGE_FILES)?;
                let merge = counted_merge(&sidecars)?;
                Ok(merge.tree().entry_count() as u64)
            }
            Workload::Fsmeta => {
                let sidecars = layers::sidecars(folder, MERGE_LAYERS, MERGE_FILES)?;
                counted_fsmeta(counted_merge(&sidecars)?)
            }
            Workload::Tar => counted_tar(&archive::of_files(TAR_FILES)),
        }
    }
}

#[inline(never)]
fn counted_writer(tree: &Tree) -> io::Result<Written> {
    let mut image =
        ImageWriter::new(Cursor::new(Vec::new()), Options::default()).map_err(io::Error::other)?;
    // The data of the files. It stays a hole, because nothing is written to memory for it.
    let mut extent = image.begin().map_err(io::Error::other)?;
    extent.write(&[0; 4096]).map_err(io::Error::other)?;
    extent.end().map_err(io::Error::other)?;
    let (written, _) = image
        .finish(tree, &mut NoInline)
        .map_err(io::Error::other)?;
    Ok(black_box(written))
}

#[inline(never)]
fn counted_merge(sidecars: &[Sidecar<File>]) -> io::Result<Merge> {
    let mut merge = Merge::new();
    for (sidecar, device) in sidecars.iter().zip((1..).filter_map(DeviceId::new)) {
        merge
            .add(device, sidecar.changes())
            .map_err(io::Error::other)?;
    }
    Ok(black_box(merge))
}

#[inline(never)]
fn counted_fsmeta(merge: Merge) -> io::Result<u64> {
    let layers = (0..MERGE_LAYERS).map(|layer| {
        let names = LayerNames {
            tag: format!("layer-{layer}"),
            file: format!("layer-{layer}.erofs"),
        };
        (names, 1 << 20)
    });
    let layers: Vec<_> = layers.collect();
    let layout = DiskLayout::of_distinct("fsmeta.erofs", &layers).map_err(io::Error::other)?;
    let (fsmeta, _) = merge
        .write_fsmeta(Cursor::new(Vec::new()), &layout, [7; 16])
        .map_err(io::Error::other)?;
    Ok(black_box(fsmeta).bytes)
}

#[inline(never)]
fn counted_tar(archive: &[u8]) -> io::Result<u64> {
    let mut parser = TarParser::new(Limits::default());
    let mut count = Count::default();
    for chunk in archive.chunks(256 << 10) {
        parser.push(chunk, &mut count).map_err(io::Error::other)?;
    }
    let end = parser
        .finish::<std::convert::Infallible>()
        .map_err(io::Error::other)?;
    Ok(black_box(count).bytes + end.entries)
}

/// Counts the entries of the archive and adds up their lengths.
#[derive(Debug, Default)]
struct Count {
    bytes: u64,
}

impl TarSink for Count {
    type Error = std::convert::Infallible;

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), Self::Error> {
        self.bytes += entry.path.len() as u64 + entry.size;
        Ok(())
    }

    fn data(&mut self, _offset: u64, bytes: &[u8]) -> Result<(), Self::Error> {
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
