//! EROFS images: our own, whole disks among them, and those of `mkfs.erofs`.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use erofs_reader::Image;
use msb_fuzz::image_mutator::repair;
use msb_fuzz::layer::{disk_of, image_of};
use msb_testkit::oracle::{Tool, require};
use msb_testkit::tar;

use crate::Seeds;

const OWN: &[(&str, &[&str])] = &[
    ("own-empty", &[""]),
    (
        "own-small",
        &[
            "dir d mtime=1.5\nfile d/a data=hello\nlink d/b target=d/a\nsymlink d/s target=../x\nchar c dev=1:3\nfifo p",
        ],
    ),
    (
        "own-xattrs",
        &[
            "file a data=x xattr.user.a=same xattr.user.b=1\nfile b data=y xattr.user.a=same\nfile c xattr.trusted.t=z xattr.security.capability=hex:0100000200200000000000000000000000000000\ndir d xattr.system.posix_acl_default=hex:02000000",
        ],
    ),
    (
        "own-blocks",
        &[
            "file a size=4096 seed=1 fill=text\nfile b size=2100 seed=2 fill=text\nfile s sparse=pax1.0 map=4096:4096,16384:10 size=20000 seed=1 fill=text",
        ],
    ),
    (
        "own-links",
        &[
            "symlink a target=b\nsymlink b target=a\nsymlink c target=/d/e/f/g\nfile d/e/f/g data=x\nsymlink h target=d/e/../../a/x\nblock k dev=8:1\nsymlink l target=/d",
        ],
    ),
    (
        "own-whiteouts",
        &["whiteout a\ndir d\nopaque d\nfile d/x data=x"],
    ),
    (
        "disk-one",
        &["file a data=x\nfile b size=3000 seed=1 fill=text"],
    ),
    (
        "disk-three",
        &[
            "file a size=3000 seed=1 fill=text\ndir d",
            "whiteout a\nfile d/b size=2500 seed=2 fill=text",
            "file s sparse=pax1.0 map=0:4096,16384:10 size=20000 seed=3 fill=text\nlink d/c target=d/b",
        ],
    ),
    ("disk-none", &[]),
];

pub(crate) fn seeds() -> Seeds {
    let mut seeds: Seeds = Vec::new();
    for (name, recipes) in OWN {
        let tars: Vec<_> = recipes.iter().map(|recipe| tar::recipe(recipe)).collect();
        let bytes = if name.starts_with("own") {
            image_of(&tars[0])
        } else {
            disk_of(&tars)
        };
        seeds.push((format!("{name}.erofs"), bytes));
    }
    let many: String = (0..50)
        .map(|at| format!("symlink d/{at:03}{} target=x\n", "n".repeat(100)))
        .collect();
    seeds.push((
        "own-directory.erofs".to_owned(),
        image_of(&tar::recipe(&many)),
    ));
    seeds.extend(patched());
    seeds.extend(foreign());
    seeds
}

/// Images with one fault that random changes seldom produce.
fn patched() -> Seeds {
    let small = image_of(&tar::recipe(
        "file a data=x xattr.user.a=1 xattr.user.b=2\nfile b data=y\nfile c size=4096 seed=1 fill=text",
    ));
    let shared = image_of(&tar::recipe(
        "file a data=x xattr.user.a=same\nfile b data=y xattr.user.a=same\nfile c xattr.user.a=same",
    ));
    let inode = |bytes: &[u8], path: &str| {
        let image = Image::open(bytes).expect("it is our own");
        image
            .lookup_path(path)
            .expect("it is sound")
            .expect("it is there")
    };
    let patch = |bytes: &[u8], at: u64, new: &[u8]| {
        let mut bytes = bytes.to_vec();
        let at = usize::try_from(at).expect("it is small");
        bytes[at..at + new.len()].copy_from_slice(new);
        repair(&mut bytes);
        bytes
    };
    let (a, b, c) = (inode(&small, "a"), inode(&small, "b"), inode(&small, "c"));
    let header = if a.extended { 64 } else { 32 };
    // An entry has 4 bytes, then the name behind its prefix and the value, all aligned to 4.
    let second_name = a.offset + header + 12 + 8 + 4;
    let meta = u64::from(
        Image::open(&small[..])
            .expect("it is our own")
            .superblock()
            .meta_blkaddr
            .get(),
    );
    let shared_a = inode(&shared, "a");
    let root = inode(&small, "").offset;
    let entry = |name: &[u8]| {
        let at = small.windows(name.len()).rposition(|window| window == name);
        at.expect("the name is there") as u64
    };
    // Within the block of a directory the entries stand before the names, 12 bytes each, sorted.
    let names = entry(b"...abc");
    let second_dirent = names - 12 * 5 + 12 * 3;
    vec![
        (
            "bad-duplicate-xattr.erofs".to_owned(),
            patch(&small, second_name, b"a"),
        ),
        (
            "bad-data-over-inodes.erofs".to_owned(),
            patch(&small, c.offset + 16, &(meta as u32).to_le_bytes()),
        ),
        (
            "bad-shared-xattr.erofs".to_owned(),
            patch(&shared, shared_a.offset + header + 12, &[0xff; 4]),
        ),
        (
            "bad-link-count.erofs".to_owned(),
            patch(&small, b.offset + if b.extended { 44 } else { 6 }, &[9]),
        ),
        (
            "bad-two-names.erofs".to_owned(),
            patch(&small, second_dirent, &b.nid.to_le_bytes()),
        ),
        (
            "bad-nid-zero.erofs".to_owned(),
            patch(
                &patch(&small, second_dirent, &0_u64.to_le_bytes()),
                meta * 4096,
                &small[usize::try_from(b.offset).expect("it is small")..][..32],
            ),
        ),
        ("bad-overlap.erofs".to_owned(), overlap()),
        ("bad-root.erofs".to_owned(), patch(&small, root, &[0xff])),
    ]
}

