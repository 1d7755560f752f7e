//! Mutations of good artifacts, with digests that fit: nothing wrong is published, and nothing panics.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use erofs_format::Crc32c;
use microsandbox_image::{Digest, GlobalCache, Platform, SourceForm, Timeouts};
use msb_ranges::Table;
use msb_registry::{BlobUpload, Client};
use msb_testkit::registry::DockerRegistry;
use serde_json::{Value, json};

use super::pull::{published, read_blob};
use super::*;
use crate::common::reference;

/// The length of the trailer of a sidecar, and where it has the length and the checksum of the image, and its own checksum.
const TRAILER: usize = 104;
const IMAGE_BYTES: usize = 60;
const IMAGE_CHECKSUM: usize = 68;
const OWN_CHECKSUM: usize = 88;

const MUTATIONS: u32 = 208;

/// Random numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn flip(&mut self, bytes: &mut [u8]) {
        let at = self.below(bytes.len());
        bytes[at] ^= 1 << self.below(8);
    }
}

/// What is published, uncompressed.
#[derive(Clone)]
struct Artifacts {
    manifest: Value,
    image: Vec<u8>,
    sidecar: Vec<u8>,
}

impl Artifacts {
    /// Makes the sidecar state the image as it is.
    fn fit_sidecar(&mut self) {
        let start = self.sidecar.len() - TRAILER;
        let trailer = &mut self.sidecar[start..];
        let bytes = (self.image.len() as u64).to_le_bytes();
        trailer[IMAGE_BYTES..][..8].copy_from_slice(&bytes);
        let checksum = Crc32c::of(&self.image).get().to_le_bytes();
        trailer[IMAGE_CHECKSUM..][..4].copy_from_slice(&checksum);
        let own = Crc32c::of(&trailer[..OWN_CHECKSUM]).get().to_le_bytes();
        trailer[OWN_CHECKSUM..][..4].copy_from_slice(&own);
    }
}

fn decoded(blob: &[u8]) -> Vec<u8> {
    let blob = blob.to_vec();
    let table = Table::read(&blob).unwrap();
    let ranges = (0..table.len()).map(|index| table.range(index, &blob).unwrap());
    ranges.collect::<Vec<_>>().concat()
}

fn encoded(file: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    msb_ranges::encode(&file.to_vec(), &mut blob).unwrap();
    blob
}

/// A registry in which anything can be published.
struct Publisher<'a> {
    client: Client,
    registry: &'a DockerRegistry,
    original: Value,
}

impl Publisher<'_> {
    async fn blob(&self, bytes: Vec<u8>) -> Digest {
        let digest = Digest::sha256_of(&bytes);
        let upload = BlobUpload::new(digest, bytes.len() as u64, Arc::new(bytes));
        let reference = reference(self.registry, "app:1");
        self.client.push_blob(&reference, &upload).await.unwrap();
        digest
    }

    /// Publishes the artifacts as the first layer under the tag `tag`. `last` may change the blobs and the manifest after their digests fit.
    async fn publish(
        &self,
        artifacts: &Artifacts,
        tag: &str,
        last: impl FnOnce(&mut Vec<u8>, &mut Value),
    ) -> Option<Reference> {
        let mut manifest = artifacts.manifest.clone();
        let sidecar = encoded(&artifacts.sidecar);
        let bytes = sidecar.len();
        let digest = self.blob(sidecar).await;
        let layer = &mut manifest["layers"][0];
        layer["annotations"]["dev.microsandbox.layer.sidecar"] = format!("{digest} {bytes}").into();
        let mut image = encoded(&artifacts.image);
        last(&mut image, &mut manifest);
        if manifest["layers"][0]["size"].is_u64() {
            manifest["layers"][0]["size"] = image.len().into();
        }
        let digest = self.blob(image).await;
        manifest["layers"][0]["digest"] = digest.to_string().into();
        if let Some(lie) = manifest["lie"].take().as_i64() {
            let size = manifest["layers"][0]["size"].as_i64().unwrap();
            manifest["layers"][0]["size"] = (size + lie).into();
        }
        manifest.as_object_mut().unwrap().remove("lie");
        let bytes = Bytes::from(manifest.to_string());
        let name = reference(self.registry, &format!("app:{tag}"));
        let digest = Digest::sha256_of(&bytes);
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let by_digest = name.with_digest(digest);
        let pushed = self
            .client
            .push_manifest(&by_digest, media_type, &bytes)
            .await;
        // The registry refuses some of them itself.
        pushed.ok()?;
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [self.original, {
                "mediaType": media_type,
                "digest": digest.to_string(),
                "size": bytes.len(),
                "platform": {"os": "linux", "architecture": "amd64", "os.features": ["erofs"]},
                "annotations": {"dev.microsandbox.image.original": self.original["digest"]},
            }],
        });
        let index = Bytes::from(index.to_string());
        let media_type = "application/vnd.oci.image.index.v1+json";
        self.client
            .push_manifest(&name, media_type, &index)
            .await
            .unwrap();
        Some(name)
    }
}

