//! The registry of the tools that are oracles of this project, and where each is found.
//!
//! A tool that must be newer than that of a stable system is in the private oracle directory and runs with its own
//! loader. All others are looked up in `PATH` and in the `sbin` directories of the system. No tool is run from a directory
//! that other users can write to. A missing tool fails the test that needs it, on a developer's machine as in CI: a check
//! that is silently skipped is no check.

pub(crate) mod apt;
mod install;
mod trusted;

use std::path::{Path, PathBuf};

pub use install::{InstallReport, Oracles};
pub use trusted::program;

use crate::KitError;

/// An independent tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Tool {
    /// The registry of the distribution project.
    DockerRegistry,
    /// Copies images between registries and directories.
    Skopeo,
    /// Unpacks and repacks OCI layouts.
    Umoci,
    /// Copies and validates images; reads and writes archives and layouts.
    Crane,
    /// Copies images and other artifacts between registries and layouts.
    Oras,
    /// gVisor, which mounts one EROFS image as the root of a container.
    Runsc,
    /// Checks and extracts an EROFS image.
    FsckErofs,
    /// Prints an EROFS superblock and inodes.
    DumpErofs,
    /// An independent EROFS writer.
    MkfsErofs,
    /// The virtual machine monitor, version 10.
    QemuSystem,
    /// Reads disk images.
    QemuImg,
    /// Verifies hash trees of dm-verity.
    Veritysetup,
    /// Creates devices of the device mapper; runs in guests.
    Dmsetup,
    /// Creates ext4 file systems.
    Mke2fs,
    /// Checks ext4 file systems.
    E2fsck,
    /// Runs a program without some rights.
    Setpriv,
    /// Lists mounts.
    Findmnt,
    /// Writes password files for the registry.
    Htpasswd,
    /// A web server, as a caching mirror.
    Nginx,
    /// Docker's credential helper for `pass`.
    CredentialPass,
    /// The password store.
    Pass,
    /// Creates the key of a password store.
    Gpg,
    /// Creates certificates.
    Openssl,
    /// Creates a Debian root file system.
    Debootstrap,
    /// A static shell and utilities for the guest.
    Busybox,
    /// GNU tar.
    Tar,
    /// Compresses streams.
    Gzip,
    /// Compresses streams.
    Zstd,
    /// Decompresses kernel modules.
    Xz,
    /// An independent writer of archives: libarchive.
    Bsdtar,
    /// Checks manual pages.
    Mandoc,
    /// Runs completion scripts.
    Bash,
    /// Installs Python packages.
    Python,
    /// Installs JavaScript packages.
    Npm,
    /// Renders a book of Markdown pages.
    Mdbook,
    /// Counts instructions.
    Valgrind,
    /// Compiles libFuzzer.
    CxxCompiler,
    /// The guest's kernel: at least Linux 6.12, with its modules.
    GuestKernel,
}

/// The locations of a tool.
pub(crate) struct Source {
    /// The file name.
    pub(crate) program: &'static str,
    /// The Debian package.
    pub(crate) package: &'static str,
    /// The path below the private directory, if the version of the system is too old.
    pub(crate) private: Option<&'static str>,
}

