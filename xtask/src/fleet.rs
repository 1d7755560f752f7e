//! `cargo xtask fleet`: how long a fleet takes until each host has an image, and what its links carry.
//!
//! ```text
//!   measure   one host pulls from a registry: seconds, seconds of cores, bytes, requests
//!   check     several hosts pull at once through a pull-through registry on this machine, beside what the model predicts for that
//!   predict   a fleet, by topology: each host is a job, each link and the cores of each host are resources (model.rs)
//! ```

mod measure;
mod model;
mod topology;

use std::io::Write;

use clap::{Args, ValueEnum};
use msb_testkit::worlds::World;
use serde_json::json;

use crate::{Outcome, cargo, setup};
use measure::{Herd, Site};
use model::{Job, Resource, ends};
use topology::{Fleet, Pull, Topology};

/// Describes the fleet.
#[derive(Debug, Args)]
pub(crate) struct FleetOptions {
    /// Hosts of the fleet
    #[arg(long, default_value_t = 1000)]
    hosts: usize,
    /// Mbit/s into and out of a host
    #[arg(long, default_value_t = 10_000.0)]
    host_mbit: f64,
    /// Mbit/s out of the registry
    #[arg(long, default_value_t = 10_000.0)]
    registry_mbit: f64,
    /// Mbit/s out of a mirror, or out of the server of a shared folder
    #[arg(long, default_value_t = 10_000.0)]
    mirror_mbit: f64,
    /// Number of mirrors
    #[arg(long, default_value_t = 8)]
    mirrors: usize,
    /// Real hosts of the check, each a process with a cache of its own
    #[arg(long, default_value_t = 8)]
    real: usize,
    /// Print JSON lines
    #[arg(long)]
    json: bool,
    /// Use the program of an earlier build
    #[arg(long)]
    no_build: bool,
}

/// Measures, checks the model against a real run, and prints the predictions.
pub(crate) fn fleet(options: &FleetOptions, out: &mut dyn Write) -> Outcome {
    setup::setup(out)?;
    if !options.no_build {
        cargo::run(cargo::cargo().args(["build", "--release", "--package", "msb-image-cli"]))?;
    }
    let site = Site::new(&cargo::target_folder()?, World::Python)?;
    let pull = site.one()?;
    let (one, two) = (site.herd(1)?, site.herd(2)?);
    let herd = site.herd(options.real)?;
    let expected_s = expected(options.real, one, two)?;
    check(options, &herd, expected_s, out)?;
    predict(options, &pull, out)
}

/// Predicts the seconds of so many hosts on this machine, whose cores the pulls, the mirror and the registry share. The second host
/// of two costs what each further one does; the first also has the mirror filled.
fn expected(hosts: usize, one: Herd, two: Herd) -> Result<f64, Box<dyn std::error::Error>> {
    let cores = std::thread::available_parallelism()?.get();
    let cores = f64::from(u32::try_from(cores)?);
    let further_s = (two.busy_s - one.busy_s).max(0.0);
    let jobs: Vec<Job> = (0..hosts)
        .map(|host| Job {
            start_s: 0.0,
            alone_s: one.last_s,
            demands: vec![(0, if host == 0 { one.busy_s } else { further_s })],
        })
        .collect();
    let ends = ends(&[Resource { capacity: cores }], &jobs);
    Ok(ends.into_iter().fold(0.0, f64::max))
}

fn check(options: &FleetOptions, herd: &Herd, expected_s: f64, out: &mut dyn Write) -> Outcome {
    let ratio = herd.last_s / expected_s;
    if options.json {
        let row = json!({
            "table": "check", "hosts": options.real, "last_s": herd.last_s, "expected_s": expected_s,
            "ratio": ratio, "registry_requests": herd.requests,
        });
        writeln!(out, "{row}")?;
        return Ok(());
    }
    writeln!(
        out,
        "{} real hosts through one pull-through registry: {:.2} s, predicted {expected_s:.2} s, ratio {ratio:.2}; {} requests reached the registry\n",
        options.real, herd.last_s, herd.requests
    )?;
    Ok(())
}

fn predict(options: &FleetOptions, pull: &Pull, out: &mut dyn Write) -> Outcome {
    const BYTES_PER_MBIT: f64 = 1e6 / 8.0;
    let fleet = Fleet {
        hosts: options.hosts,
        host_link: options.host_mbit * BYTES_PER_MBIT,
        registry_link: options.registry_mbit * BYTES_PER_MBIT,
        mirror_link: options.mirror_mbit * BYTES_PER_MBIT,
        mirrors: options.mirrors,
        cores: 2.0,
    };
    if !options.json {
        writeln!(
            out,
            "One host alone: {:.2} s, {:.2} s of cores, {:.1} MB of blobs, {:.1} MB of merged metadata, {} requests\n",
            pull.wall_s,
            pull.cpu_s,
            pull.blob_bytes / 1e6,
            pull.shared_bytes / 1e6,
            pull.requests
        )?;
        writeln!(
            out,
            "| {} hosts | last host s | registry GB | mirrors GB | peers GB | registry requests |\n|---|--:|--:|--:|--:|--:|",
            options.hosts
        )?;
    }
    for topology in Topology::value_variants() {
        let name = format!("{topology:?}").to_lowercase();
        let found = topology.predict(&fleet, pull);
        if options.json {
            let row = json!({
                "table": "fleet", "topology": name, "hosts": options.hosts, "last_s": found.last_s,
                "registry_bytes": found.registry_bytes, "mirror_bytes": found.mirror_bytes,
                "peer_bytes": found.peer_bytes, "registry_requests": found.registry_requests,
            });
            writeln!(out, "{row}")?;
            continue;
        }
        let gb = |bytes: f64| format!("{:.2}", bytes / 1e9);
        writeln!(
            out,
            "| {name} | {:.2} | {} | {} | {} | {} |",
            found.last_s,
            gb(found.registry_bytes),
            gb(found.mirror_bytes),
            gb(found.peer_bytes),
            found.registry_requests
        )?;
    }
    Ok(())
}
