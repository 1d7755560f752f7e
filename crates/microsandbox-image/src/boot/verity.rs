use msb_oci::Digest;
use serde::{Deserialize, Serialize};

/// The parameters with which a guest opens a disk through dm-verity: version 1, SHA-256, no superblock.
///
/// The hash tree is on the same disk, after the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Verity {
    /// The root hash, in hexadecimal digits. It must reach the guest by a way that an attacker does not control.
    pub root_hash: String,
    /// The salt, in hexadecimal digits; the same for all disks.
    pub salt: String,
    /// The number of blocks of data.
    pub data_blocks: u64,
    /// The offset of the hash tree on the disk, in bytes.
    pub hash_offset: u64,
    /// The length of a block of data and of a block of hashes, in bytes.
    pub block_size: u32,
}

impl Verity {
    /// Creates the parameters of a disk with this many bytes of data.
    pub(crate) fn new(root: &Digest, data_bytes: u64) -> Self {
        let block_size = erofs_format::BLOCK_SIZE;
        let data_blocks = data_bytes / u64::from(block_size);
        Self {
            root_hash: root.hex().to_string(),
            salt: msb_verity::SALT
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect(),
            data_blocks,
            hash_offset: data_blocks * u64::from(block_size),
            block_size,
        }
    }

    /// Returns the table of the device mapper for the disk `device`, as `dmsetup create` and the kernel's parameter `dm-mod.create` take it.
    #[must_use]
    pub fn device_table(&self, device: &str) -> String {
        let Self {
            root_hash,
            salt,
            data_blocks,
            hash_offset,
            block_size,
        } = self;
        let sectors = hash_offset / 512;
        let hash_start = hash_offset / u64::from(*block_size);
        format!(
            "0 {sectors} verity 1 {device} {device} {block_size} {block_size} {data_blocks} {hash_start} sha256 {root_hash} {salt}"
        )
    }
}
