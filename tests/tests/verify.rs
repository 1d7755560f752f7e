//! Verification names every damaged file of the cache, and the affected files of the image.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use microsandbox_image::{
    ArtifactKind, GlobalCache, Platform, PullResult, Reference, Registry, Verification,
};
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::{ImageBuilder, Layer};
use tempfile::TempDir;

struct Setup {
    cache: TempDir,
    reference: Reference,
    image: PullResult,
}

impl Setup {
    fn new(layers: &[&str]) -> Self {
        let registry = FaultRegistry::start().unwrap();
        let layout = tempfile::tempdir().unwrap();
        registry.serve("x", layout.path());
        let image = layers.iter().fold(ImageBuilder::new(), |image, recipe| {
            image.layer(Layer::recipe(recipe).gzip())
        });
        image.write_layout(layout.path(), "t").unwrap();
        let cache = tempfile::tempdir().unwrap();
        let reference: Reference = format!("{}/x:t", registry.host()).parse().unwrap();
        let puller = Registry::new(amd64(), GlobalCache::new(cache.path()).unwrap()).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let image = runtime.block_on(puller.pull(&reference, &Default::default()));
        Self {
            cache,
            reference,
            image: image.unwrap(),
        }
    }

    fn verify(&self, contents: bool) -> Verification {
        let cache = GlobalCache::new(self.cache.path()).unwrap();
        cache.verify(&self.reference, &amd64(), contents).unwrap()
    }

    /// Expects one damaged artifact, and reverts `damage` afterwards.
    #[track_caller]
    fn finds(
        &self,
        path: &Path,
        contents: bool,
        kind: ArtifactKind,
        damage: impl Fn(&Path),
    ) -> Vec<String> {
        let before = fs::read(path).unwrap();
        damage(path);
        let mut found = self.verify(contents);
        fs::write(path, before).unwrap();
        assert_eq!(found.damage.len(), 1, "{found:?}");
        let damage = found.damage.remove(0);
        assert_eq!((damage.artifact, damage.path.as_path()), (kind, path));
        let layer = self
            .image
            .layers
            .iter()
            .find(|layer| path.with_extension("erofs") == layer.erofs);
        assert_eq!(damage.layer, layer.map(|layer| layer.diff_id));
        assert!(damage.error.is_corrupt(), "{}", damage.error);
        damage.files
    }
}

fn amd64() -> Platform {
    Platform::new("linux", "amd64")
}

fn flip(path: &Path, at: u64) {
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    byte[0] ^= 1;
    file.write_all_at(&byte, at).unwrap();
}

fn cut(path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(file.metadata().unwrap().len() - 4096).unwrap();
}

#[test]
fn each_damaged_artifact_is_named() {
    let setup = Setup::new(&[
        "file a size=9000 seed=1\nfile b size=9000 seed=2",
        "file c size=9000 seed=3",
    ]);
    assert!(setup.verify(true).is_sound());
    let image = &setup.image;
    for layer in &image.layers {
        let sidecar = layer.erofs.with_extension("layer");
        setup.finds(&layer.erofs, false, ArtifactKind::LayerImage, cut);
        setup.finds(&layer.erofs, false, ArtifactKind::LayerImage, |path| {
            fs::remove_file(path).unwrap()
        });
        setup.finds(&sidecar, false, ArtifactKind::Sidecar, |path| {
            fs::write(path, "short").unwrap()
        });
        setup.finds(&sidecar, true, ArtifactKind::Sidecar, |path| flip(path, 3));
    }
    setup.finds(&image.fsmeta, false, ArtifactKind::Fsmeta, |path| {
        flip(path, 1024)
    });
    // The mode of the root, which only the layers record.
    setup.finds(&image.fsmeta, true, ArtifactKind::Fsmeta, |path| {
        flip(path, 4096 + 32 + 4)
    });
    let rewrite = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, text.replacen("CID=", "CID=1", 1)).unwrap();
    };
    setup.finds(&image.vmdk, false, ArtifactKind::Descriptor, rewrite);
    // As QEMU does it when it opens the descriptor writable: another content ID of the same length.
    let rewrite = |path: &Path| {
        let text = fs::read_to_string(path).unwrap();
        let at = text.find("CID=").unwrap() + "CID=".len();
        let digit = if text[at..].starts_with('7') {
            "8"
        } else {
            "7"
        };
        fs::write(
            path,
            [text.get(..at).unwrap(), digit, &text[at + 1..]].concat(),
        )
        .unwrap();
    };
    for contents in [false, true] {
        setup.finds(&image.vmdk, contents, ArtifactKind::Descriptor, rewrite);
    }
    setup.finds(&image.vmdk, true, ArtifactKind::Descriptor, |path| {
        fs::remove_file(path).unwrap()
    });
    assert!(setup.verify(true).is_sound());
}

#[test]
fn the_images_own_damaged_files_are_named() {
    let setup = Setup::new(&[
        "file a size=9000 seed=1\nfile d/b size=9000 seed=2",
        "file c size=9000 seed=3",
    ]);
    let lower = &setup.image.layers[0].erofs;
    // Data follow the superblock's block, in the order of the archive.
    let one = setup.finds(lower, true, ArtifactKind::LayerImage, |path| {
        flip(path, 4096 + 100)
    });
    assert_eq!(one, ["/a"]);
    let two = setup.finds(lower, true, ArtifactKind::LayerImage, |path| {
        flip(path, 4096 + 100);
        flip(path, 4096 + 3 * 4096 + 100);
    });
    assert_eq!(two, ["/a", "/d/b"]);
    // The layer's own inodes are not part of the merged disk, and are verified too.
    let end = fs::metadata(lower).unwrap().len() - 4096;
    let none = setup.finds(lower, true, ArtifactKind::LayerImage, |path| {
        flip(path, end)
    });
    assert!(none.is_empty(), "{none:?}");
    assert!(setup.verify(false).damage.is_empty());
}

#[test]
fn a_damaged_file_in_the_merged_metadata_is_named() {
    // Small enough to lie beside its inode.
    let setup = Setup::new(&["file d/small data=all-of-its-bytes", "file c size=1"]);
    let fsmeta = fs::read(&setup.image.fsmeta).unwrap();
    let data = b"all-of-its-bytes";
    let at = fsmeta.windows(data.len()).position(|bytes| bytes == data);
    let files = setup.finds(&setup.image.fsmeta, true, ArtifactKind::Fsmeta, |path| {
        flip(path, at.unwrap() as u64)
    });
    assert_eq!(files, ["/d/small"]);
}

#[test]
fn every_damaged_byte_of_a_sidecar_names_it() {
    let setup = Setup::new(&[
        "file a size=9000 seed=1\nfile d/b data=hello xattr.user.a=x",
        "whiteout a\nsymlink c target=d/b",
    ]);
    for layer in &setup.image.layers {
        let sidecar = layer.erofs.with_extension("layer");
        for at in (0..fs::metadata(&sidecar).unwrap().len()).step_by(7) {
            setup.finds(&sidecar, true, ArtifactKind::Sidecar, |path| flip(path, at));
        }
    }
}

#[test]
fn several_damaged_layers_are_all_named() {
    let setup = Setup::new(&["file a size=9000 seed=1", "file c size=9000 seed=3"]);
    for layer in &setup.image.layers {
        flip(&layer.erofs, 4096 + 100);
    }
    let found = setup.verify(true);
    let files: Vec<_> = found
        .damage
        .iter()
        .map(|damage| damage.files.clone())
        .collect();
    assert_eq!(files, [["/a"], ["/c"]]);
}
