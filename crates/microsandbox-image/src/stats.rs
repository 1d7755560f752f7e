use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::progress::seconds;

/// What a pull or a load did, in numbers.
///
/// As data durations are seconds: `resolve_secs`, `layers_secs` and `disk_secs`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PullStats {
    /// Bytes of layers' blobs that were read from the registry or the archive, also those of attempts that failed.
    pub downloaded_bytes: u64,
    /// Bytes of blobs that earlier, interrupted pulls had left.
    pub resumed_bytes: u64,
    /// Length of the blobs of layers that were in the cache already, or that another pull downloaded meanwhile.
    pub cached_bytes: u64,
    /// Until manifest and config were known. For an image that came from the cache as a whole it is all of the time.
    #[serde(rename = "resolve_secs", with = "seconds")]
    pub resolve: Duration,
    /// From then on until all layers were in the cache. Layers are downloaded, converted and merged meanwhile.
    #[serde(rename = "layers_secs", with = "seconds")]
    pub layers: Duration,
    /// From then on until the disk was in the cache.
    #[serde(rename = "disk_secs", with = "seconds")]
    pub disk: Duration,
}
