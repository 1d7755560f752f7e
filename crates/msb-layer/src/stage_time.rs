use std::time::{Duration, Instant};

use msb_oci::Digest;

/// Measures what a stage's thread spends its time on, and reports it in one event of level `TRACE` at the end of the stage.
///
/// A clock reading takes some 30 ns, a piece of data some 100 µs or more, so it is always on.
///
/// The event's target is `msb_layer::stage`. Its fields are `layer` (the diff_id), `stage` (`inflate`, `hash` or `write`) and,
/// in nanoseconds, `wall` and its parts `input` and `output` (waiting for other stages), `part` (writing the partial blob) and
/// `tail` (after the last byte of input). The remaining time is the stage's own work.
#[derive(Debug)]
pub(crate) struct StageTime {
    stage: &'static str,
    layer: Digest,
    start: Instant,
    input: Duration,
    output: Duration,
    part: Duration,
    ended: Option<Instant>,
}

impl StageTime {
    pub(crate) fn start(stage: &'static str, layer: &Digest) -> Self {
        Self {
            stage,
            layer: *layer,
            start: Instant::now(),
            input: Duration::ZERO,
            output: Duration::ZERO,
            part: Duration::ZERO,
            ended: None,
        }
    }

    /// Measures waiting for the previous stage.
    pub(crate) fn input<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        timed(&mut self.input, wait)
    }

    /// Measures waiting for the next stages.
    pub(crate) fn output<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        timed(&mut self.output, wait)
    }

    pub(crate) fn partial_blob<T>(&mut self, work: impl FnOnce() -> T) -> T {
        timed(&mut self.part, work)
    }

    pub(crate) fn end_of_input(&mut self) {
        self.ended = Some(Instant::now());
    }

    pub(crate) fn report(&self) {
        let tail = self.ended.map_or(Duration::ZERO, |ended| ended.elapsed());
        tracing::trace!(
            target: "msb_layer::stage",
            layer = %self.layer,
            stage = self.stage,
            wall = nanos(self.start.elapsed()),
            input = nanos(self.input),
            output = nanos(self.output),
            part = nanos(self.part),
            tail = nanos(tail),
        );
    }
}

fn timed<T>(sum: &mut Duration, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    *sum += start.elapsed();
    result
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
