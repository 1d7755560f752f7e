//! Memory grows with the number of entries, never with bytes. One test for each process, because it reads the process's peak.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints what it measured"
)]

mod common;

use bytes::Bytes;
use common::Attempt;
use msb_oci::{Algorithm, Hasher};
use msb_testkit::tar;

/// Allowed memory of any conversion; each file is allowed more.
const BASE_BYTES: u64 = 64 << 20;
const BYTES_A_FILE: u64 = 200;

/// Returns the peak memory of the process in bytes, from `/proc/self/status`.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        << 10
}

/// Returns an archive of 1,000 files, as in an ordinary distribution; one file in four is long.
fn piece(directory: u64) -> Vec<u8> {
    let mut recipe = format!("dir usr/share/d{directory:04}\n");
    for file in 0..1000 {
        let size = if file % 4 == 0 { 5000 } else { 300 };
        recipe += &format!(
            "file usr/share/d{directory:04}/a-file-{file:04}.txt size={size} fill=text seed={file}\n"
        );
    }
    tar::recipe(&(recipe + "noend"))
}

#[test]
fn the_peak_is_64_mib_and_200_bytes_a_file() {
    let files: u64 = match std::env::var("MSB_MEMORY_FILES") {
        Ok(count) => count.parse().unwrap(),
        Err(_) if cfg!(debug_assertions) => 50_000,
        Err(_) => 1_000_000,
    };
    let directories = files / 1000;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut len = 0;
    for directory in 0..directories {
        let bytes = piece(directory);
        len += bytes.len() as u64;
        hasher.update(&bytes);
    }
    let digest = hasher.finish();
    let dir = tempfile::tempdir().unwrap();
    let attempt = Attempt {
        blob_bytes: len,
        digest,
        diff_id: digest,
        ..Attempt::uncompressed(b"")
    };
    let job = attempt.job(&dir.path().join("layer"));
    let before = peak();
    let made = common::runtime().block_on(async {
        let (feed, task) = job.start().unwrap();
        for directory in 0..directories {
            let bytes = Bytes::from(piece(directory));
            for at in (0..bytes.len()).step_by(64 << 10) {
                feed.send(bytes.slice(at..bytes.len().min(at + (64 << 10))))
                    .await;
            }
        }
        feed.finish().await;
        task.wait().await.unwrap()
    });
    let grown = peak() - before;
    println!(
        "{} entries, {len} bytes: the peak grew by {} KiB, {} bytes a file above {} MiB",
        made.entries,
        grown >> 10,
        grown.saturating_sub(BASE_BYTES) / files,
        BASE_BYTES >> 20,
    );
    assert!(grown <= BASE_BYTES + BYTES_A_FILE * files, "{grown}");
}
