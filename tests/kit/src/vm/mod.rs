//! A guest: QEMU boots a Debian kernel that mounts the disk as EROFS and reports the tree.
//!
//! ```text
//!   /dev/vda  the disk under test (VMDK or raw), mounted at /mnt as erofs
//!   /dev/vdb  a raw file: the guest writes its report there, and powers off
//!   /dev/dm-0 a device over the disk, which is mounted in its place, if the test has a table for one
//!   /dev/vdc  a raw file of the test, if there is one: the script may mount it as ext4 and write to it
//! ```
//!
//! Uses KVM if it can really run a guest, which is probed once, and emulation otherwise. The guest has the tools of
//! busybox: they show no extended attributes, and cannot report a name with a newline.

mod cpio;
mod dynamic;
mod modules;
mod report;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    KitError, command,
    oracle::{self, Tool, require},
    tree::Listing,
};

/// The space for the guest's report, in bytes: about 250 per file.
const REPORT_BYTES: u64 = 256 << 20;
/// The timeout of a working KVM for the guest's first byte on the console.
const KVM_SILENCE_LIMIT: Duration = Duration::from_secs(8);

/// Options of the guest.
#[derive(Debug, Clone)]
pub struct GuestOptions {
    /// The format of the disk: `vmdk` or `raw`.
    pub format: &'static str,
    /// The memory of the guest, in MiB.
    pub memory_mib: u32,
    /// Whether the guest computes the digests of the files.
    pub contents: bool,
    /// Shell commands to run in the mounted root. Their output is [`Guest::script`].
    pub script: String,
    /// A table of the device mapper: the guest creates a device with it and mounts that in place of the disk.
    pub device_table: Option<String>,
    /// A raw disk that the guest can write to.
    pub writable_disk: Option<PathBuf>,
    /// The timeout of the guest.
    pub time_limit: Duration,
}

impl Default for GuestOptions {
    fn default() -> Self {
        GuestOptions {
            format: "vmdk",
            memory_mib: 1024,
            contents: true,
            script: String::new(),
            device_table: None,
            writable_disk: None,
            time_limit: Duration::from_secs(600),
        }
    }
}

/// The result of a guest.
#[derive(Debug)]
#[non_exhaustive]
pub struct Guest {
    /// The disk's tree, without extended attributes.
    pub listing: Listing,
    /// The guest kernel's release.
    pub kernel: String,
    /// The output of the script.
    pub script: String,
    /// `kvm` or `tcg`.
    pub accelerator: &'static str,
    /// The time from QEMU's start to its end.
    pub elapsed: Duration,
}

impl Guest {
    /// Boots a guest on the disk of a VMDK descriptor.
    ///
    /// # Errors
    ///
    /// When the guest does not boot, or cannot mount or read the disk.
    pub fn boot(vmdk: &Path) -> Result<Guest, KitError> {
        Guest::boot_with(vmdk, &GuestOptions::default())
    }

    /// Boots a guest with options.
    ///
    /// # Errors
    ///
    /// When the guest does not boot, or cannot mount or read the disk.
    pub fn boot_with(disk: &Path, options: &GuestOptions) -> Result<Guest, KitError> {
        let folder = tempfile::Builder::new()
            .prefix("msb-guest-")
            .tempdir()
            .map_err(KitError::io("create a folder in", std::env::temp_dir()))?;
        let initramfs = folder.path().join("initramfs");
        fs::write(&initramfs, root(options)?).map_err(KitError::io("write", &initramfs))?;
        if kvm_works() {
            match run(disk, options, &folder, "kvm") {
                Ok(guest) => return Ok(guest),
                Err(Stopped::Broken(error)) => return Err(error),
                // The probe was wrong about this machine's KVM.
                Err(Stopped::Silent(_)) => {}
            }
        }
        run(disk, options, &folder, "tcg").map_err(|stopped| match stopped {
            Stopped::Broken(error) | Stopped::Silent(error) => error,
        })
    }
}

