//! Whole disks of another cache are used where they are; layers of it are copied.

use super::*;

#[tokio::test]
async fn a_disk_of_another_cache_is_used_in_place_without_a_layer_from_the_registry() {
    let setup = Setup::new(&[1, 2, 3]).await;
    let before = snapshot(setup.tier.path());
    // The registry is asked for the tag, or not even that.
    for policy in [PullPolicy::Always, PullPolicy::IfMissing, PullPolicy::Never] {
        let own = tempfile::tempdir().unwrap();
        let cache = setup.above(&own);
        let result = pull_as(&cache, &setup.reference, policy).await;
        assert_eq!(setup.requested_layers(), [] as [usize; 0], "{policy}");
        assert!(result.cached);
        assert_eq!(result.vmdk, setup.image.vmdk);
        assert_eq!(result.extents, setup.image.extents);
        assert_eq!(result.notes, setup.image.notes);
        result.verify(true).unwrap();
        assert_eq!(disk_bytes(own.path()), 0);
        // Every command finds it by its record.
        let platform = Platform::new("linux", "amd64");
        assert!(cache.image(&setup.reference, &platform).unwrap().cached);
        let listed = cache.images().unwrap();
        assert_eq!((listed.len(), listed[0].complete), (1, true));
        assert!(
            cache
                .verify(&setup.reference, &platform, true)
                .unwrap()
                .is_sound()
        );
        let again = pull(&cache, &setup.reference).await;
        assert_eq!(again.vmdk, setup.image.vmdk);
        assert!(setup.registry.requests().is_empty());
        // Without the other cache the image is pulled as any other.
        let alone = super::cache(own.path(), CacheOptions::default());
        let result = pull(&alone, &setup.reference).await;
        assert!(result.vmdk.starts_with(own.path()));
        assert_eq!(setup.requested_layers(), [0, 1, 2]);
    }
    assert!(
        snapshot(setup.tier.path()) == before,
        "the tier has changed"
    );
}

#[tokio::test]
async fn of_a_stack_with_holes_only_what_no_cache_has_is_downloaded() {
    let setup = Setup::new(&[1, 2, 3, 4, 5]).await;
    let two = tempfile::tempdir().unwrap();
    drop(
        pull(
            &super::cache(two.path(), CacheOptions::default()),
            &setup.reference,
        )
        .await,
    );
    setup.registry.forget_requests();
    // The first cache lacks layers 0, 1 and 3, the second one 1, 2 and 4, and neither has the disk.
    for (root, gone) in [(setup.tier.path(), [0, 1, 3]), (two.path(), [1, 2, 4])] {
        for index in gone {
            let name = setup.image.layers[index].erofs.file_name().unwrap();
            let file = root.join("layers/sha256").join(name);
            fs::remove_file(file.with_extension("layer")).unwrap();
        }
        fs::remove_dir_all(root.join("disks")).unwrap();
    }
    let before = [snapshot(setup.tier.path()), snapshot(two.path())];
    let own = tempfile::tempdir().unwrap();
    let cache = super::cache(own.path(), reading([setup.tier.path(), two.path()]));
    let result = pull(&cache, &setup.reference).await;
    assert_eq!(setup.requested_layers(), [1]);
    result.verify(true).unwrap();
    assert!(
        result
            .extents
            .iter()
            .all(|extent| extent.path.starts_with(own.path()))
    );
    assert!([snapshot(setup.tier.path()), snapshot(two.path())] == before);
    // It depends on no other cache now, can be moved, and its bytes are those of a pull without one.
    let moved = own.path().with_extension("moved");
    fs::rename(own.path(), &moved).unwrap();
    let alone = super::cache(&moved, CacheOptions::default());
    let result = pull_as(&alone, &setup.reference, PullPolicy::Never).await;
    result.verify(true).unwrap();
    let fresh = tempfile::tempdir().unwrap();
    let fresh = pull(
        &super::cache(fresh.path(), CacheOptions::default()),
        &setup.reference,
    )
    .await;
    for (copied, built) in result.extents.iter().zip(&fresh.extents) {
        assert!(fs::read(&copied.path).unwrap() == fs::read(&built.path).unwrap());
    }
    drop(result);
    fs::remove_dir_all(&moved).unwrap();
}

#[tokio::test]
async fn a_layer_counts_for_no_blob_that_the_other_cache_has_not_verified() {
    let setup = Setup::new(&[1, 2]).await;
    // The config names the diff_id of a layer that the image does not have.
    let other = Layer::recipe("file mine size=1000").gzip();
    let claims = other.with_diff_id(layer(1).diff_id());
    let layout = tempfile::tempdir().unwrap();
    let image = ImageBuilder::new().layer(claims);
    image.write_layout(layout.path(), "t").unwrap();
    setup.registry.serve("thief", layout.path());
    let thief: Reference = format!("{}/thief:t", setup.registry.host())
        .parse()
        .unwrap();
    let own = tempfile::tempdir().unwrap();
    let registry = Registry::new(Platform::new("linux", "amd64"), setup.above(&own)).unwrap();
    let error = registry
        .pull(&thief, &PullOptions::default())
        .await
        .unwrap_err();
    assert!(error.is_corrupt(), "{error}");
}

#[tokio::test]
async fn a_cache_that_is_filled_from_another_one_depends_on_none() {
    let setup = Setup::new(&[1, 2, 3]).await;
    let filled = tempfile::tempdir().unwrap();
    let mut options = reading([setup.tier.path()]);
    options.is_self_contained = true;
    let cache = super::cache(filled.path(), options);
    let result = pull(&cache, &setup.reference).await;
    assert_eq!(setup.requested_layers(), [] as [usize; 0]);
    assert!(
        result
            .extents
            .iter()
            .all(|extent| extent.path.starts_with(filled.path()))
    );
    result.verify(true).unwrap();
    drop(result);
    // And another cache reads from it.
    let own = tempfile::tempdir().unwrap();
    let above = super::cache(own.path(), reading([filled.path()]));
    let result = pull(&above, &setup.reference).await;
    assert!(result.vmdk.starts_with(filled.path()));
    assert!(setup.registry.requests().is_empty());
}
