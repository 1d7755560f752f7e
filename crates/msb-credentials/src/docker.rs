//! The credentials in Docker's and podman's files: lookup, login, logout.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use msb_oci::Excerpt;

use crate::config::{Config, HelperChoice};
use crate::error::EntryFault;
use crate::files::{CredentialFile, Files, Format};
use crate::helper::Helper;
use crate::json_text::{self, ObjectText};
use crate::{Credential, Error, Found, Origin, RegistryName, entry, write};

/// How long a helper may take. Helpers that ask the user for a passphrase need a longer one.
const HELPER_TIMEOUT: Duration = Duration::from_secs(10);

/// Docker's and podman's credential files and helpers.
///
/// Every call reads the files again, so that a login in another process counts at once. The calls block for as long as a helper runs;
/// an asynchronous caller makes them on a thread for blocking work.
#[derive(Clone, Debug)]
pub struct DockerCredentials {
    files: Files,
    helper_timeout: Duration,
    search_path: Option<OsString>,
}

impl DockerCredentials {
    /// Finds the files through the environment of this process.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_vars(|name| match name {
            // Also found in the user database.
            "HOME" => std::env::home_dir().map(PathBuf::into_os_string),
            name => std::env::var_os(name),
        })
    }

    /// Finds the files and helpers through these variables instead of the environment: `REGISTRY_AUTH_FILE`, `XDG_RUNTIME_DIR`,
    /// `XDG_CONFIG_HOME`, `DOCKER_CONFIG`, `HOME` and `PATH`. Helpers still inherit the environment, and are searched in the process's
    /// `PATH` where there is none here.
    #[must_use]
    pub fn from_vars(var: impl Fn(&str) -> Option<OsString>) -> Self {
        Self {
            files: Files::discover(&var),
            helper_timeout: HELPER_TIMEOUT,
            search_path: var("PATH"),
        }
    }

    /// Uses this file and no other, for reading and for writing. Its absence is an error, except for [`Self::store`].
    #[must_use]
    pub fn with_auth_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.files = Files::explicit(&path.into(), true);
        self
    }

    /// Sets how long a helper may take. The default is 10 s.
    #[must_use]
    pub fn with_helper_timeout(mut self, timeout: Duration) -> Self {
        self.helper_timeout = timeout;
        self
    }

    /// Returns the files that are read, in order, whether they exist or not.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.read.iter().map(|file| file.path.as_path())
    }

    /// Looks up the credential for a registry, or for one repository of it; `None` is anonymous.
    ///
    /// In each file in turn: the helper of `credHelpers`, else that of `credsStore`, then the best entry of `auths`. The first
    /// credential that is found ends the search, and files behind it are not read.
    ///
    /// # Errors
    ///
    /// If a file that is read cannot be, if the entry for this registry is malformed, or if a helper fails.
    pub fn get(
        &self,
        registry: &RegistryName,
        repository: Option<&str>,
    ) -> Result<Option<Found>, Error> {
        for file in &self.files.read {
            let Some(config) = Config::read(file)? else {
                continue;
            };
            if let HelperChoice::Named(name) = config.helper(registry)
                && let Some(found) = self.ask(&name, registry, config.path())?
            {
                return Ok(Some(found));
            }
            if let Some((credential, key)) = config.credential(registry, repository)? {
                let origin = Origin::File {
                    path: config.path().to_owned(),
                    key: Excerpt::new(key),
                };
                return Ok(Some(Found { credential, origin }));
            }
        }
        Ok(None)
    }

    /// Stores a credential: in the helper that the file configures for the registry, else in the file.
    ///
    /// The file is the one of [`Self::with_auth_file`] or `$REGISTRY_AUTH_FILE`, else Docker's `config.json`. It gets mode 0600;
    /// every byte that does not concern this registry stays. Other entries of the same registry, which would hide the new one or
    /// keep an old password, are removed; entries of single repositories stay.
    ///
    /// # Errors
    ///
    /// If the credential has no form that can be read back, if the helper fails, or if the file is malformed or cannot be written.
    pub fn store(&self, registry: &RegistryName, credential: &Credential) -> Result<Origin, Error> {
        let unstorable = |fault| Error::Unstorable {
            registry: Excerpt::new(registry.as_str()),
            fault,
        };
        entry::check(credential).map_err(unstorable)?;
        let path = self.write_path()?;
        let key = registry.storage_key();
        if let Some(name) = self.configured_helper(registry, path)? {
            let helper = self.helper(&name);
            let (username, secret) = match credential {
                Credential::Basic { username, password } => (username.as_str(), password),
                Credential::IdentityToken { token } => (entry::TOKEN_USERNAME, token),
                Credential::Bearer { .. } => return Err(unstorable(EntryFault::BearerInHelper)),
            };
            helper.store(key, username, secret.expose())?;
            // A password that an earlier login left in the file must not outlive this one.
            forget(path, registry)?;
            return Ok(helper_origin(&helper, path, key));
        }
        write::update(path, |old| {
            with_entry(path, old, registry, credential).map(Some)
        })?;
        Ok(Origin::File {
            path: path.to_owned(),
            key: Excerpt::new(key),
        })
    }

    /// Erases the credentials of a registry where [`Self::store`] stores them, in the helper and in the file.
    ///
    /// Returns where there were any; nothing if the user was not logged in. Entries of single repositories stay, and so do other
    /// files; [`Self::get`] finds what is left.
    ///
    /// # Errors
    ///
    /// If the helper fails, or if the file is malformed or cannot be written.
    pub fn erase(&self, registry: &RegistryName) -> Result<Vec<Origin>, Error> {
        let path = self.write_path()?;
        let mut erased = Vec::new();
        if let Some(name) = self.configured_helper(registry, path)? {
            let helper = self.helper(&name);
            for key in registry.helper_keys() {
                if helper.erase(key)? {
                    erased.push(helper_origin(&helper, path, key));
                }
            }
        }
        if forget(path, registry)? {
            erased.push(Origin::File {
                path: path.to_owned(),
                key: Excerpt::new(registry.storage_key()),
            });
        }
        Ok(erased)
    }

    fn ask(
        &self,
        name: &str,
        registry: &RegistryName,
        path: &Path,
    ) -> Result<Option<Found>, Error> {
        let helper = self.helper(name);
        for key in registry.helper_keys() {
            if let Some(credential) = helper.get(key)? {
                let origin = helper_origin(&helper, path, key);
                return Ok(Some(Found { credential, origin }));
            }
        }
        Ok(None)
    }

    fn helper<'a>(&'a self, name: &'a str) -> Helper<'a> {
        let search_path: Option<&OsStr> = self.search_path.as_deref();
        Helper::new(name, search_path, self.helper_timeout)
    }

    fn write_path(&self) -> Result<&Path, Error> {
        self.files.write.as_deref().ok_or(Error::NoPlace)
    }

    fn configured_helper(
        &self,
        registry: &RegistryName,
        path: &Path,
    ) -> Result<Option<String>, Error> {
        let file = CredentialFile {
            path: path.to_owned(),
            format: Format::Config,
            is_required: false,
        };
        let choice = Config::read(&file)?.map(|config| config.helper(registry));
        Ok(match choice {
            Some(HelperChoice::Named(name)) => Some(name),
            Some(HelperChoice::File) | None => None,
        })
    }
}

