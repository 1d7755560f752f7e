//! `cargo xtask setup`: installs what the checks need.

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use msb_testkit::oracle::{self, Oracles};

use crate::{Outcome, cargo};

/// The pinned version of cargo-deny. Another version may read `deny.toml` in another way.
const CARGO_DENY: &str = "0.20.2";

/// Installs the oracles and cargo-deny.
pub(crate) fn setup_all(out: &mut dyn Write) -> Outcome {
    setup(out)?;
    cargo_deny(out)?;
    Ok(())
}

/// Installs the missing oracles and prints what was installed. Fast if none is missing.
///
/// # Errors
/// When a package manager fails, or tools remain missing because only root can install packages of the system: the error has the
/// command that installs them.
pub(crate) fn setup(out: &mut dyn Write) -> Outcome {
    let report = Oracles::install()?;
    if !report.installed.is_empty() {
        writeln!(out, "installed: {}", report.installed.join(" "))?;
    }
    if report.filled {
        writeln!(out, "filled {}", oracle::folder().display())?;
    }
    if report.missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = report.missing.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    let tools: Vec<&str> = report.missing.iter().map(|(tool, _)| *tool).collect();
    Err(format!(
        "missing: {}; run `apt-get install --no-install-recommends {}`",
        tools.join(" "),
        packages.join(" ")
    )
    .into())
}

/// Returns the path of cargo-deny in the oracle folder, and builds it from crates.io if it is missing, which takes some minutes.
///
/// # Errors
/// When it cannot be downloaded or built.
pub(crate) fn cargo_deny(out: &mut dyn Write) -> Result<PathBuf, Box<dyn Error>> {
    let root = oracle::folder().join(format!("cargo-deny-{CARGO_DENY}"));
    let program = root.join("bin/cargo-deny");
    if program.is_file() {
        return Ok(program);
    }
    writeln!(out, "installing cargo-deny {CARGO_DENY}")?;
    out.flush()?;
    // Without optimization: it builds in a fraction of the time and reads two lock files.
    let mut install = cargo::cargo();
    install.args(["install", "cargo-deny", "--version", CARGO_DENY]);
    install.args(["--locked", "--debug", "--no-default-features"]);
    cargo::run(install.args(["--quiet", "--root"]).arg(&root))?;
    Ok(program)
}
