use std::{fs::File, io, path::Path};

use fs_tree::{
    ApplyError, Change, ChangeKind, LayerApplier, Metadata, NewContent, NewNode, Timestamp, Tree,
};
use msb_sidecar::{ImageSummary, Sidecar, SidecarWriter};

/// Files in a directory.
const DIRECTORY_FILES: u32 = 100;

/// A tree of `files` files in directories three levels down, and some symbolic links.
pub(super) fn tree(files: u32) -> Result<Tree, ApplyError> {
    let mut tree = Tree::new();
    let mut layer = LayerApplier::new(&mut tree);
    each_change(0, files, |change| layer.apply(change).map(drop))?;
    Ok(tree)
}

/// Layers of `files` files each. Half of a layer's files are those of the one below, and each layer above the first deletes
/// a directory.
pub(super) fn sidecars(folder: &Path, layers: u16, files: u32) -> io::Result<Vec<Sidecar<File>>> {
    (0..layers)
        .map(|layer| {
            let path = folder.join(format!("{layer}.layer"));
            let mut options = File::options();
            let file = options
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)?;
            let mut writer = SidecarWriter::new(io::BufWriter::new(file));
            let first = u32::from(layer) * files / 2;
            if layer > 0 {
                let path = directory(first);
                let change = Change {
                    path: path.as_bytes(),
                    kind: ChangeKind::Whiteout,
                };
                writer.change(&change, None).map_err(io::Error::other)?;
            }
            each_change(first, files, |change| writer.change(change, None).map(drop))
                .map_err(io::Error::other)?;
            let image = ImageSummary {
                bytes: 1 << 20,
                crc32c: 0,
            };
            let out = writer.finish(image, &[]).map_err(io::Error::other)?;
            let file = out.into_inner().map_err(|error| error.into_error())?;
            Sidecar::open(file).map_err(io::Error::other)
        })
        .collect()
}

fn directory(file: u32) -> String {
    let number = file / DIRECTORY_FILES;
    format!("usr/lib/package-{}/module-{number}", number / 10)
}

fn each_change<E>(
    first: u32,
    files: u32,
    mut take: impl FnMut(&Change<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let metadata = |number: u32| Metadata {
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Timestamp {
            secs: 1_700_000_000 + i64::from(number % 7),
            nanos: 0,
        },
    };
    for number in first..first + files {
        let directory = directory(number);
        if number.is_multiple_of(DIRECTORY_FILES) {
            take(&Change {
                path: directory.as_bytes(),
                kind: ChangeKind::Node {
                    metadata: Metadata {
                        mode: 0o755,
                        ..metadata(number)
                    },
                    xattrs: &[],
                    node: NewNode::Directory,
                },
            })?;
        }
        let path = format!("{directory}/file-{number}.js");
        let node = if number.is_multiple_of(20) {
            NewNode::Symlink {
                target: b"../index.js",
            }
        } else {
            NewNode::Regular {
                size: 4000,
                crc32c: number,
                content: NewContent::Contiguous {
                    device: 0,
                    offset: 4096,
                },
            }
        };
        take(&Change {
            path: path.as_bytes(),
            kind: ChangeKind::Node {
                metadata: metadata(number),
                xattrs: &[],
                node,
            },
        })?;
    }
    Ok(())
}
