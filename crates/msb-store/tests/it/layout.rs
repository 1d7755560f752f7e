//! The marker of a cache's layout: other formats, damage, later and earlier layouts.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::common::*;
use msb_oci::Digest;
use msb_store::{Error, Store};

#[test]
fn a_directory_of_another_format_is_never_mixed_with_a_cache() {
    // An OCI layout has blobs/sha256, which a prune would empty.
    let temp = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(temp.path().join("blobs/sha256")).unwrap();
    std::fs::write(temp.path().join("oci-layout"), "{}").unwrap();
    let store = Store::open(temp.path()).unwrap();
    let error = store.write_blob(&Digest::sha256_of(b""), b"").unwrap_err();
    assert!(matches!(error, Error::NotACache { .. }), "{error}");
    assert!(matches!(
        store.require().unwrap_err(),
        Error::NotACache { .. }
    ));
    assert_eq!(files(temp.path()), [Path::new("oci-layout")]);
}

#[test]
fn a_damaged_marker_is_written_again() {
    let temp = tempfile::tempdir().unwrap();
    let marker = temp.path().join("layout");
    put_image(&Store::open(temp.path()).unwrap(), "a");
    let good = std::fs::read(&marker).unwrap();
    let mut damages = vec![
        Vec::new(),
        b"#!/bin/sh".to_vec(),
        vec![0; 300],
        good[..20].to_vec(),
    ];
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 1;
        damages.push(flipped);
    }
    for damage in damages {
        std::fs::remove_file(&marker).unwrap();
        std::fs::write(&marker, &damage).unwrap();
        let store = Store::open(temp.path()).unwrap();
        store.require().unwrap();
        assert!(store.read_image::<String>(&image("a")).unwrap().is_some());
        assert_eq!(
            std::fs::read(&marker).unwrap(),
            damage,
            "reading writes nothing"
        );
        drop(store.lease(&disk("a"), &[], &[]).unwrap());
        assert_eq!(std::fs::read(&marker).unwrap(), good);
    }
    // A file of another program does not make it less of a cache.
    std::fs::write(temp.path().join("README"), "x").unwrap();
    std::fs::write(&marker, "x").unwrap();
    Store::open(temp.path()).unwrap().require().unwrap();
    std::fs::remove_file(&marker).unwrap();
    Store::open(temp.path()).unwrap().require().unwrap();
    std::fs::create_dir(&marker).unwrap();
    Store::open(temp.path()).unwrap().require().unwrap();
}

#[test]
fn a_marker_is_written_again_before_anything_else_is_in_the_cache() {
    for damage in ["", "msb-store lay", "msb-stnre layout 3"] {
        let temp = tempfile::tempdir().unwrap();
        std::fs::write(temp.path().join("layout"), damage).unwrap();
        Store::open(temp.path()).unwrap().require().unwrap();
        put_image(&Store::open(temp.path()).unwrap(), "a");
    }
    let temp = tempfile::tempdir().unwrap();
    std::fs::write(temp.path().join("layout"), "a plan of the garden").unwrap();
    let store = Store::open(temp.path()).unwrap();
    assert!(matches!(
        store.require().unwrap_err(),
        Error::NotACache { .. }
    ));
    assert!(store.write_blob(&Digest::sha256_of(b""), b"").is_err());
}

#[test]
fn a_later_layout_is_refused_and_an_older_one_is_served_and_closed_to_others() {
    let temp = tempfile::tempdir().unwrap();
    let marker = temp.path().join("layout");
    put_image(&Store::open(temp.path()).unwrap(), "a");
    let write = |text: &str| {
        std::fs::remove_file(&marker).unwrap();
        std::fs::write(&marker, text).unwrap();
    };
    write("msb-store layout 4\nand more");
    let store = Store::open(temp.path()).unwrap();
    for error in [
        store.require().unwrap_err(),
        store.read_image::<String>(&image("a")).unwrap_err(),
        store.write_blob(&Digest::sha256_of(b""), b"").unwrap_err(),
    ] {
        assert!(error.is_newer() && !error.is_corrupt(), "{error}");
        let text = error.to_string();
        assert!(
            text.ends_with("has layout 4, and this version knows layouts up to 3"),
            "{text}"
        );
    }

    write("msb-store layout 1\n");
    let layers = temp.path().join("layers");
    std::fs::set_permissions(&layers, std::fs::Permissions::from_mode(0o755)).unwrap();
    let store = Store::open(temp.path()).unwrap();
    assert_eq!(
        store.read_image::<String>(&image("a")).unwrap().as_deref(),
        Some("a")
    );
    put_image(&store, "b");
    assert_eq!(
        layers.metadata().unwrap().permissions().mode() & 0o7777,
        0o700
    );
    assert!(
        std::fs::read_to_string(&marker)
            .unwrap()
            .starts_with("msb-store layout 3\n")
    );
}
