//! The choice of an image by platform.

use super::*;

#[test]
fn a_plain_manifest_of_another_platform_is_refused() {
    let setup = Setup::new();
    let built = setup.image("a", "linux", "arm64");
    setup.tag(built.descriptor());
    setup.refuses(AMD64, &["no image for linux/amd64", "linux/arm64"]);
    assert_eq!(
        setup.pull("linux/arm64").unwrap().platform.to_string(),
        "linux/arm64"
    );
    let built = setup.image("a", "windows", "amd64");
    setup.tag(built.descriptor());
    setup.refuses(AMD64, &["no image for linux/amd64", "windows/amd64"]);
}

#[test]
fn a_child_without_a_platform_is_what_its_config_states() {
    for none in [json!(null), json!({}), on("", "")] {
        let setup = Setup::new();
        let arm = setup.image("arm", "linux", "arm64").descriptor();
        let amd = setup.image("amd", "linux", "amd64").descriptor();
        setup.tag(setup.index(&[with_platform(arm.clone(), none.clone())]));
        setup.refuses(AMD64, &["no image for linux/amd64", "linux/arm64"]);
        setup.tag(setup.index(&[with_platform(arm, none.clone()), with_platform(amd, none)]));
        assert!(has(&setup.pull(AMD64).unwrap(), "amd"));
    }
}

#[test]
fn a_child_whose_config_contradicts_its_index_is_not_taken() {
    let setup = Setup::new();
    let lie = with_platform(
        setup.image("lie", "linux", "arm64").descriptor(),
        on("linux", "amd64"),
    );
    let truth = with_platform(
        setup.image("truth", "linux", "amd64").descriptor(),
        on("linux", "amd64"),
    );
    setup.tag(setup.index(std::slice::from_ref(&lie)));
    setup.refuses(AMD64, &["no image for linux/amd64", "linux/arm64"]);
    setup.tag(setup.index(&[lie, truth]));
    assert!(has(&setup.pull(AMD64).unwrap(), "truth"));
}

#[test]
fn every_candidate_of_nested_indexes_is_considered() {
    let setup = Setup::new();
    let arm = setup.image("arm", "linux", "arm64").descriptor();
    let amd = setup.image("amd", "linux", "amd64").descriptor();
    let dead_end = setup.index(std::slice::from_ref(&arm));
    let deep = setup.index(&[setup.index(std::slice::from_ref(&arm)), setup.index(&[amd])]);
    setup.tag(setup.index(&[dead_end, deep]));
    assert!(has(&setup.pull(AMD64).unwrap(), "amd"));
    setup.refuses(
        "linux/s390x",
        &["no image for linux/s390x", "linux/amd64, linux/arm64"],
    );
}

#[test]
fn a_child_that_is_no_image_is_passed_over() {
    let setup = Setup::new();
    let config = setup.document("application/vnd.oci.empty.v1+json", "{}");
    let artifact = json!({"schemaVersion": 2, "config": config, "layers": []});
    let artifact = setup.document(OCI_MANIFEST, &artifact.to_string());
    let amd = setup.image("amd", "linux", "amd64").descriptor();
    setup.tag(setup.index(&[artifact.clone(), amd]));
    assert!(has(&setup.pull(AMD64).unwrap(), "amd"));
    setup.tag(setup.index(std::slice::from_ref(&artifact)));
    let found = "it is no image: its config has the media type application/vnd.oci.empty.v1+json";
    setup.refuses(AMD64, &["manifest sha256:", found]);
}

#[test]
fn a_child_that_needs_a_feature_is_skipped_and_named() {
    let setup = Setup::new();
    let needs = setup.image("needs", "linux", "amd64").descriptor();
    let mut platform = on("linux", "amd64");
    platform["os.features"] = json!(["erofs"]);
    let needs = with_platform(needs, platform);
    let plain = with_platform(
        setup.image("plain", "linux", "amd64").descriptor(),
        on("linux", "amd64"),
    );
    setup.tag(setup.index(&[needs.clone(), plain]));
    assert!(has(&setup.pull(AMD64).unwrap(), "plain"));
    setup.tag(setup.index(&[needs]));
    setup.refuses(AMD64, &["linux/amd64 (needs os.features erofs"]);
}

#[test]
fn a_feature_in_the_config_is_mandatory_too() {
    let setup = Setup::new();
    let config = json!({"os": "linux", "architecture": "amd64", "os.features": ["erofs"], "rootfs": {"diff_ids": []}});
    let image = ImageBuilder::new().config_bytes(config.to_string());
    let built = image.write_layout(setup.layout.path(), "image").unwrap();
    setup.tag(built.descriptor());
    setup.refuses(AMD64, &["linux/amd64 (needs os.features erofs"]);
}

#[test]
fn the_result_has_the_images_own_platform() {
    let setup = Setup::new();
    let v6 = image("v6").platform("linux", "arm").variant("v6");
    let index = IndexBuilder::new().image(v6);
    index.write_layout(setup.layout.path(), "t").unwrap();
    assert_eq!(
        setup.pull("linux/arm/v7").unwrap().platform.to_string(),
        "linux/arm/v6"
    );
    // The record is found under the requested platform.
    let never = PullOptions {
        pull_policy: PullPolicy::Never,
        ..Default::default()
    };
    let again = setup.pull_by("linux/arm/v7", &never).unwrap();
    assert_eq!(
        (again.platform.to_string().as_str(), again.cached),
        ("linux/arm/v6", true)
    );
    let cache = GlobalCache::new(setup.cache.path()).unwrap();
    assert_eq!(
        cache.images().unwrap()[0].platform.to_string(),
        "linux/arm/v7"
    );
}

#[test]
fn a_config_without_a_platform_is_taken_with_a_note() {
    let setup = Setup::new();
    let config = json!({"rootfs": {"diff_ids": []}});
    let image = ImageBuilder::new().config_bytes(config.to_string());
    let built = image.write_layout(setup.layout.path(), "t").unwrap();
    let result = setup.pull(AMD64).unwrap();
    assert_eq!(result.platform.to_string(), AMD64);
    assert!(
        result.notes[0]
            .to_string()
            .contains("does not state its platform"),
        "{:?}",
        result.notes
    );
    // An index that states the platform is enough.
    setup.tag(setup.index(&[with_platform(built.descriptor(), on("linux", "amd64"))]));
    let always = PullOptions {
        pull_policy: PullPolicy::Always,
        ..Default::default()
    };
    assert!(setup.pull_by(AMD64, &always).unwrap().notes.is_empty());
    // An incomplete platform is compared as far as it is stated.
    let config = json!({"architecture": "arm64", "rootfs": {"diff_ids": []}});
    let image = ImageBuilder::new().config_bytes(config.to_string());
    image.write_layout(setup.layout.path(), "t").unwrap();
    let error = setup.pull_by(AMD64, &always).unwrap_err();
    assert!(
        chain(&error).contains("there is linux/arm64"),
        "{}",
        chain(&error)
    );
}
