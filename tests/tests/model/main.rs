//! Random sequences of operations on one cache, compared with a model of it after each step.
//!
//! ```text
//!   pull, killed pull, rm, prune, budget, pin, lease, damage, repair ──▶ the cache ──▶ pull --policy never ──┐
//!                                                           └────▶ the model ──▶ cached, absent, unsure ─┴─▶ must agree
//! ```
//!
//! An image that is served has the bytes that a pull into an empty cache gives. The number of steps is 100, or `MSB_MODEL_STEPS`; the
//! seed is `MSB_MODEL_SEED`, and a failure prints both.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics, and prints its figures"
)]

#[path = "../common/mod.rs"]
mod common;
mod images;
mod model;
mod random;
mod steps;

use images::Images;
use model::Model;
use random::Random;
use steps::Step;

fn variable(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn the_cache_agrees_with_the_model_after_every_step() {
    let (steps, seed) = (
        variable("MSB_MODEL_STEPS", 100),
        variable("MSB_MODEL_SEED", 1),
    );
    let images = Images::new();
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(seed);
    let mut model = Model::new(&images, &folder.path().join("cache"));
    let mut history = Vec::new();
    for number in 1..=steps {
        let step = Step::choose(&model, &mut random);
        history.push(step);
        let recent = &history[history.len().saturating_sub(12)..];
        let context = || format!("seed {seed}, step {number} of {steps}, the last of {recent:?}");
        model.apply(step, &mut random, &context);
        model.check(&context);
    }
    println!("{steps} steps of seed {seed}: {}", model.figures());
    assert!(
        model.is_exercised() || steps < 100,
        "the steps left a kind of operation out: {}",
        model.figures()
    );
}
