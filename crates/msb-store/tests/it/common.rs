//! What the tests of the store share: keys, a complete image, and child processes that can be killed.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use msb_oci::Digest;
use msb_store::{
    DiskKey, FormatVersion, ImageKey, LayerKey, Lock, LockOn, References, Staged, Store,
    publish_all,
};
use rustix::fs::FlockOperation;

pub(crate) const V1: FormatVersion = FormatVersion(1);
pub(crate) const IMAGE_BYTES: u64 = 4096;
pub(crate) const MANIFEST: &[u8] = b"{\"schemaVersion\":2}";

pub(crate) fn layer(name: &str) -> LayerKey {
    LayerKey::new(Digest::sha256_of(name.as_bytes()), V1)
}

pub(crate) fn disk(name: &str) -> DiskKey {
    DiskKey::new(Digest::sha256_of(format!("chain of {name}").as_bytes()), V1)
}

pub(crate) fn image(reference: &str) -> ImageKey {
    ImageKey::new(&reference.parse().unwrap(), "linux/amd64")
}

/// Writes the bytes to a file that was just staged.
pub(crate) fn staged(file: msb_store::Result<Staged>, bytes: &[u8]) -> Staged {
    let file = file.unwrap();
    file.file().write_all(bytes).unwrap();
    file
}

pub(crate) fn has_layer(store: &Store, key: &LayerKey) -> bool {
    let lengths = store.layer_lengths(key).unwrap();
    lengths.is_some_and(|lengths| lengths.image_bytes == IMAGE_BYTES)
}

pub(crate) fn put_layer(store: &Store, key: &LayerKey) {
    let image = staged(store.stage_layer_image(key), &[7; 4096]);
    let sidecar = staged(store.stage_layer_sidecar(key), b"tree");
    publish_all([image.sync().unwrap(), sidecar.sync().unwrap()]).unwrap();
}

pub(crate) fn put_disk(store: &Store, key: &DiskKey) {
    let fsmeta = staged(store.stage_fsmeta(key), &[0; 4096]);
    let vmdk = staged(store.stage_vmdk(key), b"# Disk DescriptorFile\n");
    publish_all([fsmeta.sync().unwrap(), vmdk.sync().unwrap()]).unwrap();
}

pub(crate) fn references(name: &str) -> References {
    let mut references = References::default();
    references.layers.insert(layer(name));
    references.disks.insert(disk(name));
    references.blobs.insert(Digest::sha256_of(MANIFEST));
    references
}

/// A whole image of one layer, whose record's value is its name.
pub(crate) fn put_image(store: &Store, name: &str) {
    put_layer(store, &layer(name));
    put_disk(store, &disk(name));
    store
        .write_blob(&Digest::sha256_of(MANIFEST), MANIFEST)
        .unwrap();
    store
        .write_image(&image(name), &name, &references(name))
        .unwrap();
}

/// Returns the path of a document in the cache.
pub(crate) fn blob_path(store: &Store, digest: &Digest) -> PathBuf {
    let folder = store
        .root()
        .join("blobs")
        .join(digest.algorithm().to_string());
    folder.join(digest.hex().to_string())
}

/// Returns whether any process holds a lease on the disk.
pub(crate) fn is_leased(store: &Store, key: &DiskKey) -> bool {
    let folder = store
        .root()
        .join("leases")
        .join(key.chain.algorithm().to_string());
    let path = folder.join(format!("{}.{}.lease", key.chain.hex(), key.version));
    let Ok(file) = std::fs::File::open(path) else {
        return false;
    };
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err()
}

/// Takes a lock that another thread or process releases within five seconds.
pub(crate) fn retry_lock(store: &Store, on: LockOn<'_>) -> Lock {
    let end = Instant::now() + Duration::from_secs(5);
    loop {
        if let Some(lock) = store.try_lock(on).unwrap() {
            return lock;
        }
        assert!(Instant::now() < end, "the lock is still held");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Every file below `dir`, relative and sorted, lock files left out.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(dir) else {
            return;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, found);
            } else if path.extension().is_none_or(|extension| extension != "lock") {
                found.push(path.strip_prefix(root).unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, dir, &mut found);
    found.sort();
    found
}

/// A job for a child process: what to do, and in which store.
pub(crate) struct Job {
    pub(crate) what: String,
    pub(crate) store: Store,
}

const WHAT: &str = "MSB_STORE_TEST_JOB";
const ROOT: &str = "MSB_STORE_TEST_ROOT";

/// In a child, its job; in the test run itself, nothing.
pub(crate) fn job() -> Option<Job> {
    let what = std::env::var(WHAT).ok()?;
    let root = std::env::var_os(ROOT).unwrap();
    Some(Job {
        what,
        store: Store::open(root).unwrap(),
    })
}

/// The environment that makes a process a child with `what` to do in the store at `root`.
pub(crate) fn job_environment<'a>(what: &'a str, root: &'a Path) -> [(&'static str, &'a OsStr); 2] {
    [(WHAT, what.as_ref()), (ROOT, root.as_os_str())]
}

/// In a child: tells the parent how far it is, and waits to be killed, or for a parent that failed to be gone.
pub(crate) fn ready_and_wait(word: &str) -> ! {
    let mut out = std::io::stdout();
    writeln!(out, "\n@{word}").unwrap();
    out.flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    panic!("the parent is gone");
}

/// Runs the test `child` of this very binary in a process of its own, with `what` to do; returns the word that it says.
pub(crate) fn spawn(child: &str, what: &str, root: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", child, "--nocapture", "--test-threads=1"])
        .envs(job_environment(what, root))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let word = lines
        .map(Result::unwrap)
        .find_map(|line| line.strip_prefix('@').map(str::to_owned));
    (child, word.expect("the child says a word before it waits"))
}

/// SIGKILL, and the corpse collected.
pub(crate) fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}
