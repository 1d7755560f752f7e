//! Disks with a hash tree of dm-verity: `veritysetup` and a guest verify them, and the cache keeps them whole.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use microsandbox_image::{
    ArchiveOptions, ArtifactKind, CacheError, CacheOptions, ExportOptions, GlobalCache,
    ImageArchive, LoadOptions, Loader, MountOptions, Note, Platform, PruneOptions, PullOptions,
    PullPolicy, PullResult, Reference, Registry, Verity,
};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::oracle::{Tool, require};
use msb_testkit::tree::{Ignore, Listing};
use msb_testkit::vm::{Guest, GuestOptions};
use msb_testkit::{KitError, cloud_hypervisor, vmdk};

use super::common::{mounted, walk};
use super::{load, load_layout};

const PLATFORM: [&str; 2] = ["linux", "amd64"];

fn platform() -> Platform {
    Platform::new(PLATFORM[0], PLATFORM[1])
}

fn reference() -> Reference {
    "example.org/x:t".parse().unwrap()
}

/// An image with data, inline data, holes and metadata in several layers, one of which comes twice.
fn image() -> ImageBuilder {
    let twice = Layer::recipe("file b/twice size=30000 seed=4").gzip();
    ImageBuilder::new()
        .layer(
            Layer::recipe("file a/big size=900000 seed=1 fill=random\nfile a/small data=hello")
                .gzip(),
        )
        .layer(twice.clone())
        .layer(
            Layer::recipe(
                "file a/zeros size=2000000 fill=zero\nfile c size=70000 seed=3 fill=random",
            )
            .gzip(),
        )
        .layer(twice)
        .layer(Layer::recipe("whiteout a/small\nfile d/e/f size=5000 seed=5").gzip())
}

async fn load_with_tree(folder: &Path) -> PullResult {
    let layout = folder.join("layout");
    image().write_layout(&layout, "t").unwrap();
    let archive = ImageArchive::open(&layout, ArchiveOptions::default()).await;
    let image = archive.unwrap().image_named(&reference()).unwrap();
    let cache = GlobalCache::new(folder.join("cache")).unwrap();
    let options = LoadOptions::default().with_verity(true);
    let loaded = Loader::new(platform(), cache).load(&image, &options).await;
    loaded.unwrap()
}

/// Exports the disk, and returns the file.
fn raw(result: &PullResult, folder: &Path) -> PathBuf {
    let path = folder.join("disk.raw");
    let bytes = result.export(&path, &ExportOptions::default()).unwrap();
    let expected: u64 = result.extents.iter().map(|extent| extent.bytes).sum();
    assert_eq!(bytes, expected);
    path
}

fn veritysetup(disk: &Path, verity: &Verity) -> bool {
    let mut verify = Command::new(require(Tool::Veritysetup));
    verify.args(["verify", "--no-superblock", "--format=1", "--hash=sha256"]);
    verify.arg(format!("--data-block-size={}", verity.block_size));
    verify.arg(format!("--hash-block-size={}", verity.block_size));
    verify.arg(format!("--salt={}", verity.salt));
    verify.arg(format!("--data-blocks={}", verity.data_blocks));
    verify.arg(format!("--hash-offset={}", verity.hash_offset));
    let output = verify.args([disk, disk]).arg(&verity.root_hash).output();
    let output = output.unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || text.contains("erif"), "{text}");
    output.status.success()
}

/// Returns places on the disk, some of them in each of its files.
fn places(result: &PullResult, count: usize) -> Vec<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut start = 0;
    let mut starts = Vec::new();
    for extent in &result.extents {
        starts.push((start, extent.bytes));
        start += extent.bytes;
    }
    let random = |index: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let (start, bytes) = starts[index % starts.len()];
        start + (state >> 16) % bytes
    };
    (0..count).map(random).collect()
}

/// Inverts a byte of a file, and returns what it was.
fn flip(path: &Path, at: u64) {
    let mut byte = [0];
    let mut permissions = fs::metadata(path).unwrap().permissions();
    permissions.set_mode(0o644);
    fs::set_permissions(path, permissions).unwrap();
    let file = fs::File::options().read(true).write(true).open(path);
    let file = file.unwrap();
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x40], at).unwrap();
}

