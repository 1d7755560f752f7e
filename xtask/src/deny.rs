//! The step `deny` of CI: licences, bans, sources and security advisories, by cargo-deny and `deny.toml`.
//!
//! ```text
//!   Cargo.lock, fuzz/Cargo.lock ──▶ licences, bans, sources     a finding fails
//!                               └─▶ advisories, yanked crates   a finding fails; needs the database, which is downloaded
//! ```

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Outcome, cargo, setup};

/// The manifests whose lock files are checked.
const MANIFESTS: &[&str] = &["Cargo.toml", "fuzz/Cargo.toml"];

/// Runs every check. Where the database of advisories cannot be downloaded, it prints that they were not checked.
pub(crate) fn deny(out: &mut dyn Write) -> Outcome {
    let program = setup::cargo_deny(out)?;
    for manifest in MANIFESTS {
        writeln!(out, "{manifest}: licences, bans and sources")?;
        out.flush()?;
        cargo::run(&mut check(
            &program,
            manifest,
            &["licenses", "bans", "sources"],
        ))?;
    }
    if !fetches_database(&program) {
        writeln!(
            out,
            "NOT CHECKED: advisories: the database cannot be downloaded"
        )?;
        return Ok(());
    }
    for manifest in MANIFESTS {
        writeln!(out, "{manifest}: advisories")?;
        out.flush()?;
        cargo::run(&mut check(&program, manifest, &["advisories"]))?;
    }
    Ok(())
}

fn check(program: &Path, manifest: &str, checks: &[&str]) -> Command {
    let mut command = command(program);
    let manifest = cargo::workspace().join(manifest);
    command.arg("--manifest-path").arg(manifest);
    command.arg("check").args(checks);
    command
}

fn fetches_database(program: &Path) -> bool {
    let mut fetch = command(program);
    fetch.args(["fetch", "db"]).stdout(Stdio::null());
    fetch.status().is_ok_and(|status| status.success())
}

/// Returns a command in the root folder that reads `deny.toml`.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(cargo::workspace()).stdin(Stdio::null());
    command.arg("--config").arg("deny.toml");
    command
}
