use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, ValueEnum};
use microsandbox_image::{
    GlobalCache, ProgressReceiver, PullError, PullOptions, PullPolicy, PullResult, PullStats,
    PullTask, Reference, Registry, RegistryLimits, SourceForm, escape_path,
};
use tokio::time::timeout;

use super::limits::{LimitArgs, apply_limits};
use super::not_cached;
use super::sign_in::RegistryArgs;
use crate::config::Config;
use crate::event_loop;
use crate::failure::{Failure, Outcome};
use crate::output::{Bytes, Format, FormatArgs, Output, count, is_quiet, one_line};
use crate::platform::PlatformArgs;
use crate::progress::{Display, Mode, TICK};
use crate::secrets;

/// Pull images into the cache and build a disk for each
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Images, such as alpine, quay.io/org/app:1.2 or registry.example/app@sha256:...
    #[arg(value_name = "REF", required = true)]
    references: Vec<Reference>,

    #[command(flatten)]
    platform: PlatformArgs,

    /// When to contact the registry: only for images that are not cached, always, or never
    #[arg(
        long,
        value_name = "POLICY",
        default_value = "if-missing",
        value_parser = PossibleValuesParser::new(["if-missing", "always", "never"])
            .try_map(|text| text.parse::<PullPolicy>())
    )]
    policy: PullPolicy,

    /// Download and rebuild everything, even if it is cached
    #[arg(long)]
    force: bool,

    /// Fail if the disk cannot represent a part of an image exactly, instead of printing a note
    #[arg(long)]
    strict: bool,

    /// Keep the blobs of the layers too, which `save` needs; an image that is cached without them is downloaded once more
    #[arg(long)]
    keep_blobs: bool,

    /// Add a hash tree of dm-verity to the disk, with which the guest verifies every block that it reads
    #[arg(long)]
    verity: bool,

    /// Form of the layers to download: EROFS layers need no conversion, but only their publisher vouches for what they contain
    #[arg(
        long,
        value_enum,
        value_name = "FORM",
        default_value_t,
        conflicts_with = "keep_blobs"
    )]
    source: Source,

    /// Pull into the cache at DIR, which then depends on no other cache: layers that this cache has are copied. A new DIR is readable
    /// for all users
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,

    #[command(flatten)]
    limits: LimitArgs,

    /// How many ranges of a large blob to fetch at once where one connection is too slow; 1 turns this off
    #[arg(
        long,
        value_name = "N",
        default_value_t = RegistryLimits::default().ranges,
        value_parser = clap::value_parser!(u32).range(1..=64)
    )]
    ranges: u32,

    /// Set the immutable flag of cached layers and disks, where the file system has it (needs CAP_LINUX_IMMUTABLE)
    #[arg(long)]
    immutable: bool,

    #[command(flatten)]
    registry: RegistryArgs,

    /// Progress on stderr
    #[arg(long, value_enum, value_name = "STYLE", default_value_t)]
    progress: Mode,

    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Source {
    /// The original layers
    #[default]
    Tar,
    /// EROFS layers if the image has been pushed with them, else the original ones
    Auto,
    /// EROFS layers only
    Erofs,
}

impl From<Source> for SourceForm {
    fn from(source: Source) -> Self {
        match source {
            Source::Tar => Self::Tar,
            Source::Auto => Self::Auto,
            Source::Erofs => Self::Erofs,
        }
    }
}

impl PullArgs {
    pub(crate) fn configure(&mut self, config: &Config) {
        self.limits.configure(config);
        self.registry.configure(config);
    }
}

pub(crate) fn run(args: PullArgs, cache: GlobalCache) -> Result<Outcome, Failure> {
    if args.force && args.policy == PullPolicy::Never {
        return Err(Failure::ForceOffline);
    }
    if args.registry.has_secret() {
        secrets::protect();
    }
    let cache = if args.immutable {
        immutable(&cache)?
    } else {
        cache
    };
    let cache = match &args.into {
        Some(directory) => filled(directory, &cache)?,
        None => cache,
    };
    let builder = Registry::builder(args.platform.platform(), cache)
        .limits(RegistryLimits::default().with_ranges(args.ranges));
    let builder = apply_limits!(args.limits, builder);
    let registry = args.registry.apply(&args.references, builder)?.build()?;
    let options = PullOptions {
        pull_policy: args.policy,
        force: args.force,
        strict: args.strict,
        keep_blobs: args.keep_blobs,
        verity: args.verity,
        source: args.source.into(),
    };
    event_loop::run(async {
        let mut outcome = Outcome::Done;
        // One after the other: the layers of one image already use all of the bandwidth.
        for reference in &args.references {
            match pull(&registry, reference, &options, args.progress).await {
                Ok(result) => print(&result, "pulled", args.format.format)?,
                Err(failure) => {
                    failure.report();
                    outcome = Outcome::Failed;
                }
            }
        }
        Ok(outcome)
    })
}

