//! Help and usage errors, before the command does anything, and commands that only read the cache.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::path::Path;

use common::{command, ok, run, run_with_input, stderr, stdout};

const OPTIONS: &[(&str, &[&str])] = &[
    (
        "pull",
        &[
            "--platform",
            "--policy",
            "--force",
            "--strict",
            "--plain-http",
            "--ca-cert",
            "--username",
            "--password-stdin",
            "--progress",
            "--format",
            "--cache-dir",
            "--cache-group",
        ],
    ),
    ("ls", &["--format"]),
    ("inspect", &["--format", "--platform", "<REF>"]),
    ("tree", &["--format", "--platform", "[PATH]"]),
    ("cat", &["--platform", "<PATH>"]),
    ("verify", &["--format", "--full", "[REF]..."]),
    ("rm", &["--format", "--platform", "<REF>..."]),
    ("prune", &["--format", "--grace"]),
];

#[test]
fn every_command_has_a_help_with_its_options() {
    let cache = tempfile::tempdir().unwrap();
    let general = ok(&run(cache.path(), ["--help"]));
    for (name, options) in OPTIONS {
        assert!(general.contains(&format!("  {name} ")), "{general}");
        let help = ok(&run(cache.path(), [name, "--help"]));
        for option in *options {
            assert!(help.contains(option), "{name} {option}: {help}");
        }
    }
    assert!(ok(&run(cache.path(), ["--version"])).starts_with("msb-image "));
}

