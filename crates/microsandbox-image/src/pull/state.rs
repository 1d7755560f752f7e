use std::sync::Arc;

use msb_layer::ReadLayer;
use tokio::sync::watch;

/// The progress of a layer, for the task that merges it.
#[derive(Clone, Debug)]
pub(super) enum LayerState {
    /// It cannot be merged yet.
    Pending,
    /// It can be merged, and is not verified yet.
    Read(Arc<ReadLayer>),
    /// It is in the cache.
    Cached { image_bytes: u64 },
    /// It was read, and then started over: what was merged of it is void.
    Void,
}

/// The states of a disk's layers, in the order of its devices.
#[derive(Debug)]
pub(super) struct LayerStates {
    states: Vec<LayerReporter>,
}

/// Reports the progress of one layer.
#[derive(Debug)]
pub(super) struct LayerReporter {
    state: watch::Sender<LayerState>,
}

impl LayerStates {
    pub(super) fn new(layers: usize) -> Self {
        let pending = |_| LayerReporter {
            state: watch::Sender::new(LayerState::Pending),
        };
        Self {
            states: (0..layers).map(pending).collect(),
        }
    }

    /// Returns the reporter of the layer that is this device.
    pub(super) fn of(&self, device: u16) -> &LayerReporter {
        &self.states[usize::from(device) - 1]
    }

    /// Returns receivers of all states.
    pub(super) fn watch(&self) -> Vec<watch::Receiver<LayerState>> {
        let layers = self.states.iter();
        layers.map(|layer| layer.state.subscribe()).collect()
    }

    /// Returns whether every layer is cached, with the contents that were merged.
    pub(super) fn are_well(&self) -> bool {
        let well =
            |layer: &LayerReporter| matches!(*layer.state.borrow(), LayerState::Cached { .. });
        self.states.iter().all(well)
    }
}

impl LayerReporter {
    pub(super) fn read(&self, layer: ReadLayer) {
        self.advance(LayerState::Read(Arc::new(layer)));
    }

    pub(super) fn cached(&self, image_bytes: u64) {
        self.advance(LayerState::Cached { image_bytes });
    }

    /// Reports that the layer starts over from its beginning.
    pub(super) fn started_over(&self) {
        self.state.send_if_modified(|state| {
            let was_read = matches!(state, LayerState::Read(_));
            if was_read {
                *state = LayerState::Void;
            }
            was_read
        });
    }

    fn advance(&self, next: LayerState) {
        self.state.send_if_modified(|state| {
            let is_void = matches!(state, LayerState::Void);
            if !is_void {
                *state = next;
            }
            !is_void
        });
    }
}

#[cfg(test)]
mod tests {
    use msb_sidecar::SidecarWriter;

    use super::*;

    fn layer() -> ReadLayer {
        let file = tempfile::tempfile().unwrap();
        let sidecar = SidecarWriter::new(file.try_clone().unwrap());
        ReadLayer {
            changes: sidecar.end_changes().unwrap().changes(file),
            image_bytes: watch::channel(Some(4096)).1,
        }
    }

    #[test]
    fn a_layer_that_was_read_and_started_over_stays_void() {
        let states = LayerStates::new(2);
        states.of(1).cached(4096);
        states.of(2).read(layer());
        assert!(!states.are_well());
        states.of(2).started_over();
        states.of(2).read(layer());
        states.of(2).cached(4096);
        assert!(!states.are_well());
    }

    #[test]
    fn a_layer_that_starts_over_before_it_was_read_can_be_merged() {
        let states = LayerStates::new(1);
        states.of(1).started_over();
        states.of(1).read(layer());
        states.of(1).cached(4096);
        assert!(states.are_well());
    }
}
