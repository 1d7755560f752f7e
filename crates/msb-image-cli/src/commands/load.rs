use std::path::{Path, PathBuf};

use clap::Args;
use microsandbox_image::{
    ArchiveImage, ArchiveOptions, GlobalCache, ImageArchive, LoadOptions, Loader, PullResult,
    Reference,
};

use super::limits::{LimitArgs, apply_limits};
use super::pull;
use crate::config::Config;
use crate::event_loop;
use crate::failure::{Failure, Outcome};
use crate::output::FormatArgs;
use crate::platform::PlatformArgs;
use crate::progress::{Display, Mode};

/// Load images from an OCI layout or an image archive into the cache, and build a disk for each
///
/// PATH is an OCI layout (a directory, or a tar archive of one) or a tar archive of `docker save`; an archive may be compressed with
/// gzip or zstd. A compressed archive and standard input are first copied, uncompressed, to $TMPDIR.
#[derive(Debug, Args)]
pub(crate) struct LoadArgs {
    /// Directory or archive; - for standard input
    #[arg(value_name = "PATH")]
    path: PathBuf,

    /// Load only the image with this name, or give this name to the only image of an archive if it has no full name
    #[arg(long, value_name = "REF")]
    tag: Option<Reference>,

    #[command(flatten)]
    platform: PlatformArgs,

    /// Rebuild everything, even if it is cached
    #[arg(long)]
    force: bool,

    /// Fail if the disk cannot represent a part of an image exactly, instead of printing a note
    #[arg(long)]
    strict: bool,

    /// Keep the blobs of the layers too, which `save` needs
    #[arg(long)]
    keep_blobs: bool,

    /// Add a hash tree of dm-verity to the disk, with which the guest verifies every block that it reads
    #[arg(long)]
    verity: bool,

    #[command(flatten)]
    limits: LimitArgs,

    /// Set the immutable flag of cached layers and disks, where the file system has it (needs CAP_LINUX_IMMUTABLE)
    #[arg(long)]
    immutable: bool,

    /// Progress on stderr
    #[arg(long, value_enum, value_name = "STYLE", default_value_t)]
    progress: Mode,

    #[command(flatten)]
    format: FormatArgs,
}

impl LoadArgs {
    pub(crate) fn configure(&mut self, config: &Config) {
        self.limits.configure(config);
    }
}

pub(crate) fn run(args: LoadArgs, cache: GlobalCache) -> Result<Outcome, Failure> {
    let cache = if args.immutable {
        pull::immutable(&cache)?
    } else {
        cache
    };
    let builder = Loader::builder(args.platform.platform(), cache);
    let loader = apply_limits!(args.limits, builder).build();
    let options = LoadOptions::default()
        .with_force(args.force)
        .with_strict(args.strict)
        .with_keep_blobs(args.keep_blobs)
        .with_verity(args.verity);
    event_loop::run(async {
        let archive = open(&args.path).await?;
        let images = match &args.tag {
            Some(tag) => vec![archive.image_named(tag)?],
            None => archive.images()?,
        };
        let mut outcome = Outcome::Done;
        for image in &images {
            match load(&loader, image, &options, args.progress).await {
                Ok(result) => pull::print(&result, "loaded", args.format.format)?,
                Err(failure) => {
                    failure.report();
                    outcome = Outcome::Failed;
                }
            }
        }
        Ok(outcome)
    })
}

async fn open(path: &Path) -> Result<ImageArchive, Failure> {
    let options = ArchiveOptions::default();
    Ok(if path == Path::new("-") {
        ImageArchive::read("standard input", std::io::stdin(), options).await?
    } else {
        ImageArchive::open(path, options).await?
    })
}

async fn load(
    loader: &Loader,
    image: &ArchiveImage,
    options: &LoadOptions,
    mode: Mode,
) -> Result<PullResult, Failure> {
    let result = match Display::new(mode, image.reference()) {
        None => loader.load(image, options).await,
        Some(display) => pull::watch(display, loader.load_with_progress(image, options)).await,
    };
    Ok(result?)
}
