//! The descriptor of a cached disk: its place and its names, as QEMU, imago and Cloud Hypervisor's rules see them.

use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, symlink};
use std::path::Path;

use imago::{FormatDriverBuilder, PermissiveImplicitOpenGate, vmdk::Vmdk};
use microsandbox_image::{GlobalCache, PullResult, VmdkError};
use msb_testkit::image::{ImageBuilder, Layer};
use msb_testkit::{cloud_hypervisor, vmdk};

use super::common::devices;
use super::load_layout;

fn image() -> ImageBuilder {
    ImageBuilder::new()
        .layer(Layer::recipe("file a size=90000 seed=1").gzip())
        .layer(Layer::recipe("file b size=50000 seed=2").gzip())
        .layer(Layer::recipe("file a size=70000 seed=3").gzip())
}

/// Returns the bytes of the disk, from its files.
fn bytes(result: &PullResult) -> Vec<u8> {
    let files = result.extents.iter();
    files
        .flat_map(|file| fs::read(&file.path).unwrap())
        .collect()
}

/// Reads the disk through a descriptor with QEMU, imago and Cloud Hypervisor's rules.
fn every_reader_sees(vmdk: &Path, expected: &[u8]) {
    let raw = tempfile::NamedTempFile::new().unwrap();
    vmdk::flatten(vmdk, raw.path()).unwrap();
    assert!(fs::read(raw.path()).unwrap() == expected, "QEMU");
    let imago =
        Vmdk::<imago::file::File>::builder_path(vmdk).open(PermissiveImplicitOpenGate::default());
    imago.unwrap();
    let files = cloud_hypervisor::extents(vmdk).unwrap().into_iter();
    let read: Vec<u8> = files
        .flat_map(|(path, _)| fs::read(path).unwrap())
        .collect();
    assert!(read == expected, "Cloud Hypervisor");
}

#[tokio::test]
async fn every_reader_takes_the_descriptor_wherever_the_cache_lies_or_is_moved() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    image().write_layout(&layout, "t").unwrap();
    let real = folder.path().join("real");
    fs::create_dir(&real).unwrap();
    symlink(&real, folder.path().join("link")).unwrap();
    let mut expected = Vec::new();
    for place in ["plain", "with a blank", "with \"quotes\" & 'ticks'", "link"] {
        let cache = folder.path().join(place);
        let result = load_layout(&cache, &layout).await;
        expected = bytes(&result);
        assert_eq!(result.vmdk.parent(), Some(cache.as_path()));
        every_reader_sees(&result.vmdk, &expected);
        let text = fs::read_to_string(&result.vmdk).unwrap();
        let names = text.lines().filter(|line| line.starts_with("RW "));
        assert_eq!(names.clone().count(), 4);
        for name in names {
            assert_eq!(name.split('"').count(), 3, "{name}");
            assert!(!name.contains("..") && !name.contains("\"/"), "{name}");
        }
    }
    let moved = folder.path().join("moved to/another place");
    fs::create_dir_all(moved.parent().unwrap()).unwrap();
    fs::rename(folder.path().join("plain"), &moved).unwrap();
    let cache = GlobalCache::new(&moved).unwrap();
    let result = cache
        .image(
            &"example.org/x:t".parse().unwrap(),
            &microsandbox_image::Platform::new("linux", "amd64"),
        )
        .unwrap();
    assert!(result.vmdk.starts_with(&moved));
    every_reader_sees(&result.vmdk, &expected);
    result.verify(true).unwrap();
}

#[tokio::test]
async fn a_descriptor_can_have_names_of_the_caller() {
    let folder = tempfile::tempdir().unwrap();
    let layout = folder.path().join("layout");
    image().write_layout(&layout, "t").unwrap();
    let result = load_layout(&folder.path().join("cache"), &layout).await;
    let expected = bytes(&result);
    let elsewhere = folder.path().join("elsewhere.vmdk");
    let read = |text: String| {
        fs::write(&elsewhere, text).unwrap();
        let raw = tempfile::NamedTempFile::new().unwrap();
        vmdk::flatten(&elsewhere, raw.path()).unwrap();
        assert!(fs::read(raw.path()).unwrap() == expected);
    };
    let absolute =
        |_, extent: &microsandbox_image::DiskExtent| extent.path.to_str().unwrap().to_owned();
    read(result.descriptor_with_names(absolute).unwrap());
    // The files open in this process, in the order of the disk.
    let files = result.open_extents().unwrap();
    let this = std::process::id();
    let open = |place: usize, _: &_| format!("/proc/{this}/fd/{}", files[place].as_raw_fd());
    read(result.descriptor_with_names(open).unwrap());
    let mut read_back = vec![0; expected.len()];
    let mut at = 0;
    for (file, extent) in files.iter().zip(&result.extents) {
        let end = at + usize::try_from(extent.bytes).unwrap();
        file.read_exact_at(&mut read_back[at..end], 0).unwrap();
        at = end;
    }
    assert!(read_back == expected && files.len() == devices(&result).len() + 1);
    let fdset = result.descriptor_with_names(|place, _| format!("/dev/fdset/{place}"));
    assert!(fdset.unwrap().contains(" FLAT \"/dev/fdset/3\" 0\n"));
    let refused = result.descriptor_with_names(|_, _| "a\"b".to_owned());
    assert!(matches!(refused, Err(VmdkError::FileName { .. })));
    fs::remove_file(&result.extents[2].path).unwrap();
    result.open_extents().unwrap_err();
}
