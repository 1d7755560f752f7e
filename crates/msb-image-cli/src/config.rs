//! The configuration file.
//!
//! ```text
//!   --config FILE, else $XDG_CONFIG_HOME/msb-image/config.toml
//!        │ file.rs: bounded, keys known, values valid, each with its line
//!        ▼
//!      Config ──apply──▶ arguments without a flag and without a variable of the environment
//!        └──── `msb-image config`: each value and its origin
//! ```

mod error;
mod file;

pub(crate) use error::{ConfigError, ConfigProblem};

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use microsandbox_image::NamedLimit;

use crate::environment::variable;

/// The longest configuration file, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The values of the configuration file. Paths are absolute, or relative to the working directory as the path of the file is.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The file; `None` if there is none.
    pub(crate) path: Option<PathBuf>,
    pub(crate) cache_dir: Option<Located<PathBuf>>,
    pub(crate) cache_max_bytes: Option<Located<u64>>,
    pub(crate) cache_from: Option<Located<Vec<PathBuf>>>,
    pub(crate) verify_cache_from: Option<Located<bool>>,
    pub(crate) auth_file: Option<Located<PathBuf>>,
    pub(crate) hosts_dirs: Option<Located<Vec<PathBuf>>>,
    pub(crate) max_concurrent_layers: Option<Located<NonZeroUsize>>,
    pub(crate) limits: Vec<Located<NamedLimit>>,
}

/// A value and its line in the file, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located<T> {
    pub(crate) value: T,
    pub(crate) line: usize,
}

impl Config {
    /// Reads the file `given`, which has to exist, or the one in the platform's configuration folder, which need not.
    pub(crate) fn load(given: Option<&Path>) -> Result<Self, ConfigError> {
        let is_given = given.is_some();
        let Some(path) = given.map(Path::to_owned).or_else(default_path) else {
            return Ok(Self::default());
        };
        match file::read(&path) {
            Ok(text) => file::parse(&path, &text),
            Err(ConfigError::Read { source, .. })
                if !is_given && source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(Self::default())
            }
            // $HOME is often that of the user who started a service, not of the one it runs as.
            Err(error @ ConfigError::Read { .. }) if !is_given && error.is_denied() => {
                tracing::warn!(%error, "the configuration is not used: permission denied");
                Ok(Self::default())
            }
            Err(error) => Err(error),
        }
    }
}

/// Returns the path of the file without `--config`; `None` if the environment names no folder.
pub(crate) fn default_path() -> Option<PathBuf> {
    let home = || Some(PathBuf::from(variable("HOME")?));
    let folder = if cfg!(target_os = "macos") {
        home()?.join("Library/Application Support")
    } else {
        // A relative variable counts as unset (XDG base directory specification).
        match variable("XDG_CONFIG_HOME").map(PathBuf::from) {
            Some(folder) if folder.is_absolute() => folder,
            _ => home()?.join(".config"),
        }
    };
    Some(folder.join("msb-image/config.toml"))
}
