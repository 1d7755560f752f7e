//! `cargo xtask test`.

use std::ffi::OsString;
use std::io::Write;
use std::process::Command;

use clap::Args;
use msb_testkit::oracle;

use crate::{Outcome, cargo, setup};

/// Selects tests.
#[derive(Debug, Default, Args)]
pub(crate) struct TestOptions {
    /// Run only tests whose names contain this text
    filter: Option<String>,
}

/// Installs the oracles, then runs all tests: unit tests, integration tests, doctests and examples.
pub(crate) fn test(options: &TestOptions, out: &mut dyn Write) -> Outcome {
    setup::setup(out)?;
    cargo::run(cargo_test()?.args(&options.filter))
}

/// Runs all tests as CI does: a test fails where a developer's machine may leave out a part of it, and a failed binary does not
/// stop the others.
pub(crate) fn test_all(out: &mut dyn Write) -> Outcome {
    setup::setup(out)?;
    cargo::run(cargo_test()?.arg("--no-fail-fast").env("CI", "true"))
}

fn cargo_test() -> Result<Command, std::env::JoinPathsError> {
    let mut command = cargo::cargo();
    command.args(["test", "--workspace"]).env("PATH", path()?);
    Ok(command)
}

/// Returns `PATH` with the newer tools of the oracle folder first.
pub(crate) fn path() -> Result<OsString, std::env::JoinPathsError> {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(oracle::folder().join("bin")).chain(std::env::split_paths(&old));
    std::env::join_paths(folders)
}
