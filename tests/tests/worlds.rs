//! Large images made by real tools: the kernel and a guest read the tree that umoci unpacks.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test panics, and prints what it saw"
)]

mod common;

use common::{docker_registry, flat_disk, mounted, pull, reference, verify, walk};
use msb_testkit::mount::KernelMount;
use msb_testkit::tree::{Entry, Ignore, Listing};
use msb_testkit::vm::Guest;
use msb_testkit::worlds::{TAG, World};
use msb_testkit::{cloud_hypervisor, umoci};

/// Unpacks a world with umoci. It reads neither zstd nor schema 2; those worlds have the same tree as their originals.
fn unpacked(world: World) -> Listing {
    let readable = match world {
        World::Zstd | World::Schema2 => World::Python,
        World::Index => World::Base,
        other => other,
    };
    let folder = tempfile::tempdir().unwrap();
    umoci::unpack(
        &readable.layout().unwrap(),
        TAG,
        &folder.path().join("bundle"),
    )
    .unwrap()
}

/// Returns the number of layers of a world.
fn layer_count(world: World) -> usize {
    match world {
        World::ManyLayers => 120,
        World::Python | World::Zstd | World::Schema2 => 5,
        World::Node => 3,
        _ => 1,
    }
}

/// No layer of these images describes the root, so umoci sets its mtime to the time of unpacking.
fn ignore() -> Ignore {
    Ignore {
        root: true,
        ..umoci::known_losses()
    }
}

async fn world_equals_umoci(world: World) {
    let registry = docker_registry();
    world.push(&registry, world.name()).unwrap();
    let cache = tempfile::tempdir().unwrap();
    let result = pull(
        cache.path(),
        &reference(&registry, &format!("{}:{TAG}", world.name())),
    )
    .await
    .unwrap();
    assert_eq!(result.layers.len(), layer_count(world));
    verify(&result);
    let extents = result.extents.iter();
    let extents: Vec<_> = extents
        .map(|extent| (extent.path.clone(), extent.bytes))
        .collect();
    assert_eq!(cloud_hypervisor::extents(&result.vmdk).unwrap(), extents);
    let theirs = unpacked(world);
    let ours = if result.extents.len() > 20 || world == World::Large {
        walk(&mounted(&result))
    } else {
        let (_folder, disk) = flat_disk(&result);
        walk(&KernelMount::erofs(&disk, &[]).unwrap())
    };
    assert!(ours.entries.len() > 2, "{} paths", ours.entries.len());
    if world == World::Node {
        let is_file = |entry: &&Entry| entry.kind == 'f';
        let files = ours.entries.values().filter(is_file).count();
        assert!(files > 50_000, "{files} files");
    }
    ours.same("the kernel", &theirs, "umoci", &ignore())
        .unwrap();
    println!(
        "{}: {} paths, {} layers, equal",
        world.name(),
        ours.entries.len(),
        result.layers.len()
    );
}

#[tokio::test]
async fn base() {
    world_equals_umoci(World::Base).await;
}

#[tokio::test]
async fn python_application_of_five_layers() {
    world_equals_umoci(World::Python).await;
}

#[tokio::test]
async fn node_application_of_50_000_files() {
    world_equals_umoci(World::Node).await;
}

#[tokio::test]
async fn image_of_120_layers() {
    world_equals_umoci(World::ManyLayers).await;
}

#[tokio::test]
async fn multi_platform_index() {
    world_equals_umoci(World::Index).await;
}

#[tokio::test]
async fn zstd() {
    world_equals_umoci(World::Zstd).await;
}

#[tokio::test]
async fn schema_2() {
    world_equals_umoci(World::Schema2).await;
}

#[tokio::test]
async fn layer_of_more_than_two_and_a_half_gib() {
    world_equals_umoci(World::Large).await;
}

#[tokio::test]
async fn a_guest_lists_the_same_tree_from_the_vmdk() {
    let registry = docker_registry();
    World::Python.push(&registry, "python").unwrap();
    let cache = tempfile::tempdir().unwrap();
    let result = pull(
        cache.path(),
        &reference(&registry, &format!("python:{TAG}")),
    )
    .await
    .unwrap();
    let guest = Guest::boot(&result.vmdk).unwrap();
    let theirs = unpacked(World::Python);
    // The tools of the guest list no xattrs.
    let ignore = Ignore {
        xattrs: true,
        ..ignore()
    };
    guest
        .listing
        .same("the guest", &theirs, "umoci", &ignore)
        .unwrap();
    println!(
        "{} under {}: {} paths in {:?}",
        guest.kernel,
        guest.accelerator,
        guest.listing.entries.len(),
        guest.elapsed
    );
}
