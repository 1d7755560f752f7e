use std::collections::HashSet;

use futures_util::stream::{FuturesUnordered, TryStreamExt};
use msb_sidecar::Note;
use msb_stitch::{DeviceId, LayerEvents, PerDevice};
use msb_store::LayerKey;

use super::Pull;
use super::blocking::blocking;
use super::ensure::{Known, ensure_layer, permit};
use super::layer::{LayerSource, ReadyLayer};
use super::notes::ImageNotes;
use crate::PullError;
use crate::disk::hash_tree::{self, TreeError};

/// Which layers are rebuilt although the cache has them.
#[derive(Clone, Debug)]
pub(super) struct Rebuild {
    all: bool,
    layers: Vec<LayerKey>,
    /// Whether the disk is rebuilt.
    pub(super) disk: bool,
}

impl Rebuild {
    pub(super) fn new(all: bool) -> Self {
        Self {
            all,
            layers: Vec::new(),
            disk: all,
        }
    }

    /// Returns the damaged layers that are rebuilt, and the disk if `disk`.
    pub(super) fn damaged(layers: Vec<LayerKey>, disk: bool) -> Self {
        Self {
            all: false,
            layers,
            disk,
        }
    }

    /// Restricts this to the given layer and those of earlier calls, so that layers that this pull has built are not rebuilt.
    pub(super) fn only(&mut self, layer: LayerKey) {
        self.all = false;
        self.layers.push(layer);
    }

    /// Returns whether nothing is rebuilt.
    pub(super) fn is_empty(&self) -> bool {
        !self.all && !self.disk && self.layers.is_empty()
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
    device: DeviceId,
    /// One layer for each blob, with its place in the image, bottom to top. Mostly there is one.
    blobs: Vec<(usize, &'a LayerSource)>,
}

/// Ensures that every layer is cached: several at once, the largest first. `missing` are those that the cache lacked a moment ago.
pub(super) async fn fetch_layers(
    pull: Pull<'_>,
    events: &LayerEvents,
    rebuild: &Rebuild,
    missing: &HashSet<LayerKey>,
) -> Result<ReadyLayers, PullError> {
    let disk = pull.disk.layers();
    let mut unique = unique(pull);
    let mut ready: PerDevice<Option<ReadyLayer>> = disk.per_device(|_| None);
    let mut notes = ImageNotes::new(unique.len());
    unique.sort_by_key(|unique| {
        let (index, layer) = unique.blobs[0];
        (std::cmp::Reverse(layer.blob.bytes), index)
    });
    let mut fetches: FuturesUnordered<_> = unique
        .into_iter()
        .map(|unique| async move {
            let device = unique.device;
            let known = match disk.get(device) {
                Some(key) if rebuild.contains(key) => Known::Rebuilt,
                Some(key) if missing.contains(key) => Known::Missing,
                _ => Known::Nothing,
            };
            let state = events.of(device);
            let (index, layer) = unique.blobs[0];
            let mut ready = ensure_layer(pull, index, layer, known, state).await?;
            for (index, layer) in &unique.blobs[1..] {
                let again = ensure_layer(pull, *index, layer, Known::Nothing, state).await?;
                ready.was_cached &= again.was_cached;
            }
            if let Some(key) = disk.get(device).filter(|_| pull.verity) {
                hash(pull, key.clone(), ready.image_bytes).await?;
            }
            Ok::<_, PullError>((device, ready))
        })
        .collect();
    while let Some((device, mut layer)) = fetches.try_next().await? {
        notes.add(device.index(), std::mem::take(&mut layer.notes));
        ready[device] = Some(layer);
    }
    let in_order = disk.stack().iter();
    // OK because every device was fetched.
    let layers = in_order.map(|device| ready[*device].clone().ok_or(PullError::Worker));
    Ok(ReadyLayers {
        layers: layers.collect::<Result<_, _>>()?,
        notes: notes.into_vec(),
    })
}

/// Computes the leaf hashes of a layer image while other layers are downloaded. Damage is found, and repaired, when the disk is
/// finished.
async fn hash(pull: Pull<'_>, layer: LayerKey, image_bytes: u64) -> Result<(), PullError> {
    let _permit = permit(&pull.engine.pipelines).await?;
    let store = pull.engine.cache.store().clone();
    blocking(
        move || match hash_tree::ensure_leaves(&store, &layer, image_bytes) {
            Ok(()) | Err(TreeError::Damaged(_)) => Ok(()),
            Err(TreeError::Cache(error)) => Err(error.into()),
        },
    )
    .await
}

/// Groups the layers by device: a layer that comes twice is fetched once. Every device has at least one layer.
fn unique(pull: Pull<'_>) -> Vec<Unique<'_>> {
    let disk = pull.disk.layers();
    let mut unique = disk.per_device(|device| Unique {
        device,
        blobs: Vec::new(),
    });
    let layers = pull.resolved.layers.iter().zip(disk.stack());
    for (index, (layer, device)) in layers.enumerate() {
        let blobs = &mut unique[*device].blobs;
        if blobs
            .iter()
            .all(|(_, other)| other.blob.digest != layer.blob.digest)
        {
            blobs.push((index, layer));
        }
    }
    unique.into_iter().collect()
}
