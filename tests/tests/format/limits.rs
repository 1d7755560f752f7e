//! Limits, and layers just within them.

use super::*;

#[test]
fn a_path_of_5_000_directories_is_refused_by_name_or_whole() {
    let tar = tar::recipe(&format!(
        "file {}f size=1 seed=1\nfile a/b size=1",
        "d/".repeat(5000)
    ));
    match Disk::of(&[Blob::plain(tar)]) {
        Err(error) => {
            let mut told = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                told += &format!(": {error}");
                cause = error.source();
            }
            assert!(told.contains("more than "), "{}", told.len());
        }
        Ok(disk) => {
            // Not compared as a listing: the path is longer than the kernel accepts.
            msb_stitch::verify_disk(&disk.vmdk, Some(disk.merge.tree())).unwrap();
            let image = reader::open(&disk).unwrap();
            let path = format!("/{}f", "d/".repeat(5000));
            assert!(image.lookup_path(path.as_bytes()).unwrap().is_some());
        }
    }
}

/// Returns one frame of stored blocks whose header declares a window of `2^log` bytes (RFC 8878).
fn zstd_with_window(plain: &[u8], log: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (log - 10) << 3];
    let blocks: Vec<&[u8]> = plain.chunks(65_536).collect();
    for (index, block) in blocks.iter().enumerate() {
        let is_last = u32::from(index + 1 == blocks.len());
        let header = u32::try_from(block.len()).unwrap() << 3 | is_last;
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(*block);
    }
    frame
}

#[test]
fn a_zstd_window_of_128_mib_is_read_by_default() {
    let tar = tar::recipe("file a size=100000 seed=1");
    let blob = |log| {
        let bytes = zstd_with_window(&tar, log);
        Blob {
            piece: 4096,
            claimed_bytes: bytes.len() as u64,
            bytes,
            tar: tar.clone(),
        }
    };
    assert!(Disk::of(&[blob(27)]).is_ok());
    let error = Disk::of(&[blob(28)]).unwrap_err();
    assert!(format!("{error:?}").contains("WindowTooLarge"), "{error:?}");
}

#[tokio::test]
async fn zstd_windows_of_layers_side_by_side_share_a_budget() {
    let tar = tar::recipe("file a size=100000 seed=1");
    let bytes = zstd_with_window(&tar, 27);
    let blob = Blob {
        piece: bytes.len(),
        claimed_bytes: bytes.len() as u64,
        bytes: bytes.clone(),
        tar,
    };
    let folder = tempfile::tempdir().unwrap();
    let windows = WindowBudget::new((128 << 20) + (64 << 20));
    let start = |name: &str| {
        let mut job = blob.job(&folder.path().join(name));
        job.windows = windows.clone();
        job.start().unwrap()
    };
    // The first layer holds its window, and its bytes stop.
    let (first, first_task) = start("first");
    assert!(first.send(bytes[..70_000].to_vec().into()).await);
    while first_task.processed().load(Ordering::Relaxed) < 70_000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // The second layer has all of its bytes, and waits.
    let (second, second_task) = start("second");
    assert!(second.send(bytes.clone().into()).await);
    second.finish().await;
    let mut second_task = Box::pin(second_task.wait());
    let early = tokio::time::timeout(Duration::from_millis(300), &mut second_task).await;
    assert!(early.is_err(), "there is no room for two windows");
    assert!(first.send(bytes[70_000..].to_vec().into()).await);
    first.finish().await;
    assert!(first_task.wait().await.is_ok());
    assert!(second_task.await.is_ok());
}

#[test]
fn no_layers_are_one_extent() {
    let disk = Disk::of_recipes(&[]);
    let text = fs::read_to_string(&disk.vmdk).unwrap();
    let extents: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("RW "))
        .collect();
    let sectors = fs::metadata(&disk.fsmeta).unwrap().len() / 512;
    assert_eq!(extents, [format!("RW {sectors} FLAT \"fsmeta.erofs\" 0")]);
    assert!(raw(&disk.fsmeta).slots().is_empty());
}

#[test]
fn a_name_with_nul_is_refused_and_a_slash_makes_a_directory() {
    let error =
        Disk::of(&[Blob::plain(tar::recipe("file x size=1 pax.path=a\\x00b"))]).unwrap_err();
    assert!(format!("{error:?}").contains("Nul"), "{error:?}");
    let disk = Disk::of_recipes(&["file x size=1 pax.path=a/b"]);
    for image in images(&disk) {
        assert!(image.at("/a").is_directory() && image.at("/a/b").size == 1);
    }
}
