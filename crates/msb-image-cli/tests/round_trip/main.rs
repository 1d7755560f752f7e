//! Whole pulls from a real registry, and every command on their results.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod interrupted;
mod sign_in;
mod verification;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{command, ok, run, run_with_input, stderr, stdout};
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::registry::{DockerRegistry, RegistryOptions};
use serde_json::{Value, json};

/// The platform of the images, independent of the machine.
const PLATFORM: [&str; 2] = ["--platform", "linux/amd64"];

/// Pushes an image of two layers, of which the upper one deletes, replaces and links. Returns `HOST/test:v1`.
fn push(registry: &DockerRegistry) -> String {
    let base = "dir etc mode=0755\nfile etc/motd data=hello\\n mode=0644 uid=7 gid=8 mtime=951782400\n\
                file etc/gone data=x\nsymlink etc/issue target=motd\nfile bin/su mode=4755 data=su\n\
                file bin/large size=9000 seed=3 fill=random";
    let upper = "whiteout etc/gone\nfile new/blob data=upper\nfile new/esc\\x1bape data=e";
    let layout = tempfile::tempdir().unwrap();
    ImageBuilder::new()
        .layer(Layer::recipe(base).gzip())
        .layer(Layer::recipe(upper).zstd())
        .config(json!({"Env": ["A=\u{1b}[31m"], "Entrypoint": ["/bin/su"], "Labels": {"k": "v"}}))
        .write_layout(layout.path(), "v1")
        .unwrap();
    registry
        .push_oci_layout(layout.path(), "test", "v1")
        .unwrap();
    format!("{}/test:v1", registry.host())
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("one object on a line"))
        .collect()
}

#[test]
fn pull_ls_inspect_tree_cat_verify_rm_prune() {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let reference = push(&registry);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let on_image = |args: &[&str]| {
        let (name, rest) = args.split_first().unwrap();
        let mut command = command(cache);
        command.arg(name).arg(&reference).args(rest).args(PLATFORM);
        command.output().unwrap()
    };

    // Text for people, with progress in lines because stderr is not a terminal.
    let pulled = on_image(&["pull"]);
    assert!(ok(&pulled).starts_with(&format!("{reference} pulled\n  manifest  sha256:")));
    assert!(ok(&pulled).contains("  size      2 layers, "));
    for line in ["resolving", "layer 1/2: downloading sha256:", "complete"] {
        assert!(stderr(&pulled).contains(&format!("{reference}: {line}")));
    }

    // JSON for programs; a warm pull, so the registry receives no request.
    registry.forget_requests().unwrap();
    let text = ok(&on_image(&[
        "pull",
        "--format",
        "json",
        "--progress",
        "none",
    ]));
    assert_eq!(registry.requests().len(), 0);
    pull_json_is_as_promised(&text, &reference, cache);
    let (mut pulled, mut inspected) = (
        json_lines(&text).remove(0),
        json_lines(&ok(&on_image(&["inspect", "--format", "json"]))).remove(0),
    );
    let stats = pulled["stats"].take();
    assert_eq!(stats["downloaded_bytes"], 0);
    assert_eq!(inspected["stats"].take(), Value::Null);
    assert_eq!(inspected, pulled);

    let listed = json_lines(&ok(&run(cache, ["ls", "--format", "json"])));
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["reference"], reference.as_str());
    assert_eq!(listed[0]["complete"], true);
    assert!(ok(&run(cache, ["ls"])).contains(&reference));

    // Text of an image is escaped.
    let inspected = ok(&on_image(&["inspect"]));
    assert!(inspected.contains("A=\\u{1b}[31m") && !inspected.contains('\x1b'));

    every_command_takes_a_digest_or_an_id(cache, &listed[0]);
    tree_is_the_merged_image(&on_image);
    assert_eq!(ok(&on_image(&["cat", "etc/issue"])), "hello\n");
    let missing = on_image(&["cat", "/etc/gone"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("no such path: /etc/gone"));

    let verified = json_lines(&ok(&run(cache, ["verify", "--full", "--format", "json"])));
    assert_eq!(verified[0]["status"], "ok");
    assert_eq!(verified[0]["extents"], 3);
    assert_eq!(verified[0]["verified_bytes"], 6 + 2 + 9000 + 5 + 1);

    assert!(ok(&on_image(&["rm"])).starts_with("removed "));
    assert_eq!(on_image(&["inspect"]).status.code(), Some(1));
    let young = json_lines(&ok(&run(cache, ["prune", "--format", "json"])));
    assert_eq!(young[0]["bytes"], 0);
    // Two layers, a disk, a manifest and a config.
    assert_eq!(young[0]["kept_young"]["artifacts"], 5);
    let kept = ok(&run(cache, ["prune"]));
    assert!(kept.starts_with("nothing to remove\nkept 5 unneeded artifacts, "));
    assert!(kept.contains("written within the last 600 s (see --grace)"));
    let pruned = json_lines(&ok(&run(
        cache,
        ["prune", "--grace", "0", "--format", "json"],
    )));
    assert_eq!(pruned[0]["layers"].as_array().unwrap().len(), 2);
    assert_eq!(pruned[0]["disks"].as_array().unwrap().len(), 1);
    assert_eq!(pruned[0]["blobs"].as_array().unwrap().len(), 2);
    assert_eq!(
        ok(&run(cache, ["prune", "--grace", "0"])),
        "nothing to remove\n"
    );
}

