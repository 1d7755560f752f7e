//! Writes changes as tar archives, in the many spellings of tar.

use std::collections::BTreeMap;
use std::fmt::Write;

use msb_testkit::tar;

use crate::model::{OwnedChange, OwnedContent, OwnedKind, OwnedNode, Xattrs};

/// The number of uses of each spelling.
#[derive(Debug, Default)]
pub(crate) struct Spellings(BTreeMap<&'static str, usize>);

const ALL: &[&str] = &[
    "GNU header",
    "PAX header",
    "empty file",
    "empty xattr",
    "file capability of 20 bytes",
    "file capability of 24 bytes",
    "file of a block or less, not inline",
    "file of blocks and a tail",
    "file of whole blocks",
    "file that is inline",
    "layer of markers alone",
    "path from `./`",
    "path from `/`",
    "path with `//`",
    "sparse file",
    "whiteout typed as a file",
    "whiteout typed as a hard link",
    "whiteout typed as a symlink",
    "xattr of a device or fifo",
    "xattr of a directory",
    "xattr of a symlink",
];

impl Spellings {
    fn hit(&mut self, spelling: &'static str) {
        assert!(ALL.contains(&spelling), "{spelling:?} is not in the list");
        *self.0.entry(spelling).or_default() += 1;
    }

    /// Prints the histogram and returns the spellings that never occurred.
    pub(crate) fn report(&self) -> Vec<&'static str> {
        let count = |spelling: &str| self.0.get(spelling).copied().unwrap_or(0);
        for spelling in ALL {
            println!("{:>8}  {spelling}", count(spelling));
        }
        ALL.iter().copied().filter(|at| count(at) == 0).collect()
    }
}

/// Returns the change with sizes around a block and only the xattrs that its file type may have.
pub(crate) fn realistic(mut change: OwnedChange) -> OwnedChange {
    if let OwnedKind::Node {
        metadata,
        xattrs,
        node,
    } = &mut change.kind
    {
        let n = metadata.uid as usize;
        if n.is_multiple_of(4) {
            // A GNU header holds whole seconds only.
            metadata.mtime.nanos = 0;
        }
        if let OwnedNode::Regular { size, content, .. } = node {
            *size = match content {
                OwnedContent::Absent => 0,
                OwnedContent::Contiguous { .. } => {
                    [2049, 4095, 4096, 4097, 8191, 8192, 8193, 20_000, 65_536][n % 9]
                }
                OwnedContent::Mapped(_) => *size,
                OwnedContent::Inline { .. } => [1, 7, 31, 32, 33, 500, 2047, 2048][n % 8],
            };
        }
        let keeps_user = matches!(node, OwnedNode::Regular { .. } | OwnedNode::Directory);
        *xattrs = std::mem::take(xattrs)
            .into_iter()
            .map(|(name, value)| match name.as_str() {
                "security.capability" => (name, capability(value.len())),
                _ if keeps_user => (name, value),
                // The kernel permits `user.` xattrs on files and directories only.
                _ => (name.replace("user.", "trusted."), value),
            })
            .collect();
    }
    change
}

