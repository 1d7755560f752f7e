//! The VMDK descriptor as QEMU and imago read it, which share no code with this crate.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use imago::{FormatAccess, FormatDriverBuilder, PermissiveImplicitOpenGate, vmdk::Vmdk};
use msb_stitch::{DiskLayout, LayerNames, StitchError};
use msb_testkit::vmdk;

/// A disk of files. Each sector that is not a hole holds the number of its file and its offset.
struct Parts {
    dir: tempfile::TempDir,
    vmdk: PathBuf,
    /// Name, length, and the offsets of the sectors that are not holes.
    parts: Vec<(String, u64, Vec<u64>)>,
}

/// Returns one byte of a sector that is not a hole, which consists of words for the file and the offset by turns.
fn sector_byte(part: usize, at: u64, within: u64) -> u8 {
    let word = if (within / 8).is_multiple_of(2) {
        part as u64 + 1
    } else {
        at + within / 16
    };
    word.to_le_bytes()[usize::try_from(within % 8).unwrap()]
}

fn sector(part: usize, at: u64) -> Vec<u8> {
    (0..512)
        .map(|within| sector_byte(part, at, within))
        .collect()
}

impl Parts {
    fn new(files: &[(&str, u64, Option<Vec<u64>>)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("images/this one");
        fs::create_dir_all(&image).unwrap();
        let mut parts = Vec::new();
        for (index, (name, bytes, marks)) in files.iter().enumerate() {
            let path = image.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let file = File::create(&path).unwrap();
            file.set_len(*bytes).unwrap();
            let marks = marks
                .clone()
                .unwrap_or_else(|| (0..*bytes).step_by(512).collect());
            for &at in &marks {
                file.write_all_at(&sector(index, at), at).unwrap();
            }
            parts.push(((*name).to_owned(), *bytes, marks));
        }
        let vmdk = image.join("rootfs.vmdk");
        fs::write(&vmdk, descriptor(&parts).unwrap()).unwrap();
        Self { dir, vmdk, parts }
    }

    fn bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.1).sum()
    }

    /// Fills the buffer with what the disk holds at `at`.
    fn expected(&self, at: u64, buffer: &mut [u8]) {
        let mut part = 0;
        let mut at = at;
        for byte in buffer {
            while at >= self.parts[part].1 {
                at -= self.parts[part].1;
                part += 1;
            }
            let (start, within) = (at / 512 * 512, at % 512);
            *byte = match self.parts[part].2.binary_search(&start) {
                Ok(_) => sector_byte(part, start, within),
                Err(_) => 0,
            };
            at += 1;
        }
    }

    /// Compares what a reader reads around the beginning and the end of each file, and around each mark.
    fn compare(&self, reader: &str, mut read: impl FnMut(u64, &mut [u8])) {
        let mut start = 0;
        let mut spots = vec![0];
        for (_, bytes, marks) in &self.parts {
            spots.extend([start, start + bytes]);
            spots.extend(
                [marks.first(), marks.last()]
                    .into_iter()
                    .flatten()
                    .map(|at| start + at),
            );
            start += bytes;
        }
        for spot in spots {
            for (before, len) in [
                (0, 1024),
                (512, 1024),
                (256, 512),
                (1, 2),
                (4096, 8192),
                (3, 4),
            ] {
                let at = spot.saturating_sub(before);
                let len = usize::try_from((self.bytes() - at).min(len)).unwrap();
                let (mut expected, mut actual) = (vec![0; len], vec![0xee; len]);
                self.expected(at, &mut expected);
                read(at, &mut actual);
                assert!(
                    expected == actual,
                    "{reader} reads {len} bytes at {at} wrong"
                );
            }
        }
    }

    fn compare_readers(&self) {
        let info = vmdk::info(&self.vmdk).unwrap();
        assert_eq!(info["virtual-size"].as_u64(), Some(self.bytes()));
        let raw = self.dir.path().join("raw");
        vmdk::flatten(&self.vmdk, &raw).unwrap();
        assert_eq!(fs::metadata(&raw).unwrap().len(), self.bytes());
        let raw = File::open(raw).unwrap();
        self.compare("QEMU", |at, buffer| raw.read_exact_at(buffer, at).unwrap());
        let image = Vmdk::<imago::file::File>::builder_path(&self.vmdk)
            .open(PermissiveImplicitOpenGate::default())
            .unwrap();
        let image = FormatAccess::new(image);
        assert_eq!(image.size(), self.bytes());
        self.compare("imago", |at, buffer| image.read(buffer, at).unwrap());
    }
}

