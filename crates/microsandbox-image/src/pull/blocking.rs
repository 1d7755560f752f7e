use crate::PullError;

/// Runs file system work off the executor's threads.
///
/// It runs to its end even if the pull is dropped meanwhile, after the pull's locks are gone too: so it must have an end of its own,
/// and leave nothing half done. Equal input gives equal bytes, whoever publishes them.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PullError> + Send + 'static,
) -> Result<T, PullError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // It panicked, which was printed, or the runtime is going down.
        Err(_) => Err(PullError::Worker),
    }
}
