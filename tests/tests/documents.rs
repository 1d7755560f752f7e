//! Which image a reference resolves to, and which documents are refused before a layer is fetched.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

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

    /// Puts an image into the layout, whose only file has that name.
    fn image(&self, file: &str, os: &str, architecture: &str) -> BuiltImage {
        let image = image(file).platform(os, architecture);
        image.write_layout(self.layout.path(), "image").unwrap()
    }

    /// Puts a document into the layout, and returns its descriptor.
    fn document(&self, media_type: &str, document: &str) -> Value {
        let digest = write_blob(self.layout.path(), document.as_bytes()).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": document.len()})
    }

    /// Puts an index of these children into the layout, and returns its descriptor.
    fn index(&self, children: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children});
        self.document(OCI_INDEX, &index.to_string())
    }

    fn tag(&self, descriptor: Value) {
        write_tag(self.layout.path(), descriptor, "t").unwrap();
    }

    /// Pulls what the registry has now, whatever was pulled before.
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

    /// Expects a pull to fail with all of these words, and to have fetched no layer.
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
        assert!(layer.is_none(), "a layer was fetched: {layer:?}");
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

/// Whether the pulled image has a file of that name.
#[track_caller]
fn has(result: &PullResult, file: &str) -> bool {
    result.open_tree().unwrap().find(file.as_bytes()).is_ok()
}

#[test]
fn a_plain_manifest_of_another_platform_is_refused() {
    let setup = Setup::new();
    let built = setup.image("a", "linux", "arm64");
    setup.tag(built.descriptor());
    setup.refuses(AMD64, &["no image for linux/amd64", "linux/arm64"]);
    assert_eq!(
        setup.pull("linux/arm64").unwrap().platform.to_string(),
        "linux/arm64"
    );
    let built = setup.image("a", "windows", "amd64");
    setup.tag(built.descriptor());
    setup.refuses(AMD64, &["no image for linux/amd64", "windows/amd64"]);
}

#[test]
fn a_child_without_a_platform_is_what_its_config_states() {
    for none in [json!(null), json!({}), on("", "")] {
        let setup = Setup::new();
        let arm = setup.image("arm", "linux", "arm64").descriptor();
        let amd = setup.image("amd", "linux", "amd64").descriptor();
        setup.tag(setup.index(&[with_platform(arm.clone(), none.clone())]));
        setup.refuses(AMD64, &["no image for linux/amd64", "linux/arm64"]);
        setup.tag(setup.index(&[with_platform(arm, none.clone()), with_platform(amd, none)]));
        assert!(has(&setup.pull(AMD64).unwrap(), "amd"));
    }
}

#[test]
fn a_child_whose_config_contradicts_its_index_is_not_taken() {
    let setup = Setup::new();
    let lie = with_platform(
        setup.image("lie", "linux", "arm64").descriptor(),
        on("linux", "amd64"),
    );
    let truth = with_platform(
        setup.image("truth", "linux", "amd64").descriptor(),
        on("linux", "amd64"),
    );
    setup.tag(setup.index(std::slice::from_ref(&lie)));
    setup.refuses(AMD64, &["no image for linux/amd64", "linux/arm64"]);
    setup.tag(setup.index(&[lie, truth]));
    assert!(has(&setup.pull(AMD64).unwrap(), "truth"));
}

#[test]
fn every_candidate_of_nested_indexes_is_considered() {
    let setup = Setup::new();
    let arm = setup.image("arm", "linux", "arm64").descriptor();
    let amd = setup.image("amd", "linux", "amd64").descriptor();
    let dead_end = setup.index(std::slice::from_ref(&arm));
    let deep = setup.index(&[setup.index(std::slice::from_ref(&arm)), setup.index(&[amd])]);
    setup.tag(setup.index(&[dead_end, deep]));
    assert!(has(&setup.pull(AMD64).unwrap(), "amd"));
    setup.refuses(
        "linux/s390x",
        &["no image for linux/s390x", "linux/amd64, linux/arm64"],
    );
}

