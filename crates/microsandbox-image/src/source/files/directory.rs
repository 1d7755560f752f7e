use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use msb_layer::tar::EntryName;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use super::Extent;
use crate::source::error::ArchiveError;

/// A layout directory. Files are opened below it without following links.
#[derive(Debug)]
pub(super) struct Directory {
    root: OwnedFd,
}

impl Directory {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { root })
    }

    /// Opens a file by its relative name.
    pub(super) fn find(&self, archive: &str, name: &[u8]) -> Result<Option<Extent>, ArchiveError> {
        let member = || EntryName::new(name);
        let failed = |source: io::Error| ArchiveError::ReadMember {
            archive: archive.to_owned(),
            member: member(),
            source,
        };
        let mut directory = None;
        let mut components = name.split(|byte| *byte == b'/').peekable();
        while let Some(component) = components.next() {
            if matches!(component, b"" | b"." | b"..") {
                return Err(ArchiveError::Link {
                    archive: archive.to_owned(),
                    member: member(),
                });
            }
            let is_last = components.peek().is_none();
            // A named pipe must not block.
            let kind = if is_last {
                OFlags::NONBLOCK
            } else {
                OFlags::DIRECTORY
            };
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | kind;
            let opened = openat(
                directory.as_ref().unwrap_or(&self.root),
                component,
                flags,
                Mode::empty(),
            );
            directory = match opened {
                Ok(opened) => Some(opened),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP | Errno::MLINK | Errno::NOTDIR | Errno::NXIO) => {
                    return Err(ArchiveError::NotAFile {
                        archive: archive.to_owned(),
                        member: member(),
                    });
                }
                Err(error) => return Err(failed(error.into())),
            };
        }
        // OK because a name has at least one component.
        let Some(file) = directory.map(File::from) else {
            return Ok(None);
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(ArchiveError::NotAFile {
                archive: archive.to_owned(),
                member: member(),
            });
        }
        Ok(Some(Extent {
            bytes: metadata.len(),
            file: Arc::new(file),
            offset: 0,
        }))
    }
}
