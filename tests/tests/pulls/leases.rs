//! Prunes beside pulls, and beside processes that use an image.

use std::os::fd::AsFd as _;

use super::*;

fn image(seed: u32) -> ImageBuilder {
    let file = |seed| Layer::recipe(&format!("file f{seed} size=20000 seed={seed}")).gzip();
    ImageBuilder::new().layer(file(seed)).layer(file(seed + 1))
}

fn is_there(result: &PullResult) -> bool {
    let mut files = result.extents.iter().map(|extent| extent.path.exists());
    result.vmdk.exists() && files.all(|is_there| is_there)
}

#[tokio::test]
async fn a_result_keeps_its_image_and_so_does_a_clone_and_a_lease() {
    let served = Served::new(&image(1));
    for is_warm in [false, true] {
        let cache = tempfile::tempdir().unwrap();
        let mut result = pull(cache.path(), &served.reference).await.unwrap();
        if is_warm {
            drop(result);
            result = pull(cache.path(), &served.reference).await.unwrap();
            assert!(result.cached);
        }
        let (clone, lease) = (result.clone(), result.lease().clone());
        lease.as_fd();
        remove(cache.path(), &served.reference);
        prune(cache.path());
        assert!(is_there(&result));
        result.verify(true).unwrap();
        drop(result);
        prune(cache.path());
        assert!(is_there(&clone));
        let files = clone.vmdk.clone();
        drop(clone);
        prune(cache.path());
        assert!(files.exists());
        drop(lease);
        prune(cache.path());
        assert!(!files.exists());
    }
}

#[tokio::test]
async fn an_image_that_the_cache_hands_out_is_leased() {
    let served = Served::new(&image(1));
    let cache = tempfile::tempdir().unwrap();
    drop(pull(cache.path(), &served.reference).await.unwrap());
    let platform = Platform::new("linux", "amd64");
    let handed_out = GlobalCache::new(cache.path())
        .unwrap()
        .image(&served.reference, &platform)
        .unwrap();
    remove(cache.path(), &served.reference);
    prune(cache.path());
    handed_out.verify(true).unwrap();
}

#[tokio::test]
async fn a_process_that_inherits_the_lease_keeps_the_disk() {
    let served = Served::new(&image(1));
    let cache = tempfile::tempdir().unwrap();
    let result = pull(cache.path(), &served.reference).await.unwrap();
    let descriptor = result.lease().inheritable_fd().unwrap();
    let mut vm = std::process::Command::new("sleep")
        .arg("100")
        .spawn()
        .unwrap();
    let vmdk = result.vmdk.clone();
    drop((descriptor, result));
    remove(cache.path(), &served.reference);
    prune(cache.path());
    let is_kept = vmdk.exists();
    vm.kill().unwrap();
    vm.wait().unwrap();
    assert!(is_kept);
    prune(cache.path());
    assert!(!vmdk.exists());
}

#[tokio::test]
async fn a_prune_without_grace_takes_nothing_from_a_pull_that_is_under_way() {
    let served = Served::new(&image(1));
    let last = &served.built.layer_digests[1];
    let stall = Fault::StallAfter(10, Duration::from_secs(3));
    served.registry.fault_times(last, 1, stall);
    let cache = tempfile::tempdir().unwrap();
    let (mut progress, task) =
        registry_in(cache.path()).pull_with_progress(&served.reference, &PullOptions::default());
    while let Some(event) = progress.recv().await {
        if matches!(event, PullProgress::LayerMaterialized { .. }) {
            break;
        }
    }
    let blobs = cache.path().join("blobs/sha256");
    until("manifest and config are there", || {
        std::fs::read_dir(&blobs).is_ok_and(|blobs| blobs.count() == 2)
    })
    .await;
    assert!(!task.is_finished());
    for _ in 0..5 {
        prune(cache.path());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!task.is_finished(), "the pull was over before the prunes");
    let result = task.await.unwrap().unwrap();
    result.verify(true).unwrap();
}
