use crate::PullError;

/// Runs file system work off the executor's threads.
///
/// The work runs to its end even if the pull is dropped meanwhile, and its locks with it. So it must end by itself and leave nothing
/// half done. Equal input results in equal bytes, whichever pull publishes them.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PullError> + Send + 'static,
) -> Result<T, PullError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // It panicked, which was printed, or the runtime is going down.
        Err(_) => Err(PullError::Worker),
    }
}
