use std::ffi::OsString;

use clap::Args;
use microsandbox_image::{GlobalCache, ImageName};

use super::named_image;
use crate::args::PlatformArgs;
use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Print a file of a cached image, byte for byte
#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    /// Reference of the image, or its digest or id
    #[arg(value_name = "REF")]
    image: ImageName,

    /// Path of the file; symbolic links are followed inside the image
    path: OsString,

    #[command(flatten)]
    platform: PlatformArgs,
}

pub(crate) fn run(args: &CatArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let tree = named_image(cache, &args.image, &args.platform)?.open_tree()?;
    let mut output = Output::new();
    tree.copy_file(args.path.as_encoded_bytes(), output.raw())?;
    output.flush()?;
    Ok(Outcome::Done)
}
