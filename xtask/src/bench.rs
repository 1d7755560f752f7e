//! `cargo xtask bench`: pulls compared with the least work that any tool must do, and with public tools.
//!
//! ```text
//!   images (cached) ──push──▶ docker-registry on loopback ──▶ by turns: msb-image pull, floor, floor with our inflate
//!                                                             each a process of its own into a new folder
//! ```

mod against;
mod artifacts;
mod breakdown;
mod cores;
mod growth;
mod images;
mod machine;
mod measure;
mod peers;
mod pulls;
mod ranges;
mod table;
mod warm;

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};
use msb_testkit::registry::{DockerRegistry, RegistryOptions};
use msb_testkit::worlds::TAG;
use tempfile::TempDir;

use crate::{Outcome, cargo, setup};
use images::BenchImage;
pub(crate) use measure::{MeasureOptions, measured};

/// Selects what is measured, and how often.
#[derive(Debug, Args)]
pub(crate) struct BenchOptions {
    /// Counted runs of each program, at most three of the longest and three times as many of the shortest; medians are printed
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Counted pulls of a cached image
    #[arg(long, default_value_t = 50)]
    warm_runs: usize,
    /// Print one JSON object for each row instead of tables
    #[arg(long)]
    json: bool,
    /// Also measure skopeo with mkfs.erofs, and skopeo with umoci and mkfs.erofs
    #[arg(long)]
    peers: bool,
    /// Print the cost of each part of a pull of this image, and nothing else
    #[arg(long, value_name = "IMAGE")]
    breakdown: Option<String>,
    /// Compare cold pulls with those of another build's `msb-image`, and print nothing else
    #[arg(long, value_name = "PROGRAM")]
    against: Option<PathBuf>,
    /// Only these tables; all where no image is named, else pulls and warm
    #[arg(long, value_enum, value_delimiter = ',')]
    tables: Vec<Table>,
    /// Only these images; `--list` names them
    images: Vec<String>,
    /// Print the names of the images and end
    #[arg(long)]
    list: bool,
    /// Build the named images, or those of the table of pulls, and end
    #[arg(long)]
    prepare: bool,
    /// Use the programs of an earlier build
    #[arg(long)]
    no_build: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Table {
    /// Cold pulls beside the floor
    Pulls,
    /// Pulls of a cached image
    Warm,
    /// One large layer with one core and with all
    Cores,
    /// Bytes, files and layers in three sizes each
    Growth,
    /// One connection for a large blob, and several, over a slow link and on loopback
    Ranges,
}

/// The registry, folder and programs of all measurements.
struct Bench {
    registry: DockerRegistry,
    /// On the file system of the build, because the system's folder for temporary files may be in memory.
    folder: TempDir,
    programs: PathBuf,
    runs: usize,
    warm_runs: usize,
    peers: bool,
    json: bool,
}

/// Runs the measurements that the options select.
pub(crate) fn bench(options: &BenchOptions, out: &mut dyn Write) -> Outcome {
    if options.list {
        for image in images::all() {
            writeln!(out, "{}", image.name())?;
        }
        return Ok(());
    }
    let named = options.images.iter().chain(&options.breakdown);
    let named = named
        .map(|name| images::find(name))
        .collect::<Result<Vec<_>, _>>()?;
    setup::setup(out)?;
    if options.prepare {
        return prepare(
            if named.is_empty() {
                images::main()
            } else {
                named
            },
            out,
        );
    }
    machine::install_isal()?;
    if !options.no_build {
        cargo::run(cargo::cargo().args([
            "build",
            "--release",
            "--package",
            "msb-image-cli",
            "--package",
            "msb-bench",
        ]))?;
    }
    let target = cargo::target_folder()?;
    let bench = Bench {
        registry: DockerRegistry::start(RegistryOptions::default())?,
        folder: tempfile::tempdir_in(&target)?,
        programs: target.join("release"),
        runs: options.runs.max(1),
        warm_runs: options.warm_runs.max(1),
        peers: options.peers,
        json: options.json,
    };
    if !options.json {
        writeln!(out, "{}\n", machine::line(bench.folder.path())?)?;
    }
    if options.breakdown.is_some() {
        return named
            .iter()
            .try_for_each(|image| breakdown::breakdown(&bench, image, out));
    }
    let is_whole = named.is_empty();
    if let Some(other) = &options.against {
        let images = if is_whole { images::main() } else { named };
        return against::against(&bench, other, &images, out);
    }
    let is_wanted = |table: Table, by_default: bool| {
        options.tables.contains(&table) || (options.tables.is_empty() && by_default)
    };
    let pulled = if is_whole { images::main() } else { named };
    if is_wanted(Table::Pulls, true) {
        pulls::pulls(&bench, &pulled, out)?;
    }
    if is_wanted(Table::Warm, true) {
        let warm = if is_whole { images::warm() } else { pulled };
        warm::warm(&bench, &warm, out)?;
    }
    if is_wanted(Table::Cores, is_whole) {
        cores::cores(&bench, &images::find("large")?, out)?;
    }
    if is_wanted(Table::Growth, is_whole) {
        growth::growth(&bench, out)?;
    }
    if is_wanted(Table::Ranges, is_whole) {
        ranges::ranges(&bench, out)?;
    }
    Ok(())
}

/// Builds images before they are measured.
fn prepare(wanted: Vec<BenchImage>, out: &mut dyn Write) -> Outcome {
    for image in wanted {
        image.layout()?;
        let mkfs = artifacts::Mkfs::of(&image)?;
        writeln!(
            out,
            "{}: {} MB as mkfs.erofs makes it",
            image.name(),
            table::megabytes(mkfs.bytes())
        )?;
    }
    Ok(())
}

/// The blobs of an image in the registry. Removed when dropped, so that the disk holds one image at a time.
#[derive(Debug)]
struct Pushed {
    storage: PathBuf,
}

impl Drop for Pushed {
    fn drop(&mut self) {
        // The registry removes the remaining files.
        let _ = measure::remove(&self.storage);
    }
}

impl Bench {
    fn push(&self, image: &BenchImage) -> Result<Pushed, Box<dyn Error>> {
        let pushed = Pushed {
            storage: self.registry.storage(),
        };
        image.push(&self.registry)?;
        Ok(pushed)
    }

