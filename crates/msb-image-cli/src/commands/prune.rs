use std::time::Duration;

use clap::Args;
use microsandbox_image::{CacheError, GlobalCache, PruneOptions, Pruned};

use crate::amount;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Format, FormatArgs, Output, count, one_line};

/// Delete the files that no cached image needs
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Keep files written within this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    grace: u64,

    /// Remove images until the cache has at most this many bytes, such as 20G: those that were not used for longest first
    #[arg(long, value_name = "SIZE", value_parser = amount::size)]
    max_bytes: Option<u64>,

    /// Remove images that were not used for this long, such as 12h or 7d
    #[arg(long, value_name = "AGE", value_parser = amount::age)]
    older_than: Option<Duration>,

    /// Only show what would be removed
    #[arg(long)]
    dry_run: bool,

    /// Also remove image records that cannot be read, instead of failing
    #[arg(long)]
    remove_corrupt_records: bool,

    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) fn run(args: &PruneArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let mut options = PruneOptions::with_grace(Duration::from_secs(args.grace));
    options.remove_corrupt_records = args.remove_corrupt_records;
    options.max_bytes = args.max_bytes;
    options.older_than = args.older_than;
    options.dry_run = args.dry_run;
    let pruned = cache.prune(&options)?;
    let mut output = Output::new();
    match args.format.format {
        Format::Json => output.json(&pruned)?,
        Format::Text => {
            let done = if args.dry_run {
                "would remove"
            } else {
                "removed"
            };
            for image in &pruned.images {
                let (reference, platform) = (one_line(&image.reference), one_line(&image.platform));
                output.line(format_args!("{done} {reference} for {platform}"))?;
            }
            output.line(format_args!("{}", removed(&pruned, done)))?;
            for kept in kept(&pruned, args.grace) {
                output.line(format_args!("{kept}"))?;
            }
        }
    }
    output.flush()?;
    if let Some(unmet) = pruned.unmet {
        return Err(CacheError::Budget {
            unmet,
            needed_bytes: 0,
        }
        .into());
    }
    Ok(Outcome::Done)
}

fn removed(pruned: &Pruned, done: &str) -> String {
    let kinds = [
        (pruned.layers.len() as u64, "layer"),
        (pruned.disks.len() as u64, "disk"),
        (pruned.blobs.len() as u64, "manifest or config"),
        (pruned.layer_blobs.len() as u64, "layer blob"),
        (pruned.partial_blobs, "partial blob"),
        (pruned.corrupt_records, "damaged record"),
        (pruned.temporaries, "temporary file"),
    ];
    let removed: Vec<String> = kinds
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, one)| match one {
            "manifest or config" => format!("{number} manifests and configs"),
            _ => count(number, one),
        })
        .collect();
    if removed.is_empty() {
        return "nothing to remove".into();
    }
    format!("{done} {}: {}", removed.join(", "), Bytes(pruned.bytes))
}

/// Returns lines about files that were kept although no image needs them, with the reason.
fn kept(pruned: &Pruned, grace_seconds: u64) -> Vec<String> {
    let reasons = [
        (
            pruned.kept_young,
            format!("written within the last {grace_seconds} s (see --grace)"),
        ),
        (
            pruned.kept_in_use,
            "in use by a pull, a lease or a pin".to_owned(),
        ),
    ];
    reasons
        .into_iter()
        .filter(|(kept, _)| kept.artifacts > 0)
        .map(|(kept, reason)| {
            let artifacts = count(kept.artifacts, "unneeded artifact");
            format!("kept {artifacts}, {}: {reason}", Bytes(kept.bytes))
        })
        .collect()
}
