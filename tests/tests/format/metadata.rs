//! Directories, inodes and xattrs.

use super::*;

#[test]
fn no_name_has_nid_0() {
    for image in images(&sample()) {
        assert_ne!(image.root_nid(), 0);
        for inode in image.tree().values().filter(|inode| inode.is_directory()) {
            for block in image.directory(inode) {
                assert!(Raw::names(block).0.iter().all(|name| name.nid != 0));
            }
        }
    }
}

#[test]
fn directories_are_sorted_and_their_blocks_whole() {
    for image in images(&sample()) {
        let mut blocks_of_many = 0;
        for (path, inode) in image
            .tree()
            .iter()
            .filter(|(_, inode)| inode.is_directory())
        {
            let blocks = image.directory(inode);
            let mut all: Vec<Vec<u8>> = Vec::new();
            for block in &blocks {
                let (names, end) = Raw::names(block);
                assert!(block[end..].iter().all(|&byte| byte == 0), "{path:?}");
                for name in names {
                    assert!((1..=255).contains(&name.name.len()));
                    assert!(!name.name.contains(&b'/'));
                    all.push(name.name);
                }
            }
            assert!(all.is_sorted_by(|a, b| a < b), "{path:?}: {all:?}");
            for dot in [&b"."[..], b".."] {
                assert!(all.iter().any(|name| name == dot), "{path:?}");
            }
            if path == b"/many" {
                blocks_of_many = blocks.len();
            }
            if path == b"/d" {
                let dot = all.iter().position(|name| name == b".").unwrap();
                assert_eq!(all[..dot], [&b"\x01"[..], b"!x", b"-x"]);
            }
        }
        assert!(blocks_of_many > 1 || image.slots().is_empty());
    }
}

#[test]
fn inline_tails_stay_in_their_block() {
    let mut tails = 0;
    for image in images(&sample()) {
        for (path, inode) in image.tree() {
            if let Some((start, end)) = inode.tail() {
                assert_eq!(start / BLOCK, (end - 1) / BLOCK, "{path:?}");
                tails += 1;
            }
        }
    }
    assert!(tails > 800, "{tails}");
}

#[test]
fn an_extended_inode_crosses_a_block() {
    // Whether an inode crosses a block depends on the inodes before it: compact ones have half the length.
    let crosses = |compact: usize| {
        let mut recipe: String = (0..compact)
            .map(|index| format!("fifo a{index}\n"))
            .collect();
        recipe.extend((0..200).map(|index| format!("fifo p{index:03} uid=70000\n")));
        recipe += "dir . uid=70000";
        images(&Disk::of_recipes(&[&recipe])).iter().any(|image| {
            let all = image.tree();
            let mut extended = all.values().filter(|inode| inode.extended);
            extended.any(|inode| inode.at / BLOCK != (inode.at + 63) / BLOCK)
        })
    };
    assert!(crosses(0) || crosses(1));
}

#[test]
fn chunk_indexes_begin_at_the_next_multiple_of_8() {
    let disk = sample();
    let (fsmeta, layer) = (raw(&disk.fsmeta), raw(&disk.layers[0].image));
    for (path, size, seed, shift) in [
        ("/none", 5000, 1, 0),
        ("/cap20", 5001, 2, 0),
        ("/cap24", 5002, 3, 4),
    ] {
        let inode = fsmeta.at(path);
        let end = inode.end() + inode.xattr_bytes();
        assert_eq!(end.next_multiple_of(8) - end, shift, "{path}");
        let (chunks, _) = fsmeta.chunks(&inode);
        // The index points at the bytes.
        assert_eq!(chunks[0].0, 1, "{path}");
        let at = chunks[0].1 as usize * BLOCK;
        assert_eq!(&layer.0[at..at + size], contents(seed, size), "{path}");
    }
}

#[test]
fn a_contiguous_file_has_one_chunk_index() {
    let fsmeta = raw(&sample().fsmeta);
    for path in ["/none", "/top", "/more/of/it", "/exact"] {
        let (chunks, bytes) = fsmeta.chunks(&fsmeta.at(path));
        assert_eq!(chunks.len(), 1, "{path}");
        assert!(bytes >= fsmeta.at(path).size);
    }
}

#[test]
fn xattr_bodies_are_laid_out_as_they_have_to_be() {
    let mut bodies = 0;
    for image in images(&sample()) {
        for (path, inode) in image.tree() {
            let start = inode.end();
            let end = start + inode.xattr_bytes();
            if inode.icount == 0 {
                continue;
            }
            bodies += 1;
            assert!(inode.xattr_bytes() > 12, "{path:?}: a header alone");
            assert!(image.0[start + 5..start + 12].iter().all(|&byte| byte == 0));
            let mut at = start + 12 + 4 * usize::from(image.0[start + 4]);
            while at < end {
                assert!(at.is_multiple_of(4));
                let (name, index) = (usize::from(image.0[at]), image.0[at + 1]);
                // The index of an ACL implies its whole name.
                assert_eq!(name == 0, index == 2 || index == 3, "{path:?}");
                let used = at + 4 + name + usize::from(image.u16(at + 2));
                at = used.next_multiple_of(4);
                assert!(image.0[used..at].iter().all(|&byte| byte == 0));
            }
            assert_eq!(at, end, "{path:?}: the count is of the whole body");
        }
    }
    assert!(bodies >= 10, "{bodies}");
}

#[test]
fn compact_inodes_hold_what_fits() {
    for image in images(&sample()) {
        let epoch = image.epoch();
        let all = image.tree();
        for (path, is_extended) in [
            ("/uid", true),
            ("/gid", true),
            ("/time", true),
            ("/cap24-time", true),
            ("/exact", false),
            ("/none", false),
        ] {
            if let Some(inode) = all.get(path.as_bytes()) {
                assert_eq!(inode.extended, is_extended, "{path}");
            }
        }
        for (path, inode) in &all {
            match inode.mtime {
                // An extended inode is used only where it is needed.
                Some(time) => assert!(
                    time != epoch || inode.uid > 65_535 || inode.gid > 65_535,
                    "{path:?}"
                ),
                // A compact inode has no mtime, and its reserved fields are zero.
                None => assert_eq!((image.u32(inode.at + 12), image.u32(inode.at + 28)), (0, 0)),
            }
        }
    }
    let fsmeta = raw(&sample().fsmeta);
    assert_eq!(
        (fsmeta.at("/uid").uid, fsmeta.at("/gid").gid),
        (65_536, 65_536)
    );
    assert_eq!(
        (fsmeta.at("/exact").uid, fsmeta.at("/none").nlink),
        (65_535, 2)
    );
}

#[test]
fn a_file_of_4_gib_is_extended() {
    let disk = Disk::of_recipes(&[
        "dir .\nfile a size=4294967295 sparse=pax1.0 map=4294967295:0\nfile b size=4294967296 sparse=pax1.0 map=4294967296:0",
    ]);
    for image in images(&disk) {
        let (a, b) = (image.at("/a"), image.at("/b"));
        assert_eq!((a.extended, a.size), (false, 4_294_967_295));
        assert_eq!((b.extended, b.size), (true, 4_294_967_296));
    }
}
