//! Certificates in Docker's layout: `*.crt`, `NAME.cert` and `NAME.key`.

use std::io;
use std::path::Path;

use crate::Error;
use crate::config::{ClientCertificate, HostConfig};

/// Largest number of entries that is looked at.
const MAX_ENTRIES: usize = 4096;

/// Adds the certificates of a directory to a host, in the order of their names.
pub(crate) fn read(folder: &Path, mut host: HostConfig) -> Result<HostConfig, Error> {
    let failed = |source: io::Error| Error::Read {
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
        if paths.len() > MAX_ENTRIES {
            return Err(Error::TooManyEntries {
                path: folder.to_owned(),
                limit: MAX_ENTRIES,
            });
        }
    }
    paths.sort();
    for path in paths {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension {
            Some("crt" | "cert") if path.is_dir() => {}
            Some("crt") => host.ca.push(path),
            Some("cert") => {
                let key = Some(path.with_extension("key")).filter(|key| key.exists());
                host.client.push(ClientCertificate { cert: path, key });
            }
            _ => {}
        }
    }
    Ok(host)
}
