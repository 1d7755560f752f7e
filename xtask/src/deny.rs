//! `cargo xtask deny`: licences, bans, sources and security advisories, by cargo-deny and `deny.toml`.
//!
//! ```text
//!   Cargo.lock, fuzz/Cargo.lock ──▶ licences, bans, sources     needs cargo-deny
//!                               └─▶ advisories, yanked crates   needs its database too, which is fetched
//! ```

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::{Outcome, cargo};

/// The manifests whose lock files are checked.
const MANIFESTS: &[&str] = &["Cargo.toml", "fuzz/Cargo.toml"];

/// What could not be checked, and why.
#[derive(Debug, PartialEq, Eq)]
struct Unchecked(&'static str);

/// Runs every check; fails also if one cannot be made.
pub(crate) fn deny(out: &mut dyn Write) -> Outcome {
    match check(out)? {
        None => Ok(()),
        Some(Unchecked(why)) => Err(why.into()),
    }
}

/// Runs the checks that can be made, and prints which cannot. For CI on machines without cargo-deny or without its database.
pub(crate) fn deny_if_possible(out: &mut dyn Write) -> Outcome {
    if let Some(Unchecked(why)) = check(out)? {
        writeln!(out, "NOT CHECKED: {why}")?;
    }
    Ok(())
}

fn check(out: &mut dyn Write) -> Result<Option<Unchecked>, Box<dyn std::error::Error>> {
    if !succeeds(cargo::cargo().args(["deny", "--version"])) {
        return Ok(Some(Unchecked(
            "licences, bans, sources and advisories: cargo-deny is missing; run `cargo install --locked cargo-deny`",
        )));
    }
    for manifest in MANIFESTS {
        writeln!(out, "{manifest}: licences, bans and sources")?;
        cargo::run(&mut cargo_deny(manifest, &["licenses", "bans", "sources"]))?;
    }
    let mut fetch = cargo::cargo();
    if !succeeds(fetch.args(["deny", "fetch", "db"])) {
        return Ok(Some(Unchecked(
            "advisories: the database of cargo-deny cannot be fetched",
        )));
    }
    for manifest in MANIFESTS {
        writeln!(out, "{manifest}: advisories")?;
        cargo::run(&mut cargo_deny(
            manifest,
            &["--disable-fetch", "advisories"],
        ))?;
    }
    Ok(None)
}

fn cargo_deny(manifest: &str, check: &[&str]) -> Command {
    let mut command = cargo::cargo();
    command
        .args(["deny", "--manifest-path"])
        .arg(cargo::workspace().join(manifest))
        .args(["check", "--config"])
        .arg(cargo::workspace().join(Path::new("deny.toml")))
        .args(check);
    command
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
