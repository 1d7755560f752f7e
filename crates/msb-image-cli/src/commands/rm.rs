use std::collections::BTreeSet;

use clap::Args;
use microsandbox_image::{CacheError, GlobalCache, ImageName, Platform, Reference};
use serde::Serialize;

use super::not_cached;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, FormatArgs, Output};
use crate::platform::PlatformArgs;

/// Remove images from the cache; `prune` then deletes the files that no other image needs
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// References of the images, or digests or ids, which stand for all references to an image
    #[arg(value_name = "REF", required = true)]
    images: Vec<ImageName>,

    #[command(flatten)]
    platform: PlatformArgs,

    /// Remove the images for every platform
    #[arg(long, conflicts_with = "platform")]
    all_platforms: bool,

    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Debug, Serialize)]
struct Removed<'a> {
    reference: String,
    platform: &'a Platform,
    removed: bool,
}

pub(crate) fn run(args: &RmArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let mut output = Output::new();
    let mut outcome = Outcome::Done;
    for name in &args.images {
        let named = match cache.named(name, args.platform.given()) {
            Ok(named) => named,
            Err(error @ CacheError::UnknownId { .. }) => {
                Failure::NothingToRemove(error).report();
                outcome = Outcome::Failed;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if args.all_platforms {
            let references: BTreeSet<_> = named.into_iter().map(|(name, _)| name).collect();
            for reference in &references {
                if !remove_all(cache, reference, args.format.format, &mut output)? {
                    outcome = Outcome::Failed;
                }
            }
            continue;
        }
        for (reference, platform) in named {
            if !remove(
                cache,
                &reference,
                &platform,
                args.format.format,
                &mut output,
            )? {
                outcome = Outcome::Failed;
            }
        }
    }
    output.flush()?;
    Ok(outcome)
}

/// Removes one record, and returns whether it was there.
fn remove(
    cache: &GlobalCache,
    reference: &Reference,
    platform: &Platform,
    format: Format,
    output: &mut Output,
) -> Result<bool, Failure> {
    let removed = cache.remove(reference, platform)?;
    if !removed {
        let error = CacheError::NotCached {
            reference: Box::new(reference.clone()),
            platform: Box::new(platform.clone()),
        };
        // The hint of that error is how to pull the image, which does not help here.
        match not_cached(cache, error) {
            Failure::Cache(error) => Failure::NothingToRemove(error).report(),
            Failure::Similar { error, similar, .. } => Failure::Similar {
                error,
                similar,
                pull_helps: false,
            }
            .report(),
            failure => failure.report(),
        };
    }
    print(reference, platform, removed, format, output)?;
    Ok(removed)
}

/// Removes the records for all platforms, and returns whether there was one.
fn remove_all(
    cache: &GlobalCache,
    reference: &Reference,
    format: Format,
    output: &mut Output,
) -> Result<bool, Failure> {
    let platforms = cache.remove_all_platforms(reference)?;
    if platforms.is_empty() {
        return remove(cache, reference, &Platform::host_linux(), format, output);
    }
    for platform in &platforms {
        print(reference, platform, true, format, output)?;
    }
    Ok(true)
}

fn print(
    reference: &Reference,
    platform: &Platform,
    removed: bool,
    format: Format,
    output: &mut Output,
) -> Result<(), Failure> {
    match format {
        Format::Json => output.json(&Removed {
            reference: reference.to_string(),
            platform,
            removed,
        }),
        Format::Text if removed => output.line(format_args!("removed {reference} for {platform}")),
        Format::Text => Ok(()),
    }
}
