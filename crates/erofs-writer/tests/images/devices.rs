//! Chunks, holes and device slots.

use super::*;

/// A tree of one file, written over devices of so many blocks.
fn over_devices(
    blocks: &[u32],
    size: u64,
    content: NewContent<'_>,
    xattr: usize,
) -> Result<Image<Vec<u8>>, Error> {
    let devices = blocks.iter().map(|&blocks| Device::new(b"t", blocks));
    let options = Options::default().with_devices(devices);
    let mut builder = Builder::with_options(Cursor::new(Vec::new()), options)?;
    let value = vec![b'v'; xattr];
    let xattrs: &[(&[u8], &[u8])] = &[(b"security.capability", &value)];
    let node = NewNode::Regular {
        size,
        crc32c: 0,
        content,
    };
    builder.node(
        b"f",
        with(metadata(0o644), if xattr == 0 { &[] } else { xattrs }),
        node,
    )?;
    let (_, output) = builder.finish()?;
    let image = Image::open_metadata(output.into_inner()).unwrap();
    check(&image, &CheckOptions::default()).unwrap();
    Ok(image)
}

#[test]
fn a_chunk_index_begins_at_the_inodes_end_plus_xattrs_aligned_up_to_8() {
    for xattr in 0..30 {
        let content = NewContent::Contiguous {
            device: 2,
            offset: 3 * BLOCK,
        };
        let image = over_devices(&[10, 20], 5 * BLOCK + 1, content, xattr).unwrap();
        let inode = image.lookup_path(b"/f").unwrap().unwrap();
        assert_eq!(inode.layout, DataLayout::ChunkBased);
        let extents: Vec<_> = image.extents(&inode).unwrap().map(Result::unwrap).collect();
        assert_eq!(extents.len(), 1, "{xattr}");
        assert!(!matches!(extents[0].place, Place::Hole));
    }
}

#[test]
fn a_hole_is_all_ones_and_nothing_with_a_size_is() {
    for size in [1, BLOCK, 1 << 40, 8 << 40] {
        let image = over_devices(&[], size, NewContent::Absent, 0).unwrap();
        let inode = image.lookup_path(b"/f").unwrap().unwrap();
        assert!(
            image
                .extents(&inode)
                .unwrap()
                .all(|extent| matches!(extent.unwrap().place, Place::Hole))
        );
    }
    let image = over_devices(&[], 0, NewContent::Absent, 0).unwrap();
    let inode = image.lookup_path(b"/f").unwrap().unwrap();
    assert_eq!((inode.layout, inode.size), (DataLayout::FlatPlain, 0));
    assert_eq!(HOLE, u32::MAX);
}

#[test]
fn device_slots_are_cumulative_and_checked_for_overflow() {
    let content = |device| NewContent::Contiguous { device, offset: 0 };
    let image = over_devices(&[10, 20, 1 << 31], 5, content(3), 0).unwrap();
    let own = image.superblock().blocks.get();
    let slots: Vec<_> = image
        .devices()
        .iter()
        .map(|device| (device.uniaddr, device.blocks))
        .collect();
    assert_eq!(slots, [(own, 10), (own + 10, 20), (own + 30, 1 << 31)]);
    for blocks in [&[u32::MAX][..], &[1 << 31, 1 << 31], &[u32::MAX - 1, 1]] {
        assert!(
            matches!(
                over_devices(blocks, 5, content(1), 0),
                Err(Error::ImageTooLarge)
            ),
            "{blocks:?}"
        );
    }
}

#[test]
fn pieces_that_a_device_does_not_have_are_refused() {
    let at = |device, offset| NewContent::Contiguous { device, offset };
    for (size, content) in [
        (1, at(2, 0)),
        (1, at(1, 10 * BLOCK)),
        (BLOCK + 1, at(1, 9 * BLOCK)),
        (1, at(1, 1)),
        (u64::MAX, at(1, 0)),
        (1, at(1, u64::MAX - 4095)),
        (1, at(0, BLOCK * 100)),
    ] {
        let error = over_devices(&[10], size, content, 0).unwrap_err();
        assert!(
            matches!(problem(error, b"f"), InodeProblem::Extent { .. }),
            "{content:?}"
        );
    }
}
