use clap::Args;
use microsandbox_image::{GlobalCache, Platform, PullError, Reference};
use serde::Serialize;

use super::not_cached;
use crate::args::PlatformArgs;
use crate::failure::{Failure, Outcome};
use crate::output::{Format, FormatArgs, Output};

/// Forgets images of the cache; `prune` then removes the files that no other image needs
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The images
    #[arg(value_name = "REF", required = true)]
    references: Vec<Reference>,

    #[command(flatten)]
    platform: PlatformArgs,

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
    let platform = args.platform.platform();
    let mut output = Output::new();
    let mut outcome = Outcome::Done;
    for reference in &args.references {
        let removed = cache.remove(reference, &platform)?;
        if !removed {
            let error = PullError::NotCached {
                reference: Box::new(reference.clone()),
                platform: Box::new(platform.clone()),
            };
            // Whoever removes an image does not want to be told how to pull it.
            match not_cached(cache, error) {
                Failure::Image(error) => Failure::NothingToRemove(error).report(),
                failure => failure.report(),
            };
            outcome = Outcome::Failed;
        }
        match args.format.format {
            Format::Json => output.json(&Removed {
                reference: reference.to_string(),
                platform: &platform,
                removed,
            })?,
            Format::Text if removed => {
                output.line(format_args!("removed {reference} for {platform}"))?;
            }
            Format::Text => {}
        }
    }
    output.flush()?;
    Ok(outcome)
}
