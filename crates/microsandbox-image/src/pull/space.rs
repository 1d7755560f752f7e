use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use msb_store::{LayerKey, Lease, PruneOptions, Reservation, Store};

use super::Pull;
use super::blocking::blocking;
use crate::cache::keys::layer_key;
use crate::cache::record::ImageRecord;
use crate::engine::Engine;
use crate::{CacheError, PullError, PullProgress};

/// How long to wait between two looks at the reservations of other pulls.
const PAUSE: Duration = Duration::from_millis(100);
/// How long to wait for other pulls at most. A process that was stopped keeps its reservation.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// How a pull shares the space of the disk with other pulls.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Whether the pull works only while no other one does.
    is_alone: bool,
    /// Whether other pulls worked when this one began.
    has_others: AtomicBool,
}

impl Room {
    /// Returns how a pull shares the space after it has failed with a full disk. `None` if no other pull was to blame.
    pub(super) fn after_full(&self) -> Option<Self> {
        self.has_others.load(Ordering::Relaxed).then(|| Self {
            is_alone: true,
            has_others: AtomicBool::new(false),
        })
    }
}

/// What a pull has when it begins with its layers.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) lease: Lease,
    /// The layers that the cache lacks.
    pub(super) missing: HashSet<LayerKey>,
    /// The space of the layers and of the disk over them; `None` if none is missing.
    pub(super) reservation: Option<Reservation>,
}

/// Leases the image's disk, and makes and reserves room for the missing layers before any of them is downloaded. Waits, without a lease,
/// while disk or budget may not suffice for this and other pulls.
///
/// A layer takes at least as many bytes as its blob, with rare exceptions, and mostly two to four times as many. With a budget, images that
/// were not used for longest are removed.
///
/// # Errors
/// [`msb_store::Error::Full`] with the needed and the free bytes, [`CacheError::Budget`].
pub(super) async fn begin(pull: Pull<'_>) -> Result<Begun, PullError> {
    let begun = Instant::now();
    let mut is_announced = false;
    loop {
        // Before anything is looked up or removed.
        let lease = pull.lease().await?;
        let missing = missing(pull).await?;
        let mut seen = HashSet::new();
        let layers = pull.resolved.layers.iter().enumerate();
        let wanted = layers.filter(|(_, layer)| {
            missing.contains(&layer_key(&layer.diff_id)) && seen.insert(layer.diff_id)
        });
        let wanted: Vec<_> = wanted
            .map(|(index, layer)| (index, layer.blob.bytes))
            .collect();
        let needed_bytes = wanted
            .iter()
            .fold(0_u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
        let reservation = match needed_bytes {
            0 => None,
            _ if begun.elapsed() >= LONGEST_WAIT => {
                tracing::warn!("other pulls keep the space for long; this one goes ahead");
                None
            }
            _ => match reserve(pull, needed_bytes).await? {
                Some(reservation) => Some(reservation),
                None => {
                    drop(lease);
                    if !is_announced {
                        is_announced = true;
                        tracing::info!(needed_bytes, "waiting for the space of other pulls");
                        for (layer, _) in wanted {
                            pull.progress.send(PullProgress::LayerWaiting { layer });
                        }
                    }
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        return Ok(Begun {
            lease,
            missing,
            reservation,
        });
    }
}

/// Reserves room, and makes it if there is a budget. Returns `None` if other pulls have to end first.
async fn reserve(pull: Pull<'_>, needed_bytes: u64) -> Result<Option<Reservation>, PullError> {
    let store = pull.engine.cache.store().clone();
    let is_alone = pull.room.is_alone;
    let reserved = blocking(move || {
        let Some(reserved) = store.try_reserve(needed_bytes, is_alone)? else {
            return Ok(None);
        };
        keep_budget(&store, needed_bytes)?;
        if is_alone {
            remove_unneeded(&store)?;
        }
        Ok(Some(reserved))
    })
    .await?;
    let has_others = reserved.as_ref().is_none_or(Reservation::has_others);
    pull.room.has_others.fetch_or(has_others, Ordering::Relaxed);
    Ok(reserved)
}

/// Returns the layers that the cache lacks. All are looked up at once, because most pulls lack most of their layers.
async fn missing(pull: Pull<'_>) -> Result<HashSet<LayerKey>, PullError> {
    let (store, disk) = (pull.engine.cache.store().clone(), pull.disk.clone());
    blocking(move || {
        let session = store.session();
        let mut missing = HashSet::new();
        for (_, layer) in disk.layers().iter() {
            if session.layer_lengths(layer)?.is_none() {
                missing.insert(layer.clone());
            }
        }
        Ok(missing)
    })
    .await
}

/// Removes what no image, lease or pin needs, whatever its age: it takes the space of a pull that would fail otherwise.
fn remove_unneeded(store: &Store) -> Result<(), CacheError> {
    let options = PruneOptions::with_grace(Duration::ZERO);
    match store.prune(&options, |_, record: ImageRecord| record.references()) {
        Ok(_) => Ok(()),
        Err(error) if error.is_corrupt() => {
            tracing::warn!(%error, "nothing is removed from the cache");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
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
