//! Deep, wide and large trees: no recursion, nothing quadratic, little memory.
//!
//! `FS_TREE_FILES` sets the size of the large tree (100,000 files in a debug build, 1,000,000 in a release build).

use std::alloc::{GlobalAlloc, Layout, System};
use std::error::Error;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use fs_tree::{
    ApplyError, Change, ChangeKind, LayerApplier, MAX_DEPTH, Metadata, NewContent, NewNode, Tree,
    TreeError, Walk, Whiteout, merge_layer,
};

/// Counts allocated bytes.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

fn count(bytes: usize) {
    BYTES.fetch_add(bytes, Ordering::Relaxed);
}

#[expect(
    unsafe_code,
    reason = "an allocator that counts is the only exact account of memory; it hands everything on to the system's"
)]
// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller upholds the contract of the trait.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Serializes the tests, because all of them share the counter.
static ALONE: Mutex<()> = Mutex::new(());

fn files() -> usize {
    match std::env::var("FS_TREE_FILES") {
        Ok(value) => value.parse().expect("FS_TREE_FILES is a number"),
        Err(_) if cfg!(debug_assertions) => 100_000,
        Err(_) => 1_000_000,
    }
}

fn file(path: &[u8], offset: u64) -> Change<'_> {
    Change {
        path,
        kind: ChangeKind::Node {
            metadata: Metadata {
                mode: 0o644,
                ..Metadata::default()
            },
            xattrs: &[],
            node: NewNode::Regular {
                size: 4096,
                crc32c: 1,
                content: NewContent::Contiguous { device: 1, offset },
            },
        },
    }
}

fn directory(path: &[u8]) -> Change<'_> {
    Change {
        path,
        kind: ChangeKind::Node {
            metadata: Metadata::IMPLIED,
            xattrs: &[],
            node: NewNode::Directory,
        },
    }
}

fn visits(tree: &Tree) -> usize {
    let mut walk = Walk::new(tree);
    std::iter::from_fn(|| walk.next().map(drop)).count()
}

/// Returns a path of a realistic tree: about fifty files in a directory, names of some twenty bytes.
fn large_path(n: usize) -> Vec<u8> {
    format!(
        "usr/lib/d{}/package{}/module-file-{n:07}.py",
        n / 5000,
        n / 50
    )
    .into_bytes()
}

fn build_large(files: usize) -> Tree {
    let mut tree = Tree::new();
    let mut merge = merge_layer(&mut tree, []);
    for n in 0..files {
        merge
            .apply(&file(&large_path(n), n as u64))
            .expect("the path is sound");
    }
    tree
}

#[test]
fn the_deepest_path_is_built_walked_and_removed() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let depth = usize::from(MAX_DEPTH);
    // The last name is not a directory and is not counted.
    let path = vec!["d"; depth + 1].join("/").into_bytes();
    // A small stack, which recursion would overflow.
    let thread = std::thread::Builder::new().stack_size(128 << 10);
    let run = move || {
        let mut tree = Tree::new();
        let mut layer = LayerApplier::new(&mut tree);
        layer.apply(&file(&path, 1)).unwrap();
        let hide = Change {
            path: &path,
            kind: ChangeKind::Whiteout,
        };
        layer.apply(&hide).unwrap();
        drop(tree);

        let mut tree = Tree::new();
        let mut merge = merge_layer(&mut tree, []);
        // One entry for each level, as tar writes them.
        for end in (1..path.len() - 1).step_by(2) {
            merge.apply(&directory(&path[..end])).unwrap();
        }
        let refused = merge.apply(&directory(&path)).unwrap_err();
        let source = TreeError::TooDeep;
        assert!(matches!(refused, ApplyError::Tree { source: s, .. } if s == source));
        assert_eq!(
            refused.source().unwrap().to_string(),
            "directories are nested more than 2048 deep"
        );
        assert_eq!(visits(&tree), depth + 1);
        let opaque = Whiteout {
            path: b"",
            opaque: true,
        };
        drop(merge_layer(&mut tree, [opaque]));
        assert_eq!((tree.entry_count(), tree.inode_count()), (0, 1));
    };
    thread.spawn(run).unwrap().join().unwrap();
}

