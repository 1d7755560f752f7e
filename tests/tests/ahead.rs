//! Layers are merged while they are made: whatever becomes of a layer or of the pull meanwhile, the disk is the one that a pull
//! without any mishap makes, or there is none.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::cell::OnceCell;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use common::{is_unpublished, pull, registry_in};
use microsandbox_image::{
    LayerError, ProgressReceiver, PullError, PullOptions, PullPolicy, PullProgress, PullResult,
    Reference,
};
use msb_testkit::fault_registry::{Fault, FaultRegistry};
use msb_testkit::image::{BuiltImage, ImageBuilder, Layer};
use tempfile::TempDir;
use tokio::runtime;
use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

/// Well beyond what any of it takes; only a hang takes longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Stands in a file so short that its data lies in the merged metadata.
const SHORT: &str = "the-data-of-a-short-file";

#[tokio::test]
async fn a_resumed_layer_that_was_read_and_is_wrong_starts_over_and_the_disk_is_right() {
    // Wrong at the bottom, below a layer that is right; and as the only layer.
    for has_upper in [true, false] {
        let big = Layer::recipe(&format!(
            "dir etc\nfile etc/short data={SHORT}\nfile big size={} seed=1\nlink etc/big target=big",
            5 << 20
        ))
        .plain();
        let blob = big.blob_bytes().unwrap().to_vec();
        let mut image = ImageBuilder::new().layer(big);
        if has_upper {
            image = image.layer(Layer::recipe("file etc/upper size=9000 seed=2").gzip());
        }
        let served = Served::new(&image);
        let clean = served.clean_fsmeta().await;
        let part = part_path(&served).await;
        let digest = &served.built.layer_digests[0];

        let short_at = find(&blob, SHORT.as_bytes());
        // In data that the merged metadata holds, and in data that it only points to.
        for wrong_at in [short_at, 3 << 20] {
            for kept in [blob.len() - 1000, blob.len()] {
                let what = format!("{has_upper} {wrong_at} {kept}");
                let cache = tempfile::tempdir().unwrap();
                let registry = registry_in(cache.path());
                let mut bytes = blob[..kept].to_vec();
                bytes[wrong_at] ^= 1;
                let part = cache.path().join(&part);
                std::fs::create_dir_all(part.parent().unwrap()).unwrap();
                std::fs::write(part, bytes).unwrap();
                served.registry.forget_requests();

                let (progress, task) =
                    registry.pull_with_progress(&served.reference, &PullOptions::default());
                let (events, result) = tokio::join!(all(progress), task);
                let result = result.unwrap().unwrap();

                let resumed: Vec<u64> = events
                    .iter()
                    .filter_map(|event| match event {
                        PullProgress::LayerStarted {
                            layer: 0,
                            resumed_bytes,
                            ..
                        } => Some(*resumed_bytes),
                        _ => None,
                    })
                    .collect();
                assert_eq!(resumed, [kept as u64, 0], "{what}");
                let asked = served.registry.requests();
                let from_the_start = asked
                    .iter()
                    .filter(|asked| asked.path.contains(digest) && asked.from == 0);
                assert_eq!(from_the_start.count(), 1, "{what}");
                assert!(
                    std::fs::read(&result.fsmeta).unwrap() == clean,
                    "{what}: other metadata"
                );
                result.prove(true).unwrap();
                no_temporaries(cache.path()).await;
            }
        }
    }
}

