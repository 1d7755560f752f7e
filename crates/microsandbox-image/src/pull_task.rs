use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::task::{JoinError, JoinHandle};

use crate::{PullError, PullResult};

/// A pull that runs as a tokio task; [`Registry::pull_with_progress`](crate::Registry::pull_with_progress) starts it.
///
/// Awaiting it returns the pull's result: `task.await??`. Dropping it cancels the pull and leaves the cache intact, so a timeout
/// around it stops the work too.
#[derive(Debug)]
#[must_use = "dropping the task cancels the pull"]
pub struct PullTask {
    handle: JoinHandle<Result<PullResult, PullError>>,
}

impl PullTask {
    pub(crate) fn new(handle: JoinHandle<Result<PullResult, PullError>>) -> Self {
        Self { handle }
    }

    /// Cancels the pull. Awaiting the task then returns an error for which [`JoinError::is_cancelled`] returns `true`, unless the pull
    /// was already finished.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Returns whether the pull is finished or cancelled.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }
}

impl Future for PullTask {
    type Output = Result<Result<PullResult, PullError>, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.handle).poll(context)
    }
}

impl Drop for PullTask {
    fn drop(&mut self) {
        // Has no effect on a finished pull.
        self.handle.abort();
    }
}
