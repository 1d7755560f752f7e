//! The directories that hold settings for registries.

use std::io;
use std::path::{Path, PathBuf};

use msb_oci::Excerpt;

use crate::config::{HostConfig, HostRole, Hosts};
use crate::error::ValueFault;
use crate::{Error, HostUrl, certificates, hosts_file, read};

/// Where containerd looks by default.
const CONTAINERD_DIRS: [&str; 2] = ["/etc/containerd/certs.d", "/etc/docker/certs.d"];
/// The settings for every registry that has none of its own.
const DEFAULT_DIR: &str = "_default";
/// Longest name of a registry, in bytes. A host name has 253 at most.
const MAX_NAME_BYTES: usize = 300;

/// Directories with a subdirectory for each registry, in the order in which they are searched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostsDirs(Vec<PathBuf>);

impl HostsDirs {
    /// Creates a list of directories, which need not exist.
    #[must_use]
    pub fn new<P: Into<PathBuf>>(dirs: impl IntoIterator<Item = P>) -> Self {
        Self(dirs.into_iter().map(Into::into).collect())
    }

    /// Returns containerd's own directories: `/etc/containerd/certs.d`, then `/etc/docker/certs.d`.
    #[must_use]
    pub fn containerd() -> Self {
        Self::new(CONTAINERD_DIRS)
    }

    /// Returns the directories in order.
    pub fn iter(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(PathBuf::as_path)
    }

    /// Returns the hosts to try for a registry, which is `host` or `host:port` as in a reference.
    ///
    /// The first subdirectory that exists counts, even if it is empty: in each directory `host_port_`, `host:port` and `_default`, and
    /// only then the next directory. Without any, the registry itself is the only host.
    ///
    /// # Errors
    ///
    /// If a file or directory cannot be read, if `hosts.toml` is not TOML, or if a value in it cannot be used.
    pub fn hosts(&self, registry: &str) -> Result<Hosts, Error> {
        let invalid = |_: ValueFault| Error::Registry {
            name: Excerpt::new(registry),
        };
        if !is_name(registry) {
            return Err(invalid(ValueFault::Url));
        }
        let own = HostUrl::of_registry(registry).map_err(invalid)?;
        let own = HostConfig::new(own, HostRole::Registry);
        for dir in &self.0 {
            for name in directory_names(registry) {
                let folder = dir.join(name);
                if exists(&folder)? {
                    return load(&folder, own);
                }
            }
        }
        Ok(Hosts {
            hosts: vec![own],
            warnings: Vec::new(),
            directory: None,
        })
    }
}

/// Reads a registry's directory. `own` is the registry as a host, for where the file has no `server`.
fn load(folder: &Path, own: HostConfig) -> Result<Hosts, Error> {
    let path = folder.join("hosts.toml");
    let (hosts, warnings) = match read::read(&path)? {
        Some(bytes) if !bytes.is_empty() => hosts_file::parse(&path, &bytes, own)?,
        _ => (vec![certificates::read(folder, own)?], Vec::new()),
    };
    Ok(Hosts {
        hosts,
        warnings,
        directory: Some(folder.to_owned()),
    })
}

/// Returns whether a text is a host with an optional port, and so a single part of a path.
fn is_name(registry: &str) -> bool {
    let is_name_char = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    registry.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
        && registry.len() <= MAX_NAME_BYTES
        && registry.chars().all(is_name_char)
}

fn directory_names(registry: &str) -> impl Iterator<Item = String> {
    let with_port = registry
        .rsplit_once(':')
        .filter(|(host, _)| !host.starts_with('[') || host.ends_with(']'))
        .map(|(host, port)| format!("{host}_{port}_"));
    with_port
        .into_iter()
        .chain([registry.to_owned(), DEFAULT_DIR.to_owned()])
}

fn exists(path: &Path) -> Result<bool, Error> {
    match std::fs::metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::Read {
            path: path.to_owned(),
            source,
        }),
    }
}