#[tokio::test]
async fn veritysetup_verifies_the_exported_disk_and_sees_every_flipped_byte() {
    let folder = tempfile::tempdir().unwrap();
    let result = load_with_tree(folder.path()).await;
    let verity = result.verity.clone().unwrap();
    let disk = raw(&result, folder.path());
    assert!(veritysetup(&disk, &verity));
    for at in places(&result, 20) {
        flip(&disk, at);
        assert!(!veritysetup(&disk, &verity), "{at}");
        flip(&disk, at);
    }
    assert!(veritysetup(&disk, &verity));
    // Hypervisors read the same disk through the descriptor.
    let flat = folder.path().join("flat");
    vmdk::flatten(&result.vmdk, &flat).unwrap();
    assert!(fs::read(&flat).unwrap() == fs::read(&disk).unwrap());
    let extents = cloud_hypervisor::extents(&result.vmdk).unwrap();
    assert_eq!(extents.len(), result.extents.len());
}

#[tokio::test]
async fn a_guest_reads_the_disk_through_dm_verity_and_no_flipped_byte() {
    let folder = tempfile::tempdir().unwrap();
    let result = load_with_tree(folder.path()).await;
    let verity = result.boot_facts().verity.clone().unwrap();
    let boot = |disk: &Path, format| {
        let options = GuestOptions {
            format,
            device_table: Some(verity.device_table("/dev/vda")),
            script: "grep -o '^/dev/dm-0 /mnt erofs ro' /proc/mounts\n".to_owned(),
            ..GuestOptions::default()
        };
        Guest::boot_with(disk, &options)
    };
    let guest = boot(&result.vmdk, "vmdk").unwrap();
    assert_eq!(guest.script.trim(), "/dev/dm-0 /mnt erofs ro");
    let disk = walk(&mounted(&result));
    let ignore = Ignore {
        xattrs: true,
        ..Ignore::default()
    };
    guest
        .listing
        .same("guest", &disk, "mount", &ignore)
        .unwrap();
    let raw = raw(&result, folder.path());
    // The superblock, data of the largest file, the top of the tree.
    let data = result.extents[0].bytes + 200_000;
    for at in [1030, data, verity.hash_offset + 5] {
        flip(&raw, at);
        let error = boot(&raw, "raw").unwrap_err();
        assert!(matches!(error, KitError::Guest { .. }), "{error}");
        flip(&raw, at);
    }
}

#[tokio::test]
async fn a_hash_tree_is_the_same_whenever_it_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("a")).unwrap();
    let first = load_with_tree(&at("a")).await;
    let layout = at("a/layout");
    let tree = |result: &PullResult| fs::read(&result.extents.last().unwrap().path).unwrap();
    let cache = at("b");
    let without = load_layout(&cache, &layout).await;
    assert_eq!((without.verity.clone(), without.extents.len()), (None, 5));
    assert!(without.boot_facts().verity.is_none());
    assert!(!files_named(&cache, "tree") && !files_named(&cache, "leaves"));

    // By a pull that may ask no registry.
    let registry = Registry::new(platform(), GlobalCache::new(&cache).unwrap()).unwrap();
    let options = PullOptions {
        pull_policy: PullPolicy::Never,
        verity: true,
        ..PullOptions::default()
    };
    let later = registry.pull(&reference(), &options).await.unwrap();
    assert!(!later.cached);
    assert_eq!(later.verity, first.verity);
    assert!(tree(&later) == tree(&first));
    let again = registry.pull(&reference(), &options).await.unwrap();
    assert!(again.cached && again.verity == first.verity);

    // By name.
    let cache = at("c");
    drop(load_layout(&cache, &layout).await);
    let cache = GlobalCache::new(&cache).unwrap();
    let added = cache.add_hash_tree(&reference(), &platform()).unwrap();
    assert_eq!(added.verity, first.verity);
    assert!(tree(&added) == tree(&first));
    // The record has it.
    let found = cache.image(&reference(), &platform()).unwrap();
    assert_eq!(found.verity, first.verity);
    assert_eq!(found.extents, added.extents);
    assert!(
        cache
            .verify(&reference(), &platform(), true)
            .unwrap()
            .is_sound()
    );
}

