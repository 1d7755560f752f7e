use msb_store::{LayerKey, Staged, Step, Store};

use crate::cache::CacheError;
use crate::cache::checksum::{intact_sidecar, is_layer_intact};
use crate::cache::keys::layer_key;
use crate::cache::lookup::{CachedLayer, ReadyLayer};
use crate::document::LayerSource;

/// Copies a layer that another cache has, if it was verified there for this blob. Blocks on file I/O.
///
/// # Errors
/// [`CacheError::Store`] for a file of this cache. A file of the other cache that cannot be read counts as absent.
pub(crate) fn adopt_layer(
    store: &Store,
    layer: &LayerSource,
    is_cancelled: impl Fn() -> bool,
) -> Result<Option<ReadyLayer>, CacheError> {
    let key = layer_key(&layer.diff_id);
    for tier in store.tiers() {
        let found = tier.look::<_, CacheError>(|tier| {
            let CachedLayer::Verified(ready) = CachedLayer::find(tier, layer)? else {
                return Ok(None);
            };
            let image = tier.open_layer_image(&key)?;
            Ok(image
                .zip(tier.open_layer_sidecar(&key)?)
                .map(|files| (ready, files)))
        });
        let Some((ready, (image, sidecar))) = found else {
            continue;
        };
        let staged_image = store.stage_layer_image(&key)?;
        let staged_sidecar = store.stage_layer_sidecar(&key)?;
        let copied = staged_sidecar
            .copy_from(&sidecar, ready.sidecar_bytes, &is_cancelled)
            .and_then(|is_whole| {
                Ok(is_whole && staged_image.copy_from(&image, ready.image_bytes, &is_cancelled)?)
            });
        match copied {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(msb_store::Error::Io {
                step: Step::Copy,
                source,
                ..
            }) => {
                tracing::warn!(diff_id = %layer.diff_id, path = %tier.root().display(), %source, "a layer cannot be read from another cache");
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        if !is_copy_intact(store, &key, &staged_sidecar, &staged_image)? {
            tracing::warn!(diff_id = %layer.diff_id, path = %tier.root().display(), "a layer of another cache is damaged");
            continue;
        }
        let (image, sidecar) = (staged_image.sync()?, staged_sidecar.sync()?);
        store.publish_layer(&key, &layer.blob.digest, image, sidecar)?;
        tracing::info!(diff_id = %layer.diff_id, path = %tier.root().display(), bytes = ready.image_bytes, "a layer was copied from another cache");
        return Ok(Some(ready));
    }
    Ok(None)
}

/// Returns whether a copied layer has its checksums: the sidecar always, the image if the options ask for it.
fn is_copy_intact(
    store: &Store,
    key: &LayerKey,
    sidecar: &Staged,
    image: &Staged,
) -> Result<bool, CacheError> {
    if !store.options().verify_cache_from {
        return Ok(intact_sidecar(store, key, sidecar.file())?.is_some());
    }
    is_layer_intact(store, key, sidecar.file(), image.file())
}
