//! Damaged blobs, documents and outputs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use microsandbox_image::{
    ArtifactKind, InspectError, NewFileError, PullOptions, PullResult, SaveError, SaveFormat,
    SaveOptions,
};

use super::common::{docker_registry, push, reference, registry_in};
use super::{cache, image, load_keeping, pull_keeping};

const FORMATS: [SaveFormat; 2] = [SaveFormat::Oci, SaveFormat::Docker];

fn blob(folder: &Path, image: &PullResult, layer: usize) -> PathBuf {
    let hex = image.layers[layer].digest.hex();
    folder.join(format!("layer-blobs/sha256/{hex}"))
}

fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

fn save(
    folder: &Path,
    image: &PullResult,
    path: &Path,
    format: SaveFormat,
) -> Result<u64, SaveError> {
    let options = SaveOptions::default().with_format(format);
    cache(folder).save(std::slice::from_ref(image), path, &options)
}

#[tokio::test]
async fn a_damaged_blob_is_named_and_nothing_gets_the_name_of_the_archive() {
    let registry = docker_registry();
    push(&registry, "x", &image());
    let folder = tempfile::tempdir().unwrap();
    let cached = folder.path().join("cache");
    let name = reference(&registry, "x:t");
    for layer in 0..3 {
        let pulled = pull_keeping(&cached, &name).await.unwrap();
        let path = blob(&cached, &pulled, layer);
        rewrite(&path, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        for format in FORMATS {
            let out = folder.path().join("out");
            let error = save(&cached, &pulled, &out, format).unwrap_err();
            assert!(error.is_corrupt(), "{error:?}");
            assert!(
                error.to_string().contains(&*path.to_string_lossy()),
                "{error}"
            );
            assert!(!out.exists());
        }
        // The disk is sound, and the blob alone is named.
        let verify = |contents| {
            cache(&cached)
                .verify(&name, &pulled.platform, contents)
                .unwrap()
        };
        assert!(verify(false).is_sound());
        let found = verify(true);
        assert_eq!(found.damage.len(), 1);
        let damage = &found.damage[0];
        assert_eq!(damage.artifact, ArtifactKind::LayerBlob);
        assert_eq!(damage.layer, Some(pulled.layers[layer].diff_id));
        assert!(matches!(damage.error, InspectError::Digest { .. }));
        let force = PullOptions {
            force: true,
            keep_blobs: true,
            ..Default::default()
        };
        registry_in(&cached).pull(&name, &force).await.unwrap();
        assert!(verify(true).is_sound());
    }
}

#[tokio::test]
async fn a_blob_of_another_length_counts_as_not_kept() {
    let registry = docker_registry();
    push(&registry, "x", &image());
    let folder = tempfile::tempdir().unwrap();
    let name = reference(&registry, "x:t");
    for longer in [false, true] {
        let pulled = pull_keeping(folder.path(), &name).await.unwrap();
        rewrite(&blob(folder.path(), &pulled, 1), |bytes| match longer {
            true => bytes.push(0),
            false => drop(bytes.pop()),
        });
        let found = cache(folder.path()).verify(&name, &pulled.platform, false);
        assert!(found.unwrap().is_incomplete());
        let out = folder.path().join("out");
        let error = save(folder.path(), &pulled, &out, SaveFormat::Oci).unwrap_err();
        assert!(matches!(error, SaveError::Cache(_)), "{error}");
        registry.forget_requests().unwrap();
        let again = pull_keeping(folder.path(), &name).await.unwrap();
        assert_eq!(registry.blob_gets(&again.layers[1].digest.to_string()), 1);
        let found = cache(folder.path()).verify(&name, &again.platform, true);
        assert!(found.unwrap().is_sound());
    }
}

#[tokio::test]
async fn a_full_disk_and_an_existing_file_leave_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    image().write_layout(&at("layout"), "t").unwrap();
    let loaded = load_keeping(&at("cache"), &at("layout"), "example.org/x:t").await;
    for format in FORMATS {
        let error = save(&at("cache"), &loaded, Path::new("/dev/full"), format).unwrap_err();
        assert!(matches!(
            error,
            SaveError::File(NewFileError::Exists { .. })
        ));
        let out = at("out");
        fs::write(&out, b"mine").unwrap();
        let error = save(&at("cache"), &loaded, &out, format).unwrap_err();
        assert!(matches!(
            error,
            SaveError::File(NewFileError::Exists { .. })
        ));
        assert_eq!(fs::read(&out).unwrap(), b"mine");
        let mut full = fs::File::options().write(true).open("/dev/full").unwrap();
        let images = std::slice::from_ref(&loaded);
        let error = cache(&at("cache")).save_to(images, &mut full, format);
        assert!(error.unwrap_err().is_full());
        let force = SaveOptions::default().with_format(format).with_force(true);
        let bytes = cache(&at("cache")).save(images, &out, &force).unwrap();
        assert_eq!(out.metadata().unwrap().len(), bytes);
    }
}

#[tokio::test]
async fn a_cache_without_the_manifest_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    image().write_layout(&at("layout"), "t").unwrap();
    let loaded = load_keeping(&at("cache"), &at("layout"), "example.org/x:t").await;
    let hex = loaded.manifest_digest.hex();
    rewrite(&at(&format!("cache/blobs/sha256/{hex}")), |bytes| {
        bytes.push(b' ')
    });
    let error = save(&at("cache"), &loaded, &at("out"), SaveFormat::Oci).unwrap_err();
    let expected = loaded.manifest_digest;
    assert!(matches!(error, SaveError::NoDocument { digest, .. } if digest == expected));
}
