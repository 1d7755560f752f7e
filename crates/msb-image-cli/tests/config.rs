//! The configuration file: precedence, origins and faults.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::{command, ok, stderr, stdout};

/// A folder with a configuration where the command looks for it.
struct Home(tempfile::TempDir);

impl Home {
    fn new(text: &str) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(home.file().parent().unwrap()).unwrap();
        fs::write(home.file(), text).unwrap();
        home
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self) -> PathBuf {
        if cfg!(target_os = "macos") {
            self.at("Library/Application Support/msb-image/config.toml")
        } else {
            self.at(".config/msb-image/config.toml")
        }
    }

    /// Returns the command without a cache in the environment.
    fn command(&self) -> Command {
        let mut command = command(Path::new(""));
        command.env("HOME", self.0.path());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }
}

/// Returns the line of a key, with single blanks.
fn line(output: &Output, key: &str) -> String {
    let text = ok(output);
    let found = text
        .lines()
        .find(|line| line.split(' ').next() == Some(key));
    let words = found.unwrap_or_default().split_whitespace();
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn flags_come_before_variables_before_the_file_before_defaults() {
    let home = Home::new("\ncache_dir = \"/from/file\"\n");
    let file = home.file();
    let in_file = format!("cache_dir /from/file {}:2", file.display());
    assert_eq!(line(&home.run(&["config"]), "cache_dir"), in_file);
    let with_variable = |args: &[&str]| {
        let mut command = home.command();
        command.env("MSB_IMAGE_CACHE", "/from/variable").args(args);
        command.output().unwrap()
    };
    assert_eq!(
        line(&with_variable(&["config"]), "cache_dir"),
        "cache_dir /from/variable $MSB_IMAGE_CACHE"
    );
    assert_eq!(
        line(
            &with_variable(&["config", "--cache-dir", "/f"]),
            "cache_dir"
        ),
        "cache_dir /f --cache-dir"
    );
    // The commands use what `config` shows.
    for (output, directory) in [
        (home.run(&["ls"]), "/from/file"),
        (with_variable(&["ls"]), "/from/variable"),
        (with_variable(&["ls", "--cache-dir", "/f"]), "/f"),
    ] {
        let expected = format!("error: there is no cache at {directory}\n");
        assert!(stderr(&output).starts_with(&expected), "{output:?}");
    }
}

#[test]
fn another_file_is_named_by_a_flag_and_must_exist() {
    let home = Home::new("cache_dir = \"/one\"");
    let other = home.at("other.toml");
    fs::write(&other, "cache_dir = \"relative\"\nauth_file = \"/auth\"").unwrap();
    let other = other.to_str().unwrap();
    let output = home.run(&["config", "--config", other]);
    let expected = format!("cache_dir {} {other}:1", home.at("relative").display());
    assert_eq!(line(&output, "cache_dir"), expected);
    assert_eq!(
        line(&output, "auth_file"),
        format!("auth_file /auth {other}:2")
    );
    let missing = home.run(&["ls", "--config", "/missing.toml"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(stderr(&missing).starts_with("error: /missing.toml: reading the configuration\n"));
}

#[test]
fn every_setting_has_a_value_and_an_origin_as_json_too() {
    let text =
        "hosts_dirs = [\"certs.d\"]\nmax_concurrent_layers = 2\n[limits]\nlayer-entries = \"1K\"\n";
    let home = Home::new(text);
    let printed = ok(&home.run(&["config", "--format", "json"]));
    let settings: Vec<serde_json::Value> = printed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |key: &str| {
        settings
            .iter()
            .find(|setting| setting["key"] == key)
            .unwrap()
    };
    assert_eq!(of("max_concurrent_layers")["value"], 2);
    assert_eq!(of("max_concurrent_layers")["line"], 2);
    assert_eq!(of("limits.layer-entries")["value"], 1024);
    assert_eq!(of("limits.layer-entries")["origin"], "file");
    assert_eq!(of("limits.pax-bytes")["value"], 1 << 20);
    assert_eq!(of("limits.pax-bytes")["origin"], "default");
    let certs = home.file().with_file_name("certs.d");
    assert_eq!(of("hosts_dirs")["value"][0], certs.to_str().unwrap());
    assert_eq!(of("auth_file")["value"], serde_json::Value::Null);
    assert_eq!(of("cache_dir")["origin"], "default");
}

#[test]
fn without_a_file_there_are_defaults() {
    let home = tempfile::tempdir().unwrap();
    let mut config = command(Path::new(""));
    config.env("HOME", home.path()).arg("config");
    let output = config.output().unwrap();
    assert!(ok(&output).contains("config.toml (does not exist)\n"));
    assert_eq!(
        line(&output, "max_concurrent_layers"),
        "max_concurrent_layers 4 default"
    );
    let mut nowhere = command(Path::new(""));
    let output = nowhere.arg("config").output().unwrap();
    assert_eq!(line(&output, "cache_dir"), "cache_dir none default");
}

#[test]
fn a_fault_ends_every_command_with_its_line_and_a_suggestion() {
    let home = Home::new("# comment\ncache_dirs = \"/x\"\n");
    for args in [&["ls"][..], &["config"], &["pull", "alpine"]] {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stdout(&output).is_empty());
        let expected = format!(
            "error: {}:2: unknown key cache_dirs; did you mean cache_dir?\n",
            home.file().display()
        );
        assert_eq!(stderr(&output), expected);
    }
    fs::remove_file(home.file()).unwrap();
    fs::create_dir(home.file()).unwrap();
    assert!(stderr(&home.run(&["ls"])).contains("the configuration is no regular file"));
}

#[test]
fn a_pull_uses_limits_and_directories_of_the_file_and_flags_come_before() {
    let home = Home::new(
        "cache_dir = \"cache\"\nhosts_dirs = [\"certs.d\"]\n[limits]\nlayer-entries = 1\n",
    );
    let layout = home.at("layout");
    msb_testkit::image::ImageBuilder::new()
        .layer(msb_testkit::image::Layer::recipe(
            "file a data=1\nfile b data=2\nfile c data=3",
        ))
        .write_layout(&layout, "v1")
        .unwrap();
    let layout = layout.to_str().unwrap();
    let load =
        |args: &[&str]| home.run(&[&["load", layout, "--tag", "a.invalid/x:v1"], args].concat());
    let refused = load(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        stderr(&refused).contains("more than the allowed 1"),
        "{refused:?}"
    );
    ok(&load(&[
        "--limit",
        "layer-entries=10",
        "--max-concurrent-layers",
        "1",
    ]));
    assert!(home.file().with_file_name("cache").is_dir());

    let certs = home.file().with_file_name("certs.d/a.invalid");
    fs::create_dir_all(&certs).unwrap();
    fs::write(certs.join("hosts.toml"), "not toml").unwrap();
    let pull = home.run(&["pull", "a.invalid/other"]);
    assert!(stderr(&pull).contains("hosts.toml"), "{pull:?}");
}

#[test]
fn the_budget_of_the_cache_comes_from_flag_variable_or_file() {
    let home = Home::new("cache_max_bytes = \"2K\"");
    let value = |output: &Output| line(output, "cache_max_bytes");
    let file = home.file();
    assert_eq!(
        value(&home.run(&["config"])),
        format!("cache_max_bytes 2048 {}:1", file.display())
    );
    let with_variable = |text: &str, args: &[&str]| {
        let mut command = home.command();
        command.env("MSB_IMAGE_CACHE_MAX_BYTES", text).args(args);
        command.output().unwrap()
    };
    assert_eq!(
        value(&with_variable("1K", &["config"])),
        "cache_max_bytes 1024 $MSB_IMAGE_CACHE_MAX_BYTES"
    );
    assert_eq!(
        value(&with_variable("1K", &["config", "--cache-max-bytes", "3"])),
        "cache_max_bytes 3 --cache-max-bytes"
    );
    for args in [&["ls"][..], &["config"]] {
        let output = with_variable("lots", args);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).starts_with("error: $MSB_IMAGE_CACHE_MAX_BYTES is lots: "));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_file_of_another_users_home_is_a_warning_and_one_that_is_named_an_error() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    const OTHER_USER: u32 = 65_534;
    let home = Home::new("cache_dir = \"/from/file\"");
    let folder = home.file().parent().unwrap().to_owned();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    // The folder of temporary files is open to all users, and the program may lie in a folder that is not.
    let program = home.at("msb-image");
    msb_testkit::program::copy(Path::new(env!("CARGO_BIN_EXE_msb-image")), &program).unwrap();
    fs::set_permissions(home.0.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(&program);
        command.env_clear().env("HOME", home.0.path());
        command
            .uid(OTHER_USER)
            .gid(OTHER_USER)
            .args(args)
            .output()
            .unwrap()
    };
    let output = run(&["config"]);
    let expected = format!(
        "cache_dir {}/.cache/msb-image default",
        home.0.path().display()
    );
    assert_eq!(line(&output, "cache_dir"), expected);
    assert!(stderr(&output).contains("the configuration is not used: permission denied"));
    let file = home.file();
    let named = run(&["config", "--config", file.to_str().unwrap()]);
    assert_eq!(named.status.code(), Some(2));
}