fn pull_json_is_as_promised(text: &str, reference: &str, cache: &Path) {
    let object = &json_lines(text)[0];
    // serde_json keeps no order, so the text is searched.
    let keys = [
        "{\"reference\":",
        ",\"manifest_digest\":",
        ",\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\",\"variant\":null}",
        ",\"cached\":true",
        ",\"layers\":[{\"diff_id\":",
        ",\"fsmeta\":",
        ",\"vmdk\":",
        ",\"extents\":[{\"path\":",
        ",\"notes\":[",
        ",\"config\":{",
        ",\"boot\":{",
        ",\"stats\":{",
    ];
    let mut rest = text;
    for key in keys {
        let (_, after) = rest
            .split_once(key)
            .unwrap_or_else(|| panic!("{key} in its place: {text}"));
        rest = after;
    }
    assert_eq!(object["reference"], reference);
    assert_eq!(object["config"]["entrypoint"], json!(["/bin/su"]));
    let mut paths = vec![&object["fsmeta"], &object["vmdk"]];
    let layers = object["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    for layer in layers {
        for key in ["diff_id", "digest", "media_type"] {
            assert!(layer[key].is_string(), "{key}: {layer}");
        }
        assert!(layer["size"].is_u64());
        paths.push(&layer["erofs"]);
    }
    for extent in object["extents"].as_array().unwrap() {
        let path = extent["path"].as_str().unwrap();
        assert_eq!(
            std::fs::metadata(path).unwrap().len(),
            extent["bytes"].as_u64().unwrap()
        );
    }
    for path in paths {
        let path = Path::new(path.as_str().unwrap());
        assert!(path.is_absolute() && path.starts_with(cache) && path.is_file());
    }
}

