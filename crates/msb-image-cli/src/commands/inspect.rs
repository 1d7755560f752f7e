mod config;
mod remote;

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum as _};
use microsandbox_image::{
    BootLines, GlobalCache, ImageName, PullResult, Reference, UnknownHypervisor, escape_path,
};

use super::named_image;
use super::sign_in::RegistryArgs;
use crate::config::Config;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Format, Output, is_quiet, one_line};
use crate::platform::PlatformArgs;

/// Show the configuration, the layers and the disk of a cached image, or how to boot it
///
/// With --remote it is an image of a registry: its platforms, layers and configuration. Nothing is pulled.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Reference of the image, or its digest or id
    #[arg(value_name = "REF")]
    image: ImageName,

    #[command(flatten)]
    platform: PlatformArgs,

    /// Output format: text, JSON, or the lines with which a hypervisor boots the disk
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        value_parser = PossibleValuesParser::new(format_names()).try_map(|name| parse_format(&name))
    )]
    format: InspectFormat,

    /// Raw file of the disk, written by `export --format raw`, for Cloud Hypervisor and Firecracker
    #[arg(long, value_name = "FILE", default_value = "rootfs.raw")]
    disk: PathBuf,

    /// Ask the registry instead of the cache
    #[arg(long)]
    remote: bool,

    #[command(flatten, next_help_heading = "Options of --remote")]
    registry: RegistryArgs,
}

impl InspectArgs {
    pub(crate) fn configure(&mut self, config: &Config) {
        self.registry.configure(config);
    }

    /// Returns the reference to ask the registry for, and how to print the image.
    fn remote(&self) -> Result<(&Reference, Format), Failure> {
        let Some(reference) = self.image.reference() else {
            return Err(Failure::RemoteId {
                id: self.image.to_string(),
            });
        };
        match self.format {
            InspectFormat::Data(format) => Ok((reference, format)),
            InspectFormat::Boot(lines) => Err(Failure::RemoteDisk {
                format: lines.name(),
            }),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum InspectFormat {
    Data(Format),
    Boot(BootLines),
}

fn format_names() -> Vec<&'static str> {
    let boot = BootLines::ALL.iter().map(|lines| lines.name());
    ["text", "json"].into_iter().chain(boot).collect()
}

fn parse_format(name: &str) -> Result<InspectFormat, UnknownHypervisor> {
    match Format::from_str(name, false) {
        Ok(format) => Ok(InspectFormat::Data(format)),
        Err(_) => name.parse().map(InspectFormat::Boot),
    }
}

pub(crate) fn run(args: &InspectArgs, cache: GlobalCache) -> Result<Outcome, Failure> {
    if args.remote {
        let (reference, format) = args.remote()?;
        return remote::run(reference, &args.platform, &args.registry, cache, format);
    }
    let image = named_image(&cache, &args.image, &args.platform)?;
    let mut output = Output::new();
    match args.format {
        InspectFormat::Boot(lines) => {
            for line in image.boot_lines(lines, &args.disk) {
                output.line(format_args!("{}", one_line(&line)))?;
            }
        }
        InspectFormat::Data(Format::Json) => output.json(&image)?,
        InspectFormat::Data(Format::Text) if is_quiet() => {
            output.line(format_args!("{}", escape_path(&image.vmdk)))?;
        }
        InspectFormat::Data(Format::Text) => {
            names(&mut output, &image)?;
            boot(&mut output, &image)?;
            layers(&mut output, &image)?;
            config::config(&mut output, &image.config)?;
            config::history(&mut output, &image.config)?;
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

fn boot(output: &mut Output, image: &PullResult) -> Result<(), Failure> {
    let facts = image.boot_facts();
    output.line(format_args!("boot       {}", facts.cmdline))?;
    output.line(format_args!(
        "needs      Linux {} in the guest, {} open files in the hypervisor",
        facts.minimum_kernel, facts.file_descriptors
    ))
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
