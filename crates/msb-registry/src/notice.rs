//! Notices about a request that takes longer than it should.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::context::RequestContext;
use crate::error::Error;

/// Something that delays a request. Observers are set with [`Client::with_observer`](crate::Client::with_observer).
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A request failed and will be repeated after a pause.
    #[non_exhaustive]
    Retrying {
        /// Why it failed. Its message is one line without secrets.
        error: &'a Error,
        /// The number of the retry, from 1.
        attempt: u32,
        /// The largest number of retries in a row.
        limit: u32,
        /// The pause before the retry.
        pause: Duration,
    },
    /// The server has sent nothing for some time.
    #[non_exhaustive]
    Stalled {
        /// The request.
        context: &'a RequestContext,
        /// How long nothing has arrived.
        silent_for: Duration,
    },
    /// A download continues after a fault.
    #[non_exhaustive]
    Resumed {
        /// The request.
        context: &'a RequestContext,
        /// The number of bytes that are kept.
        from_bytes: u64,
    },
}

/// Receives notices, if there is a receiver.
#[derive(Clone, Default)]
pub(crate) struct Observer(Option<Arc<Observe>>);

type Observe = dyn Fn(&Notice<'_>) + Send + Sync;

impl Observer {
    pub(crate) fn new(observe: impl Fn(&Notice<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(observe)))
    }

    pub(crate) fn notify(&self, notice: &Notice<'_>) {
        if let Some(observe) = &self.0 {
            observe(notice);
        }
    }

    /// Waits for `future` up to `limit`, and reports silence every `interval`. Returns `None` after `limit`.
    pub(crate) async fn watch<T>(
        &self,
        future: impl Future<Output = T>,
        limit: Duration,
        interval: Duration,
        context: impl Fn() -> RequestContext,
    ) -> Option<T> {
        if self.0.is_none() || interval.is_zero() || interval >= limit {
            return tokio::time::timeout(limit, future).await.ok();
        }
        let mut future = pin!(future);
        let mut silent_for = Duration::ZERO;
        loop {
            let step = interval.min(limit - silent_for);
            if let Ok(output) = tokio::time::timeout(step, &mut future).await {
                return Some(output);
            }
            silent_for += step;
            if silent_for >= limit {
                return None;
            }
            self.notify(&Notice::Stalled {
                context: &context(),
                silent_for,
            });
        }
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Observer" } else { "None" })
    }
}
