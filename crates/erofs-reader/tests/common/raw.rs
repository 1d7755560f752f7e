use erofs_format::{
    BLOCK_SIZE, ChunkIndex, DataLayout, DeviceSlot, Dirent, Features, FileType, InodeExtended,
    InodeFormat, SUPER_MAGIC, SUPER_OFFSET, SuperBlock, superblock_checksum,
};
use zerocopy::{FromZeros, IntoBytes};

const BLOCK: usize = BLOCK_SIZE as usize;

/// An image assembled byte for byte. Inodes are extended and begin in block 1; the root is nid 2.
pub(crate) struct Raw {
    pub(crate) sb: SuperBlock,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) const ROOT: u64 = 2;

impl Raw {
    pub(crate) fn new(blocks: u32) -> Self {
        let mut sb = SuperBlock::new_zeroed();
        sb.magic = SUPER_MAGIC.into();
        sb.feature_compat = Features::COMPAT_SB_CHKSUM.into();
        sb.blkszbits = 12;
        sb.root_nid = (ROOT as u16).into();
        sb.blocks = blocks.into();
        sb.meta_blkaddr = 1.into();
        Self {
            sb,
            bytes: vec![0; blocks as usize * BLOCK],
        }
    }

    pub(crate) fn put(&mut self, offset: usize, bytes: &[u8]) -> &mut Self {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn offset(nid: u64) -> usize {
        BLOCK + nid as usize * 32
    }

    /// Adds an inode and the bytes after it.
    pub(crate) fn inode(&mut self, nid: u64, inode: InodeExtended, after: &[u8]) -> &mut Self {
        self.put(Self::offset(nid), inode.as_bytes());
        self.put(Self::offset(nid) + 64, after)
    }

    /// Adds a directory of these names whose only block is inline.
    pub(crate) fn dir(
        &mut self,
        nid: u64,
        nlink: u32,
        names: &[(&str, u64, FileType)],
    ) -> &mut Self {
        let block = dir_block(names);
        let mut inode = inode(
            FileType::Directory,
            DataLayout::FlatInline,
            block.len() as u64,
        );
        inode.i_nlink = nlink.into();
        self.inode(nid, inode, &block)
    }

    /// Adds an empty file.
    pub(crate) fn empty(&mut self, nid: u64) -> &mut Self {
        let inode = inode(FileType::Regular, DataLayout::FlatPlain, 0);
        self.inode(nid, inode, &[])
    }

    pub(crate) fn link(&mut self, nid: u64, target: &str) -> &mut Self {
        let inode = inode(
            FileType::Symlink,
            DataLayout::FlatInline,
            target.len() as u64,
        );
        self.inode(nid, inode, target.as_bytes())
    }

    /// Adds a file of chunks of one block.
    pub(crate) fn chunked(&mut self, nid: u64, size: u64, chunks: &[(u16, u32)]) -> &mut Self {
        let mut inode = inode(FileType::Regular, DataLayout::ChunkBased, size);
        inode.i_u = 0x20.into();
        let indexes: Vec<u8> = chunks
            .iter()
            .flat_map(|(device_id, block)| {
                let index = ChunkIndex {
                    startblk_hi: 0.into(),
                    device_id: (*device_id).into(),
                    startblk_lo: (*block).into(),
                };
                index.as_bytes().to_vec()
            })
            .collect();
        self.inode(nid, inode, &indexes)
    }

    /// Adds the device table, in block 0 after the superblock: `(blocks, uniaddr)` each.
    pub(crate) fn devices(&mut self, devices: &[(u32, u32)]) -> &mut Self {
        self.sb.feature_incompat = Features::INCOMPAT_DEVICE_TABLE.into();
        self.sb.extra_devices = (devices.len() as u16).into();
        self.sb.devt_slotoff = 9.into();
        for (index, (blocks, uniaddr)) in devices.iter().enumerate() {
            let mut slot = DeviceSlot::new_zeroed();
            slot.blocks = (*blocks).into();
            slot.uniaddr = (*uniaddr).into();
            self.put((9 + index) * 128, slot.as_bytes());
        }
        self
    }

    /// Returns the image with a valid checksum.
    pub(crate) fn build(&mut self) -> Vec<u8> {
        let sb = self.sb;
        self.put(SUPER_OFFSET as usize, sb.as_bytes());
        seal(&mut self.bytes);
        self.bytes.clone()
    }
}

/// Updates the checksum.
pub(crate) fn seal(image: &mut [u8]) {
    let block0: &[u8; BLOCK] = image[..BLOCK].try_into().unwrap();
    let checksum = superblock_checksum(block0).get();
    image[SUPER_OFFSET as usize + 4..][..4].copy_from_slice(&checksum.to_le_bytes());
}

pub(crate) fn inode(file_type: FileType, layout: DataLayout, size: u64) -> InodeExtended {
    let mut inode = InodeExtended::new_zeroed();
    inode.i_format = InodeFormat::new(true, layout).0.into();
    inode.i_mode = (file_type.mode_bits() | 0o644).into();
    inode.i_size = size.into();
    inode.i_nlink = 1.into();
    inode
}

/// Builds a directory block of these names, in this order.
pub(crate) fn dir_block(names: &[(&str, u64, FileType)]) -> Vec<u8> {
    let mut block = Vec::new();
    let mut nameoff = names.len() * 12;
    for (name, nid, file_type) in names {
        let dirent = Dirent {
            nid: (*nid).into(),
            nameoff: (nameoff as u16).into(),
            file_type: *file_type as u8,
            reserved: 0,
        };
        block.extend_from_slice(dirent.as_bytes());
        nameoff += name.len();
    }
    for (name, ..) in names {
        block.extend_from_slice(name.as_bytes());
    }
    block
}
