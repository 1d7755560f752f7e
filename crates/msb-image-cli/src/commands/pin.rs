use clap::Args;
use microsandbox_image::{CacheError, GlobalCache, ImageName, PinName};

use super::not_cached;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::platform::PlatformArgs;

/// Keep a cached image until it is unpinned: no prune removes it, whatever the budget
#[derive(Debug, Args)]
pub(crate) struct PinArgs {
    /// Name of the pin: letters, digits and `._-`
    #[arg(value_name = "NAME")]
    name: PinName,

    /// Reference of the image, or its digest or id
    #[arg(value_name = "REF")]
    image: ImageName,

    #[command(flatten)]
    platform: PlatformArgs,
}

/// Remove a pin; the image stays until a prune removes it
#[derive(Debug, Args)]
pub(crate) struct UnpinArgs {
    /// Name of the pin
    #[arg(value_name = "NAME")]
    name: PinName,
}

pub(crate) fn pin(args: &PinArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    // All records of a digest or id are of one image.
    let named = cache.named(&args.image, args.platform.given())?;
    let (reference, platform) = named
        .into_iter()
        .next()
        .ok_or_else(|| CacheError::UnknownId {
            id: args.image.to_string(),
        })?;
    cache
        .pin(&args.name, &reference, &platform)
        .map_err(|error| not_cached(cache, error))?;
    let mut output = Output::new();
    output.line(format_args!(
        "pinned {reference} for {platform} as {}",
        args.name
    ))?;
    output.flush()?;
    Ok(Outcome::Done)
}

pub(crate) fn unpin(args: &UnpinArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    if !cache.unpin(&args.name)? {
        return Err(Failure::NoPin {
            name: args.name.to_string(),
        });
    }
    let mut output = Output::new();
    output.line(format_args!("unpinned {}", args.name))?;
    output.flush()?;
    Ok(Outcome::Done)
}
