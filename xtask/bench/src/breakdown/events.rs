use std::{collections::BTreeMap, time::Instant};

use microsandbox_image::PullProgress;

/// When a pull told what.
#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) resolving: Option<Instant>,
    pub(super) resolved: Option<Instant>,
    pub(super) published: Option<Instant>,
    pub(super) complete: Option<Instant>,
    /// By the layer's place.
    started: BTreeMap<usize, Instant>,
    pub(super) layers: Vec<LayerTimes>,
}

/// When a layer was begun and done.
#[derive(Debug)]
pub(super) struct LayerTimes {
    pub(super) diff_id: String,
    pub(super) started: Instant,
    pub(super) materialized: Instant,
}

impl Events {
    pub(super) fn push(&mut self, event: PullProgress) {
        let now = Instant::now();
        match event {
            PullProgress::Resolving { .. } => self.resolving = Some(now),
            PullProgress::Resolved { .. } => self.resolved = Some(now),
            PullProgress::LayerStarted { layer, .. } => {
                self.started.insert(layer, now);
            }
            PullProgress::LayerMaterialized { layer, diff_id, .. } => {
                if let Some(started) = self.started.remove(&layer) {
                    self.layers.push(LayerTimes {
                        diff_id: diff_id.to_string(),
                        started,
                        materialized: now,
                    });
                }
            }
            PullProgress::VmdkWritten => self.published = Some(now),
            PullProgress::Complete { .. } => self.complete = Some(now),
            _ => {}
        }
    }
}
