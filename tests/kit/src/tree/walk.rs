//! Walking a real file system.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    fs,
    io::{self, Read},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
};

use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::{Entry, Listing};
use crate::{KitError, digest};

impl Listing {
    /// Lists the tree below `root`, with the contents' sums. It follows no symlink and stays on the root's file system.
    ///
    /// # Errors
    /// When something below cannot be read; run it as root for trees with `trusted.` attributes.
    pub fn walk(root: &Path) -> Result<Listing, KitError> {
        let mut walker = Walker {
            listing: Listing::default(),
            inodes: HashMap::new(),
            buffer: vec![0; 256 * 1024],
        };
        let device = fs::symlink_metadata(root)
            .map_err(KitError::io("stat", root))?
            .dev();
        walker.visit(root, Vec::new(), device)?;
        Ok(walker.listing.canonical())
    }

    /// Names each hard-linked inode in full under its first path, whatever the order in which it was found.
    fn canonical(mut self) -> Listing {
        let mut first: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (path, entry) in &self.entries {
            if let Some(found) = &entry.link {
                let smallest = first.entry(found.clone()).or_insert_with(|| found.clone());
                if path < smallest {
                    smallest.clone_from(path);
                }
            }
        }
        for (found, smallest) in &first {
            let full = self
                .entries
                .get(found)
                .cloned()
                .expect("a link names a path that was listed before it");
            let linked: Vec<Vec<u8>> = self
                .entries
                .iter()
                .filter(|(path, entry)| *path == found || entry.link.as_ref() == Some(found))
                .map(|(path, _)| path.clone())
                .collect();
            for path in linked {
                let entry = if path == *smallest {
                    full.clone()
                } else {
                    Entry {
                        kind: full.kind,
                        link: Some(smallest.clone()),
                        ..Entry::default()
                    }
                };
                self.entries.insert(path, entry);
            }
        }
        self
    }
}

struct Walker {
    listing: Listing,
    /// Inodes with several names, and the path where each was found.
    inodes: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
}

impl Walker {
    /// Lists `real`, whose path in the listing is `name` (empty for the root), and what is below.
    fn visit(&mut self, real: &Path, name: Vec<u8>, device: u64) -> Result<(), KitError> {
        let metadata = fs::symlink_metadata(real).map_err(KitError::io("stat", real))?;
        let kind = kind(metadata.file_type());
        let shown = if name.is_empty() {
            b"/".to_vec()
        } else {
            name.clone()
        };
        if kind != 'd' && metadata.nlink() > 1 {
            let inode = (metadata.dev(), metadata.ino());
            if let Some(found) = self.inodes.get(&inode) {
                let entry = Entry {
                    kind,
                    link: Some(found.clone()),
                    ..Entry::default()
                };
                self.listing.entries.insert(shown, entry);
                return Ok(());
            }
            self.inodes.insert(inode, shown.clone());
        }
        let entry = self.entry(real, &metadata, kind)?;
        self.listing.entries.insert(shown, entry);
        if kind == 'd' && metadata.dev() == device {
            for child in fs::read_dir(real).map_err(KitError::io("read", real))? {
                let child = child.map_err(KitError::io("read", real))?;
                let mut child_name = name.clone();
                child_name.push(b'/');
                child_name.extend_from_slice(child.file_name().as_bytes());
                self.visit(&child.path(), child_name, device)?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        real: &Path,
        metadata: &fs::Metadata,
        kind: char,
    ) -> Result<Entry, KitError> {
        let mut entry = Entry {
            kind,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mtime: Some((
                metadata.mtime(),
                u32::try_from(metadata.mtime_nsec()).unwrap_or_default(),
            )),
            xattrs: Some(xattrs(real).map_err(KitError::io("read the attributes of", real))?),
            ..Entry::default()
        };
        if kind != 'd' {
            entry.nlink = Some(metadata.nlink());
        }
        match kind {
            'f' => {
                let (sum, size) = self.sum(real).map_err(KitError::io("read", real))?;
                (entry.sha256, entry.size) = (Some(sum), Some(size));
                if size != metadata.len() {
                    return Err(KitError::Io {
                        step: "read as many bytes as stat says of",
                        path: real.to_owned(),
                        source: io::ErrorKind::UnexpectedEof.into(),
                    });
                }
            }
            'l' => {
                entry.target = Some(
                    fs::read_link(real)
                        .map_err(KitError::io("read", real))?
                        .into_os_string()
                        .into_vec(),
                )
            }
            'c' | 'b' => entry.rdev = Some(device_numbers(metadata.rdev())),
            _ => {}
        }
        Ok(entry)
    }

    fn sum(&mut self, real: &Path) -> io::Result<(String, u64)> {
        let mut file = fs::File::open(real)?;
        let mut hasher = Sha256::new();
        let mut length = 0;
        loop {
            let read = file.read(&mut self.buffer)?;
            if read == 0 {
                return Ok((digest::hex(&hasher.finalize()), length));
            }
            hasher.update(&self.buffer[..read]);
            length += read as u64;
        }
    }
}

fn kind(kind: fs::FileType) -> char {
    match () {
        () if kind.is_dir() => 'd',
        () if kind.is_file() => 'f',
        () if kind.is_symlink() => 'l',
        () if kind.is_char_device() => 'c',
        () if kind.is_block_device() => 'b',
        () if kind.is_fifo() => 'p',
        () => 's',
    }
}

/// Linux's coding of `st_rdev`, as glibc's `gnu_dev_major` and `gnu_dev_minor` read it.
fn device_numbers(rdev: u64) -> (u32, u32) {
    let major = (rdev >> 8 & 0xfff) | (rdev >> 32 & 0xffff_f000);
    let minor = (rdev & 0xff) | (rdev >> 12 & 0xffff_ff00);
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    (narrow(major), narrow(minor))
}

fn xattrs(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    // The kernel's own limits: 64 KiB of names, 64 KiB a value.
    let mut names = vec![0; 64 * 1024];
    let length = match rustix::fs::llistxattr(path, &mut names) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error.into()),
    };
    let mut all = BTreeMap::new();
    for name in names[..length]
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; 64 * 1024];
        let length = rustix::fs::lgetxattr(path, OsStr::from_bytes(name), &mut value)?;
        value.truncate(length);
        all.insert(name.to_vec(), value);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_beyond_eight_bits_are_read() {
        assert_eq!(device_numbers(0x0103), (1, 3));
        assert_eq!(device_numbers(0x1000_0000_0000), (0x1000, 0));
        assert_eq!(device_numbers(0x10_0801), (8, 0x101));
    }
}
