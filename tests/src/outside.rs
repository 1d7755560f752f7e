//! Packages outside of the workspace, built as a dependent builds them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Failure, workspace};

/// A package in a folder of its own, with the dependencies' versions and the profile of the workspace.
///
/// So nothing is downloaded, and what the workspace has built is not built again.
#[derive(Debug)]
pub struct Package {
    folder: PathBuf,
    target: PathBuf,
}

impl Package {
    /// Writes a package into `folder`, which may exist.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn write(folder: &Path, manifest: &str, main: &str) -> Result<Self, Failure> {
        let root = workspace::root();
        let workspace = fs::read_to_string(root.join("Cargo.toml"))?;
        let profile = dev_profile(&workspace)?;
        fs::create_dir_all(folder.join("src"))?;
        fs::write(folder.join("Cargo.toml"), format!("{manifest}\n{profile}"))?;
        fs::write(folder.join("src/main.rs"), main)?;
        fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock"))?;
        Ok(Self {
            folder: folder.to_owned(),
            target: target_folder()?,
        })
    }

    /// Copies a package of the source tree, such as `examples/progress`, into `folder`. Paths in its manifest that lead to `crates/`
    /// are kept.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn copy(source: &str, folder: &Path) -> Result<Self, Failure> {
        let root = workspace::root();
        let source = root.join(source);
        let crates = format!("\"{}/crates", root.display());
        let manifest = fs::read_to_string(source.join("Cargo.toml"))?;
        let manifest = manifest.replace("\"../../crates", &crates);
        Self::write(
            folder,
            &manifest,
            &fs::read_to_string(source.join("src/main.rs"))?,
        )
    }

    /// Runs cargo on the package, without the network. Returns what it printed.
    ///
    /// # Errors
    /// If cargo fails, with its messages.
    pub fn cargo(&self, arguments: &[&str]) -> Result<String, Failure> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(arguments)
            .arg("--offline")
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            .output()?;
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!("cargo {arguments:?}: {errors}").into());
        }
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Builds the package without warnings. Returns the path of its program `name`.
    ///
    /// # Errors
    /// If it does not compile.
    pub fn build(&self, name: &str) -> Result<PathBuf, Failure> {
        self.cargo(&["build", "--quiet"])?;
        Ok(self.target.join("debug").join(name))
    }
}

/// Returns the target folder of the workspace: a test is `<target>/debug/deps/<name>`.
fn target_folder() -> Result<PathBuf, Failure> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(3);
    Ok(folder.ok_or("the test is in no target folder")?.to_owned())
}

/// Returns the tables of the profile `dev` of a manifest.
fn dev_profile(manifest: &str) -> Result<&str, Failure> {
    let start = manifest
        .find("[profile.dev]")
        .ok_or("no profile dev in the manifest")?;
    let profile = &manifest[start..];
    Ok(profile.split("[profile.release]").next().unwrap_or(profile))
}
