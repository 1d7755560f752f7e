//! `cargo xtask deps`.

use std::io::Write;
use std::process::Stdio;

use crate::{Outcome, cargo};

/// Runs cargo-deny by `deny.toml`, or says how to get it.
pub(crate) fn deps(out: &mut dyn Write) -> Outcome {
    let mut probe = cargo::cargo();
    probe
        .args(["deny", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if !probe.status().is_ok_and(|status| status.success()) {
        return Err("cargo-deny is missing; run `cargo install --locked cargo-deny`".into());
    }
    writeln!(out, "licences, bans and sources by deny.toml")?;
    cargo::run(cargo::cargo().args([
        "deny",
        "--workspace",
        "check",
        "licenses",
        "bans",
        "sources",
    ]))
}
