//! A served image, and the files that its pull leaves.

use super::*;

/// An image in its own registry.
pub(crate) struct Served {
    pub(crate) registry: FaultRegistry,
    pub(crate) reference: Reference,
    pub(crate) built: BuiltImage,
    _layout: TempDir,
}

impl Served {
    pub(crate) fn new(image: &ImageBuilder) -> Self {
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

    /// Returns the merged metadata of a pull into an empty cache.
    pub(crate) async fn clean_fsmeta(&self) -> Vec<u8> {
        let cache = tempfile::tempdir().unwrap();
        let result = pull(cache.path(), &self.reference).await.unwrap();
        result.verify(true).unwrap();
        std::fs::read(&result.fsmeta).unwrap()
    }
}

/// Enough names to make merging slow.
pub(crate) fn many_names() -> ImageBuilder {
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

pub(crate) fn a_layer_twice() -> ImageBuilder {
    let twice = Layer::recipe("dir a\nfile a/short size=100 seed=1\nfile a/long size=90000 seed=2");
    let between = Layer::recipe("whiteout a/short\nfile b size=200000 seed=3\nlink c target=b");
    ImageBuilder::new()
        .layer(twice.clone().gzip())
        .layer(between.gzip())
        .layer(twice.gzip())
        .layer(Layer::recipe("file d size=200000 seed=4").zstd())
}

pub(crate) async fn all(mut progress: ProgressReceiver) -> Vec<PullProgress> {
    let mut events = Vec::new();
    while let Some(event) = progress.recv().await {
        events.push(event);
    }
    events
}

/// Lists the files below a folder, which may change meanwhile.
pub(crate) fn files(at: &Path) -> Vec<PathBuf> {
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

/// Expects all temporary files to disappear within a timeout, and none to reappear.
pub(crate) async fn no_temporaries(cache: &Path) {
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
