//! Concurrent pulls in several processes: the registry's log shows each blob downloaded once, even if a process is killed.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics, and prints what it saw"
)]

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{docker_registry, msb_image, pull, push, reference, registry_in, verify};
use microsandbox_image::{GlobalCache, Platform, PullOptions, Registry};
use msb_testkit::image::{BuiltImage, ImageBuilder, Layer};
use msb_testkit::link::{Link, LinkOptions};
use msb_testkit::registry::DockerRegistry;

fn layer(seed: u32, kib: u32) -> Layer {
    Layer::recipe(&format!("file l{seed} size={} seed={seed}", kib * 1024)).gzip()
}

fn start(cache: &Path, reference: &str) -> Child {
    Command::new(msb_image())
        .arg("--cache-dir")
        .arg(cache)
        .args(["pull", "--progress", "plain", reference])
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

fn each_blob_once(registry: &DockerRegistry, images: &[&BuiltImage]) {
    for digest in images.iter().flat_map(|image| &image.layer_digests) {
        assert_eq!(registry.blob_gets(digest), 1, "{digest}");
    }
}

#[tokio::test]
async fn two_processes_on_one_image_fetch_each_blob_once() {
    let registry = docker_registry();
    let image = (1..6).fold(ImageBuilder::new(), |image, n| image.layer(layer(n, 4000)));
    let built = push(&registry, "same", &image);
    let cache = tempfile::tempdir().unwrap();
    let name = format!("{}/same:t", registry.host());
    let children = [
        start(cache.path(), &name),
        start(cache.path(), &name),
        start(cache.path(), &name),
    ];
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    each_blob_once(&registry, &[&built]);
    verify(&pull(cache.path(), &name.parse().unwrap()).await.unwrap());
}

#[tokio::test]
async fn two_processes_on_images_that_share_layers_fetch_each_blob_once() {
    let registry = docker_registry();
    let images: Vec<BuiltImage> = [("a", [1, 2, 3, 4]), ("b", [4, 3, 2, 5])]
        .into_iter()
        .map(|(name, seeds)| {
            let image = seeds
                .into_iter()
                .fold(ImageBuilder::new(), |image, n| image.layer(layer(n, 4000)));
            push(&registry, name, &image)
        })
        .collect();
    let cache = tempfile::tempdir().unwrap();
    let children =
        ["a", "b"].map(|name| start(cache.path(), &format!("{}/{name}:t", registry.host())));
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    each_blob_once(&registry, &[&images[0], &images[1]]);
}

#[tokio::test]
async fn when_the_holder_is_killed_another_takes_over_and_goes_on_where_it_stopped() {
    let registry = docker_registry();
    let big = layer(7, 24_000);
    let size = big.blob_bytes().unwrap().len() as u64;
    let built = push(&registry, "big", &ImageBuilder::new().layer(big));
    let slow = SlowProxy::start(&registry);
    let name = format!("127.0.0.1:{}/big:t", slow.port);
    let cache = tempfile::tempdir().unwrap();

    let mut holder = start(cache.path(), &name);
    slow.wait_for(size / 3);
    let mut waiter = start(cache.path(), &name);
    thread::sleep(Duration::from_millis(500));
    assert!(
        waiter.try_wait().unwrap().is_none(),
        "the second pull did not wait for the first"
    );
    // SIGKILL.
    holder.kill().unwrap();
    holder.wait().unwrap();
    slow.open();
    assert!(waiter.wait().unwrap().success());

    let statuses: Vec<u16> = registry
        .requests()
        .iter()
        .filter(|request| request.method == "GET" && request.path.contains(&built.layer_digests[0]))
        .map(|request| request.status)
        .collect();
    // One whole blob is the first pull's; the second may fetch several ranges at once.
    let (resumed, whole): (Vec<u16>, Vec<u16>) =
        statuses.iter().partition(|status| **status == 206);
    assert!(
        !resumed.is_empty() && (whole.is_empty() || whole == [200]),
        "{statuses:?}: the second did not resume"
    );
    verify(&pull(cache.path(), &name.parse().unwrap()).await.unwrap());
    // The partial blob was consumed; temporary files of a killed process remain until a prune.
    assert_eq!(files_below(cache.path(), "part"), 0);
}

#[tokio::test]
async fn a_killed_pull_downloads_little_of_a_blob_again() {
    const KILLS: u64 = 6;
    let registry = docker_registry();
    let big = Layer::recipe("file big size=24000000 seed=9").plain();
    let size = big.blob_bytes().unwrap().len() as u64;
    push(&registry, "big", &ImageBuilder::new().layer(big));
    // Slow enough for a pull to fetch several ranges at once.
    let options = LinkOptions {
        bytes_per_sec: Some(8 << 20),
        ..LinkOptions::default()
    };
    let link = Link::start(&registry.host(), options).unwrap();
    let name = format!("{}/big:t", link.host());
    let cache = tempfile::tempdir().unwrap();
    for kill in 1..=KILLS {
        let mut process = start(cache.path(), &name);
        let begun = Instant::now();
        while link.bytes() < size * kill / (KILLS + 1) {
            assert!(process.try_wait().unwrap().is_none(), "the pull ended");
            assert!(begun.elapsed() < Duration::from_secs(60), "no progress");
            thread::sleep(Duration::from_millis(2));
        }
        process.kill().unwrap();
        process.wait().unwrap();
    }
    assert!(start(cache.path(), &name).wait().unwrap().success());
    let again = link.bytes().saturating_sub(size) / KILLS;
    println!("{again} of {size} bytes downloaded again after a kill, on average of {KILLS}");
    assert!(again <= size / 10, "{again} of {size}");
    verify(&pull(cache.path(), &name.parse().unwrap()).await.unwrap());
}

#[tokio::test]
async fn when_the_holder_is_cancelled_another_takes_over() {
    let registry = docker_registry();
    let big = layer(8, 24_000);
    let size = big.blob_bytes().unwrap().len() as u64;
    push(&registry, "big", &ImageBuilder::new().layer(big));
    let slow = SlowProxy::start(&registry);
    let name = format!("127.0.0.1:{}/big:t", slow.port).parse().unwrap();
    let cache = tempfile::tempdir().unwrap();
    let (mut progress, holder) =
        registry_in(cache.path()).pull_with_progress(&name, &PullOptions::default());
    let slow = tokio::task::spawn_blocking(move || {
        slow.wait_for(size / 3);
        slow
    })
    .await
    .unwrap();
    let other = registry_in(cache.path());
    let waiter = tokio::spawn({
        let name = name.clone();
        async move { other.pull(&name, &PullOptions::default()).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    holder.abort();
    assert!(holder.await.unwrap_err().is_cancelled());
    let mut last = None;
    while let Some(event) = progress.recv().await {
        last = Some(event);
    }
    assert!(format!("{last:?}").contains("Failed"), "{last:?}");
    slow.open();
    verify(&waiter.await.unwrap().unwrap());
}

#[tokio::test]
async fn one_permit_and_opposite_orders_of_layers_end() {
    let registry = docker_registry();
    let up: Vec<u32> = (1..9).collect();
    let images: Vec<BuiltImage> = [
        ("up", up.clone()),
        ("down", up.into_iter().rev().collect::<Vec<_>>()),
    ]
    .into_iter()
    .map(|(name, seeds)| {
        let image = seeds
            .into_iter()
            .fold(ImageBuilder::new(), |image, n| image.layer(layer(n, 1000)));
        push(&registry, name, &image)
    })
    .collect();
    let cache = tempfile::tempdir().unwrap();
    let one_permit = || {
        let cache = GlobalCache::new(cache.path()).unwrap();
        let builder = Registry::builder(Platform::new("linux", "amd64"), cache);
        builder.max_concurrent_layers(1).build().unwrap()
    };
    let (a, b) = (one_permit(), one_permit());
    let (up, down) = (reference(&registry, "up:t"), reference(&registry, "down:t"));
    let options = PullOptions::default();
    let both = async { tokio::join!(a.pull(&up, &options), b.pull(&down, &options)) };
    let (up, down) = tokio::time::timeout(Duration::from_secs(60), both)
        .await
        .expect("a deadlock");
    verify(&up.unwrap());
    verify(&down.unwrap());
    each_blob_once(&registry, &[&images[0], &images[1]]);
}

fn files_below(at: &Path, word: &str) -> usize {
    std::fs::read_dir(at)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            let path = entry.path();
            let is_hit = path.extension().is_some_and(|extension| extension == word);
            if path.is_dir() {
                files_below(&path, word)
            } else {
                usize::from(is_hit)
            }
        })
        .sum()
}

/// A proxy before a registry that passes responses at some 4 MB/s until it is opened.
struct SlowProxy {
    port: u16,
    passed: Arc<AtomicU64>,
    is_open: Arc<AtomicBool>,
}

impl SlowProxy {
    fn start(registry: &DockerRegistry) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (passed, is_open) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let this = Self {
            port,
            passed: Arc::clone(&passed),
            is_open: Arc::clone(&is_open),
        };
        let upstream = registry.host();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(&upstream).unwrap();
                let (mut from_client, mut to_server) =
                    (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    let _ = std::io::copy(&mut from_client, &mut to_server);
                    let _ = to_server.shutdown(std::net::Shutdown::Write);
                });
                let (passed, is_open) = (Arc::clone(&passed), Arc::clone(&is_open));
                thread::spawn(move || pass(server, client, &passed, &is_open));
            }
        });
        this
    }

    fn wait_for(&self, bytes: u64) {
        let start = Instant::now();
        while self.passed.load(Ordering::Relaxed) < bytes {
            assert!(start.elapsed() < Duration::from_secs(60), "nothing comes");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }
}

fn pass(mut server: TcpStream, mut client: TcpStream, passed: &AtomicU64, is_open: &AtomicBool) {
    let mut buffer = vec![0; 40 << 10];
    while let Ok(read @ 1..) = server.read(&mut buffer) {
        if client.write_all(&buffer[..read]).is_err() {
            return;
        }
        passed.fetch_add(read as u64, Ordering::Relaxed);
        if !is_open.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(10));
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
}
