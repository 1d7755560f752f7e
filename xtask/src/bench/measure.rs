use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use clap::Args;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde_json::{Value, json};

use super::artifacts::files_below;

use crate::Outcome;

/// A command to run as a process of its own, whose use of the machine is then printed as JSON.
#[derive(Debug, Args)]
pub(crate) struct MeasureOptions {
    #[arg(trailing_var_arg = true, required = true)]
    command: Vec<OsString>,
}

/// What a run took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    pub(super) wall_s: f64,
    pub(super) cpu_s: f64,
    pub(super) peak_kib: f64,
}

impl Figures {
    pub(super) fn json(self) -> Value {
        json!({ "wall_s": self.wall_s, "cpu_s": self.cpu_s, "peak_kib": self.peak_kib })
    }
}

/// Runs a command and prints what it took, as the last line after what it prints itself.
pub(crate) fn measured(options: &MeasureOptions, out: &mut dyn Write) -> Outcome {
    let (program, arguments) = options.command.split_first().ok_or("nothing to run")?;
    let start = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .status()?;
    let wall_s = start.elapsed().as_secs_f64();
    if !status.success() {
        return Err(format!("{}: {status}", program.display()).into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: TimeVal| -> f64 {
        let micros = i32::try_from(time.tv_usec()).unwrap_or_default();
        i32::try_from(time.tv_sec()).map_or(f64::INFINITY, f64::from) + f64::from(micros) / 1e6
    };
    let cpu_s = seconds(usage.user_time()) + seconds(usage.system_time());
    let figures = json!({ "wall_s": wall_s, "cpu_s": cpu_s, "peak_kib": usage.max_rss() });
    writeln!(out, "{figures}")?;
    Ok(())
}

/// Has this program run the command as its only child, so that the child's use is told apart from all others'; what it took,
/// and what it printed.
///
/// The disk is quiet before: what earlier runs have written is on it.
pub(super) fn measure(command: &Command) -> Result<(Figures, String), Box<dyn Error>> {
    rustix::fs::sync();
    measure_now(command)
}

/// As [`measure`], for what writes nothing.
pub(super) fn measure_now(command: &Command) -> Result<(Figures, String), Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?)
        .args(["measure", "--"])
        .arg(command.get_program())
        .args(command.get_args())
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("{} failed", command.get_program().display()).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let (printed, figures) = text
        .trim_end()
        .rsplit_once('\n')
        .unwrap_or(("", text.as_str()));
    let figures: Value = serde_json::from_str(figures)?;
    let figure = |name: &str| figures[name].as_f64().unwrap_or(f64::NAN);
    let figures = Figures {
        wall_s: figure("wall_s"),
        cpu_s: figure("cpu_s"),
        peak_kib: figure("peak_kib"),
    };
    Ok((figures, printed.to_owned()))
}

/// Each figure's median.
pub(super) fn median(runs: &[Figures]) -> Figures {
    let of = |figure: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(figure).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Figures {
        wall_s: of(|run| run.wall_s),
        cpu_s: of(|run| run.cpu_s),
        peak_kib: of(|run| run.peak_kib),
    }
}

/// Removes what a run has made, if it takes much space.
///
/// The rest stays to the end: ext4 without a journal takes no inode that was removed in the last minutes, and looks at every one
/// of them for each new file, which a small pull is mostly made of.
pub(super) fn remove_large(folder: &Path) -> Result<(), Box<dyn Error>> {
    const KEPT_BYTES: u64 = 256 << 20;

    let mut bytes = 0;
    for file in files_below(folder)? {
        bytes += fs::symlink_metadata(file)?.len();
    }
    if bytes > KEPT_BYTES {
        remove(folder)?;
    }
    Ok(())
}

pub(super) fn remove(folder: &Path) -> Result<(), std::io::Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
