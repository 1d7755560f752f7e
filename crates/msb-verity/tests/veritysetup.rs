//! Trees, verified by `veritysetup` in user space.
#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

use std::fs;
use std::path::Path;
use std::process::Command;

use msb_testkit::oracle::{Tool, require};
use msb_verity::{BLOCK_BYTES, Leaves, SALT, TreeBuilder};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Data that differs in each block.
fn data(blocks: usize) -> Vec<u8> {
    let mut data = vec![0; blocks * BLOCK_BYTES];
    for (number, block) in data.chunks_exact_mut(BLOCK_BYTES).enumerate() {
        block[..8].copy_from_slice(&(number as u64).to_le_bytes());
        block[4095] = 1;
    }
    data
}

/// Returns the disk, which is the data and the tree behind it, and the root hash.
fn disk(data: &[u8]) -> (Vec<u8>, String) {
    let mut leaves = Leaves::new(Vec::new());
    leaves.update(data).unwrap();
    let leaves = leaves.finish().unwrap();
    let mut builder = TreeBuilder::new();
    builder.extend(&leaves).unwrap();
    let tree = builder.finish().unwrap();
    let mut disk = data.to_vec();
    tree.write(&mut &leaves[..], &mut disk).unwrap();
    assert_eq!(disk.len() as u64, data.len() as u64 + tree.bytes());
    (disk, hex(tree.root_hash()))
}

fn verifies(path: &Path, data_bytes: usize, root_hash: &str) -> bool {
    let mut verify = Command::new(require(Tool::Veritysetup));
    verify.args(["verify", "--no-superblock", "--format=1", "--hash=sha256"]);
    verify.args(["--data-block-size=4096", "--hash-block-size=4096"]);
    verify.arg(format!("--salt={}", hex(&SALT)));
    verify.arg(format!("--data-blocks={}", data_bytes / BLOCK_BYTES));
    verify.arg(format!("--hash-offset={data_bytes}"));
    let output = verify.arg(path).arg(path).arg(root_hash).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || text.contains("erif"), "{text}");
    output.status.success()
}

#[test]
fn veritysetup_verifies_trees_of_every_height() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    for blocks in [2, 127, 128, 129, 1000, 16_384, 16_385] {
        let data = data(blocks);
        let (disk, root_hash) = disk(&data);
        fs::write(&path, &disk).unwrap();
        assert!(verifies(&path, data.len(), &root_hash), "{blocks}");
    }
}

#[test]
fn veritysetup_refuses_a_flipped_byte_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let data = data(300);
    let (disk, root_hash) = disk(&data);
    let tree = data.len();
    // Data; the top block; leaf hashes of the first and of the last block.
    for place in [0, 4095, tree - 1, tree, tree + 4096, tree + 3 * 4096] {
        let mut damaged = disk.clone();
        damaged[place] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert!(!verifies(&path, data.len(), &root_hash), "{place}");
    }
    fs::write(&path, &disk).unwrap();
    assert!(verifies(&path, data.len(), &root_hash));
    assert!(!verifies(
        &path,
        data.len(),
        &root_hash.replace(['0', '1'], "2")
    ));
}
