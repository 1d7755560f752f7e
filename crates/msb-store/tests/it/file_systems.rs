//! The store on other file systems than that of the temporary directory.

use std::process::{Command, Output};

use msb_store::{LockOn, PruneOptions, Store};

use crate::common::{disk, image, layer, put_image, references};

const ROOT: &str = "MSB_STORE_TEST_FILE_SYSTEM";

/// Runs inside a mount namespace of its own, with a cache on the file system that is tested.
#[test]
fn inside() {
    let Some(root) = std::env::var_os(ROOT) else {
        return;
    };
    let store = Store::open(&root).unwrap();
    put_image(&store, "kept");
    put_image(&store, "gone");
    let lease = store.lease(&disk("kept"), &[layer("kept")], &[]).unwrap();
    let key = layer("kept").diff_id;
    let lock = store.try_lock(LockOn::Layer(&key)).unwrap().unwrap();
    assert!(
        Store::open(&root)
            .unwrap()
            .try_lock(LockOn::Layer(&key))
            .unwrap()
            .is_none()
    );
    drop(lock);
    store.remove_image(&image("kept")).unwrap();
    store.remove_image(&image("gone")).unwrap();
    let options = PruneOptions::with_grace(std::time::Duration::ZERO);
    let prune = || {
        store
            .prune(&options, |_, name: String| references(&name))
            .unwrap()
    };
    assert_eq!(prune().layers, [layer("gone")]);
    drop(lease);
    assert_eq!(prune().layers, [layer("kept")]);
}

/// Runs [`inside`] after the commands of `mount`, in which `$0` is an empty directory and `$root` becomes the cache; `None` without the
/// rights to mount.
fn on(mount: &str) -> Option<()> {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        r#"cd "$0" && ({mount}) >&2 || exit 77; exec "$1" --exact file_systems::inside --nocapture"#
    );
    let output: Output = Command::new("unshare")
        .args(["--mount", "sh", "-c", &script])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .env(ROOT, folder.path().join("at/cache"))
        .output()
        .ok()?;
    if output.status.code() == Some(77) {
        return None;
    }
    assert!(output.status.success(), "{mount}: {output:?}");
    Some(())
}

#[test]
fn locks_leases_and_prunes_work_on_each_file_system_that_can_be_mounted() {
    let overlay = "mkdir up at && mount -t tmpfs none up && mkdir up/l up/u up/w && \
        mount -t overlay none -o lowerdir=up/l,upperdir=up/u,workdir=up/w";
    let mounts = [
        "mkdir at && mount -t tmpfs none at".to_owned(),
        "truncate -s 16M img && mkfs.ext4 -q img && mkdir at && mount -o loop img at".to_owned(),
        format!("{overlay} at"),
        format!("{overlay},volatile at"),
    ];
    let done: Vec<_> = mounts.iter().filter_map(|mount| on(mount)).collect();
    assert!(
        done.len() == mounts.len() || std::env::var_os("CI").is_none(),
        "this test needs unshare(1) and mounts, and in CI it may not be left out"
    );
}
