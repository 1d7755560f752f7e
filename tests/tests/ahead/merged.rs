//! Counts the merges of a pull.

use std::cell::OnceCell;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};

use tokio::runtime;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

/// Counts the merges of pulls on its own runtime, because other tests merge at the same time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merged {
    times: Arc<AtomicUsize>,
}

thread_local! {
    /// The counter of the runtime that the thread belongs to.
    static OF_THREAD: OnceCell<Merged> = const { OnceCell::new() };
}

impl Merged {
    pub(crate) fn count(&self) -> usize {
        self.times.load(Ordering::SeqCst)
    }

    /// Runs `test` on a runtime whose merges are counted.
    pub(crate) fn run(&self, test: impl Future<Output = ()> + Send + 'static) {
        static WATCHED: Once = Once::new();
        WATCHED.call_once(|| {
            tracing::subscriber::set_global_default(Watch).unwrap();
            // Another thread may have cached the interest in an event before the subscriber was installed.
            tracing::callsite::rebuild_interest_cache();
        });
        let merged = self.clone();
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_start(move || OF_THREAD.with(|of| of.set(merged.clone()).unwrap()))
            .build()
            .unwrap();
        runtime.block_on(runtime.spawn(test)).unwrap();
    }
}

/// Adds the merges of each thread to its counter.
struct Watch;

impl Subscriber for Watch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "microsandbox_image::disk"
    }

    fn event(&self, event: &Event<'_>) {
        let mut is_merged = IsMerged(false);
        event.record(&mut is_merged);
        if is_merged.0 {
            OF_THREAD.with(|of| {
                if let Some(merged) = of.get() {
                    merged.times.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Finds whether an event reports a merge.
struct IsMerged(bool);

impl Visit for IsMerged {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 |= field.name() == "message" && format!("{value:?}") == "merged";
    }
}
