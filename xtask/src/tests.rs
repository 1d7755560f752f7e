//! `cargo xtask test`.

use std::ffi::OsString;
use std::io::Write;

use clap::Args;
use msb_testkit::oracle;

use crate::{Outcome, cargo, setup};

/// Which tests.
#[derive(Debug, Default, Args)]
pub(crate) struct TestOptions {
    /// Only tests with this in their names
    filter: Option<String>,
}

/// Installs what the tests are judged by, then runs them all: units, integration, doctests and examples.
pub(crate) fn test(options: &TestOptions, out: &mut dyn Write) -> Outcome {
    setup::setup(out)?;
    let mut command = cargo::cargo();
    command.args(["test", "--workspace"]).args(&options.filter);
    command.env("PATH", path()?);
    cargo::run(&mut command)
}

/// `PATH` with the newer tools of the oracle folder first.
pub(crate) fn path() -> Result<OsString, std::env::JoinPathsError> {
    let old = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(oracle::folder().join("bin")).chain(std::env::split_paths(&old));
    std::env::join_paths(folders)
}