fn helper_origin(helper: &Helper<'_>, path: &Path, key: &str) -> Origin {
    Origin::Helper {
        program: helper.program(),
        path: path.to_owned(),
        key: Excerpt::new(key),
    }
}

/// Removes the entries of a registry from a file that exists. Returns whether there were any.
fn forget(path: &Path, registry: &RegistryName) -> Result<bool, Error> {
    if !path.exists() {
        return Ok(false);
    }
    write::update(path, |old| {
        let config = object_text(path, old)?;
        let edited = without_entries(&config, registry, |_| false);
        edited.map_err(|error| Error::json(path, &error))
    })
}

/// Returns the text of a file with the entry of a registry set.
fn with_entry(
    path: &Path,
    old: &[u8],
    registry: &RegistryName,
    credential: &Credential,
) -> Result<ObjectText, Error> {
    let config = object_text(path, old)?;
    let key = registry.storage_key();
    let edit = || {
        let config = without_entries(&config, registry, |other| other == key)?.unwrap_or(config);
        let auths = member_object(&config, "auths")?;
        let entry = member_object(auths, key)?;
        let entry = json_text::remove(entry, |name| entry::FIELDS.contains(&name))?
            .unwrap_or_else(|| entry.to_owned().into());
        let fields = entry::fields(credential);
        let entry = fields.iter().try_fold(entry, |entry, (name, value)| {
            json_text::set(&entry, name, value, 2)
        })?;
        let auths = json_text::set(auths, key, &entry, 1)?;
        json_text::set(&config, "auths", &auths, 0)
    };
    edit().map_err(|error| Error::json(path, &error))
}

/// Returns the text of a file without the entries of a registry; `None` if there are none.
fn without_entries(
    config: &str,
    registry: &RegistryName,
    is_kept: impl Fn(&str) -> bool,
) -> serde_json::Result<Option<ObjectText>> {
    let auths = member_object(config, "auths")?;
    let is_of_registry = |key: &str| !is_kept(key) && registry.rank(key, None).is_some();
    match json_text::remove(auths, is_of_registry)? {
        Some(auths) => json_text::set(config, "auths", &auths, 0).map(Some),
        None => Ok(None),
    }
}

/// Returns the text of a member that is an object; an empty one for every other value.
fn member_object<'a>(object: &'a str, name: &str) -> serde_json::Result<&'a str> {
    let value = json_text::member(object, name)?;
    Ok(value
        .filter(|text| json_text::is_object(text))
        .unwrap_or("{}"))
}

/// Returns the text of a file, which must be a JSON object; an empty object for white space.
fn object_text(path: &Path, bytes: &[u8]) -> Result<ObjectText, Error> {
    // Reports what is malformed, with the position in the whole file.
    Config::parse(path, bytes, Format::Config)?;
    let text = std::str::from_utf8(bytes.trim_ascii()).unwrap_or_default();
    let text = if text.is_empty() { "{}" } else { text };
    Ok(text.to_owned().into())
}
