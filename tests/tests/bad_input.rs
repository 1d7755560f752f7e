//! Bad input and faults outside: the error is one line with object and step, nothing is published, and the next good pull succeeds.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics, and prints what it saw"
)]

mod common;

use std::path::Path;
use std::process::Command;

use common::{docker_registry, is_unpublished, push, run};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::registry::{DockerRegistry, RegistryOptions};
use serde_json::json;

fn good_layer() -> Layer {
    Layer::recipe("dir etc\nfile etc/a size=200000 seed=1").gzip()
}

/// Expects a pull to fail with all of these words in the first line of the error, without publishing anything.
#[track_caller]
fn refuses(cache: &Path, arguments: &[&str], words: &[&str]) {
    let output = run(cache, arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let first = stderr
        .lines()
        .find(|line| line.starts_with("error: "))
        .unwrap_or_default();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(output.stdout.is_empty(), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
    }
    assert!(
        words.first().is_some_and(|word| first.contains(word)),
        "the first line names no object: {stderr}"
    );
    assert!(
        !stderr.contains("panicked") && !stderr.chars().any(|c| c.is_control() && c != '\n'),
        "{stderr}"
    );
    assert!(is_unpublished(cache), "something was published");
    println!("{stderr}");
}

/// Expects a pull into the same cache to succeed.
#[track_caller]
fn takes(cache: &Path, reference: &str) {
    let output = run(
        cache,
        &["pull", "--progress", "none", "--format", "json", reference],
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(Path::new(line["vmdk"].as_str().unwrap()).exists());
}

/// Returns the path of a blob in the registry.
fn stored(registry: &DockerRegistry, digest: &str) -> std::path::PathBuf {
    let hex = digest.trim_start_matches("sha256:");
    registry.storage().join(format!(
        "docker/registry/v2/blobs/sha256/{}/{hex}/data",
        &hex[..2]
    ))
}

fn pulls(registry: &DockerRegistry, name: &str, image: &ImageBuilder, words: &[&str]) {
    let good = ImageBuilder::new().layer(good_layer());
    push(registry, name, image);
    push(registry, "good", &good);
    let cache = tempfile::tempdir().unwrap();
    refuses(
        cache.path(),
        &["pull", &format!("{}/{name}:t", registry.host())],
        words,
    );
    takes(cache.path(), &format!("{}/good:t", registry.host()));
}

#[test]
fn wrong_digest() {
    let registry = docker_registry();
    let layer = Layer::recipe("file a size=100000 seed=5").plain();
    let digest = layer.digest().to_owned();
    push(&registry, "x", &ImageBuilder::new().layer(layer));
    let path = stored(&registry, &digest);
    let mut bytes = std::fs::read(&path).unwrap();
    let whole = bytes.clone();
    bytes[5000] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let reference = format!("{}/x:t", registry.host());
    refuses(
        cache.path(),
        &["pull", &reference],
        &[&digest, "blob digest mismatch: expected"],
    );
    std::fs::write(&path, whole).unwrap();
    takes(cache.path(), &reference);
}

#[test]
fn wrong_diff_id() {
    let other = format!("sha256:{}", "0".repeat(64));
    let layer = good_layer().with_diff_id(&other);
    let digest = layer.digest().to_owned();
    pulls(
        &docker_registry(),
        "x",
        &ImageBuilder::new().layer(layer),
        &[&digest, "diff_id mismatch: expected", &other],
    );
}

#[test]
fn short_body() {
    let registry = docker_registry();
    let layer = good_layer();
    let digest = layer.digest().to_owned();
    push(&registry, "x", &ImageBuilder::new().layer(layer));
    let path = stored(&registry, &digest);
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let reference = format!("{}/x:t", registry.host());
    refuses(cache.path(), &["pull", &reference], &[&digest[..19]]);
    // The number of retries is bounded.
    let gets = registry.blob_gets(&digest);
    assert!((2..=12).contains(&gets), "{gets} requests");
    std::fs::write(&path, bytes).unwrap();
    takes(cache.path(), &reference);
}

#[test]
fn tar_with_dot_dot() {
    let layer = Layer::recipe("file a/../../etc/passwd size=1").gzip();
    let digest = layer.digest().to_owned();
    pulls(
        &docker_registry(),
        "x",
        &ImageBuilder::new().layer(layer),
        &[&digest, "a/../../etc/passwd", "\"..\""],
    );
}

#[test]
fn truncated_gzip() {
    let whole = good_layer();
    let cut = whole.blob_bytes().unwrap();
    let layer = whole.clone().with_blob(cut[..cut.len() - 100].to_vec());
    let digest = layer.digest().to_owned();
    pulls(
        &docker_registry(),
        "x",
        &ImageBuilder::new().layer(layer),
        &[&digest, "decompressing"],
    );
}

#[test]
fn more_layers_than_diff_ids() {
    let image = ImageBuilder::new().layer(good_layer()).diff_ids(vec![]);
    pulls(
        &docker_registry(),
        "x",
        &image,
        &["manifest sha256:", "1 layers", "0 diff_ids"],
    );
}

#[test]
fn unknown_platform_repository_tag_and_host() {
    let registry = docker_registry();
    let host = registry.host();
    let index = msb_testkit::image::IndexBuilder::new().image(
        ImageBuilder::new()
            .layer(good_layer())
            .platform("linux", "s390x"),
    );
    let layout = tempfile::tempdir().unwrap();
    index.write_layout(layout.path(), "t").unwrap();
    registry
        .push_oci_layout(layout.path(), "multi", "t")
        .unwrap();
    push(&registry, "good", &ImageBuilder::new().layer(good_layer()));
    let cache = tempfile::tempdir().unwrap();
    let multi = format!("{host}/multi:t");
    refuses(
        cache.path(),
        &["pull", &multi, "--platform", "linux/arm64"],
        &[&multi, "linux/arm64", "linux/s390x"],
    );
    for name in ["good:other", "nothing:t"] {
        let name = format!("{host}/{name}");
        refuses(cache.path(), &["pull", &name], &[&name]);
    }
    // Nothing listens on port 1.
    refuses(
        cache.path(),
        &["pull", "--retry-seconds", "1", "127.0.0.1:1/x:t"],
        &["127.0.0.1:1/x:t"],
    );
    takes(cache.path(), &format!("{host}/good:t"));
}

#[test]
fn a_registry_that_wants_a_password() {
    let login = ("user".to_owned(), "s3cret-word".to_owned());
    let options = RegistryOptions {
        basic_auth: Some(login),
        tls: true,
        ..RegistryOptions::default()
    };
    let registry = DockerRegistry::start(options).unwrap();
    let layout = tempfile::tempdir().unwrap();
    ImageBuilder::new()
        .layer(good_layer())
        .write_layout(layout.path(), "t")
        .unwrap();
    registry
        .push_oci_layout(layout.path(), "private", "t")
        .unwrap();
    let reference = format!("{}/private:t", registry.host());
    let ca = registry.ca_cert().unwrap();
    let ca = ca.to_str().unwrap();
    let cache = tempfile::tempdir().unwrap();
    refuses(
        cache.path(),
        &["pull", "--ca-cert", ca, &reference],
        &[&reference, "not authorized", "hint: "],
    );

    let sign_in = |password: &str| {
        use std::io::Write;
        let mut child = Command::new(common::msb_image())
            .arg("--cache-dir")
            .arg(cache.path())
            .args([
                "pull",
                "--ca-cert",
                ca,
                "--username",
                "user",
                "--password-stdin",
                &reference,
            ])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(password.as_bytes())
            .unwrap();
        child.wait_with_output().unwrap()
    };
    let wrong = sign_in("not-the-w0rd\n");
    let said = String::from_utf8([wrong.stdout, wrong.stderr].concat()).unwrap();
    assert_eq!(wrong.status.code(), Some(1), "{said}");
    assert!(
        !said.contains("not-the-w0rd") && !said.contains("bm90LXRoZS13MHJk"),
        "{said}"
    );
    let right = sign_in("s3cret-word\n");
    let said = String::from_utf8([right.stdout, right.stderr].concat()).unwrap();
    assert!(
        right.status.success() && !said.contains("s3cret-word"),
        "{said}"
    );
}

#[test]
fn full_disk() {
    let registry = docker_registry();
    let layer = Layer::recipe("file big size=30000000 seed=9 fill=text").gzip();
    let diff_id = layer.diff_id().trim_start_matches("sha256:").to_owned();
    push(&registry, "x", &ImageBuilder::new().layer(layer));
    let reference = format!("{}/x:t", registry.host());
    let folder = tempfile::tempdir().unwrap();
    let mount = Mount::tmpfs(folder.path(), "40m");
    // The blob fits, and is too short for a partial blob, whose removal would make room. Its uncompressed bytes do not fit.
    let fill = folder.path().join("fill");
    std::fs::write(&fill, vec![0; 15 << 20]).unwrap();
    let cache = folder.path().join("cache");
    refuses(
        &cache,
        &["pull", &reference],
        &["no space", &diff_id, "bytes needed"],
    );
    std::fs::remove_file(&fill).unwrap();
    Command::new("mount")
        .args(["-o", "remount,size=200m"])
        .arg(folder.path())
        .status()
        .unwrap();
    takes(&cache, &reference);
    drop(mount);
}

#[test]
fn a_json_note_tells_of_a_media_type_that_is_not_so() {
    let registry = docker_registry();
    let layer = good_layer().media_type("application/vnd.oci.image.layer.v1.tar+zstd");
    push(&registry, "x", &ImageBuilder::new().layer(layer));
    let cache = tempfile::tempdir().unwrap();
    let reference = format!("{}/x:t", registry.host());
    let output = run(
        cache.path(),
        &["pull", "--progress", "none", "--format", "json", &reference],
    );
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(line["notes"][0]["kind"], json!("media-type"), "{line}");
}

#[test]
fn a_layer_in_another_format_is_refused_by_its_media_type() {
    let registry = docker_registry();
    let media_type = "application/vnd.oci.image.layer.v1.tar+xz";
    let xz = Layer::tar(b"\xfd7zXZ\0 and so on".to_vec()).media_type(media_type);
    pulls(
        &registry,
        "xz",
        &ImageBuilder::new().layer(xz),
        &["layer sha256:", media_type, "format xz"],
    );
    for (format, media_type) in [
        (
            "encrypted",
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        ),
        ("nydus", "application/vnd.oci.image.layer.nydus.blob.v1"),
    ] {
        let layer = good_layer().media_type(media_type);
        let image = ImageBuilder::new().layer(layer);
        pulls(
            &registry,
            format,
            &image,
            &["layer sha256:", media_type, format],
        );
    }
}

/// A separate file system, unmounted when dropped.
struct Mount<'a>(&'a Path);

impl<'a> Mount<'a> {
    fn tmpfs(at: &'a Path, size: &str) -> Self {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(at)
            .status();
        assert!(
            status.unwrap().success(),
            "a full disk needs root to mount a small one"
        );
        Self(at)
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}
