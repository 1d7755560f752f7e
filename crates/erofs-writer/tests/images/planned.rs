//! An image's length is known before its metadata is written.

use super::*;

/// Plans and writes a tree behind so many bytes of data, and gives the image's length and how it is made.
fn planned(
    tree: &Tree,
    data: &[u8],
    inline: &mut MemoryInline,
    kernel: KernelVersion,
) -> (u64, Image<Vec<u8>>) {
    let options = Options::default().with_minimum_kernel(kernel);
    let mut writer = ImageWriter::new(Cursor::new(Vec::new()), options).unwrap();
    let mut extent = writer.begin().unwrap();
    extent.write(data).unwrap();
    extent.end().unwrap();
    let plan = writer.plan(tree).unwrap();
    let planned = plan.bytes();
    let (written, output) = plan.write(inline).unwrap();
    let bytes = output.into_inner();
    assert_eq!(planned, bytes.len() as u64);
    (planned, sound(written, bytes))
}

fn new() -> KernelVersion {
    KernelVersion::new(6, 12)
}

fn fifo(tree: &mut Tree, name: &str, xattrs: &[(&[u8], &[u8])]) {
    let root = tree.root();
    tree.add(
        root,
        name.as_bytes(),
        metadata(0o600),
        xattrs,
        NewNode::Fifo,
    )
    .unwrap();
}

#[test]
fn an_empty_tree_and_data_of_any_length() {
    let tree = Tree::new();
    for (data, blocks) in [(0, 2), (1, 3), (4096, 3), (4097, 4)] {
        let (bytes, _) = planned(&tree, &vec![1; data], &mut MemoryInline::default(), new());
        assert_eq!(bytes, blocks * BLOCK, "{data}");
    }
}

#[test]
fn directories_of_one_block_and_of_more() {
    for files in [0, 1, 100, 1000] {
        let mut tree = Tree::new();
        for index in 0..files {
            fifo(&mut tree, &format!("a file of some length {index}"), &[]);
        }
        planned(&tree, b"", &mut MemoryInline::default(), new());
    }
}

#[test]
fn inline_data_behind_inodes_and_in_blocks() {
    let mut last = 0;
    for size in [0_usize, 1, 2048, 2049, 4096, 4097, 10_000] {
        let mut inline = MemoryInline::default();
        let mut tree = Tree::new();
        for name in [b"a", b"b"] {
            let content = match size {
                0 => NewContent::Absent,
                _ => NewContent::Inline {
                    key: inline.push(&vec![7; size]),
                },
            };
            let node = NewNode::Regular {
                size: size as u64,
                crc32c: 0,
                content,
            };
            let root = tree.root();
            tree.add(root, name, metadata(0o644), &[], node).unwrap();
        }
        let (bytes, _) = planned(&tree, b"", &mut inline, new());
        assert!(bytes >= last, "{size}");
        last = bytes;
    }
}

#[test]
fn xattrs_of_one_inode_and_shared_ones_up_to_a_block_and_beyond() {
    // With the name's last byte, an entry of 1024 bytes; three inodes share each.
    let value = [b'v'; 1019];
    for shared in 0..10_u8 {
        let names: Vec<[u8; 6]> = (0..shared)
            .map(|n| [b'u', b's', b'e', b'r', b'.', b'a' + n])
            .collect();
        let pairs: Vec<(&[u8], &[u8])> = names.iter().map(|name| (&name[..], &value[..])).collect();
        let mut tree = Tree::new();
        for name in ["a", "b", "c"] {
            fifo(&mut tree, name, &pairs);
        }
        let (without_own, image) = planned(&tree, b"", &mut MemoryInline::default(), new());
        let blocks = u64::from(shared).div_ceil(4);
        assert_eq!(without_own, (2 + blocks) * BLOCK, "{shared}");
        let inode = image.lookup_path("c").unwrap().unwrap();
        assert_eq!(image.xattrs(&inode).unwrap().len(), pairs.len());
        fifo(&mut tree, "own", &[(b"user.own", &[b'o'; 5000])]);
        planned(&tree, b"", &mut MemoryInline::default(), new());
    }
}

#[test]
fn long_prefixes_beside_shared_xattrs_and_alone() {
    for with_shared in [false, true] {
        // As the names get longer, their prefix passes the end of a block.
        for len in [20, 60, 100, 140, 180, 220] {
            let long: Vec<String> = (0..30)
                .map(|n| format!("user.{n:02}.{}", "n".repeat(len)))
                .collect();
            let mut tree = Tree::new();
            for index in 0..300_usize {
                let value = format!("{index}");
                let mut xattrs = vec![(long[index % 30].as_bytes(), value.as_bytes())];
                if with_shared {
                    xattrs.push((b"user.z", &[b'z'; 3000]));
                }
                fifo(&mut tree, &format!("f{index}"), &xattrs);
            }
            let count = |kernel| {
                let inline = &mut MemoryInline::default();
                let (bytes, image) = planned(&tree, b"data", inline, kernel);
                (bytes, image.superblock().xattr_prefix_count)
            };
            let (short, prefixes) = count(new());
            let (full, none) = count(KernelVersion::new(6, 3));
            assert!(prefixes > 0 && none == 0 && short < full, "{len}");
        }
    }
}