/// Adds all files below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn files_named(folder: &Path, extension: &str) -> bool {
    let mut found = Vec::new();
    files(folder, &mut found);
    found
        .iter()
        .any(|path| path.extension().is_some_and(|name| name == extension))
}

#[tokio::test]
async fn damage_never_gets_into_a_hash_tree() {
    let folder = tempfile::tempdir().unwrap();
    let result = load(folder.path(), &image()).await;
    let cache = GlobalCache::new(folder.path().join("cache")).unwrap();
    for extent in &result.extents[..2] {
        flip(&extent.path, extent.bytes - 5000);
        let error = cache.add_hash_tree(&reference(), &platform()).unwrap_err();
        assert!(error.is_corrupt());
        let CacheError::Changed { path } = error else {
            panic!("{error}");
        };
        assert_eq!(path, extent.path);
        flip(&extent.path, extent.bytes - 5000);
    }
    // A pull rebuilds what is damaged, and then hashes it.
    let damaged = &result.extents[2];
    flip(&damaged.path, 5000);
    let sound = load_with_tree(folder.path()).await;
    assert!(
        cache
            .verify(&reference(), &platform(), true)
            .unwrap()
            .is_sound()
    );
    assert!(veritysetup(
        &raw(&sound, folder.path()),
        sound.verity.as_ref().unwrap()
    ));
}

#[tokio::test]
async fn a_damaged_hash_tree_is_found_and_rebuilt_without_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let result = load_with_tree(folder.path()).await;
    let tree = result.extents.last().unwrap().clone();
    let cache = GlobalCache::new(folder.path().join("cache")).unwrap();
    let registry = Registry::new(platform(), cache.clone()).unwrap();
    let verify = |contents| cache.verify(&reference(), &platform(), contents).unwrap();
    let whole = fs::read(&tree.path).unwrap();
    let descriptor = fs::read(&result.vmdk).unwrap();
    // The top block, a leaf hash, and the zeros after the last one.
    for at in [3, 4096 * 2 + 7, tree.bytes - 1] {
        flip(&tree.path, at);
        assert!(verify(false).is_sound());
        let found = verify(true);
        assert_eq!(found.damage.len(), 1, "{found:?}");
        assert_eq!(found.damage[0].artifact, ArtifactKind::HashTree);
        let repair = registry.repair(&reference()).await.unwrap();
        assert!(repair.is_sound() && repair.layers.is_empty(), "{at}");
        assert!(fs::read(&tree.path).unwrap() == whole);
    }
    // Without one of the files, a pull without a request rebuilds it.
    let never = PullOptions {
        pull_policy: PullPolicy::Never,
        ..PullOptions::default()
    };
    for path in [&tree.path, &result.vmdk] {
        fs::remove_file(path).unwrap();
        assert!(verify(false).is_incomplete());
        let pulled = registry.pull(&reference(), &never).await.unwrap();
        assert_eq!(pulled.verity, result.verity);
        assert!(fs::read(&tree.path).unwrap() == whole);
        assert!(fs::read(&result.vmdk).unwrap() == descriptor);
    }
    // Damaged leaf hashes of a layer are computed again.
    let leaves = result.layers[0].erofs.with_extension("leaves");
    flip(&leaves, 100);
    fs::remove_file(&tree.path).unwrap();
    registry.pull(&reference(), &never).await.unwrap();
    assert!(fs::read(&tree.path).unwrap() == whole);
}

