//! One operation on the store, which opens each directory once.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use crate::Store;

/// One operation on the store: its calls share the directories that they open.
///
/// ```text
///   session ──▶ try_lock ──▶ layer_lengths ──▶ stage ... ──▶ drop
///                 │             │               │
///                 └─ root, locks └─ layers/sha256┘   each opened at most once
/// ```
///
/// A directory that is moved or replaced is noticed by the next session, not by this one. So a session lasts for a few calls on one
/// artifact. It cannot be sent to another thread, which keeps it from being held across an `await` of a task, and nothing that its
/// calls return keeps a directory open.
#[derive(Debug)]
pub struct Session {
    store: Store,
    not_send: PhantomData<*const ()>,
}

impl Store {
    /// Begins an operation whose calls share the directories that they open.
    #[must_use]
    pub fn session(&self) -> Session {
        Session {
            store: self.with_open_dirs(),
            not_send: PhantomData,
        }
    }
}

impl Session {
    /// Returns whether `store` is a handle of the same [`Store::open`].
    pub(crate) fn is_of(&self, store: &Store) -> bool {
        Arc::ptr_eq(&self.store.inner, &store.inner)
    }
}

impl Deref for Session {
    type Target = Store;

    fn deref(&self) -> &Store {
        &self.store
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use msb_oci::Digest;

    use super::*;
    use crate::order::take_opened;
    use crate::{FormatVersion, LayerKey, LockOn};

    fn key(name: &str) -> LayerKey {
        LayerKey::new(Digest::sha256_of(name.as_bytes()), FormatVersion(1))
    }

    #[test]
    fn an_operation_on_a_layer_opens_each_directory_once() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(temp.path()).unwrap();
        let blob = Digest::sha256_of(b"blob");
        let work = |name: &str| {
            let (key, session) = (key(name), store.session());
            let lock = session.try_lock(LockOn::Layer(&key.diff_id)).unwrap();
            assert!(session.layer_lengths(&key).unwrap().is_none());
            session.check_space(1).unwrap();
            let image = session.stage_layer_image(&key).unwrap();
            let sidecar = session.stage_layer_sidecar(&key).unwrap();
            drop(session);
            let begun = take_opened();
            let (image, sidecar) = (image.sync().unwrap(), sidecar.sync().unwrap());
            store.publish_layer(&key, &blob, image, sidecar).unwrap();
            drop(lock);
            (begun, take_opened())
        };
        // Creates the directories.
        work("first");
        let (begun, published) = work("second");
        let dirs = |below: &[&str]| -> Vec<PathBuf> {
            below.iter().map(|dir| temp.path().join(dir)).collect()
        };
        assert_eq!(begun, dirs(&["", "locks", "layers/sha256"]));
        assert_eq!(published, dirs(&["", "layers/sha256"]));
    }

    #[test]
    fn a_directory_that_is_removed_during_a_session_is_created_again() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::open(temp.path()).unwrap();
        let session = store.session();
        drop(session.stage_layer_image(&key("a")).unwrap());
        std::fs::remove_dir(temp.path().join("layers/sha256")).unwrap();
        let image = session.stage_layer_image(&key("a")).unwrap();
        assert!(image.path().exists());
    }
}