#[test]
fn a_child_that_is_no_image_is_passed_over() {
    let setup = Setup::new();
    let config = setup.document("application/vnd.oci.empty.v1+json", "{}");
    let artifact = json!({"schemaVersion": 2, "config": config, "layers": []});
    let artifact = setup.document(OCI_MANIFEST, &artifact.to_string());
    let amd = setup.image("amd", "linux", "amd64").descriptor();
    setup.tag(setup.index(&[artifact.clone(), amd]));
    assert!(has(&setup.pull(AMD64).unwrap(), "amd"));
    setup.tag(setup.index(std::slice::from_ref(&artifact)));
    setup.refuses(AMD64, &["image config sha256:", "missing field `rootfs`"]);
}

#[test]
fn a_child_that_needs_a_feature_is_skipped_and_named() {
    let setup = Setup::new();
    let needs = setup.image("needs", "linux", "amd64").descriptor();
    let mut platform = on("linux", "amd64");
    platform["os.features"] = json!(["erofs"]);
    let needs = with_platform(needs, platform);
    let plain = with_platform(
        setup.image("plain", "linux", "amd64").descriptor(),
        on("linux", "amd64"),
    );
    setup.tag(setup.index(&[needs.clone(), plain]));
    assert!(has(&setup.pull(AMD64).unwrap(), "plain"));
    setup.tag(setup.index(&[needs]));
    setup.refuses(AMD64, &["linux/amd64 (needs os.features erofs"]);
}

#[test]
fn a_feature_in_the_config_is_mandatory_too() {
    let setup = Setup::new();
    let config = json!({"os": "linux", "architecture": "amd64", "os.features": ["erofs"], "rootfs": {"diff_ids": []}});
    let image = ImageBuilder::new().config_bytes(config.to_string());
    let built = image.write_layout(setup.layout.path(), "image").unwrap();
    setup.tag(built.descriptor());
    setup.refuses(AMD64, &["linux/amd64 (needs os.features erofs"]);
}

#[test]
fn the_result_has_the_images_own_platform() {
    let setup = Setup::new();
    let v6 = image("v6").platform("linux", "arm").variant("v6");
    let index = IndexBuilder::new().image(v6);
    index.write_layout(setup.layout.path(), "t").unwrap();
    assert_eq!(
        setup.pull("linux/arm/v7").unwrap().platform.to_string(),
        "linux/arm/v6"
    );
    // It is found again by what was asked for.
    let never = PullOptions {
        pull_policy: PullPolicy::Never,
        ..Default::default()
    };
    let again = setup.pull_by("linux/arm/v7", &never).unwrap();
    assert_eq!(
        (again.platform.to_string().as_str(), again.cached),
        ("linux/arm/v6", true)
    );
    let cache = GlobalCache::new(setup.cache.path()).unwrap();
    assert_eq!(
        cache.images().unwrap()[0].platform.to_string(),
        "linux/arm/v7"
    );
}

#[test]
fn a_config_without_a_platform_is_taken_with_a_note() {
    let setup = Setup::new();
    let config = json!({"rootfs": {"diff_ids": []}});
    let image = ImageBuilder::new().config_bytes(config.to_string());
    let built = image.write_layout(setup.layout.path(), "t").unwrap();
    let result = setup.pull(AMD64).unwrap();
    assert_eq!(result.platform.to_string(), AMD64);
    assert!(
        result.notes[0]
            .to_string()
            .contains("does not state its platform"),
        "{:?}",
        result.notes
    );
    // An index that states it is enough.
    setup.tag(setup.index(&[with_platform(built.descriptor(), on("linux", "amd64"))]));
    let always = PullOptions {
        pull_policy: PullPolicy::Always,
        ..Default::default()
    };
    assert!(setup.pull_by(AMD64, &always).unwrap().notes.is_empty());
    // Half a platform is compared as far as it goes.
    let config = json!({"architecture": "arm64", "rootfs": {"diff_ids": []}});
    let image = ImageBuilder::new().config_bytes(config.to_string());
    image.write_layout(setup.layout.path(), "t").unwrap();
    let error = setup.pull_by(AMD64, &always).unwrap_err();
    assert!(
        chain(&error).contains("there is linux/arm64"),
        "{}",
        chain(&error)
    );
}

