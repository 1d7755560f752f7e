//! The keys of one host, in a `[host]` table or at the top of the file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use msb_oci::Excerpt;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::{Capabilities, ClientCertificate, HostConfig};
use crate::error::{Error, ValueFault};
use crate::position::position;
use crate::warning::{Warning, WarningKind};
use crate::{Header, duration};

/// Largest number of warnings of one file.
const MAX_WARNINGS: usize = 100;

/// The settings of one host.
#[derive(Debug, Default)]
pub(crate) struct Section {
    capabilities: Capabilities,
    ca: Vec<PathBuf>,
    client: Vec<ClientCertificate>,
    skip_verify: Option<bool>,
    headers: Vec<Header>,
    pub(crate) override_path: bool,
    dial_timeout: Option<Duration>,
}

impl Section {
    /// Reads the keys of a table. Keys of `others` belong to the caller.
    pub(crate) fn read(
        source: &mut Source<'_>,
        table: &DeTable<'_>,
        others: &[&str],
    ) -> Result<Self, Error> {
        let mut section = Self::default();
        for (key, value) in table {
            match &**key.get_ref() {
                "capabilities" => section.capabilities = source.capabilities(value)?,
                "ca" => section.ca = source.paths("ca", value)?,
                "client" => section.client = source.client(value)?,
                "skip_verify" => section.skip_verify = Some(source.bool("skip_verify", value)?),
                "header" => section.headers = source.headers(value)?,
                "override_path" => section.override_path = source.bool("override_path", value)?,
                "dial_timeout" => section.dial_timeout = source.duration(value)?,
                key if others.contains(&key) => {}
                unknown => {
                    let unknown = Excerpt::new(unknown);
                    source.warn(key.span().start, WarningKind::UnknownKey { key: unknown });
                }
            }
        }
        Ok(section)
    }

    /// Returns the host with these settings.
    pub(crate) fn into_host(self, host: HostConfig) -> HostConfig {
        HostConfig {
            url: host.url,
            role: host.role,
            capabilities: self.capabilities,
            ca: self.ca,
            client: self.client,
            skip_verify: self.skip_verify,
            headers: self.headers,
            override_path: self.override_path,
            dial_timeout: self.dial_timeout,
        }
    }
}

