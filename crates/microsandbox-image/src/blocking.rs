//! A tokio runtime for programs that have none.
//!
//! ```no_run
//! use microsandbox_image::{GlobalCache, Platform, PullOptions, Registry, blocking};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let cache = GlobalCache::new("/path/to/cache")?;
//! let registry = Registry::new(Platform::host_linux(), cache)?;
//! let reference = "docker.io/library/alpine".parse()?;
//! let image = blocking::run(registry.pull(&reference, &PullOptions::default()))??;
//! println!("{}", image.vmdk.display());
//! # Ok(())
//! # }
//! ```
//!
//! Progress works in the same way. The future may spawn tasks:
//!
//! ```no_run
//! # use microsandbox_image::{PullOptions, Reference, Registry, blocking};
//! # fn example(registry: Registry, reference: Reference) -> Result<(), Box<dyn std::error::Error>> {
//! let image = blocking::run(async {
//!     let (mut progress, task) = registry.pull_with_progress(&reference, &PullOptions::default());
//!     while let Some(event) = progress.recv().await {
//!         println!("{event:?}");
//!     }
//!     task.await
//! })???;
//! # let _ = image;
//! # Ok(())
//! # }
//! ```

mod off_executor;

pub(crate) use off_executor::blocking;

use std::future::Future;
use std::io;

use tokio::runtime::{Builder, Handle};

/// Reports that a future could not be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BlockingError {
    /// The calling thread belongs to a runtime.
    #[error("the calling thread belongs to a tokio runtime, where a pull is awaited instead")]
    InsideRuntime,
    /// The system refused what the runtime needs, such as file descriptors.
    #[error("starting a tokio runtime")]
    Start(#[source] io::Error),
}

/// Runs a future to its end on the calling thread, in a runtime of its own.
///
/// A [`Registry`](crate::Registry) may be used by several calls, one after the other or at once; connections are not kept from call to
/// call. Tasks that the future spawned and did not await are cancelled.
///
/// # Errors
/// [`BlockingError::InsideRuntime`] on a thread of a tokio runtime, those of `spawn_blocking` included. Nothing was run then.
pub fn run<F: Future>(future: F) -> Result<F::Output, BlockingError> {
    if Handle::try_current().is_ok() {
        return Err(BlockingError::InsideRuntime);
    }
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BlockingError::Start)?;
    let output = runtime.block_on(future);
    // A lookup of a host name may still hold a thread; its result is not needed.
    runtime.shutdown_background();
    Ok(output)
}
