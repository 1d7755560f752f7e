use microsandbox_image::{GlobalCache, Reference, RemoteImage};

use super::super::sign_in::RegistryArgs;
use super::config;
use crate::event_loop;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Format, Output, Table, count, is_quiet, one_line};
use crate::platform::PlatformArgs;

/// Prints an image of a registry.
pub(super) fn run(
    reference: &Reference,
    platform: &PlatformArgs,
    registry: &RegistryArgs,
    cache: GlobalCache,
    format: Format,
) -> Result<Outcome, Failure> {
    let registry = registry.open(platform.platform(), cache, reference)?;
    let image = event_loop::run(async {
        let image = registry.inspect(reference).await;
        image.map_err(|error| Failure::of_registry(reference, error))
    })?;
    let mut output = Output::new();
    match format {
        Format::Json => output.json(&image)?,
        Format::Text if is_quiet() => output.line(format_args!("{}", image.manifest_digest))?,
        Format::Text => text(&mut output, &image)?,
    }
    output.flush()?;
    Ok(Outcome::Done)
}

fn text(output: &mut Output, image: &RemoteImage) -> Result<(), Failure> {
    output.line(format_args!("reference  {}", image.reference))?;
    output.line(format_args!("digest     {}", image.digest))?;
    output.line(format_args!("platform   {}", image.platform))?;
    output.line(format_args!("manifest   {}", image.manifest_digest))?;
    output.line(format_args!(
        "size       {}, {} compressed",
        count(image.layers.len() as u64, "layer"),
        Bytes(image.total_bytes)
    ))?;
    output.line(format_args!("\nplatforms"))?;
    let mut table = Table::new(["  PLATFORM", "MANIFEST"]);
    for listed in &image.platforms {
        table.row([
            format!("  {}", listed.platform),
            listed.manifest_digest.to_string(),
        ]);
    }
    table.print(output)?;
    output.line(format_args!("\nlayers, bottom to top"))?;
    for layer in &image.layers {
        let media_type = one_line(&layer.media_type);
        output.line(format_args!(
            "  {} ({}, {media_type})",
            layer.digest,
            Bytes(layer.size)
        ))?;
    }
    config::config(output, &image.config)?;
    config::history(output, &image.config)
}
