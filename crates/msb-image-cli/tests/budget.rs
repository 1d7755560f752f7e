//! Pins, disk usage and budgets on the command line.

#![allow(
    clippy::unwrap_used,
    reason = "a test, and what it calls, fails by panicking"
)]

mod common;

use std::path::Path;

use common::{command, ok, run, stderr, stdout};
use msb_testkit::fault_registry::FaultRegistry;
use msb_testkit::image::{ImageBuilder, Layer};
use serde_json::Value;
use tempfile::TempDir;

/// A registry with three images of two layers; the lower one is shared.
struct Images {
    registry: FaultRegistry,
    _layouts: Vec<TempDir>,
}

impl Images {
    fn new() -> Self {
        let registry = FaultRegistry::start().unwrap();
        let layouts = ["a", "b", "c"].map(|name| {
            let layout = tempfile::tempdir().unwrap();
            let own = format!("file {name} size=300000 seed={}", name.as_bytes()[0]);
            ImageBuilder::new()
                .layer(Layer::recipe("file base size=100000 seed=1").gzip())
                .layer(Layer::recipe(&own).gzip())
                .write_layout(layout.path(), "t")
                .unwrap();
            registry.serve(name, layout.path());
            layout
        });
        Self {
            registry,
            _layouts: layouts.into(),
        }
    }

    fn reference(&self, name: &str) -> String {
        format!("{}/{name}:t", self.registry.host())
    }

    fn pull(&self, cache: &Path, name: &str) {
        ok(&run(
            cache,
            ["pull", "--platform", "linux/amd64", &self.reference(name)],
        ));
        set_used(cache, name, 7200 - u64::from(name.as_bytes()[0]));
    }
}

/// Sets the time of an image's last use.
fn set_used(cache: &Path, name: &str, seconds_ago: u64) {
    for entry in std::fs::read_dir(cache.join("images")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        if text.contains(&format!("/{name}:t\"")) {
            let time = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds_ago);
            let file = std::fs::File::open(&path).unwrap();
            file.set_modified(time).unwrap();
        }
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn df(cache: &Path) -> Value {
    json(&ok(&run(cache, ["df", "--format", "json"])))
}

#[test]
fn pins_df_and_a_budget_keep_and_remove_images() {
    let images = Images::new();
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    for name in ["a", "b", "c"] {
        images.pull(cache, name);
    }
    let usage = df(cache);
    let list = usage["images"].as_array().unwrap();
    assert_eq!(list.len(), 3);
    for image in list {
        let number = |field: &str| image[field].as_u64().unwrap();
        assert!(
            number("own_bytes") > 300_000 && number("shared_bytes") > 100_000,
            "{image}"
        );
        assert_eq!(
            number("bytes"),
            number("own_bytes") + number("shared_bytes")
        );
        assert_eq!(
            (&image["leased"], &image["pinned"]),
            (&false.into(), &Value::Array(vec![]))
        );
    }
    let total = usage["total_bytes"].as_u64().unwrap();
    assert!((1_000_000..1_300_000).contains(&total), "{total}");
    assert_eq!(usage["reclaimable_bytes"], 0);

    let [a, b, c] = ["a", "b", "c"].map(|name| images.reference(name));
    assert!(
        ok(&run(
            cache,
            ["pin", "keep", &a, "--platform", "linux/amd64"]
        ))
        .contains("as keep")
    );
    let taken = run(cache, ["pin", "keep", &b, "--platform", "linux/amd64"]);
    assert_eq!(taken.status.code(), Some(1), "{taken:?}");
    assert!(ok(&run(cache, ["ls"])).contains("ok, pinned as keep"));
    assert!(ok(&run(cache, ["df"])).contains("pinned as keep"));
    let refused = run(cache, ["rm", &a, "--platform", "linux/amd64"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("pinned as keep") && stderr(&refused).contains("unpin"));
    let metrics = ok(&run(cache, ["df", "--metrics"]));
    for line in [
        "# TYPE msb_image_cache_bytes gauge",
        "msb_image_cache_pinned_images 1",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }
    assert!(
        metrics.contains(&format!("msb_image_cache_bytes {total}\n")),
        "{metrics}"
    );

    // The pinned one was not used for longest. A pin is a use of its image, even one that fails.
    for (name, seconds) in [("a", 7200), ("b", 7150)] {
        set_used(cache, name, seconds);
    }
    let budget = (total - 1).to_string();
    let prune = ["prune", "--grace", "0", "--max-bytes", &budget];
    let would = ok(&run(cache, [&prune[..], &["--dry-run"]].concat()));
    assert!(would.contains(&format!("would remove {b} ")), "{would}");
    assert_eq!(df(cache)["total_bytes"], total);
    let done = ok(&run(cache, prune));
    assert!(
        done.contains(&format!("removed {b} ")) && !done.contains(&a),
        "{done}"
    );
    let unmet = run(cache, ["prune", "--grace", "0", "--max-bytes", "100K"]);
    assert_eq!(unmet.status.code(), Some(1));
    assert!(
        stdout(&unmet).contains(&format!("removed {c} ")),
        "{unmet:?}"
    );
    assert!(
        stderr(&unmet).contains("its budget of 102400: leases hold 0, pins "),
        "{unmet:?}"
    );
    ok(&run(cache, ["unpin", "keep"]));
    assert_eq!(run(cache, ["unpin", "keep"]).status.code(), Some(1));
    ok(&run(cache, ["prune", "--grace", "0", "--older-than", "1h"]));
    assert_eq!(df(cache)["total_bytes"], 0);
}

#[test]
fn a_pull_stays_within_the_budget_of_the_cache() {
    let images = Images::new();
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path();
    images.pull(cache, "a");
    images.pull(cache, "b");
    // The files, too, are older than the grace age of ten minutes.
    for name in ["layers/sha256", "disks/sha256", "blobs/sha256"] {
        make_old(&cache.join(name));
    }
    for entry in std::fs::read_dir(cache).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|name| name == "vmdk") {
            make_old(&path);
        }
    }
    let pull = |name: &str, budget: &str| {
        let reference = images.reference(name);
        let args = [
            "pull",
            "--platform",
            "linux/amd64",
            &reference,
            "--cache-max-bytes",
            budget,
        ];
        run(cache, args)
    };
    let refused = pull("c", "200K");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(
        stderr(&refused).contains("and the budget of the cache is 204800"),
        "{refused:?}"
    );
    images.registry.forget_requests();
    let total = df(cache)["total_bytes"].as_u64().unwrap();
    ok(&pull("c", &(total + 1000).to_string()));
    let usage = df(cache);
    let left: Vec<&str> = usage["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["reference"].as_str().unwrap())
        .collect();
    assert_eq!(left, [images.reference("b"), images.reference("c")]);
    assert!(usage["total_bytes"].as_u64().unwrap() <= total + 1000);
    // What was pulled just now is young: no budget removes it.
    let mut other = command(cache);
    other.args(["pull", "--platform", "linux/amd64", &images.reference("a")]);
    let output = other
        .env("MSB_IMAGE_CACHE_MAX_BYTES", "600K")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        stderr(&output).contains("were used within the grace age; that budget leaves"),
        "{output:?}"
    );
    let bad = command(cache)
        .arg("ls")
        .env("MSB_IMAGE_CACHE_MAX_BYTES", "much")
        .output();
    assert_eq!(bad.unwrap().status.code(), Some(2));
}

fn make_old(path: &Path) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            make_old(&entry.unwrap().path());
        }
    } else {
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
        std::fs::File::open(path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }
}
