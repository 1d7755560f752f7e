use std::time::SystemTime;

use clap::Args;
use microsandbox_image::GlobalCache;

use crate::failure::{Failure, Outcome};
use crate::output::{Age, Bytes, Format, FormatArgs, Output, Table, is_quiet, one_line, short};

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
    } else if is_quiet() {
        for image in &images {
            output.line(format_args!("{}", one_line(&image.reference)))?;
        }
    } else {
        let mut table = Table::new([
            "REFERENCE",
            "PLATFORM",
            "MANIFEST",
            "LAYERS",
            "DISK",
            "USED",
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
                age(image.used),
                state.join(", "),
            ]);
        }
        table.print(&mut output)?;
    }
    output.flush()?;
    Ok(Outcome::Done)
}

/// Returns the time since an image was used. A time in the future, after the clock was set back, counts as now.
fn age(used: Option<SystemTime>) -> String {
    used.map_or_else(String::new, |used| {
        Age(used.elapsed().unwrap_or_default()).to_string()
    })
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
