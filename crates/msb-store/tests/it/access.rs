//! What is created where, with which permissions; and which commands create nothing.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use crate::common::*;
use msb_oci::Digest;
use msb_store::{Error, LockOn, PruneOptions, Store, StoreOptions};

const ROOT: &str = "MSB_STORE_TEST_ACCESS_ROOT";

/// Fills a cache under the umask of this process; nothing, in the test run itself.
#[test]
fn child_that_fills_a_cache() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let mut options = StoreOptions::default();
    if let Some(group) = std::env::var_os("MSB_STORE_TEST_GROUP") {
        options.shared_group = Some(group.to_str().unwrap().parse().unwrap());
    }
    let store = Store::with_options(root, options).unwrap();
    put_image(&store, "a");
    store
        .record_verified_blob(&layer("a"), &layer("b").diff_id)
        .unwrap();
    let image = store.stage_layer_image(&layer("c")).unwrap();
    let sidecar = store.stage_layer_sidecar(&layer("c")).unwrap();
    let (image, sidecar) = (image.sync().unwrap(), sidecar.sync().unwrap());
    store
        .publish_layer(&layer("c"), &layer("b").diff_id, image, sidecar)
        .unwrap();
    let lease = store.lease(&disk("a"), &[layer("a")], &[]).unwrap();
    let lock = store.try_lock(LockOn::Layer(&layer("a").diff_id)).unwrap();
    let partial = store.open_partial_blob(&layer("a").diff_id, 10).unwrap();
    let staged = store.stage_fsmeta(&disk("b")).unwrap();
    // Left as they are, for the parent to look at.
    std::mem::forget((lease, lock, partial, staged));
}

fn fill(root: &Path, umask: &str, group: Option<u32>) {
    let binary = std::env::current_exe().unwrap();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        r#"umask "$1"; exec "$0" --exact access::child_that_fills_a_cache"#,
    ]);
    command.arg(binary).arg(umask).env(ROOT, root);
    if let Some(group) = group {
        command.env("MSB_STORE_TEST_GROUP", group.to_string());
    }
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

/// Calls `check` with every path below `root`, itself included, its kind and mode.
fn each(root: &Path, check: &mut impl FnMut(&str, bool, u32)) {
    let metadata = root.symlink_metadata().unwrap();
    check(
        root.to_str().unwrap(),
        metadata.is_dir(),
        metadata.permissions().mode() & 0o7777,
    );
    if metadata.is_dir() {
        for entry in std::fs::read_dir(root).unwrap() {
            each(&entry.unwrap().path(), check);
        }
    }
}

fn is_unpublished(path: &str) -> bool {
    let ends = [".lock", ".lease", ".part"];
    ends.iter().any(|end| path.ends_with(end)) || path.contains(".tmp-")
}

#[test]
fn a_cache_is_its_owners_alone_whatever_the_umask() {
    for umask in ["000", "022", "077", "277"] {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("cache");
        fill(&root, umask, None);
        let mut seen = 0;
        each(&root, &mut |path, is_dir, mode| {
            seen += 1;
            let expected = match is_dir {
                true => 0o700,
                false if is_unpublished(path) => 0o600,
                false => 0o444,
            };
            assert_eq!(mode, expected, "umask {umask}: {path} has {mode:o}");
        });
        assert!(seen > 20, "{seen}");
    }
}

#[test]
fn a_shared_cache_is_its_groups_too_and_so_it_stays() {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("cache");
    let group = std::fs::metadata(temp.path()).unwrap().gid();
    fill(&root, "077", Some(group));
    // A later process needs no option.
    fill(&root, "022", None);
    each(&root, &mut |path, is_dir, mode| {
        let expected = match is_dir {
            true => 0o2770,
            false if is_unpublished(path) => 0o660,
            false => 0o440,
        };
        assert_eq!(mode, expected, "{path} has {mode:o}");
        assert_eq!(
            std::fs::symlink_metadata(path).unwrap().gid(),
            group,
            "{path}"
        );
    });
}

#[test]
fn what_reads_or_removes_creates_nothing_and_names_the_directory() {
    let temp = tempfile::tempdir().unwrap();
    let [missing, foreign, empty] = ["missing", "foreign", "empty"].map(|n| temp.path().join(n));
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("notes.txt"), "").unwrap();
    std::fs::create_dir(&empty).unwrap();
    for (root, problem) in [
        (&missing, "there is no cache at"),
        (&foreign, "is not a cache directory"),
    ] {
        let store = Store::open(root).unwrap();
        for error in [
            store.require().unwrap_err(),
            store
                .prune::<String>(&PruneOptions::default(), |_, name| references(&name))
                .unwrap_err(),
        ] {
            assert!(error.is_no_cache() && error.path() == root, "{error}");
            assert!(error.to_string().contains(problem), "{error}");
        }
    }
    for root in [&missing, &foreign, &empty] {
        let store = Store::open(root).unwrap();
        assert!(store.read_image::<String>(&image("a")).unwrap().is_none());
        assert!(store.list_images::<String>().unwrap().is_empty());
        assert!(store.layer_lengths(&layer("a")).unwrap().is_none());
        assert!(
            store
                .read_blob(&Digest::sha256_of(b""), 1)
                .unwrap()
                .is_none()
        );
        assert!(!store.remove_image(&image("a")).unwrap());
        assert!(!is_leased(&store, &disk("a")));
        assert_eq!(store.sweep_stale_temporaries().unwrap().files, 0);
    }
    Store::open(&empty).unwrap().require().unwrap();
    Store::open(&empty)
        .unwrap()
        .prune::<String>(&PruneOptions::default(), |_, name| references(&name))
        .unwrap();
    assert!(!missing.exists());
    assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(&foreign).unwrap().count(), 1);
}

