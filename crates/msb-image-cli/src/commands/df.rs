use clap::Args;
use microsandbox_image::{CacheUsage, GlobalCache, ImageUsage};

use super::ls::holds;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Format, FormatArgs, Output, Table, one_line};

/// Show the disk usage of the cache by image
#[derive(Debug, Args)]
pub(crate) struct DfArgs {
    /// Print the totals as Prometheus text
    #[arg(long, conflicts_with = "format")]
    metrics: bool,

    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) fn run(args: &DfArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let usage = cache.usage()?;
    let mut output = Output::new();
    match args.format.format {
        _ if args.metrics => metrics(&usage, &mut output)?,
        Format::Json => output.json(&usage)?,
        Format::Text => table(&usage, &mut output)?,
    }
    output.flush()?;
    Ok(Outcome::Done)
}

fn table(usage: &CacheUsage, output: &mut Output) -> Result<(), Failure> {
    let mut table = Table::new(["REFERENCE", "PLATFORM", "BYTES", "OWN", "SHARED", "HELD"]);
    for image in &usage.images {
        table.row([
            one_line(&image.reference).to_string(),
            one_line(&image.platform).to_string(),
            Bytes(image.bytes).to_string(),
            Bytes(image.own_bytes).to_string(),
            Bytes(image.shared_bytes).to_string(),
            holds(&image.pinned, image.leased).join(", "),
        ]);
    }
    table.print(output)?;
    output.line(format_args!(
        "total {}, of which `msb-image prune --grace 0` frees {}",
        Bytes(usage.total_bytes),
        Bytes(usage.reclaimable_bytes)
    ))
}

/// Prints gauges in the text format of Prometheus. They have no labels, because references come from outside.
fn metrics(usage: &CacheUsage, output: &mut Output) -> Result<(), Failure> {
    let count = |is_counted: fn(&&ImageUsage) -> bool| {
        usage.images.iter().filter(is_counted).count() as u64
    };
    let gauges = [
        ("bytes", "All artifacts of the cache.", usage.total_bytes),
        (
            "reclaimable_bytes",
            "Artifacts that no image needs.",
            usage.reclaimable_bytes,
        ),
        ("images", "Cached images.", usage.images.len() as u64),
        (
            "pinned_images",
            "Images with a pin.",
            count(|image| !image.pinned.is_empty()),
        ),
        (
            "leased_images",
            "Images that a process uses.",
            count(|image| image.leased),
        ),
    ];
    for (name, help, value) in gauges {
        output.line(format_args!("# HELP msb_image_cache_{name} {help}"))?;
        output.line(format_args!("# TYPE msb_image_cache_{name} gauge"))?;
        output.line(format_args!("msb_image_cache_{name} {value}"))?;
    }
    Ok(())
}
