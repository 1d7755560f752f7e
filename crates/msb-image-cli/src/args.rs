use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use microsandbox_image::{GlobalCache, Platform};

use crate::commands::{cat, inspect, ls, prune, pull, rm, tree, verify};
use crate::failure::Failure;

/// Pulls OCI images into disks that microVMs boot from, and keeps them in a local cache.
#[derive(Debug, Parser)]
#[command(name = "msb-image", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) cache: CacheArgs,

    /// Tells more on stderr: once what goes on, twice every detail
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Pull(pull::PullArgs),
    Ls(ls::LsArgs),
    Inspect(inspect::InspectArgs),
    Tree(tree::TreeArgs),
    Cat(cat::CatArgs),
    Verify(verify::VerifyArgs),
    Rm(rm::RmArgs),
    Prune(prune::PruneArgs),
}

/// Where the cache is.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// The cache directory [default: $MSB_IMAGE_CACHE, else msb-image in the system's cache folder]
    #[arg(long, global = true, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
}

impl CacheArgs {
    pub(crate) fn open(&self) -> Result<GlobalCache, Failure> {
        let directory = match &self.cache_dir {
            Some(directory) => directory.clone(),
            None => default_directory().ok_or(Failure::NoCacheDir)?,
        };
        Ok(GlobalCache::new(directory)?)
    }
}

/// `None` where the environment names none.
fn default_directory() -> Option<PathBuf> {
    // An empty variable is as good as none, and so is a relative XDG one (XDG base directory specification).
    let path = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(directory) = path("MSB_IMAGE_CACHE") {
        return Some(directory);
    }
    let caches = if cfg!(target_os = "macos") {
        path("HOME")?.join("Library/Caches")
    } else {
        match path("XDG_CACHE_HOME").filter(|path| path.is_absolute()) {
            Some(caches) => caches,
            None => path("HOME")?.join(".cache"),
        }
    };
    Some(caches.join("msb-image"))
}

/// For which platform.
#[derive(Debug, Args)]
pub(crate) struct PlatformArgs {
    /// The platform of the image [default: linux on this machine's architecture]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Option<Platform>,
}

impl PlatformArgs {
    pub(crate) fn given(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    pub(crate) fn platform(&self) -> Platform {
        self.platform.clone().unwrap_or_else(Platform::host_linux)
    }
}