#[test]
fn pruning_a_cache_leaves_no_file_behind() {
    let temp = tempfile::tempdir().unwrap();
    let store = Store::open(temp.path()).unwrap();
    put_image(&store, "a");
    let before = files(temp.path());
    store
        .prune::<String>(&PruneOptions::default(), |_, name| references(&name))
        .unwrap();
    assert_eq!(files(temp.path()), before);
}

/// Opens a partial blob as the user of this process; nothing, in the test run itself.
#[test]
fn child_that_opens_a_partial_blob() {
    let Some(job) = job() else { return };
    let partial = job.store.open_partial_blob(&layer("a").diff_id, 100);
    println!("has {} bytes", partial.unwrap().unwrap().len_bytes());
}

#[test]
fn a_partial_blob_of_another_user_is_replaced() {
    const NOBODY: u32 = 65534;
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "another user needs root");
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = temp.path().join("program");
    // In a process of its own: a child of another thread could inherit the descriptor, and a file that is open for writing cannot be run.
    let copied = std::process::Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let root = temp.path().join("cache");
    std::fs::create_dir(&root).unwrap();
    std::os::unix::fs::chown(&root, Some(NOBODY), Some(NOBODY)).unwrap();
    let open = || {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new(&program);
        command.args([
            "--exact",
            "access::child_that_opens_a_partial_blob",
            "--nocapture",
        ]);
        command.envs(job_environment("", &root));
        let output = command.uid(NOBODY).gid(NOBODY).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(open().contains("has 0 bytes"));
    let path = Store::open(&root)
        .unwrap()
        .open_partial_blob(&layer("a").diff_id, 100)
        .unwrap()
        .unwrap()
        .path()
        .to_owned();
    let owner = || path.metadata().unwrap().uid();
    assert_eq!(owner(), NOBODY);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "planted").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    let text = open();
    assert!(text.contains("has 0 bytes"), "{text}");
    assert_eq!(owner(), NOBODY);
}

/// Uses up the descriptors of this process and reads; nothing, in the test run itself.
#[test]
fn child_without_descriptors() {
    let Some(job) = job() else { return };
    let files: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    let store = &job.store;
    let errors = [
        store.open_layer_sidecar(&layer("a")).err(),
        store.layer_lengths(&layer("a")).err(),
        store.read_image::<String>(&image("a")).err(),
        store
            .is_verified_blob(&layer("a"), &layer("a").diff_id)
            .err(),
        store.read_blob(&Digest::sha256_of(MANIFEST), 1 << 20).err(),
        store.lease(&disk("a"), &[], &[]).err(),
    ];
    drop(files);
    let all = errors.iter().all(|error| {
        matches!(error, Some(error @ Error::Io { source, .. })
            if !error.is_corrupt() && source.raw_os_error() == Some(24))
    });
    println!("{errors:?}");
    ready_and_wait(if all { "errors" } else { "something else" });
}

#[test]
fn no_free_descriptor_is_an_error_and_not_damage() {
    let temp = tempfile::tempdir().unwrap();
    put_image(&Store::open(temp.path()).unwrap(), "a");
    let (child, word) = spawn("access::child_without_descriptors", "", temp.path());
    kill(child);
    assert_eq!(word, "errors");
}

#[test]
#[cfg(target_os = "linux")]
fn an_immutable_layer_refuses_writers_and_is_replaced_and_pruned() {
    let temp = tempfile::tempdir().unwrap();
    let mut options = StoreOptions::default();
    options.immutable = true;
    let store = Store::with_options(temp.path(), options).unwrap();
    put_image(&store, "a");
    let path = store.layer_image_path(&layer("a"));
    let flags = Command::new("lsattr").arg(&path).output().unwrap();
    let flags = String::from_utf8_lossy(&flags.stdout).into_owned();
    let is_set = flags
        .split(' ')
        .next()
        .is_some_and(|flags| flags.contains('i'));
    // Whether the flag can be set here, found out with another program.
    let probe = temp.path().join("probe");
    std::fs::write(&probe, "").unwrap();
    let chattr = |flag: &str| Command::new("chattr").arg(flag).arg(&probe).output();
    let is_possible = chattr("+i").is_ok_and(|output| output.status.success());
    let _ = chattr("-i");
    std::fs::remove_file(&probe).unwrap();
    assert_eq!(is_set, is_possible, "{flags:?}");
    if is_set {
        let error = std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        assert!(std::fs::remove_file(&path).is_err());
    } else {
        println!("SKIPPED: no immutable flag here, or no right to set it: {flags:?}");
    }
    put_image(&store, "a");
    store.remove_image(&image("a")).unwrap();
    let all = PruneOptions::with_grace(std::time::Duration::ZERO);
    let pruned = store
        .prune::<String>(&all, |_, name| references(&name))
        .unwrap();
    assert_eq!((pruned.layers.len(), pruned.disks.len()), (1, 1));
    assert!(!path.exists());
}
