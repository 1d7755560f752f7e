//! Runs the built command in its own environment.
#![allow(dead_code, reason = "each test binary uses some of it")]

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

/// Returns the command with its cache in `cache` and no other environment.
pub(crate) fn command(cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msb-image"));
    command.env_clear().env("MSB_IMAGE_CACHE", cache);
    command
}

pub(crate) fn run<A: AsRef<OsStr>>(cache: &Path, args: impl IntoIterator<Item = A>) -> Output {
    command(cache).args(args).output().expect("it starts")
}

/// Runs like [`run`], with data on standard input.
pub(crate) fn run_with_input(cache: &Path, args: &[&str], input: &str) -> Output {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), input).expect("it takes text");
    let stdin = file.reopen().expect("it is there");
    let mut command = command(cache);
    command.args(args).stdin(stdin).output().expect("it starts")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// Returns the output of a successful command.
#[track_caller]
pub(crate) fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    stdout(output)
}
