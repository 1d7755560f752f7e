//! Damaged files of a cached image are found and rebuilt, each from the least that suffices.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics, and prints its figures"
)]

#[path = "model/random.rs"]
mod random;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use microsandbox_image::{
    ArtifactKind, CacheError, Digest, GlobalCache, Platform, PullError, PullOptions, PullPolicy,
    PullResult, Reference, Registry,
};
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::{ImageBuilder, Layer};
use random::Random;
use tempfile::TempDir;

const LAYERS: usize = 5;

struct Setup {
    registry: FaultRegistry,
    layout: TempDir,
    cache: TempDir,
    reference: Reference,
    image: PullResult,
}

impl Setup {
    async fn new() -> Self {
        let registry = FaultRegistry::start().unwrap();
        let layout = tempfile::tempdir().unwrap();
        registry.serve("x", layout.path());
        let image = (1..=LAYERS).fold(ImageBuilder::new(), |image, seed| {
            let recipe = format!(
                "dir d{seed}\nfile d{seed}/f size={} seed={seed}\nfile same size=300 seed={seed}\n\
                 file d{seed}/g size=20000 seed={seed}1",
                30_000 * seed
            );
            image.layer(Layer::recipe(&recipe).gzip())
        });
        image.write_layout(layout.path(), "t").unwrap();
        let cache = tempfile::tempdir().unwrap();
        let reference: Reference = format!("{}/x:t", registry.host()).parse().unwrap();
        let image = puller(cache.path())
            .pull(&reference, &PullOptions::default())
            .await
            .unwrap();
        Self {
            registry,
            layout,
            cache,
            reference,
            image,
        }
    }

    /// Lets the tag name another image. The blobs of the first one stay.
    fn move_tag(&self) {
        let other = ImageBuilder::new().layer(Layer::recipe("file other size=10 seed=9").gzip());
        other.write_layout(self.layout.path(), "t").unwrap();
    }

    fn puller(&self) -> Registry {
        puller(self.cache.path())
    }

    async fn pull(&self, policy: PullPolicy) -> Result<PullResult, PullError> {
        let options = PullOptions {
            pull_policy: policy,
            ..PullOptions::default()
        };
        self.puller().pull(&self.reference, &options).await
    }

    fn only_in(&self, folder: &str, end: &str) -> PathBuf {
        let mut found = Vec::new();
        files(&self.cache.path().join(folder), &mut found);
        found.retain(|path| path.to_str().unwrap().ends_with(end));
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    /// Returns every artifact of the image, and the layer that it belongs to.
    fn artifacts(&self) -> Vec<(PathBuf, Option<usize>)> {
        let mut all = Vec::new();
        for (index, layer) in self.image.layers.iter().enumerate() {
            all.push((layer.erofs.clone(), Some(index)));
            all.push((layer.erofs.with_extension("layer"), Some(index)));
        }
        all.push((self.image.fsmeta.clone(), None));
        all.push((self.image.vmdk.clone(), None));
        all.push((self.only_in("images", ".json"), None));
        let mut documents = Vec::new();
        files(&self.cache.path().join("blobs"), &mut documents);
        assert_eq!(documents.len(), 2);
        all.extend(documents.into_iter().map(|path| (path, None)));
        all
    }

    fn contents(&self) -> BTreeMap<PathBuf, Digest> {
        let all = self.artifacts().into_iter();
        all.map(|(path, _)| {
            let digest = Digest::sha256_of(&fs::read(&path).unwrap());
            (path, digest)
        })
        .collect()
    }

    /// Returns the blobs of layers that were requested since the last call, by their place in the image.
    fn requested_layers(&self) -> Vec<usize> {
        let requests = self.registry.requests();
        self.registry.forget_requests();
        let mut layers = Vec::new();
        for request in requests {
            for (index, layer) in self.image.layers.iter().enumerate() {
                if request
                    .path
                    .contains(layer.digest.hex().to_string().as_str())
                {
                    layers.push(index);
                }
            }
        }
        layers
    }
}

fn puller(cache: &Path) -> Registry {
    Registry::new(amd64(), GlobalCache::new(cache).unwrap()).unwrap()
}

fn amd64() -> Platform {
    Platform::new("linux", "amd64")
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
    found.sort();
}

/// Writes other bytes under the name of an artifact. Published files are read-only.
fn replace(path: &Path, bytes: &[u8]) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

fn damage(path: &Path, other: &Path, random: &mut Random) -> &'static str {
    let before = fs::read(path).unwrap();
    let is_record = path.extension().is_some_and(|end| end == "json");
    loop {
        let mut bytes = before.clone();
        let how = match random.below(6) {
            // The image whose record is gone is not cached.
            0 if !is_record => {
                fs::remove_file(path).unwrap();
                return "deleted";
            }
            1 => {
                bytes.truncate(random.below(before.len()));
                "cut"
            }
            2 => {
                let at = random.below(before.len());
                bytes[at..].iter_mut().take(512).for_each(|byte| *byte = 0);
                "zeros"
            }
            3 => {
                bytes = fs::read(other).unwrap();
                "another file"
            }
            _ => {
                let at = random.below(before.len());
                bytes[at] ^= 1 << random.below(8);
                "a flipped bit"
            }
        };
        if bytes != before {
            replace(path, &bytes);
            return how;
        }
    }
}

