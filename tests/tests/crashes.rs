//! A pull, prune or repair that dies at any change of the file system, and a machine that loses power there.
//!
//! ```text
//!   command, aborted at point N ─▶ the cache as it is ────────────────────────────▶ offline pull: whole or absent
//!                              └─▶ the cache without what was not synced: data, ──▶ pull: the right disk
//!                                  or names, or both                                verify --full: no damage; prune: nothing stays
//! ```
//!
//! The points are before and after each write, sync, rename, unlink, mkdir and create of the store. Every point of a first pull, of a
//! pull over a damaged image, of a prune, of a prune with a budget and of a repair is tried. Power losses, and the last two checks, are tried at some points, or at all with
//! `MSB_POWER_LOSSES=all`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics, and prints its figures"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::{msb_image, run};
use microsandbox_image::Digest;
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::{ImageBuilder, Layer};
use serde_json::Value;
use tempfile::TempDir;

struct Setup {
    _registry: FaultRegistry,
    _layouts: [TempDir; 2],
    name: String,
    disk: Digest,
}

impl Setup {
    fn new() -> Self {
        let registry = FaultRegistry::start().unwrap();
        let layout = tempfile::tempdir().unwrap();
        registry.serve("x", layout.path());
        let image = |top: &str| {
            ImageBuilder::new()
                .layer(
                    Layer::recipe("dir d\nfile d/a size=20000 seed=1\nfile s size=100 seed=2")
                        .gzip(),
                )
                .layer(Layer::recipe(top).gzip())
        };
        let one = image("file d/b size=30000 seed=3");
        one.write_layout(layout.path(), "t").unwrap();
        let other = tempfile::tempdir().unwrap();
        registry.serve("y", other.path());
        let top = image("file d/c size=10000 seed=4");
        top.write_layout(other.path(), "t").unwrap();
        let mut setup = Self {
            name: format!("{}/x:t", registry.host()),
            _registry: registry,
            _layouts: [layout, other],
            disk: Digest::sha256_of(b""),
        };
        let empty = tempfile::tempdir().unwrap();
        let output = setup.pull(&empty.path().join("cache"), "if-missing");
        setup.disk = disk_of(&output);
        setup
    }

    fn arguments<'a>(&'a self, policy: &'a str) -> [&'a str; 8] {
        let platform = ["--platform", "linux/amd64"];
        let [a, b] = platform;
        [
            "pull", a, b, "--format", "json", "--policy", policy, &self.name,
        ]
    }

    fn pull(&self, cache: &Path, policy: &str) -> Output {
        run(cache, &self.arguments(policy))
    }

    /// Runs a command, and aborts it at point `at`. Returns the changes that were made; `None` if the command ended before.
    fn crash(&self, cache: &Path, arguments: &[&str], at: usize) -> Option<Vec<Change>> {
        let log = tempfile::NamedTempFile::new().unwrap();
        let status = Command::new(msb_image())
            .arg("--cache-dir")
            .arg(cache)
            .args(arguments)
            .env("MSB_STORE_CRASH_AT", at.to_string())
            .env("MSB_STORE_CRASH_LOG", log.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap();
        let text = fs::read_to_string(log.path()).unwrap();
        // A command that fails ends by itself; only an abort ends it by a signal.
        let is_aborted = status.code().is_none();
        is_aborted.then(|| text.lines().map(Change::parse).collect())
    }

    /// Checks that the cache serves nothing wrong, and that a pull completes it; if `is_thorough`, also that no damage and no temporary
    /// file remain. With `is_kept` the image was cached before, and must be cached now.
    fn recovers(&self, cache: &Path, is_kept: bool, is_thorough: bool, what: &str) {
        let output = self.pull(cache, "never");
        match output.status.code() {
            Some(0) => assert_eq!(disk_of(&output), self.disk, "{what}"),
            Some(1) if !is_kept => {
                let text = String::from_utf8_lossy(&output.stderr);
                assert!(text.contains("not cached"), "{what}: {text}");
            }
            _ => panic!("{what}: {output:?}"),
        }
        let output = self.pull(cache, "if-missing");
        assert!(output.status.success(), "{what}: {output:?}");
        assert_eq!(disk_of(&output), self.disk, "{what}");
        if !is_thorough {
            return;
        }
        let output = run(cache, &["verify", "--full"]);
        assert!(output.status.success(), "{what}: {output:?}");
        let output = run(cache, &["prune", "--grace", "0"]);
        assert!(output.status.success(), "{what}: {output:?}");
        let mut all = Vec::new();
        files(cache, &mut all);
        let is_temporary = |path: &PathBuf| path.to_str().unwrap().contains("/.tmp-");
        assert!(!all.iter().any(is_temporary), "{what}: {all:?}");
    }
}

