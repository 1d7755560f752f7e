//! Benchmarks of merging layers from their sidecars: `cargo bench -p msb-stitch`. Items are changes.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic on errors")]

use std::{
    fs::File,
    io::{BufWriter, Cursor},
};

use divan::{Bencher, counter::ItemsCount};
use fs_tree::{Change, ChangeKind, Metadata, NewContent, NewNode};
use msb_sidecar::{ImageSummary, Sidecar, SidecarWriter};
use msb_stitch::{DeviceId, DiskLayout, LayerNames, Merge};

const LAYERS: usize = 10;
const IMAGE_BYTES: u64 = 1 << 20;

fn main() {
    divan::main();
}

/// Ten layers, half of each over the one below.
#[divan::bench(args = [1_000, 10_000], sample_count = 20)]
fn merge(bencher: Bencher<'_, '_>, files: usize) {
    let sidecars = sidecars(files);
    bencher
        .counter(ItemsCount::new(LAYERS * files))
        .bench_local(|| merged(&sidecars));
}

/// The merged tree as an image.
#[divan::bench(args = [1_000, 10_000], sample_count = 20)]
fn fsmeta(bencher: Bencher<'_, '_>, files: usize) {
    let sidecars = sidecars(files);
    let layers = (0..LAYERS).map(|layer| {
        let names = LayerNames {
            tag: layer.to_string(),
            file: format!("{layer}.erofs"),
        };
        (names, IMAGE_BYTES)
    });
    let layers: Vec<_> = layers.collect();
    let layout = DiskLayout::of_distinct("fsmeta.erofs", &layers).unwrap();
    bencher
        .with_inputs(|| merged(&sidecars))
        .counter(ItemsCount::new(LAYERS * files))
        .bench_local_values(|merge| {
            merge
                .write_fsmeta(Cursor::new(Vec::new()), &layout, [7; 16])
                .unwrap()
                .0
        });
}

fn merged(sidecars: &[Sidecar<File>]) -> Merge {
    let mut merge = Merge::new();
    for (sidecar, device) in sidecars.iter().zip(1..) {
        let device = DeviceId::new(device).unwrap();
        merge.add(device, sidecar.changes()).unwrap();
    }
    merge
}

fn sidecars(files: usize) -> Vec<Sidecar<File>> {
    (0..LAYERS)
        .map(|layer| {
            let file = tempfile::tempfile().unwrap();
            let mut writer = SidecarWriter::new(BufWriter::new(file));
            let first = layer * files / 2;
            for number in first..first + files {
                let path = format!("srv/app/{}/file-{number}.js", number / 100);
                let change = Change {
                    path: path.as_bytes(),
                    kind: ChangeKind::Node {
                        metadata: Metadata {
                            mode: 0o644,
                            ..Metadata::default()
                        },
                        xattrs: &[],
                        node: NewNode::Regular {
                            size: 4000,
                            crc32c: 0,
                            content: NewContent::Contiguous {
                                device: 0,
                                offset: 4096,
                            },
                        },
                    },
                };
                writer.change(&change, None).unwrap();
            }
            let image = ImageSummary {
                bytes: IMAGE_BYTES,
                crc32c: 0,
            };
            let file = writer.finish(image, &[]).unwrap().into_inner().unwrap();
            Sidecar::open(file).unwrap()
        })
        .collect()
}
