//! A file system that is full: the error says so in numbers, and nothing is lost.
use std::io::Write as _;
use std::process::Command;

use crate::common::*;
use msb_oci::Digest;
use msb_store::{Error, Store};

const ROOT: &str = "MSB_STORE_TEST_FULL_ROOT";

/// Runs inside a mount namespace of its own, where the directory is a file system of 1 MiB.
#[test]
fn inside() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let store = Store::open(&root).unwrap();
    put_image(&store, "before");

    let error = store.check_space(1 << 30).unwrap_err();
    assert!(error.is_full(), "{error}");
    assert!(store.check_space(4096).is_ok());

    let staged = store.stage_layer_image(&layer("big")).unwrap();
    let mut source = None;
    for _ in 0..512 {
        if let Err(e) = staged.file().write_all(&[1; 4096]) {
            source = Some(e);
            break;
        }
    }
    let error = staged.write_error(source.expect("2 MiB do not fit in 1 MiB"), Some(2 << 20));
    let Error::Full {
        needed_bytes: Some(2_097_152),
        available_bytes: Some(available),
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert!(available < 8192, "{available}");
    let text = error.to_string();
    assert!(
        text.contains("2097152 bytes needed") && text.contains("no space left to write"),
        "{text}"
    );

    // While it is full: a record cannot be written, and the one that is there stays as it was.
    let long = "x".repeat(64 << 10);
    let error = store
        .write_image(&image("before"), &long, &references("before"))
        .unwrap_err();
    assert!(error.is_full(), "{error:?}");
    assert_eq!(
        store
            .read_image::<String>(&image("before"))
            .unwrap()
            .as_deref(),
        Some("before")
    );
    drop(staged);

    let digest = Digest::sha256_of(b"blob");
    let mut part = store.open_partial_blob(&digest, 4 << 20).unwrap().unwrap();
    let error = loop {
        if let Err(error) = part.append(&[2; 10_000]) {
            break error;
        }
    };
    assert!(error.is_full(), "{error}");
    assert_eq!(
        part.len_bytes() % 10_000,
        0,
        "a part ends where the last whole append did"
    );
    assert_eq!(
        std::fs::metadata(part.path()).unwrap().len(),
        part.len_bytes()
    );
    part.discard().unwrap();

    assert!(
        !files(store.root())
            .iter()
            .any(|file| file.to_string_lossy().contains(".tmp-"))
    );
    put_image(&store, "after");
}

#[test]
fn a_full_file_system_is_named_with_its_numbers_and_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let binary = std::env::current_exe().unwrap();
    let script = r#"mount -t tmpfs -o size=1m tmpfs "$0" || exit 77; exec "$1" --exact full_disk::inside --nocapture"#;
    // Root gets a mount namespace; others get one inside a user namespace of their own.
    for unshare in [
        &["--mount"][..],
        &["--mount", "--user", "--map-root-user"][..],
    ] {
        let output = Command::new("unshare")
            .args(unshare)
            .args(["sh", "-c", script])
            .arg(temp.path())
            .arg(&binary)
            .env(ROOT, temp.path())
            .output();
        let Ok(output) = output else { continue };
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        if output.status.success() && text.contains("1 passed") {
            return;
        }
        assert!(output.status.code() != Some(101), "{text}");
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "this test needs unshare(1) and a tmpfs, and in CI it may not be left out"
    );
    println!("SKIPPED: no mount namespace can be made here, so no file system can be filled");
}

#[test]
fn a_full_device_is_told_from_other_failures() {
    let source = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .write_all(b"x")
        .unwrap_err();
    let error = Error::from_io(
        msb_store::Step::Write,
        std::path::Path::new("/dev/full"),
        source,
    );
    assert!(error.is_full());
    let error = error.with_needed_bytes(12).with_needed_bytes(99);
    assert!(
        error
            .to_string()
            .starts_with("no space left to write /dev/full: 12 bytes needed"),
        "{error}"
    );
    let other = Error::from_io(
        msb_store::Step::Open,
        std::path::Path::new("/a\nb"),
        std::io::Error::from(std::io::ErrorKind::PermissionDenied),
    );
    assert!(!other.is_full());
    assert_eq!(
        other.to_string(),
        "cannot open /a\\nb",
        "one line, and the cause is not repeated"
    );
}
