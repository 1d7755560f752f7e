//! The big real images: they are what they claim to be. The first run builds them, which takes minutes.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says how long it took"
)]

use std::time::Instant;

use msb_testkit::{
    image::read_manifest,
    registry::{DockerRegistry, RegistryOptions},
    umoci,
    worlds::{TAG, World},
};

#[test]
#[ignore = "builds gigabytes of images; the integration tests pull the same worlds"]
fn every_world_is_built_and_can_be_pushed() {
    let registry = DockerRegistry::start(RegistryOptions::default()).unwrap();
    for world in World::ALL {
        let start = Instant::now();
        let layout = world.layout().unwrap();
        let (_, manifest) = read_manifest(&layout, TAG).unwrap();
        let layers = manifest["layers"].as_array().unwrap();
        let bytes: u64 = layers
            .iter()
            .map(|layer| layer["size"].as_u64().unwrap())
            .sum();
        println!(
            "{}: {} layers, {bytes} bytes compressed, {:.1?}",
            world.name(),
            layers.len(),
            start.elapsed()
        );
        let expected = match world {
            World::ManyLayers => 120,
            World::Python | World::Zstd | World::Schema2 => 5,
            World::Node => 3,
            _ => 1,
        };
        assert_eq!(layers.len(), expected);
        let start = Instant::now();
        let digest = world.push(&registry, world.name()).unwrap();
        println!("  pushed in {:.1?} as {digest}", start.elapsed());
    }
}

#[test]
#[ignore = "unpacks more than 50,000 files; the integration tests do the same"]
fn the_node_world_has_more_than_fifty_thousand_files() {
    let dir = tempfile::tempdir().unwrap();
    let listing = umoci::unpack(
        &World::Node.layout().unwrap(),
        TAG,
        &dir.path().join("bundle"),
    )
    .unwrap();
    let files = listing
        .entries
        .values()
        .filter(|entry| entry.kind == 'f')
        .count();
    println!("{files} files");
    assert!(files > 50_000, "{files}");
}