fn every_command_takes_a_digest_or_an_id(cache: &Path, listed: &Value) {
    let manifest = listed["manifest_digest"].as_str().unwrap();
    let blob = std::fs::read_to_string(
        cache
            .join("blobs/sha256")
            .join(manifest.trim_start_matches("sha256:")),
    )
    .unwrap();
    let config = serde_json::from_str::<Value>(&blob).unwrap()["config"]["digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let reference = listed["reference"].as_str().unwrap();
    for digest in [manifest, &config] {
        let hex = digest.trim_start_matches("sha256:");
        for name in [digest, hex, &hex[..12], &digest[.."sha256:".len() + 12]] {
            let image = json_lines(&ok(&run(cache, ["inspect", name, "--format", "json"])));
            assert_eq!(image[0]["reference"], reference, "{name}");
            assert_eq!(ok(&run(cache, ["cat", name, "etc/issue"])), "hello\n");
            assert!(ok(&run(cache, ["tree", name, "/etc"])).contains("/etc/motd"));
            assert!(ok(&run(cache, ["verify", name])).starts_with("ok "));
        }
    }
    let hex = manifest.trim_start_matches("sha256:");
    let unknown = run(cache, ["inspect", "sha256:000000000000"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(
        stderr(&unknown)
            .contains("no image of the cache has the name, digest or id sha256:000000000000")
    );
    // Too short for an id, so a reference.
    let short = run(cache, ["inspect", &hex[..11]]);
    assert!(stderr(&short).contains(&format!("docker.io/library/{}:latest", &hex[..11])));
    // Of another platform.
    let other = run(cache, ["inspect", hex, "--platform", "s390x"]);
    assert_eq!(other.status.code(), Some(1));
}

#[test]
fn rm_of_a_digest_removes_all_references_to_the_image() {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let reference = push(&registry);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let pulled = ok(&run(
        cache,
        [&["pull", "--format", "json", &reference][..], &PLATFORM].concat(),
    ));
    let digest = json_lines(&pulled)[0]["manifest_digest"]
        .as_str()
        .unwrap()
        .to_owned();
    let (name, _) = reference.rsplit_once(':').unwrap();
    let pinned = format!("{name}@{digest}");
    ok(&run(cache, [&["pull", &pinned][..], &PLATFORM].concat()));
    let removed = ok(&run(cache, ["rm", &digest[..20]]));
    assert_eq!(removed.lines().count(), 2, "{removed}");
    assert_eq!(ok(&run(cache, ["ls", "--format", "json"])), "");
    let again = run(cache, ["rm", &digest[..20]]);
    assert_eq!(again.status.code(), Some(1));
    assert!(stderr(&again).contains("hint: `msb-image ls`"));
}

fn tree_is_the_merged_image(on_image: &dyn Fn(&[&str]) -> std::process::Output) {
    let text = ok(&on_image(&["tree"]));
    for line in [
        "-rw-r--r-- 7/8                6 2000-02-29 00:00:00 /etc/motd\n",
        " /etc/issue -> motd\n",
        "-rwsr-xr-x 0/0                2 ",
        " /new/esc\\u{1b}ape\n",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("gone") && !text.contains('\x1b'), "{text}");
    let entries = json_lines(&ok(&on_image(&["tree", "/etc", "--format", "json"])));
    let paths: Vec<_> = entries.iter().map(|entry| &entry["path"]).collect();
    assert_eq!(paths, ["/etc", "/etc/issue", "/etc/motd"]);
    assert_eq!(entries[1]["target"], "motd");
    assert_eq!(entries[2]["mode"], "0644");
    let one = ok(&on_image(&["tree", "new/blob"]));
    assert!(one.ends_with(" /new/blob\n") && one.lines().count() == 1);
}

#[cfg(target_os = "linux")]
#[test]
fn the_immutable_flag_is_set_where_it_can_be() {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let reference = push(&registry);
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    let pull = |more: &[&str]| {
        let args = [&["pull", &reference, "--format", "json"], more, &PLATFORM].concat();
        json_lines(&ok(&run(cache, args))).remove(0)
    };
    let flag_of = |path: &Path| {
        let flags = std::process::Command::new("lsattr")
            .arg(path)
            .output()
            .unwrap();
        let flags = String::from_utf8(flags.stdout).unwrap();
        flags
            .split(' ')
            .next()
            .is_some_and(|flags| flags.contains('i'))
    };
    let layer = pull(&[])["layers"][0]["erofs"].as_str().unwrap().to_owned();
    let layer = Path::new(&layer);
    assert!(!flag_of(layer));
    pull(&["--immutable", "--force"]);
    // Another program shows whether the flag can be set here.
    let probe = cache.join("probe");
    std::fs::write(&probe, "").unwrap();
    let chattr = |flag: &str| {
        std::process::Command::new("chattr")
            .arg(flag)
            .arg(&probe)
            .output()
    };
    let is_possible = chattr("+i").unwrap().status.success();
    chattr("-i").unwrap();
    std::fs::remove_file(&probe).unwrap();
    assert_eq!(flag_of(layer), is_possible);
    ok(&run(cache, ["rm", &reference, PLATFORM[0], PLATFORM[1]]));
    ok(&run(cache, ["prune", "--grace", "0"]));
    assert!(!layer.exists());
}

#[test]
fn results_come_in_order_and_one_failure_stops_no_other() {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let reference = push(&registry);
    let cache = tempfile::tempdir().unwrap();
    let missing = format!("{}/missing", registry.host());
    let mut command = command(cache.path());
    command.args(["pull", &reference, &missing, &reference]);
    command.args(["--format", "json", "--progress", "plain"]);
    let output = command.args(PLATFORM).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let results = json_lines(&stdout(&output));
    let cached: Vec<_> = results.iter().map(|result| &result["cached"]).collect();
    assert_eq!(cached, [&json!(false), &json!(true)]);
    let errors = stderr(&output);
    assert!(errors.contains(r#"{"kind":"not_found","#), "{output:?}");
    assert!(errors.contains(&missing), "{output:?}");
}

#[test]
fn an_image_cached_for_another_platform_is_named_in_the_error() {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let reference = push(&registry);
    let cache = tempfile::tempdir().unwrap();
    ok(&run(
        cache.path(),
        [&["pull", &reference][..], &PLATFORM].concat(),
    ));
    let args = ["inspect", &reference, "--platform", "linux/s390x"];
    let output = run(cache.path(), args);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("hint: it is cached with --platform linux/amd64"));
}
