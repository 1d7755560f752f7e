//! Pulls an image and boots a guest from its disk: `boot-with-qemu REF CACHE KERNEL INITRD [QEMU OPTION]...`.
//!
//! The initrd has to load the modules that are printed and to mount the root, as those of distributions do.
use std::error::Error;
use std::process::{Command, ExitCode};

use microsandbox_image::{GlobalCache, Platform, PullOptions, Registry, blocking};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [reference, cache, kernel, initrd, options @ ..] = &arguments[..] else {
        return Err("usage: boot-with-qemu REF CACHE KERNEL INITRD [QEMU OPTION]...".into());
    };
    let registry = Registry::new(Platform::host_linux(), GlobalCache::new(cache)?)?;
    let image = blocking::run(registry.pull(&reference.parse()?, &PullOptions::default()))??;

    let facts = image.boot_facts();
    eprintln!("needs Linux {} with {}", facts.minimum_kernel, facts.kernel_modules.join(", "));
    // QEMU splits options at commas; a doubled one is part of the path.
    let disk =
        image.vmdk.to_str().ok_or("the cache has a path that is not UTF-8")?.replace(',', ",,");
    // The image holds a lease until this function returns, so that nothing of the disk is removed.
    let status = Command::new("qemu-system-x86_64")
        .args(["-m", "512", "-nographic", "-no-reboot", "-kernel", kernel, "-initrd", initrd])
        .arg("-append")
        .arg(format!("console=ttyS0 panic=-1 {}", facts.cmdline))
        .arg("-drive")
        .arg(format!("file={disk},format=vmdk,if=virtio,readonly=on"))
        .args(options)
        .status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
