//! `msb-image load`, from files and from standard input.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::path::Path;
use std::process::Output;

use common::{command, ok, run, stderr};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::registry::{DockerRegistry, RegistryOptions};
use msb_testkit::skopeo;
use serde_json::{Value, json};

const PLATFORM: [&str; 2] = ["--platform", "linux/amd64"];

fn image() -> ImageBuilder {
    ImageBuilder::new()
        .layer(Layer::recipe("dir etc\nfile etc/motd data=hello size=9000").gzip())
        .layer(Layer::recipe("whiteout etc/gone\nfile new data=x").gzip())
        .config(json!({"Entrypoint": ["/new"]}))
}

fn load(cache: &Path, args: &[&str]) -> Output {
    let args = [&["load", "--progress", "none"], args, &PLATFORM].concat();
    run(cache, args)
}

fn objects(output: &Output) -> Vec<Value> {
    let text = ok(output);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn load_prints_the_object_that_pull_prints() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let layout = at("layout");
    image().write_layout(&layout, "t").unwrap();
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    registry.push_raw(&layout, "x", "t").unwrap();
    let reference = format!("{}/x:t", registry.host());
    let cache = at("cache");
    let pull = [&["pull", "--format", "json", &reference][..], &PLATFORM].concat();
    let pulled = objects(&run(&cache, pull));

    let docker = at("docker.tar");
    skopeo::docker_archive(&layout, "t", &docker, &reference).unwrap();
    let stdin = std::fs::File::open(&docker).unwrap();
    let mut from_stdin = command(&at("stdin"));
    let from_stdin = from_stdin
        .args(["load", "-", "--format", "json", "--progress", "none"])
        .args(PLATFORM)
        .stdin(stdin)
        .output()
        .unwrap();
    let tag = ["--tag", &reference, "--format", "json"];
    let from_layout = load(
        &at("layout-cache"),
        &[&[layout.to_str().unwrap()], &tag[..]].concat(),
    );
    let from_archive = load(
        &at("archive-cache"),
        &[docker.to_str().unwrap(), "--format", "json"],
    );
    for (output, is_layout) in [
        (from_layout, true),
        (from_archive, false),
        (from_stdin, false),
    ] {
        let loaded = objects(&output);
        assert_eq!(loaded.len(), 1);
        let members =
            |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
        assert_eq!(members(&loaded[0]), members(&pulled[0]));
        for member in ["reference", "platform", "cached", "notes", "config"] {
            assert_eq!(loaded[0][member], pulled[0][member], "{member}");
        }
        assert_eq!(
            loaded[0]["manifest_digest"] == pulled[0]["manifest_digest"],
            is_layout
        );
        let fsmeta = |value: &Value| std::fs::read(value["fsmeta"].as_str().unwrap()).unwrap();
        assert!(fsmeta(&loaded[0]) == fsmeta(&pulled[0]));
    }

    // What was loaded is an image of the cache as any other.
    let name = [&["cat", &reference, "/new"][..], &PLATFORM].concat();
    assert_eq!(ok(&run(&at("stdin"), name)), "x");
    let again = load(&at("archive-cache"), &[docker.to_str().unwrap()]);
    assert!(
        ok(&again).starts_with(&format!("{reference} cached\n")),
        "{again:?}"
    );
}

#[test]
fn all_images_or_the_tag() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    for tag in ["example.org/a:1", "example.org/b:2"] {
        image()
            .layer(Layer::recipe(&format!("file tag data={tag}")))
            .write_layout(&layout, tag)
            .unwrap();
    }
    let cache = folder.path().join("cache");
    let path = layout.to_str().unwrap();
    let one = ok(&load(&cache, &[path, "--tag", "example.org/b:2"]));
    assert!(one.starts_with("example.org/b:2 loaded\n"), "{one}");
    let all = ok(&load(&cache, &[path]));
    assert!(all.starts_with("example.org/a:1 loaded\n"), "{all}");
    assert!(all.contains("example.org/b:2 cached\n"), "{all}");
    let other = load(&cache, &[path, "--tag", "example.org/c:3"]);
    assert_eq!(other.status.code(), Some(1));
    assert!(stderr(&other).contains("no image example.org/c:3 in it; it has example.org/a:1"));

    let unnamed = folder.path().join("unnamed");
    image().write_layout(&unnamed, "t").unwrap();
    let error = load(&cache, &[unnamed.to_str().unwrap()]);
    assert_eq!(error.status.code(), Some(1));
    assert!(
        stderr(&error).contains("hint: ") && stderr(&error).contains("--tag REF"),
        "{error:?}"
    );
}

#[test]
fn one_error_for_what_is_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let missing = load(&cache, &["/no/such\u{1b}file"]);
    assert_eq!(missing.status.code(), Some(1));
    let text = stderr(&missing);
    assert!(
        text.starts_with("error: /no/such\\u{1b}file: opening it\n"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 2, "{text}");

    let empty = load(&cache, &[folder.path().to_str().unwrap()]);
    assert!(
        stderr(&empty).contains("neither an OCI layout"),
        "{empty:?}"
    );
    let mut stdin = command(&cache);
    let stdin = stdin.args(["load", "-"]).output().unwrap();
    assert_eq!(stdin.status.code(), Some(1));
    assert!(
        stderr(&stdin).starts_with("error: standard input: "),
        "{stdin:?}"
    );
    assert_eq!(load(&cache, &[]).status.code(), Some(2));
    assert!(!cache.exists());
}
