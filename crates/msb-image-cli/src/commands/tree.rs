use std::ffi::OsString;

use clap::Args;
use microsandbox_image::{GlobalCache, ImageName, ImageTree, Inode, show_path};
use serde::Serialize;

use super::named_image;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, FormatArgs, Output, Time, mode};
use crate::platform::PlatformArgs;

/// List the files of a cached image as a guest sees them, without mounting its disk
#[derive(Debug, Args)]
pub(crate) struct TreeArgs {
    /// Reference of the image, or its digest or id
    #[arg(value_name = "REF")]
    image: ImageName,

    /// List only this path and everything below it
    #[arg(default_value = "/")]
    path: OsString,

    #[command(flatten)]
    platform: PlatformArgs,

    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) fn run(args: &TreeArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let tree = named_image(cache, &args.image, &args.platform)?.open_tree()?;
    let mut start = args.path.as_encoded_bytes().to_vec();
    if !start.starts_with(b"/") {
        start.insert(0, b'/');
    }
    let mut output = Output::new();
    tree.walk(&start, |path, inode| {
        let target = target(&tree, inode)?;
        match args.format.format {
            Format::Text => text(&mut output, path, inode, target.as_deref()),
            Format::Json => output.json(&Entry::new(path, inode, target.as_deref())),
        }
    })?;
    output.flush()?;
    Ok(Outcome::Done)
}

/// Returns the target of a symbolic link, and `None` for other types.
fn target(tree: &ImageTree, inode: &Inode) -> Result<Option<Vec<u8>>, Failure> {
    if file_type(inode) != "symlink" {
        return Ok(None);
    }
    Ok(Some(tree.read_link(inode)?))
}

fn text(
    output: &mut Output,
    path: &[u8],
    inode: &Inode,
    target: Option<&[u8]>,
) -> Result<(), Failure> {
    let owner = format!("{}/{}", inode.uid, inode.gid);
    let size = match inode.rdev {
        Some((major, minor)) => format!("{major},{minor}"),
        None => inode.size.to_string(),
    };
    let (mode, time) = (
        mode(inode.mode),
        Time {
            seconds: inode.mtime_secs,
        },
    );
    let arrow = if target.is_some() { " -> " } else { "" };
    // `show_path` prints an empty target as the root.
    let target = target
        .filter(|target| !target.is_empty())
        .map(|target| show_path(target).to_string());
    output.line(format_args!(
        "{mode} {owner:<9} {size:>10} {time} {}{arrow}{}",
        show_path(path),
        target.unwrap_or_default()
    ))
}

/// One path as JSON.
#[derive(Debug, Serialize)]
struct Entry {
    /// Bytes that are not UTF-8 are replaced; then `path_hex` holds the exact bytes.
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_hex: Option<String>,
    #[serde(rename = "type")]
    file_type: &'static str,
    /// Permissions, setuid, setgid and sticky bits in octal: `"0755"`.
    mode: String,
    uid: u32,
    gid: u32,
    size: u64,
    mtime: i64,
    mtime_nanos: u32,
    nlink: u32,
    /// Equal for all hard links to a file.
    nid: u64,
    /// Major and minor number of a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<(u32, u32)>,
    /// The target of a symbolic link, encoded as `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_hex: Option<String>,
}

impl Entry {
    fn new(path: &[u8], inode: &Inode, target: Option<&[u8]>) -> Self {
        let path = if path.is_empty() { b"/" } else { path };
        Self {
            path: String::from_utf8_lossy(path).into_owned(),
            path_hex: hex_unless_text(path),
            file_type: file_type(inode),
            mode: format!("{:04o}", inode.mode & 0o7777),
            uid: inode.uid,
            gid: inode.gid,
            size: inode.size,
            mtime: inode.mtime_secs,
            mtime_nanos: inode.mtime_nanos,
            nlink: inode.nlink,
            nid: inode.nid,
            device: inode.rdev,
            target: target.map(|target| String::from_utf8_lossy(target).into_owned()),
            target_hex: target.and_then(hex_unless_text),
        }
    }
}

fn hex_unless_text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes)
        .is_err()
        .then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn file_type(inode: &Inode) -> &'static str {
    match inode.mode & 0o170_000 {
        0o040_000 => "directory",
        0o100_000 => "file",
        0o120_000 => "symlink",
        0o060_000 => "block-device",
        0o020_000 => "character-device",
        0o010_000 => "fifo",
        0o140_000 => "socket",
        // Not reached: the reader refuses other types.
        _ => "unknown",
    }
}
