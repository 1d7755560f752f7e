//! Target `record`: an image record in a cache, written by an attacker.
//!
//! Asserted, for every input: listing, looking up and verifying return a value or an error that prints in one line, and no image counts
//! as complete, because the cache has no other file.

use std::cell::OnceCell;
use std::path::PathBuf;

use microsandbox_image::{CacheError, GlobalCache, InspectError, Platform, Reference};
use msb_store::{ImageKey, Store};
use tempfile::TempDir;

use crate::errors::check_message;
use crate::heap;

/// A cache with only the record.
struct Cache {
    _folder: TempDir,
    cache: GlobalCache,
    record: PathBuf,
    reference: Reference,
    platform: Platform,
}

thread_local! {
    static CACHE: OnceCell<Cache> = const { OnceCell::new() };
}

/// Runs the target.
///
/// # Panics
/// When something that is asserted does not hold.
pub fn run(bytes: &[u8]) {
    CACHE.with(|cache| {
        let cache = cache.get_or_init(Cache::new);
        std::fs::write(&cache.record, bytes).expect("the folder takes it");
        heap::bounded(64 * bytes.len() + (1 << 20), || cache.check());
    });
}

impl Cache {
    fn new() -> Self {
        // A file system in memory, if there is one.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.expect("a folder can be made");
        let cache = GlobalCache::new(folder.path()).expect("a cache can be made");
        let store = Store::open(folder.path()).expect("it is a cache");
        let reference: Reference = "localhost:1/x:t".parse().expect("it is a reference");
        let platform = Platform::new("linux", "amd64");
        let key = ImageKey::new(&reference, &platform.to_string());
        let record = store.image_record_path(&key);
        let parent = record.parent().expect("it lies in a folder");
        std::fs::create_dir_all(parent).expect("a folder can be made");
        Self {
            _folder: folder,
            cache,
            record,
            reference,
            platform,
        }
    }

    fn check(&self) {
        match self.cache.images() {
            Ok(images) => assert!(images.iter().all(|image| !image.complete)),
            Err(error) => check_message(&error),
        }
        let image = self.cache.image(&self.reference, &self.platform);
        check_message(&image.expect_err("its files are not there"));
        match self.cache.verify(&self.reference, &self.platform, true) {
            Ok(found) => {
                assert!(!found.is_sound());
                found
                    .damage
                    .iter()
                    .for_each(|damage| check_message(&damage.error));
            }
            Err(error @ InspectError::Cache(CacheError::NotCached { .. })) => {
                panic!("there is a record: {error}")
            }
            Err(error) => check_message(&error),
        }
    }
}
