//! The damage matrix: which oracle detects which damage. At least one oracle detects each.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics, and prints what it saw"
)]

mod common;

use std::os::unix::fs::FileExt;
use std::path::Path;

use common::{devices, docker_registry, mounted, pull, push, reference, walk};
use microsandbox_image::{GlobalCache, Platform, PullResult};
use msb_testkit::erofs_tools;
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::mount::KernelMount;
use msb_testkit::tree::{Ignore, Listing};
use msb_testkit::vm::Guest;

/// Damages a disk in one way.
type Damage = fn(&PullResult);

const DAMAGES: [(&str, Damage); 5] = [
    ("a data byte", |disk| {
        flip(&disk.layers[0].erofs, 4096 + 100)
    }),
    // The mode of the root, the inode in the first slot but one of fsmeta's metadata.
    ("a metadata byte", |disk| flip(&disk.fsmeta, 4096 + 32 + 4)),
    ("two extents swapped", |disk| {
        let text = std::fs::read_to_string(&disk.vmdk).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        let last = lines.len() - 1;
        lines.swap(last, last - 1);
        std::fs::write(&disk.vmdk, lines.join("\n") + "\n").unwrap();
    }),
    ("a file missing", |disk| {
        std::fs::remove_file(&disk.layers[1].erofs).unwrap()
    }),
    ("a file cut", |disk| {
        let file = std::fs::File::options()
            .write(true)
            .open(&disk.layers[1].erofs)
            .unwrap();
        file.set_len(disk.extents[2].bytes - 4096).unwrap();
    }),
];

const ORACLES: [&str; 6] = [
    "fsck",
    "mount",
    "mount+sums",
    "guest+sums",
    "warm pull",
    "verify",
];

/// For each damage, whether each of [`ORACLES`] detects it: `x` yes, `.` no.
const EXPECTED: [&str; 5] = [
    // EROFS has no checksums of data, and a warm pull compares lengths only.
    "..xx.x", // fsck.erofs and the kernel take any mode.
    "..xx.x", // fsck.erofs and a mount by `device=` do not read the descriptor.
    "...xxx", "xxxxxx",
    // The kernel does not compare lengths, and the cut block holds metadata that the merged disk does not use.
    "x...xx",
];

#[tokio::test]
async fn each_damage_is_seen_and_by_whom() {
    let registry = docker_registry();
    let image = ImageBuilder::new()
        .layer(
            Layer::recipe("dir d mode=0700\nfile d/a size=20000 seed=1\nfile d/b size=100 seed=2")
                .gzip(),
        )
        .layer(Layer::recipe("file d/c size=30000 seed=3").gzip());
    push(&registry, "x", &image);
    let name = reference(&registry, "x:t");
    let mut rows = Vec::new();
    println!("{:<20} {}", "", ORACLES.join("  "));
    for (what, damage) in DAMAGES {
        let cache = tempfile::tempdir().unwrap();
        let disk = pull(cache.path(), &name).await.unwrap();
        let whole = walk(&mounted(&disk));
        damage(&disk);
        let row = seen_by_oracles(cache.path(), &disk, &whole);
        println!("{what:<20} {row}");
        rows.push(row);
        // A pull rebuilds the disk if a warm pull detects the damage.
        let again = pull(cache.path(), &name).await.unwrap();
        assert_eq!(
            again.verify(true).is_ok(),
            rows.last().unwrap().as_bytes()[4] == b'x',
            "{what}"
        );
    }
    assert!(rows.iter().all(|row| row.contains('x')));
    assert_eq!(rows, EXPECTED);
}

fn seen_by_oracles(cache: &Path, disk: &PullResult, whole: &Listing) -> String {
    let platform = Platform::new("linux", "amd64");
    let is_same = |listing: &Listing, ignore: &Ignore| whole.diff(listing, ignore).is_empty();
    let all_there = disk.extents.iter().all(|extent| extent.path.exists());
    let by_device = || KernelMount::erofs(&disk.fsmeta, &devices(disk));
    let guest_ignores = Ignore {
        xattrs: true,
        ..Ignore::default()
    };
    let seen = [
        disk.layers
            .iter()
            .any(|layer| erofs_tools::fsck(&layer.erofs, &[]).is_err())
            || erofs_tools::fsck(&disk.fsmeta, &devices(disk)).is_err(),
        by_device().is_err(),
        // Listing reads every byte.
        by_device().map_or(true, |mount| {
            Listing::walk(mount.path()).map_or(true, |tree| !is_same(&tree, &Ignore::default()))
        }),
        !all_there
            || Guest::boot(&disk.vmdk)
                .map_or(true, |guest| !is_same(&guest.listing, &guest_ignores)),
        GlobalCache::new(cache)
            .unwrap()
            .image(&disk.reference, &platform)
            .is_err(),
        disk.verify(true).is_err(),
    ];
    seen.iter()
        .map(|&is_seen| if is_seen { 'x' } else { '.' })
        .collect()
}

fn flip(path: &Path, at: u64) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}
