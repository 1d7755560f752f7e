use std::collections::HashSet;

use futures_util::stream::{FuturesUnordered, TryStreamExt};
use msb_sidecar::Note;
use msb_store::LayerKey;

use super::Pull;
use super::blocking::blocking;
use super::ensure::{Known, ensure_layer};
use super::layer::{LayerSource, ReadyLayer};
use super::notes::ImageNotes;
use super::state::LayerStates;
use crate::PullError;
use crate::cache::keys::layer_key;

/// Which layers are rebuilt although the cache has them.
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

    /// Restricts this to the given layer and those of earlier calls, so that layers that this pull has built are not rebuilt.
    pub(super) fn only(&mut self, layer: LayerKey) {
        self.all = false;
        self.layers.push(layer);
    }

    fn contains(&self, layer: &LayerKey) -> bool {
        self.all || self.layers.contains(layer)
    }
}

/// The layers of an image, all of them cached.
#[derive(Debug)]
pub(super) struct ReadyLayers {
    /// Bottom to top.
    pub(super) layers: Vec<ReadyLayer>,
    /// Bottom to top.
    pub(super) notes: Vec<Note>,
}

/// A device of the disk, and the layers of the image that share it.
struct Unique<'a> {
    device: u16,
    /// One layer for each blob, with its place in the image, bottom to top. Mostly there is one.
    blobs: Vec<(usize, &'a LayerSource)>,
}

/// Ensures that every layer is cached: several at once, the largest first.
pub(super) async fn fetch_layers(
    pull: Pull<'_>,
    states: &LayerStates,
    anew: &Anew,
) -> Result<ReadyLayers, PullError> {
    let plan = pull.plan;
    let mut unique = unique(pull);
    let mut ready = vec![None; unique.len()];
    let mut notes = ImageNotes::new(unique.len());
    let missing = missing(pull, &unique).await?;
    let missing = &missing;
    unique.sort_by_key(|unique| {
        let (index, layer) = unique.blobs[0];
        (std::cmp::Reverse(layer.blob.bytes), index)
    });
    let mut fetches: FuturesUnordered<_> = unique
        .into_iter()
        .map(|unique| async move {
            let device = unique.device;
            let key = &plan.slot(device).layer;
            let known = if anew.contains(key) {
                Known::Rebuilt
            } else if missing.contains(key) {
                Known::Missing
            } else {
                Known::Nothing
            };
            let state = states.of(device);
            let (index, layer) = unique.blobs[0];
            let mut ready = ensure_layer(pull, index, layer, known, state).await?;
            for (index, layer) in &unique.blobs[1..] {
                let again = ensure_layer(pull, *index, layer, Known::Nothing, state).await?;
                ready.was_cached &= again.was_cached;
            }
            Ok::<_, PullError>((device, ready))
        })
        .collect();
    while let Some((device, mut layer)) = fetches.try_next().await? {
        let at = usize::from(device) - 1;
        notes.add(at, std::mem::take(&mut layer.notes));
        ready[at] = Some(layer);
    }
    let in_order = plan.devices().iter();
    // OK because every device was fetched.
    let layers = in_order.map(|device| {
        let layer: &Option<ReadyLayer> = &ready[usize::from(*device) - 1];
        layer.clone().ok_or(PullError::Worker)
    });
    Ok(ReadyLayers {
        layers: layers.collect::<Result<_, _>>()?,
        notes: notes.into_vec(),
    })
}

/// Returns the layers that the cache lacks. All are looked up at once, because most pulls lack most of their layers.
async fn missing(pull: Pull<'_>, unique: &[Unique<'_>]) -> Result<HashSet<LayerKey>, PullError> {
    let store = pull.engine.cache.store().clone();
    let layers = unique
        .iter()
        .map(|unique| layer_key(&unique.blobs[0].1.diff_id));
    let layers: Vec<LayerKey> = layers.collect();
    blocking(move || {
        let session = store.session();
        let mut missing = HashSet::new();
        for layer in layers {
            if session.layer_lengths(&layer)?.is_none() {
                missing.insert(layer);
            }
        }
        Ok(missing)
    })
    .await
}

/// Groups the layers by device: a layer that comes twice is fetched once. Devices are numbered in the order in which they first
/// occur.
fn unique(pull: Pull<'_>) -> Vec<Unique<'_>> {
    let mut unique: Vec<Unique<'_>> = Vec::with_capacity(pull.plan.slots().len());
    let devices = pull.plan.devices().iter();
    for (index, (layer, device)) in pull.resolved.layers.iter().zip(devices).enumerate() {
        match unique.get_mut(usize::from(*device) - 1) {
            None => unique.push(Unique {
                device: *device,
                blobs: vec![(index, layer)],
            }),
            Some(known) => {
                let mut blobs = known.blobs.iter();
                if blobs.all(|(_, other)| other.blob.digest != layer.blob.digest) {
                    known.blobs.push((index, layer));
                }
            }
        }
    }
    unique
}
