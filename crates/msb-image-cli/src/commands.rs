//! One file per command.

pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod df;
pub(crate) mod export;
pub(crate) mod inspect;
mod limits;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod ls;
pub(crate) mod man;
#[cfg(target_os = "linux")]
pub(crate) mod mount;
pub(crate) mod pin;
pub(crate) mod prune;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod rm;
pub(crate) mod run_with_lease;
pub(crate) mod save;
mod sign_in;
mod similar;
pub(crate) mod tags;
pub(crate) mod tree;
#[cfg(target_os = "linux")]
pub(crate) mod umount;
pub(crate) mod upper;
pub(crate) mod verify;

use clap::CommandFactory as _;
use microsandbox_image::{CacheError, GlobalCache, ImageName, Platform, PullResult, Reference};

use crate::args::{Cli, Command};
use crate::config::Config;
use crate::failure::{Failure, Outcome};
use crate::platform::PlatformArgs;

pub(crate) fn run(mut cli: Cli) -> Result<Outcome, Failure> {
    match &cli.command {
        Command::Completions(args) => return completions::run(args, Cli::command()),
        Command::Man(args) => return man::run(args, Cli::command()),
        _ => {}
    }
    let config = Config::load(cli.config.as_deref())?;
    if let Command::Config(args) = &cli.command {
        return config::run(args, &cli.cache, &config);
    }
    cli.configure(&config);
    let cache = cli.cache.open()?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), cache = %cache.root().display(), "msb-image");
    match cli.command {
        Command::Pull(args) => pull::run(args, cache),
        Command::Load(args) => load::run(args, cache),
        Command::Login(args) => login::run(&args, cache),
        Command::Logout(args) => logout::run(&args),
        Command::Ls(args) => ls::run(&args, &cache),
        Command::Inspect(args) => inspect::run(&args, cache),
        Command::Tags(args) => tags::run(&args, cache),
        Command::Tree(args) => tree::run(&args, &cache),
        Command::Cat(args) => cat::run(&args, &cache),
        Command::Export(args) => export::run(&args, &cache),
        Command::RunWithLease(args) => run_with_lease::run(&args, &cache),
        Command::Save(args) => save::run(&args, &cache),
        Command::Push(args) => push::run(&args, cache),
        #[cfg(target_os = "linux")]
        Command::Mount(args) => mount::run(&args, &cache),
        #[cfg(target_os = "linux")]
        Command::Umount(args) => umount::run(&args, &cache),
        // They returned above, because they need no cache.
        Command::Completions(_) | Command::Man(_) | Command::Config(_) => Ok(Outcome::Done),
        Command::Upper(args) => upper::run(&args),
        Command::Verify(args) => verify::run(&args, &cache),
        Command::Pin(args) => pin::pin(&args, &cache),
        Command::Unpin(args) => pin::unpin(&args, &cache),
        Command::Df(args) => df::run(&args, &cache),
        Command::Rm(args) => rm::run(&args, &cache),
        Command::Prune(args) => prune::run(&args, &cache),
    }
}

/// Returns the cached image of a name. The error lists other platforms that it is cached for.
fn named_image(
    cache: &GlobalCache,
    name: &ImageName,
    platform: &PlatformArgs,
) -> Result<PullResult, Failure> {
    named_record(cache, name, platform).map(|(image, _)| image)
}

/// Returns the cached image, and the platform that it was pulled for.
fn named_record(
    cache: &GlobalCache,
    name: &ImageName,
    platform: &PlatformArgs,
) -> Result<(PullResult, Platform), Failure> {
    // All records of a digest or id are of one image.
    let mut last = None;
    for (reference, platform) in cache.named(name, platform.given())? {
        match cached_image(cache, &reference, &platform) {
            Ok(image) => return Ok((image, platform)),
            Err(error) => last = Some(error),
        }
    }
    // OK because `named` returns at least one.
    Err(last.unwrap_or(Failure::Cache(CacheError::UnknownId {
        id: name.to_string(),
    })))
}

/// Returns the cached image. The error lists other platforms that it is cached for.
fn cached_image(
    cache: &GlobalCache,
    reference: &Reference,
    platform: &Platform,
) -> Result<PullResult, Failure> {
    match cache.image(reference, platform) {
        Err(error @ CacheError::NotCached { .. }) => Err(not_cached(cache, error)),
        result => Ok(result?),
    }
}

/// Returns the error, or one that lists the platforms that the image is cached for.
fn not_cached(cache: &GlobalCache, error: CacheError) -> Failure {
    let CacheError::NotCached {
        reference,
        platform,
    } = error
    else {
        return error.into();
    };
    let name = reference.to_string();
    let cached: Vec<Platform> = cache
        .images()
        .unwrap_or_default()
        .into_iter()
        .filter(|image| image.reference == name && image.platform != *platform)
        .map(|image| image.platform)
        .collect();
    if cached.is_empty() {
        let similar = similar::similar(cache, &reference).map(Box::new);
        let error = CacheError::NotCached {
            reference,
            platform,
        };
        return match similar {
            Some(similar) => Failure::Similar {
                error,
                similar,
                pull_helps: true,
            },
            None => error.into(),
        };
    }
    Failure::OtherPlatform {
        reference,
        platform,
        cached,
    }
}
