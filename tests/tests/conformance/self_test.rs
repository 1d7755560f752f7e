//! Shows that each oracle fails: once for each kind of damage, on a disk that it otherwise accepts.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use integration_tests::Failure;
use integration_tests::disk::Disk;
use libtest_mimic::Trial;

use crate::oracles::{by_fsck, by_kernel, by_reader, by_verification, verify};
use crate::recipe::{Expected, Recipe};
use crate::tree::ExpectedTree;

const SAMPLE: &str = "# A sample.
--- plain
dir d mode=0700
file d/a size=9000 seed=1 xattr.user.a=b
link d/b target=d/a
--- gzip
file c size=9000 seed=2
char null dev=0:0
file s size=20000 seed=3 sparse=pax1.0 map=8192:4096,20000:0
=== tree
dir / mtime=0
dir /d mode=0700
file /d/a size=9000 seed=1 xattr.user.a=b
link /d/b target=/d/a
file /c size=9000 seed=2
file /s size=20000 seed=3 map=8192:4096 holes=0:8192,12288:7712
=== notes
2 whiteout-device path=null
";

type Test = fn() -> Result<(), Failure>;

pub(crate) fn trials() -> Vec<Trial> {
    let tests: [(&str, Test); 9] = [
        ("oracles/take-the-sample", || {
            verify(&Recipe::parse(SAMPLE)?)
        }),
        ("oracles/expected-trees-matter", expected_trees_matter),
        ("oracles/notes-matter", notes_matter),
        ("oracles/errors-matter", errors_matter),
        (
            "oracles/reader-and-kernel-see-a-mode",
            reader_and_kernel_see_a_mode,
        ),
        (
            "oracles/verification-sees-a-byte-of-data",
            verification_sees_a_byte_of_data,
        ),
        (
            "oracles/verification-sees-swapped-extents",
            verification_sees_swapped_extents,
        ),
        ("oracles/fsck-sees-a-superblock", fsck_sees_a_superblock),
        (
            "oracles/kernel-sees-what-qemu-reads",
            kernel_sees_what_qemu_reads,
        ),
    ];
    tests
        .into_iter()
        .map(|(name, test)| Trial::test(name, move || Ok(test()?)))
        .collect()
}

fn refused(result: Result<(), Failure>, text: &str) -> Result<(), Failure> {
    match result {
        Ok(()) => Err(format!("no oracle failed; expected: {text}").into()),
        Err(error) if error.to_string().contains(text) => Ok(()),
        Err(error) => Err(format!("{text:?} is not in: {error}").into()),
    }
}

fn sample() -> Result<(Disk, ExpectedTree), Failure> {
    let recipe = Recipe::parse(SAMPLE)?;
    match recipe.expected {
        Expected::Disk { tree, .. } => Ok((Disk::of(&recipe.layers)?, tree)),
        Expected::Error(_) => Err("the sample has a tree".into()),
    }
}

fn expected_trees_matter() -> Result<(), Failure> {
    for (from, to, seen) in [
        ("dir /d mode=0700", "dir /d mode=0701", "mode 0701 != 0700"),
        ("dir /d mode", "dir /d uid=1 mode", "uid 1 != 0"),
        ("dir / mtime=0", "dir / mtime=0.5", "mtime"),
        ("/c size=9000 seed=2", "/c size=9000 seed=3", "sha256"),
        ("/c size=9000 seed=2", "/c size=9001 seed=2", "size"),
        (
            "seed=1 xattr.user.a=b\nlink /d/b",
            "seed=1\nlink /d/b",
            "xattrs",
        ),
        (
            "link /d/b target=/d/a",
            "file /d/b size=9000 seed=1",
            "hard link",
        ),
        ("holes=0:8192", "holes=0:4096", "holes"),
        (
            "link /d/b target=/d/a\nfile /c",
            "link /d/b target=/d/a\nfifo /more\nfile /c",
            "only left",
        ),
        ("file /c size=9000 seed=2\n", "", "only right"),
    ] {
        // Only the expected tree changes.
        let (layers, tree) = SAMPLE.split_once("=== tree").unwrap();
        if !tree.contains(from) {
            return Err(format!("{from:?} is not in the sample").into());
        }
        let recipe = Recipe::parse(&format!("{layers}=== tree{}", tree.replace(from, to)))?;
        refused(verify(&recipe), seen)?;
    }
    Ok(())
}

