//! Runs cargo on this workspace.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Outcome;

/// Returns the root folder of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Returns a command in the root folder that runs the cargo that runs this program.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(workspace()).stdin(Stdio::null());
    // Set by the outer cargo; they would make the inner cargo rebuild everything.
    for variable in [
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PKG_NAME",
        "CARGO_PKG_VERSION",
    ] {
        command.env_remove(variable);
    }
    command
}

/// Runs a command with the standard streams of this program.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let line = line(command);
    let status = command
        .status()
        .map_err(|error| format!("cannot start {line}: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{line}: {status}").into())
    }
}

/// Returns the host platform as the compiler names it.
pub(crate) fn host() -> Result<String, Box<dyn Error>> {
    rustc_line("host: ")
}

/// Returns the major version of the compiler's LLVM.
pub(crate) fn llvm_major() -> Result<String, Box<dyn Error>> {
    let version = rustc_line("LLVM version: ")?;
    Ok(version.split('.').next().unwrap_or_default().to_owned())
}

/// Returns the value of a line of `rustc -vV`.
fn rustc_line(key: &str) -> Result<String, Box<dyn Error>> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let version = String::from_utf8(output(rustc.arg("-vV"))?)?;
    let mut lines = version.lines();
    let value = lines.find_map(|line| line.strip_prefix(key));
    Ok(value
        .ok_or("rustc -vV does not print its version")?
        .to_owned())
}

/// Returns the output of `cargo metadata` for the packages of this workspace.
pub(crate) fn metadata() -> Result<Value, Box<dyn Error>> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--no-deps"]);
    Ok(serde_json::from_slice(&output(&mut command)?)?)
}

/// Returns the folder of cargo's build output.
pub(crate) fn target_folder() -> Result<PathBuf, Box<dyn Error>> {
    let metadata = metadata()?;
    let folder = metadata["target_directory"]
        .as_str()
        .ok_or("cargo metadata names no target directory")?;
    Ok(folder.into())
}

/// Runs a command and returns its standard output.
fn output(command: &mut Command) -> Result<Vec<u8>, Box<dyn Error>> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", line(command), output.status).into());
    }
    Ok(output.stdout)
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    words.join(" ")
}
