use std::sync::mpsc::{RecvTimeoutError, SendError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Builder, ThreadId};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::LayerError;

/// How long a thread waits for its next stage before it ends.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The threads that run the stages of layers, and wait for the next layer when a stage has ended.
///
/// An image of 120 layers starts 360 stages: to create a thread for each takes longer than to unpack a small layer. There is no
/// limit on the threads, since the stages of a layer wait for each other; there are as many as the layers at once need.
///
/// Clones share their threads. Those that wait end after ten seconds, or with the last clone.
#[derive(Clone, Debug, Default)]
pub struct StageThreads(Arc<Mutex<Vec<Waiting>>>);

/// A stage that is running.
#[derive(Debug)]
pub(super) struct Stage<T>(oneshot::Receiver<Result<T, LayerError>>);

type Work = Box<dyn FnOnce() + Send>;

/// A thread that waits for its next stage.
#[derive(Debug)]
struct Waiting {
    thread: ThreadId,
    sender: Sender<Work>,
}

impl StageThreads {
    /// Runs a stage on a thread of its own.
    ///
    /// # Errors
    /// [`LayerError::Spawn`].
    pub(super) fn start<T: Send + 'static>(
        &self,
        stage: impl FnOnce() -> Result<T, LayerError> + Send + 'static,
    ) -> Result<Stage<T>, LayerError> {
        let (sender, result) = oneshot::channel();
        let work = Box::new(move || {
            // The receiver is gone if the layer was cancelled.
            drop(sender.send(stage()));
        });
        self.run(work)?;
        Ok(Stage(result))
    }

    fn run(&self, mut work: Work) -> Result<(), LayerError> {
        // The thread that began to wait last is the likeliest to have its stack in the processor's caches.
        while let Some(waiting) = { lock(&self.0).pop() } {
            match waiting.sender.send(work) {
                Ok(()) => return Ok(()),
                Err(SendError(returned)) => work = returned,
            }
        }
        let threads = Arc::downgrade(&self.0);
        Builder::new()
            .name("layer-stage".into())
            .spawn(move || run_stages(work, &threads))
            .map_err(|source| LayerError::Spawn { source })?;
        Ok(())
    }
}

impl<T> Stage<T> {
    /// Waits for the end of the stage.
    pub(super) fn join(self) -> Result<T, LayerError> {
        self.0.blocking_recv().unwrap_or(Err(LayerError::Panicked))
    }

    /// Waits for the end of the stage.
    pub(super) async fn wait(&mut self) -> Result<T, LayerError> {
        (&mut self.0).await.unwrap_or(Err(LayerError::Panicked))
    }
}

/// Runs stages until none has come for a while. A stage that panics ends the thread.
fn run_stages(mut work: Work, threads: &Weak<Mutex<Vec<Waiting>>>) {
    loop {
        work();
        let Some(all) = threads.upgrade() else { return };
        let thread = thread::current().id();
        let (sender, next) = channel();
        lock(&all).push(Waiting { thread, sender });
        drop(all);
        let received = match next.recv_timeout(IDLE_TIME) {
            Err(RecvTimeoutError::Timeout) if stop_waiting(thread, threads) => return,
            // The sender was taken from the list meanwhile: its work follows.
            Err(RecvTimeoutError::Timeout) => next.recv().ok(),
            received => received.ok(),
        };
        match received {
            Some(next) => work = next,
            None => return,
        }
    }
}

/// Removes a thread from those that wait. Returns whether it was one of them.
fn stop_waiting(thread: ThreadId, threads: &Weak<Mutex<Vec<Waiting>>>) -> bool {
    let Some(all) = threads.upgrade() else {
        return true;
    };
    let mut waiting = lock(&all);
    let place = waiting.iter().position(|other| other.thread == thread);
    place.map(|place| waiting.remove(place)).is_some()
}

fn lock(threads: &Mutex<Vec<Waiting>>) -> MutexGuard<'_, Vec<Waiting>> {
    threads.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(threads: &StageThreads) -> ThreadId {
        let stage = threads.start(|| Ok(thread::current().id())).unwrap();
        let id = stage.join().unwrap();
        // The thread sends the result before it waits.
        while lock(&threads.0).is_empty() {
            thread::yield_now();
        }
        id
    }

    #[test]
    fn a_thread_runs_one_stage_after_another() {
        let threads = StageThreads::default();
        let first = id(&threads);
        assert_eq!(id(&threads), first);
        assert_eq!(id(&threads.clone()), first);
        assert_eq!(lock(&threads.0).len(), 1);
    }

    #[test]
    fn stages_that_wait_for_each_other_have_a_thread_each() {
        let threads = StageThreads::default();
        let _ = id(&threads);
        let (sender, number) = channel();
        let first = threads.start(move || Ok(number.recv().unwrap())).unwrap();
        let second = threads.start(move || Ok(sender.send(7).is_ok())).unwrap();
        assert!(second.join().unwrap());
        assert_eq!(first.join().unwrap(), 7);
    }

    #[test]
    fn a_panic_is_an_error_of_its_stage_alone() {
        let threads = StageThreads::default();
        let _ = id(&threads);
        let stage = threads.start(|| -> Result<(), _> { panic!("expected by this test") });
        assert!(matches!(stage.unwrap().join(), Err(LayerError::Panicked)));
        let _ = id(&threads);
    }

    #[test]
    fn threads_that_wait_end_with_the_last_clone() {
        let threads = StageThreads::default();
        let (ended, end) = channel::<()>();
        let stage = threads.start(move || {
            thread_local!(static ENDED: std::cell::Cell<Option<Sender<()>>> = const { std::cell::Cell::new(None) });
            ENDED.set(Some(ended));
            Ok(())
        });
        stage.unwrap().join().unwrap();
        drop(threads);
        // The sender is dropped with the thread's own values.
        assert!(end.recv().is_err());
    }

    #[test]
    fn a_thread_whose_work_comes_at_the_last_moment_does_it() {
        let threads = StageThreads::default();
        let _ = id(&threads);
        let waiting = lock(&threads.0).pop().unwrap();
        assert!(!stop_waiting(waiting.thread, &Arc::downgrade(&threads.0)));
        let thread = waiting.thread;
        lock(&threads.0).push(waiting);
        assert!(stop_waiting(thread, &Arc::downgrade(&threads.0)));
    }
}
