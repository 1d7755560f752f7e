//! Merges trees of 10,000, 100,000 and 1,000,000 files over ten layers, each in a process of its own, and prints what they
//! took: `cargo run --release -p msb-stitch --example scale [FILES...]`. The peak memory is read from `/proc`.
#![allow(clippy::print_stdout, reason = "it prints what it measured")]

mod layers;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--write", folder, files] => {
            Ok(layers::write_sidecars(Path::new(folder), files.parse()?)?)
        }
        ["--stitch", folder, files] => stitch(Path::new(folder), files.parse()?),
        [] => measure(&["10000", "100000", "1000000"]),
        ref sizes => measure(sizes),
    }
}

fn measure(sizes: &[&str]) -> Result<(), Box<dyn Error>> {
    println!("    files    wall s     cpu s  cpu us/file   peak MiB   bytes/file   fsmeta MiB");
    for files in sizes {
        let folder = tempfile::tempdir()?;
        for step in ["--write", "--stitch"] {
            let mut child = Command::new(std::env::current_exe()?);
            let status = child.arg(step).arg(folder.path()).arg(files).status()?;
            if !status.success() {
                return Err(format!("{step} {files}: {status}").into());
            }
        }
    }
    Ok(())
}

fn stitch(folder: &Path, files: u64) -> Result<(), Box<dyn Error>> {
    let (start, before) = (Instant::now(), cpu_seconds()?);
    let fsmeta = layers::stitch(folder)?;
    let (wall, cpu) = (start.elapsed(), cpu_seconds()? - before);
    let peak = peak_bytes()?;
    println!(
        "{files:>9} {:>9.3} {:>9.3} {:>12.2} {:>10.1} {:>12} {:>12.1}",
        wall.as_secs_f64(),
        cpu,
        cpu * 1e6 / files as f64,
        peak as f64 / f64::from(1 << 20),
        peak / files.max(1),
        fsmeta.bytes as f64 / f64::from(1 << 20),
    );
    Ok(())
}

/// Returns the processor time of this process in user and kernel mode.
fn cpu_seconds() -> Result<f64, Box<dyn Error>> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let seconds = |time: TimeVal| time.num_microseconds() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Returns the peak memory of this process. `ru_maxrss` would include that of its parent.
fn peak_bytes() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("/proc/self/status has no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib << 10)
}
