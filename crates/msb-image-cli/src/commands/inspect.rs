use clap::Args;
use microsandbox_image::{GlobalCache, ImageConfig, ImageName, PullResult, escape_path};

use super::named_image;
use crate::args::PlatformArgs;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Format, FormatArgs, Output, one_line};

/// Show the configuration, the layers and the disk of a cached image
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Reference of the image, or its digest or id
    #[arg(value_name = "REF")]
    image: ImageName,

    #[command(flatten)]
    platform: PlatformArgs,

    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) fn run(args: &InspectArgs, cache: &GlobalCache) -> Result<Outcome, Failure> {
    let image = named_image(cache, &args.image, &args.platform)?;
    let mut output = Output::new();
    match args.format.format {
        Format::Json => output.json(&image)?,
        Format::Text => {
            names(&mut output, &image)?;
            layers(&mut output, &image)?;
            config(&mut output, &image.config)?;
        }
    }
    output.flush()?;
    Ok(Outcome::Done)
}

fn names(output: &mut Output, image: &PullResult) -> Result<(), Failure> {
    output.line(format_args!("reference  {}", image.reference))?;
    output.line(format_args!("platform   {}", image.platform))?;
    output.line(format_args!("manifest   {}", image.manifest_digest))?;
    output.line(format_args!("vmdk       {}", escape_path(&image.vmdk)))?;
    output.line(format_args!("fsmeta     {}", escape_path(&image.fsmeta)))?;
    for note in &image.notes {
        output.line(format_args!("note       {}", one_line(&note.to_string())))?;
    }
    Ok(())
}

fn layers(output: &mut Output, image: &PullResult) -> Result<(), Failure> {
    output.line(format_args!("\nlayers, bottom to top"))?;
    for layer in &image.layers {
        let media_type = one_line(&layer.media_type);
        output.line(format_args!("  {}", layer.diff_id))?;
        output.line(format_args!(
            "    blob   {} ({}, {media_type})",
            layer.digest,
            Bytes(layer.size)
        ))?;
        output.line(format_args!("    erofs  {}", escape_path(&layer.erofs)))?;
    }
    Ok(())
}

fn config(output: &mut Output, config: &ImageConfig) -> Result<(), Failure> {
    output.line(format_args!("\nconfig"))?;
    let mut line =
        |name: &str, value: &str| output.line(format_args!("  {name:<12} {}", one_line(value)));
    // Quotes show where each argument ends.
    let argv = |words: &Option<Vec<String>>| words.as_ref().map(|words| format!("{words:?}"));
    let single = [
        ("entrypoint", argv(&config.entrypoint)),
        ("cmd", argv(&config.cmd)),
        ("working-dir", config.working_dir.clone()),
        ("user", config.user.clone()),
        ("stop-signal", config.stop_signal.clone()),
    ];
    for (name, value) in single {
        if let Some(value) = value {
            line(name, &value)?;
        }
    }
    let several = [
        ("env", &config.env),
        ("port", &config.exposed_ports),
        ("volume", &config.volumes),
    ];
    for (name, values) in several {
        for value in values {
            line(name, value)?;
        }
    }
    for (name, value) in &config.labels {
        line("label", &format!("{name}={value}"))?;
    }
    Ok(())
}
