//! Archives that other tools write.

use super::support::{Seen, SeenKind, entries};
use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
};

/// Runs a tool; `None` where it is missing, which CI does not allow.
fn run(command: &mut Command) -> Option<Output> {
    match command.output() {
        Ok(output) => {
            assert!(
                output.status.success(),
                "{command:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            Some(output)
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{command:?}: {error}");
            None
        }
    }
}

/// Creates a tree with a long name, links and a sparse file. Returns the long name.
fn tree(dir: &Path) -> String {
    let long = "l".repeat(200);
    fs::create_dir(dir.join("d")).expect("a fresh folder");
    fs::write(dir.join("d").join(&long), b"long").expect("a fresh folder");
    symlink("t".repeat(300), dir.join("d/s")).expect("a fresh folder");
    fs::hard_link(dir.join("d").join(&long), dir.join("d/z-link")).expect("a fresh folder");
    let mut sparse = File::create(dir.join("d/sparse")).expect("a fresh folder");
    for index in 0..40_u8 {
        let at = u64::from(index) * 262_144 + 65_536;
        sparse.seek(SeekFrom::Start(at)).expect("a file can seek");
        sparse
            .write_all(&[index + 1; 4096])
            .expect("the disk has room");
    }
    sparse.set_len(16 << 20).expect("the disk has room");
    long
}

fn find<'a>(seen: &'a [Seen], path: &str) -> &'a Seen {
    seen.iter()
        .find(|seen| seen.path == path.as_bytes())
        .expect("the archive has this path")
}

fn check_tree(seen: &[Seen], long: &str) {
    let sparse = find(seen, "d/sparse");
    assert_eq!((sparse.size, &sparse.kind), (16 << 20, &SeenKind::Regular));
    for (offset, bytes) in &sparse.data {
        for (index, byte) in bytes.iter().enumerate() {
            let (slot, within) = (
                (offset + index as u64) / 262_144,
                (offset + index as u64) % 262_144,
            );
            let expected = if (65_536..69_632).contains(&within) && slot < 40 {
                slot + 1
            } else {
                0
            };
            assert_eq!(u64::from(*byte), expected);
        }
    }
    assert!(
        sparse
            .data
            .iter()
            .map(|(_, bytes)| bytes.len())
            .sum::<usize>()
            >= 40 * 4096
    );
    assert_eq!(find(seen, "d/s").kind, SeenKind::Symlink(vec![b't'; 300]));
    let (first, second) = (find(seen, &format!("d/{long}")), find(seen, "d/z-link"));
    let (file, link) = if first.kind == SeenKind::Regular {
        (first, second)
    } else {
        (second, first)
    };
    assert_eq!(file.bytes(), b"long");
    assert_eq!(link.kind, SeenKind::HardLink(file.path.clone()));
    let dir = seen
        .iter()
        .find(|seen| seen.path.starts_with(b"d") && seen.path.len() <= 2);
    assert_eq!(dir.expect("the folder is in").kind, SeenKind::Directory);
}

#[test]
fn gnu_tar_in_every_format_with_sparse_files() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let long = tree(dir.path());
    let formats: [&[&str]; 5] = [
        &["--format=gnu"],
        &["--format=oldgnu"],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ];
    for format in formats {
        let mut tar = Command::new("tar");
        tar.args(format)
            .args(["--sparse", "-cf", "-", "-C"])
            .arg(dir.path())
            .arg("d");
        let Some(output) = run(&mut tar) else { return };
        let seen = entries(&output.stdout);
        check_tree(&seen, &long);
        assert!(find(&seen, "d/sparse").sparse.is_some(), "{format:?}");
    }
}

#[test]
fn bsdtar_in_pax_and_gnu_format() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let long = tree(dir.path());
    for format in ["pax", "gnutar"] {
        let mut tar = Command::new("bsdtar");
        tar.args(["--format", format, "-cf", "-", "-C"])
            .arg(dir.path())
            .arg("d");
        let Some(output) = run(&mut tar) else { return };
        check_tree(&entries(&output.stdout), &long);
    }
}

