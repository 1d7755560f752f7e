//! A pull whose parts are timed; see [`msb_bench::breakdown`]. Prints one JSON object.

use std::{error::Error, io::Write, path::PathBuf, time::Duration};

use clap::Parser;
use microsandbox_image::Reference;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use serde_json::json;

/// Pulls an image and tells what each part of it took.
#[derive(Debug, Parser)]
struct Arguments {
    /// The image, on a registry on loopback
    reference: Reference,
    /// The cache's folder
    cache: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let breakdown = msb_bench::breakdown::pull(&arguments.reference, &arguments.cache)?;
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let cpu = usage.user_time() + usage.system_time();
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    let parts: Vec<_> = breakdown
        .parts
        .iter()
        .map(|part| json!({ "part": part.name, "wall_ms": millis(part.time) }))
        .collect();
    let stages: Vec<_> = breakdown
        .stages
        .iter()
        .map(|sum| {
            json!({
                "stage": sum.stage, "threads": sum.threads, "wall_ms": millis(sum.wall), "input_ms": millis(sum.input),
                "output_ms": millis(sum.output), "part_ms": millis(sum.part), "tail_ms": millis(sum.tail), "cpu_ms": millis(sum.cpu),
            })
        })
        .collect();
    let report = json!({
        "wall_ms": millis(breakdown.wall),
        "cpu_ms": Duration::from_micros(u64::try_from(cpu.num_microseconds())?).as_secs_f64() * 1000.0,
        "parts": parts,
        "stages": stages,
    });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}
