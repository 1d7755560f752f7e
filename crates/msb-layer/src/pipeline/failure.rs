use tokio::sync::watch;

use crate::LayerError;

/// Reports the failure or panic of a stage to the download that feeds the stages.
///
/// The download may wait minutes for its next bytes, and the first stage with it. A failure on this machine must end that wait.
#[derive(Clone, Debug, Default)]
pub(super) struct FailureSignal {
    has_failed: watch::Sender<bool>,
    /// Whether this stage has returned.
    is_over: bool,
}

/// The receiving end of a [`FailureSignal`].
#[derive(Debug)]
pub(super) struct Failure(watch::Receiver<bool>);

impl FailureSignal {
    /// Reports the failure of the stage with this result, and returns the result.
    pub(super) fn watch<T>(&mut self, result: Result<T, LayerError>) -> Result<T, LayerError> {
        self.is_over = result.is_ok();
        result
    }

    pub(super) fn failure(&self) -> Failure {
        Failure(self.has_failed.subscribe())
    }
}

impl Drop for FailureSignal {
    fn drop(&mut self) {
        // Also where the stage panicked and returned nothing.
        if !self.is_over {
            self.has_failed.send_replace(true);
        }
    }
}

impl Failure {
    /// Waits until a stage has failed.
    pub(super) async fn wait(&self) {
        let mut has_failed = self.0.clone();
        if has_failed.wait_for(|has_failed| *has_failed).await.is_err() {
            // All stages are over, and none of them failed.
            std::future::pending::<()>().await;
        }
    }
}
