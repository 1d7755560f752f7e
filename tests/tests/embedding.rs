//! The facade inside other programs: any runtime or none, several at once, with TLS providers of their own; and what the libraries
//! leave alone in the process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use common::{docker_registry, is_unpublished, pull, push, reference, registry_in};
use integration_tests::workspace;
use microsandbox_image::blocking::{self, BlockingError};
use microsandbox_image::{GlobalCache, Platform, PullOptions, Reference, Registry};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::registry::{DockerRegistry, RegistryOptions};
use rustls::crypto::{CryptoProvider, ring};
use tokio::runtime::Builder;

fn image() -> ImageBuilder {
    ImageBuilder::new()
        .layer(Layer::recipe("dir etc\nfile etc/a size=3000000 seed=1 fill=random").gzip())
        .layer(Layer::recipe("file etc/b size=9000 seed=2").zstd())
}

fn registry() -> (DockerRegistry, Reference) {
    let registry = docker_registry();
    push(&registry, "x", &image());
    let name = reference(&registry, "x:t");
    (registry, name)
}

/// Returns a registry in a new cache that trusts the certificate of `served`.
fn trusting(served: &DockerRegistry, cache: &Path) -> Registry {
    let authority = fs::read(served.ca_cert().unwrap()).unwrap();
    let cache = GlobalCache::new(cache).unwrap();
    Registry::builder(Platform::new("linux", "amd64"), cache)
        .ca_cert(authority)
        .build()
        .unwrap()
}

#[test]
fn a_pull_works_on_each_kind_of_runtime_and_inside_spawn() {
    let (_served, name) = registry();
    let current_thread = Builder::new_current_thread().enable_all().build().unwrap();
    let one_worker = Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    for runtime in [current_thread, one_worker] {
        let cache = tempfile::tempdir().unwrap();
        let direct = runtime.block_on(pull(cache.path(), &name)).unwrap();
        assert!(!direct.cached);

        let cache = tempfile::tempdir().unwrap();
        let (registry, name) = (registry_in(cache.path()), name.clone());
        let spawned = runtime.block_on(async move {
            tokio::spawn(async move { registry.pull(&name, &PullOptions::default()).await }).await
        });
        assert!(!spawned.unwrap().unwrap().cached);
    }
}

#[test]
fn a_dropped_future_and_a_runtime_that_ends_leave_the_cache_intact() {
    let (_served, name) = registry();
    let cache = tempfile::tempdir().unwrap();
    for pause in [0, 1, 5, 20] {
        let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
        let registry = registry_in(cache.path());
        runtime.block_on(async {
            let options = PullOptions::default();
            let pull = registry.pull(&name, &options);
            let _ = tokio::time::timeout(Duration::from_millis(pause), pull).await;
        });
        let (registry, name) = (registry_in(cache.path()), name.clone());
        runtime.spawn(async move { registry.pull(&name, &PullOptions::default()).await });
        thread::sleep(Duration::from_millis(pause));
        runtime.shutdown_background();
    }
    let result = blocking::run(pull(cache.path(), &name)).unwrap().unwrap();
    result.verify(true).unwrap();
}

#[test]
fn two_runtimes_pull_one_image_into_one_cache_at_once() {
    let (_served, name) = registry();
    let cache = tempfile::tempdir().unwrap();
    let manifests = thread::scope(|scope| {
        let pulls: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| blocking::run(pull(cache.path(), &name)).unwrap().unwrap()))
            .collect();
        pulls
            .into_iter()
            .map(|pull| pull.join().unwrap().manifest_digest)
            .collect::<Vec<_>>()
    });
    assert_eq!(manifests[0], manifests[1]);
    assert!(!is_unpublished(cache.path()));
}

#[test]
fn without_a_runtime_a_registry_serves_several_calls() {
    let (_served, name) = registry();
    let cache = tempfile::tempdir().unwrap();
    let registry = registry_in(cache.path());
    let options = PullOptions {
        force: true,
        ..PullOptions::default()
    };
    for _ in 0..3 {
        // Each call contacts the registry, over connections of its own runtime.
        let result = blocking::run(registry.pull(&name, &options)).unwrap();
        assert!(!result.unwrap().cached);
    }
    let events = blocking::run(async {
        let (mut progress, task) = registry.pull_with_progress(&name, &options);
        let mut events = 0;
        while progress.recv().await.is_some() {
            events += 1;
        }
        task.await.unwrap().unwrap();
        events
    });
    assert!(events.unwrap() > 5);
}

#[test]
fn inside_a_runtime_the_blocking_call_is_an_error() {
    let refused = |result| matches!(result, Err(BlockingError::InsideRuntime));
    let never = || blocking::run(async { unreachable!("it is not run") });
    for runtime in [
        Builder::new_current_thread().build().unwrap(),
        Builder::new_multi_thread().build().unwrap(),
    ] {
        assert!(runtime.block_on(async { refused(never()) }));
        assert!(runtime.block_on(async {
            tokio::task::spawn_blocking(move || refused(never()))
                .await
                .unwrap()
        }));
    }
    assert_eq!(blocking::run(async { 7 }).unwrap(), 7);
}

