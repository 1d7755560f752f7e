//! Device slots, holes, and the addresses of data.

use super::*;

#[test]
fn device_slots_say_tag_length_and_place() {
    let disk = sample();
    let fsmeta = raw(&disk.fsmeta);
    let blocks = |bytes: usize| u32::try_from(bytes / BLOCK).unwrap();
    let mut next = blocks(fsmeta.0.len());
    assert_eq!(fsmeta.u32(SUPER + 36), next);
    let slots = fsmeta.slots();
    assert_eq!(slots.len(), 2);
    for (slot, image) in slots.iter().zip(disk.devices()) {
        let len = usize::try_from(fs::metadata(image).unwrap().len()).unwrap();
        assert!(len.is_multiple_of(BLOCK) && !slot.tag.is_empty());
        assert_eq!((slot.blocks, slot.uniaddr), (blocks(len), next));
        next += slot.blocks;
    }
    assert_ne!(slots[0].tag, slots[1].tag);
    assert!(raw(&disk.layers[0].image).slots().is_empty());
}

#[test]
fn device_ids_count_from_1() {
    let disk = sample();
    let fsmeta = raw(&disk.fsmeta);
    for (path, device, seed, size) in [
        ("/none", 1, 1, 5000),
        ("/top", 2, 11, 70_000),
        ("/more/of/it", 2, 12, 4097),
    ] {
        let (chunks, _) = fsmeta.chunks(&fsmeta.at(path));
        assert_eq!(chunks[0].0, device, "{path}");
        let layer = raw(&disk.layers[usize::from(device) - 1].image);
        let at = chunks[0].1 as usize * BLOCK;
        assert_eq!(&layer.0[at..at + size], contents(seed, size), "{path}");
    }
}

#[test]
fn more_layers_than_there_are_slots_are_refused_by_number() {
    let names = |layer: &u32| LayerNames {
        tag: "t".into(),
        file: format!("{layer}.erofs"),
    };
    let error = LayerSet::new("fsmeta.erofs", 0..65_536, names).unwrap_err();
    assert!(matches!(
        error,
        StitchError::TooManyLayers { limit: 65_535, .. }
    ));
    assert!(error.to_string().contains("65535"), "{error}");
}

#[test]
fn holes_are_all_ones() {
    for (image, device) in images(&sample()).iter().zip([1, 0]) {
        let sparse = image.at("/s");
        let (chunks, bytes) = image.chunks(&sparse);
        assert_eq!(bytes, 8192);
        for (index, (id, block)) in chunks.into_iter().enumerate() {
            let has_data = index == 1 || index == 9;
            assert_eq!(block == NONE, !has_data, "{index}");
            assert!(!has_data || id == device);
        }
        let (chunks, _) = image.chunks(&image.at("/hole"));
        assert!(chunks.iter().all(|(_, block)| *block == NONE));
    }
}

#[test]
fn only_an_empty_file_has_a_startblk_of_all_ones() {
    let (mut empty, mut addressed) = (0, 0);
    for image in images(&sample()) {
        for (path, inode) in image.tree() {
            if !matches!(inode.mode >> 12, 4 | 8 | 10) || inode.layout == CHUNKS {
                continue;
            }
            if inode.size == 0 {
                assert_eq!((inode.layout, inode.union), (PLAIN, NONE), "{path:?}");
                empty += 1;
            } else if inode.layout == PLAIN || inode.size >= BLOCK as u64 {
                assert_ne!(inode.union, NONE, "{path:?}");
                addressed += 1;
            } else {
                // All data is inline, so the field has no meaning.
                assert_eq!(inode.layout, INLINE);
            }
        }
    }
    // Two in the layer and in fsmeta; a directory of many blocks in both.
    assert!(empty == 4 && addressed >= 2, "{empty} {addressed}");
}

#[test]
fn further_names_of_a_file_cost_no_data() {
    let of = |recipe: &str| images(&Disk::of_recipes(&[recipe]));
    let (one, three) = (
        of("file a size=200000 seed=1"),
        of("file a size=200000 seed=1\nlink b target=a\nlink c target=a"),
    );
    for (one, three) in one.iter().zip(&three) {
        assert_eq!(one.0.len(), three.0.len());
    }
    // Neither do names in an upper layer.
    let disk = Disk::of_recipes(&[
        "file a size=200000 seed=1",
        "link b target=a\nlink c target=a",
    ]);
    assert!(fs::metadata(&disk.layers[1].image).unwrap().len() < 20_000);
}

#[test]
fn a_merge_from_kept_layers_gives_the_same_fsmeta() {
    let disk = sample();
    let kept = tempfile::tempdir().unwrap();
    let mut merge = Merge::new();
    for (layer, device) in disk.layers.iter().zip((1..).filter_map(DeviceId::new)) {
        let copy = kept.path().join(format!("{device}"));
        fs::copy(&layer.sidecar, &copy).unwrap();
        // The image itself is not read.
        fs::write(&layer.image, b"").unwrap();
        let sidecar = Sidecar::open(File::open(copy).unwrap()).unwrap();
        merge.add(device, sidecar.changes()).unwrap();
    }
    let (_, fsmeta) = merge
        .write_fsmeta(Cursor::new(Vec::new()), &disk.layout, [7; 16])
        .unwrap();
    assert!(fsmeta.into_inner() == fs::read(&disk.fsmeta).unwrap());
}
