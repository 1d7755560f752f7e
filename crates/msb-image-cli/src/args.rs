use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use microsandbox_image::{CacheOptions, GlobalCache};
use nix::unistd::Group;

use crate::amount;
use crate::commands::{
    cat, df, export, inspect, load, login, logout, ls, pin, prune, pull, rm, save, tree, verify,
};
use crate::failure::Failure;
use crate::output::Format;

/// Heading of the options of every command.
const GLOBAL: &str = "Global options";

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted by a signal";

/// Pull OCI images into disks that microVMs boot from, and keep them in a local cache
#[derive(Debug, Parser)]
#[command(name = "msb-image", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) cache: CacheArgs,

    /// Increase logging verbosity on stderr (-v: info, -vv: debug)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = GLOBAL)]
    pub(crate) verbose: u8,

    /// Print results only: of a pull or a load the path of the VMDK descriptor; of ls the references; no progress and no warnings
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL)]
    pub(crate) quiet: bool,

    /// Format of log lines on stderr
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t, help_heading = GLOBAL)]
    pub(crate) log_format: Format,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Pull(pull::PullArgs),
    Load(load::LoadArgs),
    Login(login::LoginArgs),
    Logout(logout::LogoutArgs),
    Ls(ls::LsArgs),
    Inspect(inspect::InspectArgs),
    Tree(tree::TreeArgs),
    Cat(cat::CatArgs),
    Export(export::ExportArgs),
    Save(save::SaveArgs),
    #[cfg(target_os = "linux")]
    Mount(crate::commands::mount::MountArgs),
    #[cfg(target_os = "linux")]
    Umount(crate::commands::umount::UmountArgs),
    Upper(crate::commands::upper::UpperArgs),
    Verify(verify::VerifyArgs),
    Pin(pin::PinArgs),
    Unpin(pin::UnpinArgs),
    Df(df::DfArgs),
    Rm(rm::RmArgs),
    Prune(prune::PruneArgs),
}

/// The location of the cache.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// Cache directory [default: $MSB_IMAGE_CACHE, else msb-image in the system's cache folder]
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    cache_dir: Option<PathBuf>,

    /// Group, by name or number, whose members may use a new cache and pull into it [default: $MSB_IMAGE_CACHE_GROUP, else none]
    #[arg(long, global = true, value_name = "GROUP", help_heading = GLOBAL)]
    cache_group: Option<String>,

    /// Budget of the cache, such as 20G: a pull removes the images that were not used for longest [default: $MSB_IMAGE_CACHE_MAX_BYTES, else none]
    #[arg(long, global = true, value_name = "SIZE", value_parser = amount::size, help_heading = GLOBAL)]
    cache_max_bytes: Option<u64>,
}

impl CacheArgs {
    pub(crate) fn open(&self) -> Result<GlobalCache, Failure> {
        let directory = match &self.cache_dir {
            Some(directory) => directory.clone(),
            None => default_directory().ok_or(Failure::NoCacheDir)?,
        };
        let mut options = CacheOptions::default();
        options.shared_group = self.group()?;
        options.max_bytes = self.max_bytes()?;
        Ok(GlobalCache::with_options(directory, options)?)
    }

    fn max_bytes(&self) -> Result<Option<u64>, Failure> {
        const NAME: &str = "MSB_IMAGE_CACHE_MAX_BYTES";
        let (Some(text), None) = (variable(NAME), self.cache_max_bytes) else {
            return Ok(self.cache_max_bytes);
        };
        let text = text.to_string_lossy();
        let bytes = amount::size(&text).map_err(|expected| Failure::BadVariable {
            name: NAME,
            value: text.clone().into_owned(),
            expected,
        })?;
        Ok(Some(bytes))
    }

    /// Returns the number of the group that a new cache is shared with.
    fn group(&self) -> Result<Option<u32>, Failure> {
        let name = match &self.cache_group {
            Some(name) => name.clone(),
            None => match variable("MSB_IMAGE_CACHE_GROUP") {
                Some(name) => name.to_string_lossy().into_owned(),
                None => return Ok(None),
            },
        };
        if let Ok(number) = name.parse() {
            return Ok(Some(number));
        }
        match Group::from_name(&name) {
            Ok(Some(group)) => Ok(Some(group.gid.as_raw())),
            Ok(None) => Err(Failure::NoGroup { name }),
            Err(error) => Err(Failure::GroupLookup {
                name,
                source: error.into(),
            }),
        }
    }
}

/// Returns a variable of the environment. An empty one counts as unset.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns `None` if the environment names no directory.
fn default_directory() -> Option<PathBuf> {
    // A relative XDG variable counts as unset (XDG base directory specification).
    let path = |name| variable(name).map(PathBuf::from);
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
