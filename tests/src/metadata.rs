//! The output of `cargo metadata` for this workspace.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{Failure, workspace};

/// Runs `cargo metadata` for the platform of the compiler; without that filter, cargo downloads the crates of every platform.
///
/// # Errors
/// If cargo or rustc cannot be run, or cargo fails.
pub fn read() -> Result<Value, Failure> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(workspace::root()).stdin(Stdio::null());
    command.args(["metadata", "--format-version", "1", "--filter-platform"]);
    let output = command.arg(host()?).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Returns the elements of a JSON array; none for another value.
#[must_use]
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Returns the text of a JSON string; an empty text for another value.
#[must_use]
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns the platform of the compiler.
fn host() -> Result<String, Failure> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.ok_or("rustc -vV names no host")?.to_owned())
}