/// Changes the artifacts. Returns whether a pull may succeed, because only its publisher can know what a file should contain.
fn mutate(artifacts: &mut Artifacts, kind: u32, random: &mut Random) -> bool {
    match kind {
        0 => random.flip(&mut artifacts.image),
        1 => {
            random.flip(&mut artifacts.image);
            artifacts.fit_sidecar();
            return true;
        }
        2 => {
            // The first two blocks have the superblock and its checksum.
            let at = 1024 + random.below(128);
            artifacts.image[at] ^= 1 << random.below(8);
            artifacts.fit_sidecar();
            return true;
        }
        3 => {
            let length = random.below(artifacts.image.len());
            artifacts.image.truncate(length);
            artifacts.fit_sidecar();
        }
        4 => random.flip(&mut artifacts.sidecar),
        5 => {
            let length = random.below(artifacts.sidecar.len());
            artifacts.sidecar.truncate(length);
        }
        6 => {
            let more = 4096 * (1 + random.below(5));
            artifacts.image.extend(std::iter::repeat_n(7, more));
            if random.below(2) == 0 {
                artifacts.fit_sidecar();
                return true;
            }
        }
        7 => artifacts.image.clear(),
        _ => {}
    }
    false
}

/// Changes the compressed image or the manifest. Returns whether a pull may succeed.
fn mutate_last(blob: &mut Vec<u8>, manifest: &mut Value, kind: u32, random: &mut Random) -> bool {
    let layer = &mut manifest["layers"][0];
    match kind {
        8 => {
            // A flip in the table changes nothing for a pull of the whole.
            random.flip(blob);
            return true;
        }
        9 => {
            let length = random.below(blob.len());
            blob.truncate(length);
        }
        10 => {
            let lies = [-4096_i64, -1, 1, 1 << 40];
            manifest["lie"] = lies[random.below(lies.len())].into();
        }
        11 => {
            let lies = ["", "x", "sha256:00 1", "sha512:00 1"];
            layer["annotations"]["dev.microsandbox.layer.sidecar"] =
                lies[random.below(lies.len())].into();
        }
        12 => {
            let name = [
                "dev.microsandbox.image.original",
                "dev.microsandbox.image.version",
            ];
            manifest["annotations"][name[random.below(2)]] = "sha256:00".into();
        }
        _ => return true,
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hostile_artifact_is_published() {
    let (registry, pushed, _) = published().await;
    let read =
        |digest: &str| -> Value { serde_json::from_slice(&read_blob(&registry, digest)).unwrap() };
    let manifest = read(&pushed.erofs_digest.to_string());
    let layer = &manifest["layers"][0];
    let sidecar = layer["annotations"]["dev.microsandbox.layer.sidecar"]
        .as_str()
        .unwrap();
    let good = Artifacts {
        image: decoded(&read_blob(&registry, layer["digest"].as_str().unwrap())),
        sidecar: decoded(&read_blob(&registry, sidecar.split(' ').next().unwrap())),
        manifest: manifest.clone(),
    };
    let publisher = Publisher {
        client: Client::builder()
            .plain_http(registry.host())
            .build()
            .unwrap(),
        registry: &registry,
        original: read(&pushed.digest.to_string())["manifests"][0].clone(),
    };
    // The harness itself publishes what a pull takes.
    let name = publisher.publish(&good, "good", |_, _| {}).await.unwrap();
    let cache = tempfile::tempdir().unwrap();
    pull_hastily(cache.path(), &name).await.unwrap();

    let mut refused = 0;
    for number in 0..MUTATIONS {
        let mut random = Random(u64::from(number) + 1);
        let kind = number % 13;
        let mut artifacts = good.clone();
        let mut may_succeed = mutate(&mut artifacts, kind, &mut random);
        let tag = format!("m{number}");
        let name = publisher.publish(&artifacts, &tag, |blob, manifest| {
            may_succeed |= kind >= 8 && mutate_last(blob, manifest, kind, &mut random);
        });
        let Some(name) = name.await else {
            refused += 1;
            continue;
        };
        let cache = tempfile::tempdir().unwrap();
        match pull_hastily(cache.path(), &name).await {
            Ok(result) => {
                assert!(may_succeed, "mutation {number} of kind {kind} was accepted");
                result.verify(false).unwrap();
            }
            Err(_) => {
                refused += 1;
                // The other layers are good, and stay.
                let layer = layer["annotations"]["dev.microsandbox.layer.diff-id"].as_str();
                let hex = layer.unwrap().strip_prefix("sha256:").unwrap();
                let has_layer = walk_names(cache.path()).iter().any(|name| {
                    name.contains(hex) && (name.ends_with(".erofs") || name.ends_with(".layer"))
                });
                assert!(!has_layer, "mutation {number} of kind {kind} left a layer");
            }
        }
    }
    assert!(refused > MUTATIONS / 2, "{refused}");
}

async fn pull_hastily(
    cache: &Path,
    reference: &Reference,
) -> Result<PullResult, microsandbox_image::PullError> {
    let timeouts = Timeouts::default()
        .with_retry_time(Duration::from_millis(100))
        .with_backoff(Duration::from_millis(10));
    let cache = GlobalCache::new(cache).unwrap();
    let registry = Registry::builder(Platform::new("linux", "amd64"), cache);
    let registry = registry.timeouts(timeouts).build().unwrap();
    let options = PullOptions {
        source: SourceForm::Erofs,
        ..Default::default()
    };
    registry.pull(reference, &options).await
}

/// Returns the names of all files of the layers of a cache.
fn walk_names(cache: &Path) -> Vec<String> {
    let folder = cache.join("layers/sha256");
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect()
}