/// Returns the cache at `directory`, which takes layers from `cache` and depends on no other cache.
fn filled(directory: &Path, cache: &GlobalCache) -> Result<GlobalCache, Failure> {
    let mut options = cache.options().clone();
    options.cache_from.insert(0, cache.root().to_owned());
    options.is_self_contained = true;
    options.is_public = options.shared_group.is_none();
    // The budget is that of the user's own cache.
    options.max_bytes = None;
    Ok(GlobalCache::with_options(directory, options)?)
}

/// Returns the cache, whose files get the immutable flag.
pub(super) fn immutable(cache: &GlobalCache) -> Result<GlobalCache, Failure> {
    let mut options = cache.options().clone();
    options.immutable = true;
    Ok(GlobalCache::with_options(cache.root(), options)?)
}

async fn pull(
    registry: &Registry,
    reference: &Reference,
    options: &PullOptions,
    mode: Mode,
) -> Result<PullResult, Failure> {
    let result = match Display::new(mode, reference) {
        None => registry.pull(reference, options).await,
        Some(display) => watch(display, registry.pull_with_progress(reference, options)).await,
    };
    result.map_err(|error| match error {
        PullError::Cache(error) => not_cached(registry.cache(), error),
        error => Failure::Pull {
            reference: Box::new(reference.clone()),
            error,
        },
    })
}

/// Shows the events of a pull until it ends.
pub(super) async fn watch(
    mut display: Display,
    (mut progress, task): (ProgressReceiver, PullTask),
) -> Result<PullResult, PullError> {
    loop {
        match timeout(TICK, progress.recv()).await {
            Ok(Some(event)) => display.show(&event),
            Ok(None) => break,
            Err(_) => display.tick(),
        }
    }
    // A panic has printed its message already.
    task.await.unwrap_or(Err(PullError::Worker))
}

/// Prints an image. `done` is what was done if it was not cached.
pub(super) fn print(result: &PullResult, done: &str, format: Format) -> Result<(), Failure> {
    if let Some(stats) = &result.stats {
        log(result, stats);
    }
    let mut output = Output::new();
    match format {
        Format::Json => output.json(result)?,
        Format::Text if is_quiet() => output.line(format_args!("{}", escape_path(&result.vmdk)))?,
        Format::Text => text(&mut output, result, done)?,
    }
    output.flush()
}

/// Logs in one line what was done.
fn log(result: &PullResult, stats: &PullStats) {
    let seconds = |stage: Duration| format!("{:.1} s", stage.as_secs_f64());
    tracing::info!(
        reference = %result.reference,
        downloaded = %Bytes(stats.downloaded_bytes),
        resumed = %Bytes(stats.resumed_bytes),
        from_cache = %Bytes(stats.cached_bytes),
        resolve = seconds(stats.resolve),
        layers = seconds(stats.layers),
        disk = seconds(stats.disk),
        "done"
    );
}

fn text(output: &mut Output, result: &PullResult, done: &str) -> Result<(), Failure> {
    let compressed = result.layers.iter().map(|layer| layer.size).sum();
    let disk = result.extents.iter().map(|extent| extent.bytes).sum();
    let state = if result.cached { "cached" } else { done };
    output.line(format_args!("{} {state}", result.reference))?;
    output.line(format_args!("  manifest  {}", result.manifest_digest))?;
    output.line(format_args!("  platform  {}", result.platform))?;
    output.line(format_args!(
        "  size      {}, {} compressed, {} on disk",
        count(result.layers.len() as u64, "layer"),
        Bytes(compressed),
        Bytes(disk)
    ))?;
    output.line(format_args!("  vmdk      {}", escape_path(&result.vmdk)))?;
    if let Some(verity) = &result.verity {
        output.line(format_args!("  verity    {}", verity.root_hash))?;
    }
    // The other notes concern a layer image alone; `inspect` prints them.
    for note in result.notes.iter().filter(|note| note.is_loss()) {
        output.line(format_args!("  note      {}", one_line(&note.to_string())))?;
    }
    Ok(())
}
