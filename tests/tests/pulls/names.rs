//! The registry that each name is requested from.

use super::*;

fn image() -> ImageBuilder {
    ImageBuilder::new().layer(Layer::recipe("file a size=5000 seed=1").gzip())
}

fn by_digest(served: &Served, digest: &str) -> Reference {
    format!("{}/x@{digest}", served.registry.host())
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_digest_asks_the_registry_that_is_named_unless_the_name_has_a_record() {
    let cache = tempfile::tempdir().unwrap();
    let here = Served::new(&image());
    pull(cache.path(), &here.reference).await.unwrap();
    let digest = here.built.manifest_digest.clone();

    // This registry is empty.
    let elsewhere = Served::new(&ImageBuilder::new());
    let name = by_digest(&elsewhere, &digest);
    let registry = registry_in(cache.path());
    for pull_policy in [PullPolicy::IfMissing, PullPolicy::Always] {
        let error = registry.pull(&name, &policy(pull_policy)).await;
        let error = error.unwrap_err();
        assert!(error.is_not_found(), "{pull_policy}: {error}");
    }
    assert!(elsewhere.registry.count(&digest) >= 2);
    let error = registry.pull(&name, &policy(PullPolicy::Never)).await;
    assert!(matches!(
        error,
        Err(PullError::Cache(CacheError::NotCached { .. }))
    ));

    // The tag and the digest are different names; a pull of the tag records it.
    let name = by_digest(&here, &digest);
    let asked = |pull_policy| {
        here.registry.forget_requests();
        let (registry, name, here) = (registry.clone(), name.clone(), &here);
        async move {
            let pulled = registry.pull(&name, &policy(pull_policy)).await;
            assert!(pulled.unwrap().cached);
            (
                here.registry.count("/manifests/"),
                here.registry.count("/blobs/"),
            )
        }
    };
    assert_eq!(asked(PullPolicy::IfMissing).await, (1, 0));
    assert_eq!(asked(PullPolicy::IfMissing).await, (0, 0));
    assert_eq!(asked(PullPolicy::Never).await, (0, 0));
    assert_eq!(asked(PullPolicy::Always).await, (1, 0));
}
