use std::collections::HashSet;

use msb_store::{LayerKey, PruneOptions, Store};

use super::Pull;
use super::blocking::blocking;
use crate::cache::keys::layer_key;
use crate::cache::record::ImageRecord;
use crate::engine::Engine;
use crate::{CacheError, PullError};

/// Makes room for the missing layers before any of them is downloaded.
///
/// A layer takes at least as many bytes as its blob, with rare exceptions, and mostly two to four times as many. With a budget, images that
/// were not used for longest are removed.
///
/// # Errors
/// [`msb_store::Error::Full`] with the needed and the free bytes, [`CacheError::Budget`].
pub(super) async fn reserve(pull: Pull<'_>, missing: &HashSet<LayerKey>) -> Result<(), PullError> {
    let mut seen = HashSet::new();
    let layers = pull.resolved.layers.iter();
    let needed_bytes = layers
        .filter(|layer| missing.contains(&layer_key(&layer.diff_id)) && seen.insert(layer.diff_id))
        .map(|layer| layer.blob.bytes)
        .fold(0, u64::saturating_add);
    if needed_bytes == 0 {
        return Ok(());
    }
    let store = pull.engine.cache.store().clone();
    blocking(move || {
        keep_budget(&store, needed_bytes)?;
        Ok(store.check_space(needed_bytes)?)
    })
    .await
}

/// Keeps the cache within its budget after an image was added. What cannot be removed is logged: the image was smaller before it was
/// unpacked.
pub(super) async fn settle(engine: &Engine) -> Result<(), PullError> {
    let store = engine.cache.store().clone();
    blocking(move || {
        if let Err(error) = keep_budget(&store, 0) {
            tracing::warn!(%error, "the cache exceeds its budget");
        }
        Ok(())
    })
    .await
}

/// Removes images until the budget has `needed_bytes` left. Removes none if that cannot be reached.
fn keep_budget(store: &Store, needed_bytes: u64) -> Result<(), CacheError> {
    let options = store.options();
    let Some(max_bytes) = options.max_bytes else {
        return Ok(());
    };
    let Some(left_bytes) = max_bytes.checked_sub(needed_bytes) else {
        return Err(CacheError::TooLarge {
            max_bytes,
            needed_bytes,
        });
    };
    let mut prune = options
        .budget_grace
        .map_or_else(PruneOptions::default, PruneOptions::with_grace);
    prune.max_bytes = Some(left_bytes);
    // A pull that fails removes nothing.
    let runs: &[bool] = if needed_bytes > 0 {
        &[true, false]
    } else {
        &[false]
    };
    for is_dry in runs {
        prune.dry_run = *is_dry;
        let pruned = store.prune(&prune, |_, record: ImageRecord| record.references());
        match pruned {
            Ok(pruned) => {
                if let Some(unmet) = pruned.unmet {
                    return Err(CacheError::Budget {
                        unmet,
                        needed_bytes,
                    });
                }
            }
            // A prune refuses because of it, and the pull does not depend on it.
            Err(error) if error.is_corrupt() => {
                tracing::warn!(%error, "the cache cannot be brought within its budget");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
