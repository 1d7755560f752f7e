//! One process of the herd: this test binary, run again with a job.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use microsandbox_image::{
    CacheError, CacheOptions, Digest, GlobalCache, Platform, PullError, PullOptions, PullResult,
    Reference, Registry,
};
use serde_json::{Value, json};

use crate::random::Random;
use crate::{HOLDERS, PROCESSES};

const JOB: &str = "MSB_HERD_JOB";

/// What all processes of the herd do.
pub(crate) struct Herd {
    pub(crate) cache: PathBuf,
    pub(crate) references: Vec<String>,
    /// The digest of each image's disk.
    pub(crate) digests: Vec<String>,
    pub(crate) max_bytes: u64,
    /// For each process.
    pub(crate) operations: usize,
}

/// What a process did.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) pulls: u64,
    /// Pulls from the cache alone.
    pub(crate) cached: u64,
    /// Disks that were leased for several operations.
    pub(crate) held: u64,
    /// Pulls that failed because leases hold the budget.
    pub(crate) unmet: u64,
}

impl Report {
    pub(crate) fn parse(output: &[u8]) -> Self {
        let text = String::from_utf8_lossy(output);
        let line = text.lines().find_map(|line| line.strip_prefix('@'));
        let value: Value = serde_json::from_str(line.expect("a report")).unwrap();
        let number = |key: &str| value[key].as_u64().unwrap();
        Self {
            pulls: number("pulls"),
            cached: number("cached"),
            held: number("held"),
            unmet: number("unmet"),
        }
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            pulls: self.pulls + other.pulls,
            cached: self.cached + other.cached,
            held: self.held + other.held,
            unmet: self.unmet + other.unmet,
        }
    }
}

impl Herd {
    /// Starts all processes. Their changes of the cache are logged to `log`.
    pub(crate) fn start(&self, folder: &Path, log: &Path) -> Vec<Child> {
        let start = |number: usize| {
            let job = folder.join(format!("job{number}"));
            let text = json!({
                "number": number,
                "cache": self.cache,
                "references": self.references,
                "digests": self.digests,
                "max_bytes": self.max_bytes,
                "operations": self.operations,
            });
            fs::write(&job, text.to_string()).unwrap();
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "process::child", "--nocapture"])
                .env(JOB, job)
                .env("MSB_STORE_CRASH_LOG", log)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        (0..PROCESSES).map(start).collect()
    }
}

/// Returns the digest of all bytes of a disk.
pub(crate) fn disk_digest(result: &PullResult) -> String {
    let mut bytes = Vec::new();
    for extent in &result.extents {
        File::open(&extent.path)
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
    }
    Digest::sha256_of(&bytes).to_string()
}

/// The files of a leased disk.
struct Held {
    result: PullResult,
    inodes: Vec<u64>,
    until: usize,
}

fn inodes(result: &PullResult) -> Vec<u64> {
    let paths = result.extents.iter().map(|extent| &extent.path);
    let all = paths.chain([&result.vmdk]);
    all.map(|path| fs::metadata(path).unwrap().ino()).collect()
}

#[tokio::test]
async fn child() {
    let Some(job) = std::env::var_os(JOB) else {
        return;
    };
    let job: Value = serde_json::from_slice(&fs::read(job).unwrap()).unwrap();
    let texts = |key: &str| -> Vec<String> {
        let all = job[key].as_array().unwrap().iter();
        all.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let number = usize::try_from(job["number"].as_u64().unwrap()).unwrap();
    let operations = usize::try_from(job["operations"].as_u64().unwrap()).unwrap();
    let (references, digests) = (texts("references"), texts("digests"));
    let mut options = CacheOptions::default();
    options.max_bytes = job["max_bytes"].as_u64();
    options.budget_grace = Some(Duration::ZERO);
    let cache = GlobalCache::with_options(job["cache"].as_str().unwrap(), options).unwrap();
    let registry = Registry::new(Platform::new("linux", "amd64"), cache).unwrap();

    let mut random = Random::new(number as u64 + 1);
    let mut report = Report::default();
    let mut held: Option<Held> = None;
    for operation in 0..operations {
        // Of one image, so that others fit in the budget.
        let is_holder = number < HOLDERS && operation % 4 == 0;
        let count = if is_holder { 1 } else { references.len() };
        let image = random.below(count);
        let reference: Reference = references[image].parse().unwrap();
        match registry.pull(&reference, &PullOptions::default()).await {
            Ok(result) => {
                report.pulls += 1;
                report.cached += u64::from(result.cached);
                assert_eq!(disk_digest(&result), digests[image]);
                if is_holder && held.is_none() {
                    report.held += 1;
                    let inodes = inodes(&result);
                    let until = operation + 3 + random.below(8);
                    held = Some(Held {
                        result,
                        inodes,
                        until,
                    });
                }
            }
            Err(PullError::Cache(CacheError::Budget { .. })) => report.unmet += 1,
            Err(error) => panic!("{reference}: {error:?}"),
        }
        if let Some(leased) = held.take_if(|held| held.until <= operation) {
            assert_eq!(
                inodes(&leased.result),
                leased.inodes,
                "a leased file was lost"
            );
        }
    }
    if let Some(leased) = held {
        assert_eq!(
            inodes(&leased.result),
            leased.inodes,
            "a leased file was lost"
        );
    }
    let Report {
        pulls,
        cached,
        held,
        unmet,
    } = report;
    let text = json!({ "pulls": pulls, "cached": cached, "held": held, "unmet": unmet });
    println!("\n@{text}");
}
