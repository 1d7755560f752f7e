use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use crate::failure::Failure;

/// How long threads that write files get to leave in order after an interrupt. What they then leave behind is swept later.
const LEAVE_LIMIT: Duration = Duration::from_secs(2);

/// Runs network work on this thread until it is done or the user interrupts it. The work is dropped then, which stops it.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::EventLoop)?;
    let result = runtime.block_on(async {
        let mut work = pin!(work);
        let mut interrupt = pin!(tokio::signal::ctrl_c());
        poll_fn(|context| {
            if let Poll::Ready(interrupted) = interrupt.as_mut().poll(context) {
                return Poll::Ready(Err(match interrupted {
                    Ok(()) => Failure::Interrupted,
                    Err(error) => Failure::EventLoop(error),
                }));
            }
            work.as_mut().poll(context)
        })
        .await
    });
    runtime.shutdown_timeout(LEAVE_LIMIT);
    result
}
