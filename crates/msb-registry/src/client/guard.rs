//! Leaving a host that does not answer.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

/// Why a host is left.
#[derive(Debug)]
pub(super) enum Left<E> {
    /// Neither the work nor the second request ended in time.
    Silent,
    /// The second request failed.
    Failed(E),
}

/// Waits for `work`, but no longer than `limit` where a second request that is made meanwhile, `reach`, is not answered either.
///
/// A host that is slow to answer `work` still answers `reach`; a host that is down answers neither.
pub(super) async fn guard<T, E>(
    work: impl Future<Output = T>,
    reach: impl Future<Output = Result<(), E>>,
    limit: Duration,
) -> Result<T, Left<E>> {
    let mut work = pin!(work);
    // Most requests are answered by then, and cost nothing more.
    let quiet = limit / 4;
    if let Ok(done) = tokio::time::timeout(quiet, work.as_mut()).await {
        return Ok(done);
    }
    let reached = pin!(tokio::time::timeout(limit - quiet, reach));
    match first(work.as_mut(), reached).await {
        Either::Left(done) => Ok(done),
        Either::Right(Ok(Ok(()))) => Ok(work.await),
        Either::Right(Ok(Err(error))) => Err(Left::Failed(error)),
        Either::Right(Err(_)) => Err(Left::Silent),
    }
}

enum Either<L, R> {
    Left(L),
    Right(R),
}

/// Waits for the first of two futures.
async fn first<L, R>(
    mut left: Pin<&mut impl Future<Output = L>>,
    mut right: Pin<&mut impl Future<Output = R>>,
) -> Either<L, R> {
    poll_fn(|context| {
        if let Poll::Ready(left) = left.as_mut().poll(context) {
            return Poll::Ready(Either::Left(left));
        }
        right.as_mut().poll(context).map(Either::Right)
    })
    .await
}
