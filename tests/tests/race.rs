//! A process replaces the cache's files and directories by links, fifos and hard links while pulls, prunes and verifications run.
//!
//! Nothing outside the cache changes, nothing hangs and nothing panics; errors are expected. The test runs for some seconds, or for
//! `MSB_SOAK_SECONDS`.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics, and prints what it saw"
)]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use common::{docker_registry, push, registry_in};
use microsandbox_image::{GlobalCache, PruneOptions, PullOptions, PullPolicy, Reference};
use msb_testkit::image::{ImageBuilder, Layer};
use rustix::fs::{CWD, FileType, Mode, RenameFlags};

const SWAPPER: &str = "MSB_RACE_SWAPPER";
/// Timeout of each step, with room for a busy machine.
const STEP_LIMIT: Duration = Duration::from_secs(60);

fn seconds() -> u64 {
    let seconds = std::env::var("MSB_SOAK_SECONDS").ok();
    seconds.map_or(5, |seconds| seconds.parse().unwrap())
}

/// Lists every path below `at`, directories first, without following links.
fn paths(at: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(at).into_iter().flatten().flatten() {
        let path = entry.path();
        if path
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_dir())
        {
            found.push(path.clone());
            paths(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Runs as the helper process: replaces files and restores them until it is killed. It does nothing in the test run itself.
#[test]
fn swapper() {
    let Some(folder) = std::env::var_os(SWAPPER) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let (cache, outside) = (folder.join("cache"), folder.join("outside"));
    let aside = folder.join("aside");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below.max(1) as u64).unwrap()
    };
    loop {
        let mut found = Vec::new();
        paths(&cache, &mut found);
        if found.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        let path = found[next(found.len())].clone();
        let _ = std::fs::remove_file(&aside);
        let is_dir = path
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_dir());
        let _ = match next(4) {
            0 => symlink(
                if is_dir {
                    outside.join("dir")
                } else {
                    outside.join("file")
                },
                &aside,
            ),
            1 => rustix::fs::mknodat(CWD, &aside, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
                .map_err(Into::into),
            2 => std::fs::hard_link(outside.join("file"), &aside),
            _ => symlink(&outside, &aside),
        };
        // An atomic exchange: a reader always finds one of the two.
        let swap = |a: &Path, b: &Path| {
            rustix::fs::renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok()
        };
        // Some pulls succeed too.
        std::thread::sleep(Duration::from_micros(200 + next(4000) as u64));
        if swap(&aside, &path) {
            for _ in 0..next(3) {
                std::thread::yield_now();
            }
            if next(8) != 0 || is_dir {
                swap(&aside, &path);
            } else {
                // It stays.
                let _ = std::fs::remove_file(&aside);
            }
        }
    }
}

struct Swapper(Child);

impl Drop for Swapper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns inode, permissions, mtime and bytes of everything outside. The helper changes link counts and ctimes.
fn snapshot(outside: &Path) -> BTreeMap<PathBuf, (u64, u32, SystemTime, Vec<u8>)> {
    let mut found = vec![outside.to_owned()];
    paths(outside, &mut found);
    found
        .into_iter()
        .map(|path| {
            let metadata = path.symlink_metadata().unwrap();
            let bytes = std::fs::read(&path).unwrap_or_default();
            let seen = (
                metadata.ino(),
                metadata.mode(),
                metadata.modified().unwrap(),
                bytes,
            );
            (path, seen)
        })
        .collect()
}

/// Creates names as in the cache, and files that a prune or a sweep would remove, in a directory outside the cache.
fn fill(outside: &Path, cache: &Path) {
    let dir = outside.join("dir");
    std::fs::create_dir_all(dir.join("sha256")).unwrap();
    std::fs::write(outside.join("file"), "a file of another program").unwrap();
    let mut found = Vec::new();
    paths(cache, &mut found);
    let names = found.iter().filter_map(|path| path.file_name());
    for name in names.filter(|name| *name != "sha256") {
        for dir in [outside.to_owned(), dir.clone(), dir.join("sha256")] {
            let path = dir.join(name);
            if !path.exists() {
                std::fs::write(&path, "a file of another program").unwrap();
            }
            let temporary = format!(".tmp-1-0123456789abcdef.{}", name.to_string_lossy());
            std::fs::write(dir.join(temporary), "a file of another program").unwrap();
        }
    }
    let mut all = Vec::new();
    paths(outside, &mut all);
    let long_ago = SystemTime::now() - Duration::from_secs(1 << 20);
    for path in all {
        std::fs::File::open(path)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_outside_the_cache_changes_while_its_files_are_swapped() {
    let registry = docker_registry();
    let layer = |seed: u32| {
        let recipe = format!(
            "file l{seed} size={} seed={seed}\ndir d{seed}",
            9_000_000 + seed
        );
        Layer::recipe(&recipe).gzip()
    };
    let small = |seed: u32| Layer::recipe(&format!("file s{seed} size=5000 seed={seed}")).gzip();
    push(
        &registry,
        "a",
        &ImageBuilder::new().layer(small(1)).layer(small(2)),
    );
    push(
        &registry,
        "b",
        &ImageBuilder::new().layer(small(1)).layer(layer(3)),
    );
    let references: Vec<Reference> = ["a", "b"]
        .map(|name| format!("{}/{name}:t", registry.host()).parse().unwrap())
        .into();

    let folder = tempfile::tempdir().unwrap();
    let (cache, outside) = (folder.path().join("cache"), folder.path().join("outside"));
    for reference in &references {
        registry_in(&cache)
            .pull(reference, &PullOptions::default())
            .await
            .unwrap();
    }
    fill(&outside, &cache);
    let before = snapshot(&outside);
    let swapper = Swapper(
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "swapper", "--nocapture"])
            .env(SWAPPER, folder.path())
            .spawn()
            .unwrap(),
    );

    let end = Instant::now() + Duration::from_secs(seconds());
    let counts: [AtomicU64; 4] = Default::default();
    let puller = |policy, force, count: usize| {
        let (cache, references, counts) = (cache.clone(), &references, &counts);
        async move {
            while Instant::now() < end {
                for reference in references {
                    let options = PullOptions {
                        pull_policy: policy,
                        force,
                        ..Default::default()
                    };
                    let registry = registry_in(&cache);
                    let pull = registry.pull(reference, &options);
                    let pulled = tokio::time::timeout(STEP_LIMIT, pull).await;
                    let pulled = pulled.expect("a pull hangs");
                    counts[count].fetch_add(u64::from(pulled.is_ok()), Ordering::Relaxed);
                    counts[3].fetch_add(u64::from(pulled.is_err()), Ordering::Relaxed);
                }
            }
        }
    };
    let janitor = {
        let (cache, references, counts) = (cache.clone(), &references, &counts);
        async move {
            while Instant::now() < end {
                let (cache, reference) = (cache.clone(), references[0].clone());
                let step = tokio::task::spawn_blocking(move || {
                    let cache = GlobalCache::new(&cache).unwrap();
                    let mut options = PruneOptions::with_grace(Duration::ZERO);
                    options.remove_corrupt_records = true;
                    let pruned = cache.prune(&options);
                    let _ = cache.images();
                    let platform = microsandbox_image::Platform::new("linux", "amd64");
                    if let Ok(image) = cache.image(&reference, &platform) {
                        let _ = image.verify(true);
                        let _ = image.open_tree();
                    }
                    let _ = cache.remove(&reference, &platform);
                    pruned.is_ok()
                });
                let done = tokio::time::timeout(STEP_LIMIT, step)
                    .await
                    .expect("a prune or verify hangs");
                counts[2].fetch_add(u64::from(done.unwrap()), Ordering::Relaxed);
            }
        }
    };
    tokio::join!(
        puller(PullPolicy::IfMissing, false, 0),
        puller(PullPolicy::Always, true, 1),
        janitor
    );
    drop(swapper);
    let [warm, forced, prunes, errors] = counts.map(AtomicU64::into_inner);
    println!("{warm} pulls, {forced} forced pulls, {prunes} prunes; {errors} pulls failed");
    assert_eq!(snapshot(&outside), before);

    // Files that stay replaced are rebuilt or reported.
    let pulled = registry_in(&cache)
        .pull(&references[0], &PullOptions::default())
        .await;
    if let Err(error) = pulled {
        assert!(error.to_string().contains("cache"), "{error}");
    }
}
