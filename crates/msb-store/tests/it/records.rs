//! Records, blobs and parts: nothing that lies in the directory is believed.

use std::io::Read as _;

use crate::common::*;
use msb_oci::{Algorithm, Digest};
use msb_store::{Error, References, Store};

fn store() -> (tempfile::TempDir, Store) {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    (temp, store)
}

#[test]
fn a_record_is_kept_by_canonical_reference_and_platform() {
    let (_temp, store) = store();
    put_image(&store, "alpine");
    assert_eq!(image("alpine"), image("docker.io/library/alpine:latest"));
    assert_eq!(
        store
            .read_image::<String>(&image("docker.io/library/alpine"))
            .unwrap()
            .unwrap(),
        "alpine"
    );
    let arm = msb_store::ImageKey::new(&"alpine".parse().unwrap(), "linux/arm64");
    assert!(store.read_image::<String>(&arm).unwrap().is_none());
    assert!(
        store
            .read_image::<String>(&image("alpine:edge"))
            .unwrap()
            .is_none()
    );
    let listed = store.list_images::<String>().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].record.as_ref().unwrap().0, image("alpine"));
    assert!(store.remove_image(&image("alpine")).unwrap());
    assert!(!store.remove_image(&image("alpine")).unwrap());
}

#[test]
fn names_that_look_alike_on_disk_are_told_apart() {
    let (_temp, store) = store();
    let long = "a".repeat(120);
    let names = [
        "r.io/a_b",
        "r.io/a/b",
        "r.io/a__b",
        &format!("r.io/{long}/x"),
        &format!("r.io/{long}/y"),
    ];
    for name in names {
        store
            .write_image(&image(name), &name, &References::default())
            .unwrap();
    }
    for name in names {
        assert_eq!(
            store.read_image::<String>(&image(name)).unwrap().unwrap(),
            name
        );
        let file = store.image_record_path(&image(name));
        assert!(
            file.file_name().unwrap().len() < 150 && file.parent().unwrap().ends_with("images")
        );
    }
}

#[test]
fn hostile_records_are_typed_errors_and_do_not_hide_the_others() {
    let (_temp, store) = store();
    put_image(&store, "good");
    let path = store.image_record_path(&image("bad"));
    let deep = format!("{{\"format\":1,\"image\":{}", "[".repeat(100_000));
    for bytes in [
        "",
        "{",
        "null",
        "{\"format\":-1}",
        "\u{0}",
        &deep,
        r#"{"format":1,"reference":1}"#,
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = store.read_image::<String>(&image("bad")).unwrap_err();
        assert!(
            matches!(error, Error::RecordDecode { .. }) && error.is_corrupt(),
            "{error}"
        );
    }
    let listed = store.list_images::<String>().unwrap();
    assert_eq!(
        listed.iter().filter(|listed| listed.record.is_ok()).count(),
        1
    );
    assert_eq!(listed.len(), 2);

    std::fs::write(&path, r#"{"format":9,"anything":[]}"#).unwrap();
    assert!(
        store
            .read_image::<String>(&image("bad"))
            .unwrap_err()
            .is_newer()
    );

    std::fs::File::create(&path)
        .unwrap()
        .set_len(msb_store::RECORD_LIMIT_BYTES + 1)
        .unwrap();
    assert!(matches!(
        store.read_image::<String>(&image("bad")).unwrap_err(),
        Error::TooLarge { .. }
    ));

    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(matches!(
        store.read_image::<String>(&image("bad")).unwrap_err(),
        Error::NotAFile { .. }
    ));
    std::fs::remove_dir(&path).unwrap();
    std::os::unix::fs::symlink(store.image_record_path(&image("good")), &path).unwrap();
    assert!(matches!(
        store.read_image::<String>(&image("bad")).unwrap_err(),
        Error::NotAFile { .. }
    ));
}

#[test]
fn what_a_record_quotes_reaches_no_terminal_raw() {
    #[derive(Debug, serde::Deserialize)]
    enum Known {}
    let (_temp, store) = store();
    put_image(&store, "a");
    let text = r#"{"format":1,"reference":"r","platform":"p","image":"\u001b[2J\nx"}"#;
    std::fs::write(store.image_record_path(&image("a")), text).unwrap();
    let error = store.read_image::<Known>(&image("a")).unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(!cause.contains(|c: char| c.is_control()), "{cause:?}");
    let error = store.read_image::<String>(&image("a")).unwrap_err();
    assert!(matches!(error, Error::RecordMismatch { .. }), "{error}");
}

#[test]
fn a_record_under_another_images_name_is_not_that_image() {
    let (_temp, store) = store();
    put_image(&store, "a");
    std::fs::copy(
        store.image_record_path(&image("a")),
        store.image_record_path(&image("b")),
    )
    .unwrap();
    let error = store.read_image::<String>(&image("b")).unwrap_err();
    assert!(
        matches!(&error, Error::RecordMismatch { actual, .. } if **actual == image("a")),
        "{error}"
    );
    let bad = store
        .list_images::<String>()
        .unwrap()
        .into_iter()
        .filter(|listed| listed.record.is_err())
        .count();
    assert_eq!(bad, 1);
}

#[test]
fn no_record_is_published_over_something_that_is_missing() {
    let (_temp, store) = store();
    put_image(&store, "a");
    let whole = references("a");
    for missing in [
        store.layer_image_path(&layer("a")),
        store.layer_sidecar_path(&layer("a")),
        store.fsmeta_path(&disk("a")),
        store.vmdk_path(&disk("a")),
        blob_path(&store, &Digest::sha256_of(MANIFEST)),
    ] {
        let bytes = std::fs::read(&missing).unwrap();
        std::fs::remove_file(&missing).unwrap();
        let error = store.write_image(&image("b"), &"b", &whole).unwrap_err();
        assert!(error.is_vanished() && error.path() == missing, "{error}");
        assert!(store.read_image::<String>(&image("b")).unwrap().is_none());
        std::fs::write(&missing, bytes).unwrap();
    }
}

#[test]
fn a_blob_is_hashed_whenever_it_is_read() {
    let (_temp, store) = store();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha384, Algorithm::Sha512] {
        let digest = Digest::of(algorithm, MANIFEST);
        assert_eq!(store.read_blob(&digest, 1 << 20).unwrap(), None);
        store.write_blob(&digest, MANIFEST).unwrap();
        assert_eq!(
            store.read_blob(&digest, 1 << 20).unwrap().unwrap(),
            MANIFEST
        );
        assert!(matches!(
            store.read_blob(&digest, 4).unwrap_err(),
            Error::TooLarge { .. }
        ));
        let error = store.write_blob(&digest, b"other").unwrap_err();
        assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
        for damage in [&b""[..], &b"{\"schemaVersion\":3}"[..], &MANIFEST[1..]] {
            std::fs::write(blob_path(&store, &digest), damage).unwrap();
            assert_eq!(store.read_blob(&digest, 1 << 20).unwrap(), None);
            assert!(
                !blob_path(&store, &digest).exists(),
                "a damaged blob is removed"
            );
        }
        std::fs::write(blob_path(&store, &digest), b"damaged").unwrap();
        store.write_blob(&digest, MANIFEST).unwrap();
        assert_eq!(
            store.read_blob(&digest, 1 << 20).unwrap().unwrap(),
            MANIFEST,
            "writing repairs"
        );
    }
}