/// The number of damages is 30, or `MSB_DAMAGES`.
#[tokio::test]
async fn random_damages_are_found_and_repaired_from_the_damaged_layers_alone() {
    let count = std::env::var("MSB_DAMAGES").map_or(30, |text| text.parse().unwrap());
    let setup = Setup::new().await;
    let cache = GlobalCache::new(setup.cache.path()).unwrap();
    let artifacts = setup.artifacts();
    let sound = setup.contents();
    let mut random = Random::new(7);
    let (mut found, mut fetched) = (0, 0);
    for number in 0..count {
        setup.registry.forget_requests();
        // Now and then two at once.
        let mut damaged = Vec::new();
        for _ in 0..=usize::from(number % 5 == 4) {
            let (path, layer) = &artifacts[random.below(artifacts.len())];
            if damaged.iter().any(|(known, _, _)| known == path) {
                continue;
            }
            let other = &artifacts[random.below(artifacts.len())].0;
            if other == path || !other.exists() || !path.exists() {
                continue;
            }
            let how = damage(path, other, &mut random);
            damaged.push((path.clone(), *layer, how));
        }
        let verified = cache.verify(&setup.reference, &amd64(), true).unwrap();
        let is_record_damaged = damaged
            .iter()
            .any(|(path, _, _)| path.extension().is_some_and(|end| end == "json"));
        for (path, _, how) in &damaged {
            // Image and sidecar of a layer are verified against each other: where one is another layer's, either is named.
            let is_named = verified.damage.iter().any(|damage| {
                damage.path == *path
                    || damage.layer.is_some() && damage.path.file_stem() == path.file_stem()
            });
            assert!(
                is_named || is_record_damaged,
                "{number}: {how} of {} is not found: {verified:?}",
                path.display()
            );
            found += 1;
        }
        let repair = setup.puller().repair(&setup.reference).await.unwrap();
        assert!(repair.is_sound(), "{number}: {damaged:?}: {repair:?}");
        assert_eq!(setup.contents(), sound, "{number}: {damaged:?}");
        let requested = setup.requested_layers();
        fetched += requested.len();
        for layer in &requested {
            assert!(
                damaged
                    .iter()
                    .any(|(_, damaged, _)| *damaged == Some(*layer)),
                "{number}: {damaged:?} fetched layer {layer}"
            );
        }
        let mut distinct = requested.clone();
        distinct.dedup();
        assert_eq!(distinct, requested, "{number}: a layer was fetched twice");
    }
    println!("{found} damages found and repaired, {fetched} layers fetched");
}

#[tokio::test]
async fn a_damaged_disk_is_rebuilt_without_a_registry() {
    let setup = Setup::new().await;
    let sound = setup.contents();
    let Setup {
        registry, image, ..
    } = &setup;
    registry.forget_requests();
    let files = [&image.fsmeta, &image.vmdk];
    for path in files {
        for policy in [PullPolicy::IfMissing, PullPolicy::Never] {
            for is_deleted in [true, false] {
                let bytes = fs::read(path).unwrap();
                fs::remove_file(path).unwrap();
                if !is_deleted {
                    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
                }
                let again = setup.pull(policy).await.unwrap();
                assert!(!again.cached);
                assert_eq!(again.extents, image.extents);
                assert_eq!(setup.contents(), sound);
                assert!(setup.pull(policy).await.unwrap().cached);
            }
        }
    }
    // The whole directory.
    fs::remove_dir_all(image.fsmeta.parent().unwrap()).unwrap();
    setup.pull(PullPolicy::Never).await.unwrap();
    assert_eq!(setup.contents(), sound);
    assert_eq!(registry.requests().len(), 0);
}