#[test]
fn children_that_are_not_as_announced_are_refused() {
    let setup = Setup::new();
    let amd = setup.image("amd", "linux", "amd64").descriptor();
    let size = amd["size"].as_u64().unwrap();
    for (member, value, words) in [
        (
            "size",
            json!(size + 1),
            ["size mismatch", &*(size + 1).to_string()],
        ),
        (
            "size",
            json!(size - 1),
            ["size mismatch", &*size.to_string()],
        ),
        (
            "mediaType",
            json!(OCI_INDEX),
            ["media type mismatch", "image.index.v1"],
        ),
        (
            "mediaType",
            json!("application/vnd.docker.distribution.manifest.v2+json"),
            ["media type mismatch", "docker"],
        ),
    ] {
        let mut child = amd.clone();
        child[member] = value;
        setup.tag(setup.index(&[child]));
        setup.refuses(
            AMD64,
            &[words[0], words[1], amd["digest"].as_str().unwrap()],
        );
    }
    let mut nested = setup.index(std::slice::from_ref(&amd));
    nested["mediaType"] = OCI_MANIFEST.into();
    setup.tag(setup.index(&[nested]));
    setup.refuses(AMD64, &["media type mismatch"]);
}

#[test]
fn repeated_members_are_refused_wherever_they_are() {
    let setup = Setup::new();
    let built = setup.image("a", "linux", "amd64");
    let child = with_platform(built.descriptor(), on("linux", "amd64"));
    let twice = child
        .to_string()
        .replacen("\"digest\"", "\"Digest\":\"sha256:0\",\"digest\"", 1);
    let manifest = String::from_utf8(built.manifest.clone()).unwrap();
    let layers = manifest.replacen("\"layers\"", "\"Layers\":[],\"layers\"", 1);
    for (media_type, document) in [
        (
            OCI_INDEX,
            format!(r#"{{"schemaVersion":2,"manifests":[{child}],"manifests":[]}}"#),
        ),
        (
            OCI_INDEX,
            format!(r#"{{"schemaVersion":2,"manifests":[{twice}]}}"#),
        ),
        (OCI_MANIFEST, layers),
        (
            OCI_MANIFEST,
            manifest.replacen("\"size\"", "\"size\":1,\"size\"", 1),
        ),
    ] {
        setup.tag(setup.document(media_type, &document));
        setup.refuses(AMD64, &["duplicate field `"]);
    }
    let config =
        br#"{"os":"linux","architecture":"amd64","Architecture":"arm64","rootfs":{"diff_ids":[]}}"#;
    let image = ImageBuilder::new().config_bytes(&config[..]);
    image.write_layout(setup.layout.path(), "t").unwrap();
    setup.refuses(
        AMD64,
        &["image config sha256:", "duplicate field `architecture`"],
    );
}

#[test]
fn sizes_beyond_63_bits_are_refused_by_name() {
    let setup = Setup::new();
    let mut layers = json!([null]);
    for size in [json!(1_u64 << 63), json!(u64::MAX), json!(-1)] {
        layers[0] = json!({"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": format!("sha256:{:064}", 1), "size": size});
        let image = image("a").manifest_patch(json!({"layers": layers}));
        image.write_layout(setup.layout.path(), "t").unwrap();
        setup.refuses(
            AMD64,
            &["manifest sha256:", "layer 1: sha256:0000", "2^63 - 1"],
        );
    }
    layers[0]["size"] = json!(i64::MAX);
    layers = json!([layers[0], layers[0]]);
    let image = image("a").manifest_patch(json!({"layers": layers}));
    image.write_layout(setup.layout.path(), "t").unwrap();
    setup.refuses(AMD64, &["manifest sha256:", "in all"]);
}

#[test]
fn a_search_reads_a_bounded_number_of_documents() {
    let setup = Setup::new();
    let children: Vec<Value> = (0..200)
        .map(|number| {
            let image = image("a").platform("linux", &format!("a{number}"));
            image
                .write_layout(setup.layout.path(), "image")
                .unwrap()
                .descriptor()
        })
        .collect();
    setup.tag(setup.index(&children));
    setup.refuses(AMD64, &["first 100 documents"]);
    assert!(setup.registry.requests().len() <= 110);
    // Indexes inside one another without an end to them.
    let mut nested = setup.index(&[]);
    for _ in 0..6 {
        nested = setup.index(&[nested]);
    }
    setup.tag(nested);
    setup.refuses(AMD64, &["more than 4 indexes inside one another"]);
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