fn notes_matter() -> Result<(), Failure> {
    let line = "2 whiteout-device path=null\n";
    for (to, seen) in [
        ("", "has an unexpected note of a loss"),
        (
            "1 whiteout-device path=null\n",
            "has an unexpected note of a loss",
        ),
        (
            "2 whiteout-device path=zero\n",
            "has an unexpected note of a loss",
        ),
        ("2 whiteout-device path=null\n2 opaque-root\n", "no note"),
    ] {
        refused(verify(&Recipe::parse(&SAMPLE.replace(line, to))?), seen)?;
    }
    Ok(())
}

fn errors_matter() -> Result<(), Failure> {
    let recipe = "--- plain\nfile ../a size=1\n=== error\n";
    verify(&Recipe::parse(&format!("{recipe}ParentDir"))?)?;
    refused(
        verify(&Recipe::parse(&format!("{recipe}TooLong"))?),
        "is not in",
    )?;
    let sound = "--- plain\nfile a size=1\n=== error\nanything";
    refused(verify(&Recipe::parse(sound)?), "no error, but a disk")?;
    let broken = "--- plain\nfile ../a size=1\n=== tree\ndir /";
    refused(verify(&Recipe::parse(broken)?), "no disk")
}

/// The disk is valid but made from another layer.
fn reader_and_kernel_see_a_mode() -> Result<(), Failure> {
    let (_, expected) = sample()?;
    let other = Recipe::parse(&SAMPLE.replace("dir d mode=0700", "dir d mode=0711"))?;
    let disk = Disk::of(&other.layers)?;
    by_verification(&disk)?;
    refused(by_reader(&disk, &expected), "mode 0700 != 0711")?;
    if rustix::process::geteuid().is_root() {
        refused(by_kernel(&disk, &expected), "mode 0700 != 0711")?;
    }
    Ok(())
}

fn verification_sees_a_byte_of_data() -> Result<(), Failure> {
    let (disk, expected) = sample()?;
    // Data follow the superblock, which has the first block.
    flip(&disk.layers[0].image, 4096 + 100)?;
    refused(by_verification(&disk), "d/a: checksum mismatch")?;
    refused(by_reader(&disk, &expected), "sha256")?;
    // EROFS has no checksums of data.
    by_fsck(&disk)?;
    flip(&disk.layers[0].image, 4096 + 100)?;
    by_verification(&disk)
}

fn verification_sees_swapped_extents() -> Result<(), Failure> {
    let (disk, _) = sample()?;
    let text = fs::read_to_string(&disk.vmdk)?;
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.len() - 1;
    lines.swap(last - 1, last);
    fs::write(&disk.vmdk, lines.join("\n") + "\n")?;
    refused(by_verification(&disk), "")
}

fn fsck_sees_a_superblock() -> Result<(), Failure> {
    let (disk, _) = sample()?;
    flip(&disk.fsmeta, 1024 + 48)?;
    refused(by_fsck(&disk), "checksum")
}

/// QEMU reads only the descriptor: swapped extents change the disk that the kernel mounts.
fn kernel_sees_what_qemu_reads() -> Result<(), Failure> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (disk, expected) = sample()?;
    let text = fs::read_to_string(&disk.vmdk)?;
    let swapped = text
        .replace("layer0", "@")
        .replace("layer1", "layer0")
        .replace('@', "layer1");
    fs::write(&disk.vmdk, swapped)?;
    refused(by_kernel(&disk, &expected), "")
}

fn flip(path: &Path, at: u64) -> Result<(), Failure> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at)?;
    file.write_all_at(&[byte[0] ^ 0x10], at)?;
    Ok(())
}
