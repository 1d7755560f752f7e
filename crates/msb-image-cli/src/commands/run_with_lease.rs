use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use clap::Args;
use microsandbox_image::{GlobalCache, ImageName};

use super::named_image;
use crate::failure::{Failure, Outcome};
use crate::platform::PlatformArgs;

/// The variable of the command's environment with the path of the VMDK descriptor.
const VMDK_VARIABLE: &str = "MSB_IMAGE_VMDK";

/// Run a command, such as a hypervisor, that keeps the files of a cached image while it runs
///
/// The command replaces this process and inherits the descriptor of a lease, as do its children: no prune removes the disk before the last
/// of them ends. $MSB_IMAGE_VMDK is the path of the VMDK descriptor. Nothing is printed, and the exit code is that of the command; 127 if there
/// is no such command, 126 if it cannot be run.
#[derive(Debug, Args)]
pub(crate) struct RunWithLeaseArgs {
    /// Reference of the image, or its digest or id
    #[arg(value_name = "REF")]
    image: ImageName,

    #[command(flatten)]
    platform: PlatformArgs,

    /// Command and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &RunWithLeaseArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let image = named_image(cache, &args.image, &args.platform)?;
    let lease = image.lease().inheritable_fd().map_err(Failure::Lease)?;
    // The arguments require a command.
    let (program, arguments) = args.command.split_first().unzip();
    let program = program.cloned().unwrap_or_default();
    let source = Command::new(&program)
        .args(arguments.unwrap_or_default())
        .env(VMDK_VARIABLE, &image.vmdk)
        .exec();
    drop(lease);
    Err(Failure::Exec { program, source })
}
