//! `cargo xtask bench`: a pull beside what public tools need for the same.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use msb_testkit::oracle::{Tool, require};
use msb_testkit::registry::{DockerRegistry, RegistryOptions};
use msb_testkit::worlds::{TAG, World};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use crate::{Outcome, cargo, setup};

/// What is measured, and how often.
#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// Counted runs of each command; medians are printed
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// One JSON object for each row instead of the table
    #[arg(long)]
    json: bool,
    /// Only these images: base, python, node, many-layers, zstd, large
    images: Vec<String>,
}

/// A command to run as a process of its own, whose use of the machine is then printed as JSON.
#[derive(Debug, Args)]
pub(crate) struct MeasureOptions {
    #[arg(trailing_var_arg = true, required = true)]
    command: Vec<OsString>,
}

const IMAGES: [World; 6] = [
    World::Base,
    World::Python,
    World::Node,
    World::ManyLayers,
    World::Zstd,
    World::Large,
];

/// What a run took.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    wall_s: f64,
    cpu_s: f64,
    peak_kib: f64,
    artifact_bytes: u64,
}

/// Measures cold pulls, warm pulls, and `skopeo copy`, `umoci unpack`, `mkfs.erofs` in turn, from one registry on loopback.
pub(crate) fn bench(options: &BenchOptions, out: &mut dyn Write) -> Outcome {
    setup::setup(out)?;
    cargo::run(cargo::cargo().args(["build", "--release", "--package", "msb-image-cli"]))?;
    let msb_image = cargo::target_folder()?.join("release/msb-image");
    let registry = DockerRegistry::start(RegistryOptions::default())?;
    // Beside the build, which is on a real disk where the system's folder for temporary files may be memory.
    let folder = tempfile::tempdir_in(cargo::target_folder()?)?;
    if !options.json {
        writeln!(
            out,
            "medians of {}; peak is the largest process's",
            options.runs
        )?;
        writeln!(
            out,
            "{:<12} {:<12} {:>8} {:>8} {:>9} {:>14} {:>7}",
            "image", "what", "wall s", "cpu s", "peak MiB", "artifact bytes", "ratio"
        )?;
    }
    for world in IMAGES.into_iter().filter(|world| wanted(options, *world)) {
        world.push(&registry, world.name())?;
        let reference = format!("{}/{}:{TAG}", registry.host(), world.name());
        let (cache, peer) = (folder.path().join("cache"), folder.path().join("peer"));
        let pull = || {
            let mut command = Command::new(&msb_image);
            command
                .arg("--cache-dir")
                .arg(&cache)
                .args(["pull", "--progress", "none", &reference]);
            command
        };
        let mut rows = [const { Vec::new() }; 3];
        for _ in 0..options.runs.max(1) {
            remove(&cache)?;
            let mut cold = measure(&pull())?;
            cold.artifact_bytes =
                bytes_below(&cache.join("layers"))? + bytes_below(&cache.join("disks"))?;
            rows[0].push(cold);
            rows[1].push(measure(&pull())?);
            if let Some(figures) = public_tools(world, &registry, &peer)? {
                rows[2].push(figures);
            }
            remove(&peer)?;
        }
        let base = median(&rows[0]);
        for (what, runs) in ["cold pull", "warm pull", "public tools"].iter().zip(&rows) {
            if !runs.is_empty() {
                print(out, options, world, what, median(runs), base)?;
            }
        }
    }
    Ok(())
}

/// Runs a command and prints what it took.
pub(crate) fn measured(options: &MeasureOptions, out: &mut dyn Write) -> Outcome {
    let (program, arguments) = options.command.split_first().ok_or("nothing to run")?;
    let start = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    let wall_s = start.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{}: {status}", program.display()).into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| -> f64 {
        let micros = i32::try_from(time.tv_usec()).unwrap_or_default();
        i32::try_from(time.tv_sec()).map_or(f64::INFINITY, f64::from) + f64::from(micros) / 1e6
    };
    let cpu_s = seconds(usage.user_time()) + seconds(usage.system_time());
    writeln!(
        out,
        "{}",
        json!({ "wall_s": wall_s, "cpu_s": cpu_s, "peak_kib": usage.max_rss() })
    )?;
    Ok(())
}

