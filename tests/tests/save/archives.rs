//! Archives, as other tools and our own `load` read them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use microsandbox_image::{
    ArchiveOptions, ImageArchive, PullResult, SaveFormat, SaveOptions, Verification,
};
use msb_testkit::clients::{crane, oras};
use msb_testkit::image::{ImageBuilder, Layer, read_manifest};
use msb_testkit::registry::DockerRegistry;
use msb_testkit::tree::Listing;
use msb_testkit::worlds::{TAG, World};
use msb_testkit::{skopeo, umoci};

use super::common::{docker_registry, push, reference};
use super::{cache, image, load_keeping, pull_keeping};

fn options(format: SaveFormat) -> SaveOptions {
    SaveOptions::default().with_format(format)
}

fn save(folder: &Path, image: &PullResult, path: &Path, format: SaveFormat) {
    let images = std::slice::from_ref(image);
    let bytes = cache(folder).save(images, path, &options(format)).unwrap();
    assert_eq!(path.metadata().unwrap().len(), bytes);
}

/// Copies an archive with skopeo to a layout, and unpacks that with umoci.
fn unpacked(source: &str, folder: &Path, options: &[&str]) -> Listing {
    fs::create_dir(folder).unwrap();
    let layout = folder.join("layout");
    skopeo::copy(source, &format!("oci:{}:t", layout.display()), options).unwrap();
    umoci::unpack(&layout, "t", &folder.join("bundle")).unwrap()
}

/// Saves an image of a layout in both forms, and compares what skopeo, umoci and our `load` make of them with the original.
async fn round_trips(layout: &Path, tag: &str, has_zstd: bool) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let first = at("cache");
    let loaded = load_keeping(&first, layout, "example.org/x:t").await;
    // umoci does not read zstd; skopeo decompresses.
    let original = at("original.tar");
    skopeo::docker_archive(layout, tag, &original, "example.org/x:t").unwrap();
    let source = format!("docker-archive:{}", original.display());
    let original = unpacked(&source, &at("original"), &[]);

    let oci = at("oci.tar");
    save(&first, &loaded, &oci, SaveFormat::Oci);
    let source = format!("oci-archive:{}:t", oci.display());
    let copy = at("of oci");
    let target = format!("oci:{}:t", copy.display());
    skopeo::copy(&source, &target, &["--preserve-digests"]).unwrap();
    let (digest, _) = read_manifest(&copy, "t").unwrap();
    assert_eq!(digest, loaded.manifest_digest.to_string());
    if !has_zstd {
        let tree = umoci::unpack(&copy, "t", &at("bundle of oci")).unwrap();
        original
            .same("original", &tree, "oci archive", &umoci::known_losses())
            .unwrap();
    }

    let docker = at("docker.tar");
    save(&first, &loaded, &docker, SaveFormat::Docker);
    let source = format!("docker-archive:{}", docker.display());
    let tree = unpacked(&source, &at("of docker"), &[]);
    original
        .same("original", &tree, "docker archive", &umoci::known_losses())
        .unwrap();

    let fsmeta = fs::read(&loaded.fsmeta).unwrap();
    for archive in [&oci, &docker] {
        let again = load_keeping(&at("other"), archive, "example.org/x:t").await;
        assert!(fs::read(&again.fsmeta).unwrap() == fsmeta);
        assert_eq!(again.layer_diff_ids, loaded.layer_diff_ids);
        assert_eq!(again.config, loaded.config);
        if archive == &oci {
            assert_eq!(again.manifest_digest, loaded.manifest_digest);
            let copy = at("again.tar");
            save(&at("other"), &again, &copy, SaveFormat::Oci);
            assert!(fs::read(&copy).unwrap() == fs::read(&oci).unwrap());
        }
    }
}

#[tokio::test]
async fn archives_of_all_compressions_go_through_skopeo_umoci_and_load() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    image().write_layout(&layout, "t").unwrap();
    round_trips(&layout, "t", true).await;
}