#[test]
fn symbolic_links_do_not_lead_deeper_than_paths() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut tree = Tree::new();
    let mut merge = merge_layer(&mut tree, []);
    let down = vec!["d"; 1000].join("/").into_bytes();
    let link = |path: &[u8], target: &[u8], merge: &mut fs_tree::LayerMerge<'_>| {
        merge.apply(&Change {
            path,
            kind: ChangeKind::Node {
                metadata: Metadata::default(),
                xattrs: &[],
                node: NewNode::Symlink { target },
            },
        })
    };
    link(b"one", &down, &mut merge).unwrap();
    link(b"two", &[b"one/", &down[..]].concat(), &mut merge).unwrap();
    merge.apply(&directory(b"two/x")).unwrap();
    let too_deep = [b"two/", &down[..]].concat();
    let refused = merge.apply(&directory(&too_deep)).unwrap_err();
    assert!(refused.source().unwrap().to_string().contains("2048 deep"));
}

#[test]
fn markers_below_markers_do_not_recurse() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = vec!["d"; usize::from(MAX_DEPTH)].join("/").into_bytes();
    let thread = std::thread::Builder::new().stack_size(128 << 10);
    let run = move || {
        let mut tree = Tree::new();
        let mut layer = LayerApplier::new(&mut tree);
        for path in [&path[..], b"d"] {
            let kind = ChangeKind::Whiteout;
            layer.apply(&Change { path, kind }).unwrap();
        }
        assert_eq!(tree.entry_count(), 1);
    };
    thread.spawn(run).unwrap().join().unwrap();
}

#[test]
fn a_directory_of_200000_entries_loses_half_of_them_one_by_one() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // A linear search among the siblings of each name would take hours. `cargo run --release -p msb-stitch --example scale` under
    // cachegrind counts the instructions; this test measures no time.
    let entries = 200_000;
    let mut tree = Tree::new();
    let mut merge = merge_layer(&mut tree, []);
    for n in 0..entries {
        let path = format!("d/{n}").into_bytes();
        merge.apply(&file(&path, 1)).unwrap();
    }
    // The oldest first, which are at the far end of a list.
    let names: Vec<_> = (0..entries / 2)
        .map(|n| format!("d/{n}").into_bytes())
        .collect();
    let whiteouts = names.iter().map(|path| Whiteout {
        path,
        opaque: false,
    });
    drop(merge_layer(&mut tree, whiteouts));
    assert_eq!(tree.entry_count(), entries / 2 + 1);
}

#[test]
fn a_file_costs_less_than_200_bytes() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    // 66,000 is just above a power of two, where doubling arrays have the most unused space.
    for (files, limit) in [(100_000, 200), (files(), 200), (66_000, 250)] {
        let before = BYTES.load(Ordering::Relaxed);
        let tree = build_large(files);
        let held = BYTES.load(Ordering::Relaxed) - before;
        println!("{files} files: {} bytes a file", held / files);
        assert_eq!(visits(&tree), tree.entry_count() + 1);
        assert!(held < files * limit, "{} bytes a file", held / files);
    }
}

#[test]
fn removed_files_leave_room_for_others() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut tree = build_large(10_000);
    let (inodes, before) = (tree.inode_slots(), BYTES.load(Ordering::Relaxed));
    for _ in 0..10 {
        let opaque = Whiteout {
            path: b"",
            opaque: true,
        };
        let mut merge = merge_layer(&mut tree, [opaque]);
        for n in 0..10_000 {
            merge.apply(&file(&large_path(n), 2)).unwrap();
        }
    }
    let grown = BYTES.load(Ordering::Relaxed).saturating_sub(before);
    println!("ten times replaced: {grown} bytes more");
    assert_eq!(tree.inode_slots(), inodes);
    // Only names are not reused: 22 bytes and a length byte each, in a pool that doubles.
    let names = 11 * 10_000 * (22 + 1);
    assert!(grown < 2 * names, "{grown} bytes more");
}
