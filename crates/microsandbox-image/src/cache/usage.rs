use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::record::ImageRecord;
use super::{CacheError, GlobalCache};

/// The disk usage of a cache. Lengths of files in bytes; holes count as if they were data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CacheUsage {
    /// The images, sorted by reference and platform.
    pub images: Vec<ImageUsage>,
    /// All artifacts together; what images share counts once.
    pub total_bytes: u64,
    /// What a prune without a grace age would free.
    pub reclaimable_bytes: u64,
}

/// The disk usage of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageUsage {
    /// The reference, in full.
    pub reference: String,
    /// The platform that the image was pulled for.
    pub platform: String,
    /// All of its artifacts.
    pub bytes: u64,
    /// What removing this image alone would free.
    pub own_bytes: u64,
    /// The artifacts that other images need too.
    pub shared_bytes: u64,
    /// When it was last used, in seconds since 1970; up to five minutes early.
    pub last_used: u64,
    /// The names of its pins.
    pub pinned: Vec<String>,
    /// Whether a process holds a lease on its disk.
    pub leased: bool,
}

impl GlobalCache {
    /// Returns the disk usage of the cache, by image. Blocks on file I/O: reads every record, and the length of every file.
    ///
    /// # Errors
    /// [`CacheError::Store`].
    pub fn usage(&self) -> Result<CacheUsage, CacheError> {
        let usage = self
            .existing()?
            .usage(|_, record: ImageRecord| record.references())?;
        let mut images: Vec<ImageUsage> = usage
            .images
            .into_iter()
            .map(|image| ImageUsage {
                reference: image.key.reference().to_owned(),
                platform: image.key.platform().to_owned(),
                bytes: image.bytes,
                own_bytes: image.own_bytes,
                shared_bytes: image.shared_bytes,
                last_used: seconds(image.used),
                pinned: image.pins,
                leased: image.is_leased,
            })
            .collect();
        images.sort_by(|a, b| (&a.reference, &a.platform).cmp(&(&b.reference, &b.platform)));
        Ok(CacheUsage {
            images,
            total_bytes: usage.total_bytes,
            reclaimable_bytes: usage.reclaimable_bytes,
        })
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_secs())
}
