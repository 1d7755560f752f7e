//! Builds the targets with the stable compiler. LLVM's own options replace the nightly options of cargo-fuzz.

use std::error::Error;
use std::path::{Path, PathBuf};

use msb_testkit::oracle::{self, Tool};

use super::targets::Target;
use crate::{Outcome, cargo};

/// The purpose of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Runs under libFuzzer: counters at every edge, and the values of comparisons.
    Fuzz,
    /// Records which regions of the source the inputs reach.
    Coverage,
}

/// The built targets.
#[derive(Debug)]
pub(super) struct Build {
    folder: PathBuf,
}

const FUZZ: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // Comparisons of bytes stay calls, whose arguments libFuzzer records: magic numbers, keywords.
    "-Cllvm-args=-max-loads-per-memcmp=0",
    "-Ccodegen-units=1",
];
const COVERAGE: &[&str] = &["-Cinstrument-coverage"];
const BOTH: &[&str] = &["--cfg=fuzzing", "-Cdebug-assertions", "-Coverflow-checks"];

impl Build {
    /// Builds these targets.
    pub(super) fn new(kind: Kind, targets: &[Target]) -> Result<Self, Box<dyn Error>> {
        // libFuzzer comes as C++ source.
        oracle::find(Tool::CxxCompiler)?;
        let host = cargo::host()?;
        let (name, flags) = match kind {
            Kind::Fuzz => ("fuzz", FUZZ),
            Kind::Coverage => ("fuzz-coverage", COVERAGE),
        };
        let folder = cargo::target_folder()?.join(name);
        let mut command = cargo::cargo();
        command
            .args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml"])
            // With an explicit target, build scripts and procedural macros are built without the flags.
            .args(["--target", &host])
            .arg("--target-dir")
            .arg(&folder)
            .env("RUSTFLAGS", [flags, BOTH].concat().join(" "))
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        for target in targets {
            command.args(["--bin", target.name]);
        }
        cargo::run(&mut command)?;
        Ok(Self {
            folder: folder.join(host).join("release"),
        })
    }

    pub(super) fn program(&self, target: Target) -> PathBuf {
        self.folder.join(target.name)
    }
}

/// Writes the seeds, without instrumentation.
pub(super) fn seed(corpus: &Path) -> Outcome {
    oracle::find(Tool::CxxCompiler)?;
    let mut command = cargo::cargo();
    command
        .args(["run", "--quiet", "--manifest-path", "fuzz/Cargo.toml"])
        .args(["--features", "seed", "--bin", "seed", "--target-dir"])
        .arg(cargo::target_folder()?.join("fuzz"))
        .arg("--")
        .arg(corpus);
    cargo::run(&mut command)
}