#[tokio::test]
async fn the_files_of_a_hash_tree_are_counted_and_removed_with_their_image() {
    let folder = tempfile::tempdir().unwrap();
    let result = load_with_tree(folder.path()).await;
    let cache = GlobalCache::new(folder.path().join("cache")).unwrap();
    let usage = cache.usage().unwrap();
    let mut found = Vec::new();
    files(cache.root(), &mut found);
    let artifacts = found.iter().filter(|path| {
        let below = path.strip_prefix(cache.root()).unwrap().to_string_lossy();
        let dirs = ["layers/", "disks/", "blobs/"];
        dirs.iter().any(|dir| below.starts_with(dir)) || below.ends_with(".vmdk")
    });
    let bytes: u64 = artifacts.map(|path| path.metadata().unwrap().len()).sum();
    assert_eq!(usage.total_bytes, bytes);
    assert_eq!(usage.images[0].bytes, bytes);
    drop(result);
    assert!(cache.remove(&reference(), &platform()).unwrap());
    let options = PruneOptions::with_grace(std::time::Duration::ZERO);
    cache.prune(&options).unwrap();
    for extension in ["tree", "leaves", "vmdk", "erofs"] {
        assert!(!files_named(cache.root(), extension), "{extension}");
    }
}

#[tokio::test]
async fn a_mount_and_a_tree_leave_the_hashes_out() {
    let folder = tempfile::tempdir().unwrap();
    let result = load_with_tree(folder.path()).await;
    let target = folder.path().join("mnt");
    fs::create_dir(&target).unwrap();
    result.mount(&target, &MountOptions::default()).unwrap();
    let listing = Listing::walk(&target);
    let cache = GlobalCache::new(folder.path().join("cache")).unwrap();
    cache.unmount(&target).unwrap();
    assert_eq!(listing.unwrap(), walk(&mounted(&result)));
    assert!(result.open_tree().is_ok());
    result.verify(true).unwrap();
}

#[tokio::test]
async fn the_files_that_a_hypervisor_needs_are_stated_before_it_boots() {
    let folder = tempfile::tempdir().unwrap();
    let image = (0..300).fold(ImageBuilder::new(), |image, seed| {
        image.layer(Layer::recipe(&format!("file f{seed} size=10 seed={seed}")).gzip())
    });
    let result = load(folder.path(), &image).await;
    assert_eq!(result.boot_facts().file_descriptors, 302);
    let note = result.notes.iter().find_map(|note| match note {
        Note::OpenFiles { files, limit } => Some((*files, *limit)),
        _ => None,
    });
    assert_eq!(note, Some((302, 256)));
}

#[tokio::test]
async fn a_disk_of_another_cache_is_copied_for_a_hash_tree() {
    let folder = tempfile::tempdir().unwrap();
    let other = load(folder.path(), &image()).await;
    let own = folder.path().join("own");
    let mut options = CacheOptions::default();
    options.cache_from = vec![folder.path().join("cache")];
    let cache = GlobalCache::with_options(&own, options).unwrap();
    let layout = folder.path().join("layout");
    let archive = ImageArchive::open(&layout, ArchiveOptions::default()).await;
    let image = archive.unwrap().image_named(&reference()).unwrap();
    let loader = Loader::new(platform(), cache.clone());
    let load = async |verity| {
        let options = LoadOptions::default().with_verity(verity);
        loader.load(&image, &options).await
    };
    let in_place = load(false).await.unwrap();
    assert_eq!(in_place.vmdk, other.vmdk);
    let error = cache.add_hash_tree(&reference(), &platform()).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let copied = load(true).await.unwrap();
    assert!(
        copied
            .extents
            .iter()
            .all(|extent| extent.path.starts_with(&own))
    );
    assert!(veritysetup(
        &raw(&copied, folder.path()),
        copied.verity.as_ref().unwrap()
    ));
    assert!(
        cache
            .verify(&reference(), &platform(), true)
            .unwrap()
            .is_sound()
    );
    assert!(!files_named(&folder.path().join("cache"), "tree"));
    // A hash tree of another cache is used in place.
    let mut options = CacheOptions::default();
    options.cache_from = vec![own];
    let third = GlobalCache::with_options(folder.path().join("third"), options).unwrap();
    let registry = Registry::new(platform(), third).unwrap();
    let options = PullOptions {
        pull_policy: PullPolicy::Never,
        verity: true,
        ..PullOptions::default()
    };
    let shared = registry.pull(&reference(), &options).await.unwrap();
    assert_eq!(
        (shared.verity, shared.extents),
        (copied.verity, copied.extents)
    );
}