/// A change that a process made to the file system.
#[derive(Debug)]
struct Change {
    what: String,
    paths: Vec<PathBuf>,
}

impl Change {
    fn parse(line: &str) -> Self {
        let mut words = line.split('\t').map(str::to_owned);
        Self {
            what: words.next().unwrap(),
            paths: words.map(PathBuf::from).collect(),
        }
    }
}

/// What a power loss takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    /// The bytes of files that were not synced. Their names stay.
    Data,
    /// Half of these bytes: the rest are zeros.
    HalfOfData,
    /// New names in directories that were not synced.
    Names,
    /// Names and bytes.
    Both,
}

/// Changes the directory to what may remain of it.
fn lose(changes: &[Change], loss: Loss) {
    // By the path that it has now: whether its bytes are on stable storage.
    let mut written: BTreeMap<PathBuf, bool> = BTreeMap::new();
    // The names that a sync of their directory has not made durable.
    let mut names: BTreeSet<PathBuf> = BTreeSet::new();
    for change in changes {
        let path = change.paths[0].clone();
        match change.what.as_str() {
            "create" => {
                written.insert(path.clone(), false);
                names.insert(path);
            }
            "mkdir" => {
                names.insert(path);
            }
            "write" => {
                written.insert(path, false);
            }
            "sync" => {
                written.insert(path, true);
            }
            "rename" => {
                let to = change.paths[1].clone();
                if let Some(is_synced) = written.remove(&path) {
                    written.insert(to.clone(), is_synced);
                }
                names.remove(&path);
                names.insert(to);
            }
            "unlink" | "rmdir" => {
                written.remove(&path);
                names.remove(&path);
            }
            "syncdir" => names.retain(|name| name.parent() != Some(&path)),
            _ => {}
        }
    }
    if loss != Loss::Names {
        for path in written
            .iter()
            .filter(|(_, is_synced)| !**is_synced)
            .map(|(path, _)| path)
        {
            let Ok(mut bytes) = fs::read(path) else {
                continue;
            };
            match loss {
                Loss::HalfOfData => {
                    let half = bytes.len() / 2;
                    bytes[half..].fill(0);
                }
                _ => bytes.clear(),
            }
            fs::remove_file(path).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    if matches!(loss, Loss::Names | Loss::Both) {
        for path in names {
            let _ = fs::remove_file(&path);
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn files(at: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn disk_of(output: &Output) -> Digest {
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut bytes = Vec::new();
    for extent in printed["extents"].as_array().unwrap() {
        bytes.extend(fs::read(extent["path"].as_str().unwrap()).unwrap());
    }
    Digest::sha256_of(&bytes)
}

/// A command that is aborted.
struct Work<'a> {
    name: &'a str,
    arguments: &'a [&'a str],
    /// Whether the image is cached before, and stays so.
    keeps_image: bool,
}

/// Crashes a command at every point. `prepare` makes the cache that it begins with.
fn at_every_point(setup: &Setup, work: &Work<'_>, prepare: impl Fn(&Path)) {
    let all = std::env::var("MSB_POWER_LOSSES").is_ok_and(|value| value == "all");
    let Work {
        name,
        arguments,
        keeps_image,
    } = *work;
    let (mut points, mut losses) = (0, 0);
    loop {
        let at = points + 1;
        let folder = tempfile::tempdir().unwrap();
        // Of several directories, so that those above the cache are new as well.
        let cache = folder.path().join("a/cache");
        prepare(&cache);
        if setup.crash(&cache, arguments, at).is_none() {
            break;
        }
        points = at;
        let what = format!("{name}, point {at}");
        setup.recovers(&cache, keeps_image, all || at % 4 == 0, &what);
        let kinds: &[Loss] = match at % 12 {
            _ if all => &[Loss::Data, Loss::HalfOfData, Loss::Names, Loss::Both],
            0 => &[Loss::Data, Loss::Both],
            6 => &[Loss::HalfOfData, Loss::Names],
            _ => &[],
        };
        for loss in kinds {
            let folder = tempfile::tempdir().unwrap();
            let cache = folder.path().join("a/cache");
            prepare(&cache);
            // The order of threads differs from run to run, and with it the number of points.
            if let Some(changes) = setup.crash(&cache, arguments, at) {
                lose(&changes, *loss);
                losses += 1;
                let what = format!("{what}, {loss:?}: {changes:?}");
                setup.recovers(&cache, keeps_image, true, &what);
            }
        }
    }
    println!("{name}: {points} crash points, {losses} power losses");
    assert!(points >= 20, "{name}: {points}");
}

#[test]
fn a_first_pull_that_dies_at_any_point_is_completed_by_the_next() {
    let setup = Setup::new();
    let work = Work {
        name: "first pull",
        arguments: &setup.arguments("if-missing"),
        keeps_image: false,
    };
    at_every_point(&setup, &work, |_| {});
}

/// Pulls the image, and damages a layer and the disk.
fn pull_and_damage(setup: &Setup, cache: &Path) {
    let output = setup.pull(cache, "if-missing");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    // A layer and the disk are built again over what is there.
    fs::remove_file(printed["layers"][1]["erofs"].as_str().unwrap()).unwrap();
    fs::remove_file(printed["vmdk"].as_str().unwrap()).unwrap();
}

#[test]
fn a_pull_over_a_damaged_image_that_dies_at_any_point_is_completed_by_the_next() {
    let setup = Setup::new();
    let work = Work {
        name: "pull over damage",
        arguments: &setup.arguments("always"),
        keeps_image: false,
    };
    at_every_point(&setup, &work, |cache| pull_and_damage(&setup, cache));
}

/// Pulls the image and another one that shares a layer with it, which is removed again.
fn pull_both(setup: &Setup, cache: &Path) {
    assert!(setup.pull(cache, "if-missing").status.success());
    let other = setup.name.replace("/x:", "/y:");
    let pulled = run(
        cache,
        &["pull", "--platform", "linux/amd64", "--keep-blobs", &other],
    );
    assert!(pulled.status.success(), "{pulled:?}");
    assert!(run(cache, &["rm", &other]).status.success());
    // What a killed pull leaves.
    let hex = "0".repeat(64);
    let parts = cache.join("parts/sha256");
    fs::create_dir_all(&parts).unwrap();
    fs::write(parts.join(format!("{hex}.part")), "begun").unwrap();
    let temporary = format!(".tmp-1-0123456789abcdef.{hex}.v3.erofs");
    fs::write(cache.join("layers/sha256").join(temporary), "dead").unwrap();
}

#[test]
fn a_prune_that_dies_at_any_point_keeps_what_is_needed() {
    let setup = Setup::new();
    let work = Work {
        name: "prune",
        arguments: &["prune", "--grace", "0"],
        keeps_image: true,
    };
    at_every_point(&setup, &work, |cache| pull_both(&setup, cache));
}

#[test]
fn a_prune_with_a_budget_that_dies_at_any_point_leaves_images_whole_or_absent() {
    let setup = Setup::new();
    let work = Work {
        name: "budget",
        arguments: &["prune", "--grace", "0", "--max-bytes", "0"],
        keeps_image: false,
    };
    at_every_point(&setup, &work, |cache| pull_both(&setup, cache));
}

#[test]
fn a_repair_that_dies_at_any_point_is_completed_by_the_next_pull() {
    let setup = Setup::new();
    let work = Work {
        name: "repair",
        arguments: &["verify", "--repair", &setup.name],
        keeps_image: false,
    };
    at_every_point(&setup, &work, |cache| pull_and_damage(&setup, cache));
}

#[test]
fn an_acknowledged_pull_survives_a_power_loss() {
    let setup = Setup::new();
    for loss in [Loss::Data, Loss::HalfOfData, Loss::Names, Loss::Both] {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("a/cache");
        let log = tempfile::NamedTempFile::new().unwrap();
        let output = Command::new(msb_image())
            .arg("--cache-dir")
            .arg(&cache)
            .args(setup.arguments("if-missing"))
            .env("MSB_STORE_CRASH_LOG", log.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = fs::read_to_string(log.path()).unwrap();
        let changes: Vec<_> = text.lines().map(Change::parse).collect();
        lose(&changes, loss);
        let output = setup.pull(&cache, "never");
        assert!(output.status.success(), "{loss:?}: {output:?}: {changes:?}");
        assert_eq!(disk_of(&output), setup.disk);
        setup.recovers(&cache, true, true, "after a whole pull");
    }
}
