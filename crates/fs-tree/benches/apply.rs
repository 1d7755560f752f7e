//! Measures applying a layer's changes to a tree: `cargo bench -p fs-tree`. Items are changes.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark may stop at the first thing that goes wrong"
)]

use divan::{Bencher, counter::ItemsCount};
use fs_tree::{Change, ChangeKind, LayerApplier, Metadata, NewContent, NewNode, Tree, merge_layer};

const DIRECTORY_FILES: usize = 100;

fn main() {
    divan::main();
}

/// Applies a layer to its own tree.
#[divan::bench(args = [10_000, 100_000], sample_count = 20)]
fn layer(bencher: Bencher<'_, '_>, files: usize) {
    let paths = paths(files);
    bencher.counter(ItemsCount::new(files)).bench(|| {
        let mut tree = Tree::new();
        let mut layer = LayerApplier::new(&mut tree);
        for path in &paths {
            layer.apply(&file(path)).unwrap();
        }
        tree
    });
}

/// Applies the same layer again, over a tree with all of its files.
#[divan::bench(args = [10_000, 100_000], sample_count = 20)]
fn replace(bencher: Bencher<'_, '_>, files: usize) {
    let paths = paths(files);
    let mut below = Tree::new();
    let mut layer = merge_layer(&mut below, []);
    for path in &paths {
        layer.apply(&file(path)).unwrap();
    }
    bencher.counter(ItemsCount::new(files)).bench_local(|| {
        let mut layer = merge_layer(&mut below, []);
        for path in &paths {
            layer.apply(&file(path)).unwrap();
        }
    });
}

fn paths(files: usize) -> Vec<String> {
    (0..files)
        .map(|number| {
            let directory = number / DIRECTORY_FILES;
            format!("srv/app/{}/{directory}/file-{number}.js", directory / 10)
        })
        .collect()
}

fn file(path: &str) -> Change<'_> {
    Change {
        path: path.as_bytes(),
        kind: ChangeKind::Node {
            metadata: Metadata {
                mode: 0o644,
                ..Metadata::default()
            },
            xattrs: &[],
            node: NewNode::Regular {
                size: 4096,
                crc32c: 0,
                content: NewContent::Contiguous {
                    device: 0,
                    offset: 4096,
                },
            },
        },
    }
}
