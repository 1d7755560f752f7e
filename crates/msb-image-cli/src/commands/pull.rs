use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use microsandbox_image::{
    GlobalCache, PullError, PullOptions, PullPolicy, PullResult, Reference, Registry,
};

use super::not_cached;
use super::sign_in::RegistryArgs;
use crate::args::PlatformArgs;
use crate::event_loop;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Format, FormatArgs, Output, count, one_line};
use crate::progress::{Display, Mode};

/// Pulls images into the cache, and makes a disk of each
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// The images, such as alpine, quay.io/org/app:1.2 or registry.example/app@sha256:...
    #[arg(value_name = "REF", required = true)]
    references: Vec<Reference>,

    #[command(flatten)]
    platform: PlatformArgs,

    /// Whether the cache or the registry has the first word
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "if-missing",
        value_parser = PossibleValuesParser::new(["if-missing", "always", "never"])
            .try_map(|text| text.parse::<PullPolicy>())
    )]
    policy: PullPolicy,

    /// Fetches and writes everything anew, even what the cache has
    #[arg(long)]
    force: bool,

    /// Fails when something of an image cannot be represented exactly, instead of noting it
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    registry: RegistryArgs,

    /// How progress is shown on stderr: bars on a terminal, else lines
    #[arg(long, value_enum, value_name = "HOW", default_value_t)]
    progress: Mode,

    #[command(flatten)]
    format: FormatArgs,
}

pub(crate) fn run(args: PullArgs, cache: GlobalCache) -> Result<Outcome, Failure> {
    if args.force && args.policy == PullPolicy::Never {
        return Err(Failure::ForceOffline);
    }
    let builder = Registry::builder(args.platform.platform(), cache);
    let registry = args.registry.apply(&args.references, builder)?.build()?;
    let options = PullOptions {
        pull_policy: args.policy,
        force: args.force,
        strict: args.strict,
    };
    event_loop::run(async {
        let mut outcome = Outcome::Done;
        // One after the other: the layers of one image already fill the line.
        for reference in &args.references {
            match pull(&registry, reference, &options, args.progress).await {
                Ok(result) => print(&result, args.format.format)?,
                Err(failure) => {
                    failure.report();
                    outcome = Outcome::Failed;
                }
            }
        }
        Ok(outcome)
    })
}

async fn pull(
    registry: &Registry,
    reference: &Reference,
    options: &PullOptions,
    mode: Mode,
) -> Result<PullResult, Failure> {
    let result = match Display::new(mode, reference) {
        None => registry.pull(reference, options).await,
        Some(mut display) => {
            let (mut progress, task) = registry.pull_with_progress(reference, options);
            while let Some(event) = progress.recv().await {
                display.show(&event);
            }
            // A task that panicked has said so on stderr.
            task.await.unwrap_or(Err(PullError::Worker))
        }
    };
    result.map_err(|error| not_cached(registry.cache(), error))
}

fn print(result: &PullResult, format: Format) -> Result<(), Failure> {
    let mut output = Output::new();
    match format {
        Format::Json => output.json(result)?,
        Format::Text => text(&mut output, result)?,
    }
    output.flush()
}

fn text(output: &mut Output, result: &PullResult) -> Result<(), Failure> {
    let compressed = result.layers.iter().map(|layer| layer.size).sum();
    let disk = result.extents.iter().map(|extent| extent.bytes).sum();
    let state = if result.cached { "cached" } else { "pulled" };
    output.line(format_args!("{} {state}", result.reference))?;
    output.line(format_args!("  manifest  {}", result.manifest_digest))?;
    output.line(format_args!("  platform  {}", result.platform))?;
    output.line(format_args!(
        "  size      {}, {} compressed, {} on disk",
        count(result.layers.len() as u64, "layer"),
        Bytes(compressed),
        Bytes(disk)
    ))?;
    output.line(format_args!("  vmdk      {}", result.vmdk.display()))?;
    // The others say how a layer image differs from the disk, which `inspect` shows whom it concerns.
    for note in result.notes.iter().filter(|note| note.is_loss()) {
        output.line(format_args!("  note      {}", one_line(&note.to_string())))?;
    }
    Ok(())
}
