use microsandbox_image::PullProgress;

/// How far a pull is, summed over its layers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) layer_count: usize,
    /// Bytes of all blobs, as the manifest declares them.
    pub(crate) total_bytes: u64,
    /// Layers that are in the cache now.
    pub(crate) done_layers: usize,
    layers: Vec<Layer>,
}

#[derive(Clone, Debug, Default)]
struct Layer {
    come_bytes: u64,
    total_bytes: u64,
    is_waiting: bool,
    is_done: bool,
}

impl Tally {
    pub(crate) fn add(&mut self, event: &PullProgress) {
        match event {
            PullProgress::Resolved {
                layer_count,
                total_bytes,
                ..
            } => {
                *self = Self {
                    layer_count: *layer_count,
                    total_bytes: *total_bytes,
                    ..Self::default()
                };
            }
            PullProgress::LayerWaiting { layer, .. } => self.layer(*layer).is_waiting = true,
            PullProgress::LayerCached {
                layer, total_bytes, ..
            } => {
                let layer = self.layer(*layer);
                (layer.come_bytes, layer.total_bytes) = (*total_bytes, *total_bytes);
                self.done(event);
            }
            PullProgress::LayerStarted {
                layer,
                total_bytes,
                resumed_bytes,
                ..
            } => {
                // Also when a layer starts over.
                *self.layer(*layer) = Layer {
                    come_bytes: *resumed_bytes,
                    total_bytes: *total_bytes,
                    ..Layer::default()
                };
                self.count();
            }
            PullProgress::LayerDownloadProgress {
                layer,
                downloaded_bytes,
                ..
            } => self.layer(*layer).come_bytes = *downloaded_bytes,
            PullProgress::LayerDownloaded { layer, .. } => {
                let layer = self.layer(*layer);
                layer.come_bytes = layer.total_bytes;
            }
            PullProgress::LayerMaterialized { .. } => self.done(event),
            _ => {}
        }
    }

    /// Bytes that have come, or need not.
    pub(crate) fn come_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.come_bytes).sum()
    }

    /// Layers that another pull is making.
    pub(crate) fn waiting_layers(&self) -> usize {
        self.layers.iter().filter(|layer| layer.is_waiting).count()
    }

    fn done(&mut self, event: &PullProgress) {
        if let PullProgress::LayerCached { layer, .. }
        | PullProgress::LayerMaterialized { layer, .. } = event
        {
            let layer = self.layer(*layer);
            (layer.is_done, layer.is_waiting) = (true, false);
            self.count();
        }
    }

    fn count(&mut self) {
        self.done_layers = self.layers.iter().filter(|layer| layer.is_done).count();
    }

    fn layer(&mut self, layer: usize) -> &mut Layer {
        if self.layers.len() <= layer {
            self.layers.resize(layer + 1, Layer::default());
        }
        &mut self.layers[layer]
    }
}
