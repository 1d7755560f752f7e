use std::path::PathBuf;

use clap::{Args, Subcommand};
use microsandbox_image::{UpperDisk, escape_path, parse_bytes};

use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Output};

/// Create disks for what a guest writes over the disk of an image
#[derive(Debug, Args)]
pub(crate) struct UpperArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create an empty, sparse ext4 disk (needs mke2fs)
    Create {
        /// File to create
        #[arg(value_name = "FILE")]
        file: PathBuf,

        /// Size of the disk: bytes, or a number with K, M, G or T
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        size: u64,

        /// Replace an existing file
        #[arg(long)]
        force: bool,
    },
}

pub(crate) fn run(args: &UpperArgs) -> Result<Outcome, Failure> {
    let Verb::Create { file, size, force } = &args.verb;
    let bytes = UpperDisk::new(*size).force(*force).create(file)?;
    let mut output = Output::new();
    output.line(format_args!("{} ext4, {}", escape_path(file), Bytes(bytes)))?;
    output.flush()?;
    Ok(Outcome::Done)
}

fn parse_size(text: &str) -> Result<u64, &'static str> {
    parse_bytes(text).ok_or("not a number with an optional suffix K, M, G or T")
}
