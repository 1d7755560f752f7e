//! The time of one pull by its parts.
//!
//! ```text
//!   main ─▶ resolve ─▶ ┌ layer: open │ inflate, hash, write │ sync ┐ ─▶ merge ─▶ write fsmeta ─▶ sync ─▶ record ─▶ end
//!                      ├ layer: ...                                │
//!                      └ up to four side by side                   ┘
//! ```
//!
//! The pull runs in this process, like a pull of a user's program, and is observed in two ways: its progress events,
//! and the `TRACE` events that the stages of a layer emit at their end. Consecutive parts are separated by the times of
//! the events. While layers run concurrently, each moment counts for all of them in equal shares. Within a layer, it
//! counts for the average activity of the inflating thread, for which all others wait. So the parts add up to the
//! whole.
//!
//! The times are wall-clock times: a thread that waits for a core counts as busy. The CPU time of each stage is
//! reported separately.

mod events;
mod parts;
mod stages;
mod watch;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use microsandbox_image::{GlobalCache, Platform, PullOptions, Reference, Registry};

use crate::BenchError;
use events::Events;
pub use parts::Part;
pub use stages::StageTotals;
use watch::Watch;

/// The cost of a pull.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Breakdown {
    /// The time from the first line of [`pull`] to the last.
    pub wall: Duration,
    /// The parts in order; together they are `wall`.
    pub parts: Vec<Part>,
    /// The threads of all layers, by stage.
    pub stages: Vec<StageTotals>,
}

/// Pulls an image into `cache` and measures it. Can be called once per process, because it installs the tracing
/// subscriber of the process.
///
/// # Errors
///
/// [`BenchError::Pull`], [`BenchError::EventLoop`], [`BenchError::MissingEvent`].
pub fn pull(reference: &Reference, cache: &Path) -> Result<Breakdown, BenchError> {
    let start = Instant::now();
    let watch = Watch::start()?;
    // As in the command.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| BenchError::EventLoop { source })?;
    let failed = |source| BenchError::Pull {
        source: Box::new(source),
    };
    let events = runtime.block_on(async {
        let cache = GlobalCache::new(cache).map_err(|error| failed(error.into()))?;
        let registry = Registry::new(Platform::host_linux(), cache).map_err(failed)?;
        let (mut progress, task) = registry.pull_with_progress(reference, &PullOptions::default());
        let mut events = Events::default();
        while let Some(event) = progress.recv().await {
            events.push(event);
        }
        match task.await {
            Ok(result) => result.map_err(failed).map(|_| events),
            Err(_) => Err(BenchError::Stopped),
        }
    })?;
    drop(runtime);
    let end = Instant::now();
    let marks = watch.marks();
    Ok(Breakdown {
        wall: end - start,
        parts: parts::parts(start, end, &events, &marks)?,
        stages: stages::totals(&marks),
    })
}
