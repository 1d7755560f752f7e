//! Caches that other users and other caches read from.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]
#![cfg(target_os = "linux")]

mod common;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{command, ok, stderr};
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::{ImageBuilder, Layer};
use serde_json::Value;
use tempfile::TempDir;

struct Setup {
    folder: TempDir,
    registry: FaultRegistry,
    reference: String,
}

impl Setup {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let layout = folder.path().join("layout");
        ImageBuilder::new()
            .layer(Layer::recipe("file etc/motd data=hello mode=0644").gzip())
            .layer(Layer::recipe("file etc/issue data=x").gzip())
            .write_layout(&layout, "t")
            .unwrap();
        let registry = FaultRegistry::start().unwrap();
        registry.serve("x", &layout);
        Self {
            reference: format!("{}/x:t", registry.host()),
            registry,
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pull(&self, cache: &str, more: &[&str]) -> Output {
        let mut command = command(&self.path(cache));
        command.args(pull_args(&self.reference)).args(more);
        command.output().unwrap()
    }
}

fn pull_args(reference: &str) -> [&str; 8] {
    [
        "pull",
        reference,
        "--platform",
        "linux/amd64",
        "--progress",
        "none",
        "--format",
        "json",
    ]
}

fn vmdk(output: &Output) -> PathBuf {
    let result: Value = serde_json::from_str(&ok(output)).unwrap();
    result["vmdk"].as_str().unwrap().into()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_directory_is_filled_and_another_user_reads_from_it() {
    let setup = Setup::new();
    let filled = setup.path("filled");
    ok(&setup.pull("own", &[]));
    setup.registry.forget_requests();
    // The layers come from the user's own cache.
    let output = setup.pull("own", &["--into", text(&filled)]);
    assert!(vmdk(&output).starts_with(&filled));
    assert!(
        setup
            .registry
            .requests()
            .iter()
            .all(|request| request.path.contains("/manifests/"))
    );
    // The second user has no registry.
    setup.registry.forget_requests();
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "another user needs root");
        return;
    }
    let program = setup.path("msb-image");
    msb_testkit::program::copy(env!("CARGO_BIN_EXE_msb-image").as_ref(), &program).unwrap();
    let home = setup.path("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(64_301), Some(64_301)).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(&program);
        command
            .env_clear()
            .env("MSB_IMAGE_CACHE", home.join("cache"));
        command.args(["--cache-from", text(&filled)]).args(args);
        command.uid(64_301).gid(64_301).output().unwrap()
    };
    let output = run(&pull_args(&setup.reference));
    assert!(vmdk(&output).starts_with(&filled));
    assert_eq!(stderr(&output), "");
    assert!(setup.registry.requests().is_empty());
    assert_eq!(ok(&run(&["cat", &setup.reference, "/etc/motd"])), "hello");
    ok(&run(&["verify", "--full", &setup.reference]));
    // What the user may not read is no cache to read from.
    std::fs::set_permissions(&filled, Permissions::from_mode(0o700)).unwrap();
    let output = run(&pull_args(&setup.reference));
    assert!(vmdk(&output).starts_with(&home));
    assert!(
        stderr(&output).contains("a cache to read from is not used"),
        "{output:?}"
    );
    assert!(stderr(&output).contains(text(&filled)), "{output:?}");
}

#[test]
fn the_caches_to_read_from_are_those_of_flags_then_of_the_configuration() {
    let setup = Setup::new();
    ok(&setup.pull("first", &[]));
    ok(&setup.pull("second", &[]));
    let config = setup.path("config.toml");
    std::fs::write(
        &config,
        "cache_from = [\"second\"]\nverify_cache_from = true\n",
    )
    .unwrap();
    let (first, second) = (setup.path("first"), setup.path("second"));
    let output = setup.pull("a", &["--config", text(&config)]);
    assert!(vmdk(&output).starts_with(&second));
    let flags = ["--config", text(&config), "--cache-from", text(&first)];
    assert!(vmdk(&setup.pull("b", &flags)).starts_with(&first));
    let output = command(&setup.path("c"))
        .args(flags)
        .arg("config")
        .output()
        .unwrap();
    let lines = ok(&output);
    let line = |key: &str| {
        lines
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap()
            .to_owned()
    };
    let both = format!("{}, {}", first.display(), second.display());
    assert!(line("cache_from ").contains(&both), "{lines}");
    assert!(line("cache_from ").ends_with("--cache-from"), "{lines}");
    assert!(line("verify_cache_from ").contains("true"), "{lines}");
}
