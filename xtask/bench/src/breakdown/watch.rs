use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

use crate::BenchError;

/// What a layer's stages tell at their end.
pub(super) const STAGE: &str = "msb_layer::stage";
/// What the building of the disk tells.
pub(super) const DISK: &str = "microsandbox_image::disk";

/// Keeps the events of the pull in this process.
#[derive(Debug, Clone, Default)]
pub(super) struct Watch {
    marks: Arc<Mutex<Vec<Mark>>>,
}

/// An event: when, what, and what its thread had of the processor until then.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) at: Instant,
    pub(super) target: &'static str,
    pub(super) texts: BTreeMap<&'static str, String>,
    pub(super) times: BTreeMap<&'static str, Duration>,
    pub(super) thread_cpu: Duration,
}

impl Mark {
    pub(super) fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    pub(super) fn time(&self, name: &str) -> Duration {
        self.times.get(name).copied().unwrap_or_default()
    }
}

impl Watch {
    /// Takes over the process's tracing.
    pub(super) fn start() -> Result<Watch, BenchError> {
        let watch = Watch::default();
        tracing::subscriber::set_global_default(watch.clone()).map_err(|_| BenchError::Untold {
            what: "anything, because the process's tracing is taken",
        })?;
        Ok(watch)
    }

    pub(super) fn marks(&self) -> Vec<Mark> {
        let marks = self.marks.lock();
        marks.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Subscriber for Watch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && [STAGE, DISK].contains(&metadata.target())
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn event(&self, event: &Event<'_>) {
        let mut mark = Mark {
            at: Instant::now(),
            target: event.metadata().target(),
            texts: BTreeMap::new(),
            times: BTreeMap::new(),
            thread_cpu: thread_cpu(),
        };
        event.record(&mut mark);
        let marks = self.marks.lock();
        marks.unwrap_or_else(PoisonError::into_inner).push(mark);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Visit for Mark {
    fn record_u64(&mut self, field: &Field, nanos: u64) {
        self.times.insert(field.name(), Duration::from_nanos(nanos));
    }

    fn record_str(&mut self, field: &Field, text: &str) {
        self.texts.insert(field.name(), text.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.texts.insert(field.name(), format!("{value:?}"));
    }
}

/// Events are told on the thread that they are about.
#[cfg(target_os = "linux")]
fn thread_cpu() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike as _;
    getrusage(UsageWho::RUSAGE_THREAD).map_or(Duration::ZERO, |usage| {
        let micros = (usage.user_time() + usage.system_time()).num_microseconds();
        Duration::from_micros(u64::try_from(micros).unwrap_or_default())
    })
}

/// Only Linux tells a thread's share.
#[cfg(not(target_os = "linux"))]
fn thread_cpu() -> Duration {
    Duration::ZERO
}
