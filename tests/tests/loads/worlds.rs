//! Large images made by real tools.

use msb_testkit::skopeo;
use msb_testkit::worlds::{TAG, World};

use super::common::{docker_registry, pull, reference};
use super::load;

async fn archives_equal_a_pull(world: World) {
    let registry = docker_registry();
    world.push(&registry, world.name()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let reference = reference(&registry, &format!("{}:{TAG}", world.name()));
    let pulled = pull(&at("pulled"), &reference).await.unwrap();
    let fsmeta = std::fs::read(&pulled.fsmeta).unwrap();
    let layout = world.layout().unwrap();
    let archive = at("docker.tar");
    let tag = "example.org/x:t";
    skopeo::docker_archive(&layout, TAG, &archive, tag).unwrap();
    for source in [&layout, &archive] {
        let cache = tempfile::tempdir().unwrap();
        let loaded = load(cache.path(), source, tag).await.unwrap();
        assert!(std::fs::read(&loaded.fsmeta).unwrap() == fsmeta);
        assert_eq!(loaded.layer_diff_ids, pulled.layer_diff_ids);
        let again = load(cache.path(), source, tag).await.unwrap();
        assert!(again.cached);
    }
}

#[tokio::test]
async fn python_application_of_five_layers() {
    archives_equal_a_pull(World::Python).await;
}

#[tokio::test]
async fn node_application_of_50_000_files() {
    archives_equal_a_pull(World::Node).await;
}

#[tokio::test]
async fn image_of_120_layers() {
    archives_equal_a_pull(World::ManyLayers).await;
}

#[tokio::test]
async fn zstd() {
    archives_equal_a_pull(World::Zstd).await;
}
