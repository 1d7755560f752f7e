use erofs_format::{
    BLOCK_BITS, BLOCK_SIZE, DeviceSlot, Features, SUPER_MAGIC, SUPER_OFFSET, SuperBlock,
    superblock_checksum,
};
use zerocopy::{FromZeros, IntoBytes};

use crate::plan::Plan;
use crate::{Error, Options};

/// The features that a reader of the image has to know.
pub(crate) fn incompat(options: &Options, plan: &Plan<'_>) -> u32 {
    let features = [
        (plan.placement.has_chunks, Features::INCOMPAT_CHUNKED_FILE),
        (!options.devices.is_empty(), Features::INCOMPAT_DEVICE_TABLE),
        (
            plan.xattrs.prefixes.count() > 0,
            Features::INCOMPAT_XATTR_PREFIXES,
        ),
    ];
    features
        .into_iter()
        .filter(|(is_used, _)| *is_used)
        .fold(0, |bits, (_, bit)| bits | bit)
}

/// The first blocks of the image: the superblock and, right behind it, the device table.
///
/// `blocks` is the length of the whole image. The devices lie behind it one after the other in the flat device that they
/// form together, and their slots say where.
pub(crate) fn head(options: &Options, plan: &Plan<'_>, blocks: u32) -> Result<Vec<u8>, Error> {
    let root_nid = plan.nid(plan.root);
    let mut sb = SuperBlock::new_zeroed();
    sb.magic = SUPER_MAGIC.into();
    sb.feature_compat = (Features::COMPAT_SB_CHKSUM | Features::COMPAT_MTIME).into();
    sb.blkszbits = BLOCK_BITS;
    // OK because the root is placed first: in slot 1, or behind a gap of at most a block.
    sb.root_nid = u16::try_from(root_nid)
        .map_err(|_| Error::MetadataTooLarge)?
        .into();
    sb.inos = plan.inode_count().into();
    sb.epoch = plan.times.epoch.secs.cast_unsigned().into();
    sb.fixed_nsec = plan.times.epoch.nanos.into();
    sb.blocks = blocks.into();
    sb.meta_blkaddr = plan.meta_blkaddr.into();
    sb.xattr_blkaddr = if plan.xattrs.shared.is_empty() {
        0
    } else {
        plan.xattr_blkaddr
    }
    .into();
    let incompat = incompat(options, plan);
    if plan.xattrs.prefixes.count() > 0 {
        sb.feature_compat = (sb.feature_compat.get() | Features::COMPAT_PLAIN_XATTR_PFX).into();
        sb.xattr_prefix_count = plan.xattrs.prefixes.count();
        // OK because the plan has prefixes only where they can be reached.
        sb.xattr_prefix_start = plan
            .xattr_prefix_start()
            .ok_or(Error::MetadataTooLarge)?
            .into();
    }
    sb.uuid = options.uuid;
    sb.volume_name = options.volume_name;
    if !options.devices.is_empty() {
        sb.extra_devices = u16::try_from(options.devices.len())
            .map_err(|_| Error::MetadataTooLarge)?
            .into();
        let table = SUPER_OFFSET as usize + size_of::<SuperBlock>();
        sb.devt_slotoff = u16::try_from(table / size_of::<DeviceSlot>())
            .map_err(|_| Error::MetadataTooLarge)?
            .into();
    }
    sb.feature_incompat = incompat.into();

    let mut head = vec![0; SUPER_OFFSET as usize];
    head.extend_from_slice(sb.as_bytes());
    let mut uniaddr = blocks;
    for device in &options.devices {
        let mut slot = DeviceSlot::new_zeroed();
        slot.tag[..device.tag.len()].copy_from_slice(&device.tag);
        slot.blocks = device.blocks.into();
        slot.uniaddr = uniaddr.into();
        head.extend_from_slice(slot.as_bytes());
        uniaddr = uniaddr
            .checked_add(device.blocks)
            .ok_or(Error::ImageTooLarge)?;
    }
    head.resize(
        usize::try_from(head_bytes(options.devices.len())).map_err(|_| Error::ImageTooLarge)?,
        0,
    );

    if let Some(block0) = head.first_chunk::<{ BLOCK_SIZE as usize }>() {
        sb.checksum = superblock_checksum(block0).get().into();
        head[SUPER_OFFSET as usize..][..size_of::<SuperBlock>()].copy_from_slice(sb.as_bytes());
    }
    Ok(head)
}

/// Bytes of the head: the superblock and the device table right behind it, as whole blocks.
///
/// The table has to begin within the first 8 MiB (`devt_slotoff` has 16 bits), so it goes before the data.
pub(crate) fn head_bytes(devices: usize) -> u64 {
    let end = SUPER_OFFSET as usize + size_of::<SuperBlock>() + devices * size_of::<DeviceSlot>();
    (end as u64).next_multiple_of(u64::from(BLOCK_SIZE))
}