#[test]
fn bad_usage_ends_with_2() {
    let cache = tempfile::tempdir().unwrap();
    let bad: &[&[&str]] = &[
        &[],
        &["nothing"],
        &["pull"],
        &["pull", "Not A Reference"],
        &["pull", "a", "--platform", "linux"],
        &["pull", "a", "--policy", "sometimes"],
        &["pull", "a", "--progress", "loud"],
        &["pull", "a", "--format", "xml"],
        &["pull", "a", "--force", "--policy", "never"],
        &["pull", "a", "--username", "me"],
        &["pull", "a", "--password-stdin"],
        &["ls", "a"],
        &["inspect"],
        &["cat", "a"],
        &["rm"],
        &["prune", "--grace", "soon"],
    ];
    for args in bad {
        let output = run(cache.path(), *args);
        assert_eq!(output.status.code(), Some(2), "{args:?} {output:?}");
        assert!(stdout(&output).is_empty(), "{args:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn a_password_is_for_one_registry_and_is_never_shown() {
    let cache = tempfile::tempdir().unwrap();
    let sign_in = ["--username", "me", "--password-stdin"];
    let cases: &[(&[&str], &str)] = &[
        (&["pull", "a.invalid/x", "b.invalid/y"], "hunter2\n"),
        (&["pull", "a.invalid/x"], "\n"),
    ];
    for (args, input) in cases {
        let args = [*args, &sign_in].concat();
        let output = run_with_input(cache.path(), &args, input);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!stderr(&output).contains("hunter2"), "{output:?}");
    }
}

#[test]
fn what_is_not_cached_is_an_error_with_a_hint() {
    let cache = tempfile::tempdir().unwrap();
    let commands: &[&[&str]] = &[
        &["pull", "alpine", "--policy", "never", "--progress", "none"],
        &["inspect", "alpine"],
        &["tree", "alpine"],
        &["cat", "alpine", "/etc/motd"],
        &["verify", "alpine"],
    ];
    for args in commands {
        let output = run(cache.path(), *args);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let text = stderr(&output);
        let mut lines = text.lines();
        let error = lines.next().unwrap();
        assert!(error.starts_with("error: docker.io/library/alpine:latest for linux/"));
        assert!(error.ends_with(" is not cached"), "{error}");
        let hint = "hint: pull it with `msb-image pull docker.io/library/alpine:latest`";
        assert_eq!(lines.next(), Some(hint));
    }
    let output = run(cache.path(), ["rm", "alpine"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("hint: `msb-image ls`"));
}

#[test]
fn an_empty_cache_has_nothing_to_show() {
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path();
    assert_eq!(ok(&run(cache, ["ls", "--format", "json"])), "");
    assert!(ok(&run(cache, ["ls"])).starts_with("REFERENCE"));
    assert_eq!(ok(&run(cache, ["verify"])), "");
    assert_eq!(ok(&run(cache, ["prune"])), "nothing to remove\n");
}

#[test]
fn the_cache_directory_is_the_flag_then_the_variable_then_the_systems() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // The error names the directory.
    let is_looked_for = |output: std::process::Output, path: &Path| {
        let expected = format!("error: there is no cache at {}\n", path.display());
        assert!(stderr(&output).starts_with(&expected), "{output:?}");
    };
    let flag = command(&at("variable"))
        .args(["ls", "--cache-dir"])
        .arg(at("flag"))
        .output();
    is_looked_for(flag.unwrap(), &at("flag"));
    is_looked_for(run(&at("variable"), ["ls"]), &at("variable"));
    let none = Path::new("");
    let system = |name: &str, value: &Path| {
        let output = command(none).arg("ls").env(name, value).output();
        output.unwrap()
    };
    if cfg!(target_os = "macos") {
        let expected = at("home/Library/Caches/msb-image");
        is_looked_for(system("HOME", &at("home")), &expected);
    } else {
        is_looked_for(system("HOME", &at("home")), &at("home/.cache/msb-image"));
        is_looked_for(system("XDG_CACHE_HOME", &at("xdg")), &at("xdg/msb-image"));
    }
    assert_eq!(run(none, ["ls"]).status.code(), Some(2));
}

#[test]
fn commands_that_read_create_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let foreign = folder.path().join("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("file"), "x").unwrap();
    let commands: &[&[&str]] = &[
        &["ls"],
        &["inspect", "alpine"],
        &["inspect", "0123456789ab"],
        &["tree", "alpine"],
        &["cat", "alpine", "/x"],
        &["verify"],
        &["verify", "alpine"],
        &["rm", "alpine"],
        &["rm", "0123456789ab"],
        &["prune"],
    ];
    for args in commands {
        let output = run(&missing, *args);
        assert_eq!(output.status.code(), Some(1), "{args:?} {output:?}");
        let text = stderr(&output);
        assert!(text.contains("there is no cache at "), "{args:?} {text}");
        assert!(text.contains("hint: a pull creates the cache"), "{text}");
        let output = run(&foreign, *args);
        assert_eq!(output.status.code(), Some(1), "{args:?} {output:?}");
        assert!(stderr(&output).contains("is not a cache directory"));
    }
    assert!(!missing.exists());
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn a_cache_that_others_can_change_is_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let cache = tempfile::tempdir().unwrap();
    for (mode, is_warned_of) in [(0o700, false), (0o720, true), (0o702, true), (0o755, false)] {
        std::fs::set_permissions(cache.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let output = run(cache.path(), ["ls"]);
        ok(&output);
        let text = stderr(&output);
        let warning = "warning: the cache is writable for other users";
        assert_eq!(text.contains(warning), is_warned_of, "{mode:o} {text}");
    }
}

#[test]
fn a_certificate_file_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("ca.pem");
    let pull = || {
        let mut command = command(folder.path());
        command.args(["pull", "a.invalid/x", "--ca-cert"]);
        command.arg(&pem).output().unwrap()
    };
    let missing = pull();
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("ca.pem: reading the certificates\n  caused by: "));
    std::fs::write(&pem, "no certificate").unwrap();
    let useless = pull();
    assert_eq!(useless.status.code(), Some(1));
    assert!(stderr(&useless).contains("ca.pem holds no PEM certificate that can be used"));
    let damaged = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&pem, damaged).unwrap();
    let text = stderr(&pull());
    assert!(
        text.contains("ca.pem holds no PEM certificate that can be used: "),
        "{text}"
    );
}
