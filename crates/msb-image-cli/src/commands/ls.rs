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
            let mut state = vec![if image.complete {
                "ok".to_owned()
            } else {
                "files are missing".to_owned()
            }];
            state.extend(holds(&image.pinned, image.leased));
            table.row([
                one_line(&image.reference).to_string(),
                image.platform.to_string(),
                short(&image.manifest_digest),
                image.layer_count.to_string(),
                Bytes(image.disk_bytes).to_string(),
                state.join(", "),
            ]);
        }
        table.print(&mut output)?;
    }
    output.flush()?;
    Ok(Outcome::Done)
}

/// Returns what keeps an image from removal.
pub(super) fn holds(pins: &[String], is_leased: bool) -> Vec<String> {
    let mut holds = Vec::new();
    if !pins.is_empty() {
        holds.push(format!("pinned as {}", pins.join(" and ")));
    }
    if is_leased {
        holds.push("leased".into());
    }
    holds
}
