use erofs_format::{
    BLOCK_SIZE, XATTR_ENTRY_ALIGN, XATTR_LONG_PREFIX, XattrEntry, XattrIbodyHeader, XattrNamespace,
};
use zerocopy::FromBytes;

use crate::{DataLayout, Error, Image, Inode, ReadAt, SuperProblem, XattrProblem, superblock};

/// The longest full name: the kernel's `XATTR_NAME_MAX`.
const NAME_MAX: usize = 255;

/// One extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Xattr {
    /// The full name, such as `user.a`: up to 255 bytes without a NUL.
    pub name: Vec<u8>,
    /// The value, up to 65535 bytes.
    pub value: Vec<u8>,
}

/// The long name prefixes of an image, whole: what `e_name_index` with its top bit set stands for.
#[derive(Debug)]
pub(crate) enum Prefixes {
    Known(Vec<Vec<u8>>),
    /// They lie in a packed inode whose data are compressed.
    Compressed,
}

impl Default for Prefixes {
    fn default() -> Self {
        Self::Known(Vec::new())
    }
}

impl Prefixes {
    /// Reads the prefixes: each a 16-bit length, the number of a namespace, and what follows the namespace's own prefix
    /// (kernel: `erofs_xattr_prefixes_init`, `struct erofs_xattr_long_prefix`).
    pub(crate) fn read<D: ReadAt>(image: &Image<D>) -> Result<Self, Error> {
        let sb = image.superblock();
        if !superblock::has_xattr_prefixes(sb) {
            return Ok(Self::default());
        }
        let packed = match superblock::packed_prefixes(sb) {
            Some(nid) => Some(image.inode(nid)?),
            None => None,
        };
        if packed.is_some_and(|inode| inode.layout == DataLayout::Compressed) {
            return Ok(Self::Compressed);
        }
        let mut offset = u64::from(sb.xattr_prefix_start.get()) * 4;
        let mut prefixes = Vec::new();
        for index in 0..sb.xattr_prefix_count {
            let malformed = || Error::Super {
                problem: SuperProblem::XattrPrefix { index },
            };
            let read = |buf: &mut [u8], offset| match &packed {
                Some(inode) => Ok(image.read_at(inode, offset, buf)? == buf.len()),
                None => image
                    .read_meta(buf, offset)
                    .map_or(Ok(false), |done| done.map(|()| true)),
            };
            let mut len = [0; 2];
            if !read(&mut len, offset)? {
                return Err(malformed());
            }
            let len = usize::from(u16::from_le_bytes(len));
            // A longer one could begin no name.
            if !(1..=NAME_MAX).contains(&len) {
                return Err(malformed());
            }
            let mut bytes = vec![0; len];
            if !read(&mut bytes, offset + 2)? {
                return Err(malformed());
            }
            let namespace = XattrNamespace::from_index(bytes[0]).ok_or_else(malformed)?;
            prefixes.push([namespace.prefix(), &bytes[1..]].concat());
            offset = (offset + 2 + len as u64).next_multiple_of(4);
        }
        Ok(Self::Known(prefixes))
    }
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
