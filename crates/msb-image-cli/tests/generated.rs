//! Completion scripts and manual pages, which are generated from the arguments.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{ok, run, stdout};
use msb_testkit::oracle::{Tool, require};

/// Returns what bash completes after `words`.
fn completed(script: &Path, words: &str) -> Vec<String> {
    let program = format!(
        "source {}
         COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
         complete=$(complete -p msb-image); complete=${{complete##*-F }}
         ${{complete%% *}} msb-image \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let mut bash = Command::new(require(Tool::Bash));
    let output = bash
        .args(["--norc", "-eu", "-c", &program])
        .output()
        .unwrap();
    ok(&output).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let script = folder.path().join("msb-image.bash");
    fs::write(&script, ok(&run(&cache, ["completions", "bash"]))).unwrap();
    assert_eq!(completed(&script, "msb-image ins"), ["inspect"]);
    assert_eq!(completed(&script, "msb-image run-"), ["run-with-lease"]);
    assert_eq!(completed(&script, "msb-image pull --pol"), ["--policy"]);
    let policies = completed(&script, "msb-image pull --policy ''");
    assert_eq!(policies, ["if-missing", "always", "never"]);
    assert_eq!(completed(&script, "msb-image upper cr"), ["create"]);
    assert!(!cache.exists());
}

#[test]
fn every_shell_has_a_script_that_names_every_command() {
    let cache = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = ok(&run(cache.path(), ["completions", shell]));
        for command in ["pull", "run-with-lease", "completions"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let other = run(cache.path(), ["completions", "tcsh"]);
    assert_eq!(other.status.code(), Some(2));
}

#[test]
fn manual_pages_are_written_for_every_command_and_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    let text = ok(&run(folder.path(), ["man".as_ref(), pages.as_os_str()]));
    let mut names: Vec<_> = fs::read_dir(&pages)
        .unwrap()
        .map(|page| page.unwrap().path())
        .collect();
    names.sort();
    assert!(text.ends_with(&format!(": {} manual pages\n", names.len())));
    for name in ["msb-image", "msb-image-pull", "msb-image-upper-create"] {
        assert!(names.contains(&pages.join(format!("{name}.1"))), "{name}");
    }
    let mut lint = Command::new(require(Tool::Mandoc));
    let lint = lint
        .args(["-Tlint", "-Wwarning"])
        .args(&names)
        .output()
        .unwrap();
    // Pages have no date, so that they are equal wherever they are written.
    let warnings = stdout(&lint);
    let warnings = warnings
        .lines()
        .filter(|line| !line.contains("missing date"));
    assert_eq!(warnings.collect::<Vec<_>>(), [""; 0]);

    let mut show = Command::new(require(Tool::Mandoc));
    let page = pages.join("msb-image-pull.1");
    let shown = ok(&show.args(["-Tutf8"]).arg(page).output().unwrap());
    // Bold and underlined characters are printed over themselves.
    let mut plain = String::new();
    for c in shown.chars() {
        match c {
            '\u{8}' => drop(plain.pop()),
            c => plain.push(c),
        }
    }
    assert!(plain.contains("--keep-blobs"), "{plain}");
    let main = fs::read_to_string(pages.join("msb-image.1")).unwrap();
    assert!(main.contains("\nExit codes: 0 done"), "{main}");
    assert!(main.contains("\nmsb\\-image\\-pull(1)\n"), "{main}");
}
