use std::time::{Duration, Instant};

use msb_oci::Digest;
use msb_store::{DiskKey, Lock, LockOn, Store};

use super::blocking::blocking;
use super::holder::Report;
use crate::PullError;

const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// How long to wait for a holder that has not reported anything, or depends on another registry than this pull.
///
/// A registry must not delay pulls from another registry by more than this, even if it keeps sending a few bytes.
const OTHER_SOURCE: Duration = Duration::from_secs(3);

/// The time in which a holder that depends on the same registry must process [`STEP_BYTES`].
const STEP_TIMEOUT: Duration = Duration::from_secs(4);
/// The bytes that such a holder must process in each [`STEP_TIMEOUT`]: 16 KiB per second.
const STEP_BYTES: u64 = 64 << 10;

/// How long to wait for a holder that has all bytes and writes them.
const LOCAL_WORK: Duration = Duration::from_secs(60);

/// How a wait for a lock ended.
#[derive(Debug)]
pub(super) enum Waited {
    /// The lock was free for a moment.
    Free,
    /// Its holder makes no progress worth waiting for. Publishing is idempotent, so that the pull can do the work without the lock.
    NoProgress,
}

/// How long a pull has waited for one artifact, and what the holders of its lock did meanwhile.
#[derive(Debug)]
pub(super) struct Waiting {
    source: String,
    /// Of all waits for this artifact together; holders may follow one another.
    begun: Option<Instant>,
    step_begun: Instant,
    /// What was processed when the step began.
    step_bytes: u64,
}

impl Waiting {
    /// Creates the state of a wait; `source` is this pull's registry.
    pub(super) fn new(source: String) -> Self {
        Self {
            source,
            begun: None,
            step_begun: Instant::now(),
            step_bytes: 0,
        }
    }

    /// Waits until the lock is free, or its holder makes no progress.
    pub(super) async fn wait(
        &mut self,
        store: &Store,
        artifact: &Artifact,
    ) -> Result<Waited, PullError> {
        self.begun.get_or_insert_with(Instant::now);
        self.step_begun = Instant::now();
        self.step_bytes = 0;
        let mut pause = FIRST_PAUSE;
        loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            let (store, artifact) = (store.clone(), artifact.clone());
            let seen = blocking(move || look(&store, artifact.lock_on())).await?;
            match seen {
                Seen::Free => return Ok(Waited::Free),
                Seen::Held(report) if self.is_worth_it(Instant::now(), report.as_ref()) => {}
                Seen::Held(_) => return Ok(Waited::NoProgress),
            }
        }
    }

    /// Returns whether to continue waiting for a holder with this report.
    fn is_worth_it(&mut self, now: Instant, report: Option<&Report>) -> bool {
        let in_all = now.duration_since(*self.begun.get_or_insert(now));
        let Some(report) = report else {
            return in_all < OTHER_SOURCE;
        };
        // A holder that starts over, or another one, begins a new step.
        let has_advanced = report.bytes >= self.step_bytes.saturating_add(STEP_BYTES);
        if has_advanced || report.bytes < self.step_bytes {
            self.step_begun = now;
            self.step_bytes = report.bytes;
        }
        let in_step = now.duration_since(self.step_begun);
        if report.bytes >= report.total_bytes {
            in_step < LOCAL_WORK
        } else if report.source == self.source {
            in_step < STEP_TIMEOUT
        } else {
            in_all < OTHER_SOURCE
        }
    }
}

#[derive(Debug)]
enum Seen {
    Free,
    Held(Option<Report>),
}

fn look(store: &Store, on: LockOn<'_>) -> Result<Seen, PullError> {
    if store.try_lock(on)?.is_some() {
        return Ok(Seen::Free);
    }
    let line = store.lock_report(on)?;
    Ok(Seen::Held(line.and_then(|line| Report::parse(&line))))
}

/// An artifact that several pulls may build at once.
#[derive(Clone, Debug)]
pub(super) enum Artifact {
    /// The layer of this diff_id.
    Layer(Digest),
    Disk(DiskKey),
}

impl Artifact {
    fn lock_on(&self) -> LockOn<'_> {
        match self {
            Self::Layer(diff_id) => LockOn::Layer(diff_id),
            Self::Disk(key) => LockOn::Disk(key),
        }
    }

    /// Takes the artifact's lock; `None` if another pull holds it. Blocks on file I/O.
    pub(super) fn try_lock(&self, store: &Store) -> Result<Option<Lock>, PullError> {
        let lock = store.try_lock(self.lock_on())?;
        if let Some(lock) = &lock {
            lock.clear_report()?;
        }
        Ok(lock)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(bytes: u64, source: &str) -> Report {
        Report {
            bytes,
            total_bytes: 100 << 20,
            source: source.into(),
        }
    }

    /// How many seconds a pull waits for a holder with these reports, one a second; `None` for more than ten minutes.
    fn seconds(report_at: impl Fn(u64) -> Option<Report>) -> Option<u64> {
        let mut waiting = Waiting::new("ours".into());
        let begun = Instant::now();
        (0..600).find(|&second| {
            let now = begun + Duration::from_secs(second);
            if second == 0 {
                waiting.step_begun = now;
            }
            !waiting.is_worth_it(now, report_at(second).as_ref())
        })
    }

    #[test]
    fn a_holder_that_drips_or_reports_nothing_is_not_waited_for() {
        assert_eq!(seconds(|_| None), Some(3));
        assert_eq!(seconds(|second| Some(report(second, "ours"))), Some(4));
        assert_eq!(seconds(|second| Some(report(second, "other"))), Some(3));
        // Its registry may be as fast as ours, and then both take the same time.
        let fast = |second| Some(report(second << 20, "other"));
        assert_eq!(seconds(fast), Some(3));
    }

    #[test]
    fn a_holder_that_downloads_from_the_same_registry_is_waited_for() {
        // 50 kB/s is not slow.
        assert_eq!(
            seconds(|second| Some(report(second * 50_000, "ours"))),
            None
        );
        // It starts over now and then.
        let again = |second| Some(report((second % 10) * 50_000, "ours"));
        assert_eq!(seconds(again), None);
    }

    #[test]
    fn a_holder_that_has_all_bytes_gets_a_minute_to_write_them() {
        assert_eq!(seconds(|_| Some(Report::only_local_work())), Some(60));
        let downloaded = |second: u64| {
            let bytes = second.min(2) * (50 << 20);
            Some(report(bytes, "other"))
        };
        assert_eq!(seconds(downloaded), Some(62));
    }

    #[tokio::test]
    async fn a_wait_for_a_lock_leaves_the_executor_free() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let artifact = Artifact::Layer(Digest::sha256_of(b"a"));
        let held = artifact.try_lock(&store).unwrap().unwrap();
        assert!(artifact.try_lock(&store).unwrap().is_none());
        let mut waiting = Waiting::new("ours".into());
        // On the one thread of this runtime: the lock is released only if the wait lets this future run.
        let release = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(held);
        };
        let (waited, ()) = tokio::join!(waiting.wait(&store, &artifact), release);
        assert!(matches!(waited.unwrap(), Waited::Free));
    }
}
