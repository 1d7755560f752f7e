use std::path::PathBuf;

use clap::Args;
use microsandbox_image::{GlobalCache, ImageName, MountOptions, escape_path};

use super::named_image;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::platform::PlatformArgs;

/// Mount a cached image on a directory of this machine, with nosuid and nodev (needs root, Linux 6.12)
///
/// The mount stays when the command ends, and its files stay readable even if a prune removes them from the cache. `umount` ends it.
#[derive(Debug, Args)]
pub(crate) struct MountArgs {
    /// Reference of the image, or its digest or id
    #[arg(value_name = "REF")]
    image: ImageName,

    /// Directory to mount on
    #[arg(value_name = "DIR")]
    target: PathBuf,

    /// Mount an overlay whose changes are kept in this directory; it is created if necessary
    #[arg(long, value_name = "UPPER_DIR")]
    writable: Option<PathBuf>,

    #[command(flatten)]
    platform: PlatformArgs,
}

pub(crate) fn run(args: &MountArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let image = named_image(cache, &args.image, &args.platform)?;
    let mut options = MountOptions::default();
    options.upper.clone_from(&args.writable);
    image.mount(&args.target, &options)?;
    let mut output = Output::new();
    let (target, reference) = (escape_path(&args.target), &image.reference);
    output.line(format_args!("{reference} mounted on {target}"))?;
    output.flush()?;
    Ok(Outcome::Done)
}
