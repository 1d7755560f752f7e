//! A home directory with credential files and helpers.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use msb_credentials::{Credential, DockerCredentials, Error, RegistryName};
use tempfile::TempDir;

pub(crate) const SECRET: &str = "hunter2-s3cr3t";

/// A user's files, apart from those of the machine.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, with its directories.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Writes a helper in a process of its own: a file that is open for writing cannot be run.
    pub(crate) fn helper(&self, name: &str, script: &str) {
        let path = self.path(&format!("bin/docker-credential-{name}"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "cat > \"$0\" && chmod 755 \"$0\""])
            .arg(&path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let text = format!("#!/bin/sh\n{script}\n");
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        assert!(child.wait().unwrap().success());
    }

    pub(crate) fn var(&self, name: &str) -> Option<OsString> {
        let path = match name {
            "HOME" => self.0.path().to_owned(),
            "XDG_RUNTIME_DIR" => self.path("run"),
            "PATH" => self.path("bin"),
            _ => return None,
        };
        Some(path.into_os_string())
    }

    pub(crate) fn credentials(&self) -> DockerCredentials {
        DockerCredentials::from_vars(|name| self.var(name))
    }

    /// Looks up what Docker's file has for a registry.
    pub(crate) fn get(&self, registry: &str) -> Result<Option<Credential>, Error> {
        let found = self.credentials().get(&name(registry), None)?;
        Ok(found.map(|found| found.credential))
    }
}

pub(crate) const DOCKER: &str = ".docker/config.json";
pub(crate) const PODMAN: &str = "run/containers/auth.json";

pub(crate) fn name(registry: &str) -> RegistryName {
    registry.parse().unwrap()
}

/// An error with all of its causes, in both forms.
pub(crate) fn whole(error: &Error) -> String {
    let mut text = format!("{error} / {error:?}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(" / {error} / {error:?}"));
        cause = error.source();
    }
    assert!(!text.contains(SECRET), "{text}");
    text
}

pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// Names in the directory of a file, to find what was left behind.
pub(crate) fn siblings(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
