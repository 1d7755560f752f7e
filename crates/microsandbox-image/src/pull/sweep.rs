use super::blocking::blocking;
use crate::PullError;
use crate::engine::Engine;

/// Removes the temporary files of pulls whose process ended. Runs during the downloads of a pull, because it lists the whole cache.
pub(super) async fn sweep(engine: &Engine) -> Result<(), PullError> {
    let store = engine.cache.store().clone();
    blocking(move || {
        match store.sweep_stale_temporaries() {
            Ok(swept) if swept.files > 0 => {
                tracing::info!(
                    files = swept.files,
                    bytes = swept.bytes,
                    "removed temporary files of pulls that died"
                );
            }
            Ok(_) => {}
            // A later prune removes them too; the pull does not depend on it.
            Err(error) => tracing::debug!(%error, "temporary files of pulls that died may remain"),
        }
        Ok(())
    })
    .await
}
