//! The floor as a program; see [`msb_bench::floor`]. Prints one JSON object.

use std::{error::Error, io::Write, path::PathBuf, time::Instant};

use clap::Parser;
use msb_bench::floor::{Codec, Options, Source, Upto, pull};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use serde_json::json;

/// Fetches, hashes, inflates, hashes, writes and syncs an image's layers, and does nothing else.
#[derive(Debug, Parser)]
struct Arguments {
    /// What inflates gzip: isal or zlib-rs
    #[arg(long, default_value = "isal", value_parser = codec)]
    inflate: Codec,
    /// Where to stop: fetch, hash-blob, inflate, hash-plain, write or sync
    #[arg(long, default_value = "sync", value_parser = upto)]
    until: Upto,
    /// Layers that are worked on at the same time
    #[arg(long, default_value_t = 4)]
    concurrent: usize,
    /// Address and port of a registry that speaks plain HTTP
    host: String,
    /// The repository
    name: String,
    /// The tag
    tag: String,
    /// A folder to write to
    folder: PathBuf,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let options = Options {
        codec: arguments.inflate,
        upto: arguments.until,
        concurrent_layers: arguments.concurrent.max(1),
    };
    let source = Source {
        host: &arguments.host,
        name: &arguments.name,
        tag: &arguments.tag,
    };
    let start = Instant::now();
    let done = pull(source, &arguments.folder, options)?;
    let wall = start.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let cpu = usage.user_time() + usage.system_time();
    let report = json!({
        "inflate": options.codec.name(),
        "layers": done.layers,
        "blob_bytes": done.blob_bytes,
        "plain_bytes": done.plain_bytes,
        "wall_s": wall.as_secs_f64(),
        "cpu_us": cpu.num_microseconds(),
        "peak_kib": usage.max_rss(),
    });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}

fn codec(word: &str) -> Result<Codec, String> {
    let mut all = [Codec::Isal, Codec::ZlibRs].into_iter();
    all.find(|codec| codec.name() == word)
        .ok_or_else(|| "there are isal and zlib-rs".to_owned())
}

fn upto(word: &str) -> Result<Upto, String> {
    let mut all = Upto::ALL.into_iter();
    all.find(|upto| upto.name() == word)
        .ok_or_else(|| "no such step".to_owned())
}