fn descriptor(parts: &[(String, u64, Vec<u64>)]) -> Result<String, StitchError> {
    let layers = parts[1..].iter().map(|(file, bytes, _)| {
        let names = LayerNames {
            tag: "t".into(),
            file: file.clone(),
        };
        (names, *bytes)
    });
    let layers: Vec<_> = layers.collect();
    DiskLayout::of_distinct(&parts[0].0, &layers)?.descriptor(parts[0].1)
}

#[test]
fn the_disk_is_the_files_end_to_end() {
    Parts::new(&[
        ("fsmeta.erofs", 8192, None),
        ("a", 4096, None),
        ("b", 65_536, None),
    ])
    .compare_readers();
    Parts::new(&[("fsmeta.erofs", 4096, None)]).compare_readers();
}

#[test]
fn names_with_spaces_quotes_and_unicode_and_relative_ones() {
    Parts::new(&[
        ("fs meta.erofs", 4096, None),
        ("../../layers/sha256/0123.erofs", 8192, None),
        ("it's # one; \\ ü 層.erofs", 4096, None),
        ("sub/dir/mid dle", 4096, None),
        (
            &format!("{}/{}", "d".repeat(250), "f".repeat(250)),
            4096,
            None,
        ),
    ])
    .compare_readers();
}

#[test]
fn files_past_2_gib_and_reads_across_extents_behind_them() {
    const GIB: u64 = 1 << 30;
    let marks = vec![
        0,
        2 * GIB - 512,
        2 * GIB,
        2 * GIB + 4096,
        4 * GIB - 512,
        4 * GIB,
        5 * GIB - 512,
    ];
    Parts::new(&[
        ("fsmeta.erofs", 4096, None),
        ("large", 5 * GIB, Some(marks)),
        ("behind", 4096, None),
        (
            "large too",
            3 * GIB + 4096,
            Some(vec![0, 2 * GIB, 3 * GIB, 3 * GIB + 3584]),
        ),
        ("last", 8192, None),
    ])
    .compare_readers();
}

#[test]
fn three_hundred_files() {
    let names: Vec<String> = (0..301).map(|index| format!("layer{index}")).collect();
    let files: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), 4096, None))
        .collect();
    Parts::new(&files).compare_readers();
}

#[test]
fn a_moved_folder_still_works() {
    let parts = Parts::new(&[("fsmeta.erofs", 4096, None), ("../../layers/a", 8192, None)]);
    let moved = tempfile::tempdir().unwrap();
    let to = moved.path().join("cache");
    fs::rename(parts.dir.path().join("images"), {
        fs::create_dir(&to).unwrap();
        to.join("images")
    })
    .unwrap();
    fs::rename(parts.dir.path().join("layers"), to.join("layers")).unwrap();
    Parts {
        vmdk: to.join("images/this one/rootfs.vmdk"),
        ..parts
    }
    .compare_readers();
}

#[test]
fn a_name_that_a_descriptor_cannot_hold_is_refused() {
    let part = |name: &str| vec![(name.to_owned(), 4096, Vec::new())];
    for name in ["a\"b", "", "a\nb", "a\0b", " a", "a ", &"x".repeat(512)] {
        let error = descriptor(&part(name)).unwrap_err();
        assert!(matches!(error, StitchError::Vmdk { .. }), "{name:?}");
    }
    assert!(Path::new(&part("a")[0].0).is_relative());
}
