//! The oracles: our reader, the verification of disks, fsck.erofs and the kernel, which must all see the same tree.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use erofs_reader::{CheckOptions, FileType, Image, Limits, ReadAt, check};
use fs_tree::InodeId;
use msb_oci::{Algorithm, Hasher};
use msb_sidecar::Note;
use msb_testkit::erofs_tools;
use msb_testkit::mount::KernelMount;
use msb_testkit::tree::{Entry, Ignore, Listing};

use super::show::{short, unindent};
use super::{Layer, Stitched};

/// Longer files are not read: most of their content is a hole, and other tests cover them.
const MAX_READ_BYTES: u64 = 64 << 20;

/// fsck.erofs 1.9.4 crashes with more `--device` options.
const MAX_FSCK_DEVICES: usize = 255;

/// Runs fsck.erofs, which exits with 0 after some of the errors that it prints.
#[track_caller]
fn fsck(image: &Path, devices: &[&Path]) {
    let text = erofs_tools::fsck(image, devices).unwrap();
    assert!(!text.contains("<E>"), "{text}");
}

/// Returns whether the test may mount.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

impl Stitched {
    /// Returns the images of the layers, in the order of the device table.
    pub(crate) fn devices(&self) -> Vec<&Path> {
        let images = self.layers.iter().map(|layer| layer.image.as_path());
        images.collect()
    }

    /// Returns the disk's tree as our reader sees it.
    pub(crate) fn listing(&self) -> Listing {
        listing(&self.reader())
    }

    pub(crate) fn reader(&self) -> Image<File> {
        let devices = self
            .devices()
            .into_iter()
            .map(|path| File::open(path).unwrap())
            .collect();
        Image::open_with_devices(File::open(&self.fsmeta).unwrap(), devices).unwrap()
    }

    /// Returns the flat disk as one file, with the holes of its parts.
    pub(crate) fn flat(&self) -> PathBuf {
        let path = self.dir.path().join("flat.img");
        concatenate(
            &path,
            &[vec![self.fsmeta.as_path()], self.devices()].concat(),
        );
        path
    }

    /// Runs all oracles.
    #[track_caller]
    pub(crate) fn verify(&self) {
        for layer in &self.layers {
            layer.verify();
        }
        msb_stitch::verify_disk(&self.vmdk, Some(self.merge.tree())).unwrap();
        let ours = self.listing();
        let devices = self.devices();
        if devices.len() <= MAX_FSCK_DEVICES {
            fsck(&self.fsmeta, &devices);
        }
        for path in ours.entries.keys() {
            let mut names = path.split(|&byte| byte == b'/');
            assert!(!names.any(|name| name.starts_with(b".wh.")), "{path:?}");
        }
        if !is_root() {
            return;
        }
        let sees = |mount: &KernelMount, how: &str| {
            let theirs = Listing::walk(mount.path()).unwrap();
            let same = ours.same("our reader", &theirs, how, &Ignore::default());
            same.unwrap();
        };
        if ours
            .entries
            .values()
            .all(|entry| entry.size.is_none_or(|size| size <= MAX_READ_BYTES))
        {
            sees(
                &KernelMount::erofs(&self.fsmeta, &devices).unwrap(),
                "the kernel with devices",
            );
            sees(
                &KernelMount::erofs(&self.flat(), &[]).unwrap(),
                "the kernel with a flat disk",
            );
            self.verify_overlay(&ours);
        }
    }

    /// Verifies that an overlay of the layer images equals the merged tree, if every layer image is usable alone.
    fn verify_overlay(&self, ours: &Listing) {
        let notes = || self.layers.iter().flat_map(|layer| &layer.made.notes);
        let is_partial = |note: &Note| {
            matches!(
                note,
                Note::ImpliedDirectories { .. } | Note::LinksBelow { .. } | Note::OpaqueRoot
            )
        };
        // An overlay accepts no directory twice.
        let is_plain = self.order.iter().copied().eq(0..self.layers.len());
        if notes().any(is_partial) || !is_plain || !(1..=100).contains(&self.layers.len()) {
            return;
        }
        let mounts: Vec<KernelMount> = self
            .order
            .iter()
            .map(|&layer| KernelMount::erofs(&self.layers[layer].image, &[]).unwrap())
            .collect();
        let lowers: Vec<&Path> = mounts.iter().map(KernelMount::path).collect();
        let overlay = KernelMount::overlay(&lowers).unwrap();
        let theirs = Listing::walk(overlay.path()).unwrap();
        let ignore = Ignore {
            // The root of an overlay is that of the topmost layer, described or not.
            root: !self.layers.last().is_some_and(Layer::describes_root),
            // An overlay counts the names that the file has in its layer.
            nlinks: true,
            ..Ignore::default()
        };
        ours.same(
            "the merged disk",
            &theirs,
            "an overlay of the layers",
            &ignore,
        )
        .unwrap();
    }

    /// Asserts the tree of the merged disk, in the form of [`short`].
    #[track_caller]
    pub(crate) fn holds(&self, expected: &str) {
        let (expected, actual) = (unindent(expected), short(&self.listing()));
        assert!(
            expected == actual,
            "expected:\n{expected}\nbut is:\n{actual}"
        );
    }

