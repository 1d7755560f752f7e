use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use microsandbox_image::{ExportFormat, ExportOptions, GlobalCache, ImageName, escape_path};

use super::named_record;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Output, is_quiet};
use crate::platform::PlatformArgs;

/// Write a cached image as one disk, one EROFS image or a tar archive
///
/// The file gets its name when it is complete. Formats: `raw` is the disk that a guest boots, `erofs` an image for old kernels and
/// gVisor, `tar` the files of all layers merged.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// Reference of the image, or its digest or id
    #[arg(value_name = "REF")]
    image: ImageName,

    /// File to write; - for standard output (raw and tar)
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Format of the file
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Form,

    /// Add a hash tree of dm-verity to the disk, unless it has one; a raw file includes it
    #[arg(long)]
    verity: bool,

    /// Replace an existing file
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    platform: PlatformArgs,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Form {
    #[default]
    Raw,
    Erofs,
    Tar,
}

impl From<Form> for ExportFormat {
    fn from(form: Form) -> Self {
        match form {
            Form::Raw => Self::Raw,
            Form::Erofs => Self::Erofs,
            Form::Tar => Self::Tar,
        }
    }
}

pub(crate) fn run(args: &ExportArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let (mut image, platform) = named_record(cache, &args.image, &args.platform)?;
    if args.verity {
        image = cache.add_hash_tree(&image.reference, &platform)?;
    }
    let format = args.format.into();
    let mut output = Output::new();
    if args.output == Path::new("-") {
        image.export_to(output.raw(), format)?;
    } else {
        let options = ExportOptions::default()
            .with_format(format)
            .with_force(args.force);
        let bytes = image.export(&args.output, &options)?;
        let path = escape_path(&args.output);
        if !is_quiet() {
            output.line(format_args!("{path} {format}, {}", Bytes(bytes)))?;
        }
    }
    output.flush()?;
    Ok(Outcome::Done)
}
