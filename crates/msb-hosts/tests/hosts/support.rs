//! A directory of settings.

use std::path::PathBuf;

use msb_hosts::{Error, Hosts, HostsDirs};
use tempfile::TempDir;

pub(crate) struct Dir(TempDir);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn hosts(&self, registry: &str) -> Result<Hosts, Error> {
        HostsDirs::new([self.0.path()]).hosts(registry)
    }
}

/// Reads a file as the settings of `r.example`.
pub(crate) fn parse(text: &str) -> Result<Hosts, Error> {
    let dir = Dir::new();
    dir.write("r.example/hosts.toml", text);
    dir.hosts("r.example")
}

/// The URLs in order.
pub(crate) fn urls(hosts: &Hosts) -> Vec<&str> {
    hosts.hosts.iter().map(|host| host.url.as_str()).collect()
}

pub(crate) fn warnings(hosts: &Hosts) -> Vec<String> {
    let warnings = hosts.warnings.iter();
    warnings
        .map(|warning| format!("{}: {}", warning.line, warning.kind))
        .collect()
}
