//! Resolves references to images, and refuses malformed documents before a layer is downloaded.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod platforms;
mod refused;

use std::error::Error;

use microsandbox_image::{
    Digest, GlobalCache, Platform, PullError, PullOptions, PullPolicy, PullResult, Registry,
};
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::{
    BuiltImage, ImageBuilder, IndexBuilder, Layer, OCI_INDEX, OCI_MANIFEST, write_blob, write_tag,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const AMD64: &str = "linux/amd64";

/// A registry with one repository `x`, its layout, and a cache.
struct Setup {
    registry: FaultRegistry,
    layout: TempDir,
    cache: TempDir,
}

impl Setup {
    fn new() -> Self {
        let registry = FaultRegistry::start().unwrap();
        let layout = tempfile::tempdir().unwrap();
        registry.serve("x", layout.path());
        Self {
            registry,
            layout,
            cache: tempfile::tempdir().unwrap(),
        }
    }

    /// Writes an image with one file of this name into the layout.
    fn image(&self, file: &str, os: &str, architecture: &str) -> BuiltImage {
        let image = image(file).platform(os, architecture);
        image.write_layout(self.layout.path(), "image").unwrap()
    }

    /// Writes a document into the layout and returns its descriptor.
    fn document(&self, media_type: &str, document: &str) -> Value {
        let digest = write_blob(self.layout.path(), document.as_bytes()).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": document.len()})
    }

    /// Writes an index of these children into the layout and returns its descriptor.
    fn index(&self, children: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children});
        self.document(OCI_INDEX, &index.to_string())
    }

    fn tag(&self, descriptor: Value) {
        write_tag(self.layout.path(), descriptor, "t").unwrap();
    }

    /// Pulls the current image of the registry.
    fn pull(&self, platform: &str) -> Result<PullResult, PullError> {
        let options = PullOptions {
            pull_policy: PullPolicy::Always,
            ..Default::default()
        };
        self.pull_by(platform, &options)
    }

    fn pull_by(&self, platform: &str, options: &PullOptions) -> Result<PullResult, PullError> {
        let cache = GlobalCache::new(self.cache.path()).unwrap();
        let platform: Platform = platform.parse().unwrap();
        let registry = Registry::new(platform, cache).unwrap();
        let reference = format!("{}/x:t", self.registry.host()).parse().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(registry.pull(&reference, options))
    }

    /// Expects a pull to fail with all of these words and to download no layer.
    #[track_caller]
    fn refuses(&self, platform: &str, words: &[&str]) {
        self.registry.forget_requests();
        let error = self.pull(platform).unwrap_err();
        let message = chain(&error);
        for word in words {
            assert!(message.contains(word), "{word:?} is not in: {message}");
        }
        let fetched = self.registry.requests();
        let layer = fetched
            .iter()
            .find(|request| request.path.contains("/blobs/") && self.is_layer(&request.path));
        assert!(layer.is_none(), "a layer was downloaded: {layer:?}");
    }

    fn is_layer(&self, path: &str) -> bool {
        let digest = path.rsplit('/').next().unwrap();
        let blob = std::fs::read(msb_testkit::image::blob_path(self.layout.path(), digest));
        blob.is_ok_and(|bytes| !bytes.starts_with(b"{"))
    }
}

fn image(file: &str) -> ImageBuilder {
    ImageBuilder::new().layer(Layer::recipe(&format!("file {file} size=5 seed=1")).gzip())
}

fn with_platform(mut descriptor: Value, platform: Value) -> Value {
    descriptor["platform"] = platform;
    descriptor
}

fn on(os: &str, architecture: &str) -> Value {
    json!({"os": os, "architecture": architecture})
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// Returns whether the pulled image has a file of this name.
#[track_caller]
fn has(result: &PullResult, file: &str) -> bool {
    result.open_tree().unwrap().find(file.as_bytes()).is_ok()
}

#[test]
fn a_byte_order_mark_other_cases_and_null_annotations_are_harmless() {
    let setup = Setup::new();
    let built = setup.image("a", "linux", "amd64");
    let mut child = with_platform(built.descriptor(), json!({}));
    child["annotations"] = json!({"a": null, "b": 7});
    let index = format!(
        "\u{feff}{{\"SchemaVersion\":2,\"Manifests\":[{}],\"annotations\":{{\"c\":null}},\"more\":[[]]}}",
        child.to_string().replace("mediaType", "MediaType")
    );
    setup.tag(setup.document(OCI_INDEX, &index));
    assert!(has(&setup.pull(AMD64).unwrap(), "a"));
}

#[test]
fn a_disk_is_named_by_the_first_bytes_of_its_chain() {
    let setup = Setup::new();
    setup.tag(setup.image("a", "linux", "amd64").descriptor());
    let result = setup.pull(AMD64).unwrap();
    // The UUID lies 48 bytes into the superblock.
    let uuid = |path: &std::path::Path| std::fs::read(path).unwrap()[1024 + 48..][..16].to_vec();
    let chain = format!("{}\n", result.layer_diff_ids[0]);
    let of = |digest: &Digest| {
        (0..16)
            .map(|byte| u8::from_str_radix(&digest.hex()[2 * byte..][..2], 16).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        uuid(&result.fsmeta),
        of(&Digest::sha256_of(chain.as_bytes()))
    );
    assert_eq!(uuid(&result.layers[0].erofs), of(&result.layer_diff_ids[0]));
}
