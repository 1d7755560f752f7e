//! Installs the tools: packages of the system where they are new enough, private copies of newer ones elsewhere.
//!
//! Everything is a Debian package, which apt verifies: the index of the suite by the signature of Debian's archive key, the package
//! by the digest in that index. Nothing is downloaded in another way, and no program of a package runs while it is unpacked.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::fs::FlockOperation;

use super::{Tool, apt::PrivateApt, find, folder, program, trusted};
use crate::{KitError, command};

/// Changes with the list below, so that an older directory is filled again.
const VERSION: &str = "2";

/// Newer packages than those of a stable system: the suite, the packages, and the programs that get a wrapper in
/// `bin/`.
const PRIVATE: &[(&str, &[&str], &[&str])] = &[
    (
        "sid",
        &["erofs-utils", "crane", "oras", "runsc", "mdbook"],
        &[
            "usr/bin/fsck.erofs",
            "usr/bin/dump.erofs",
            "usr/bin/mkfs.erofs",
            "usr/bin/crane",
            "usr/bin/oras",
            "usr/bin/mdbook",
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

/// Programs that need no loader: the suite and the program.
const STATIC: &[(&str, &str)] = &[("sid", "usr/bin/runsc"), ("trixie", "usr/bin/busybox")];

/// Installs the tools; used by `cargo xtask`.
#[derive(Debug)]
pub struct Oracles;

/// The result of [`Oracles::install`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct InstallReport {
    /// Packages that were installed into the system.
    pub installed: Vec<&'static str>,
    /// Whether the private directory was filled; `false` if it was up to date.
    pub filled: bool,
    /// Tools that are still missing, with their packages.
    pub missing: Vec<(&'static str, &'static str)>,
}

impl Oracles {
    /// Installs missing tools; fast if there are none. Without root, the system's packages are only listed in the
    /// report.
    ///
    /// # Errors
    ///
    /// When a package manager fails.
    pub fn install() -> Result<InstallReport, KitError> {
        let mut report = InstallReport::default();
        let mut packages: Vec<&'static str> = Tool::ALL
            .iter()
            .filter(|tool| tool.source().private.is_none() && find(**tool).is_err())
            .map(|tool| tool.source().package)
            .collect();
        // Private packages are verified with Debian's keys. Another distribution has them in a package.
        if !Path::new("/usr/share/keyrings/debian-archive-keyring.gpg").exists() {
            packages.push("debian-archive-keyring");
        }
        packages.dedup();
        if !packages.is_empty() && rustix::process::geteuid().is_root() {
            system_install(&packages)?;
            report.installed = packages;
        }
        let lock = folder().join("lock");
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder())
            .map_err(KitError::io("create", folder()))?;
        trusted::check(&folder())?;
        let lock_file = fs::File::create(&lock).map_err(KitError::io("create", &lock))?;
        // Another process may be filling the directory; the lock is released when the file is closed.
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
    let apt_get = program("apt-get")?;
    let mut update = Command::new(&apt_get);
    command::run(
        update
            .args(["-qq", "-o", "Acquire::Retries=3", "update"])
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    let mut install = Command::new(&apt_get);
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

/// Fills the private directory: `root-<suite>/` with the unpacked packages, `bin/` with wrappers, `kernel/` with the
/// guest's kernel.
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
    for (suite, program) in STATIC {
        let from = folder.join(format!("root-{suite}")).join(program);
        let name = from.file_name().expect("every program has a name");
        fs::copy(&from, bin.join(name)).map_err(KitError::io("copy", &from))?;
    }
    kernel(&folder.join("root-trixie"), &folder.join("kernel"))
}

/// Writes a script that runs `program` of the unpacked `root` with the loader and libraries of that root.
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
    // QEMU looks for its firmware next to the executable, which is the loader here, so it needs the path.
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