enum Stopped {
    /// The guest ran and reported a failure.
    Broken(KitError),
    /// The guest did not run.
    Silent(KitError),
}

/// Returns whether KVM can run a guest on this machine. Probed once per boot of the machine, and recorded in the oracle
/// directory.
fn kvm_works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let note = oracle::folder().join("kvm");
        let noted = fs::read_to_string(&note).unwrap_or_default();
        match noted.strip_prefix(boot.trim()) {
            Some(answer) if !boot.is_empty() && !answer.is_empty() => answer == " works",
            _ => {
                let works = kvm_boots();
                let answer = if works { "works" } else { "does not" };
                // Without the record, the next process probes again, which takes a few seconds.
                let _ = fs::write(&note, format!("{} {answer}", boot.trim()));
                works
            }
        }
    })
}

/// Boots the kernel up to its first line: the firmware prints lines even if the kernel then hangs.
fn kvm_boots() -> bool {
    if fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/kvm")
        .is_err()
    {
        return false;
    }
    let Ok(folder) = tempfile::tempdir() else {
        return false;
    };
    let console = folder.path().join("console");
    let mut qemu = qemu("kvm", 256, &console);
    qemu.args(["-append", "console=ttyS0 panic=-1"]);
    let Ok(mut child) = qemu.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
        return false;
    };
    let spoke = || {
        let console = fs::read(&console).unwrap_or_default();
        console.windows(13).any(|window| window == b"Linux version")
    };
    let start = Instant::now();
    while !spoke() && start.elapsed() < KVM_SILENCE_LIMIT && matches!(child.try_wait(), Ok(None)) {
        thread::sleep(Duration::from_millis(50));
    }
    let _ = child.kill();
    let _ = child.wait();
    spoke()
}

fn qemu(accelerator: &str, memory_mib: u32, console: &Path) -> Command {
    let mut command = Command::new(require(Tool::QemuSystem));
    let cpu = if accelerator == "kvm" { "host" } else { "max" };
    command.args([
        "-nodefaults",
        "-no-reboot",
        "-display",
        "none",
        "-machine",
        "q35",
        "-accel",
        accelerator,
        "-cpu",
        cpu,
    ]);
    command
        .args(["-m", &memory_mib.to_string(), "-kernel"])
        .arg(require(Tool::GuestKernel));
    command
        .arg("-serial")
        .arg(format!("file:{}", console.display()));
    command.stdin(Stdio::null());
    command
}

fn run(
    disk: &Path,
    options: &GuestOptions,
    folder: &TempDir,
    accelerator: &'static str,
) -> Result<Guest, Stopped> {
    let (console, report) = (folder.path().join("console"), folder.path().join("report"));
    let created = fs::File::create(&report).and_then(|file| file.set_len(REPORT_BYTES));
    created
        .map_err(KitError::io("create", &report))
        .map_err(Stopped::Broken)?;
    let mut qemu = qemu(accelerator, options.memory_mib, &console);
    qemu.arg("-initrd")
        .arg(folder.path().join("initramfs"))
        .args(["-append", "console=ttyS0 quiet panic=-1 rdinit=/init"]);
    // QEMU's options escape a comma in a file name by doubling it.
    let escape = |path: &Path| path.display().to_string().replace(',', ",,");
    qemu.arg("-drive").arg(format!(
        "file={},format={},if=virtio,readonly=on",
        escape(disk),
        options.format
    ));
    qemu.arg("-drive").arg(format!(
        "file={},format=raw,if=virtio,cache=unsafe",
        escape(&report)
    ));
    if let Some(disk) = &options.writable_disk {
        qemu.arg("-drive")
            .arg(format!("file={},format=raw,if=virtio", escape(disk)));
    }
    let start = Instant::now();
    let log = folder.path().join("qemu");
    let output = fs::File::create(&log)
        .map_err(KitError::io("create", &log))
        .map_err(Stopped::Broken)?;
    let mut child = qemu
        .stdout(Stdio::null())
        .stderr(output)
        .spawn()
        .map_err(|source| {
            Stopped::Broken(KitError::Spawn {
                program: qemu.get_program().to_string_lossy().into_owned(),
                source,
            })
        })?;
    let mut ended = None;
    while ended.is_none() && start.elapsed() < options.time_limit {
        thread::sleep(Duration::from_millis(20));
        ended = child.try_wait().ok().flatten();
    }
    let _ = child.kill();
    let _ = child.wait();
    let elapsed = start.elapsed();
    let wrong = |reason: String| {
        let mut console = fs::read(&console).unwrap_or_default();
        console.extend(fs::read(&log).unwrap_or_default());
        KitError::Guest {
            reason,
            console: command::tail(&console),
        }
    };
    let bytes = fs::read(&report)
        .map_err(KitError::io("read", &report))
        .map_err(Stopped::Broken)?;
    if bytes[0] == 0 {
        let reason = ended.map_or_else(
            || format!("no report in {elapsed:.0?}"),
            |status| format!("QEMU ended with {status} without a report"),
        );
        return Err(Stopped::Silent(wrong(reason)));
    }
    let read = report::read(&bytes).map_err(Stopped::Broken)?;
    let Some(read) = read else {
        return Err(Stopped::Broken(wrong("its report has no end".to_owned())));
    };
    if !read.failures.is_empty() {
        return Err(Stopped::Broken(wrong(read.failures.join("; "))));
    }
    Ok(Guest {
        listing: read.listing,
        kernel: read.kernel,
        script: read.script,
        accelerator,
        elapsed,
    })
}