    fn reference(&self, image: &BenchImage) -> String {
        reference(&self.registry.host(), image)
    }

    /// Returns `msb-image pull` of an image into a cache.
    fn pull(&self, image: &BenchImage, cache: &Path) -> Command {
        self.pull_from(&self.registry.host(), image, cache)
    }

    /// Returns `msb-image pull` of an image from the registry at `host` into a cache.
    fn pull_from(&self, host: &str, image: &BenchImage, cache: &Path) -> Command {
        let reference = reference(host, image);
        let mut command = Command::new(self.programs.join("msb-image"));
        command.arg("--cache-dir").arg(cache);
        command.args(["pull", "--progress", "none", &reference]);
        command
    }

    /// Returns the floor, which writes into a folder.
    fn floor(&self, image: &BenchImage, inflate: &str, until: &str, folder: &Path) -> Command {
        let mut command = Command::new(self.programs.join("floor"));
        command.args(["--inflate", inflate, "--until", until]);
        command
            .args([&self.registry.host(), image.name(), TAG])
            .arg(folder);
        command
    }

    /// Returns the path of a folder that does not exist, on the same file system for all.
    fn fresh(&self, name: &str) -> Result<PathBuf, Box<dyn Error>> {
        let path = self.folder.path().join(name);
        measure::remove(&path)?;
        Ok(path)
    }
}

fn reference(host: &str, image: &BenchImage) -> String {
    format!("{host}/{}:{TAG}", image.name())
}
