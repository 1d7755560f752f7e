use msb_budget::ImageLimits;
use msb_layer::decode::WindowBudget;
use msb_layer::{LayerLimits, StageThreads};
use msb_platform::Platform;
use tokio::sync::Semaphore;

use crate::{GlobalCache, open_files};

/// What the pulls of one registry or loader share, whatever their source.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) platform: Platform,
    pub(crate) cache: GlobalCache,
    pub(crate) layer_limits: LayerLimits,
    pub(crate) image_limits: ImageLimits,
    /// The memory for windows of zstd frames, over all pulls.
    pub(crate) windows: WindowBudget,
    /// The threads that unpack layers, over all pulls.
    pub(crate) threads: StageThreads,
    /// The number of layers that may be read and unpacked at once, over all pulls.
    pub(crate) pipelines: Semaphore,
    /// The number of layers that may have files open at once, over all pulls.
    pub(crate) open_layers: Semaphore,
}

/// Configures an [`Engine`].
#[derive(Clone, Debug)]
pub(crate) struct EngineBuilder {
    pub(crate) platform: Platform,
    pub(crate) cache: GlobalCache,
    pub(crate) layer_limits: LayerLimits,
    pub(crate) image_limits: ImageLimits,
    /// At least 1.
    pub(crate) pipelines: usize,
}

/// The default of [`RegistryBuilder::max_concurrent_layers`](crate::RegistryBuilder::max_concurrent_layers): enough to keep a slow
/// registry's connections busy, few enough to bound memory.
pub const DEFAULT_CONCURRENT_LAYERS: usize = 4;

/// Layers that may be synced beside those that are downloaded: enough for a file system to persist several small files with one
/// write of its journal.
const PUBLISHERS: usize = 16;

impl EngineBuilder {
    pub(crate) fn new(platform: Platform, cache: GlobalCache) -> Self {
        Self {
            platform,
            cache,
            layer_limits: LayerLimits::default(),
            image_limits: ImageLimits::default(),
            pipelines: DEFAULT_CONCURRENT_LAYERS,
        }
    }

    pub(crate) fn build(self) -> Engine {
        let open_layers = open_files::layers_at_once(self.pipelines.saturating_add(PUBLISHERS));
        Engine {
            platform: self.platform,
            cache: self.cache,
            windows: WindowBudget::new(self.layer_limits.decode.zstd_window_bytes),
            threads: StageThreads::default(),
            layer_limits: self.layer_limits,
            image_limits: self.image_limits,
            pipelines: Semaphore::new(self.pipelines),
            open_layers: Semaphore::new(open_layers),
        }
    }
}

/// Defines the methods of a builder that configure its field `engine`.
macro_rules! engine_options {
    ($builder:ident) => {
        impl $builder {
            /// Sets the limits on what a layer may contain.
            #[must_use]
            pub fn layer_limits(mut self, limits: msb_layer::LayerLimits) -> Self {
                self.engine.layer_limits = limits;
                self
            }

            /// Sets the limits on what the layers of one image and their merge may use together.
            #[must_use]
            pub fn image_limits(mut self, limits: msb_budget::ImageLimits) -> Self {
                self.engine.image_limits = limits;
                self
            }

            /// Sets one limit by its name.
            #[must_use]
            pub fn limit(mut self, limit: crate::NamedLimit) -> Self {
                limit.apply(&mut self.engine.layer_limits, &mut self.engine.image_limits);
                self
            }

            /// Sets the number of layers that are read and unpacked at once; at least 1. Default:
            /// [`DEFAULT_CONCURRENT_LAYERS`](crate::DEFAULT_CONCURRENT_LAYERS).
            #[must_use]
            pub fn max_concurrent_layers(mut self, layers: usize) -> Self {
                self.engine.pipelines = layers.max(1);
                self
            }
        }
    };
}

pub(crate) use engine_options;
