use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use msb_oci::Digest;
use msb_store::Lock;

use super::blocking::blocking;
use crate::source::ImageSource;

/// How often the holder of a lock reports.
const INTERVAL: Duration = Duration::from_millis(500);

/// What the holder of a lock has done, for other pulls that wait for the same artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    /// Bytes of the blob that were processed.
    pub(super) bytes: u64,
    /// Bytes that the blob has. When all of them were processed, only work on this machine remains.
    pub(super) total_bytes: u64,
    /// Where they come from; see [`origin_name`].
    pub(super) source: String,
}

impl Report {
    /// Returns the report of a holder that no longer depends on a source.
    pub(super) fn only_local_work() -> Self {
        Self {
            bytes: 0,
            total_bytes: 0,
            source: "-".into(),
        }
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let report = Self {
            bytes: words.next()?.parse().ok()?,
            total_bytes: words.next()?.parse().ok()?,
            source: words.next()?.to_owned(),
        };
        words.next().is_none().then_some(report)
    }

    pub(super) fn to_line(&self) -> String {
        format!("{} {} {}", self.bytes, self.total_bytes, self.source)
    }
}

/// Returns a short name for the origin of a source, which does not disclose it.
pub(super) fn origin_name(source: &dyn ImageSource) -> String {
    let digest = Digest::sha256_of(source.origin().as_bytes());
    digest.hex()[..16].to_owned()
}

/// Reports the progress of a download under its lock.
#[derive(Debug)]
pub(super) struct Reporter {
    /// `None` where the pull works without the lock, because its holder makes no progress.
    pub(super) lock: Option<Arc<Lock>>,
    pub(super) processed: Arc<AtomicU64>,
    pub(super) total_bytes: u64,
    pub(super) source: String,
}

impl Reporter {
    /// Runs `work` to its end, and reports meanwhile.
    pub(super) async fn during<T>(self, work: impl Future<Output = T>) -> T {
        let Some(lock) = self.lock else {
            return work.await;
        };
        let (processed, total_bytes, source) = (self.processed, self.total_bytes, self.source);
        let reports = async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                let report = Report {
                    bytes: processed.load(Ordering::Relaxed),
                    total_bytes,
                    source: source.clone(),
                };
                let lock = Arc::clone(&lock);
                let reported = blocking(move || Ok(lock.report(&report.to_line())?)).await;
                if let Err(error) = reported {
                    // Waiting pulls may then do the same work, which costs time and nothing else.
                    tracing::debug!(%error, "the progress of a layer cannot be reported");
                }
            }
        };
        match select(pin!(work), pin!(reports)).await {
            Either::Left((done, _)) => done,
            Either::Right((never, _)) => match never {},
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written_and_anything_else_is_none() {
        let report = Report {
            bytes: u64::MAX,
            total_bytes: u64::MAX,
            source: "0123456789abcdef".into(),
        };
        let line = report.to_line();
        assert!(line.len() < 64, "{line}");
        assert_eq!(Report::parse(&line), Some(report));
        for line in ["", "1", "1 2", "1 2 a b", "-1 2 a", "x 2 a"] {
            assert_eq!(Report::parse(line), None, "{line}");
        }
    }
}