    /// Asserts some lines of the merged disk's tree.
    #[track_caller]
    pub(crate) fn has(&self, lines: &str) {
        let actual = short(&self.listing());
        for line in unindent(lines).lines() {
            assert!(
                actual.lines().any(|found| found == line),
                "no {line}\nin:\n{actual}"
            );
        }
    }
}

impl Layer {
    #[track_caller]
    pub(crate) fn verify(&self) {
        let image = Image::open(File::open(&self.image).unwrap()).unwrap();
        check(&image, &CheckOptions::default()).unwrap();
        fsck(&self.image, &[]);
        let summary = self.open().image();
        assert_eq!(summary, self.made.image);
        assert_eq!(summary.bytes, fs::metadata(&self.image).unwrap().len());
        if summary.bytes <= MAX_READ_BYTES {
            let sum = erofs_format::Crc32c::of(&fs::read(&self.image).unwrap());
            assert_eq!(summary.crc32c, sum.get());
        }
    }

    /// Returns the tree of the layer's own image, in the form of [`short`].
    pub(crate) fn short(&self) -> String {
        short(&listing(
            &Image::open(File::open(&self.image).unwrap()).unwrap(),
        ))
    }

    fn describes_root(&self) -> bool {
        let mut described = false;
        self.open()
            .changes()
            .for_each_change::<msb_sidecar::Error>(1, |change| {
                described |= change.path.is_empty();
                Ok(())
            })
            .unwrap();
        described
    }
}

/// Returns the tree of an image in the test kit's form, for comparison with other tools.
pub(crate) fn listing<D: ReadAt>(image: &Image<D>) -> Listing {
    let mut listing = Listing::default();
    let mut first = std::collections::HashMap::new();
    let mut walk = image.walk(&Limits::default()).unwrap();
    while let Some(entry) = walk.next_entry() {
        let entry = entry.unwrap();
        let (path, inode) = (entry.path.to_vec(), entry.inode);
        let kind = match inode.file_type {
            FileType::Directory => 'd',
            FileType::Regular => 'f',
            FileType::Symlink => 'l',
            FileType::CharDevice => 'c',
            FileType::BlockDevice => 'b',
            FileType::Fifo => 'p',
            _ => 's',
        };
        let link = first.get(&inode.nid).cloned();
        if link.is_some() {
            listing.entries.insert(
                path,
                Entry {
                    kind,
                    link,
                    ..Entry::default()
                },
            );
            continue;
        }
        if kind != 'd' {
            first.insert(inode.nid, path.clone());
        }
        let is_file = kind == 'f';
        let xattrs = image.xattrs(&inode).unwrap().into_iter();
        let entry = Entry {
            kind,
            mode: u32::from(inode.mode & 0o7777),
            uid: inode.uid,
            gid: inode.gid,
            mtime: Some((inode.mtime_secs, inode.mtime_nanos)),
            nlink: (kind != 'd').then_some(u64::from(inode.nlink)),
            size: is_file.then_some(inode.size),
            sha256: (is_file && inode.size <= MAX_READ_BYTES).then(|| {
                let mut file = image.open_file(&inode).unwrap();
                let mut hasher = Summing(Hasher::new(Algorithm::Sha256));
                assert_eq!(io::copy(&mut file, &mut hasher).unwrap(), inode.size);
                hasher.0.finish().hex().to_string()
            }),
            target: (kind == 'l').then(|| image.read_link(&inode).unwrap()),
            rdev: matches!(kind, 'c' | 'b').then(|| inode.rdev.unwrap()),
            xattrs: Some(xattrs.map(|xattr| (xattr.name, xattr.value)).collect()),
            link: None,
        };
        listing.entries.insert(path, entry);
    }
    rename_links(&mut listing);
    listing
}

/// Moves the entry of each hard-linked file to its first path, because a walk visits names in another order than that of paths.
fn rename_links(listing: &mut Listing) {
    let links: Vec<(Vec<u8>, Vec<u8>)> = listing
        .entries
        .iter()
        .filter_map(|(path, entry)| Some((path.clone(), entry.link.clone()?)))
        .collect();
    let mut groups: std::collections::BTreeMap<Vec<u8>, Vec<Vec<u8>>> = Default::default();
    for (path, full) in links {
        groups
            .entry(full.clone())
            .or_insert_with(|| vec![full])
            .push(path);
    }
    for (full, mut paths) in groups {
        paths.sort();
        let entry = listing.entries[&full].clone();
        let kind = entry.kind;
        let link = Entry {
            kind,
            link: Some(paths[0].clone()),
            ..Entry::default()
        };
        for path in &paths[1..] {
            listing.entries.insert(path.clone(), link.clone());
        }
        listing.entries.insert(paths[0].clone(), entry);
    }
}

struct Summing(Hasher);

impl io::Write for Summing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Concatenates files.
pub(crate) fn concatenate(into: &Path, parts: &[&Path]) {
    let mut out = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(into)
        .unwrap();
    for part in parts {
        io::copy(&mut File::open(part).unwrap(), &mut out).unwrap();
    }
}

/// Returns the inode of a file in the merged tree.
pub(crate) fn inode_of(tree: &fs_tree::Tree, path: &[u8]) -> InodeId {
    path.split(|&byte| byte == b'/')
        .fold(tree.root(), |at, name| tree.lookup(at, name).unwrap())
}
