//! Who may read and write what the store creates.
//!
//! A private cache, the default, is its owner's alone. A cache is *shared* with a group if its root has the set-group-ID bit and
//! is writable for the group (mode 2770), and *public* if it has the set-group-ID bit and is readable for all users and writable for
//! its owner alone (mode 2755); there is no other setting, so that every process that opens it agrees.
//!
//! | | private | shared | public |
//! |---|---|---|---|
//! | directories | 0700 | 2770 | 2755 |
//! | locks, leases, partial blobs, unpublished files | 0600 | 0660 | 0600 |
//! | published files | 0444 | 0440 | 0444 |

use rustix::fs::Mode;

use crate::sys::Entry;

/// The permissions of everything that is created below one root, whatever the umask is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Modes {
    pub(crate) is_shared: bool,
    pub(crate) dir: Mode,
    /// Locks, leases, partial blobs, and files that are being written.
    pub(crate) private_file: Mode,
    /// Published files.
    pub(crate) artifact: Mode,
}

impl Modes {
    pub(crate) const PRIVATE: Self = Self {
        is_shared: false,
        dir: Mode::from_raw_mode(0o700),
        private_file: Mode::from_raw_mode(0o600),
        artifact: Mode::from_raw_mode(0o444),
    };

    pub(crate) const SHARED: Self = Self {
        is_shared: true,
        dir: Mode::from_raw_mode(0o2770),
        private_file: Mode::from_raw_mode(0o660),
        artifact: Mode::from_raw_mode(0o440),
    };

    pub(crate) const PUBLIC: Self = Self {
        dir: Mode::from_raw_mode(0o2755),
        ..Self::PRIVATE
    };

    /// Returns the permissions for a cache whose root is `root`.
    pub(crate) fn of(root: &Entry) -> Self {
        if root.mode.contains(Mode::SGID | Mode::WGRP) {
            Self::SHARED
        } else if root.mode == Self::PUBLIC.dir {
            Self::PUBLIC
        } else {
            Self::PRIVATE
        }
    }
}

/// Returns whether this process may write to the file: its own one, any in a shared cache, and any for the superuser, who often
/// works on the cache of a user.
pub(crate) fn is_ours(file: &Entry, modes: &Modes) -> bool {
    modes.is_shared || rustix::process::geteuid().is_root() || is_own(file)
}

/// Returns whether the file belongs to this process's user.
pub(crate) fn is_own(file: &Entry) -> bool {
    file.uid == rustix::process::geteuid().as_raw()
}

/// Logs once for each handle that others can change the cache.
pub(crate) fn warn_of_others(root: &std::path::Path, entry: &Entry) {
    let uid = rustix::process::geteuid();
    let path = crate::error::Shown(root);
    let is_shared = Modes::of(entry).is_shared;
    if !is_shared && entry.uid != uid.as_raw() && !uid.is_root() {
        tracing::warn!(path = %path, owner = entry.uid, "the cache belongs to another user, who can change its images");
    }
    let group = if is_shared { Mode::empty() } else { Mode::WGRP };
    if entry.mode.intersects(Mode::WOTH | group) {
        tracing::warn!(
            path = %path,
            mode = %format_args!("{:04o}", entry.mode.bits()),
            "the cache is writable for other users, who can change its images; use mode 0700, or 2770 to share it with a group"
        );
    }
}