#[tokio::test]
async fn archives_of_a_python_application_go_through_skopeo_umoci_and_load() {
    round_trips(&World::Python.layout().unwrap(), TAG, false).await;
}

#[tokio::test]
async fn a_docker_manifest_keeps_its_bytes() {
    let registry = docker_registry();
    let built = push(&registry, "x", &image().docker_schema2());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let pulled = pull_keeping(&at("cache"), &reference(&registry, "x:t"))
        .await
        .unwrap();
    save(&at("cache"), &pulled, &at("oci.tar"), SaveFormat::Oci);
    let name = pulled.reference.to_string();
    let loaded = load_keeping(&at("other"), &at("oci.tar"), &name).await;
    assert_eq!(loaded.manifest_digest.to_string(), built.manifest_digest);
    assert_eq!(loaded.reference, pulled.reference);
    let manifest = cache(&at("other")).blob(&loaded.manifest_digest).unwrap();
    assert_eq!(manifest, Some(built.manifest));
}

/// Returns the members of an archive and their bytes.
fn members(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        (name, bytes)
    });
    entries.collect()
}

#[tokio::test]
async fn several_images_share_layers_and_the_order_of_names_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let base = Layer::recipe("dir a\nfile a/b size=5000 seed=1").gzip();
    let small = ImageBuilder::new().layer(base.clone());
    let large = ImageBuilder::new()
        .layer(base)
        .layer(Layer::recipe("file c data=x").gzip());
    small.write_layout(&at("small"), "t").unwrap();
    large.write_layout(&at("large"), "t").unwrap();
    let first = at("cache");
    let small = load_keeping(&first, &at("small"), "example.org/small:t").await;
    let alias = load_keeping(&first, &at("small"), "example.org/alias:t").await;
    let large = load_keeping(&first, &at("large"), "example.org/large:t").await;
    let store = cache(&first);
    for format in [SaveFormat::Oci, SaveFormat::Docker] {
        let mut archive = Vec::new();
        let images = [small.clone(), large.clone(), alias.clone(), small.clone()];
        store.save_to(&images, &mut archive, format).unwrap();
        let mut other = Vec::new();
        let images = [large.clone(), alias.clone(), small.clone()];
        store.save_to(&images, &mut other, format).unwrap();
        assert!(archive == other, "{format}");
        let names = members(&archive);
        let layers = match format {
            // Two configs, two manifests and two layers, in two directories.
            SaveFormat::Oci => {
                names
                    .keys()
                    .filter(|name| name.starts_with("blobs/"))
                    .count()
                    - 2
            }
            _ => names.keys().filter(|name| name.ends_with(".tar")).count() + 4,
        };
        assert_eq!(layers, 6, "{format}: {:?}", names.keys());
        fs::write(at("archive"), &archive).unwrap();
        let opened = ImageArchive::open(at("archive"), ArchiveOptions::default()).await;
        let mut found: Vec<String> = opened
            .unwrap()
            .images()
            .unwrap()
            .iter()
            .map(|image| image.reference().to_string())
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                "example.org/alias:t",
                "example.org/large:t",
                "example.org/small:t"
            ]
        );
    }
}

#[tokio::test]
async fn loading_a_saved_image_into_its_own_cache_writes_no_artifacts() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    image().write_layout(&at("layout"), "t").unwrap();
    let loaded = load_keeping(&at("cache"), &at("layout"), "example.org/x:t").await;
    for format in [SaveFormat::Oci, SaveFormat::Docker] {
        let archive = at(&format.to_string());
        save(&at("cache"), &loaded, &archive, format);
        let again = load_keeping(&at("cache"), &archive, "example.org/x:t").await;
        assert_eq!(again.fsmeta, loaded.fsmeta);
        // Only uncompressed blobs are new to a cache that has the compressed ones.
        assert_eq!(again.cached, format == SaveFormat::Oci);
        let sound = cache(&at("cache")).verify(&again.reference, &again.platform, true);
        assert!(sound.as_ref().is_ok_and(Verification::is_sound));
    }
}

