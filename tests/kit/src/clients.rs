//! Other clients of registries: crane and oras.

use std::{ffi::OsStr, process::Command};

use crate::{
    KitError, command,
    oracle::{Tool, require},
};

/// Runs crane with these arguments, for registries over plain HTTP. Returns what it prints.
///
/// # Errors
///
/// When crane fails.
pub fn crane<A: AsRef<OsStr>>(args: &[A]) -> Result<String, KitError> {
    run(Tool::Crane, &["--insecure"], args)
}

/// Runs oras with these arguments. Returns what it prints.
///
/// # Errors
///
/// When oras fails.
pub fn oras<A: AsRef<OsStr>>(args: &[A]) -> Result<String, KitError> {
    run(Tool::Oras, &[], args)
}

fn run<A: AsRef<OsStr>>(tool: Tool, options: &[&str], args: &[A]) -> Result<String, KitError> {
    let home = tempfile::tempdir().map_err(KitError::io("create", &std::env::temp_dir()))?;
    let mut client = Command::new(require(tool));
    // Neither credentials nor a cache of this machine.
    client
        .env("HOME", home.path())
        .env("DOCKER_CONFIG", home.path());
    let output = command::run(client.args(options).args(args))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
