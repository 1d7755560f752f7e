use std::ffi::OsString;

use clap::Args;
use microsandbox_image::{GlobalCache, Reference};

use super::cached_image;
use crate::args::PlatformArgs;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Prints a file of an image of the cache, byte for byte
#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    /// The image
    #[arg(value_name = "REF")]
    reference: Reference,

    /// The file; symbolic links are followed inside the image
    path: OsString,

    #[command(flatten)]
    platform: PlatformArgs,
}

pub(crate) fn run(args: &CatArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let tree = cached_image(cache, &args.reference, &args.platform.platform())?.open_tree()?;
    let mut output = Output::new();
    tree.copy_file(args.path.as_encoded_bytes(), output.raw())?;
    output.flush()?;
    Ok(Outcome::Done)
}
