use clap::Args;
use microsandbox_image::GlobalCache;

use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Format, FormatArgs, Output, Table, one_line, short};

/// List the cached images
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) fn run(args: &LsArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let images = cache.images()?;
    let mut output = Output::new();
    if args.format.format == Format::Json {
        for image in &images {
            output.json(image)?;
        }
    } else {
        let mut table = Table::new([
            "REFERENCE",
            "PLATFORM",
            "MANIFEST",
            "LAYERS",
            "DISK",
            "STATE",
        ]);
        for image in &images {
            let state = if image.complete {
                "ok"
            } else {
                "files are missing"
            };
            table.row([
                one_line(&image.reference).to_string(),
                image.platform.to_string(),
                short(&image.manifest_digest),
                image.layer_count.to_string(),
                Bytes(image.disk_bytes).to_string(),
                state.into(),
            ]);
        }
        table.print(&mut output)?;
    }
    output.flush()?;
    Ok(Outcome::Done)
}
