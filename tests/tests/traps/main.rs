//! One test for each file of `tests/traps`, named as the clause that it holds: `cargo test -p integration-tests --test traps
//! -- --exact layers/whiteout-lower-only` runs one. `tests/traps/clauses.md` lists the clauses, `cargo xtask traps` holds it
//! against the files. The tests named `judges/...` show each judge to fail.
//!
//! ```text
//! # An opaque marker hides nothing that comes in its own layer.       the clause, then more comments
//! --- plain                                                           layers, bottom to top, see `trap`
//! dir d
//! file d/old size=10
//! --- gzip members piece=1
//! opaque d
//! === tree                                                            the merged tree, see `tree`
//! dir / mtime=0
//! dir /d
//! === notes                                                           what the layers tell of, see `notes`
//! === overlay                                                         an overlay of the layer images is that tree too
//! === error                                                           instead of a tree, see `judge`
//! ```
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(target_os = "linux")]
mod judge;
#[cfg(target_os = "linux")]
mod notes;
#[cfg(target_os = "linux")]
mod self_test;
#[cfg(target_os = "linux")]
mod trap;
#[cfg(target_os = "linux")]
mod tree;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let mut trials: Vec<libtest_mimic::Trial> = trap::all()
        .unwrap()
        .into_iter()
        .map(|(name, path)| {
            libtest_mimic::Trial::test(name, move || Ok(judge::judge(&trap::Trap::read(&path)?)?))
        })
        .collect();
    trials.extend(self_test::trials());
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), trials).exit_code()
}

/// Mounts and the oracles are Linux's.
#[cfg(not(target_os = "linux"))]
fn main() {}
