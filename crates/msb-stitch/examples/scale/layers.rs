//! Sidecars of layers with many files, without their images: merging reads no images.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use fs_tree::{Change, ChangeKind, Metadata, NewContent, NewNode, Timestamp};
use msb_sidecar::{ImageSummary, Sidecar, SidecarWriter};
use msb_stitch::{DeviceId, DiskLayout, Fsmeta, LayerNames, Merge};

/// The number of layers that share the files.
pub(crate) const LAYERS: u64 = 10;

const BLOCK_BYTES: u64 = 4096;

/// One in this many files is changed, and one is removed and added again, by the layer above.
const TOUCHED: usize = 100;

/// Writes the sidecars of a tree of `files` files in all, spread over [`LAYERS`] layers as a package manager would spread
/// them: fifty files in a directory, names of some twenty bytes, two in five files short enough to be inline. Every upper layer
/// replaces one in a hundred files of the one below, and hides and adds another one.
pub(crate) fn write_sidecars(folder: &Path, files: u64) -> std::io::Result<()> {
    for layer in 0..LAYERS {
        let file = File::create(sidecar(folder, layer))?;
        let mut writer = Writer {
            sidecar: SidecarWriter::new(BufWriter::new(file)),
            blocks: 0,
        };
        let first = |layer: u64| files * layer / LAYERS;
        for n in first(layer)..first(layer + 1) {
            writer.file(n, n)?;
        }
        if layer > 0 {
            for n in (first(layer - 1)..first(layer)).step_by(TOUCHED) {
                writer.file(n, n + 1)?;
                writer.whiteout(n + 1)?;
                writer.file(n + 1, n)?;
            }
        }
        writer.finish()?;
    }
    Ok(())
}

/// Merges the sidecars that [`write_sidecars`] wrote. The result stays beside it, as `fsmeta.erofs`.
pub(crate) fn stitch(folder: &Path) -> Result<Fsmeta, Box<dyn std::error::Error>> {
    let mut merge = Merge::new();
    let mut layers = Vec::new();
    for layer in 0..LAYERS {
        let sidecar = Sidecar::open(File::open(sidecar(folder, layer))?)?;
        let device = DeviceId::new(u16::try_from(layer + 1)?).ok_or("no device")?;
        merge.add(device, sidecar.changes())?;
        let names = LayerNames {
            tag: format!("sha256:{layer:064x}"),
            file: format!("{layer}.erofs"),
        };
        layers.push((names, sidecar.image().bytes));
    }
    let output = File::create(folder.join("fsmeta.erofs"))?;
    let layout = DiskLayout::of_distinct("fsmeta.erofs", &layers)?;
    let (fsmeta, _) = merge.write_fsmeta(output, &layout, [0; 16])?;
    Ok(fsmeta)
}

fn sidecar(folder: &Path, layer: u64) -> PathBuf {
    folder.join(format!("{layer}.layer"))
}

struct Writer {
    sidecar: SidecarWriter<BufWriter<File>>,
    /// The number of blocks of the layer image.
    blocks: u64,
}

impl Writer {
    fn file(&mut self, n: u64, version: u64) -> std::io::Result<()> {
        let inline = [b'x'; 600];
        let is_inline = n % 5 < 2;
        let content = if is_inline {
            NewContent::Inline { key: 0 }
        } else {
            let offset = self.blocks * BLOCK_BYTES;
            self.blocks += 1;
            NewContent::Contiguous { device: 0, offset }
        };
        let node = NewNode::Regular {
            size: if is_inline { 600 } else { 3000 },
            crc32c: 0,
            content,
        };
        let kind = ChangeKind::Node {
            metadata: Metadata {
                mode: 0o644,
                mtime: Timestamp {
                    secs: 1_700_000_000 + i64::try_from(version / 50).unwrap_or(0),
                    nanos: 0,
                },
                ..Metadata::default()
            },
            xattrs: &[],
            node,
        };
        let path = path(n);
        let path = path.as_bytes();
        let inline = is_inline.then_some(&inline[..]);
        self.put(&Change { path, kind }, inline)
    }

    fn whiteout(&mut self, n: u64) -> std::io::Result<()> {
        let path = path(n);
        let path = path.as_bytes();
        let kind = ChangeKind::Whiteout;
        self.put(&Change { path, kind }, None)
    }

    fn put(&mut self, change: &Change<'_>, inline: Option<&[u8]>) -> std::io::Result<()> {
        let written = self.sidecar.change(change, inline);
        written.map(drop).map_err(std::io::Error::other)
    }

    fn finish(self) -> std::io::Result<()> {
        let image = ImageSummary {
            bytes: (self.blocks + 1) * BLOCK_BYTES,
            crc32c: 0,
        };
        let finished = self.sidecar.finish(image, &[]);
        finished.map(drop).map_err(std::io::Error::other)
    }
}

fn path(n: u64) -> String {
    let (group, package) = (n / 5000, n / 50);
    format!("usr/lib/d{group}/package{package}/module-file-{n:07}.py")
}
