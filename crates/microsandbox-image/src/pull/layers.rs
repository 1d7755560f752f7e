use futures_util::stream::{FuturesUnordered, TryStreamExt};
use msb_store::LayerKey;

use super::Pull;
use super::layer::{ReadyLayer, fetch_layer};
use super::state::LayerStates;
use crate::PullError;

/// Which layers are made again although the cache has them.
#[derive(Debug)]
pub(super) struct Anew {
    all: bool,
    layers: Vec<LayerKey>,
}

impl Anew {
    pub(super) fn new(all: bool) -> Self {
        Self {
            all,
            layers: Vec::new(),
        }
    }

    /// From now on this one, and those of before: what this pull itself has just made is not made again on their account.
    pub(super) fn only(&mut self, layer: LayerKey) {
        self.all = false;
        self.layers.push(layer);
    }

    fn contains(&self, layer: &LayerKey) -> bool {
        self.all || self.layers.contains(layer)
    }
}

/// Gets every layer that the cache lacks, side by side, the largest first; gives them in the image's order.
pub(super) async fn fetch_layers(
    pull: Pull<'_>,
    states: &LayerStates,
    anew: &Anew,
) -> Result<Vec<ReadyLayer>, PullError> {
    let plan = pull.plan;
    // A layer that comes twice is fetched once; two fetches would wait for each other's lock. Devices are numbered in the order
    // in which they first come.
    let mut unique = Vec::with_capacity(plan.slots().len());
    for (index, (layer, device)) in pull.resolved.layers.iter().zip(plan.devices()).enumerate() {
        if usize::from(*device) > unique.len() {
            unique.push((index, layer, *device));
        }
    }
    let mut ready = vec![None; unique.len()];
    unique.sort_by_key(|(index, layer, _)| (std::cmp::Reverse(layer.blob.bytes), *index));
    let mut fetches: FuturesUnordered<_> = unique
        .into_iter()
        .map(|(index, layer, device)| async move {
            let is_anew = anew.contains(&plan.slot(device).layer);
            let state = states.of(device);
            let ready = fetch_layer(pull, index, layer, is_anew, state).await?;
            Ok::<_, PullError>((device, ready))
        })
        .collect();
    while let Some((device, layer)) = fetches.try_next().await? {
        ready[usize::from(device) - 1] = Some(layer);
    }
    let in_order = plan.devices().iter();
    // OK because every device was fetched.
    in_order
        .map(|device| {
            let layer: &Option<ReadyLayer> = &ready[usize::from(*device) - 1];
            layer.clone().ok_or(PullError::Worker)
        })
        .collect()
}
