//! Compares recipes with GNU tar, which reads most archives in practice.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its duration"
)]

use std::{fs, path::Path, process::Command};

use msb_testkit::{
    content,
    oracle::{Tool, require},
    tar,
    tree::{Ignore, Listing},
};

fn extract(recipe: &str, into: &Path) -> Listing {
    let archive = into.join("archive.tar");
    let root = into.join("root");
    fs::create_dir(&root).unwrap();
    fs::write(&archive, tar::recipe(recipe)).unwrap();
    let status = Command::new(require(Tool::Tar))
        .args([
            "--xattrs",
            "--xattrs-include=*",
            "--numeric-owner",
            "--delay-directory-restore",
            "-xpf",
        ])
        .arg(&archive)
        .arg("-C")
        .arg(&root)
        .status()
        .unwrap();
    assert!(status.success());
    Listing::walk(&root).unwrap()
}

#[test]
fn gnu_tar_reads_every_kind_of_entry_as_written() {
    let dir = tempfile::tempdir().unwrap();
    let listing = extract(
        "dir . mode=0750 uid=3 mtime=5\n\
         dir d mode=1777 mtime=123.5\n\
         file d/f size=4097 seed=7 mode=4755 uid=70000 gid=3000000 mtime=-1.25 xattr.user.x=hex:00ff xattr.user.e=\n\
         link d/g target=d/f\n\
         symlink s target=d/f mtime=9\n\
         char c dev=1:300 mode=0600\n\
         block b dev=8:1\n\
         fifo p\n\
         file \\xff\\sname data=a\\nb",
        dir.path(),
    );
    let text = listing.to_string();
    let sum = msb_testkit::digest::sha256(&content::bytes(7, 4097)).replace("sha256:", "");
    for line in [
        "/ type=d mode=0750 uid=3 gid=0 mtime=5.000000000",
        "/d type=d mode=1777 uid=0 gid=0 mtime=123.500000000",
        &format!(
            "/d/f type=f mode=4755 uid=70000 gid=3000000 mtime=-2.750000000 nlink=2 size=4097 sha256={sum} xattr.user.e= xattr.user.x=00ff"
        ),
        "/d/g type=f link=/d/f",
        "/s type=l mode=0777 uid=0 gid=0 mtime=9.000000000 nlink=1 target=d/f",
        "/c type=c mode=0600 uid=0 gid=0 mtime=1700000000.000000000 nlink=1 rdev=1:300",
        "/b type=b mode=0644 uid=0 gid=0 mtime=1700000000.000000000 nlink=1 rdev=8:1",
        "/p type=p mode=0644",
        "/\\xff\\x20name type=f mode=0644",
    ] {
        // GNU tar drops an attribute with an empty value, as PAX specifies; this tests the listing and not tar.
        let line = line.replace(" xattr.user.e=", "");
        assert!(
            text.replace(" xattr.user.e=", "").contains(&line),
            "{line}\nnot in\n{text}"
        );
    }
}

#[test]
fn gnu_tar_reads_every_spelling_of_a_long_name_and_a_large_number() {
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(90));
    let longer = format!("{}/{}", "e".repeat(250), "f".repeat(250));
    for format in ["ustar", "gnu", "pax"] {
        let dir = tempfile::tempdir().unwrap();
        let longer = if format == "ustar" { "short" } else { &longer };
        let listing = extract(
            &format!(
                "file {long} data=1 format={format}\nfile {longer} data=2 format={format}\nsymlink l target={longer} format={format}"
            ),
            dir.path(),
        );
        assert_eq!(listing.get(&format!("/{long}")).unwrap().size, Some(1));
        assert_eq!(listing.get(&format!("/{longer}")).unwrap().size, Some(1));
        assert_eq!(
            listing.get("/l").unwrap().target.as_deref(),
            Some(longer.as_bytes())
        );
    }
    for numbers in ["format=gnu", "numbers=base256", "numbers=pax"] {
        let dir = tempfile::tempdir().unwrap();
        let listing = extract(
            &format!("file f size=3 seed=1 uid=3000000 mtime=-86400 {numbers}"),
            dir.path(),
        );
        let entry = listing.get("/f").unwrap();
        assert_eq!(
            (entry.uid, entry.mtime, entry.size),
            (3_000_000, Some((-86400, 0)), Some(3)),
            "{numbers}"
        );
    }
}