/// An inode within the inline data of another one.
fn overlap() -> Vec<u8> {
    let hidden = "0123456789abcdef0123456789abcdef";
    let mut bytes = image_of(&tar::recipe(&format!(
        "file a data={hidden}\nfile b data=y"
    )));
    let at = |bytes: &[u8], wanted: &[u8]| {
        let found = bytes
            .windows(wanted.len())
            .rposition(|window| window == wanted);
        found.expect("it is there")
    };
    let image = Image::open(&bytes[..]).expect("it is our own");
    let b = image
        .lookup_path("b")
        .expect("it is sound")
        .expect("it is there");
    let meta = u64::from(image.superblock().meta_blkaddr.get()) * 4096;
    let (place, start) = (
        at(&bytes, hidden.as_bytes()),
        usize::try_from(b.offset).expect("it is small"),
    );
    bytes.copy_within(start..start + 32, place);
    let dirent = at(&bytes, b"...ab") - 12;
    let nid = (place as u64 - meta) / 32;
    bytes[dirent..dirent + 8].copy_from_slice(&nid.to_le_bytes());
    repair(&mut bytes);
    bytes
}

/// Each option of `mkfs.erofs` that changes an uncompressed image.
fn foreign() -> Seeds {
    let folder = std::env::temp_dir().join(format!("msb-fuzz-seed-{}", std::process::id()));
    let source = folder.join("source");
    tree(&source);
    let options: &[(&str, &[&str])] = &[
        ("plain", &[]),
        (
            "compact",
            &["-Eforce-inode-compact", "-T1700000000", "--all-root"],
        ),
        ("extended", &["-Eforce-inode-extended"]),
        ("noinline", &["-Enoinline_data"]),
        ("blockmap", &["--chunksize=4096", "-Eforce-inode-blockmap"]),
        (
            "chunk-indexes",
            &["--chunksize=4096", "-Eforce-chunk-indexes"],
        ),
        (
            "large-chunks",
            &["--chunksize=8192", "-Eforce-chunk-indexes"],
        ),
        ("shared-xattrs", &["-x1"]),
        ("no-xattrs", &["-x-1"]),
        (
            "prefixes",
            &["--xattr-prefix=user.long.", "--xattr-prefix=user.other."],
        ),
        ("filter", &["-Exattr-name-filter"]),
        (
            "plain-prefixes",
            &["--xattr-prefix=user.long.", "-Eplain-xattr-prefixes"],
        ),
        ("fragments", &["-Efragments", "--xattr-prefix=user.long."]),
        ("compressed", &["-zlz4"]),
        (
            "compressed-prefixes",
            &["-zlz4", "-Eall-fragments", "--xattr-prefix=user.long."],
        ),
        ("nosbcrc", &["-E^sb_csum"]),
        ("dot-omitted", &["-Edot-omitted"]),
        ("48bit", &["-E48bit"]),
    ];
    let mut seeds = Seeds::new();
    for (name, options) in options {
        let image = folder.join(name);
        let made = Command::new(require(Tool::MkfsErofs))
            .args(["--quiet", "-U00000000-0000-0000-0000-000000000000"])
            .args(*options)
            .args([&image, &source])
            .output()
            .expect("mkfs.erofs starts");
        // Options come and go with its versions.
        if let (true, Ok(bytes)) = (made.status.success(), fs::read(&image)) {
            seeds.push((format!("mkfs-{name}.erofs"), bytes));
        }
    }
    let (image, blob) = (folder.join("blob-meta"), folder.join("blob"));
    let made = Command::new(require(Tool::MkfsErofs))
        .args([
            "--quiet",
            "-U00000000-0000-0000-0000-000000000000",
            "--chunksize=4096",
        ])
        .arg(format!("--blobdev={}", blob.display()))
        .args([&image, &source])
        .output()
        .expect("mkfs.erofs starts");
    if let (true, Ok(meta), Ok(data)) = (made.status.success(), fs::read(&image), fs::read(&blob)) {
        seeds.push(("mkfs-blobdev.erofs".to_owned(), [meta, data].concat()));
    }
    fs::remove_dir_all(&folder).expect("the folder is our own");
    seeds
}

fn tree(source: &Path) {
    fs::create_dir_all(source.join("d/e")).expect("a folder for the tree");
    let text = |len: usize| {
        b"some words of text, over and over again; "
            .iter()
            .copied()
            .cycle()
            .take(len)
            .collect::<Vec<_>>()
    };
    for (name, len) in [
        ("empty", 0),
        ("small", 10),
        ("d/medium", 3000),
        ("d/block", 4096),
        ("d/e/more", 9000),
    ] {
        fs::write(source.join(name), text(len)).expect("a file of the tree");
    }
    fs::hard_link(source.join("small"), source.join("d/link")).expect("a link of the tree");
    // The socket's file stays when it is closed.
    let _ = UnixListener::bind(source.join("socket"));
    symlink("d/medium", source.join("symlink")).expect("a symlink of the tree");
    symlink("../e/../e", source.join("d/loop")).expect("a symlink of the tree");
    for (name, key, value) in [
        ("small", "user.long.a", "1"),
        ("empty", "user.long.b", "2"),
        ("d/medium", "user.long.a", "1"),
        ("d/medium", "user.other.c", "3"),
        ("d", "trusted.x", "y"),
    ] {
        let path = source.join(name);
        let flags = rustix::fs::XattrFlags::empty();
        // A file system without xattrs makes poorer seeds.
        let _ = rustix::fs::setxattr(&path, key, value.as_bytes(), flags);
    }
}
