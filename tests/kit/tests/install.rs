//! Installing the oracles: it works on a bare machine, and costs nothing the second time.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says how long it took"
)]

use std::time::{Duration, Instant};

use msb_testkit::oracle::{Oracles, Tool, require};

#[test]
fn installing_twice_is_quick_and_leaves_nothing_missing() {
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
