//! Where the time of one pull goes.
//!
//! ```text
//!   main ─▶ resolve ─▶ ┌ layer: open │ inflate, hash, write │ sync ┐ ─▶ merge ─▶ write fsmeta ─▶ sync ─▶ record ─▶ end
//!                      ├ layer: ...                                │
//!                      └ up to four side by side                   ┘
//! ```
//!
//! The pull runs in this process, as users' programs run it, and is watched in two ways: its progress events, and the events of
//! level `TRACE` that the stages of a layer tell at their end. What follows one after the other is told apart by the time of the
//! events. Where layers run side by side, a moment counts for all of them in equal shares, and within a layer it counts for
//! what the inflating thread, which all others wait for, did on the average: so the parts add up to the whole.
//!
//! The times are of the clock on the wall: a thread that waits for a core counts as busy. What a thread has of the processor is
//! told beside it.

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
pub use stages::StageSum;
use watch::Watch;

/// What a pull cost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Breakdown {
    /// From the first line of [`pull`] to the last.
    pub wall: Duration,
    /// In the order of a pull; together they are `wall`.
    pub parts: Vec<Part>,
    /// The threads of all layers, by stage.
    pub stages: Vec<StageSum>,
}

/// Pulls an image into `cache` and tells what it cost. Once in a process, for it takes over the process's tracing.
///
/// # Errors
/// [`BenchError::Pull`], [`BenchError::EventLoop`], [`BenchError::Untold`].
pub fn pull(reference: &Reference, cache: &Path) -> Result<Breakdown, BenchError> {
    let start = Instant::now();
    let watch = Watch::start()?;
    // As the command has it.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| BenchError::EventLoop { source })?;
    let failed = |source| BenchError::Pull {
        source: Box::new(source),
    };
    let events = runtime.block_on(async {
        let cache = GlobalCache::new(cache).map_err(failed)?;
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
        stages: stages::sums(&marks),
    })
}
