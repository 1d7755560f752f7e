use erofs_format::{
    BLOCK_SIZE, XATTR_ENTRY_ALIGN, XATTR_LONG_PREFIX, XattrEntry, XattrIbodyHeader, XattrNamespace,
};
use zerocopy::FromBytes;

use crate::prefixes::{NAME_MAX, Prefixes};
use crate::{Error, Image, Inode, ReadAt, XattrProblem};

/// One extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Xattr {
    /// The full name, such as `user.a`: up to 255 bytes without a NUL.
    pub name: Vec<u8>,
    /// The value, up to 65535 bytes.
    pub value: Vec<u8>,
}

impl<D: ReadAt> Image<D> {
    /// The extended attributes of an inode in the order they are stored: its own, then the shared ones.
    ///
    /// At most 256 KiB of own and 255 shared ones, as the format allows.
    ///
    /// # Errors
    ///
    /// [`Error::Xattr`] for entries that leave their room and for names that cannot be; [`Error::Io`].
    pub fn xattrs(&self, inode: &Inode) -> Result<Vec<Xattr>, Error> {
        let mut xattrs = Vec::new();
        // OK because the inode was checked when it was read: the body lies on the primary and is 0 or above 12.
        let mut body = vec![0; usize::try_from(inode.xattr_bytes).unwrap_or(0)];
        if body.is_empty() {
            return Ok(xattrs);
        }
        let start = inode.xattr_offset();
        let at = |offset, problem| Error::Xattr {
            nid: inode.nid,
            offset,
            problem,
        };
        let outside = |offset, wanted: usize, room: usize| {
            at(
                offset,
                XattrProblem::Bounds {
                    wanted: wanted as u64,
                    room: room as u64,
                },
            )
        };
        self.read_meta(&mut body, start)
            .ok_or_else(|| outside(start, body.len(), 0))??;
        let (header, rest) = XattrIbodyHeader::read_from_prefix(&body)
            .map_err(|_| outside(start, size_of::<XattrIbodyHeader>(), body.len()))?;
        let ids_len = usize::from(header.h_shared_count) * 4;
        let (ids, mut rest) = rest
            .split_at_checked(ids_len)
            .ok_or_else(|| outside(start, ids_len, rest.len()))?;

        while !rest.is_empty() {
            let offset = start + (body.len() - rest.len()) as u64;
            let (entry, bytes) = XattrEntry::read_from_prefix(rest)
                .map_err(|_| outside(offset, size_of::<XattrEntry>(), rest.len()))?;
            let len = entry_len(&entry);
            let (bytes, after) = bytes
                .split_at_checked(len)
                .ok_or_else(|| outside(offset, len, bytes.len()))?;
            xattrs.push(
                self.xattr(&entry, bytes)
                    .map_err(|problem| at(offset, problem))?,
            );
            rest = after;
        }
        for id in ids.as_chunks().0 {
            let offset = self.shared_offset(u32::from_le_bytes(*id));
            let mut head = [0; size_of::<XattrEntry>()];
            self.read_meta(&mut head, offset)
                .ok_or_else(|| outside(offset, head.len(), 0))??;
            let entry = XattrEntry::read_from_bytes(&head).expect("the buffer has an entry's size");
            let mut bytes = vec![0; entry_len(&entry)];
            self.read_meta(&mut bytes, offset + head.len() as u64)
                .ok_or_else(|| outside(offset, bytes.len(), 0))??;
            xattrs.push(
                self.xattr(&entry, &bytes)
                    .map_err(|problem| at(offset, problem))?,
            );
        }
        Ok(xattrs)
    }

    fn shared_offset(&self, id: u32) -> u64 {
        u64::from(self.superblock().xattr_blkaddr.get()) * u64::from(BLOCK_SIZE) + u64::from(id) * 4
    }

    /// The xattr of an entry and the bytes behind it, of which there are [`entry_len`].
    fn xattr(&self, entry: &XattrEntry, bytes: &[u8]) -> Result<Xattr, XattrProblem> {
        let (suffix, rest) = bytes.split_at(entry.e_name_len.into());
        let prefix = self.prefix(entry.e_name_index)?;
        let name = [prefix, suffix].concat();
        let sound = name.len() <= NAME_MAX && !name.contains(&0);
        if !sound || XattrNamespace::split(&name).is_none() {
            return Err(XattrProblem::Name { len: name.len() });
        }
        Ok(Xattr {
            name,
            value: rest[..entry.e_value_size.get().into()].to_vec(),
        })
    }

    fn prefix(&self, e_name_index: u8) -> Result<&[u8], XattrProblem> {
        let unknown = XattrProblem::NameIndex { e_name_index };
        if e_name_index & XATTR_LONG_PREFIX == 0 {
            let namespace = XattrNamespace::from_index(e_name_index).ok_or(unknown)?;
            return Ok(namespace.prefix());
        }
        match &self.prefixes {
            Prefixes::Known(prefixes) => prefixes
                .get(usize::from(e_name_index & !XATTR_LONG_PREFIX))
                .map(Vec::as_slice)
                .ok_or(unknown),
            Prefixes::Compressed => Err(XattrProblem::PrefixesCompressed),
        }
    }
}

/// Bytes of name, value and padding that follow an entry.
fn entry_len(entry: &XattrEntry) -> usize {
    let len = usize::from(entry.e_name_len) + usize::from(entry.e_value_size.get());
    // OK to align by itself, because the entry before it has the alignment's size.
    len.next_multiple_of(XATTR_ENTRY_ALIGN)
}
