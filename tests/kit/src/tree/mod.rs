//! The contents of a directory tree in a canonical form, from any reader.
//!
//! One line per entry, sorted by path. A file with hard links has all properties under its first path and `link=` under
//! the others:
//!
//! ```text
//! / type=d mode=0755 uid=0 gid=0 mtime=1700000000.000000000
//! /a/b type=f mode=0644 uid=0 gid=0 mtime=123.500000000 nlink=2 size=4097 sha256=9f86.. xattr.user.x=00ff
//! /a/c type=f link=/a/b
//! /s type=l mode=0777 uid=0 gid=0 mtime=0.000000000 target=a/b
//! /tty type=c mode=0620 uid=0 gid=5 mtime=0.000000000 rdev=5:0
//! ```
//!
//! Bytes of names and targets that are not printable ASCII, and `\` and the space, are written as `\xNN`.

mod diff;
mod walk;

use std::{collections::BTreeMap, fmt};

pub use diff::Ignore;

/// A tree: the entry of each path (absolute, `/` for the root; raw bytes).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The entries by path.
    pub entries: BTreeMap<Vec<u8>, Entry>,
}

/// One inode under one name. A `None` is unknown to the reader of the tree and is not compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// `d`, `f`, `l`, `c`, `b`, `p` or `s`.
    pub kind: char,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time: seconds since 1970, and nanoseconds.
    pub mtime: Option<(i64, u32)>,
    /// Link count of anything but a directory.
    pub nlink: Option<u64>,
    /// The size in bytes, of a regular file.
    pub size: Option<u64>,
    /// The digest of a regular file, 64 hexadecimal digits.
    pub sha256: Option<String>,
    /// Symlink target.
    pub target: Option<Vec<u8>>,
    /// Major and minor number of a device.
    pub rdev: Option<(u32, u32)>,
    /// Extended attributes of all namespaces.
    pub xattrs: Option<BTreeMap<Vec<u8>, Vec<u8>>>,
    /// The first path of the same inode, unless this is it.
    pub link: Option<Vec<u8>>,
}

impl Listing {
    /// Returns the entry at `path`, which starts with `/`.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path.as_bytes())
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, entry) in &self.entries {
            writeln!(formatter, "{} {entry}", escape(path))?;
        }
        Ok(())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "type={}", self.kind)?;
        if let Some(link) = &self.link {
            return write!(formatter, " link={}", escape(link));
        }
        write!(
            formatter,
            " mode={:04o} uid={} gid={}",
            self.mode, self.uid, self.gid
        )?;
        if let Some((seconds, nanoseconds)) = self.mtime {
            write!(formatter, " mtime={seconds}.{nanoseconds:09}")?;
        }
        if let Some(nlink) = self.nlink {
            write!(formatter, " nlink={nlink}")?;
        }
        if let Some(size) = self.size {
            write!(formatter, " size={size}")?;
        }
        if let Some(sum) = &self.sha256 {
            write!(formatter, " sha256={sum}")?;
        }
        if let Some(target) = &self.target {
            write!(formatter, " target={}", escape(target))?;
        }
        if let Some((major, minor)) = self.rdev {
            write!(formatter, " rdev={major}:{minor}")?;
        }
        for (name, value) in self.xattrs.iter().flatten() {
            write!(
                formatter,
                " xattr.{}={}",
                escape(name),
                crate::digest::hex(value)
            )?;
        }
        Ok(())
    }
}

/// Escapes everything but printable ASCII, and the space and the backslash, as `\xNN`.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_graphic() && byte != b'\\' {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}