#[tokio::test]
async fn a_layer_that_is_not_what_the_config_names_leaves_no_disk() {
    let layers = [
        Layer::recipe("dir a\nfile a/short size=100 seed=1\nfile a/long size=90000 seed=2").gzip(),
        Layer::recipe("dir b\nfile b/short size=100 seed=3\nfile b/long size=90000 seed=4").plain(),
        Layer::recipe("whiteout a/short\nfile c size=50000 seed=5").zstd(),
    ];
    let image = |wrong: Option<usize>| {
        let other = Layer::recipe("dir other").diff_id().to_owned();
        let layers = layers.iter().cloned().enumerate();
        layers.fold(ImageBuilder::new(), |image, (index, layer)| {
            image.layer(if wrong == Some(index) {
                layer.with_diff_id(&other)
            } else {
                layer
            })
        })
    };
    let right = Served::new(&image(None));
    let clean = right.clean_fsmeta().await;
    for wrong in 0..layers.len() {
        let served = Served::new(&image(Some(wrong)));
        let cache = tempfile::tempdir().unwrap();
        let error = pull(cache.path(), &served.reference).await.unwrap_err();
        assert!(error.is_corrupt(), "{error}");
        match error {
            PullError::Layer { digest, source, .. } => {
                assert_eq!(digest.to_string(), served.built.layer_digests[wrong]);
                assert!(matches!(source, LayerError::DiffId { .. }), "{source}");
            }
            other => panic!("{other:?}"),
        }
        no_temporaries(cache.path()).await;
        assert_eq!(files(&cache.path().join("disks")), [] as [PathBuf; 0]);
        assert_eq!(files(&cache.path().join("images")), [] as [PathBuf; 0]);

        // The layers that were right, and are there perhaps, do for the right image.
        let result = pull(cache.path(), &right.reference).await.unwrap();
        assert!(std::fs::read(&result.fsmeta).unwrap() == clean);
        result.prove(true).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_is_aborted_after_its_last_layer_came_leaves_no_temporary_file() {
    let served = Served::new(&many_names());
    let cache = tempfile::tempdir().unwrap();
    let clean = served.clean_fsmeta().await;
    // How long it takes from there to the end.
    let (mut progress, task) =
        registry_in(cache.path()).pull_with_progress(&served.reference, &PullOptions::default());
    until_all_downloaded(&mut progress, &served).await;
    let begun = Instant::now();
    task.await.unwrap().unwrap();
    let whole = begun.elapsed();

    let mut ended = Vec::new();
    for eighths in 0..=8 {
        let cache = tempfile::tempdir().unwrap();
        let (mut progress, task) = registry_in(cache.path())
            .pull_with_progress(&served.reference, &PullOptions::default());
        until_all_downloaded(&mut progress, &served).await;
        tokio::time::sleep(whole * eighths / 8).await;
        task.abort();
        ended.push(task.await.is_ok());
        taken_up(cache.path(), &served, &clean).await;
    }
    assert!(!ended[0], "none was aborted in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_that_is_aborted_at_a_stage_of_the_disk_leaves_no_temporary_file() {
    let served = Served::new(&many_names());
    let clean = served.clean_fsmeta().await;
    let layers = served.built.layer_digests.len();
    type IsNow = fn(&PullProgress) -> bool;
    let moments: [(&str, usize, IsNow); 4] = [
        ("the last layer's image", layers, |event| {
            matches!(event, PullProgress::LayerMaterialized { .. })
        }),
        ("merging", 1, |event| matches!(event, PullProgress::Merging)),
        ("the merged metadata", 1, |event| {
            matches!(event, PullProgress::FsmetaWritten { .. })
        }),
        ("the descriptor", 1, |event| {
            matches!(event, PullProgress::VmdkWritten)
        }),
    ];
    for (what, mut left, is_now) in moments {
        let cache = tempfile::tempdir().unwrap();
        let (mut progress, task) = registry_in(cache.path())
            .pull_with_progress(&served.reference, &PullOptions::default());
        while left > 0 {
            let event = progress.recv().await;
            let event = event.unwrap_or_else(|| panic!("{what} was never told"));
            left -= usize::from(is_now(&event));
        }
        task.abort();
        // It may have been done.
        drop(task.await);
        taken_up(cache.path(), &served, &clean).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pull_whose_future_is_dropped_leaves_no_temporary_file() {
    let served = Served::new(&many_names());
    let cache = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let result = pull(cache.path(), &served.reference).await.unwrap();
    let whole = begun.elapsed();
    let clean = std::fs::read(&result.fsmeta).unwrap();
    for eighths in 1..8 {
        let cache = tempfile::tempdir().unwrap();
        let limit = whole * eighths / 8;
        let pulled = tokio::time::timeout(limit, pull(cache.path(), &served.reference)).await;
        if let Ok(result) = pulled {
            result.unwrap();
        }
        taken_up(cache.path(), &served, &clean).await;
    }
}

#[test]
fn of_several_pulls_of_one_image_one_merges() {
    const PULLS: usize = 6;
    let merged = Merged::default();
    let counted = merged.clone();
    merged.run(async move {
        let served = Arc::new(Served::new(&a_layer_twice()));
        let clean = served.clean_fsmeta().await;
        for round in 0..3 {
            let cache = tempfile::tempdir().unwrap();
            served.registry.heal();
            // So that all of them are under way before the first is done.
            let slow = Fault::Slow(16 << 10, Duration::from_millis(10));
            served.registry.fault("/blobs/", slow);
            served.registry.forget_requests();
            let before = counted.count();
            let results = at_once(PULLS, cache.path(), &served).await;
            assert_eq!(counted.count() - before, 1, "round {round}: cold");
            for digest in &served.built.layer_digests {
                assert_eq!(served.registry.count(digest), 1, "{digest}");
            }
            equal_and_right(&results, &clean);
            no_temporaries(cache.path()).await;
        }
    });
}

#[test]
fn of_several_pulls_that_lack_only_the_disk_one_merges() {
    const PULLS: usize = 6;
    let merged = Merged::default();
    let counted = merged.clone();
    merged.run(async move {
        let served = Arc::new(Served::new(&a_layer_twice()));
        let cache = tempfile::tempdir().unwrap();
        let cold = pull(cache.path(), &served.reference).await.unwrap();
        let clean = std::fs::read(&cold.fsmeta).unwrap();
        for round in 0..6 {
            std::fs::remove_dir_all(cache.path().join("disks")).unwrap();
            served.registry.forget_requests();
            let before = counted.count();
            let results = at_once(PULLS, cache.path(), &served).await;
            assert_eq!(counted.count() - before, 1, "round {round}");
            for digest in &served.built.layer_digests {
                assert_eq!(served.registry.count(digest), 0, "{digest}");
            }
            equal_and_right(&results, &clean);
            no_temporaries(cache.path()).await;
        }
    });
}

#[tokio::test]
async fn a_disk_that_is_gone_is_made_again_from_cached_layers_alone() {
    let served = Served::new(&a_layer_twice());
    let cache = tempfile::tempdir().unwrap();
    let cold = pull(cache.path(), &served.reference).await.unwrap();
    let before = std::fs::read(&cold.fsmeta).unwrap();
    let descriptor = std::fs::read(&cold.vmdk).unwrap();
    for pull_policy in [PullPolicy::Always, PullPolicy::IfMissing] {
        std::fs::remove_dir_all(cache.path().join("disks")).unwrap();
        served.registry.forget_requests();
        let options = PullOptions {
            pull_policy,
            ..PullOptions::default()
        };
        let again = registry_in(cache.path())
            .pull(&served.reference, &options)
            .await
            .unwrap();
        for digest in &served.built.layer_digests {
            assert_eq!(served.registry.count(digest), 0, "{pull_policy}: {digest}");
        }
        assert!(
            std::fs::read(&again.fsmeta).unwrap() == before,
            "{pull_policy}: other metadata"
        );
        assert_eq!(std::fs::read(&again.vmdk).unwrap(), descriptor);
        again.prove(true).unwrap();
        no_temporaries(cache.path()).await;
    }
}

/// An image in a registry of its own.
struct Served {
    registry: FaultRegistry,
    reference: Reference,
    built: BuiltImage,
    _layout: TempDir,
}

impl Served {
    fn new(image: &ImageBuilder) -> Self {
        let layout = tempfile::tempdir().unwrap();
        let built = image.write_layout(layout.path(), "t").unwrap();
        let registry = FaultRegistry::start().unwrap();
        registry.serve("x", layout.path());
        Self {
            reference: format!("{}/x:t", registry.host()).parse().unwrap(),
            registry,
            built,
            _layout: layout,
        }
    }

    /// The merged metadata that a pull into an empty cache makes.
    async fn clean_fsmeta(&self) -> Vec<u8> {
        let cache = tempfile::tempdir().unwrap();
        let result = pull(cache.path(), &self.reference).await.unwrap();
        result.prove(true).unwrap();
        std::fs::read(&result.fsmeta).unwrap()
    }
}

/// So many names that merging them takes its time.
fn many_names() -> ImageBuilder {
    let lower: String = (0..1500)
        .map(|n| format!("file d/{n} size={} seed={n}\n", n % 300))
        .collect();
    let upper: String = (0..700)
        .map(|n| format!("file e/{n} size=9 seed={n}\nwhiteout d/{n}\n"))
        .collect();
    ImageBuilder::new()
        .layer(Layer::recipe(&format!("dir d\n{lower}")).gzip())
        .layer(Layer::recipe(&format!("dir e\n{upper}")).gzip())
}

fn a_layer_twice() -> ImageBuilder {
    let twice = Layer::recipe("dir a\nfile a/short size=100 seed=1\nfile a/long size=90000 seed=2");
    let between = Layer::recipe("whiteout a/short\nfile b size=200000 seed=3\nlink c target=b");
    ImageBuilder::new()
        .layer(twice.clone().gzip())
        .layer(between.gzip())
        .layer(twice.gzip())
        .layer(Layer::recipe("file d size=200000 seed=4").zstd())
}

/// Where a cache keeps the part of the image's first layer, from the cache on; as a pull shows that is given up in the middle.
async fn part_path(served: &Served) -> PathBuf {
    let digest = &served.built.layer_digests[0];
    served
        .registry
        .fault(digest, Fault::StallAfter(4 << 20, PATIENCE));
    let cache = tempfile::tempdir().unwrap();
    let (_progress, task) =
        registry_in(cache.path()).pull_with_progress(&served.reference, &PullOptions::default());
    let begun = Instant::now();
    let part = loop {
        assert!(begun.elapsed() < PATIENCE, "there is never a part");
        tokio::time::sleep(Duration::from_millis(5)).await;
        let mut found = files(cache.path());
        found.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "part")
        });
        if let Some(part) = found.first() {
            break part.strip_prefix(cache.path()).unwrap().to_owned();
        }
    };
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    served.registry.heal();
    part
}

/// Waits until a dropped pull's work is over, and then expects the next one to go well.
async fn taken_up(cache: &Path, served: &Served, clean: &[u8]) {
    no_temporaries(cache).await;
    let again = tokio::time::timeout(PATIENCE, pull(cache, &served.reference));
    let again = again.await.expect("the next pull waits").unwrap();
    assert!(
        std::fs::read(&again.fsmeta).unwrap() == clean,
        "other metadata"
    );
    again.prove(true).unwrap();
    assert!(!is_unpublished(cache));
    no_temporaries(cache).await;
}

/// Expects all temporary files to be gone within bounded time, and to stay away.
async fn no_temporaries(cache: &Path) {
    let begun = Instant::now();
    let mut looks_without = 0;
    while looks_without < 5 {
        let mut left = files(cache);
        left.retain(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with(".tmp-")
        });
        looks_without = if left.is_empty() {
            looks_without + 1
        } else {
            0
        };
        assert!(begun.elapsed() < PATIENCE, "left behind: {left:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_all_downloaded(progress: &mut ProgressReceiver, served: &Served) {
    let mut left = served.built.layer_digests.len();
    while left > 0 {
        let event = progress.recv().await.expect("more events");
        left -= usize::from(matches!(event, PullProgress::LayerDownloaded { .. }));
    }
}

async fn all(mut progress: ProgressReceiver) -> Vec<PullProgress> {
    let mut events = Vec::new();
    while let Some(event) = progress.recv().await {
        events.push(event);
    }
    events
}

/// So many pulls of one image into one cache, each with a `Registry` of its own.
async fn at_once(pulls: usize, cache: &Path, served: &Arc<Served>) -> Vec<PullResult> {
    let start = Arc::new(tokio::sync::Barrier::new(pulls));
    let tasks: Vec<_> = (0..pulls)
        .map(|_| {
            let (start, served) = (Arc::clone(&start), Arc::clone(served));
            let registry = registry_in(cache);
            tokio::spawn(async move {
                start.wait().await;
                let options = PullOptions::default();
                let pulled = registry.pull(&served.reference, &options);
                tokio::time::timeout(PATIENCE, pulled).await
            })
        })
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap().expect("a pull hangs").unwrap());
    }
    results
}

fn equal_and_right(results: &[PullResult], clean: &[u8]) {
    let first = &results[0];
    for result in results {
        assert_eq!(result.manifest_digest, first.manifest_digest);
        assert_eq!(result.layers, first.layers);
        assert_eq!(result.vmdk, first.vmdk);
        assert_eq!(result.extents, first.extents);
    }
    assert!(
        std::fs::read(&first.fsmeta).unwrap() == clean,
        "other metadata"
    );
    first.prove(true).unwrap();
}

/// The files below a folder, whatever comes and goes there meanwhile.
fn files(at: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(at).into_iter().flatten().flatten();
    let below = entries.flat_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    });
    below.collect()
}

