//! Installing what the tests are judged by.

use std::{error::Error, io::Write};

use msb_testkit::oracle::Oracles;

/// Installs the missing oracles and says on `out` what was done. Quick when nothing is missing.
///
/// # Errors
/// When a package manager fails, or when tools stay missing (without root, the system's packages cannot be installed): the error
/// names the command that installs them.
pub(crate) fn setup(out: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let report = Oracles::install()?;
    if !report.installed.is_empty() {
        writeln!(out, "installed: {}", report.installed.join(" "))?;
    }
    if report.filled {
        writeln!(out, "filled {}", msb_testkit::oracle::folder().display())?;
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