#[test]
fn gnu_tar_reads_every_sparse_form_as_the_same_file() {
    let map: Vec<String> = (0..30)
        .map(|index| format!("{}:512", index * 8192))
        .collect();
    // GNU tar ends a map with an empty segment at the end of the file, and without one truncates the last hole.
    let map = map.join(",") + ",300000:0";
    let mut expected = vec![0; 300_000];
    let full = content::bytes(5, 300_000);
    for index in 0..30 {
        expected[index * 8192..][..512].copy_from_slice(&full[index * 8192..][..512]);
    }
    for form in ["gnu format=gnu", "pax0.0", "pax0.1", "pax1.0"] {
        let dir = tempfile::tempdir().unwrap();
        extract(
            &format!("file a/s size=300000 seed=5 sparse={form} map={map}\nfile t data=after"),
            dir.path(),
        );
        assert!(
            fs::read(dir.path().join("root/a/s")).unwrap() == expected,
            "{form}"
        );
        assert_eq!(fs::read(dir.path().join("root/t")).unwrap(), b"after");
    }
}

#[test]
fn whiteouts_and_opaque_markers_are_plain_names() {
    let dir = tempfile::tempdir().unwrap();
    let listing = extract("whiteout a/x\nopaque d\nopaque .\nwhiteout top", dir.path());
    for name in ["/a/.wh.x", "/d/.wh..wh..opq", "/.wh..wh..opq", "/.wh.top"] {
        assert!(listing.get(name).is_some(), "{name}\n{listing}");
    }
}

#[test]
#[should_panic(expected = "recipe, line 2: unknown attribute \"sice\"")]
fn an_error_in_a_recipe_has_its_line() {
    let _ = tar::recipe("dir a\nfile b sice=3");
}

#[test]
fn a_diff_finds_each_kind_of_change() {
    let base = "dir d\nfile d/f size=10 seed=1 xattr.user.x=1\nlink d/g target=d/f\nfile h data=1\nsymlink s target=a";
    let dir = tempfile::tempdir().unwrap();
    let left = extract(base, dir.path());
    for (change, to, expected) in [
        ("seed=1", "seed=2", "/d/f: sha256"),
        ("size=10", "size=11", "/d/f: size 10 != 11"),
        ("xattr.user.x=1", "uid=0", "/d/f: xattrs [user.x=31] != []"),
        (
            "link d/g target=d/f",
            "file d/g size=10 seed=1 xattr.user.x=1",
            "/d/g: hard link to /d/f != (none)",
        ),
        (
            "file h data=1",
            "file h data=1 mode=0600",
            "/h: mode 0644 != 0600",
        ),
        (
            "file h data=1",
            "file h data=1 mtime=1.5",
            "/h: mtime 1700000000.000000000 != 1.500000000",
        ),
        ("file h data=1", "dir h", "/h: type f != d"),
        ("file h data=1", "file i data=1", "/i: only right"),
        ("target=a", "target=b", "/s: target a != b"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let right = extract(&base.replace(change, to), dir.path());
        let ignore = Ignore {
            paths: vec!["/".into()],
            ..Ignore::default()
        };
        assert!(
            left.diff(&right, &ignore).is_empty(),
            "ignoring everything below the root"
        );
        let ignore = Ignore {
            root: true,
            ..Ignore::default()
        };
        let lines = left.diff(&right, &ignore);
        assert!(
            lines.iter().any(|line| line.contains(expected)),
            "{expected} not in {lines:?}"
        );
    }
    let same = left.same("left", &left.clone(), "right", &Ignore::default());
    assert!(same.is_ok());
}
