//! The content of a credential file.

use std::path::{Path, PathBuf};

use msb_oci::Excerpt;
use serde_json::{Map, Value};

use crate::document::Document;
use crate::entry;
use crate::files::{CredentialFile, Format};
use crate::{Credential, Error, RegistryName, read};

/// A file that was read and is a JSON object.
///
/// Values of the wrong type count as absent: such files are edited by hand and by many tools, and a value that concerns another
/// registry must not make a pull fail.
pub(crate) struct Config {
    path: PathBuf,
    document: Document,
    format: Format,
}

/// Which helper serves a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HelperChoice {
    /// `credHelpers` or `credsStore` names it.
    Named(String),
    /// The file itself holds the credentials.
    File,
}

impl Config {
    /// Reads a file; `None` if there is none.
    pub(crate) fn read(file: &CredentialFile) -> Result<Option<Self>, Error> {
        let Some(bytes) = read::read(&file.path)? else {
            if file.is_required {
                return Err(Error::Read {
                    path: file.path.clone(),
                    source: std::io::ErrorKind::NotFound.into(),
                });
            }
            return Ok(None);
        };
        Self::parse(&file.path, &bytes, file.format).map(Some)
    }

    /// Parses the bytes of a file. A file of white space is an empty object, as for Docker.
    pub(crate) fn parse(path: &Path, bytes: &[u8], format: Format) -> Result<Self, Error> {
        let document = if bytes.trim_ascii().is_empty() {
            Document::new(Value::Object(Map::new()))
        } else {
            let value = serde_json::from_slice(bytes).map_err(|error| Error::json(path, &error))?;
            Document::new(value)
        };
        if document.object().is_none() {
            return Err(Error::NotAnObject {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            document,
            format,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the helper for a registry: that of `credHelpers`, else `credsStore`.
    ///
    /// An empty name in `credHelpers` turns `credsStore` off for that registry.
    pub(crate) fn helper(&self, registry: &RegistryName) -> HelperChoice {
        let own = self
            .member("credHelpers")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter(|(key, _)| registry.is_named_by(key))
            .filter_map(|(key, name)| Some((registry.rank(key, None)?, name.as_str()?)))
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, name)| name);
        let name = own.or_else(|| self.member("credsStore").and_then(Value::as_str));
        match name {
            Some("") | None => HelperChoice::File,
            Some(name) => HelperChoice::Named(name.to_owned()),
        }
    }

    /// Returns the best entry that holds a credential, and its key.
    pub(crate) fn credential(
        &self,
        registry: &RegistryName,
        repository: Option<&str>,
    ) -> Result<Option<(Credential, &str)>, Error> {
        let mut entries: Vec<_> = self
            .auths()
            .filter_map(|(key, value)| Some((registry.rank(key, repository)?, key, value)))
            .collect();
        entries.sort_by_key(|(rank, ..)| std::cmp::Reverse(*rank));
        for (_, key, value) in entries {
            // Docker leaves empty entries where a helper has the credentials.
            let credential = entry::parse(value).map_err(|fault| Error::Entry {
                path: self.path.clone(),
                key: Excerpt::new(key),
                fault,
            })?;
            if let Some(credential) = credential {
                return Ok(Some((credential, key)));
            }
        }
        Ok(None)
    }

    fn member(&self, name: &str) -> Option<&Value> {
        match self.format {
            Format::Config => self.document.object()?.get(name),
            Format::Legacy => None,
        }
    }

    fn auths(&self) -> impl Iterator<Item = (&str, &Value)> {
        let auths = match self.format {
            Format::Config => self.member("auths").and_then(Value::as_object),
            Format::Legacy => self.document.object(),
        };
        let entries = auths.into_iter().flatten();
        entries.map(|(key, value)| (key.as_str(), value))
    }
}
