//! A private apt: other suites' packages, resolved and fetched without touching the system's own state.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{KitError, command};

/// Where packages come from when the system names no Debian mirror (it is not Debian).
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One suite of Debian, with lists, cache and (empty) package database of its own.
#[derive(Debug)]
pub(crate) struct PrivateApt {
    root: PathBuf,
    /// The database that says what is already installed: empty, so that every dependency is fetched.
    status: PathBuf,
}

impl PrivateApt {
    /// Sets the folder up and fetches the suite's package lists.
    pub(crate) fn update(root: &Path, suite: &str) -> Result<Self, KitError> {
        for folder in ["lists/partial", "cache/archives/partial", "etc"] {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).map_err(KitError::io("create", folder))?;
        }
        let status = root.join("status");
        fs::write(&status, "").map_err(KitError::io("write", &status))?;
        let sources = root.join("etc/sources.list");
        let line = format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror());
        fs::write(&sources, line).map_err(KitError::io("write", &sources))?;
        let apt = PrivateApt {
            root: root.to_owned(),
            status,
        };
        command::run(apt.command("apt-get").arg("update"))?;
        Ok(apt)
    }

    /// Takes the package database of a root file system as what is installed.
    pub(crate) fn with_status(mut self, status: &Path) -> Self {
        self.status = status.to_owned();
        self
    }

    /// Fetches `packages` and all that they need, and unpacks them below `into`. Nothing of theirs is run.
    pub(crate) fn unpack(&self, packages: &[&str], into: &Path) -> Result<(), KitError> {
        fs::create_dir_all(into).map_err(KitError::io("create", into))?;
        let archives = self.root.join("cache/archives");
        command::run(
            self.command("apt-get")
                .args([
                    "install",
                    "--yes",
                    "--download-only",
                    "--no-install-recommends",
                    "-o",
                    "APT::Install-Suggests=false",
                ])
                .args(packages),
        )?;
        for entry in fs::read_dir(&archives).map_err(KitError::io("read", &archives))? {
            let package = entry.map_err(KitError::io("read", &archives))?.path();
            if package
                .extension()
                .is_some_and(|extension| extension == "deb")
            {
                command::run(Command::new("dpkg-deb").arg("-x").arg(&package).arg(into))?;
                fs::remove_file(&package).map_err(KitError::io("remove", &package))?;
            }
        }
        Ok(())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let mut option = |key: &str, value: &Path| {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        };
        option("Dir::Etc::sourcelist", &self.root.join("etc/sources.list"));
        option("Dir::Etc::sourceparts", Path::new("/dev/null"));
        option("Dir::Etc::preferencesparts", Path::new("/dev/null"));
        option("Dir::State", &self.root);
        option("Dir::State::lists", &self.root.join("lists"));
        option("Dir::State::status", &self.status);
        option("Dir::Cache", &self.root.join("cache"));
        option("Dir::Log", &self.root);
        // The folder may be readable by its owner only, and apt's own sandbox user would warn about it.
        command.args([
            "-o",
            "APT::Sandbox::User=root",
            "-o",
            "Acquire::Retries=3",
            "-o",
            "Acquire::Languages=none",
        ]);
        command.args([
            "-o",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "-qq",
        ]);
        // A mirror may be a frozen snapshot of a suite; its signature is checked all the same.
        command.args(["-o", "Acquire::Check-Valid-Until=false"]);
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C");
        command
    }
}

/// The Debian mirror of the system's own apt sources, or the general one.
pub(crate) fn mirror() -> String {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let texts = files
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok());
    texts
        .filter_map(|text| mirror_in(&text))
        .next()
        .unwrap_or_else(|| DEFAULT_MIRROR.to_owned())
}

/// The first address of a Debian archive in a sources file of either form.
fn mirror_in(text: &str) -> Option<String> {
    text.lines()
        .filter(|line| line.starts_with("deb ") || line.starts_with("URIs:"))
        .flat_map(str::split_whitespace)
        .map(|word| word.trim_end_matches('/'))
        .find(|word| word.contains("://") && word.ends_with("/debian"))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_systems_own_in_both_forms() {
        let deb822 = "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n";
        assert_eq!(
            mirror_in(deb822).as_deref(),
            Some("http://mirror.example/debian")
        );
        let line = "# deb http://no.example/debian x main\ndeb [arch=amd64] https://m.example/debian/ bookworm main\n";
        assert_eq!(mirror_in(line).as_deref(), Some("https://m.example/debian"));
        assert_eq!(
            mirror_in("deb http://archive.ubuntu.com/ubuntu noble main"),
            None
        );
    }
}
