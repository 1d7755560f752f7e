//! Running the built command in an environment of its own.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The command, with its cache in `cache` and nothing else from the environment.
pub(crate) fn command(cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_msb-image"));
    command.env_clear().env("MSB_IMAGE_CACHE", cache);
    command
}

pub(crate) fn run<A: AsRef<OsStr>>(cache: &Path, args: impl IntoIterator<Item = A>) -> Output {
    command(cache).args(args).output().expect("it starts")
}

/// As [`run`], with something on standard input.
#[allow(dead_code, reason = "each test file is a crate of its own")]
pub(crate) fn run_with_input(cache: &Path, args: &[&str], input: &str) -> Output {
    let mut child = command(cache)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    // It may refuse its arguments without reading.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// What it printed, if it succeeded.
#[allow(dead_code, reason = "each test file is a crate of its own")]
#[track_caller]
pub(crate) fn ok(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    stdout(output)
}
