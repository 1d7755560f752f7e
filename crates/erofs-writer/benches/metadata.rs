//! How fast metadata is planned and emitted: `cargo bench -p erofs-writer`. Items are files.
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark may stop at the first thing that goes wrong"
)]

use std::io::Cursor;

use divan::{Bencher, counter::ItemsCount};
use erofs_writer::{ImageWriter, NoInline, Options, Written};
use fs_tree::{Change, ChangeKind, LayerApplier, Metadata, NewContent, NewNode, Timestamp, Tree};

fn main() {
    divan::main();
}

/// Inodes, names, directories of a hundred files each.
#[divan::bench(args = [10_000, 100_000], sample_count = 20)]
fn metadata(bencher: Bencher<'_, '_>, files: usize) {
    let tree = tree(files, 100);
    bencher
        .counter(ItemsCount::new(files))
        .bench(|| write(&tree));
}

/// One directory of all files, whose entries are sorted and packed into blocks.
#[divan::bench(args = [10_000, 100_000], sample_count = 20)]
fn one_directory(bencher: Bencher<'_, '_>, files: usize) {
    let tree = tree(files, files);
    bencher
        .counter(ItemsCount::new(files))
        .bench(|| write(&tree));
}

fn write(tree: &Tree) -> Written {
    let mut image = ImageWriter::new(Cursor::new(Vec::new()), Options::default()).unwrap();
    let mut extent = image.begin().unwrap();
    extent.write(&[1; 4096]).unwrap();
    extent.end().unwrap();
    image.finish(tree, &mut NoInline).unwrap().0
}

fn tree(files: usize, directory_files: usize) -> Tree {
    let mut tree = Tree::new();
    let mut layer = LayerApplier::new(&mut tree);
    for number in 0..files {
        let directory = number / directory_files;
        let path = format!("srv/app/{}/{directory}/file-{number}.js", directory / 10);
        let seconds = i64::try_from(number % 7).unwrap();
        layer
            .apply(&Change {
                path: path.as_bytes(),
                kind: ChangeKind::Node {
                    metadata: Metadata {
                        mode: 0o644,
                        mtime: Timestamp {
                            secs: seconds,
                            nanos: 0,
                        },
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
            })
            .unwrap();
    }
    tree
}