#[tokio::test]
async fn an_image_without_a_tag_has_no_name_in_the_archive() {
    let registry = docker_registry();
    let built = push(&registry, "x", &image());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let by_digest = reference(&registry, &format!("x@{}", built.manifest_digest));
    let pulled = pull_keeping(&at("cache"), &by_digest).await.unwrap();
    for format in [SaveFormat::Oci, SaveFormat::Docker] {
        let archive = at(&format.to_string());
        save(&at("cache"), &pulled, &archive, format);
        let opened = ImageArchive::open(&archive, ArchiveOptions::default()).await;
        opened.unwrap().images().unwrap_err();
        let loaded = load_keeping(&at("other"), &archive, "example.org/x:t").await;
        assert_eq!(loaded.layer_diff_ids, pulled.layer_diff_ids);
    }
}

/// Returns what oras and crane name an image.
fn named(registry: &DockerRegistry, name: &str) -> String {
    format!("{}/{name}", registry.host())
}

#[tokio::test]
async fn crane_and_oras_push_what_we_save_and_we_load_what_crane_saves() {
    let registry = docker_registry();
    // crane validates gzip alone.
    let image = ImageBuilder::new()
        .layer(Layer::recipe("dir etc\nfile etc/a size=9000 seed=1").gzip())
        .layer(Layer::recipe("whiteout etc/a\nfile etc/b size=5000 seed=2").gzip());
    let built = push(&registry, "app", &image);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let pulled = pull_keeping(&at("cache"), &reference(&registry, "app:t"))
        .await
        .unwrap();
    let fsmeta = fs::read(&pulled.fsmeta).unwrap();
    let (oci, docker) = (at("oci.tar"), at("docker.tar"));
    save(&at("cache"), &pulled, &oci, SaveFormat::Oci);
    save(&at("cache"), &pulled, &docker, SaveFormat::Docker);
    let [oci, docker] = [oci, docker].map(|path| path.to_str().unwrap().to_owned());

    let by_oras = named(&registry, "by/oras:t");
    let args = ["copy", "--from-oci-layout", &format!("{oci}:t")];
    oras(&[&args[..], &["--to-plain-http", &by_oras]].concat()).unwrap();
    assert_eq!(crane(&["digest", &by_oras]).unwrap(), built.manifest_digest);
    crane(&["validate", "--remote", &by_oras]).unwrap();

    crane(&["validate", "--tarball", &docker]).unwrap();
    let by_crane = named(&registry, "by/crane:t");
    crane(&["push", &docker, &by_crane]).unwrap();
    let again = pull_keeping(&at("other"), &by_crane.parse().unwrap()).await;
    assert!(fs::read(again.unwrap().fsmeta).unwrap() == fsmeta);

    let source = named(&registry, "app:t");
    for format in ["tarball", "legacy", "oci"] {
        let path = at(format);
        let args = ["pull", "--format", format, &source, path.to_str().unwrap()];
        crane(&args).unwrap();
        let loaded = load_keeping(&at(&format!("cache of {format}")), &path, &source).await;
        assert!(fs::read(loaded.fsmeta).unwrap() == fsmeta, "{format}");
    }
}

#[tokio::test]
async fn an_artifact_of_oras_is_no_image() {
    let registry = docker_registry();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.txt");
    fs::write(&file, "text").unwrap();
    let name = named(&registry, "artifact:t");
    let path = file.to_str().unwrap();
    let args = [
        "push",
        "--plain-http",
        "--disable-path-validation",
        &name,
        path,
    ];
    oras(&args).unwrap();
    let error = pull_keeping(&folder.path().join("cache"), &name.parse().unwrap()).await;
    let text = error.unwrap_err().to_string();
    let expected =
        "it is no image: its config has the media type application/vnd.oci.empty.v1+json";
    assert!(text.ends_with(expected), "{text}");
}
