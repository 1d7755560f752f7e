use std::ffi::OsString;
use std::path::PathBuf;

use crate::amount;
use crate::failure::Failure;

/// The variable with the cache directory.
pub(crate) const CACHE_VARIABLE: &str = "MSB_IMAGE_CACHE";

/// The variable with the budget of the cache.
pub(crate) const MAX_BYTES_VARIABLE: &str = "MSB_IMAGE_CACHE_MAX_BYTES";

/// The variable with the credential file of podman and skopeo. It takes precedence over the configuration file.
pub(crate) const AUTH_FILE_VARIABLE: &str = "REGISTRY_AUTH_FILE";

/// Returns a variable of the environment. An empty one counts as unset.
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns the budget of the cache; `None` if the variable is unset.
pub(crate) fn max_bytes_variable() -> Result<Option<u64>, Failure> {
    let Some(text) = variable(MAX_BYTES_VARIABLE) else {
        return Ok(None);
    };
    let text = text.to_string_lossy();
    match amount::size(&text) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(expected) => Err(Failure::BadVariable {
            name: MAX_BYTES_VARIABLE,
            value: text.into_owned(),
            expected,
        }),
    }
}

/// Returns `None` if the environment names no directory.
pub(crate) fn default_directory() -> Option<PathBuf> {
    // A relative XDG variable counts as unset (XDG base directory specification).
    let path = |name| variable(name).map(PathBuf::from);
    if let Some(directory) = path(CACHE_VARIABLE) {
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
