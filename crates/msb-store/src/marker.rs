//! The marker file: which layout a directory has, and whether it is a cache at all.
//!
//! ```text
//! msb-store layout 3
//! sha256:<digest of the first line, without its line end>
//! ```
//!
//! The second line distinguishes a damaged number from a later version's; layout 1 had only the first. Damage costs nothing: a directory that
//! is recognizably a cache gets its marker again with the next write.

use std::io::Write as _;

use msb_oci::Digest;

use crate::artifact::{IMAGES, KINDS, LOCKS, PINS, is_root_name};
use crate::crash;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::permissions::Modes;
use crate::step::Step;
use crate::sys;
use crate::temporary::{create_locked, temporary_target};

/// The layout that this version writes, and the newest that it reads.
pub const LAYOUT_VERSION: u32 = cache_format::LAYOUT;

/// The marker's file name.
pub(crate) const MARKER: &str = "layout";
const PREFIX: &str = "msb-store layout ";
/// More than a marker has; a longer file is not one.
const LIMIT_BYTES: u64 = 256;
/// Names that are read of a directory without a marker; one that has more is no cache.
const MAX_NAMES: usize = 4096;
/// Of the store's directories, as many as a foreign directory is not expected to have.
const ENOUGH_DIRS: usize = 3;

/// What a directory is to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A cache of the current layout, with its marker.
    Current,
    /// A cache of an older layout, or one whose marker is missing or damaged.
    NeedsMarker,
    /// A directory with foreign files and nothing of a cache: a pull may make it one.
    Foreign,
}

impl Found {
    /// Finds out what `root` is.
    ///
    /// # Errors
    /// [`Error::NewerLayout`]; [`Error::NotACache`] where files of a cache and foreign ones would get mixed up.
    pub(crate) fn at(root: &Dir) -> Result<Self> {
        let text = match root.read_capped(MARKER, LIMIT_BYTES) {
            Ok(text) => text,
            Err(error) if error.is_corrupt() => Some(Vec::new()),
            Err(error) => return Err(error),
        };
        match text.as_deref().map(number) {
            Some(Some(number)) if number > LAYOUT_VERSION => Err(Error::NewerLayout {
                path: root.path_of(MARKER),
                found: number,
                supported: LAYOUT_VERSION,
            }),
            Some(Some(LAYOUT_VERSION)) => Ok(Self::Current),
            Some(Some(_)) => Ok(Self::NeedsMarker),
            Some(None) | None => Self::without_marker(root, text.as_deref()),
        }
    }

    /// Decides by the other names in the directory. `damaged` is the marker's text, if there is one.
    fn without_marker(root: &Dir, damaged: Option<&[u8]>) -> Result<Self> {
        let names = root.list_up_to(MAX_NAMES)?;
        let is_foreign = |name: &String| {
            let target = temporary_target(name).unwrap_or(name);
            let is_known = is_store_dir(name)
                || is_root_name(target)
                || [MARKER, "lost+found"].contains(&name.as_str())
                || temporary_target(name) == Some(MARKER);
            !is_known
        };
        let has_foreign = names.len() == MAX_NAMES || names.iter().any(is_foreign);
        let mut dirs = 0;
        for name in names.iter().filter(|name| is_store_dir(name)) {
            dirs += usize::from(root.stat(name)?.is_some_and(|entry| entry.is_dir()));
        }
        let is_like_a_marker = damaged.is_none_or(|text| {
            let start = PREFIX.as_bytes();
            text.iter().zip(start).filter(|(a, b)| a != b).count() <= 2
        });
        match dirs {
            _ if dirs >= ENOUGH_DIRS => Ok(Self::NeedsMarker),
            1.. if !has_foreign => Ok(Self::NeedsMarker),
            0 if !has_foreign && is_like_a_marker => Ok(Self::NeedsMarker),
            0 if damaged.is_none() => Ok(Self::Foreign),
            _ => Err(Error::NotACache {
                path: root.path().to_owned(),
            }),
        }
    }
}

/// Returns the directories of the layout.
pub(crate) fn store_dirs() -> impl Iterator<Item = &'static str> {
    let kinds = KINDS.iter().map(|kind| kind.folder);
    kinds.chain([IMAGES, PINS, LOCKS])
}

fn is_store_dir(name: &str) -> bool {
    store_dirs().any(|dir| dir == name)
}

fn first_line(layout: u32) -> String {
    format!("{PREFIX}{layout}")
}

/// Returns the layout that a marker names; `None` for a damaged one.
fn number(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.lines();
    let first = lines.next()?;
    let number = first.strip_prefix(PREFIX)?.parse().ok()?;
    // `+2` and `02` are damage, too.
    if number == 0 || first != first_line(number) {
        return None;
    }
    match lines.next() {
        Some(check) if check.starts_with("sha256:") => {
            let expected = Digest::sha256_of(first.as_bytes());
            (check == expected.to_string()).then_some(number)
        }
        // Layout 2 and later have a second line. A number above that may be a later version's that has another one.
        _ if (2..=LAYOUT_VERSION).contains(&number) => None,
        _ => Some(number),
    }
}

/// Writes the marker. Several processes may do this at once: each publishes the same bytes.
pub(crate) fn write(root: &Dir, modes: &Modes) -> Result<()> {
    let first = first_line(LAYOUT_VERSION);
    let text = format!("{first}\n{}\n", Digest::sha256_of(first.as_bytes()));
    let Some((name, mut file)) = create_locked(root, MARKER, modes.artifact)? else {
        return Err(root.error(Step::Create, MARKER, std::io::ErrorKind::NotFound.into()));
    };
    let path = root.path_of(&name);
    let written = crash::around("write", &path, &[], || file.write_all(text.as_bytes()));
    let published = written
        .and_then(|()| crash::around("sync", &path, &[], || sys::sync_file(&file)))
        .map_err(|e| root.error(Step::Write, &name, e))
        .and_then(|()| root.rename(&name, MARKER));
    if published.is_err() {
        // The first error counts.
        let _ = root.remove_file(&name);
    }
    published
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_is_taken_for_another_layout() {
        let first = first_line(LAYOUT_VERSION);
        let text = format!("{first}\n{}\n", Digest::sha256_of(first.as_bytes()));
        assert_eq!(number(text.as_bytes()), Some(LAYOUT_VERSION));
        for at in 0..first.len() {
            for bit in 0..8 {
                let mut damaged = text.clone().into_bytes();
                damaged[at] ^= 1 << bit;
                assert_eq!(number(&damaged), None, "byte {at}, bit {bit}");
            }
        }
        for end in 0..text.len() - 1 {
            assert_eq!(number(&text.as_bytes()[..end]), None, "{end}");
        }
        assert_eq!(number(b"msb-store layout 1\n"), Some(1));
        assert_eq!(number(b"msb-store layout 2\n"), None);
        assert_eq!(number(b"msb-store layout 4\nand more"), Some(4));
    }
}