/// Builds a root file system in memory for a guest kernel of the kit, with a script for its first process.
///
/// The kernel has its modules in `/modules`; `/modules/order` names those that a disk with EROFS needs, in loading order.
///
/// # Errors
///
/// When the kernel's modules cannot be read.
pub fn initramfs(init: &str) -> Result<Vec<u8>, KitError> {
    let mut archive = system(&["virtio_pci", "virtio_blk", "erofs"])?;
    archive.file("init", init.as_bytes());
    Ok(archive.finish())
}

/// Builds the guest's root: the system, and the script that is its first process.
fn root(options: &GuestOptions) -> Result<Vec<u8>, KitError> {
    let mut names = vec!["virtio_pci", "virtio_blk", "erofs", "overlay"];
    if options.writable_disk.is_some() {
        names.push("ext4");
    }
    if options.device_table.is_some() {
        names.extend(["sha256_generic", "dm_verity"]);
    }
    let mut archive = system(&names)?;
    if let Some(table) = &options.device_table {
        dynamic::add(&mut archive, "bin/dmsetup", &require(Tool::Dmsetup))?;
        archive.file("device-table", table.as_bytes());
    }
    archive.file(
        "settings",
        format!("contents={}\n", if options.contents { "yes" } else { "no" }).as_bytes(),
    );
    archive.file("user-script", options.script.as_bytes());
    archive.file("init", include_bytes!("init.sh"));
    Ok(archive.finish())
}

/// Adds busybox, the console, and modules of the guest kernel in loading order.
fn system(names: &[&str]) -> Result<cpio::Cpio, KitError> {
    let busybox = require(Tool::Busybox);
    let kernel = require(Tool::GuestKernel);
    let folder = kernel
        .parent()
        .expect("the kernel's path has a folder")
        .join("modules");
    let loaded = modules::Modules::open(&folder)?.load(names)?;
    let mut archive = cpio::Cpio::default();
    for folder in ["bin", "dev", "modules"] {
        archive.folder(folder);
    }
    archive.console();
    archive.file(
        "bin/busybox",
        &fs::read(&busybox).map_err(KitError::io("read", &busybox))?,
    );
    let order: String = loaded.iter().map(|(name, _)| format!("{name}\n")).collect();
    archive.file("modules/order", order.as_bytes());
    for (name, bytes) in &loaded {
        archive.file(&format!("modules/{name}"), bytes);
    }
    Ok(archive)
}
