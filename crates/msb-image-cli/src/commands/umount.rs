use std::path::PathBuf;

use clap::Args;
use microsandbox_image::{GlobalCache, escape_path};

use crate::failure::{Failure, Outcome};
use crate::output::Output;

/// Unmount what `mount` mounted from this cache on a directory, and nothing else
#[derive(Debug, Args)]
pub(crate) struct UmountArgs {
    /// Directory of the mount
    #[arg(value_name = "DIR")]
    target: PathBuf,
}

pub(crate) fn run(args: &UmountArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    cache.unmount(&args.target)?;
    let mut output = Output::new();
    output.line(format_args!("unmounted {}", escape_path(&args.target)))?;
    output.flush()?;
    Ok(Outcome::Done)
}
