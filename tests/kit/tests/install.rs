//! Installation of the oracles on a bare machine, and its cost the second time.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its duration"
)]

use std::time::{Duration, Instant};

use msb_testkit::oracle::{Oracles, Tool, require};

#[test]
fn a_second_installation_changes_nothing() {
    Oracles::install().unwrap();
    let start = Instant::now();
    let report = Oracles::install().unwrap();
    assert!(
        report.installed.is_empty() && !report.filled && report.missing.is_empty(),
        "{report:?}"
    );
    assert!(start.elapsed() < Duration::from_secs(2));
    for tool in [
        Tool::FsckErofs,
        Tool::QemuSystem,
        Tool::QemuImg,
        Tool::MkfsErofs,
    ] {
        let output = std::process::Command::new(require(tool))
            .arg("--version")
            .output()
            .unwrap();
        assert!(output.status.success(), "{tool:?}: {output:?}");
    }
}
