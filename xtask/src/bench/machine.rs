use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, cargo};

/// ISA-L's inflate, which the floor loads.
const LIBRARY: &str = "libisal.so.2";
const PACKAGE: &str = "libisal2";

/// Installs ISA-L where it is missing and may be installed.
pub(super) fn install_isal() -> Outcome {
    if isal().is_some() {
        return Ok(());
    }
    if rustix::process::geteuid().is_root() {
        let mut install = Command::new(msb_testkit::oracle::program("apt-get")?);
        install.args([
            "-qq",
            "install",
            "--yes",
            "--no-install-recommends",
            PACKAGE,
        ]);
        cargo::run(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    match isal() {
        Some(_) => Ok(()),
        None => Err(format!(
            "{LIBRARY} is missing; run `apt-get install --no-install-recommends {PACKAGE}`"
        )
        .into()),
    }
}

/// What the figures depend on, in one line.
pub(super) fn line(folder: &Path) -> Result<String, Box<dyn Error>> {
    let cores = std::thread::available_parallelism()?;
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let system = rustix::system::uname();
    let isal = isal().and_then(|path| fs::canonicalize(path).ok());
    let isal = isal.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    Ok(format!(
        "{cores} cores of {model}, Linux {}, {}; floor: {} (gzip), libzstd (zstd), sha2",
        system.release().to_string_lossy(),
        file_system(folder),
        isal.unwrap_or_default(),
    ))
}

/// The real file's name has the version.
fn isal() -> Option<PathBuf> {
    let mut folders = vec![PathBuf::from("/usr/lib"), PathBuf::from("/usr/local/lib")];
    folders.extend(
        fs::read_dir("/usr/lib")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path()),
    );
    folders
        .into_iter()
        .map(|folder| folder.join(LIBRARY))
        .find(|path| path.exists())
}

/// The type of the file system that `folder` is on.
fn file_system(folder: &Path) -> String {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (_, point, kind) = (words.next()?, words.next()?, words.next()?);
            folder.starts_with(point).then_some((point.len(), kind))
        })
        .max()
        .map_or("unknown file system", |(_, kind)| kind)
        .to_owned()
}
