//! One test for each file of `tests/conformance`, named as the clause that it holds: `cargo test -p integration-tests --test conformance
//! -- --exact layers/whiteout-lower-only` runs one. `tests/conformance/clauses.md` lists the clauses, `tests/tests/clauses` compares it
//! with the files. The tests named `oracles/...` show each oracle to fail.
//!
//! ```text
//! # An opaque marker hides nothing that comes in its own layer.       the clause, then more comments
//! --- plain                                                           layers, bottom to top, see `recipe`
//! dir d
//! file d/old size=10
//! --- gzip members piece=1
//! opaque d
//! === tree                                                            the merged tree, see `tree`
//! dir / mtime=0
//! dir /d
//! === notes                                                           the fidelity notes of the layers, see `notes`
//! === overlay                                                         an overlay of the layer images has that tree too
//! === error                                                           instead of a tree, see `oracles`
//! ```
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(target_os = "linux")]
mod notes;
#[cfg(target_os = "linux")]
mod oracles;
#[cfg(target_os = "linux")]
mod recipe;
#[cfg(target_os = "linux")]
mod self_test;
#[cfg(target_os = "linux")]
mod tree;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let mut trials: Vec<libtest_mimic::Trial> = recipe::all()
        .unwrap()
        .into_iter()
        .map(|(name, path)| {
            libtest_mimic::Trial::test(name, move || {
                Ok(oracles::verify(&recipe::Recipe::read(&path)?)?)
            })
        })
        .collect();
    trials.extend(self_test::trials());
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}

/// Mounts and oracles exist on Linux only.
#[cfg(not(target_os = "linux"))]
fn main() {}
