use erofs_format::{
    BLOCK_SIZE, FileType, InodeCompact, InodeExtended, InodeFormat, SLOT_SIZE, decode_rdev,
    xattr_ibody_size,
};
use zerocopy::FromBytes;

use crate::{Error, Image, Inode, InodeProblem, ReadAt};

impl<D: ReadAt> Image<D> {
    /// Reads an inode.
    ///
    /// # Errors
    ///
    /// [`Error::Inode`] when it leaves the primary device or has a format, mode or size that cannot be; [`Error::Io`].
    pub fn inode(&self, nid: u64) -> Result<Inode, Error> {
        let base = u64::from(self.superblock().meta_blkaddr.get()) * u64::from(BLOCK_SIZE);
        let offset = nid
            .checked_mul(SLOT_SIZE.into())
            .and_then(|slot| slot.checked_add(base));
        let fail = |problem| Error::Inode {
            nid,
            offset: offset.unwrap_or(0),
            problem,
        };
        let outside = || {
            fail(InodeProblem::OutOfBounds {
                primary_bytes: self.primary_bytes,
            })
        };
        let offset = offset.ok_or_else(outside)?;

        let mut bytes = [0; size_of::<InodeExtended>()];
        let (head, tail) = bytes.split_at_mut(size_of::<InodeCompact>());
        self.read_meta(head, offset).ok_or_else(outside)??;
        let compact = InodeCompact::read_from_bytes(head).expect("the halves are 32 bytes each");
        let format = InodeFormat(compact.i_format.get());
        let layout = format.layout().ok_or_else(|| {
            fail(InodeProblem::Format {
                i_format: compact.i_format.get(),
            })
        })?;
        let mode = compact.i_mode.get();
        let file_type =
            FileType::from_mode(mode).ok_or_else(|| fail(InodeProblem::Mode { i_mode: mode }))?;
        let xattr_bytes = xattr_ibody_size(compact.i_xattr_icount.get()) as u64;

        let mut inode = Inode {
            nid,
            offset,
            file_type,
            mode,
            nlink: compact.i_nlink.get().into(),
            uid: compact.i_uid.get().into(),
            gid: compact.i_gid.get().into(),
            size: compact.i_size.get().into(),
            // Kernels before 6.15 take a compact inode's time to be the epoch; `i_mtime` was zero then.
            mtime_secs: signed(self.superblock().epoch.get())
                .wrapping_add(compact.i_mtime.get().into()),
            mtime_nanos: self.superblock().fixed_nsec.get(),
            rdev: None,
            layout,
            extended: format.is_extended(),
            i_u: compact.i_u.get(),
            xattr_bytes,
        };
        if inode.extended {
            // OK because an inode that the first half fits behind ends far below 2^64.
            self.read_meta(tail, offset + size_of::<InodeCompact>() as u64)
                .ok_or_else(outside)??;
            let extended = InodeExtended::read_from_bytes(&bytes).expect("64 bytes were read");
            inode.nlink = extended.i_nlink.get();
            inode.uid = extended.i_uid.get();
            inode.gid = extended.i_gid.get();
            inode.size = extended.i_size.get();
            inode.mtime_secs = signed(extended.i_mtime.get());
            inode.mtime_nanos = extended.i_mtime_nsec.get();
            inode.i_u = extended.i_u.get();
        }
        if matches!(file_type, FileType::CharDevice | FileType::BlockDevice) {
            inode.rdev = Some(decode_rdev(inode.i_u));
        }
        self.check_inode(&inode)?;
        Ok(inode)
    }

    fn check_inode(&self, inode: &Inode) -> Result<(), Error> {
        if i64::try_from(inode.size).is_err() {
            return Err(inode.error(InodeProblem::Size { size: inode.size }));
        }
        if inode.mtime_nanos >= 1_000_000_000 {
            return Err(inode.error(InodeProblem::Nanos {
                nanos: inode.mtime_nanos,
            }));
        }
        // A header alone is undefined; the kernel refuses it (`erofs_init_inode_xattrs`).
        if inode.xattr_bytes == 12 {
            return Err(inode.error(InodeProblem::XattrBody { size: 12 }));
        }
        if inode.body_end() > self.primary_bytes {
            return Err(inode.error(InodeProblem::OutOfBounds {
                primary_bytes: self.primary_bytes,
            }));
        }
        Ok(())
    }
}

/// The number whose two's complement `bits` are.
fn signed(bits: u64) -> i64 {
    i64::from_le_bytes(bits.to_le_bytes())
}
