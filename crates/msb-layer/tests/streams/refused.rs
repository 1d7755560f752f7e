//! Entries and formats that are refused.

use super::*;

#[test]
fn a_bare_whiteout_and_what_is_below_a_whiteout_are_errors() {
    for recipe in [
        "file .wh. size=0",
        "file a/.wh. size=0",
        "file .wh.a/b size=0",
        "file .wh... size=0",
        "file a/.wh... size=0",
        "file .wh.x/.wh.y size=0",
    ] {
        let error = error(Attempt::uncompressed(&tar::recipe(recipe)));
        assert!(
            matches!(error, LayerError::Whiteout { .. }),
            "{recipe}: {error}"
        );
    }
}

#[test]
fn a_path_with_dot_dot_is_an_error_in_names_and_links() {
    for recipe in [
        "file ../a size=0",
        "file a/../b size=0",
        "file .. size=0",
        "dir a/..",
        "whiteout ../a",
        "link a target=../b",
        "link a target=b/../c",
    ] {
        let error = error(Attempt::uncompressed(&tar::recipe(recipe)));
        assert!(
            matches!(error, LayerError::Path { .. }),
            "{recipe}: {error}"
        );
    }
    assert!(
        Attempt::uncompressed(&tar::recipe("symlink a target=../../b"))
            .run()
            .is_ok()
    );
}

#[test]
fn a_file_for_a_parent_and_a_loop_of_symlinks_are_errors() {
    for recipe in [
        "file a size=1\nfile a/b size=1",
        "symlink a target=b\nsymlink b target=a\nfile a/c size=1",
        "file . size=1",
        "symlink . target=x",
    ] {
        let error = error(Attempt::uncompressed(&tar::recipe(recipe)));
        assert!(
            matches!(error, LayerError::Apply { .. }),
            "{recipe}: {error}"
        );
    }
}

#[test]
fn an_archive_that_is_cut_off_in_an_entry_is_an_error_and_without_its_end_is_not() {
    let tar = tar::recipe("file a size=5000 seed=1\nfile b size=1\nnoend");
    assert!(Attempt::uncompressed(&tar).run().is_ok());
    for len in [100, 512, 513, 5000, 5511, 5512] {
        let result = Attempt::uncompressed(&tar[..len]).run();
        assert_eq!(result.is_ok(), len == 5512, "{len}: {result:?}");
    }
    assert!(Attempt::uncompressed(b"").run().is_ok());
}

/// Returns the text of an error, with its causes.
fn refused(blob: &[u8], media_type: &str) -> String {
    let attempt = Attempt {
        media_type,
        ..Attempt::uncompressed(blob)
    };
    let error = error(attempt);
    assert!(matches!(error, LayerError::Format { .. }), "{error:?}");
    error.to_string()
}

#[test]
fn a_layer_in_another_format_is_refused_by_media_type_and_format() {
    let noise = content::bytes(1, 5000);
    for (name, magic) in [
        ("xz", &b"\xfd7zXZ\0"[..]),
        ("bzip2", b"BZh91AY&SY"),
        ("LZ4", b"\x04\x22\x4d\x18"),
        ("zip", b"PK\x03\x04"),
        ("SquashFS", b"hsqs"),
        ("JSON", b"{\"a\":1}"),
    ] {
        for media_type in [
            "application/vnd.oci.image.layer.v1.tar+gzip",
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.example.layer",
        ] {
            for len in [0, 5000] {
                let text = refused(&[magic, &noise[..len]].concat(), media_type);
                assert!(text.contains(media_type) && text.contains(name), "{text}");
            }
        }
    }
}

#[test]
fn an_unknown_format_is_refused_by_its_media_type_however_it_is_compressed() {
    let noise = content::bytes(1, 5000);
    let media_type = "application/vnd.oci.image.layer.v1.tar+xz";
    let text = refused(&noise, media_type);
    assert!(
        text.contains(media_type) && text.contains("gzip or zstd"),
        "{text}"
    );
    // The decompressed bytes are examined too.
    let xz = [b"\xfd7zXZ\0", &noise[..]].concat();
    for (name, inner) in [("xz", &xz), ("not a tar archive", &noise)] {
        let gzip = Layer::tar(inner.clone()).gzip();
        let attempt = Attempt {
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip",
            ..Attempt::of(gzip.blob_bytes().unwrap(), inner)
        };
        let text = error(attempt).to_string();
        assert!(text.contains(name) && text.contains(".tar+gzip"), "{text}");
    }
}

#[test]
fn encrypted_and_nydus_layers_are_refused_before_anything_is_read() {
    for (name, media_type) in [
        (
            "encrypted",
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        ),
        ("nydus", "application/vnd.oci.image.layer.nydus.blob.v1"),
    ] {
        // Their bytes may look like any format.
        let tar = tar::recipe("file a size=1");
        let attempt = Attempt {
            media_type,
            ..Attempt::uncompressed(&tar)
        };
        let dir = tempfile::tempdir().unwrap();
        let error = attempt.job(&dir.path().join("layer")).start().unwrap_err();
        let text = error.to_string();
        assert!(text.contains(name) && text.contains(media_type), "{text}");
    }
}

#[test]
fn a_media_type_cannot_write_to_the_terminal() {
    let text = refused(
        &content::bytes(1, 5000),
        &format!("a/\x1b[31m\n{}", "b".repeat(9999)),
    );
    assert!(
        !text.chars().any(char::is_control) && text.len() < 500,
        "{text}"
    );
}