/// Returns a `struct vfs_cap_data` of Linux, with or without the root id of a namespace.
fn capability(variant: usize) -> Vec<u8> {
    let revision: u32 = if variant.is_multiple_of(2) {
        0x0200_0001
    } else {
        0x0300_0001
    };
    let mut words = vec![revision, 1 << 10, 0, 0, 0];
    if !variant.is_multiple_of(2) {
        words.push(100_000);
    }
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Returns the archive of a layer.
pub(crate) fn tar(layer: &[OwnedChange], spellings: &mut Spellings) -> Vec<u8> {
    let is_marker =
        |change: &OwnedChange| matches!(change.kind, OwnedKind::Whiteout | OwnedKind::Opaque);
    if layer.iter().all(is_marker) {
        spellings.hit("layer of markers alone");
    }
    let mut text = String::new();
    for (entry, change) in layer.iter().enumerate() {
        line(&mut text, change, entry, spellings);
    }
    tar::recipe(&text)
}

fn line(text: &mut String, change: &OwnedChange, entry: usize, spellings: &mut Spellings) {
    let path = spelled(&change.path, entry, spellings);
    match &change.kind {
        OwnedKind::HardLink { target } => writeln!(text, "link {path} target={target}"),
        OwnedKind::Whiteout => writeln!(text, "whiteout {path}{}", typed(entry, spellings)),
        OwnedKind::Opaque => writeln!(text, "opaque {path}{}", typed(entry, spellings)),
        OwnedKind::Node {
            metadata,
            xattrs,
            node,
        } => {
            let what = match node {
                OwnedNode::Directory => format!("dir {path}"),
                OwnedNode::Regular { size, content, .. } => {
                    note_file(*size, content, spellings);
                    let sparse = sparse(content);
                    format!("file {path} size={size} seed={}{sparse}", metadata.uid)
                }
                OwnedNode::Symlink { target } => format!("symlink {path} target={target}"),
                OwnedNode::CharDevice(major, minor) => format!("char {path} dev={major}:{minor}"),
                OwnedNode::BlockDevice(major, minor) => format!("block {path} dev={major}:{minor}"),
                OwnedNode::Fifo => format!("fifo {path}"),
            };
            note_xattrs(xattrs, node, spellings);
            let mut line = format!(
                "{what} mode={:o} uid={} gid={} mtime={}",
                metadata.mode,
                metadata.uid,
                metadata.gid,
                seconds(metadata.mtime.secs, metadata.mtime.nanos)
            );
            for (name, value) in xattrs {
                let digits = msb_testkit::digest::hex(value);
                write!(line, " xattr.{name}=hex:{digits}").unwrap();
            }
            let is_sparse = line.contains(" sparse=");
            if metadata.mtime.nanos == 0 && xattrs.is_empty() && !is_sparse {
                spellings.hit("GNU header");
                line.push_str(" format=gnu");
            } else {
                spellings.hit("PAX header");
            }
            writeln!(text, "{line}")
        }
    }
    .unwrap();
}

/// Returns a time as PAX writes it.
fn seconds(secs: i64, nanos: u32) -> String {
    match (secs, nanos) {
        (secs, 0) => secs.to_string(),
        (secs @ 0.., nanos) => format!("{secs}.{nanos:09}"),
        (secs, nanos) => format!("-{}.{:09}", -(secs + 1), 1_000_000_000 - nanos),
    }
}

/// Returns one of the equivalent spellings of a path.
fn spelled(path: &str, entry: usize, spellings: &mut Spellings) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    let (spelling, spelled) = match entry % 8 {
        1 => ("path from `./`", format!("./{path}")),
        3 => ("path from `/`", format!("/{path}")),
        5 if path.contains('/') => ("path with `//`", path.replacen('/', "//", 1)),
        _ => return path.to_owned(),
    };
    spellings.hit(spelling);
    spelled
}

fn typed(entry: usize, spellings: &mut Spellings) -> &'static str {
    let (spelling, words) = match entry % 3 {
        0 => ("whiteout typed as a file", ""),
        1 => ("whiteout typed as a hard link", " type=1 target=.wh."),
        _ => ("whiteout typed as a symlink", " type=2 target=/nowhere"),
    };
    spellings.hit(spelling);
    words
}

fn sparse(content: &OwnedContent) -> String {
    let OwnedContent::Mapped(extents) = content else {
        return String::new();
    };
    let map: Vec<String> = extents
        .iter()
        .map(|extent| format!("{}:{}", extent.logical, extent.len))
        .collect();
    let form = ["pax0.0", "pax0.1", "pax1.0"][extents.len() % 3];
    format!(" sparse={form} map={}", map.join(","))
}

fn note_file(size: u64, content: &OwnedContent, spellings: &mut Spellings) {
    spellings.hit(match content {
        OwnedContent::Absent => "empty file",
        OwnedContent::Inline { .. } => "file that is inline",
        OwnedContent::Mapped(_) => "sparse file",
        OwnedContent::Contiguous { .. } if size < 4096 => "file of a block or less, not inline",
        OwnedContent::Contiguous { .. } if size.is_multiple_of(4096) => "file of whole blocks",
        OwnedContent::Contiguous { .. } => "file of blocks and a tail",
    });
}

fn note_xattrs(xattrs: &Xattrs, node: &OwnedNode, spellings: &mut Spellings) {
    for (name, value) in xattrs {
        match node {
            OwnedNode::Regular { .. } => {}
            OwnedNode::Directory => spellings.hit("xattr of a directory"),
            OwnedNode::Symlink { .. } => spellings.hit("xattr of a symlink"),
            _ => spellings.hit("xattr of a device or fifo"),
        }
        match (name.as_str(), value.len()) {
            (_, 0) => spellings.hit("empty xattr"),
            ("security.capability", 20) => spellings.hit("file capability of 20 bytes"),
            ("security.capability", _) => spellings.hit("file capability of 24 bytes"),
            _ => {}
        }
    }
}
