//! The part `interop` of soak: our images in foreign readers and foreign images in our reader, with many random cases.

use std::error::Error;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::{Outcome, cargo, setup, tests};

/// The number of random cases.
#[derive(Debug)]
pub(crate) struct InteropOptions {
    /// Random stacks that are merged and compared with the naive model. A twentieth of them is also made into disks and unpacked
    /// by umoci.
    pub(crate) stacks: u32,
    /// The seed of the random stacks.
    pub(crate) seed: u64,
}

/// A result, its oracle, and the test target that compares them.
struct Pair {
    made: &'static str,
    oracle: &'static str,
    package: &'static str,
    target: &'static str,
    /// Whether the target prints how often each case occurred.
    has_histogram: bool,
}

const PAIRS: &[Pair] = &[
    Pair {
        made: "random stacks, merged",
        oracle: "a naive model",
        package: "fs-tree",
        target: "merge_equals_model",
        has_histogram: true,
    },
    Pair {
        made: "random stacks, tar to disk",
        oracle: "the model, umoci, the kernel",
        package: "integration-tests",
        target: "stacks",
        has_histogram: true,
    },
    Pair {
        made: "layers and disks",
        oracle: "fsck.erofs, the kernel, an overlay",
        package: "msb-layer",
        target: "layers",
        has_histogram: false,
    },
    Pair {
        made: "images of erofs-writer",
        oracle: "the kernel",
        package: "erofs-writer",
        target: "kernel",
        has_histogram: false,
    },
    Pair {
        made: "images of mkfs.erofs",
        oracle: "erofs-reader",
        package: "erofs-reader",
        target: "mkfs",
        has_histogram: false,
    },
    Pair {
        made: "VMDK descriptors",
        oracle: "QEMU, imago",
        package: "msb-stitch",
        target: "vmdk",
        has_histogram: false,
    },
];

/// The result of one test target.
struct Verdict {
    passed: usize,
    is_ok: bool,
    elapsed: Duration,
}

/// Runs the test target of every pair, prints the histograms of the random ones, and ends with a table.
pub(crate) fn interop(options: &InteropOptions, out: &mut dyn Write) -> Outcome {
    setup::setup(out)?;
    let mut verdicts = Vec::new();
    for pair in PAIRS {
        writeln!(out, "\n==> {}: {}", pair.made, pair.oracle)?;
        out.flush()?;
        verdicts.push(verdict(pair, options, out)?);
    }
    writeln!(out)?;
    for (pair, verdict) in PAIRS.iter().zip(&verdicts) {
        writeln!(
            out,
            "{:<28} {:<36} {:>3} tests {:>7.1} s  {}",
            pair.made,
            pair.oracle,
            verdict.passed,
            verdict.elapsed.as_secs_f64(),
            if verdict.is_ok { "pass" } else { "FAIL" }
        )?;
    }
    let failed: Vec<&str> = PAIRS
        .iter()
        .zip(&verdicts)
        .filter(|(_, verdict)| !verdict.is_ok)
        .map(|(pair, _)| pair.made)
        .collect();
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", failed.join(", ")).into())
    }
}

fn verdict(
    pair: &Pair,
    options: &InteropOptions,
    out: &mut dyn Write,
) -> Result<Verdict, Box<dyn Error>> {
    let start = Instant::now();
    let mut command = cargo::cargo();
    command
        .args(["test", "--package", pair.package, "--test", pair.target])
        .env("PATH", tests::path()?)
        .env("FS_TREE_STACKS", options.stacks.to_string())
        .env("FS_TREE_SEED", options.seed.to_string())
        .env("STACKS_UMOCI", (options.stacks / 20).to_string())
        .env("STACKS_SEED", options.seed.to_string())
        .stderr(Stdio::inherit());
    if pair.has_histogram {
        command.args(["--", "--nocapture"]);
    }
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if pair.has_histogram || !output.status.success() {
        out.write_all(&output.stdout)?;
    }
    Ok(Verdict {
        passed: text.lines().filter_map(passed).sum(),
        is_ok: output.status.success(),
        elapsed: start.elapsed(),
    })
}

/// Returns the number of passed tests in the result line of a test binary.
fn passed(line: &str) -> Option<usize> {
    let rest = line.strip_prefix("test result: ")?;
    let (_, counts) = rest.split_once(". ")?;
    counts.split_once(" passed")?.0.parse().ok()
}

#[cfg(test)]
mod check {
    #[test]
    fn passed_tests_are_read_from_the_result() {
        let line = "test result: ok. 13 passed; 0 failed; 0 ignored; 0 measured";
        assert_eq!(super::passed(line), Some(13));
        let line = "test result: FAILED. 2 passed; 1 failed; 0 ignored";
        assert_eq!(super::passed(line), Some(2));
        assert_eq!(super::passed("test a ... ok"), None);
    }
}