/// The same image by tools that others use: copied to a layout, unpacked, and made into one EROFS image. `None` for zstd,
/// which umoci 0.4.7 does not read.
fn public_tools(
    world: World,
    registry: &DockerRegistry,
    folder: &Path,
) -> Result<Option<Figures>, Box<dyn std::error::Error>> {
    if world == World::Zstd {
        return Ok(None);
    }
    fs::create_dir_all(folder)?;
    let (layout, bundle, image) = (
        folder.join("layout"),
        folder.join("bundle"),
        folder.join("image.erofs"),
    );
    let mut copy = Command::new(require(Tool::Skopeo));
    copy.args(["copy", "--quiet", "--src-tls-verify=false"])
        .arg(format!(
            "docker://{}/{}:{TAG}",
            registry.host(),
            world.name()
        ))
        .arg(format!("oci:{}:{TAG}", layout.display()));
    let mut unpack = Command::new(require(Tool::Umoci));
    unpack
        .args(["unpack", "--image"])
        .arg(format!("{}:{TAG}", layout.display()))
        .arg(&bundle);
    let mut make = Command::new(require(Tool::MkfsErofs));
    make.arg("--quiet").arg(&image).arg(bundle.join("rootfs"));
    let mut sum = Figures::default();
    for command in [copy, unpack, make] {
        let step = measure(&command)?;
        sum.wall_s += step.wall_s;
        sum.cpu_s += step.cpu_s;
        sum.peak_kib = sum.peak_kib.max(step.peak_kib);
    }
    sum.artifact_bytes = fs::metadata(&image)?.len();
    Ok(Some(sum))
}

/// Has this program run the command as its only child, so that the child's use is told apart from all others'.
fn measure(command: &Command) -> Result<Figures, Box<dyn std::error::Error>> {
    let output = Command::new(std::env::current_exe()?)
        .args(["measure", "--"])
        .arg(command.get_program())
        .args(command.get_args())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{} failed", command.get_program().display()).into());
    }
    let figures: Value = serde_json::from_slice(&output.stdout)?;
    let figure = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
    Ok(Figures {
        wall_s: figure("wall_s"),
        cpu_s: figure("cpu_s"),
        peak_kib: figure("peak_kib"),
        artifact_bytes: 0,
    })
}

fn wanted(options: &BenchOptions, world: World) -> bool {
    options.images.is_empty() || options.images.iter().any(|name| name == world.name())
}

fn median(runs: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Figures {
        wall_s: of(|run| run.wall_s),
        cpu_s: of(|run| run.cpu_s),
        peak_kib: of(|run| run.peak_kib),
        artifact_bytes: runs.first().map_or(0, |run| run.artifact_bytes),
    }
}

/// `ratio` is the row's wall time to our cold pull's.
fn print(
    out: &mut dyn Write,
    options: &BenchOptions,
    world: World,
    what: &str,
    row: Figures,
    base: Figures,
) -> Outcome {
    let ratio = row.wall_s / base.wall_s;
    if options.json {
        let row = json!({
            "image": world.name(), "what": what, "wall_s": row.wall_s, "cpu_s": row.cpu_s,
            "peak_kib": row.peak_kib, "artifact_bytes": row.artifact_bytes, "ratio": ratio,
        });
        writeln!(out, "{row}")?;
    } else {
        writeln!(
            out,
            "{:<12} {what:<12} {:>8.3} {:>8.3} {:>9.1} {:>14} {ratio:>7.2}",
            world.name(),
            row.wall_s,
            row.cpu_s,
            row.peak_kib / 1024.0,
            row.artifact_bytes
        )?;
    }
    Ok(())
}

fn bytes_below(folder: &Path) -> Result<u64, std::io::Error> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() {
            bytes_below(&entry.path())?
        } else {
            metadata.len()
        };
    }
    Ok(bytes)
}

fn remove(folder: &Path) -> Result<(), std::io::Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