/// One test, because the provider belongs to the process.
#[test]
fn tls_works_without_a_default_provider_and_with_another_one() {
    let served = DockerRegistry::start(RegistryOptions {
        tls: true,
        ..RegistryOptions::default()
    })
    .unwrap();
    let layout = tempfile::tempdir().unwrap();
    image().write_layout(layout.path(), "t").unwrap();
    served.push_oci_layout(layout.path(), "x", "t").unwrap();
    let name = reference(&served, "x:t");
    let pulled = || {
        let cache = tempfile::tempdir().unwrap();
        let registry = trusting(&served, cache.path());
        blocking::run(registry.pull(&name, &PullOptions::default()))
            .unwrap()
            .unwrap()
            .manifest_digest
    };

    assert!(CryptoProvider::get_default().is_none());
    let first = pulled();
    assert!(CryptoProvider::get_default().is_none());

    // With this one no handshake succeeds.
    let useless = CryptoProvider {
        cipher_suites: Vec::new(),
        ..ring::default_provider()
    };
    useless.install_default().unwrap();
    assert_eq!(pulled(), first);
    let installed: &Arc<CryptoProvider> = CryptoProvider::get_default().unwrap();
    assert!(installed.cipher_suites.is_empty());
}

/// Returns the lines of /proc/self/status with the masks of ignored and caught signals.
fn signal_handlers() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let masks = status
        .lines()
        .filter(|line| line.starts_with("SigIgn") || line.starts_with("SigCgt"));
    masks.map(str::to_owned).collect()
}

#[test]
fn a_pull_installs_no_signal_handler_and_leaves_the_process_alone() {
    let (_served, name) = registry();
    let cache = tempfile::tempdir().unwrap();
    let before = (
        signal_handlers(),
        std::env::current_dir().unwrap(),
        std::env::vars_os().collect::<Vec<_>>(),
        rustix::process::getrlimit(rustix::process::Resource::Nofile),
    );
    assert_eq!(before.0.len(), 2);
    blocking::run(pull(cache.path(), &name)).unwrap().unwrap();
    let after = (
        signal_handlers(),
        std::env::current_dir().unwrap(),
        std::env::vars_os().collect::<Vec<_>>(),
        rustix::process::getrlimit(rustix::process::Resource::Nofile),
    );
    assert_eq!(before, after);
}

/// Calls that change the whole process.
const OF_THE_PROCESS: &[&str] = &[
    "install_default(",
    "process::abort(",
    "process::exit(",
    "remove_var(",
    "set_current_dir(",
    "set_global_default(",
    "set_hook(",
    "set_var(",
    "setrlimit(",
    "sigaction(",
    "tokio::signal",
    "umask(",
];

/// Mutable statics, each a fact that every use would find anew: the kernel lacks openat2; the hash of a block of zeros.
const STATICS: &[&str] = &[
    "static IS_MISSING: AtomicBool = AtomicBool::new(false);",
    "static OF_ZEROS: OnceLock<[u8; HASH_BYTES]> = OnceLock::new();",
];

/// Returns the lines of a library's source without its test modules, which are at the end of a file.
fn product(source: &str) -> impl Iterator<Item = &str> {
    source
        .split("#[cfg(test)]\nmod ")
        .next()
        .unwrap_or_default()
        .lines()
        .map(str::trim)
}

#[test]
fn libraries_have_no_global_state_and_change_nothing_of_the_process() {
    let crates = workspace::root().join("crates");
    let mut wrong = Vec::new();
    let mut files = 0;
    for path in workspace::files(&crates).unwrap() {
        let name = path.strip_prefix(&crates).unwrap().to_string_lossy();
        let is_library = name.contains("/src/") && !name.starts_with("msb-image-cli/");
        let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
        // Compiled for tests alone, and into builds with debug assertions alone.
        let is_recorder = ["msb-store/src/order.rs", "msb-store/src/crash.rs"].contains(&&*name);
        if !is_library || is_test || is_recorder || !name.ends_with(".rs") {
            continue;
        }
        files += 1;
        for line in product(&fs::read_to_string(&path).unwrap()) {
            let is_state = line.contains("thread_local!")
                || line.split_whitespace().any(|word| word == "static")
                    && ["Atomic", "Cell", "Lock", "Mutex", "Once"]
                        .iter()
                        .any(|kind| line.contains(kind));
            let is_known = line.starts_with("//") || STATICS.contains(&line);
            if !is_known && (is_state || OF_THE_PROCESS.iter().any(|call| line.contains(call))) {
                wrong.push(format!("{name}: {line}"));
            }
        }
    }
    assert!(files > 200, "{files} files");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