impl Tool {
    /// Every tool.
    pub const ALL: &'static [Tool] = &[
        Tool::DockerRegistry,
        Tool::Skopeo,
        Tool::Umoci,
        Tool::Crane,
        Tool::Oras,
        Tool::Runsc,
        Tool::FsckErofs,
        Tool::DumpErofs,
        Tool::MkfsErofs,
        Tool::QemuSystem,
        Tool::QemuImg,
        Tool::Veritysetup,
        Tool::Dmsetup,
        Tool::Mke2fs,
        Tool::E2fsck,
        Tool::Setpriv,
        Tool::Findmnt,
        Tool::Htpasswd,
        Tool::Nginx,
        Tool::CredentialPass,
        Tool::Pass,
        Tool::Gpg,
        Tool::Openssl,
        Tool::Debootstrap,
        Tool::Busybox,
        Tool::Tar,
        Tool::Gzip,
        Tool::Zstd,
        Tool::Xz,
        Tool::Bsdtar,
        Tool::Mandoc,
        Tool::Bash,
        Tool::Python,
        Tool::Npm,
        Tool::Mdbook,
        Tool::Valgrind,
        Tool::CxxCompiler,
        Tool::GuestKernel,
    ];

    pub(crate) const fn source(self) -> Source {
        let (program, package, private) = match self {
            Tool::DockerRegistry => ("docker-registry", "docker-registry", None),
            Tool::Skopeo => ("skopeo", "skopeo", None),
            Tool::Umoci => ("umoci", "umoci", None),
            Tool::Crane => ("crane", "crane", Some("bin/crane")),
            Tool::Oras => ("oras", "oras", Some("bin/oras")),
            Tool::Runsc => ("runsc", "runsc", Some("bin/runsc")),
            Tool::FsckErofs => ("fsck.erofs", "erofs-utils", Some("bin/fsck.erofs")),
            Tool::DumpErofs => ("dump.erofs", "erofs-utils", Some("bin/dump.erofs")),
            Tool::MkfsErofs => ("mkfs.erofs", "erofs-utils", Some("bin/mkfs.erofs")),
            Tool::QemuSystem => (
                "qemu-system-x86_64",
                "qemu-system-x86",
                Some("bin/qemu-system-x86_64"),
            ),
            Tool::QemuImg => ("qemu-img", "qemu-utils", Some("bin/qemu-img")),
            Tool::Veritysetup => ("veritysetup", "cryptsetup-bin", None),
            Tool::Dmsetup => ("dmsetup", "dmsetup", None),
            Tool::Mke2fs => ("mke2fs", "e2fsprogs", None),
            Tool::E2fsck => ("e2fsck", "e2fsprogs", None),
            Tool::Setpriv => ("setpriv", "util-linux", None),
            Tool::Findmnt => ("findmnt", "util-linux", None),
            Tool::Htpasswd => ("htpasswd", "apache2-utils", None),
            Tool::Nginx => ("nginx", "nginx-light", None),
            Tool::CredentialPass => (
                "docker-credential-pass",
                "golang-docker-credential-helpers",
                None,
            ),
            Tool::Pass => ("pass", "pass", None),
            Tool::Gpg => ("gpg", "gnupg", None),
            Tool::Openssl => ("openssl", "openssl", None),
            Tool::Debootstrap => ("debootstrap", "debootstrap", None),
            Tool::Busybox => ("busybox", "busybox-static", Some("bin/busybox")),
            Tool::Tar => ("tar", "tar", None),
            Tool::Gzip => ("gzip", "gzip", None),
            Tool::Zstd => ("zstd", "zstd", None),
            Tool::Xz => ("xz", "xz-utils", None),
            Tool::Bsdtar => ("bsdtar", "libarchive-tools", None),
            Tool::Mandoc => ("mandoc", "mandoc", None),
            Tool::Bash => ("bash", "bash", None),
            Tool::Python => ("python3", "python3-pip", None),
            Tool::Npm => ("npm", "npm", None),
            Tool::Mdbook => ("mdbook", "mdbook", Some("bin/mdbook")),
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

/// Returns the path of a tool.
///
/// # Panics
///
/// When it is not installed, with the Debian package and the command that installs it.
#[track_caller]
#[must_use]
pub fn require(tool: Tool) -> PathBuf {
    match find(tool) {
        Ok(path) => path,
        Err(error) => panic!("{error}"),
    }
}

/// Returns the path of a tool.
///
/// # Errors
///
/// [`KitError::Missing`] when it is not installed.
pub fn find(tool: Tool) -> Result<PathBuf, KitError> {
    let source = tool.source();
    if let Some(private) = source.private {
        // Only the version in the private directory is used: the output of older ones differs.
        let path = folder().join(private);
        return if path.exists() {
            trusted::check(&folder())?;
            Ok(path)
        } else {
            Err(KitError::Missing {
                tool: source.program,
                package: source.package,
            })
        };
    }
    trusted::folders()
        .into_iter()
        .map(|folder| folder.join(source.program))
        .find(|path| path.is_file())
        .ok_or(KitError::Missing {
            tool: source.program,
            package: source.package,
        })
}

/// Returns the private directory: `$MSB_ORACLES`, or `microsandbox-image-oracles` in the user's cache directory, else in `target`.
pub fn folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("MSB_ORACLES") {
        return PathBuf::from(folder);
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let cache =
        cache.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
    // Never the system's folder for temporary files, in which another user can create the folder first.
    cache
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"))
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
    fn a_tool_of_the_system_is_found() {
        assert!(require(Tool::Tar).is_absolute());
    }
}
