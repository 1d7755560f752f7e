//! Signals in the middle of a download, and the protection of a secret in the process's memory.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{command, stderr};
use msb_testkit::fault_registry::{Fault, FaultRegistry};
use msb_testkit::image::{ImageBuilder, Layer};

/// Returns a registry that stops sending in the middle of the only layer.
fn stalling() -> FaultRegistry {
    let layout = tempfile::tempdir().unwrap().keep();
    let layer = Layer::recipe("file large size=6000000 seed=1 fill=random").plain();
    let path = format!("/blobs/{}", layer.digest());
    ImageBuilder::new()
        .layer(layer)
        .write_layout(&layout, "v1")
        .unwrap();
    let registry = FaultRegistry::start().unwrap();
    registry.serve("test", &layout);
    registry.fault(&path, Fault::StallAfter(4_000_000, Duration::from_secs(60)));
    registry
}

/// Starts a pull and waits until 2 MB of its layer are on disk.
fn pull_until_it_stalls(registry: &FaultRegistry, cache: &Path, mut command: Command) -> Child {
    let child = command
        .args(["pull", "--platform", "linux/amd64", "--progress", "none"])
        .arg(format!("{}/test:v1", registry.host()))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until(|| bytes_below(cache) > 2_000_000);
    child
}

fn wait_until(mut is_true: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_true() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the command as a shell starts it, even if these tests run under `nohup`, whose children ignore SIGHUP.
fn with_default_hangup(cache: &Path) -> Command {
    let mut env = Command::new("env");
    env.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_msb-image")])
        .env_clear()
        .env("MSB_IMAGE_CACHE", cache)
        .env("PATH", std::env::var_os("PATH").unwrap());
    env
}

/// Returns the sum of the lengths of all files below a folder, which may change meanwhile.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

fn send(signal: &str, child: &Child) {
    let kill = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

#[test]
fn every_signal_that_ends_a_pull_leaves_no_temporaries() {
    for (signal, message) in [
        ("-INT", "error: interrupted\n"),
        ("-TERM", "error: interrupted by SIGTERM\n"),
        ("-HUP", "error: interrupted by SIGHUP\n"),
    ] {
        let (registry, cache) = (stalling(), tempfile::tempdir().unwrap());
        let child =
            pull_until_it_stalls(&registry, cache.path(), with_default_hangup(cache.path()));
        let start = Instant::now();
        send(signal, &child);
        let output = child.wait_with_output().unwrap();
        assert!(start.elapsed() < Duration::from_secs(4), "{signal}");
        assert_eq!(output.status.code(), Some(130), "{signal} {output:?}");
        assert_eq!(stderr(&output), message);
        // Manifest and config may stay.
        assert!(bytes_below(cache.path()) < 10_000, "{signal}");
    }
}

/// Returns the names of temporary files below a folder.
fn temporaries(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(temporaries(&path));
        } else if path
            .file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with(".tmp-")
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[test]
fn the_next_pull_removes_the_files_of_a_killed_one() {
    let (registry, cache) = (stalling(), tempfile::tempdir().unwrap());
    let mut child = pull_until_it_stalls(&registry, cache.path(), command(cache.path()));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!temporaries(cache.path()).is_empty());
    registry.heal();
    let output = command(cache.path())
        .args(["pull", "--platform", "linux/amd64", "--progress", "none"])
        .arg(format!("{}/test:v1", registry.host()))
        .output()
        .unwrap();
    common::ok(&output);
    assert_eq!(temporaries(cache.path()), [""; 0]);
}

#[test]
fn a_pull_that_ignores_hangups_from_the_start_goes_on() {
    let (registry, cache) = (stalling(), tempfile::tempdir().unwrap());
    let mut nohup = Command::new("nohup");
    nohup
        .arg(env!("CARGO_BIN_EXE_msb-image"))
        .env_clear()
        .env("MSB_IMAGE_CACHE", cache.path())
        .env("PATH", std::env::var_os("PATH").unwrap());
    let mut child = pull_until_it_stalls(&registry, cache.path(), nohup);
    send("-HUP", &child);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(child.try_wait().unwrap(), None);
    send("-TERM", &child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

/// Returns whether a process of another user than root may read this process's memory: otherwise root owns its files in `/proc`.
#[cfg(target_os = "linux")]
fn is_dumpable(child: &Child) -> bool {
    let owner = std::fs::metadata(format!("/proc/{}/environ", child.id())).unwrap();
    owner.uid() != 0
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_that_holds_a_secret_is_not_dumpable() {
    let registry = stalling();
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    std::fs::create_dir(&cache).unwrap();
    for path in [folder.path(), &cache] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    // Where another user can run it.
    let program = folder.path().join("msb-image");
    msb_testkit::program::copy(env!("CARGO_BIN_EXE_msb-image").as_ref(), &program).unwrap();
    for (flags, input, dumpable) in [
        (
            &["--username", "me", "--password-stdin"][..],
            "hunter2\n",
            false,
        ),
        (&[][..], "", true),
    ] {
        let cache = cache.join(if dumpable { "without" } else { "with" });
        let mut command = Command::new(&program);
        command.env_clear().env("MSB_IMAGE_CACHE", &cache);
        if rustix::process::geteuid().is_root() {
            // Root's files in /proc are root's either way.
            command.uid(65534).gid(65534);
        }
        command
            .args(["pull", "--platform", "linux/amd64", "--progress", "none"])
            .args(flags)
            .arg(format!("{}/test:v1", registry.host()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        wait_until(|| bytes_below(&cache) > 2_000_000);
        let seen = is_dumpable(&child);
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert_eq!(seen, dumpable);
    }
}
