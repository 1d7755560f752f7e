//! The content of `hosts.toml`: the hosts in the order of the file.

use std::path::Path;

use msb_oci::Excerpt;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::HostUrl;
use crate::config::{Capabilities, HostConfig, HostRole};
use crate::error::{Error, ValueFault};
use crate::position::position;
use crate::section::{Section, Source};
use crate::warning::{Warning, WarningKind};

/// Largest number of `[host]` tables.
const MAX_HOSTS: usize = 256;

/// Parses a file. `own` is the registry as a host, for where there is no `server`.
pub(crate) fn parse(
    path: &Path,
    bytes: &[u8],
    own: HostConfig,
) -> Result<(Vec<HostConfig>, Vec<Warning>), Error> {
    let text = text(path, bytes)?;
    let document = DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        syntax(path, text, offset, error.message())
    })?;
    let mut source = Source::new(path, text);
    let root = document.get_ref();
    let server = Section::read(&mut source, root, &["server", "host"])?;
    let mut hosts = Vec::new();
    if let Some(table) = root.get("host") {
        mirrors(&mut source, table, &mut hosts)?;
    }
    hosts.push(last(&mut source, root, server, own)?);
    Ok((hosts, source.into_warnings()))
}

/// Reads the `[host]` tables in the order in which the file first names them.
fn mirrors(
    source: &mut Source<'_>,
    table: &Spanned<DeValue<'_>>,
    hosts: &mut Vec<HostConfig>,
) -> Result<(), Error> {
    let expected = ValueFault::Type {
        expected: "a table of hosts",
    };
    let Some(tables) = table.get_ref().as_table() else {
        return Err(source.fault(table.span().start, "host", expected));
    };
    let mut tables: Vec<_> = tables.iter().collect();
    tables.sort_by_key(|(key, value)| first_offset(key.span().start, value));
    if tables.len() > MAX_HOSTS {
        let fault = ValueFault::TooManyHosts { limit: MAX_HOSTS };
        return Err(source.fault(table.span().start, "host", fault));
    }
    for (key, value) in tables {
        let offset = key.span().start;
        let Some(table) = value.get_ref().as_table() else {
            let expected = ValueFault::Type {
                expected: "a table",
            };
            return Err(source.fault(offset, "host", expected));
        };
        let section = Section::read(source, table, &[])?;
        let url = source.url(offset, "host", key.get_ref(), section.override_path)?;
        hosts.push(section.into_host(HostConfig::new(url, HostRole::Mirror)));
    }
    Ok(())
}

/// Returns the server, which takes the settings outside of the tables.
fn last(
    source: &mut Source<'_>,
    root: &DeTable<'_>,
    section: Section,
    own: HostConfig,
) -> Result<HostConfig, Error> {
    if let Some(value) = root.get("server") {
        let offset = value.span().start;
        let Some(server) = value.get_ref().as_str() else {
            let expected = ValueFault::Type {
                expected: "a string",
            };
            return Err(source.fault(offset, "server", expected));
        };
        if !server.is_empty() {
            let url = source.url(offset, "server", server, section.override_path)?;
            return Ok(section.into_host(HostConfig::new(url, HostRole::Server)));
        }
    }
    // As in containerd, these describe the named server and not the registry itself.
    for key in ["capabilities", "override_path"] {
        if let Some(value) = root.get(key) {
            let key = Excerpt::new(key);
            source.warn(value.span().start, WarningKind::NeedsServer { key });
        }
    }
    let mut host = section.into_host(own);
    host.capabilities = Capabilities::ALL;
    host.override_path = false;
    Ok(host)
}

/// Returns the smallest offset of a table's key and of the keys in it.
///
/// A table that `[host."x".header]` opened and `[host."x"]` continues has the position of the latter.
fn first_offset(key: usize, value: &Spanned<DeValue<'_>>) -> usize {
    let inner = value.get_ref().as_table().into_iter().flatten();
    let offsets = inner.map(|(key, value)| first_offset(key.span().start, value));
    offsets.chain([key]).min().unwrap_or(key)
}

fn text<'a>(path: &Path, bytes: &'a [u8]) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let before = std::str::from_utf8(valid).unwrap_or_default();
        syntax(path, before, before.len(), "not UTF-8")
    })
}

fn syntax(path: &Path, text: &str, offset: usize, reason: &str) -> Error {
    let (line, column) = position(text, offset);
    Error::Toml {
        path: path.to_owned(),
        line,
        column,
        reason: Excerpt::new(reason),
    }
}

impl Source<'_> {
    /// Parses a URL and warns of what is left out of it.
    fn url(
        &mut self,
        offset: usize,
        key: &str,
        text: &str,
        override_path: bool,
    ) -> Result<HostUrl, Error> {
        let parsed = HostUrl::parse(text, override_path);
        let (url, has_more) = parsed.map_err(|fault| self.fault(offset, key, fault))?;
        if has_more {
            self.warn(offset, WarningKind::UrlPart);
        }
        Ok(url)
    }
}