#[test]
fn python_tarfile_in_every_format() {
    let script = r#"
import io, sys, tarfile
fmt = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}[sys.argv[1]]
out = io.BytesIO()
with tarfile.open(fileobj=out, mode="w", format=fmt, encoding="utf-8", errors="surrogateescape") as tar:
    def add(name, kind=tarfile.REGTYPE, data=b"", **fields):
        info = tarfile.TarInfo(name)
        info.type, info.size = kind, len(data)
        for key, value in fields.items():
            setattr(info, key, value)
        tar.addfile(info, io.BytesIO(data))
    add("d", tarfile.DIRTYPE, mode=0o1777)
    add("p" * 60 + "/" + "n" * 90, data=b"x" * 513, mode=0o4755, uid=1000, gid=2000, mtime=1700000000)
    add("dev", tarfile.BLKTYPE, devmajor=8, devminor=1)
    add("fifo", tarfile.FIFOTYPE)
    if fmt != tarfile.USTAR_FORMAT:
        add("big-ids", uid=100000, gid=3000000000)
        add("old", mtime=-5)
        add("new", mtime=5000000000)
    if fmt == tarfile.PAX_FORMAT:
        add("frac", mtime=-1.5)
        add("x", pax_headers={"SCHILY.xattr.user.k": "v"})
sys.stdout.buffer.write(out.getvalue())
"#;
    for format in ["ustar", "gnu", "pax"] {
        let Some(output) = run(Command::new("python3").args(["-c", script, format])) else {
            return;
        };
        let seen = entries(&output.stdout);
        assert_eq!(
            (&find(&seen, "d/").kind, find(&seen, "d/").mode),
            (&SeenKind::Directory, 0o1777)
        );
        let file = find(&seen, &format!("{}/{}", "p".repeat(60), "n".repeat(90)));
        assert_eq!(
            (file.mode, file.uid, file.gid, file.mtime.secs),
            (0o4755, 1000, 2000, 1_700_000_000)
        );
        assert_eq!(file.bytes(), [b'x'; 513]);
        assert_eq!(find(&seen, "dev").kind, SeenKind::Block(8, 1));
        assert_eq!(find(&seen, "fifo").kind, SeenKind::Fifo);
        if format != "ustar" {
            assert_eq!(
                (find(&seen, "big-ids").uid, find(&seen, "big-ids").gid),
                (100_000, 3_000_000_000)
            );
            assert_eq!(find(&seen, "old").mtime.secs, -5);
            assert_eq!(find(&seen, "new").mtime.secs, 5_000_000_000);
        }
        if format == "pax" {
            let mtime = find(&seen, "frac").mtime;
            assert_eq!((mtime.secs, mtime.nanos), (-2, 500_000_000));
            assert_eq!(
                find(&seen, "x").xattrs,
                [(b"user.k".to_vec(), b"v".to_vec())]
            );
        }
    }
}

#[test]
fn tokio_tar_builder() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime needs nothing");
    let archive = runtime.block_on(async {
        let mut builder = tokio_tar::Builder::new(Vec::new());
        let mut header = tokio_tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o640);
        header.set_uid(70_000);
        header.set_cksum();
        let path = format!("{}/f", "d".repeat(150));
        builder
            .append_data(&mut header, path, &b"hello"[..])
            .await
            .expect("a Vec takes all");
        builder.into_inner().await.expect("a Vec takes all")
    });
    let seen = entries(&archive);
    assert_eq!(seen[0].path, format!("{}/f", "d".repeat(150)).into_bytes());
    assert_eq!(
        (seen[0].mode, seen[0].uid, seen[0].bytes()),
        (0o640, 70_000, b"hello".to_vec())
    );
}
