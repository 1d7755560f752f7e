use std::borrow::Cow;
use std::fmt;

use erofs_format::{Feature, KernelVersion};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::verity::Verity;

/// The conditions under which a guest boots the disk of an image.
///
/// They hold for a disk that is attached as the first virtio block device, read-only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BootFacts {
    /// The name of the disk in the guest.
    pub root_device: Cow<'static, str>,
    /// The type of its file system.
    pub rootfstype: Cow<'static, str>,
    /// The parameters of the kernel that mount the disk as the root, without those of the console.
    pub cmdline: String,
    /// The oldest Linux kernel that mounts the disk without `device=` options.
    #[serde(serialize_with = "as_text", deserialize_with = "version")]
    pub minimum_kernel: KernelVersion,
    /// The oldest version of the imago crate, which libkrun uses, that reads the VMDK descriptor.
    pub minimum_imago: Cow<'static, str>,
    /// The modules that a modular guest kernel loads, in this order: for the disk and, with `overlay`, for a writable root. A
    /// guest without PCI needs `virtio_mmio` in place of `virtio_pci`.
    pub kernel_modules: Vec<Cow<'static, str>>,
    /// The number of files that a hypervisor keeps open for the disk: the descriptor and one for each extent.
    pub file_descriptors: u64,
    /// The parameters of dm-verity, if the disk has a hash tree. Then [`root_device`](Self::root_device) is the device that verifies
    /// what it reads, and [`cmdline`](Self::cmdline) creates it, for which the kernel needs `CONFIG_DM_INIT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verity: Option<Verity>,
}

/// Versions up to 0.2.3 find no extent for a read that begins at the end of another one, and up to 0.2.5 the column of offsets is in bytes.
const MINIMUM_IMAGO: &str = "0.2.6";

/// The disk in the guest.
pub(super) const DISK: &str = "/dev/vda";

/// The device in the guest that verifies what it reads from the disk.
const VERIFIED: &str = "/dev/dm-0";

/// The kernel since which all devices of an image can be one flat disk.
const FLAT_DISK: KernelVersion = KernelVersion::new(6, 4);

impl BootFacts {
    /// Returns the facts of a disk of this many files.
    pub(crate) fn new(extents: usize, verity: Option<&Verity>) -> Self {
        let (root_device, create) = match verity {
            Some(verity) => {
                let table = verity.device_table(DISK);
                let create = format!("dm-mod.create=\"root,,,ro,{table}\" dm-mod.waitfor={DISK} ");
                (VERIFIED, create)
            }
            None => (DISK, String::new()),
        };
        let modules = [
            "virtio_pci",
            "virtio_blk",
            "dm_mod",
            "dm_verity",
            "erofs",
            "overlay",
        ];
        let is_needed = |module: &&str| verity.is_some() || !module.starts_with("dm_");
        const ROOTFSTYPE: &str = "erofs";
        // Merged metadata may have long xattr name prefixes, if there is anything in it.
        let minimum_kernel = match extents {
            0 | 1 => KernelVersion::BASE,
            _ => FLAT_DISK.max(Feature::XattrPrefixes.minimum_kernel()),
        };
        Self {
            root_device: root_device.into(),
            rootfstype: ROOTFSTYPE.into(),
            cmdline: format!("{create}root={root_device} rootfstype={ROOTFSTYPE} ro"),
            minimum_kernel,
            minimum_imago: MINIMUM_IMAGO.into(),
            kernel_modules: modules
                .into_iter()
                .filter(is_needed)
                .map(Cow::from)
                .collect(),
            file_descriptors: extents as u64 + 1,
            verity: verity.cloned(),
        }
    }
}

fn as_text<S: Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// Reads `MAJOR.MINOR`.
fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KernelVersion, D::Error> {
    let text = String::deserialize(deserializer)?;
    let parsed = text
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    let (major, minor) =
        parsed.ok_or_else(|| D::Error::custom("a kernel version is MAJOR.MINOR"))?;
    Ok(KernelVersion::new(major, minor))
}
