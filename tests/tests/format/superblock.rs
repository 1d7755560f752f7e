//! The superblock and its checksum.

use super::*;

fn checksum(image: &Raw) -> u32 {
    let mut block = image.0[SUPER..BLOCK].to_vec();
    block[4..8].fill(0);
    crc32c(&block)
}

#[test]
fn superblock_is_where_and_what_it_has_to_be() {
    for image in images(&sample()) {
        assert!(image.0[..SUPER].iter().all(|&byte| byte == 0));
        assert_eq!(image.u32(SUPER), 0xe0f5_e1e2);
        assert_eq!((image.0[SUPER + 12], image.0[SUPER + 90]), (12, 0));
        assert_eq!(image.0.len(), image.u32(SUPER + 36) as usize * BLOCK);
        assert!(image.inode(image.root_nid()).is_directory());
    }
    // 70,000 inodes need more than 16 bits of nids.
    let many: String = (0..70_000)
        .map(|index| format!("fifo d/p{index}\n"))
        .collect();
    let disk = Disk::of_recipes(&[&many]);
    for image in images(&disk) {
        let root = image.inode(image.root_nid());
        assert!(image.u64(SUPER + 16) > 70_000 && root.is_directory());
        let names = Raw::names(image.directory(&root)[0]).0;
        assert_eq!(names.last().unwrap().name, b"d");
    }
}

#[test]
fn superblock_sum_is_right_bit_by_bit() {
    assert_eq!(crc32c(b"123456789"), !0xe306_9283);
    for image in images(&sample()) {
        assert_eq!(image.u32(SUPER + 4), checksum(&image));
        // `EROFS_FEATURE_COMPAT_SB_CHKSUM`
        assert_eq!(image.u32(SUPER + 8) & 1, 1);
    }
}

#[test]
fn superblock_sum_covers_the_device_table() {
    let disk = sample();
    let mut image = raw(&disk.fsmeta);
    let tag = image.table();
    assert!(tag >= SUPER + 128 && tag + 128 <= BLOCK);
    image.0[tag] ^= 1;
    assert_ne!(image.u32(SUPER + 4), checksum(&image));
    fs::write(&disk.fsmeta, &image.0).unwrap();
    let told = erofs_tools::fsck(&disk.fsmeta, &disk.devices());
    let told = told.unwrap_or_else(|error| error.to_string());
    assert!(told.contains("checksum"), "{told}");
}
