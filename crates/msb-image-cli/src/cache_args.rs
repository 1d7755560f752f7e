use std::path::PathBuf;

use clap::Args;
use microsandbox_image::{CacheOptions, GlobalCache};
use nix::unistd::Group;

use crate::amount;
use crate::config::Config;
use crate::environment::{
    CACHE_VARIABLE, MAX_BYTES_VARIABLE, default_directory, max_bytes_variable, variable,
};
use crate::failure::Failure;

/// Heading of the options of every command.
pub(crate) const GLOBAL: &str = "Global options";

/// The location of the cache.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    /// Cache directory [default: $MSB_IMAGE_CACHE, else msb-image in the system's cache folder]
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub(crate) cache_dir: Option<PathBuf>,

    /// Group, by name or number, whose members may use a new cache and pull into it [default: $MSB_IMAGE_CACHE_GROUP, else none]
    #[arg(long, global = true, value_name = "GROUP", help_heading = GLOBAL)]
    cache_group: Option<String>,

    /// Budget of the cache, such as 20G: a pull removes the images that were not used for longest [default: $MSB_IMAGE_CACHE_MAX_BYTES, else none]
    #[arg(long, global = true, value_name = "SIZE", value_parser = amount::size, help_heading = GLOBAL)]
    pub(crate) cache_max_bytes: Option<u64>,

    /// Other cache to read from, never written to (repeatable): its disks are used in place, and layers that this cache lacks are copied
    #[arg(long, global = true, value_name = "DIR", help_heading = GLOBAL)]
    pub(crate) cache_from: Vec<PathBuf>,

    /// Compare everything that is used from these caches with its checksums first
    #[arg(long, global = true, help_heading = GLOBAL)]
    pub(crate) verify_cache_from: bool,
}

impl CacheArgs {
    /// Takes the values of the configuration file where neither a flag nor a variable has one.
    pub(crate) fn configure(&mut self, config: &Config) {
        if self.cache_dir.is_none() && variable(CACHE_VARIABLE).is_none() {
            self.cache_dir = config.cache_dir.as_ref().map(|dir| dir.value.clone());
        }
        if self.cache_max_bytes.is_none() && variable(MAX_BYTES_VARIABLE).is_none() {
            self.cache_max_bytes = config.cache_max_bytes.as_ref().map(|bytes| bytes.value);
        }
        let dirs = config.cache_from.iter().flat_map(|dirs| &dirs.value);
        self.cache_from.extend(dirs.cloned());
        self.verify_cache_from |= config
            .verify_cache_from
            .as_ref()
            .is_some_and(|set| set.value);
    }

    pub(crate) fn open(&self) -> Result<GlobalCache, Failure> {
        let directory = match &self.cache_dir {
            Some(directory) => directory.clone(),
            None => default_directory().ok_or(Failure::NoCacheDir)?,
        };
        let mut options = CacheOptions::default();
        options.shared_group = self.group()?;
        options.max_bytes = self.max_bytes()?;
        options.cache_from.clone_from(&self.cache_from);
        options.verify_cache_from = self.verify_cache_from;
        Ok(GlobalCache::with_options(directory, options)?)
    }

    fn max_bytes(&self) -> Result<Option<u64>, Failure> {
        match self.cache_max_bytes {
            Some(bytes) => Ok(Some(bytes)),
            None => max_bytes_variable(),
        }
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
