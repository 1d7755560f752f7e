use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use microsandbox_image::{GlobalCache, Platform};

use crate::commands::{cat, inspect, ls, prune, pull, rm, tree, verify};
use crate::failure::Failure;

/// Pull OCI images into disks that microVMs boot from, and keep them in a local cache
#[derive(Debug, Parser)]
#[command(name = "msb-image", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) cache: CacheArgs,

    /// Increase logging verbosity on stderr (-v: info, -vv: debug)
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

/// The location of the cache.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// Cache directory [default: $MSB_IMAGE_CACHE, else msb-image in the system's cache folder]
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

/// Returns `None` if the environment names no directory.
fn default_directory() -> Option<PathBuf> {
    // An empty variable counts as unset, and so does a relative XDG one (XDG base directory specification).
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

/// Parses `OS/ARCH[/VARIANT]`, or `ARCH[/VARIANT]` of an architecture that images are built for, which means Linux.
fn parse_platform(text: &str) -> Result<Platform, String> {
    let architecture = text.split('/').next().unwrap_or_default();
    let text = if ARCHITECTURES.contains(&&*architecture.to_ascii_lowercase()) {
        format!("linux/{text}")
    } else {
        text.to_owned()
    };
    text.parse::<Platform>().map_err(|error| error.to_string())
}

/// Architectures by Go's names (the `GOARCH` values that image-index.md refers to) and by the names that `uname -m` prints.
const ARCHITECTURES: &[&str] = &[
    "386",
    "aarch64",
    "amd64",
    "arm",
    "arm64",
    "armel",
    "armhf",
    "i386",
    "i686",
    "loong64",
    "loongarch64",
    "mips",
    "mips64",
    "mips64le",
    "mipsle",
    "ppc64",
    "ppc64el",
    "ppc64le",
    "riscv64",
    "s390x",
    "x86_64",
];

/// The platform of the image.
#[derive(Debug, Args)]
pub(crate) struct PlatformArgs {
    /// Platform of the image; an architecture alone means Linux [default: linux/<this machine's>]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]", value_parser = parse_platform)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_architecture_alone_means_linux() {
        let parse = |text: &str| parse_platform(text).map(|platform| platform.to_string());
        for (text, platform) in [
            ("arm64", "linux/arm64"),
            ("aarch64", "linux/arm64"),
            ("AMD64", "linux/amd64"),
            ("arm/v6", "linux/arm/v6"),
            ("linux/arm64", "linux/arm64"),
            ("windows/amd64", "windows/amd64"),
        ] {
            assert_eq!(parse(text).as_deref(), Ok(platform), "{text}");
        }
        for text in [
            "linux",
            "windows",
            "",
            "/",
            "arm64/",
            "amd46",
            "arm64/v8/x",
            "linux/arm64/v8/x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