/// The file that is being read, for positions and warnings.
pub(crate) struct Source<'a> {
    path: &'a Path,
    text: &'a str,
    /// Byte offset and kind, in the order in which they were found.
    warnings: Vec<(usize, WarningKind)>,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl<'a> Source<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str) -> Self {
        Self {
            path,
            text,
            warnings: Vec::new(),
        }
    }

    /// Returns the first warnings, in the order of the file.
    pub(crate) fn into_warnings(mut self) -> Vec<Warning> {
        self.warnings.sort_by_key(|(offset, _)| *offset);
        // Each line number is a walk through the file.
        let first = self.warnings.into_iter().take(MAX_WARNINGS);
        let warnings = first.map(|(offset, kind)| Warning {
            path: self.path.to_owned(),
            line: position(self.text, offset).0,
            kind,
        });
        warnings.collect()
    }

    pub(crate) fn warn(&mut self, offset: usize, kind: WarningKind) {
        self.warnings.push((offset, kind));
    }

    pub(crate) fn fault(&self, offset: usize, key: &str, fault: ValueFault) -> Error {
        let (line, column) = position(self.text, offset);
        Error::Value {
            path: self.path.to_owned(),
            line,
            column,
            key: Excerpt::new(key),
            fault,
        }
    }

    fn mismatch(&self, key: &str, value: &Value<'_>, expected: &'static str) -> Error {
        self.fault(value.span().start, key, ValueFault::Type { expected })
    }

    fn bool(&self, key: &str, value: &Value<'_>) -> Result<bool, Error> {
        let bool = value.get_ref().as_bool();
        bool.ok_or_else(|| self.mismatch(key, value, "true or false"))
    }

    fn capabilities(&mut self, value: &Value<'_>) -> Result<Capabilities, Error> {
        let expected = "an array of strings";
        let Some(names) = value.get_ref().as_array() else {
            return Err(self.mismatch("capabilities", value, expected));
        };
        if names.is_empty() {
            return Ok(Capabilities::ALL);
        }
        let mut capabilities = Capabilities::NONE;
        for name in names {
            let Some(text) = name.get_ref().as_str() else {
                return Err(self.mismatch("capabilities", name, expected));
            };
            match text.to_ascii_lowercase().as_str() {
                "pull" => capabilities.pull = true,
                "resolve" => capabilities.resolve = true,
                "push" => capabilities.push = true,
                "referrers" => capabilities.referrers = true,
                _ => {
                    let name_excerpt = Excerpt::new(text);
                    let kind = WarningKind::UnknownCapability { name: name_excerpt };
                    self.warn(name.span().start, kind);
                }
            }
        }
        Ok(capabilities)
    }

    /// Reads a path or an array of paths.
    fn paths(&self, key: &str, value: &Value<'_>) -> Result<Vec<PathBuf>, Error> {
        match value.get_ref() {
            DeValue::String(_) => Ok(vec![self.path(key, value)?]),
            DeValue::Array(paths) => paths.iter().map(|path| self.path(key, path)).collect(),
            _ => Err(self.mismatch(key, value, "a string or an array of strings")),
        }
    }

    /// Reads a path, a relative one from the directory of the file.
    fn path(&self, key: &str, value: &Value<'_>) -> Result<PathBuf, Error> {
        let text = value.get_ref().as_str();
        let text = text.ok_or_else(|| self.mismatch(key, value, "a string"))?;
        if text.is_empty() {
            return Err(self.fault(value.span().start, key, ValueFault::EmptyPath));
        }
        Ok(self.path.parent().unwrap_or(Path::new("")).join(text))
    }

    /// Reads a path, an array of paths, or an array of pairs of a certificate and a key.
    fn client(&self, value: &Value<'_>) -> Result<Vec<ClientCertificate>, Error> {
        let DeValue::Array(items) = value.get_ref() else {
            let cert = self.path("client", value)?;
            return Ok(vec![ClientCertificate { cert, key: None }]);
        };
        let certificate = |item: &Value<'_>| match item.get_ref() {
            DeValue::Array(pair) => {
                let mut pair = pair.iter();
                let (Some(cert), Some(key), None) = (pair.next(), pair.next(), pair.next()) else {
                    return Err(self.mismatch("client", item, "a pair of a certificate and a key"));
                };
                let has_key = key.get_ref().as_str() != Some("");
                Ok(ClientCertificate {
                    cert: self.path("client", cert)?,
                    key: has_key.then(|| self.path("client", key)).transpose()?,
                })
            }
            _ => Ok(ClientCertificate {
                cert: self.path("client", item)?,
                key: None,
            }),
        };
        items.iter().map(certificate).collect()
    }

    fn headers(&self, value: &Value<'_>) -> Result<Vec<Header>, Error> {
        let expected = "a string or an array of strings";
        let Some(table) = value.get_ref().as_table() else {
            return Err(self.mismatch("header", value, "a table"));
        };
        let mut members: Vec<_> = table.iter().collect();
        members.sort_by_key(|(name, _)| name.span().start);
        let mut headers = Vec::new();
        for (name, value) in members {
            let offset = name.span().start;
            let key: &str = name.get_ref();
            Header::check_name(key).map_err(|fault| self.fault(offset, key, fault))?;
            let values = match value.get_ref() {
                DeValue::Array(values) => values.iter().collect(),
                _ => vec![value],
            };
            for value in values {
                let text = value.get_ref().as_str();
                let text = text.ok_or_else(|| self.mismatch(key, value, expected))?;
                let header = Header::new(key, text);
                headers.push(header.map_err(|fault| self.fault(offset, key, fault))?);
            }
        }
        Ok(headers)
    }

    /// Reads a duration. Zero means no limit of its own, as in containerd.
    fn duration(&self, value: &Value<'_>) -> Result<Option<Duration>, Error> {
        let key = "dial_timeout";
        let Some(text) = value.get_ref().as_str() else {
            return Err(self.mismatch(key, value, "a string"));
        };
        if text.is_empty() {
            return Ok(None);
        }
        let timeout = duration::parse(text);
        let timeout =
            timeout.ok_or_else(|| self.fault(value.span().start, key, ValueFault::Duration))?;
        Ok(Some(timeout).filter(|timeout| !timeout.is_zero()))
    }
}
