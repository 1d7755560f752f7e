use msb_budget::ImageLimits;
use msb_layer::LayerLimits;
use msb_layer::decode::WindowBudget;
use msb_platform::Platform;
use msb_registry::Client;
use tokio::sync::Semaphore;

use crate::GlobalCache;

/// What the pulls of one registry share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) platform: Platform,
    pub(crate) cache: GlobalCache,
    pub(crate) client: Client,
    pub(crate) layer_limits: LayerLimits,
    pub(crate) image_limits: ImageLimits,
    /// The memory for windows of zstd frames, over all pulls of this registry.
    pub(crate) windows: WindowBudget,
    /// How many layers may be downloaded and unpacked at once, over all pulls of this registry.
    pub(crate) pipelines: Semaphore,
    /// How many layers may have files open at once, over all pulls of this registry.
    pub(crate) open_layers: Semaphore,
}
