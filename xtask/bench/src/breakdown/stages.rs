use std::time::Duration;

use super::watch::{Mark, STAGE};

/// The threads of one stage, over all layers.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StageSum {
    /// `inflate`, `hash` or `write`.
    pub stage: &'static str,
    /// Threads.
    pub threads: usize,
    /// From their first line to their last.
    pub wall: Duration,
    /// Of it, waiting for the stage before.
    pub input: Duration,
    /// Of it, waiting for the stages behind.
    pub output: Duration,
    /// Of it, writing the part file.
    pub part: Duration,
    /// Of it, after the last byte of input.
    pub tail: Duration,
    /// What they had of the processor.
    pub cpu: Duration,
}

/// Sums the stages of all layers.
pub(super) fn sums(marks: &[Mark]) -> Vec<StageSum> {
    let of = |stage| {
        let mut sum = StageSum {
            stage,
            ..StageSum::default()
        };
        let is_of = |mark: &&Mark| mark.target == STAGE && mark.text("stage") == stage;
        for mark in marks.iter().filter(is_of) {
            sum.threads += 1;
            sum.wall += mark.time("wall");
            sum.input += mark.time("input");
            sum.output += mark.time("output");
            sum.part += mark.time("part");
            sum.tail += mark.time("tail");
            sum.cpu += mark.thread_cpu;
        }
        sum
    };
    ["inflate", "hash", "write"].map(of).into()
}