#[tokio::test]
async fn a_repair_of_the_disk_makes_no_request() {
    let setup = Setup::new().await;
    let sound = setup.contents();
    setup.registry.forget_requests();
    // The last byte of fsmeta is padding, which no structure covers.
    let mut bytes = fs::read(&setup.image.fsmeta).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    replace(&setup.image.fsmeta, &bytes);
    let repair = setup.puller().repair(&setup.reference).await.unwrap();
    let kinds: Vec<_> = repair.found.damage.iter().map(|d| d.artifact).collect();
    assert_eq!(kinds, [ArtifactKind::Fsmeta]);
    assert!(repair.is_sound() && repair.layers.is_empty());
    assert_eq!(setup.contents(), sound);
    assert_eq!(setup.registry.requests().len(), 0);
}

#[tokio::test]
async fn an_image_whose_tag_has_moved_is_repaired_by_digest() {
    let setup = Setup::new().await;
    let sound = setup.contents();
    setup.move_tag();
    setup.registry.forget_requests();
    for path in [
        setup.image.layers[2].erofs.clone(),
        setup.image.layers[4].erofs.with_extension("layer"),
    ] {
        fs::remove_file(path).unwrap();
    }
    // Both documents, so that the manifest is fetched by its digest too.
    let mut documents = Vec::new();
    files(&setup.cache.path().join("blobs"), &mut documents);
    for path in &documents {
        replace(path, b"{}");
    }
    let repair = setup.puller().repair(&setup.reference).await.unwrap();
    assert!(repair.is_sound(), "{repair:?}");
    assert_eq!(setup.contents(), sound);
    let mut requested = setup.requested_layers();
    requested.sort_unstable();
    assert_eq!(requested, [2, 4]);
    let cached = setup.pull(PullPolicy::Never).await.unwrap();
    assert_eq!(cached.manifest_digest, setup.image.manifest_digest);
}

#[tokio::test]
async fn a_layer_that_is_gone_cannot_be_rebuilt_without_a_registry() {
    let setup = Setup::new().await;
    fs::remove_file(&setup.image.layers[1].erofs).unwrap();
    let error = setup.pull(PullPolicy::Never).await.unwrap_err();
    assert!(matches!(
        error,
        PullError::Cache(CacheError::NotCached { .. })
    ));
}

#[tokio::test]
async fn a_second_reference_over_the_same_layers_uses_the_disk_and_its_checksum() {
    let setup = Setup::new().await;
    let second: Reference = format!("{}/x:second", setup.registry.host())
        .parse()
        .unwrap();
    let index = setup.layout.path().join("index.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::write(&index, text.replace("\"t\"", "\"second\"")).unwrap();
    let pulled = setup
        .puller()
        .pull(&second, &PullOptions::default())
        .await
        .unwrap();
    assert!(pulled.cached);
    let mut bytes = fs::read(&pulled.fsmeta).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    replace(&pulled.fsmeta, &bytes);
    let cache = GlobalCache::new(setup.cache.path()).unwrap();
    for reference in [&setup.reference, &second] {
        let found = cache.verify(reference, &amd64(), true).unwrap();
        assert_eq!(found.damage.len(), 1, "{reference}");
    }
}

#[tokio::test]
async fn a_disk_without_its_checksum_is_rebuilt_for_a_new_record() {
    let setup = Setup::new().await;
    let checksum = setup.only_in("disks", ".crc32c");
    let line = fs::read(&checksum).unwrap();
    replace(&checksum, b"");
    // The record still has the checksum.
    assert!(setup.pull(PullPolicy::IfMissing).await.unwrap().cached);
    let again = setup.pull(PullPolicy::Always).await.unwrap();
    assert!(!again.cached);
    assert_eq!(fs::read(&checksum).unwrap(), line);
    assert!(setup.pull(PullPolicy::Always).await.unwrap().cached);
}
