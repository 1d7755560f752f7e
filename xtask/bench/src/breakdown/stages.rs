use std::time::Duration;

use super::watch::{Mark, STAGE};

/// The threads of one stage, over all layers.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StageTotals {
    /// `inflate`, `hash` or `write`.
    pub stage: &'static str,
    /// The number of threads.
    pub threads: usize,
    /// The total time of the threads from their first line to their last.
    pub wall: Duration,
    /// The part of it spent waiting for the stage before.
    pub input: Duration,
    /// The part of it spent waiting for the stages after.
    pub output: Duration,
    /// The part of it spent writing the partial blob.
    pub part: Duration,
    /// The part of it after the last byte of input.
    pub tail: Duration,
    /// The CPU time of the threads.
    pub cpu: Duration,
}

/// Adds up the stages of all layers.
pub(super) fn totals(marks: &[Mark]) -> Vec<StageTotals> {
    let of = |stage| {
        let mut totals = StageTotals {
            stage,
            ..StageTotals::default()
        };
        let is_of = |mark: &&Mark| mark.target == STAGE && mark.text("stage") == stage;
        for mark in marks.iter().filter(is_of) {
            totals.threads += 1;
            totals.wall += mark.time("wall");
            totals.input += mark.time("input");
            totals.output += mark.time("output");
            totals.part += mark.time("part");
            totals.tail += mark.time("tail");
            totals.cpu += mark.thread_cpu;
        }
        totals
    };
    ["inflate", "hash", "write"].map(of).into()
}