fn find(bytes: &[u8], wanted: &[u8]) -> usize {
    let mut windows = bytes.windows(wanted.len());
    windows.position(|window| window == wanted).unwrap()
}

/// Counts how often layers are merged into a disk, by the pulls of a runtime of its own: other tests merge meanwhile.
#[derive(Clone, Debug, Default)]
struct Merged {
    times: Arc<AtomicUsize>,
}

thread_local! {
    /// Of the runtime that the thread belongs to, if that counts.
    static OF_THREAD: OnceCell<Merged> = const { OnceCell::new() };
}

impl Merged {
    fn count(&self) -> usize {
        self.times.load(Ordering::SeqCst)
    }

    /// Runs `test` on threads of whose merges this tells.
    fn run(&self, test: impl Future<Output = ()> + Send + 'static) {
        static WATCHED: Once = Once::new();
        WATCHED.call_once(|| {
            tracing::subscriber::set_global_default(Watch).unwrap();
            // Another test's thread may have come by an event between the subscriber's making and its taking over.
            tracing::callsite::rebuild_interest_cache();
        });
        let merged = self.clone();
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .on_thread_start(move || OF_THREAD.with(|of| of.set(merged.clone()).unwrap()))
            .build()
            .unwrap();
        runtime.block_on(runtime.spawn(test)).unwrap();
    }
}

/// Tells each thread's merges to whoever counts them.
struct Watch;

impl Subscriber for Watch {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && metadata.target() == "microsandbox_image::disk"
    }

    fn event(&self, event: &Event<'_>) {
        let mut is_merged = IsMerged(false);
        event.record(&mut is_merged);
        if is_merged.0 {
            OF_THREAD.with(|of| {
                if let Some(merged) = of.get() {
                    merged.times.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Whether an event's message says so.
struct IsMerged(bool);

impl Visit for IsMerged {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 |= field.name() == "message" && format!("{value:?}") == "merged";
    }
}
