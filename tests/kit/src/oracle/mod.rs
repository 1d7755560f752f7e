//! The registry of tools that judge this project, and where each comes from.
//!
//! A tool of which a newer version than a stable system's is needed lives in the private oracle folder and is run through its own
//! loader there; all others are looked for on `PATH` and in the system's `sbin` folders. A missing tool fails the test that asks for it, on a developer's machine as in CI: a check that
//! is skipped in silence is no check.

pub(crate) mod apt;
mod install;

use std::path::{Path, PathBuf};

pub use install::{InstallReport, Oracles};

use crate::KitError;

/// A tool of somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Tool {
    /// The distribution project's registry.
    DockerRegistry,
    /// Copies images between registries and folders.
    Skopeo,
    /// Unpacks and repacks OCI layouts.
    Umoci,
    /// Checks an EROFS image, and extracts it.
    FsckErofs,
    /// Prints an EROFS superblock and inodes.
    DumpErofs,
    /// An independent EROFS writer.
    MkfsErofs,
    /// The virtual machine monitor, version 10.
    QemuSystem,
    /// Reads disk images.
    QemuImg,
    /// Writes password files for the registry.
    Htpasswd,
    /// Makes certificates.
    Openssl,
    /// Makes a Debian root file system.
    Debootstrap,
    /// A static shell and utilities for the guest.
    Busybox,
    /// GNU tar.
    Tar,
    /// Compresses in a stream.
    Gzip,
    /// Compresses in a stream.
    Zstd,
    /// Decompresses kernel modules.
    Xz,
    /// Installs Python packages.
    Python,
    /// Installs JavaScript packages.
    Npm,
    /// Counts instructions.
    Valgrind,
    /// Compiles libFuzzer.
    CxxCompiler,
    /// The guest's kernel: an image of at least Linux 6.12 with its modules beside it.
    GuestKernel,
}

/// Where a tool is looked for and installed from.
pub(crate) struct Source {
    /// The file's name.
    pub(crate) program: &'static str,
    /// Its Debian package.
    pub(crate) package: &'static str,
    /// Its place below the private folder, when a newer version than the system's is wanted.
    pub(crate) private: Option<&'static str>,
}

impl Tool {
    /// Every tool.
    pub const ALL: &'static [Tool] = &[
        Tool::DockerRegistry,
        Tool::Skopeo,
        Tool::Umoci,
        Tool::FsckErofs,
        Tool::DumpErofs,
        Tool::MkfsErofs,
        Tool::QemuSystem,
        Tool::QemuImg,
        Tool::Htpasswd,
        Tool::Openssl,
        Tool::Debootstrap,
        Tool::Busybox,
        Tool::Tar,
        Tool::Gzip,
        Tool::Zstd,
        Tool::Xz,
        Tool::Python,
        Tool::Npm,
        Tool::Valgrind,
        Tool::CxxCompiler,
        Tool::GuestKernel,
    ];

    pub(crate) const fn source(self) -> Source {
        let (program, package, private) = match self {
            Tool::DockerRegistry => ("docker-registry", "docker-registry", None),
            Tool::Skopeo => ("skopeo", "skopeo", None),
            Tool::Umoci => ("umoci", "umoci", None),
            Tool::FsckErofs => ("fsck.erofs", "erofs-utils", Some("bin/fsck.erofs")),
            Tool::DumpErofs => ("dump.erofs", "erofs-utils", Some("bin/dump.erofs")),
            Tool::MkfsErofs => ("mkfs.erofs", "erofs-utils", Some("bin/mkfs.erofs")),
            Tool::QemuSystem => (
                "qemu-system-x86_64",
                "qemu-system-x86",
                Some("bin/qemu-system-x86_64"),
            ),
            Tool::QemuImg => ("qemu-img", "qemu-utils", Some("bin/qemu-img")),
            Tool::Htpasswd => ("htpasswd", "apache2-utils", None),
            Tool::Openssl => ("openssl", "openssl", None),
            Tool::Debootstrap => ("debootstrap", "debootstrap", None),
            Tool::Busybox => ("busybox", "busybox-static", Some("bin/busybox")),
            Tool::Tar => ("tar", "tar", None),
            Tool::Gzip => ("gzip", "gzip", None),
            Tool::Zstd => ("zstd", "zstd", None),
            Tool::Xz => ("xz", "xz-utils", None),
            Tool::Python => ("python3", "python3-pip", None),
            Tool::Npm => ("npm", "npm", None),
            Tool::Valgrind => ("valgrind", "valgrind", None),
            Tool::CxxCompiler => ("c++", "g++", None),
            Tool::GuestKernel => ("vmlinuz", "linux-image-cloud-amd64", Some("kernel/vmlinuz")),
        };
        Source {
            program,
            package,
            private,
        }
    }
}

/// The tool's path.
///
/// # Panics
/// When it is not installed, naming the Debian package and the command that installs it.
#[track_caller]
pub fn require(tool: Tool) -> PathBuf {
    match find(tool) {
        Ok(path) => path,
        Err(error) => panic!("{error}"),
    }
}

/// The tool's path, or [`KitError::Missing`].
///
/// # Errors
/// When it is not installed.
pub fn find(tool: Tool) -> Result<PathBuf, KitError> {
    let source = tool.source();
    if let Some(private) = source.private {
        // These serve only in the version that the private folder holds: an older one of the system's says something else.
        let path = folder().join(private);
        return if path.exists() {
            Ok(path)
        } else {
            Err(KitError::Missing {
                tool: source.program,
                package: source.package,
            })
        };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|folder| folder.join(source.program))
        .find(|path| path.is_file())
        .ok_or(KitError::Missing {
            tool: source.program,
            package: source.package,
        })
}

/// The private folder: `$MSB_ORACLES`, or `microsandbox-image-oracles` in the user's cache folder.
pub fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("MSB_ORACLES") {
        return PathBuf::from(folder);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let cache =
        cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    cache
        .unwrap_or_else(std::env::temp_dir)
        .join("microsandbox-image-oracles")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_named_with_its_package() {
        let error = KitError::Missing {
            tool: "umoci",
            package: "umoci",
        };
        assert!(
            error.to_string().contains("package umoci")
                && error.to_string().contains("cargo xtask test")
        );
    }

    #[test]
    fn a_tool_of_every_system_is_found() {
        assert!(require(Tool::Tar).is_absolute());
    }
}
