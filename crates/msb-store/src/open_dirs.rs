//! The directories that an operation has open.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::dir::Dir;
use crate::permissions::Modes;

/// The directories that a session has open.
#[derive(Debug, Default)]
pub(crate) struct OpenDirs(Mutex<Opened>);

#[derive(Debug, Default)]
struct Opened {
    root: Option<Dir>,
    /// Set after the root was checked for writing.
    modes: Option<Modes>,
    /// By their paths below the root; `None` for those that were absent. A session uses few.
    below: Vec<(String, Option<Dir>)>,
}

impl OpenDirs {
    pub(crate) fn root(&self) -> Option<Dir> {
        self.lock().root.clone()
    }

    /// Returns the root, if it was checked for writing, and the permissions of what is created below it.
    pub(crate) fn writable_root(&self) -> Option<(Dir, Modes)> {
        let opened = self.lock();
        opened.root.clone().zip(opened.modes)
    }

    /// Returns a directory that was looked up before: `Some(None)` if it was absent, `None` if it was not looked up.
    pub(crate) fn dir(&self, below: &str) -> Option<Option<Dir>> {
        let opened = self.lock();
        let found = opened.below.iter().find(|(name, _)| name == below);
        found.map(|(_, dir)| dir.clone())
    }

    pub(crate) fn keep_root(&self, root: &Dir) {
        self.lock().root = Some(root.clone());
    }

    pub(crate) fn keep_writable_root(&self, root: &Dir, modes: Modes) {
        let mut opened = self.lock();
        opened.root = Some(root.clone());
        opened.modes = Some(modes);
    }

    pub(crate) fn keep(&self, below: &str, dir: Option<&Dir>) {
        let mut opened = self.lock();
        opened.below.retain(|(name, _)| name != below);
        opened.below.push((below.to_owned(), dir.cloned()));
    }

    pub(crate) fn clear(&self) {
        *self.lock() = Opened::default();
    }

    fn lock(&self) -> MutexGuard<'_, Opened> {
        // Each change is one assignment, so a panic leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
