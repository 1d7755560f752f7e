use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use microsandbox_image::{GlobalCache, ImageName, SaveFormat, SaveOptions, escape_path};

use super::named_image;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Output, is_quiet};
use crate::platform::PlatformArgs;

/// Write cached images to an archive that other tools load
///
/// The images must have been pulled or loaded with `--keep-blobs`. Formats: `oci` is an OCI image layout as a tar archive, with all
/// digests unchanged; `docker` is an archive of `docker save`, with uncompressed layers. The file gets its name when it is complete.
#[derive(Debug, Args)]
pub(crate) struct SaveArgs {
    /// References of the images, or their digests or ids
    #[arg(value_name = "REF", required = true)]
    images: Vec<ImageName>,

    /// File to write; - for standard output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,

    /// Format of the archive
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    format: Form,

    /// Replace an existing file
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    platform: PlatformArgs,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Form {
    #[default]
    Oci,
    Docker,
}

impl From<Form> for SaveFormat {
    fn from(form: Form) -> Self {
        match form {
            Form::Oci => Self::Oci,
            Form::Docker => Self::Docker,
        }
    }
}

pub(crate) fn run(args: &SaveArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let images = args.images.iter();
    let images = images.map(|name| named_image(cache, name, &args.platform));
    let images = images.collect::<Result<Vec<_>, _>>()?;
    let format = args.format.into();
    let mut output = Output::new();
    if args.output == Path::new("-") {
        cache.save_to(&images, output.raw(), format)?;
    } else {
        let options = SaveOptions::default()
            .with_format(format)
            .with_force(args.force);
        let bytes = cache.save(&images, &args.output, &options)?;
        let path = escape_path(&args.output);
        if !is_quiet() {
            output.line(format_args!("{path} {format}, {}", Bytes(bytes)))?;
        }
    }
    output.flush()?;
    Ok(Outcome::Done)
}