#[test]
fn a_part_is_taken_up_where_it_stopped() {
    let (_temp, store) = store();
    let digest = Digest::sha256_of(b"blob");
    let mut part = store.open_partial_blob(&digest, 10).unwrap().unwrap();
    assert!(
        store.open_partial_blob(&digest, 10).unwrap().is_none(),
        "one pull at a time"
    );
    part.append(b"01234").unwrap();
    drop(part);

    let mut part = store.open_partial_blob(&digest, 10).unwrap().unwrap();
    assert_eq!(part.len_bytes(), 5);
    let mut before = String::new();
    let mut reader = part.reader().unwrap();
    part.append(b"56789").unwrap();
    reader.read_to_string(&mut before).unwrap();
    assert_eq!(
        before, "01234",
        "a reader ends where the part did when it was made"
    );
    let error = part.append(b"x").unwrap_err();
    assert!(
        matches!(
            error,
            Error::PartialBlobOverflow {
                expected_bytes: 10,
                actual_bytes: 11,
                ..
            }
        ),
        "{error}"
    );
    let mut all = String::new();
    part.reader().unwrap().read_to_string(&mut all).unwrap();
    assert_eq!(all, "0123456789");
    part.truncate(3).unwrap();
    assert_eq!(std::fs::read(part.path()).unwrap(), b"012");
    let path = part.path().to_owned();
    part.discard().unwrap();
    assert!(!path.exists());
}

#[test]
fn leftover_bytes_of_one_blob_do_not_poison_another() {
    let (_temp, store) = store();
    let digest = Digest::sha256_of(b"blob");
    store
        .open_partial_blob(&digest, 10)
        .unwrap()
        .unwrap()
        .append(b"0123456789")
        .unwrap();
    let part = store.open_partial_blob(&digest, 9).unwrap().unwrap();
    assert_eq!(part.len_bytes(), 0, "longer than the blob: dropped");
    assert_eq!(std::fs::metadata(part.path()).unwrap().len(), 0);
}

#[test]
fn any_flipped_bit_and_any_cut_of_a_record_is_damage() {
    let (_temp, store) = store();
    put_image(&store, "a");
    let path = store.image_record_path(&image("a"));
    let record = std::fs::read(&path).unwrap();
    let expect_damage = |bytes: &[u8], what: &str| {
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
        let error = store.read_image::<String>(&image("a")).unwrap_err();
        assert!(error.is_corrupt(), "{what}: {error}");
    };
    for at in 0..record.len() {
        expect_damage(&record[..at], &format!("cut at {at}"));
        for bit in 0..8 {
            let mut damaged = record.clone();
            damaged[at] ^= 1 << bit;
            expect_damage(&damaged, &format!("byte {at}, bit {bit}"));
        }
    }
    std::fs::write(&path, &record).unwrap();
    assert!(store.read_image::<String>(&image("a")).unwrap().is_some());
}

#[test]
fn a_record_of_the_first_format_is_read() {
    let (_temp, store) = store();
    put_image(&store, "a");
    let path = store.image_record_path(&image("a"));
    let record = std::fs::read_to_string(&path).unwrap();
    let first = record.lines().next().unwrap();
    let old = first.replacen("\"format\":2", "\"format\":1", 1);
    assert_ne!(first, old);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, old).unwrap();
    let read = store.read_image::<String>(&image("a")).unwrap();
    assert_eq!(read.as_deref(), Some("a"));
}
