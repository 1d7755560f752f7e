//! The bytes of layer images and fsmeta, read at fixed offsets without any of our code, and limits.
//! The clauses are those of `tests/conformance/clauses.md`.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod addresses;
#[path = "../erofs_bytes/mod.rs"]
mod erofs_bytes;
mod limits;
mod metadata;
mod superblock;

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::sync::atomic::Ordering;
use std::time::Duration;

use erofs_bytes::{BLOCK, CHUNKS, INLINE, NONE, PLAIN, Raw, SUPER, crc32c};
use integration_tests::disk::{Blob, Disk};
use integration_tests::reader;
use msb_layer::decode::WindowBudget;
use msb_sidecar::Sidecar;
use msb_stitch::{DeviceId, LayerNames, LayerSet, Merge, StitchError};
use msb_testkit::content::{Content, Fill};
use msb_testkit::{erofs_tools, tar};

/// Two layers with every file type.
fn sample() -> Disk {
    let long = |prefix: &str, count: usize| -> String {
        (0..count)
            .map(|index| {
                format!(
                    "symlink many/{prefix}{index:04} target={}\n",
                    "t".repeat(index + 1)
                )
            })
            .collect()
    };
    let v2 = "hex:01000002ff00000000000000ff00000000000000";
    let v3 = "hex:01000003ff00000000000000ff00000000000000e8030000";
    let first = format!(
        "dir d mode=0700\nfile d/!x size=1\nfile d/-x size=1\nfile d/.x size=1\nfile d/\\xff size=1\nfile d/\\x01 size=1
         file d/{n} size=1\ndir many\n{long}file none size=5000 seed=1
         file cap20 size=5001 seed=2 xattr.security.capability={v2}\nfile cap24 size=5002 seed=3 xattr.security.capability={v3}
         file cap24-time size=5003 seed=4 mtime=5 xattr.security.capability={v3}00 xattr.user.unique=1
         file uid size=9000 seed=5 uid=65536\nfile gid size=9001 seed=6 gid=65536\nfile time size=9002 seed=7 mtime=1700000000.5
         file small size=100 seed=8\nfile empty\nfile empty-time mtime=3\nfile exact size=8192 seed=9 uid=65535 gid=65535
         file s size=200000 seed=10 sparse=pax1.0 map=8192:8192,73728:8192,200000:0\nfile hole size=50000 sparse=pax1.0 map=50000:0
         dir acl xattr.system.posix_acl_access=hex:0200000001000600ffffffff04000400ffffffff20000400ffffffff\nchar c dev=1:3\nfifo p",
        n = "n".repeat(255),
        long = long("l", 400),
    );
    let second = "file top size=70000 seed=11\nfile more/of/it size=4097 seed=12 xattr.user.a=b\nlink same target=none";
    Disk::of_recipes(&[&first, second])
}

fn raw(path: &std::path::Path) -> Raw {
    Raw(fs::read(path).unwrap())
}

/// Returns fsmeta, then the layer images.
fn images(disk: &Disk) -> Vec<Raw> {
    let mut all = vec![raw(&disk.fsmeta)];
    all.extend(disk.devices().into_iter().map(raw));
    all
}

fn contents(seed: u64, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    Content::new(seed, Fill::Random, 0)
        .read_exact(&mut bytes)
        .unwrap();
    bytes
}
