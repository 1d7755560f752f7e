//! Installing the tools: the system's packages where they serve, private copies of newer ones where they do not.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::fs::FlockOperation;

use super::{Tool, apt::PrivateApt, find, folder};
use crate::{KitError, command};

/// Changes whenever the list below does, so that an older folder is filled again.
const VERSION: &str = "1";

/// Newer packages than a stable system has: the suite, the packages, and the programs that get a wrapper in `bin/`.
const PRIVATE: &[(&str, &[&str], &[&str])] = &[
    (
        "sid",
        &["erofs-utils"],
        &[
            "usr/bin/fsck.erofs",
            "usr/bin/dump.erofs",
            "usr/bin/mkfs.erofs",
        ],
    ),
    (
        "trixie",
        &[
            "qemu-system-x86",
            "qemu-utils",
            "busybox-static",
            "linux-image-cloud-amd64",
        ],
        &["usr/bin/qemu-system-x86_64", "usr/bin/qemu-img"],
    ),
];

/// Installs the tools; used by `cargo xtask`.
#[derive(Debug)]
pub struct Oracles;

/// What [`Oracles::install`] did.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct InstallReport {
    /// Packages that were installed into the system.
    pub installed: Vec<&'static str>,
    /// Whether the private folder was filled (false: it was up to date).
    pub filled: bool,
    /// Tools that are still missing, with the package that has each.
    pub missing: Vec<(&'static str, &'static str)>,
}

impl Oracles {
    /// Installs what is missing: quick when nothing is. Without root, the system's packages are only named in the report.
    ///
    /// # Errors
    /// When a package manager fails.
    pub fn install() -> Result<InstallReport, KitError> {
        let mut report = InstallReport::default();
        let mut packages: Vec<&'static str> = Tool::ALL
            .iter()
            .filter(|tool| tool.source().private.is_none() && find(**tool).is_err())
            .map(|tool| tool.source().package)
            .collect();
        // Private packages are checked against Debian's keys, which another distribution has in a package.
        if !Path::new("/usr/share/keyrings/debian-archive-keyring.gpg").exists() {
            packages.push("debian-archive-keyring");
        }
        packages.dedup();
        if !packages.is_empty() && rustix::process::geteuid().is_root() {
            system_install(&packages)?;
            report.installed = packages;
        }
        let lock = folder().join("lock");
        fs::create_dir_all(folder()).map_err(KitError::io("create", folder()))?;
        let lock_file = fs::File::create(&lock).map_err(KitError::io("create", &lock))?;
        // Another run may be filling the folder; released when the file is closed.
        rustix::fs::flock(&lock_file, FlockOperation::LockExclusive)
            .map_err(|error| KitError::io("lock", &lock)(error.into()))?;
        let stamp = folder().join("version");
        if !fs::read_to_string(&stamp).is_ok_and(|version| version == VERSION) {
            fill(&folder())?;
            fs::write(&stamp, VERSION).map_err(KitError::io("write", &stamp))?;
            report.filled = true;
        }
        for tool in Tool::ALL {
            if find(*tool).is_err() {
                report
                    .missing
                    .push((tool.source().program, tool.source().package));
            }
        }
        Ok(report)
    }
}

fn system_install(packages: &[&str]) -> Result<(), KitError> {
    let mut update = Command::new("apt-get");
    command::run(
        update
            .args(["-qq", "-o", "Acquire::Retries=3", "update"])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    let mut install = Command::new("apt-get");
    install
        .args([
            "-qq",
            "-o",
            "Acquire::Retries=3",
            "install",
            "--yes",
            "--no-install-recommends",
        ])
        .args(packages);
    command::run(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    Ok(())
}

/// Fills the private folder: `root-<suite>/` with the unpacked packages, `bin/` with wrappers, `kernel/` with the guest's kernel.
fn fill(folder: &Path) -> Result<(), KitError> {
    let bin = folder.join("bin");
    let _ = fs::remove_dir_all(&bin);
    fs::create_dir_all(&bin).map_err(KitError::io("create", &bin))?;
    for (suite, packages, programs) in PRIVATE {
        let root = folder.join(format!("root-{suite}"));
        let _ = fs::remove_dir_all(&root);
        let lists = folder.join(format!("apt-{suite}"));
        PrivateApt::update(&lists, suite)?.unpack(packages, &root)?;
        let _ = fs::remove_dir_all(&lists);
        for program in *programs {
            wrap(&root, program, &bin)?;
        }
    }
    let trixie = folder.join("root-trixie");
    let busybox = bin.join("busybox");
    fs::copy(trixie.join("usr/bin/busybox"), &busybox).map_err(KitError::io("copy", &busybox))?;
    kernel(&trixie, &folder.join("kernel"))
}

/// A script that runs `program` of the unpacked `root` through that root's own loader and libraries.
fn wrap(root: &Path, program: &str, bin: &Path) -> Result<(), KitError> {
    let name = Path::new(program)
        .file_name()
        .expect("every program in the table has a name")
        .to_owned();
    let lib = root.join("usr/lib/x86_64-linux-gnu");
    let loader = [
        root.join("usr/lib64/ld-linux-x86-64.so.2"),
        lib.join("ld-linux-x86-64.so.2"),
    ]
    .into_iter()
    .find(|path| path.exists())
    .ok_or_else(|| KitError::Io {
        step: "find a loader below",
        path: root.to_owned(),
        source: std::io::ErrorKind::NotFound.into(),
    })?;
    let paths = [
        lib.clone(),
        lib.join("systemd"),
        lib.join("pulseaudio"),
        root.join("usr/lib"),
    ];
    let paths: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    // QEMU finds its firmware beside the executable that the kernel started, which is the loader here: it must be told.
    let firmware = if program.contains("qemu-system") {
        format!(
            " -L '{0}/usr/share/qemu' -L '{0}/usr/share/seabios'",
            root.display()
        )
    } else {
        String::new()
    };
    let script = format!(
        "#!/bin/sh\nexec '{}' --library-path '{}' --argv0 '{}' '{}'{firmware} \"$@\"\n",
        loader.display(),
        paths.join(":"),
        name.display(),
        root.join(program).display(),
    );
    let path = bin.join(name);
    fs::write(&path, script).map_err(KitError::io("write", &path))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))
        .map_err(KitError::io("set the mode of", &path))
}

/// Links `kernel/vmlinuz` and `kernel/modules` to the newest kernel in the unpacked root.
fn kernel(root: &Path, into: &Path) -> Result<(), KitError> {
    let modules = root.join("usr/lib/modules");
    let mut releases: Vec<PathBuf> = fs::read_dir(&modules)
        .map_err(KitError::io("read", &modules))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    releases.sort();
    let newest = releases.pop().ok_or_else(|| KitError::Io {
        step: "find a kernel below",
        path: modules.clone(),
        source: std::io::ErrorKind::NotFound.into(),
    })?;
    let release = newest
        .file_name()
        .expect("an entry of a folder has a name")
        .to_string_lossy()
        .into_owned();
    let _ = fs::remove_dir_all(into);
    fs::create_dir_all(into).map_err(KitError::io("create", into))?;
    for (name, target) in [
        ("vmlinuz", root.join(format!("boot/vmlinuz-{release}"))),
        ("modules", newest),
    ] {
        let link = into.join(name);
        symlink(&target, &link).map_err(KitError::io("link", &link))?;
    }
    Ok(())
}
