//! A cache that is shared with a group: users of the group pull into it, and other users read nothing.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]
#![cfg(target_os = "linux")]

mod common;

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{command, ok, stderr};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::registry::{DockerRegistry, RegistryOptions};
use serde_json::Value;

const GROUP: u32 = 64_100;
const OTHER_GROUP: u32 = 64_200;
const FIRST: u32 = 64_101;
const SECOND: u32 = 64_102;
const STRANGER: u32 = 64_201;

/// A directory in which every user can create a cache, and a copy of the command that every user can run.
struct Place {
    _folder: tempfile::TempDir,
    program: PathBuf,
    cache: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let caches = folder.path().join("caches");
        std::fs::create_dir(&caches).unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&caches, Permissions::from_mode(0o777)).unwrap();
        let program = folder.path().join("msb-image");
        msb_testkit::program::copy(env!("CARGO_BIN_EXE_msb-image").as_ref(), &program).unwrap();
        Self {
            program,
            cache: caches.join("cache"),
            _folder: folder,
        }
    }

    /// Runs the command as a user of one group, whose umask is 077.
    fn run_as(&self, user: u32, group: u32, args: &[&str]) -> Output {
        let mut command = Command::new("sh");
        command.args(["-c", r#"umask 077; exec "$0" "$@""#]);
        command.arg(&self.program).args(args);
        command.env_clear().env("MSB_IMAGE_CACHE", &self.cache);
        command.uid(user).gid(group);
        command.output().unwrap()
    }
}

fn push(registry: &DockerRegistry, tag: &str) -> String {
    let layout = tempfile::tempdir().unwrap();
    ImageBuilder::new()
        .layer(Layer::recipe("file etc/motd data=hello mode=0644").gzip())
        .layer(Layer::recipe(&format!("file etc/{tag} data=x")).gzip())
        .write_layout(layout.path(), tag)
        .unwrap();
    registry
        .push_oci_layout(layout.path(), "test", tag)
        .unwrap();
    format!("{}/test:{tag}", registry.host())
}

fn pull_args<'a>(reference: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = [
        "pull",
        reference,
        "--platform",
        "linux/amd64",
        "--progress",
        "none",
        "--format",
        "json",
    ];
    [&args[..], more].concat()
}

fn is_cached(output: &Output) -> bool {
    let result: Value = serde_json::from_str(&ok(output)).unwrap();
    result["cached"].as_bool().unwrap()
}

fn assert_shared(path: &Path) {
    let metadata = path.symlink_metadata().unwrap();
    let mode = metadata.mode() & 0o7777;
    assert_eq!(metadata.gid(), GROUP, "{}", path.display());
    assert!(
        [0o2770, 0o660, 0o440].contains(&mode),
        "{}: {mode:o}",
        path.display()
    );
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            assert_shared(&entry.unwrap().path());
        }
    }
}

#[test]
fn users_of_a_group_share_a_cache_and_other_users_read_nothing() {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "CI runs as root");
        eprintln!("not checked: changing the user needs root");
        return;
    }
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let (image, second_image) = (push(&registry, "one"), push(&registry, "two"));
    let place = Place::new();
    let group = GROUP.to_string();
    let shared = ["--cache-group", group.as_str()];

    let first = place.run_as(FIRST, GROUP, &pull_args(&image, &shared));
    assert!(!is_cached(&first), "{first:?}");
    assert_shared(&place.cache);

    // The second user needs no option: the root's mode decides.
    let warm = place.run_as(SECOND, GROUP, &pull_args(&image, &["--policy", "never"]));
    assert!(is_cached(&warm), "{warm:?}");
    assert_eq!(stderr(&warm), "");
    for args in [
        pull_args(&image, &["--policy", "always"]),
        pull_args(&image, &["--force"]),
        pull_args(&second_image, &[]),
    ] {
        ok(&place.run_as(SECOND, GROUP, &args));
    }
    // The first user removes what the second one wrote, and the other way round.
    ok(&place.run_as(
        FIRST,
        GROUP,
        &["rm", &second_image, "--platform", "linux/amd64"],
    ));
    ok(&place.run_as(FIRST, GROUP, &["prune", "--grace", "0"]));
    ok(&place.run_as(SECOND, GROUP, &["verify", "--full"]));
    assert_shared(&place.cache);

    for args in [
        &["ls"][..],
        &["cat", &image, "/etc/motd", "--platform", "linux/amd64"],
        &pull_args(&image, &["--policy", "never"]),
        &pull_args(&image, &[]),
    ] {
        let refused = place.run_as(STRANGER, OTHER_GROUP, args);
        assert!(!refused.status.success(), "{refused:?}");
        assert!(refused.stdout.is_empty(), "{refused:?}");
        let text = stderr(&refused);
        assert!(text.contains("Permission denied"), "{text}");
    }
}

#[test]
fn an_empty_directory_becomes_a_shared_cache_and_a_private_cache_stays_private() {
    let group = rustix::process::getegid().as_raw().to_string();
    let args = ["prune", "--cache-group", group.as_str()];
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    let image = push(&registry, "one");
    let pull = pull_args(&image, &["--cache-group", &group]);

    let empty = tempfile::tempdir().unwrap();
    let before = mode(empty.path());
    ok(&command(empty.path()).args(args).output().unwrap());
    assert_eq!(mode(empty.path()), before, "a prune shares nothing");
    ok(&command(empty.path()).args(&pull).output().unwrap());
    assert_eq!(mode(empty.path()), 0o2770);

    let private = tempfile::tempdir().unwrap();
    let before = mode(private.path());
    ok(&command(private.path())
        .args(pull_args(&image, &[]))
        .output()
        .unwrap());
    let output = command(private.path()).args(&pull).arg("--force").output();
    let output = output.unwrap();
    ok(&output);
    assert!(
        stderr(&output).contains("not shared with this group"),
        "{output:?}"
    );
    assert_eq!(mode(private.path()), before);
}

#[test]
fn the_group_is_a_number_or_a_name_and_the_environment_names_it_too() {
    let cache = tempfile::tempdir().unwrap();
    let run = |arg: Option<&str>, variable: &str| {
        let mut command = command(cache.path());
        command.env("MSB_IMAGE_CACHE_GROUP", variable).arg("ls");
        if let Some(arg) = arg {
            command.args(["--cache-group", arg]);
        }
        command.output().unwrap()
    };
    ok(&run(Some("root"), "no such group"));
    ok(&run(Some("0"), ""));
    ok(&run(None, "root"));
    ok(&run(None, ""));
    for output in [
        run(Some("no such group"), "root"),
        run(None, "no such group"),
    ] {
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(
            stderr(&output).contains("there is no group no such group"),
            "{output:?}"
        );
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().mode() & 0o7777
}
